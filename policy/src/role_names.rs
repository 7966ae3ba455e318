//! Names in role rows that look like patterns.
//!
//! Casbin takes them as patterns once code has attached a matching function, and as plain texts before. A file cannot
//! say which, and as plain texts they are held by nobody: a denial behind one would be lost without a word.

use crate::bounds::{COMPILED_BYTES_MAX, COMPILED_MAX};
use crate::conditions::{distinct, field_place, named_by_rules};
use crate::engine::eval::Conditions;
use crate::engine::expr::Expr;
use crate::engine::pattern::{Matching, Patterns};
use crate::engine::role_patterns::is_plain;
use crate::engine::roles::Roles;
use crate::policy::RelationTable;
use crate::problem::{Place, Problems, Source};
use crate::rules::symbols::{Symbol, Symbols};
use crate::rules::table::Rows;
use std::collections::{BTreeMap, BTreeSet};

/// The relations of a policy and who asks for them.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a> {
    pub(crate) relations: &'a [RelationTable],
    pub(crate) matchers: &'a [(&'a Expr, &'a Rows)],
    pub(crate) conditions: &'a [Conditions],
    pub(crate) rules: Source<'a>,
}

impl Names<'_> {
    /// Resolves the roles of each relation.
    pub(crate) fn roles(
        self,
        symbols: &mut Symbols,
        patterns: &mut Patterns,
        problems: &mut Problems<'_>,
    ) -> Vec<Roles> {
        let exprs: Vec<_> = self.matchers.iter().map(|(matcher, _)| *matcher).collect();
        let mut all = Vec::new();
        for (number, table) in self.relations.iter().enumerate() {
            check((number, table), &exprs, self.rules, symbols, problems);
            let mut asked = BTreeSet::new();
            if let Some(matching) = table.relation.matching {
                let places = self.asked(number, symbols, problems);
                asked.extend(places.keys());
                self.compile((matching, table), places, symbols, patterns, problems);
                // Matching what has not been compiled says nothing.
                if !problems.is_empty() {
                    all.push(Roles::default());
                    continue;
                }
            }
            let named = named_by_rules(number, self.matchers, symbols);
            let named = (&named, &asked);
            let (relation, rows) = (&table.relation, &table.rows);
            let roles = Roles::resolve(relation, rows, named, patterns, symbols, problems);
            all.push(roles);
        }
        all
    }

    /// What matchers and conditions ask a relation for, each with where it stands first.
    fn asked(
        self,
        number: usize,
        symbols: &mut Symbols,
        problems: &mut Problems<'_>,
    ) -> BTreeMap<Symbol, Place> {
        let mut places = BTreeMap::new();
        let mut other = false;
        for ((matcher, rows), conditions) in self.matchers.iter().zip(self.conditions) {
            for expr in std::iter::once(*matcher).chain(conditions.values()) {
                expr.each(&mut |expr| {
                    let Expr::Role { relation, role, .. } = expr else {
                        return;
                    };
                    if *relation != number {
                        return;
                    }
                    if let Expr::Rule { column } = **role {
                        for (symbol, row) in distinct(rows, column, symbols) {
                            places
                                .entry(symbol)
                                .or_insert_with(|| field_place(self.rules, rows.line(row), column));
                        }
                    } else if let Some(text) = role.as_text() {
                        let symbol = symbols.intern(text);
                        let start = Place { line: 1, column: 1 };
                        symbol.map(|symbol| places.entry(symbol).or_insert(start));
                    } else {
                        other = true;
                    }
                });
            }
        }
        if other {
            problems.add(
                Place { line: 1, column: 1 },
                "the model matches names of roles and asks for a role that comes with the request",
                "ask for a field of the row or a text in quotes, as in `g(r.sub, p.sub)`",
            );
        }
        places
    }

    /// Compiles the names of role rows, and what is asked for, as patterns.
    fn compile(
        self,
        (matching, table): (Matching, &RelationTable),
        mut places: BTreeMap<Symbol, Place>,
        symbols: &Symbols,
        patterns: &mut Patterns,
        problems: &mut Problems<'_>,
    ) {
        for column in 0..2 {
            for (symbol, row) in distinct(&table.rows, column, symbols) {
                let line = table.rows.line(row);
                places.entry(symbol).or_insert(Place { line, column: 1 });
            }
        }
        for (symbol, at) in places {
            if is_plain(matching, symbols.text(symbol)) {
                continue;
            }
            let added = patterns.add(matching, symbol, symbols);
            if let Err((what, fix)) = added {
                problems.add(at, what, fix);
            }
            let full = patterns.compiled() > COMPILED_MAX || patterns.bytes() > COMPILED_BYTES_MAX;
            if full {
                problems.add(
                    at,
                    format!("more than {COMPILED_MAX} patterns, or {COMPILED_BYTES_MAX} bytes of them, have to be compiled"),
                    "write names in whole segments: `/a/:id`, `/a/*`",
                );
            }
            if full || problems.is_full() {
                return;
            }
        }
    }
}

/// Refuses names, roles and domains of the relation number `number` that are patterns, but for domains that the matcher
/// takes as such and what the matcher itself asks for in quotes.
fn check(
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
            if !is_pattern(text)
                || asked.iter().any(|asked| asked == text)
                || column < 2 && relation.matching.is_some_and(|m| reads(m, text))
            {
                continue;
            }
            let what = format!(
                "{kind} `{text}` in `{}` looks like a pattern, and would be a plain text that is nobody's",
                relation.name
            );
            let name = &relation.name;
            let fix = if column == 2 {
                format!(
                    "say `{name} = keyMatch` in a section `[domain_matching]` of the model, or name the domain in full"
                )
            } else {
                format!(
                    "say `{name} = keyMatch2`, or another function, in a section `[role_matching]` of the model, or name each in full"
                )
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

/// Whether a matching function reads as a pattern what looks like one.
fn reads(matching: Matching, text: &str) -> bool {
    match matching {
        Matching::KeyMatch | Matching::Glob => text.contains('*'),
        Matching::KeyMatch2 => text.contains('*') || text.contains(':'),
        Matching::KeyMatch3 | Matching::KeyMatch4 | Matching::KeyMatch5 => {
            text.contains('*') || text.contains('{')
        }
        Matching::Regex | Matching::Ip => false,
    }
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
