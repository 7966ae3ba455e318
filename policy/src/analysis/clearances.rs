//! Who is cleared for what, and when: relations that the matcher does not ask, and the data layer does.

use super::diff::{ClearanceDelta, Diff, Direction};
use super::reach::Sheet;
use crate::engine::expr::Expr;
use crate::engine::roles::{NO_DOMAIN, Roles};
use crate::engine::spans::Spans;
use crate::policy::RelationTable;
use crate::rules::symbols::{Symbol, Symbols};
use std::collections::{BTreeMap, BTreeSet};

/// What is gained and lost in relations without domains that the matcher does not ask.
pub(crate) fn compare(old: Sheet<'_>, new: Sheet<'_>, diff: &mut Diff) {
    let before = cleared(old, &mut diff.inexact);
    let after = cleared(new, &mut diff.inexact);
    let pairs: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let never = Spans::default();
    for pair in pairs {
        let (was, is) = (before.get(pair), after.get(pair));
        let (was, is) = (was.unwrap_or(&never), is.unwrap_or(&never));
        for (direction, spans) in [
            (Direction::Gains, is.without(was)),
            (Direction::Loses, was.without(is)),
        ] {
            let one = |(after_unix_ms, before_unix_ms)| ClearanceDelta {
                name: pair.0.to_owned(),
                label: pair.1.to_owned(),
                direction,
                after_unix_ms,
                before_unix_ms,
            };
            diff.clearances.extend(spans.bounds().map(one));
        }
    }
}

/// Name and label, and when the one has the other.
type Cleared<'p> = BTreeMap<(&'p str, &'p str), Spans>;

fn cleared<'p>(sheet: Sheet<'p>, inexact: &mut BTreeSet<String>) -> Cleared<'p> {
    let policy = sheet.policy;
    let asked = asked(sheet);
    let mut cleared = Cleared::new();
    let relations = policy.relations.iter().zip(&policy.roles).enumerate();
    let relations = relations.filter(|(number, _)| !asked.contains(number));
    for (_, (table, roles)) in relations.filter(|(_, (table, _))| !table.relation.in_domains) {
        for name in names(table) {
            let Some(held) = held(roles, name, &policy.symbols) else {
                inexact.insert(format!(
                    "`{}` reaches more in `{}` than a request follows",
                    policy.symbols.text(name),
                    table.relation.name
                ));
                continue;
            };
            for (label, spans) in held {
                let pair = (policy.symbols.text(name), policy.symbols.text(label));
                cleared.entry(pair).or_default().add(&spans);
            }
        }
    }
    cleared
}

/// The relations that the matcher asks, by number.
pub(crate) fn asked(sheet: Sheet<'_>) -> BTreeSet<usize> {
    let mut asked = BTreeSet::new();
    sheet.section.context.matcher.each(&mut |expr| {
        if let Expr::Role { relation, .. } = expr {
            asked.insert(*relation);
        }
    });
    asked
}

fn names(table: &RelationTable) -> BTreeSet<Symbol> {
    let rows = 0..table.rows.len();
    rows.filter_map(|row| table.rows.field(row, 0)).collect()
}

/// What a name has and when; `None` where it cannot be told.
fn held(roles: &Roles, name: Symbol, symbols: &Symbols) -> Option<BTreeMap<Symbol, Spans>> {
    if let Some(windows) = roles.windows() {
        return windows.held(name, NO_DOMAIN);
    }
    let held = roles.held(name, NO_DOMAIN, symbols).iter();
    Some(held.map(|label| (*label, Spans::always())).collect())
}
