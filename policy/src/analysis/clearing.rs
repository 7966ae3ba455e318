//! What would clear somebody: rows of the clearance relation, each tried before it is proposed.

use super::explain::Authored;
use super::tidy::quoted;
use crate::engine::roles::NO_DOMAIN;
use crate::policy::Policy;
use crate::problem::Source;

/// Rows that each alone would clear `subject` for `label` in `domain`, for itself first, then for a role that it holds there.
/// None where it is cleared, or the model has no relation for clearance.
pub fn clearing(
    authored: Authored<'_>,
    (subject, domain, label): (&str, &str, &str),
    time_unix_ms: Option<i64>,
) -> Vec<String> {
    let policy = authored.policy;
    let relation = policy.clearance_relation();
    let Some(relation) = relation.and_then(|number| policy.relations.get(number)) else {
        return Vec::new();
    };
    if label.is_empty() || policy.clears(subject, domain, label, time_unix_ms) {
        return Vec::new();
    }
    let window = if relation.relation.windowed {
        ", _, _"
    } else {
        ""
    };
    let name = &relation.relation.name;
    let row = |who: &str| format!("{name}, {}, {}{window}", quoted(who), quoted(label));
    std::iter::once(subject)
        .chain(roles(policy, subject, domain))
        .take(TRIED_MAX)
        .map(row)
        .filter(|row| {
            let text = format!("{}\n{row}\n", authored.rules.text);
            let changed = Source {
                name: authored.rules.name,
                text: &text,
            };
            let changed = Policy::compile_positional(authored.model, changed);
            changed.is_ok_and(|changed| changed.clears(subject, domain, label, time_unix_ms))
        })
        .collect()
}

/// The roles that a subject holds in a domain, those for a time left out.
fn roles<'p>(policy: &'p Policy, subject: &str, domain: &str) -> impl Iterator<Item = &'p str> {
    let found = || {
        let number = policy.membership_relation()?;
        let (table, roles) = (policy.relations.get(number)?, policy.roles.get(number)?);
        let within = if table.relation.in_domains {
            roles.domain(domain, policy.symbols.find(domain), &policy.symbols)?
        } else {
            NO_DOMAIN
        };
        Some(roles.held(policy.symbols.find(subject)?, within, &policy.symbols))
    };
    let held = found().unwrap_or_default().iter();
    held.map(|role| policy.symbols.text(*role))
}

/// Rows that are compiled and asked: each costs one load of the policy.
const TRIED_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RBAC_WITH_DOMAINS;

    #[test]
    fn rows_that_clear_are_proposed_for_the_subject_and_its_roles() {
        let model = Source {
            name: "model.conf",
            text: RBAC_WITH_DOMAINS,
        };
        let rules = Source {
            name: "policy.csv",
            text: "p, clerk, tax, /a, GET, allow\ng, alice, clerk, tax\ng2, clerk, internal\n",
        };
        let policy = Policy::compile(model, rules).unwrap();
        let authored = Authored {
            model,
            rules,
            policy: &policy,
        };
        let rows = |subject, domain, label| clearing(authored, (subject, domain, label), None);
        assert_eq!(
            rows("alice", "tax", "sensitive"),
            ["g2, alice, sensitive", "g2, clerk, sensitive"]
        );
        assert_eq!(rows("alice", "land", "sensitive"), ["g2, alice, sensitive"]);
        assert_eq!(rows("alice", "tax", "internal"), [""; 0]);
        assert_eq!(rows("alice", "tax", ""), [""; 0]);
    }
}
