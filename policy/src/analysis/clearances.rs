//! Who is cleared for what: relations that the matcher does not ask, and the data layer does.

use super::diff::Direction;
use super::reach::Sheet;
use crate::engine::expr::Expr;
use crate::engine::roles::NO_DOMAIN;
use std::collections::BTreeSet;

/// What is gained and lost in relations without domains that the matcher does not ask.
pub(crate) fn compare(
    old: Sheet<'_>,
    new: Sheet<'_>,
    found: &mut Vec<(String, String, Direction)>,
) {
    let (before, after) = (cleared(old), cleared(new));
    let one = |pair: &(String, String), direction| (pair.0.clone(), pair.1.clone(), direction);
    found.extend(
        after
            .difference(&before)
            .map(|pair| one(pair, Direction::Gains)),
    );
    found.extend(
        before
            .difference(&after)
            .map(|pair| one(pair, Direction::Loses)),
    );
    found.sort();
}

fn cleared(sheet: Sheet<'_>) -> BTreeSet<(String, String)> {
    let policy = sheet.policy;
    let mut asked = BTreeSet::new();
    sheet.section.context.matcher.each(&mut |expr| {
        if let Expr::Role { relation, .. } = expr {
            asked.insert(*relation);
        }
    });
    let mut pairs = BTreeSet::new();
    for (number, (table, roles)) in policy.relations.iter().zip(&policy.roles).enumerate() {
        if asked.contains(&number) || table.relation.in_domains {
            continue;
        }
        for row in 0..table.rows.len() {
            let Some(name) = table.rows.field(row, 0) else {
                continue;
            };
            let held = roles.held(name, NO_DOMAIN, &policy.symbols).iter();
            pairs.extend(held.map(|label| {
                (
                    policy.symbols.text(name).to_owned(),
                    policy.symbols.text(*label).to_owned(),
                )
            }));
        }
    }
    pairs
}
