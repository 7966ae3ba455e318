//! Keyed hashes in place of identifiers, for logs that must not say who somebody is.
//!
//! The same person has the same pseudonym in every record, so a log can still be searched and counted; who holds the key can
//! find the records of a person, and nobody can go back from a pseudonym to a name: without the key not even by trying all
//! names, which a plain hash of a name or an address would allow within minutes.

use std::fmt::Write;

use ring::hmac::{Context, HMAC_SHA256, Key};
use thiserror::Error;

use crate::base64;
use crate::record::{Connection, Exchange};

/// Makes pseudonyms with one key. Its `Debug` does not show the key.
#[derive(Clone, Debug)]
pub struct Pseudonyms {
    key: Key,
    hidden: Hidden,
}

/// Which identifiers are replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hidden {
    /// The subject.
    pub subject: Replace,
    /// The client's address; its port is dropped, or one client would have many pseudonyms.
    pub client: Replace,
    /// Fingerprint and serial number of the certificate.
    pub certificate: Replace,
    /// The path: its keyed hash stands in `path_hash`.
    pub path: Replace,
}

/// Whether an identifier is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replace {
    /// It stands in the log as it is.
    #[default]
    No,
    /// Its pseudonym stands there.
    Yes,
}

/// A file holds no key for pseudonyms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "expected one line, `hangu-pseudonyms-1` and 32 bytes in base64; `hangu audit key --pseudonyms` makes one"
)]
pub struct NoPseudonymKey;

impl Pseudonyms {
    /// The secret is 32 random bytes that live as long as pseudonyms shall be comparable.
    #[must_use]
    pub fn new(secret: &[u8; 32], hidden: Hidden) -> Self {
        Self {
            key: Key::new(HMAC_SHA256, secret),
            hidden,
        }
    }

    /// Reads what [`secret_text`](Self::secret_text) wrote.
    ///
    /// # Errors
    /// When it is not of that form.
    pub fn parse(text: &str, hidden: Hidden) -> Result<Self, NoPseudonymKey> {
        let secret = text.trim_end().strip_prefix(KEY_FORM);
        let secret = secret.and_then(|text| base64::decode(text.strip_prefix(' ')?));
        let secret = secret.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        secret
            .map(|secret| Self::new(&secret, hidden))
            .ok_or(NoPseudonymKey)
    }

    /// A key as it stands in a file.
    #[must_use]
    pub fn secret_text(secret: &[u8; 32]) -> String {
        format!("{KEY_FORM} {}", base64::encode(secret))
    }

    /// Names the key without giving it away: 8 hexadecimal digits.
    #[must_use]
    pub fn key_id(&self) -> String {
        self.tag("key id", "").chars().take(8).collect()
    }

    /// The pseudonym of `value` in `field`: `p:` and 128 bits of HMAC-SHA-256 in hexadecimal. Two fields with the same value
    /// have different ones. Empty stays empty.
    #[must_use]
    pub fn of(&self, field: &str, value: &str) -> String {
        if value.is_empty() {
            return String::new();
        }
        format!("{PREFIX}{}", self.tag(field, value))
    }

    /// The pseudonym of a client, whose port, if it has one here, does not count.
    #[must_use]
    pub fn client(&self, client: &str) -> String {
        let (address, _port) = crate::export::address_and_port(client);
        self.of("client", address)
    }

    fn tag(&self, field: &str, value: &str) -> String {
        let mut context = Context::with_key(&self.key);
        // A field's name has no zero byte, so no two pairs give the same message.
        for part in [field, "\0", value] {
            context.update(part.as_bytes());
        }
        let mut digits = String::with_capacity(32);
        for byte in context.sign().as_ref().iter().take(16) {
            // Writing into a string cannot fail.
            let _written = write!(digits, "{byte:02x}");
        }
        digits
    }

    /// The connection as it may stand in the log. Once a connection, not once a request.
    #[must_use]
    pub fn connection(&self, mut connection: Connection) -> Connection {
        if self.hidden.subject == Replace::Yes {
            connection.subject = self.of("subject", &connection.subject);
        }
        if self.hidden.client == Replace::Yes {
            connection.client = self.client(&connection.client);
        }
        if self.hidden.certificate == Replace::Yes {
            connection.certificate = self.of("certificate", &connection.certificate);
            connection.serial = self.of("serial", &connection.serial);
        }
        connection
    }

    /// Puts a path into a record as it may stand there: itself, or its hash.
    pub fn put_path(&self, path: &str, exchange: &mut Exchange) {
        if self.hidden.path == Replace::Yes {
            exchange.path.clear();
            exchange.path_hash = self.of("path", path);
        } else {
            path.clone_into(&mut exchange.path);
        }
    }

    /// What an administrator acted on, `serial:3f`, with its name replaced as in the records of connections.
    #[must_use]
    pub fn object(&self, object: &str) -> String {
        let named = object.split_once(':').filter(|(kind, _)| match *kind {
            "subject" => self.hidden.subject == Replace::Yes,
            "serial" | "certificate" | "key" => self.hidden.certificate == Replace::Yes,
            _ => false,
        });
        match named {
            Some((kind, name)) => format!("{kind}:{}", self.of(kind, name)),
            None => object.to_owned(),
        }
    }

    /// Words for people in which whatever came out of a certificate stands between backticks: all from the first to the last one is
    /// replaced when names or certificates are, since a name may hold backticks too.
    #[must_use]
    pub fn detail(&self, detail: &str) -> String {
        let quoted = detail
            .split_once('`')
            .and_then(|(before, rest)| Some((before, rest.rsplit_once('`')?)));
        match quoted {
            Some((before, (name, after))) if self.hides_names() => {
                format!("{before}`{}`{after}", self.of("detail", name))
            }
            _ => detail.to_owned(),
        }
    }

    /// Whether names of people or their certificates are replaced.
    #[must_use]
    pub fn hides_names(&self) -> bool {
        self.hidden.subject == Replace::Yes || self.hidden.certificate == Replace::Yes
    }

    /// Whether a value of a record is a pseudonym.
    #[must_use]
    pub fn is_one(value: &str) -> bool {
        value.strip_prefix(PREFIX).is_some_and(|digits| {
            digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    }
}

const KEY_FORM: &str = "hangu-pseudonyms-1";
const PREFIX: &str = "p:";

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(client: &str) -> Connection {
        Connection {
            subject: "wang.li".into(),
            client: client.into(),
            certificate: "ab12".into(),
            serial: "3f".into(),
            zone: "office".into(),
            ..Connection::default()
        }
    }

    const ALL: Hidden = Hidden {
        subject: Replace::Yes,
        client: Replace::Yes,
        certificate: Replace::Yes,
        path: Replace::Yes,
    };

    #[test]
    fn the_same_person_has_the_same_pseudonym_and_only_under_the_same_key() {
        let (one, other) = (
            Pseudonyms::new(&[1; 32], ALL),
            Pseudonyms::new(&[2; 32], ALL),
        );
        assert_eq!(one.of("subject", "wang.li"), one.of("subject", "wang.li"));
        assert_eq!(one.of("subject", "wang.li").len(), 34);
        for different in [
            one.of("client", "wang.li"),
            one.of("subject", "wang.l"),
            other.of("subject", "wang.li"),
        ] {
            assert_ne!(one.of("subject", "wang.li"), different);
        }
        assert_eq!(one.of("subject", ""), "", "who has no name gets none");
        assert!(!format!("{one:?}").contains("1, 1"), "the key stays secret");
    }

    #[test]
    fn the_pseudonym_is_the_hmac_that_anybody_with_the_key_computes() {
        // printf 'subject\0wang.li' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0101…01
        assert_eq!(
            Pseudonyms::new(&[1; 32], ALL).of("subject", "wang.li"),
            "p:5e1cbd9c9e0652a568db6f2d6290bf4b"
        );
    }

    #[test]
    fn what_is_hidden_is_gone_and_the_rest_stays() {
        let pseudonyms = Pseudonyms::new(&[1; 32], ALL);
        let hidden = pseudonyms.connection(connection("10.1.2.3:4242"));
        let text = format!("{hidden:?}");
        assert!(
            ["wang", "10.1.2.3", "ab12", "3f\""]
                .iter()
                .all(|name| !text.contains(name)),
            "{text}"
        );
        assert_eq!(hidden.zone, "office");
        let later = pseudonyms.connection(connection("10.1.2.3:9"));
        assert_eq!(
            hidden.client, later.client,
            "another port is the same client"
        );
        let nothing = Pseudonyms::new(&[1; 32], Hidden::default());
        assert_eq!(nothing.connection(connection("x")), connection("x"));
    }

    #[test]
    fn paths_objects_and_details_are_replaced_where_their_kind_is() {
        let all = Pseudonyms::new(&[1; 32], ALL);
        let none = Pseudonyms::new(&[1; 32], Hidden::default());
        let mut exchange = Exchange::default();
        none.put_path("/residents/7", &mut exchange);
        assert_eq!(
            (&*exchange.path, &*exchange.path_hash),
            ("/residents/7", "")
        );
        all.put_path("/residents/7", &mut exchange);
        assert_eq!(exchange.path, "");
        assert_eq!(exchange.path_hash, all.of("path", "/residents/7"));

        let serial = format!("serial:{}", all.of("serial", "3f"));
        for (object, hidden) in [
            ("serial:3f", serial.as_str()),
            ("id:17", "id:17"),
            ("organisation:91", "organisation:91"),
            ("", ""),
        ] {
            assert_eq!(all.object(object), hidden);
            assert_eq!(none.object(object), object);
        }

        let name = all.of("detail", "CN=a`b,O=gov");
        let detail = "certificate 0 (`CN=a`b,O=gov`): not trusted";
        let hidden = format!("certificate 0 (`{name}`): not trusted");
        assert_eq!(
            all.detail(detail),
            hidden,
            "a name with a backtick leaks nothing"
        );
        assert_eq!(none.detail(detail), detail);
        for plain in ["", "a ` alone", "no name"] {
            assert_eq!(all.detail(plain), plain);
        }
    }

    #[test]
    fn a_key_is_read_as_it_was_written_and_named_without_being_told() {
        let text = Pseudonyms::secret_text(&[1; 32]);
        let read = Pseudonyms::parse(&format!("{text}\n"), ALL).unwrap();
        let made = Pseudonyms::new(&[1; 32], ALL);
        assert_eq!(read.of("subject", "x"), made.of("subject", "x"));
        assert_eq!(read.key_id(), made.key_id());
        assert_eq!(read.key_id().len(), 8);
        for wrong in [
            "",
            "hangu-pseudonyms-1",
            "hangu-pseudonyms-1 AQ==",
            "AQEB",
            "hangu-pseudonyms-2 x",
        ] {
            assert_eq!(
                Pseudonyms::parse(wrong, ALL).unwrap_err(),
                NoPseudonymKey,
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_pseudonym_is_known_by_its_form() {
        let made = Pseudonyms::new(&[1; 32], ALL).of("subject", "x");
        for (value, is_one) in [
            (made.as_str(), true),
            ("p:x", false),
            ("wang.li", false),
            ("", false),
        ] {
            assert_eq!(Pseudonyms::is_one(value), is_one, "{value}");
        }
    }
}
