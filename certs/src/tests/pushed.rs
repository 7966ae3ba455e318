//! Pushed revocations: whom they hit, and when.

use super::craft::{CN, Draft, O, UTF8, name};
use super::{DAY, NOW};
use crate::identity::Identity;
use crate::pushed::{Names, PushError, PushedRevocation, PushedRevocations, Target};

fn alice() -> Identity {
    let root = Draft::authority("root")
        .edit(|d| d.serial = vec![0x01])
        .self_signed();
    let middle = Draft::authority("middle")
        .edit(|d| d.serial = vec![0x11])
        .signed_by(&root);
    let subject = name(&[(O, UTF8, b"Tax Office"), (CN, UTF8, b"alice")]);
    let leaf = Draft::leaf("x")
        .edit(|d| (d.subject, d.serial) = (subject, vec![0x22]))
        .signed_by(&middle);
    Identity::from_chain(&[leaf.der.into(), middle.der.into(), root.der.into()]).unwrap()
}

fn named(subject: &str) -> Names<'_> {
    Names {
        subject: Some(subject),
        organisation: Some("Customs"),
    }
}

fn revocation(target: &str) -> PushedRevocation {
    PushedRevocation {
        target: target.parse().unwrap(),
        by: "soc".to_owned(),
        reason: "stolen laptop".to_owned(),
        at: NOW,
        until: None,
    }
}

fn set(targets: &[&str]) -> PushedRevocations {
    let mut set = PushedRevocations::default();
    targets
        .iter()
        .for_each(|target| set.push(revocation(target)).unwrap());
    set
}

#[test]
fn each_kind_of_target_hits_whom_it_names() {
    let alice = alice();
    let fingerprint = crate::name::hex(&alice.fingerprint);
    let key = crate::name::hex(&alice.key_fingerprint);
    let [middle, root] = alice.authorities[..] else {
        panic!("{:?}", alice.authorities);
    };
    let by =
        |serial: &str, issuer: [u8; 32]| format!("serial:{serial}@{}", crate::name::hex(&issuer));
    let (leaf_by_middle, leaf_by_root) = (by("22", middle.key), by("22", root.key));
    let (middle_by_root, other_by_middle) = (by("11", root.key), by("23", middle.key));
    let (middle, root_key) = (
        crate::name::hex(&middle.certificate),
        crate::name::hex(&root.key),
    );
    for (target, hit) in [
        (leaf_by_middle, true),
        (leaf_by_root, false),
        (middle_by_root, true),
        (other_by_middle, false),
        ("serial:22".to_owned(), true),
        ("serial:11".to_owned(), true),
        ("serial:01".to_owned(), false),
        (format!("certificate:{fingerprint}"), true),
        (format!("certificate:{key}"), false),
        (format!("key:{key}"), true),
        ("subject:alice@tax".to_owned(), true),
        ("subject:alice".to_owned(), false),
        ("organisation:Tax Office".to_owned(), true),
        ("organisation:Tax".to_owned(), false),
        ("organisation:Customs".to_owned(), true),
        (format!("certificate:{middle}"), true),
        (format!("key:{root_key}"), true),
        (format!("key:{middle}"), false),
    ] {
        let set = set(&[&target]);
        assert_eq!(
            set.check(Some(&alice), named("alice@tax"), NOW).is_err(),
            hit,
            "{target}"
        );
        assert_eq!(set.all()[0].target.to_string(), target);
    }
    assert!(
        PushedRevocations::default()
            .check(Some(&alice), named("alice@tax"), NOW)
            .is_ok()
    );
}

#[test]
fn a_revocation_lasts_until_its_end_or_until_it_is_lifted() {
    let alice = alice();
    let mut set = set(&["serial:33", "organisation:Tax Office"]);
    set.push(PushedRevocation {
        until: Some(NOW + DAY),
        ..revocation("serial:22")
    })
    .unwrap();
    assert_eq!(set.len(), 3);
    let organisation: Target = "organisation:Tax Office".parse().unwrap();
    assert_eq!(
        set.lift(&organisation).map(|lifted| lifted.target),
        Some(organisation)
    );
    assert!(
        set.check(Some(&alice), named("alice"), NOW - DAY).is_err(),
        "a clock that went back does not lift it"
    );
    assert!(
        set.check(Some(&alice), named("alice"), NOW + DAY - 1)
            .is_err()
    );
    assert!(set.check(Some(&alice), named("alice"), NOW + DAY).is_ok());
    set.forget_past(NOW + DAY);
    assert_eq!(
        set.all()
            .iter()
            .map(|kept| kept.target.to_string())
            .collect::<Vec<_>>(),
        ["serial:33"]
    );
}

#[test]
fn what_cannot_be_told_apart_or_explained_is_refused() {
    let mut set = PushedRevocations::default();
    for (edit, why) in [
        (
            PushedRevocation {
                by: String::new(),
                ..revocation("serial:22")
            },
            PushError::Text,
        ),
        (
            PushedRevocation {
                reason: "a\nb".to_owned(),
                ..revocation("serial:22")
            },
            PushError::Text,
        ),
        (
            PushedRevocation {
                target: Target::Subject("a\0".to_owned()),
                ..revocation("serial:22")
            },
            PushError::Text,
        ),
        (
            PushedRevocation {
                until: Some(NOW),
                ..revocation("serial:22")
            },
            PushError::Until,
        ),
    ] {
        assert_eq!(set.push(edit), Err(why));
    }
    assert!(set.is_empty());
    for text in [
        "",
        "22",
        "serial:",
        "serial:xyz",
        "serial:0",
        "certificate:22",
        "key:",
        "subject:",
        "person:alice",
    ] {
        assert!(text.parse::<Target>().is_err(), "{text}");
    }
}
