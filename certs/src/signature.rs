//! Which keys are strong enough, and whether a signature is a key's.

use rustls_pki_types::AlgorithmIdentifier;

use crate::certificate::PublicKey;
use crate::der::{self, Malformed, Reader};

/// Why a signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignatureProblem {
    /// SHA-1, MD5, DSA, or an algorithm that does not fit the key.
    Algorithm,
    /// The signature was not made by this key over this message.
    Mismatch,
}

/// Checks `signature` over `message`. `algorithm` is the content of an AlgorithmIdentifier.
///
/// Accepted: ECDSA on P-256 and P-384 and RSA of 2,048 to 8,192 bits, each with SHA-256 or longer, and Ed25519.
pub(crate) fn verify(
    key: &PublicKey<'_>,
    algorithm: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), SignatureProblem> {
    let is = |id: AlgorithmIdentifier, bytes: &[u8]| id.as_ref() == bytes;
    let mut candidates = webpki::ALL_VERIFICATION_ALGS
        .iter()
        .filter(|known| {
            is(known.signature_alg_id(), algorithm) && is(known.public_key_alg_id(), key.algorithm)
        })
        .peekable();
    if candidates.peek().is_none() {
        return Err(SignatureProblem::Algorithm);
    }
    // Two entries can share their identifiers and differ in the key sizes that they take.
    candidates
        .any(|known| known.verify_signature(key.bits, message, signature).is_ok())
        .then_some(())
        .ok_or(SignatureProblem::Mismatch)
}

/// What a public key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    P256,
    P384,
    Ed25519,
    Rsa {
        bits: usize,
    },
    /// Malformed, or of a kind that is not verified here: DSA, other curves, SM2.
    Other,
}

/// What a key is, in as much as it decides whether it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyStrength {
    Sufficient,
    /// RSA under 2,048 bits, or with an exponent that is even or 1.
    Weak,
    /// Of a kind that is not verified here, or RSA over 8,192 bits.
    Unsupported,
}

/// Tells what a public key is.
pub(crate) fn kind(key: &PublicKey<'_>) -> KeyKind {
    // Only uncompressed points: ring and every TLS stack write them so.
    let is_point = |bytes: usize| key.bits.len() == bytes && key.bits.first() == Some(&4);
    match key.algorithm {
        P256 if is_point(65) => KeyKind::P256,
        P384 if is_point(97) => KeyKind::P384,
        ED25519 if key.bits.len() == 32 => KeyKind::Ed25519,
        RSA => rsa_numbers(key.bits).map_or(KeyKind::Other, |(modulus, _exponent)| KeyKind::Rsa {
            bits: bit_length(modulus),
        }),
        _ => KeyKind::Other,
    }
}

/// Judges a public key by its kind and size.
pub(crate) fn strength(key: &PublicKey<'_>) -> KeyStrength {
    match kind(key) {
        KeyKind::P256 | KeyKind::P384 | KeyKind::Ed25519 => KeyStrength::Sufficient,
        KeyKind::Rsa { bits } if bits > RSA_BITS_MAX => KeyStrength::Unsupported,
        KeyKind::Rsa { bits } if bits < RSA_BITS_MIN || !exponent_is_sound(key.bits) => {
            KeyStrength::Weak
        }
        KeyKind::Rsa { .. } => KeyStrength::Sufficient,
        KeyKind::Other => KeyStrength::Unsupported,
    }
}

fn exponent_is_sound(bits: &[u8]) -> bool {
    rsa_numbers(bits).is_ok_and(|(_modulus, exponent)| {
        exponent.last().is_some_and(|byte| byte % 2 == 1) && exponent != [1]
    })
}

/// Modulus and exponent.
fn rsa_numbers(bits: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let mut parts = Reader::new(der::only(bits, der::SEQUENCE)?);
    let modulus = der::unsigned(parts.expect(der::INTEGER)?)?;
    let exponent = der::unsigned(parts.expect(der::INTEGER)?)?;
    parts.finish()?;
    Ok((modulus, exponent))
}

fn bit_length(magnitude: &[u8]) -> usize {
    let leading = magnitude
        .first()
        .map_or(0, |byte| byte.leading_zeros() as usize);
    (8 * magnitude.len()).saturating_sub(leading)
}

const RSA_BITS_MIN: usize = 2048;
const RSA_BITS_MAX: usize = 8192;

// Contents of AlgorithmIdentifiers (RFC 3279, RFC 5480, RFC 8410).
const RSA: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];
const P256: &[u8] = &[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
    0x03, 0x01, 0x07,
];
const P384: &[u8] = &[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22,
];
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
