//! OpenSSL as another judge: what we accept it accepts, and where a rule is broken that it knows, both refuse.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::NOW;
use super::chains::judge_alone;
use super::craft::{
    BASIC_CONSTRAINTS, Draft, EXTENDED_KEY_USAGE, KEY_USAGE, Made, O, PRIVATE, UTF8, name, seq, tlv,
};

/// Something about a certificate that it should not have.
type Fault = (&'static str, fn(Draft) -> Draft);

const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 30];

/// What is wrong in every certificate, a CA's or not.
const ANYWHERE: &[Fault] = &[
    ("expired", |draft| draft.edit(|d| d.not_after = NOW - 1)),
    ("not yet valid", |draft| {
        draft.edit(|d| d.not_before = NOW + 1)
    }),
    ("an unknown critical extension", |draft| {
        draft.extension(PRIVATE, true, &[5, 0])
    }),
    ("for servers only", |draft| {
        let server_auth = seq(&[&tlv(6, &[0x2b, 6, 1, 5, 5, 7, 3, 1])]);
        draft.extension(EXTENDED_KEY_USAGE, false, &server_auth)
    }),
    ("another issuer's name", |draft| {
        draft.edit(|d| d.issuer = Some(name(&[(O, UTF8, b"stranger")])))
    }),
];

/// What is wrong in a CA's.
const AUTHORITIES: &[Fault] = &[
    ("no basic constraints", |draft| {
        draft.without(BASIC_CONSTRAINTS)
    }),
    ("no CA", |draft| {
        draft.extension(BASIC_CONSTRAINTS, true, &[0x30, 0])
    }),
    ("no path below it", |draft| {
        draft.extension(BASIC_CONSTRAINTS, true, &[0x30, 6, 1, 1, 0xff, 2, 1, 0])
    }),
    ("no keyCertSign", |draft| {
        draft.extension(KEY_USAGE, true, &[3, 2, 1, 0x02])
    }),
    ("constraints that exclude the leaf", |draft| {
        let excluded = seq(&[&tlv(0xa1, &seq(&[&tlv(0x82, b"gov.example")]))]);
        draft.extension(NAME_CONSTRAINTS, true, &excluded)
    }),
    ("constraints that permit others", |draft| {
        let permitted = seq(&[&tlv(0xa0, &seq(&[&tlv(0x82, b"tax.example")]))]);
        draft.extension(NAME_CONSTRAINTS, true, &permitted)
    }),
    ("a demand for a policy", |draft| {
        draft.extension(&[0x55, 0x1d, 36], true, &seq(&[&tlv(0x80, &[0])]))
    }),
];

/// root ← outer ← inner ← leaf, with one fault in the certificate at this depth.
fn chain(depth: usize, fault: fn(Draft) -> Draft) -> (Made, Vec<Made>) {
    let faulty = |draft: Draft, own: usize| if own == depth { fault(draft) } else { draft };
    let root = Draft::authority("root").self_signed();
    let outer = faulty(Draft::authority("outer"), 2).signed_by(&root);
    let inner = faulty(Draft::authority("inner"), 1).signed_by(&outer);
    let leaf = Draft::leaf("alice").names(&[tlv(0x82, b"alice.gov.example")]);
    let leaf = faulty(leaf, 0).signed_by(&inner);
    (root, vec![leaf, inner, outer])
}

#[test]
fn openssl_agrees_about_every_fault_at_every_place() {
    let Some(openssl) = Openssl::find() else {
        return;
    };
    let (root, sound) = chain(0, |draft| draft);
    openssl.assert_agrees(&root, &sound, true, "a sound chain");
    let mut asked = 1;
    for depth in 0..3 {
        let own = if depth == 0 { &[] } else { AUTHORITIES };
        for (what, fault) in ANYWHERE.iter().chain(own) {
            let (root, chain) = chain(depth, *fault);
            // Whose path length is 0 may still sign the leaf.
            let stands = *what == "no path below it" && depth == 1;
            openssl.assert_agrees(&root, &chain, stands, &format!("{what} at {depth}"));
            asked += 1;
        }
    }
    assert_eq!(asked, 1 + 3 * ANYWHERE.len() + 2 * AUTHORITIES.len());
}

struct Openssl {
    folder: PathBuf,
}

impl Openssl {
    /// None where OpenSSL is not installed, which only a developer's machine may be.
    fn find() -> Option<Openssl> {
        let known = Command::new("openssl").arg("version").output();
        if let Err(why) = known {
            assert!(std::env::var_os("CI").is_none(), "openssl: {why}");
            return None;
        }
        let name = format!("hangu-openssl-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Some(Openssl { folder })
    }

    #[track_caller]
    fn assert_agrees(&self, root: &Made, chain: &[Made], stands: bool, what: &str) {
        let presented: Vec<&Made> = chain.iter().collect();
        let ours = judge_alone(&[root], &presented);
        assert_eq!(ours.is_ok(), stands, "{what}: {:?}", ours.err());
        let file = |name: &str, certificates: &[Made]| {
            let path = self.folder.join(name);
            let pem: String = certificates.iter().map(Made::pem).collect();
            fs::write(&path, pem).unwrap();
            path
        };
        let (leaf, above) = chain.split_at(1);
        let verify = Command::new("openssl")
            .args(["verify", "-x509_strict", "-policy_check"])
            .args(["-purpose", "sslclient", "-attime", &NOW.to_string()])
            .args(["-no-CAfile", "-no-CApath", "-no-CAstore"])
            .arg("-trusted")
            .arg(file("root.pem", std::slice::from_ref(root)))
            .arg("-untrusted")
            .arg(file("above.pem", above))
            .arg(file("leaf.pem", leaf))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&verify.stderr).into_owned();
        assert_eq!(verify.status.success(), stands, "{what}: {said}");
        assert!(
            stands || said.contains("verification failed"),
            "{what}: {said}"
        );
    }
}

impl Drop for Openssl {
    fn drop(&mut self) {
        let folder: &Path = &self.folder;
        drop(fs::remove_dir_all(folder));
    }
}
