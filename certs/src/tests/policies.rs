//! Certificate policies: demanded, mapped, inhibited.

use super::chains::{judge_alone, refusal};
use super::craft::{Draft, Made, seq, tlv};

const POLICIES: &[u8] = &[0x55, 0x1d, 32];
const MAPPINGS: &[u8] = &[0x55, 0x1d, 33];
const CONSTRAINTS: &[u8] = &[0x55, 0x1d, 36];
const INHIBIT_ANY: &[u8] = &[0x55, 0x1d, 54];

const ANY: &[u8] = &[0x55, 0x1d, 0x20, 0x00];
const ONE: &[u8] = &[0x2a, 1];
const TWO: &[u8] = &[0x2a, 2];

trait Policies {
    fn policies(self, policies: &[&[u8]]) -> Draft;
    fn demand(self, after: u8) -> Draft;
    fn mapping(self, from: &[u8], to: &[u8]) -> Draft;
    fn inhibit_mapping(self, after: u8) -> Draft;
    fn inhibit_any(self, after: u8) -> Draft;
}

impl Policies for Draft {
    fn policies(self, policies: &[&[u8]]) -> Draft {
        let list: Vec<Vec<u8>> = policies
            .iter()
            .map(|policy| seq(&[&tlv(6, policy)]))
            .collect();
        self.extension(POLICIES, false, &tlv(0x30, &list.concat()))
    }

    fn demand(self, after: u8) -> Draft {
        self.extension(CONSTRAINTS, true, &seq(&[&tlv(0x80, &[after])]))
    }

    fn mapping(self, from: &[u8], to: &[u8]) -> Draft {
        self.extension(MAPPINGS, true, &seq(&[&seq(&[&tlv(6, from), &tlv(6, to)])]))
    }

    fn inhibit_mapping(self, after: u8) -> Draft {
        self.extension(
            CONSTRAINTS,
            true,
            &seq(&[&tlv(0x80, &[0]), &tlv(0x81, &[after])]),
        )
    }

    fn inhibit_any(self, after: u8) -> Draft {
        self.extension(INHIBIT_ANY, true, &tlv(2, &[after]))
    }
}

/// Judges root ← first ← second ← leaf.
fn path(first: Draft, second: Draft, leaf: Draft) -> Result<(), (&'static str, usize)> {
    let root = Draft::authority("root").self_signed();
    let first = first.signed_by(&root);
    let second = second.signed_by(&first);
    let leaf = leaf.signed_by(&second);
    let result = judge_alone(&[&root], &[&leaf, &second, &first]);
    if result.is_ok() {
        Ok(())
    } else {
        Err(refusal(result))
    }
}

fn ca(name: &str) -> Draft {
    Draft::authority(name)
}

fn leaf() -> Draft {
    Draft::leaf("alice")
}

#[test]
fn without_a_demand_policies_do_not_matter() {
    assert_eq!(
        path(ca("1"), ca("2").policies(&[ONE]), leaf().policies(&[TWO])),
        Ok(())
    );
    assert_eq!(path(ca("1"), ca("2"), leaf()), Ok(()));
}

#[test]
fn a_demanded_policy_must_hold_throughout() {
    let one = |name| ca(name).policies(&[ONE]);
    assert_eq!(
        path(one("1").demand(0), one("2"), leaf().policies(&[ONE])),
        Ok(())
    );
    assert_eq!(
        path(one("1").demand(0), one("2"), leaf().policies(&[TWO])),
        Err(("policy", 0))
    );
    assert_eq!(
        path(one("1").demand(0), one("2"), leaf()),
        Err(("policy", 0))
    );
    assert_eq!(
        path(one("1").demand(0), ca("2"), leaf().policies(&[ONE])),
        Err(("policy", 1))
    );
    assert_eq!(
        path(ca("1").demand(0), one("2"), leaf().policies(&[ONE])),
        Err(("policy", 1))
    );
    // A demand two certificates further down comes too late for this path; one at the leaf itself is in time.
    assert_eq!(path(ca("1").demand(3), ca("2"), leaf()), Ok(()));
    assert_eq!(path(ca("1").demand(2), ca("2"), leaf()), Err(("policy", 0)));
    assert_eq!(path(ca("1"), ca("2"), leaf().demand(0)), Err(("policy", 0)));
}

#[test]
fn any_policy_counts_until_it_is_inhibited() {
    let any = |name| ca(name).policies(&[ANY]);
    assert_eq!(
        path(any("1").demand(0), any("2"), leaf().policies(&[ONE])),
        Ok(())
    );
    assert_eq!(
        path(any("1").demand(0), any("2"), leaf().policies(&[ANY])),
        Ok(())
    );
    assert_eq!(
        path(
            any("1").demand(0).inhibit_any(0),
            any("2"),
            leaf().policies(&[ONE])
        ),
        Err(("policy", 1))
    );
    assert_eq!(
        path(
            any("1").demand(0).inhibit_any(1),
            any("2"),
            leaf().policies(&[ANY])
        ),
        Err(("policy", 0))
    );
    assert_eq!(
        path(
            any("1").demand(0).inhibit_any(1),
            any("2"),
            leaf().policies(&[ONE])
        ),
        Ok(())
    );
}

#[test]
fn mapped_policies_continue_under_their_new_name() {
    let first = || ca("1").policies(&[ONE]).demand(0);
    let second = || ca("2").policies(&[ONE]).mapping(ONE, TWO);
    assert_eq!(path(first(), second(), leaf().policies(&[TWO])), Ok(()));
    assert_eq!(
        path(first(), second(), leaf().policies(&[ONE])),
        Err(("policy", 0))
    );
    let inhibited = ca("1").policies(&[ONE]).inhibit_mapping(0);
    assert_eq!(
        path(inhibited, second(), leaf().policies(&[TWO])),
        Err(("policy", 0))
    );
    let any = || ca("2").policies(&[ONE]).mapping(ANY, TWO);
    assert_eq!(
        path(first(), any(), leaf().policies(&[TWO])),
        Err(("policy", 1))
    );
}

#[test]
fn the_anchors_own_demands_are_heeded() {
    let root: Made = ca("root").demand(0).self_signed();
    let with = Draft::leaf("alice").policies(&[ONE]).signed_by(&root);
    let without = Draft::leaf("alice").signed_by(&root);
    assert!(judge_alone(&[&root], &[&with]).is_ok());
    assert_eq!(refusal(judge_alone(&[&root], &[&without])), ("policy", 0));
}

#[test]
fn a_policy_listed_twice_is_malformed() {
    assert_eq!(
        path(ca("1"), ca("2").policies(&[ONE, ONE]), leaf()),
        Err(("malformed", 1))
    );
}
