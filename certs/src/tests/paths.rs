//! Which of several paths is found, how long it may be, and what looking for it may cost.

use super::NOW;
use super::chains::{judge, judge_alone, refusal};
use super::craft::{BASIC_CONSTRAINTS, Draft, Made, common_name, new_key};
use crate::path::{PATH_MAX, PRESENTED_MAX};

#[test]
fn path_lengths_are_counted_without_self_issued_certificates() {
    let limited = |length: u8| [0x30, 6, 1, 1, 0xff, 2, 1, length];
    let root = Draft::authority("root")
        .extension(BASIC_CONSTRAINTS, true, &limited(1))
        .self_signed();
    let one = Draft::authority("one").signed_by(&root);
    let two = Draft::authority("two").signed_by(&one);
    let leaf_of_one = Draft::leaf("alice").signed_by(&one);
    let leaf_of_two = Draft::leaf("alice").signed_by(&two);
    assert!(judge(&[&root], &[&leaf_of_one, &one]).is_ok());
    assert_eq!(
        refusal(judge(&[&root], &[&leaf_of_two, &two, &one])),
        ("path_length", 3)
    );

    // A CA's certificate for its own next key does not count. (webpki counts it, so this is not compared.)
    let strict = Draft::authority("one")
        .extension(BASIC_CONSTRAINTS, true, &limited(0))
        .signed_by(&root);
    let next_key = Draft::authority("one")
        .edit(|d| d.key = Some(new_key()))
        .signed_by(&strict);
    let leaf = Draft::leaf("alice").signed_by(&next_key);
    assert!(judge_alone(&[&root], &[&leaf, &next_key, &strict]).is_ok());
}

#[test]
fn chains_are_bounded() {
    let root = Draft::authority("ca 0").self_signed();
    let mut cas = vec![root.clone()];
    for number in 1..PATH_MAX {
        cas.push(Draft::authority(&format!("ca {number}")).signed_by(&cas[number - 1]));
    }
    let longest = Draft::leaf("alice").signed_by(&cas[PATH_MAX - 2]);
    let presented =
        |leaf, count: usize| [vec![leaf], cas[1..=count].iter().rev().collect()].concat();
    assert_eq!(
        judge(&[&root], &presented(&longest, PATH_MAX - 2))
            .unwrap()
            .certificates
            .len(),
        PATH_MAX
    );
    let longer = Draft::leaf("alice").signed_by(&cas[PATH_MAX - 1]);
    assert_eq!(
        refusal(judge(&[&root], &presented(&longer, PATH_MAX - 1))).0,
        "too_long"
    );
    let many = vec![&longest; PRESENTED_MAX + 1];
    assert_eq!(refusal(judge(&[&root], &many)).0, "too_long");
    // Twelve CAs of one name, all signed by one another's key, cost no more than the bound.
    let key = new_key();
    let maze: Vec<Made> = (0..12)
        .map(|number| {
            let draft = Draft::authority("maze")
                .edit(|d| (d.serial, d.issuer) = (vec![number + 1], Some(common_name("maze"))));
            draft.signed_by(&Made {
                key: key.clone(),
                ..root.clone()
            })
        })
        .collect();
    let lost = Draft::leaf("alice")
        .edit(|d| d.issuer = Some(common_name("maze")))
        .signed_by(&Made {
            key,
            ..root.clone()
        });
    let path: Vec<&Made> = std::iter::once(&lost).chain(&maze).collect();
    assert!(matches!(
        refusal(judge(&[&root], &path)).0,
        "bad_signature" | "too_complex" | "unknown_issuer"
    ));
}

#[test]
fn of_two_paths_the_one_that_stands_is_found() {
    let root = Draft::authority("root").self_signed();
    let key = new_key();
    let fresh = Draft::authority("middle")
        .edit(|d| d.key = Some(key.clone()))
        .signed_by(&root);
    let stale = Draft::authority("middle")
        .edit(|d| (d.key, d.not_after) = (Some(key.clone()), NOW - 1))
        .signed_by(&root);
    let leaf = Draft::leaf("alice").signed_by(&fresh);
    assert!(judge(&[&root], &[&leaf, &stale, &fresh]).is_ok());
    assert_eq!(refusal(judge(&[&root], &[&leaf, &stale])), ("expired", 1));
    // Two roots of one name, as while a root is being replaced.
    let new_root = Draft::authority("root").self_signed();
    let renewed = Draft::leaf("alice").signed_by(&new_root);
    assert!(judge(&[&root, &new_root], &[&renewed]).is_ok());
}
