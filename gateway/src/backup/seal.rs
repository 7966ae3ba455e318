//! Keys in a backup: sealed under a passphrase.

use std::num::NonZeroU32;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::pbkdf2::{PBKDF2_HMAC_SHA256, derive};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use super::BackupError;

/// What a passphrase makes keys with; stands in the manifest.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Derivation {
    /// `PBKDF2-HMAC-SHA256`.
    pub(super) kdf: String,
    pub(super) iterations: u32,
    /// Hexadecimal.
    pub(super) salt: String,
    /// `AES-256-GCM`; each sealed file is nonce, ciphertext and tag, bound to its place.
    pub(super) cipher: String,
}

/// What keeps the keys in a backup.
pub struct Passphrase(Vec<u8>);

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Passphrase")
    }
}

impl Passphrase {
    /// The first line of a file's text.
    ///
    /// # Errors
    /// When it is shorter than 16 bytes: whoever has the archive can try as long as they like.
    pub fn new(text: &str) -> Result<Self, BackupError> {
        let line = text.lines().next().unwrap_or_default();
        if line.len() < PASSPHRASE_BYTES_MIN {
            return Err(BackupError::Passphrase(
                "the passphrase is shorter than 16 bytes; draw a longer one, as by `openssl rand -base64 24`",
            ));
        }
        Ok(Self(line.as_bytes().to_vec()))
    }
}

/// Seals and opens.
pub(super) struct Sealer {
    key: LessSafeKey,
    random: SystemRandom,
}

impl Sealer {
    /// A new one, with a salt of its own.
    pub(super) fn fresh(passphrase: &Passphrase) -> Result<(Self, Derivation), BackupError> {
        let mut salt = [0; 16];
        SystemRandom::new().fill(&mut salt).map_err(|_| NO_RANDOM)?;
        let derivation = Derivation {
            kdf: KDF.to_owned(),
            iterations: ITERATIONS,
            salt: super::hex(&salt),
            cipher: CIPHER.to_owned(),
        };
        Ok((Self::of(passphrase, &derivation)?, derivation))
    }

    /// The one that a manifest speaks of.
    pub(super) fn of(
        passphrase: &Passphrase,
        derivation: &Derivation,
    ) -> Result<Self, BackupError> {
        let unknown = || BackupError::Manifest("it is sealed in another way than ours".to_owned());
        let iterations = NonZeroU32::new(derivation.iterations)
            .filter(|count| (ITERATIONS_MIN..=ITERATIONS_MAX).contains(&count.get()))
            .ok_or_else(unknown)?;
        if derivation.kdf != KDF || derivation.cipher != CIPHER || derivation.salt.len() != 32 {
            return Err(unknown());
        }
        let mut key = [0; 32];
        // The salt's text is as good as its bytes.
        let salt = derivation.salt.as_bytes();
        derive(
            PBKDF2_HMAC_SHA256,
            iterations,
            salt,
            &passphrase.0,
            &mut key,
        );
        let key = UnboundKey::new(&AES_256_GCM, &key).map_err(|_| unknown())?;
        Ok(Self {
            key: LessSafeKey::new(key),
            random: SystemRandom::new(),
        })
    }

    /// Seals `content`, for this place only.
    pub(super) fn seal(&self, content: &[u8], place: &str) -> Result<Vec<u8>, BackupError> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| NO_RANDOM)?;
        let mut sealed = content.to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| BackupError::Passphrase("a key is too large to be sealed"))?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Opens what was sealed for this place.
    pub(super) fn open(&self, sealed: &[u8], place: &str) -> Result<Vec<u8>, BackupError> {
        let wrong = BackupError::Passphrase("the passphrase is not the one of this archive");
        let Some((nonce, sealed)) = sealed.split_first_chunk::<NONCE_LEN>() else {
            return Err(wrong);
        };
        let mut content = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self
            .key
            .open_in_place(nonce, Aad::from(place.as_bytes()), &mut content);
        match opened {
            Ok(plain) => Ok(plain.to_vec()),
            Err(_) => Err(wrong),
        }
    }
}

const KDF: &str = "PBKDF2-HMAC-SHA256";
const CIPHER: &str = "AES-256-GCM";
/// OWASP's number for this function (2023); about a third of a second.
const ITERATIONS: u32 = 600_000;
const ITERATIONS_MIN: u32 = 100_000;
const ITERATIONS_MAX: u32 = 10_000_000;
const PASSPHRASE_BYTES_MIN: usize = 16;
const NO_RANDOM: BackupError = BackupError::Passphrase("the system gives no random numbers");
