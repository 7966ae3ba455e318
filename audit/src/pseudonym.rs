//! Keyed hashes in place of identifiers, for logs that must not say who somebody is.
//!
//! The same person has the same pseudonym in every record, so a log can still be searched and counted; who holds the key can
//! find the records of a person, and nobody can go back from a pseudonym to a name: without the key not even by trying all
//! names, which a plain hash of a name or an address would allow within minutes.

use std::fmt::Write;

use ring::hmac::{HMAC_SHA256, Key, sign};

use crate::record::Connection;

/// Makes pseudonyms with one key. Its `Debug` does not show the key.
#[derive(Debug)]
pub struct Pseudonyms {
    key: Key,
}

/// Which of a connection's identifiers are replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hidden {
    /// The subject.
    pub subject: Replace,
    /// The client's address; its port is dropped, or one client would have many pseudonyms.
    pub client: Replace,
    /// Fingerprint and serial number of the certificate.
    pub certificate: Replace,
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

impl Pseudonyms {
    /// The secret is 32 random bytes that live as long as pseudonyms shall be comparable.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self {
            key: Key::new(HMAC_SHA256, secret),
        }
    }

    /// The pseudonym of `value` in `field`: `p:` and 128 bits of HMAC-SHA-256 in hexadecimal. Two fields with the same value
    /// have different ones. Empty stays empty.
    #[must_use]
    pub fn of(&self, field: &str, value: &str) -> String {
        if value.is_empty() {
            return String::new();
        }
        // A field's name has no zero byte, so no two pairs give the same message.
        let tag = sign(
            &self.key,
            &[field.as_bytes(), b"\0", value.as_bytes()].concat(),
        );
        let mut pseudonym = String::from("p:");
        for byte in tag.as_ref().iter().take(16) {
            // Writing into a string cannot fail.
            let _written = write!(pseudonym, "{byte:02x}");
        }
        pseudonym
    }

    /// The connection as it may stand in the log. Once a connection, not once a request.
    #[must_use]
    pub fn connection(&self, mut connection: Connection, hidden: Hidden) -> Connection {
        if hidden.subject == Replace::Yes {
            connection.subject = self.of("subject", &connection.subject);
        }
        if hidden.client == Replace::Yes {
            let (address, _port) = crate::export::address_and_port(&connection.client);
            connection.client = self.of("client", address);
        }
        if hidden.certificate == Replace::Yes {
            connection.certificate = self.of("certificate", &connection.certificate);
            connection.serial = self.of("serial", &connection.serial);
        }
        connection
    }
}

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
    };

    #[test]
    fn the_same_person_has_the_same_pseudonym_and_only_under_the_same_key() {
        let (one, other) = (Pseudonyms::new(&[1; 32]), Pseudonyms::new(&[2; 32]));
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
            Pseudonyms::new(&[1; 32]).of("subject", "wang.li"),
            "p:5e1cbd9c9e0652a568db6f2d6290bf4b"
        );
    }

    #[test]
    fn what_is_hidden_is_gone_and_the_rest_stays() {
        let pseudonyms = Pseudonyms::new(&[1; 32]);
        let hidden = pseudonyms.connection(connection("10.1.2.3:4242"), ALL);
        let text = format!("{hidden:?}");
        assert!(
            ["wang", "10.1.2.3", "ab12", "3f\""]
                .iter()
                .all(|name| !text.contains(name)),
            "{text}"
        );
        assert_eq!(hidden.zone, "office");
        let later = pseudonyms.connection(connection("10.1.2.3:9"), ALL);
        assert_eq!(
            hidden.client, later.client,
            "another port is the same client"
        );
        assert_eq!(
            pseudonyms.connection(connection("x"), Hidden::default()),
            connection("x")
        );
    }
}
