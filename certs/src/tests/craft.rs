//! Certificates and lists written byte by byte, so that they can be wrong in every way.

use std::rc::Rc;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData, SigningKey};
use time::OffsetDateTime;

use super::{DAY, NOW};
use crate::identity::sha256;
use crate::trust::TrustBundle;

pub(crate) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
pub(crate) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
pub(crate) const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
pub(crate) const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 17];
pub(crate) const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 14];
pub(crate) const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 35];
pub(crate) const PRIVATE: &[u8] = &[0x2a, 0x03, 0x04];

pub(crate) const CN: &[u8] = &[0x55, 0x04, 0x03];
pub(crate) const O: &[u8] = &[0x55, 0x04, 0x0a];
pub(crate) const OU: &[u8] = &[0x55, 0x04, 0x0b];

pub(crate) const UTF8: u8 = 0x0c;

/// The AlgorithmIdentifier of ECDSA with SHA-256.
pub(crate) const ECDSA_SHA256: &[u8] = &[
    0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02,
];
/// The AlgorithmIdentifier of ECDSA with SHA-1.
pub(crate) const ECDSA_SHA1: &[u8] = &[
    0x30, 0x09, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01,
];

pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len();
    match length {
        0..0x80 => out.push(length as u8),
        0x80..0x100 => out.extend([0x81, length as u8]),
        _ => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend_from_slice(content);
    out
}

pub(crate) fn seq(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// A name of one attribute for each relative name.
pub(crate) fn name(attributes: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
    let sets: Vec<Vec<u8>> = attributes
        .iter()
        .map(|attribute| tlv(0x31, &pair(attribute)))
        .collect();
    tlv(0x30, &sets.concat())
}

pub(crate) fn pair((oid, tag, value): &(&[u8], u8, &[u8])) -> Vec<u8> {
    seq(&[&tlv(0x06, oid), &tlv(*tag, value)])
}

pub(crate) fn common_name(text: &str) -> Vec<u8> {
    name(&[(CN, UTF8, text.as_bytes())])
}

pub(crate) fn time(seconds: i64) -> Vec<u8> {
    let moment = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
    let (date, time) = (moment.date(), moment.time());
    let rest = format!(
        "{:02}{:02}{:02}{:02}{:02}Z",
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    );
    if (1950..2050).contains(&date.year()) {
        tlv(0x17, format!("{:02}{rest}", date.year() % 100).as_bytes())
    } else {
        tlv(0x18, format!("{:04}{rest}", date.year()).as_bytes())
    }
}

/// A certificate to be; every field is DER and can be replaced.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) version: Vec<u8>,
    pub(crate) serial: Vec<u8>,
    pub(crate) algorithm: Vec<u8>,
    pub(crate) outer_algorithm: Option<Vec<u8>>,
    pub(crate) issuer: Option<Vec<u8>>,
    pub(crate) subject: Vec<u8>,
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
    /// In place of the two dates.
    pub(crate) validity: Option<Vec<u8>>,
    pub(crate) key: Option<Rc<KeyPair>>,
    pub(crate) spki: Option<Vec<u8>>,
    pub(crate) extensions: Vec<(Vec<u8>, bool, Vec<u8>)>,
    /// Put behind the extensions.
    pub(crate) trailer: Vec<u8>,
}

/// A certificate with its key.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) der: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    pub(crate) key: Rc<KeyPair>,
}

impl Draft {
    fn new(subject: Vec<u8>) -> Draft {
        Draft {
            version: tlv(0xa0, &[2, 1, 2]),
            serial: vec![0x2a],
            algorithm: ECDSA_SHA256.to_vec(),
            outer_algorithm: None,
            issuer: None,
            subject,
            not_before: NOW - 10 * DAY,
            not_after: NOW + 10 * DAY,
            validity: None,
            key: None,
            spki: None,
            extensions: Vec::new(),
            trailer: Vec::new(),
        }
    }

    /// A CA, root or intermediate.
    pub(crate) fn authority(common: &str) -> Draft {
        Draft::new(common_name(common))
            .extension(BASIC_CONSTRAINTS, true, &[0x30, 3, 1, 1, 0xff])
            .extension(KEY_USAGE, true, &[3, 2, 1, 0x06])
    }

    /// A client.
    pub(crate) fn leaf(common: &str) -> Draft {
        Draft::new(common_name(common))
            .extension(KEY_USAGE, true, &[3, 2, 7, 0x80])
            .extension(
                EXTENDED_KEY_USAGE,
                false,
                &seq(&[&tlv(6, &[0x2b, 6, 1, 5, 5, 7, 3, 2])]),
            )
    }

    /// Sets or replaces an extension.
    pub(crate) fn extension(mut self, oid: &[u8], critical: bool, value: &[u8]) -> Draft {
        self = self.without(oid);
        self.extensions
            .push((oid.to_vec(), critical, value.to_vec()));
        self
    }

    pub(crate) fn without(mut self, oid: &[u8]) -> Draft {
        self.extensions.retain(|(known, _, _)| known != oid);
        self
    }

    pub(crate) fn names(self, names: &[Vec<u8>]) -> Draft {
        self.extension(ALTERNATIVE_NAMES, false, &tlv(0x30, &names.concat()))
    }

    pub(crate) fn edit(mut self, edit: impl FnOnce(&mut Draft)) -> Draft {
        edit(&mut self);
        self
    }

    pub(crate) fn self_signed(self) -> Made {
        let key = self.key.clone().unwrap_or_else(new_key);
        let subject = self.subject.clone();
        self.edit(|draft| draft.key = Some(Rc::clone(&key)))
            .signed_with(&key, &subject)
    }

    pub(crate) fn signed_by(self, issuer: &Made) -> Made {
        self.signed_with(&issuer.key, &issuer.subject)
    }

    fn signed_with(mut self, signer: &KeyPair, issuer: &[u8]) -> Made {
        let key = self.key.take().unwrap_or_else(new_key);
        let spki = self
            .spki
            .take()
            .unwrap_or_else(|| key.subject_public_key_info());
        let has =
            |oid: &[u8], draft: &Draft| draft.extensions.iter().any(|(known, _, _)| known == oid);
        if !has(SUBJECT_KEY_ID, &self) {
            self = self.extension(SUBJECT_KEY_ID, false, &tlv(4, &key_id(&spki)));
        }
        if !has(AUTHORITY_KEY_ID, &self) {
            let id = key_id(&signer.subject_public_key_info());
            self = self.extension(AUTHORITY_KEY_ID, false, &seq(&[&tlv(0x80, &id)]));
        }
        let extensions: Vec<Vec<u8>> = self.extensions.iter().map(encode_extension).collect();
        let dates = [time(self.not_before), time(self.not_after)].concat();
        let tbs = seq(&[
            &self.version,
            &tlv(2, &self.serial),
            &self.algorithm,
            self.issuer.as_deref().unwrap_or(issuer),
            &seq(&[self.validity.as_ref().unwrap_or(&dates)]),
            &self.subject,
            &spki,
            &tlv(0xa3, &tlv(0x30, &extensions.concat())),
            &self.trailer,
        ]);
        let algorithm = self.outer_algorithm.as_ref().unwrap_or(&self.algorithm);
        let der = seq(&[&tbs, algorithm, &signature(signer, &tbs)]);
        Made {
            der,
            subject: self.subject,
            key,
        }
    }
}

pub(crate) fn encode_extension((oid, critical, value): &(Vec<u8>, bool, Vec<u8>)) -> Vec<u8> {
    let flag: &[u8] = if *critical { &[1, 1, 0xff] } else { &[] };
    seq(&[&tlv(6, oid), flag, &tlv(4, value)])
}

fn signature(signer: &KeyPair, tbs: &[u8]) -> Vec<u8> {
    tlv(3, &[&[0], signer.sign(tbs).unwrap().as_slice()].concat())
}

pub(crate) fn new_key() -> Rc<KeyPair> {
    Rc::new(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap())
}

fn key_id(spki: &[u8]) -> Vec<u8> {
    sha256(spki)[..20].to_vec()
}

impl Made {
    pub(crate) fn pem(&self) -> String {
        crate::pem::encode("CERTIFICATE", &self.der)
    }
}

/// A bundle of anchors.
pub(crate) fn bundle(anchors: &[&Made]) -> TrustBundle {
    let pem: String = anchors.iter().map(|anchor| anchor.pem()).collect();
    TrustBundle::from_pem("clients", pem.as_bytes(), NOW).unwrap()
}

/// A revocation list to be.
#[derive(Clone)]
pub(crate) struct ListDraft {
    pub(crate) version: Vec<u8>,
    pub(crate) algorithm: Vec<u8>,
    pub(crate) this_update: i64,
    pub(crate) next_update: Option<i64>,
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) extensions: Vec<(Vec<u8>, bool, Vec<u8>)>,
}

impl ListDraft {
    pub(crate) fn of(serials: &[u8]) -> ListDraft {
        let entry = |serial: &u8| seq(&[&tlv(2, &[*serial]), &time(NOW - DAY)]);
        ListDraft {
            version: vec![2, 1, 1],
            algorithm: ECDSA_SHA256.to_vec(),
            this_update: NOW - DAY,
            next_update: Some(NOW + DAY),
            entries: serials.iter().map(entry).collect(),
            extensions: vec![(vec![0x55, 0x1d, 20], false, vec![2, 1, 1])],
        }
    }

    pub(crate) fn edit(mut self, edit: impl FnOnce(&mut ListDraft)) -> ListDraft {
        edit(&mut self);
        self
    }

    pub(crate) fn extension(self, kind: u8, critical: bool, value: &[u8]) -> ListDraft {
        let oid = vec![0x55, 0x1d, kind];
        self.edit(|list| {
            list.extensions.retain(|(known, _, _)| *known != oid);
            list.extensions.push((oid, critical, value.to_vec()));
        })
    }

    pub(crate) fn signed_by(self, issuer: &Made) -> Vec<u8> {
        let extensions: Vec<Vec<u8>> = self.extensions.iter().map(encode_extension).collect();
        let next_update = self.next_update.map(time).unwrap_or_default();
        let entries = if self.entries.is_empty() {
            Vec::new()
        } else {
            tlv(0x30, &self.entries.concat())
        };
        let extensions = if extensions.is_empty() {
            Vec::new()
        } else {
            tlv(0xa0, &tlv(0x30, &extensions.concat()))
        };
        let tbs = seq(&[
            &self.version,
            &self.algorithm,
            &issuer.subject,
            &time(self.this_update),
            &next_update,
            &entries,
            &extensions,
        ]);
        seq(&[&tbs, &self.algorithm, &signature(&issuer.key, &tbs)])
    }
}
