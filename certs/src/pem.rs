//! Writing PEM (RFC 7468); reading it is rustls's.

use rustls_pki_types::pem::Error;

/// One block.
pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    let mut digits = String::with_capacity(der.len() * 3 / 2);
    for (index, group) in der.chunks(GROUP_BYTES).enumerate() {
        if index > 0 && index % GROUPS_A_LINE == 0 {
            digits.push('\n');
        }
        let bits = group
            .iter()
            .fold(0_u32, |sum, &byte| (sum << 8) | u32::from(byte))
            << (8 * (GROUP_BYTES - group.len()));
        for position in 0..=GROUP_BYTES {
            let digit = ALPHABET
                .get(((bits >> (18 - 6 * position)) & 63) as usize)
                .copied()
                .unwrap_or(b'=');
            digits.push(if position > group.len() {
                '='
            } else {
                char::from(digit)
            });
        }
    }
    format!("-----BEGIN {label}-----\n{digits}\n-----END {label}-----\n")
}

/// What is wrong with some PEM, without quoting it: the file may hold a key.
pub(crate) fn problem(error: &Error) -> &'static str {
    match error {
        Error::MissingSectionEnd { .. } => "a block has no `-----END …-----` line",
        Error::IllegalSectionStart { .. } => "a `-----BEGIN …-----` line is incomplete",
        Error::Base64Decode(_) => "a block is not base64",
        Error::SectionTooLarge => "a block is larger than 256 MB",
        Error::Io(_) | Error::NoItemsFound | _ => "there is no block",
    }
}

/// Whether the file was cut inside the `-----BEGIN` line of a further block, which a reader of whole blocks would not miss.
pub(crate) fn is_cut(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_end();
    let last = text
        .rsplit(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    last.starts_with(b"-") && !last.starts_with(b"-----END ")
}

/// What [`is_cut`] is told as.
pub(crate) const CUT: &str = "it ends inside a `-----BEGIN …-----` line";

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Bytes that four digits hold.
const GROUP_BYTES: usize = 3;
/// 64 digits a line.
const GROUPS_A_LINE: usize = 16;

#[cfg(test)]
mod tests {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for length in [1_usize, 2, 3, 47, 48, 49, 1000] {
            let bytes: Vec<u8> = (0..length).map(|index| (index * 37) as u8).collect();
            let pem = encode("CERTIFICATE", &bytes);
            assert!(pem.lines().all(|line| line.len() <= 64));
            assert_eq!(
                CertificateDer::from_pem_slice(pem.as_bytes())
                    .unwrap()
                    .as_ref(),
                bytes
            );
        }
    }
}
