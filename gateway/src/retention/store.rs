//! A bucket of an S3-compatible store, as far as an archive needs one: an object is put, and read back before anybody relies on it.
//!
//! Reading back instead of trusting an `ETag` or a checksum header: what these mean differs from store to store, the bytes do not.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ring::digest::Digest;
use rusty_s3::actions::{GetObject, PutObject};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};

use super::archive::{digest, digest_of};
use crate::config::{ObjectStore, StoreAddress};
use crate::web_client::{self, AuthoritiesError};

/// An object could not be kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error("`{}`: {source}; look at space and permissions", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`audit.retention.store.secret` `{}`: {what}; it must hold the secret access key alone, readable to the gateway's user alone", path.display())]
    Secret { path: PathBuf, what: String },
    #[error("`audit.retention.store.ca` {0}")]
    Authorities(#[from] AuthoritiesError),
    #[error("`audit.retention.store.endpoint`: {0}; write a URL such as `https://s3.example`")]
    Endpoint(String),
    #[error("object `{key}`: the store cannot be asked: {why}")]
    Unreachable { key: String, why: String },
    #[error(
        "object `{key}`: the store answers {status} {code}; the key needs `s3:GetObject`, `s3:PutObject` and `s3:ListBucket` there"
    )]
    Refused {
        key: String,
        status: u16,
        code: String,
    },
    #[error("object `{key}`: another one of that name is there; give this log a prefix of its own")]
    Another { key: String },
    #[error(
        "object `{key}`: reads differently from what was put; it is put again in the next round"
    )]
    Differs { key: String },
}

/// An open bucket.
pub(super) struct Store {
    bucket: Bucket,
    credentials: Credentials,
    prefix: String,
    agent: ureq::Agent,
}

impl Store {
    pub(super) fn open(config: &ObjectStore) -> Result<Self, StoreError> {
        let endpoint = |why: &dyn std::fmt::Display| StoreError::Endpoint(why.to_string());
        let style = match config.address {
            StoreAddress::Path => UrlStyle::Path,
            StoreAddress::Host => UrlStyle::VirtualHost,
        };
        let url = config.endpoint.parse();
        let bucket = Bucket::new(
            url.map_err(|error| endpoint(&error))?,
            style,
            config.bucket.clone(),
            config.region.clone(),
        )
        .map_err(|error| endpoint(&error))?;
        let wrong = |what: &dyn std::fmt::Display| StoreError::Secret {
            path: config.secret.clone(),
            what: what.to_string(),
        };
        let secret = fs::read_to_string(&config.secret).map_err(|error| wrong(&error))?;
        let secret = secret.trim();
        if secret.is_empty() || secret.contains(char::is_whitespace) {
            return Err(wrong(&"it is no secret access key"));
        }
        Ok(Self {
            bucket,
            credentials: Credentials::new(config.key_id.clone(), secret.to_owned()),
            prefix: config.prefix.clone(),
            agent: web_client::agent(config.ca.as_deref(), TIMEOUT)?,
        })
    }

    /// Keeps a file under its name; what is there already must be the same.
    pub(super) fn keep(&self, file: &Path) -> Result<(), StoreError> {
        let at = |source| StoreError::File {
            path: file.to_owned(),
            source,
        };
        let name = file.file_name().unwrap_or_default().display();
        let key = format!("{}{name}", self.prefix);
        let own = digest(file).map_err(at)?;
        match self.digest_of(&key)? {
            Some(there) if there.as_ref() == own.as_ref() => return Ok(()),
            Some(_) => return Err(StoreError::Another { key }),
            None => self.put(&key, &File::open(file).map_err(at)?)?,
        }
        match self.digest_of(&key)? {
            Some(there) if there.as_ref() == own.as_ref() => Ok(()),
            _ => Err(StoreError::Differs { key }),
        }
    }

    fn put(&self, key: &str, file: &File) -> Result<(), StoreError> {
        let url = PutObject::new(&self.bucket, Some(&self.credentials), key).sign(SIGNED_FOR);
        let answer = self.agent.put(url.as_str()).send(file);
        let mut answer = answer.map_err(|error| unreachable(key, &error))?;
        match answer.status().as_u16() {
            200..=299 => Ok(()),
            status => Err(refused(key, status, answer.body_mut())),
        }
    }

    /// SHA-256 of an object; `None` when there is none.
    fn digest_of(&self, key: &str) -> Result<Option<Digest>, StoreError> {
        let url = GetObject::new(&self.bucket, Some(&self.credentials), key).sign(SIGNED_FOR);
        let answer = self.agent.get(url.as_str()).call();
        let mut answer = answer.map_err(|error| unreachable(key, &error))?;
        match answer.status().as_u16() {
            200 => {
                let mut body = answer.body_mut().as_reader().take(OBJECT_BYTES_MAX);
                let digest = digest_of(&mut body).map_err(|error| unreachable(key, &error))?;
                Ok(Some(digest))
            }
            404 => Ok(None),
            status => Err(refused(key, status, answer.body_mut())),
        }
    }
}

/// The error's text without the URL, which holds a signature.
fn unreachable(key: &str, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unreachable {
        key: key.to_owned(),
        why: error.to_string(),
    }
}

/// `<Code>` of the answer says what the store minds.
fn refused(key: &str, status: u16, body: &mut ureq::Body) -> StoreError {
    let text = body.with_config().limit(ERROR_BYTES_MAX).read_to_string();
    let text = text.unwrap_or_default();
    let code = text
        .split_once("<Code>")
        .and_then(|(_, rest)| rest.split_once("</Code>"))
        .map_or("", |(code, _)| code);
    StoreError::Refused {
        key: key.to_owned(),
        status,
        code: code
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(CODE_CHARACTERS_MAX)
            .collect(),
    }
}

/// How long a signature of a request is good; stores take clocks that are minutes apart.
const SIGNED_FOR: Duration = Duration::from_secs(15 * 60);
/// For one object, there or back.
const TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// More than any segment, and than what a store takes at once.
const OBJECT_BYTES_MAX: u64 = 5 << 30;
const ERROR_BYTES_MAX: u64 = 16 * 1024;
const CODE_CHARACTERS_MAX: usize = 64;
