//! Certificate policies (RFC 5280 section 6.1): whether a path keeps one policy that all its CAs stand for, where one of them
//! demands that.
//!
//! Of the standard's policy tree only the newest level is kept: the tree becomes empty exactly when that level does, and
//! nothing else of it is asked for here. The caller names no policies of its own (the "user-initial-policy-set" is anyPolicy).

use std::collections::{BTreeMap, BTreeSet};

use x509_parser::extensions::PolicyMappings;

use crate::certificate::Certificate;
use crate::chain_error::ChainReason;
use crate::der::{self, Malformed, Reader};

/// An OID's DER value.
pub(crate) type Policy<'a> = &'a [u8];

/// Checks a path, the leaf first and the anchor last. Gives the depth of the certificate at which it fails.
pub(crate) fn check(path: &[Certificate<'_>]) -> Result<(), (ChainReason, usize)> {
    let Some((anchor, below)) = path.split_last() else {
        return Ok(());
    };
    let mut state = State::new(below.len());
    // The standard processes nothing of the anchor but its name and key; the demands that it writes into its own certificate are
    // heeded all the same.
    state.limit(anchor);
    for (depth, certificate) in below.iter().enumerate().rev() {
        state
            .step(certificate, depth)
            .map_err(|reason| (reason, depth))?;
    }
    Ok(())
}

struct State<'a> {
    /// Valid policies with the policies that may continue each; `None` once there is none.
    level: Option<BTreeMap<Policy<'a>, BTreeSet<Policy<'a>>>>,
    /// Certificates until a valid policy is demanded; 0 is now.
    explicit: usize,
    /// Certificates until mapping is forbidden.
    mapping: usize,
    /// Certificates until anyPolicy no longer counts.
    any: usize,
}

impl<'a> State<'a> {
    fn new(certificates: usize) -> State<'a> {
        let never = certificates + 1;
        let level = BTreeMap::from([(ANY_POLICY, BTreeSet::from([ANY_POLICY]))]);
        State {
            level: Some(level),
            explicit: never,
            mapping: never,
            any: never,
        }
    }

    /// One certificate, from the top down; `depth` 0 is the leaf.
    fn step(&mut self, certificate: &'a Certificate<'_>, depth: usize) -> Result<(), ChainReason> {
        let is_leaf = depth == 0;
        match certificate.extensions.policies {
            Some(content) => {
                let policies = policies_of(content).map_err(ChainReason::Malformed)?;
                let any_counts = self.any > 0 || (!is_leaf && certificate.is_self_issued());
                self.descend(&policies, any_counts);
            }
            None => self.level = None,
        }
        if self.explicit == 0 {
            self.demand()?;
        }
        if is_leaf {
            let constraints = certificate.extensions.policy_constraints.as_ref();
            let demands_now = constraints
                .is_some_and(|constraints| constraints.require_explicit_policy == Some(0));
            if self.explicit <= 1 || demands_now {
                self.demand()?;
            }
            return Ok(());
        }
        if let Some(mappings) = &certificate.extensions.policy_mappings {
            self.map(mappings)?;
        }
        if !certificate.is_self_issued() {
            self.explicit = self.explicit.saturating_sub(1);
            self.mapping = self.mapping.saturating_sub(1);
            self.any = self.any.saturating_sub(1);
        }
        self.limit(certificate);
        Ok(())
    }

    fn demand(&self) -> Result<(), ChainReason> {
        if self.level.is_some() {
            Ok(())
        } else {
            Err(ChainReason::Policy(
                "one is demanded and none holds throughout",
            ))
        }
    }

    /// 6.1.3 (d): the policies of the next certificate that continue one of the last.
    fn descend(&mut self, policies: &BTreeSet<Policy<'a>>, any_counts: bool) {
        let Some(last) = self.level.take() else {
            return;
        };
        let continues = |policy: Policy<'a>| {
            last.contains_key(ANY_POLICY) || last.values().any(|expected| expected.contains(policy))
        };
        let mut next: BTreeMap<_, _> = policies
            .iter()
            .filter(|policy| **policy != ANY_POLICY && continues(policy))
            .map(|policy| (*policy, BTreeSet::from([*policy])))
            .collect();
        if policies.contains(ANY_POLICY) && any_counts {
            for policy in last.values().flatten() {
                next.entry(policy)
                    .or_insert_with(|| BTreeSet::from([*policy]));
            }
        }
        self.level = Some(next).filter(|next| !next.is_empty());
    }

    /// 6.1.4 (a) and (b): policies that the issuer declares equivalent to its own.
    fn map(&mut self, mappings: &'a PolicyMappings<'_>) -> Result<(), ChainReason> {
        let mappings = mappings_of(mappings).map_err(ChainReason::Malformed)?;
        let is_any = |policy: &Policy<'_>| *policy == ANY_POLICY;
        if mappings
            .iter()
            .any(|(issuer, subjects)| is_any(issuer) || subjects.iter().any(is_any))
        {
            return Err(ChainReason::Policy("anyPolicy is mapped"));
        }
        let Some(level) = &mut self.level else {
            return Ok(());
        };
        for (issuer, subjects) in mappings {
            if self.mapping == 0 {
                level.remove(issuer);
            } else if level.contains_key(issuer) || level.contains_key(ANY_POLICY) {
                level.insert(issuer, subjects);
            }
        }
        if level.is_empty() {
            self.level = None;
        }
        Ok(())
    }

    /// 6.1.4 (i) and (j): what a certificate demands of those below it.
    fn limit(&mut self, certificate: &Certificate<'_>) {
        let lower = |count: &mut usize, to: Option<u32>| {
            if let Some(to) = to {
                *count = (*count).min(to as usize);
            }
        };
        if let Some(constraints) = &certificate.extensions.policy_constraints {
            lower(&mut self.explicit, constraints.require_explicit_policy);
            lower(&mut self.mapping, constraints.inhibit_policy_mapping);
        }
        lower(&mut self.any, certificate.extensions.inhibit_any_policy);
    }
}

pub(crate) fn policies_of(content: &[u8]) -> Result<BTreeSet<Policy<'_>>, Malformed> {
    let mut policies = BTreeSet::new();
    let mut list = Reader::new(content);
    while !list.is_empty() {
        let mut information = Reader::new(list.expect(der::SEQUENCE)?);
        let policy = information.expect(der::OID)?;
        // Qualifiers are for people.
        let _qualifiers = information.optional(der::SEQUENCE)?;
        information.finish()?;
        if !policies.insert(policy) || policies.len() > POLICIES_MAX {
            return Err(Malformed("it has a policy twice, or more than 64"));
        }
    }
    Ok(policies)
}

fn mappings_of<'a>(
    list: &'a PolicyMappings<'_>,
) -> Result<BTreeMap<Policy<'a>, BTreeSet<Policy<'a>>>, Malformed> {
    if list.mappings.len() > POLICIES_MAX {
        return Err(Malformed("it has more than 64 policy mappings"));
    }
    let mut mappings: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for pair in &list.mappings {
        mappings
            .entry(pair.issuer_domain_policy.as_bytes())
            .or_default()
            .insert(pair.subject_domain_policy.as_bytes());
    }
    Ok(mappings)
}

/// 2.5.29.32.0
const ANY_POLICY: Policy<'static> = &[0x55, 0x1d, 0x20, 0x00];

/// Policies or mappings of one certificate. Real ones have fewer than ten.
const POLICIES_MAX: usize = 64;
