//! Names in role rows that look like patterns.
//!
//! Casbin takes them as patterns once code has attached a matching function, and as plain texts before. A file cannot
//! say which, and as plain texts they are held by nobody: a denial behind one would be lost without a word.

use crate::conditions::{distinct, field_place};
use crate::engine::expr::Expr;
use crate::policy::RelationTable;
use crate::problem::{Problems, Source};
use crate::rules::symbols::Symbols;

/// Refuses names, roles and domains of the relation number `number` that are patterns, but for domains that the matcher
/// takes as such and what the matcher itself asks for in quotes.
pub(crate) fn check(
    (number, table): (usize, &RelationTable),
    matchers: &[&Expr],
    source: Source<'_>,
    symbols: &Symbols,
    problems: &mut Problems<'_>,
) {
    let relation = &table.relation;
    let asked = asked_in_quotes(number, matchers);
    let mut columns = vec![(0, "name"), (1, "role")];
    if relation.in_domains && !relation.domain_patterns {
        columns.push((2, "domain"));
    }
    for (column, kind) in columns {
        for (symbol, row) in distinct(&table.rows, column, symbols) {
            let text = symbols.text(symbol);
            if !is_pattern(text) || asked.iter().any(|asked| asked == text) {
                continue;
            }
            let what = format!(
                "{kind} `{text}` in `{}` looks like a pattern, and would be a plain text that is nobody's",
                relation.name
            );
            let fix = if column == 2 {
                "name the domain in full, or write `keyMatch(r.dom, p.dom)` in the matcher"
            } else {
                "name each in full in a row of its own, or write the pattern in the rules, where `keyMatch2` reads it"
            };
            let at = field_place(source, table.rows.line(row), column);
            problems.add(at, what, fix);
            if problems.is_full() {
                return;
            }
        }
    }
}

/// Whether a matching function of Casbin would read more than the text itself in it: a `*`, a segment `:x`, or `{x}`.
fn is_pattern(text: &str) -> bool {
    let braces = || {
        text.split_once('{')
            .is_some_and(|(_, rest)| rest.find('}').is_some_and(|end| end > 0))
    };
    let parameter = |segment: &str| segment.len() > 1 && segment.starts_with(':');
    text.contains('*') || braces() || text.split('/').any(parameter)
}

/// The texts that matchers ask the relation for in quotes: there they are plain on purpose.
fn asked_in_quotes(number: usize, matchers: &[&Expr]) -> Vec<String> {
    let mut asked = Vec::new();
    for matcher in matchers {
        matcher.each(&mut |expr| {
            if let Expr::Role {
                relation,
                who,
                role,
                domain,
            } = expr
                && *relation == number
            {
                let parts = [Some(who), Some(role), domain.as_ref()];
                let texts = parts
                    .into_iter()
                    .flatten()
                    .filter_map(|part| part.as_text());
                asked.extend(texts.map(str::to_owned));
            }
        });
    }
    asked
}
