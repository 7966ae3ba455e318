//! Requests that each rule is about: one that it matches, and neighbours that it just does not.

use super::places::Places;
use super::reach::{Reach, Sheet, Side};
use crate::policy::Policy;
use crate::rules::symbols::Symbol;
use std::collections::HashMap;

/// A request made from a rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Witness {
    /// The line of the rule.
    pub line: usize,
    /// The context of the model: 1 for `r`, 2 for `r2`.
    pub context: usize,
    /// In the order of the model's `r`.
    pub arguments: Vec<String>,
}

/// Requests for every rule, and how many rules have none because they are not made of texts and whole segments.
pub fn witnesses(policy: &Policy) -> (Vec<Witness>, usize) {
    let (mut all, mut without) = (Vec::new(), 0);
    for sheet in Sheet::all(policy) {
        let clauses = sheet.clauses();
        let maker = Maker::new(sheet);
        for row in 0..sheet.len() {
            let before = all.len();
            for reach in sheet.reaches(row, &clauses) {
                maker.make(&reach, sheet.line(row), &mut all);
            }
            without += usize::from(all.len() == before);
        }
    }
    (all, without)
}

/// Makes requests from boxes.
pub(crate) struct Maker<'a> {
    sheet: Sheet<'a>,
    /// Deeper than any pattern.
    depth: usize,
    /// Someone who holds a role of a relation in a domain.
    holders: HashMap<(usize, Symbol, Symbol), Symbol>,
}

impl<'a> Maker<'a> {
    pub(crate) fn new(sheet: Sheet<'a>) -> Self {
        let mut holders = HashMap::new();
        for (relation, table) in sheet.policy.relations.iter().enumerate() {
            for row in 0..table.rows.len() {
                if let [name, role, rest @ ..] = table.rows.row(row) {
                    let domain = rest.first().filter(|_| table.relation.in_domains);
                    let domain = domain.copied().unwrap_or(crate::engine::roles::NO_DOMAIN);
                    holders.entry((relation, *role, domain)).or_insert(*name);
                }
            }
        }
        let clauses = sheet.clauses();
        let depth = |row| {
            let reaches = sheet.reaches(row, &clauses);
            let sides = reaches.iter().flat_map(|reach| &reach.sides);
            sides.map(depth_of).max().unwrap_or_default()
        };
        Self {
            sheet,
            depth: (0..sheet.len()).map(depth).max().unwrap_or_default() + 1,
            holders,
        }
    }

    /// A value inside a side and in no narrower one.
    pub(crate) fn value(&self, side: &Side<'a>, whole: &Reach<'a>) -> Option<String> {
        match side {
            Side::Any => Some(FRESH.to_owned()),
            Side::Is(_, text) => Some((*text).to_owned()),
            Side::Like(places) => places.witness(FRESH, self.depth),
            Side::Holds {
                relation,
                role,
                domain,
            } => {
                let domain = self.sheet.domain_symbol(*domain, whole);
                let holder =
                    domain.and_then(|domain| self.holders.get(&(*relation, *role, domain)));
                Some(
                    self.sheet
                        .policy
                        .symbols
                        .text(*holder.unwrap_or(role))
                        .to_owned(),
                )
            }
        }
    }

    fn make(&self, reach: &Reach<'a>, line: usize, all: &mut Vec<Witness>) {
        let values: Option<Vec<_>> = reach
            .sides
            .iter()
            .map(|side| self.value(side, reach))
            .collect();
        let Some(values) = values else {
            return;
        };
        let witness = |arguments| Witness {
            line,
            context: self.sheet.section.context.number,
            arguments,
        };
        for index in 0..values.len() {
            let mut neighbour = values.clone();
            if let Some(value) = neighbour.get_mut(index) {
                *value = if value.starts_with('/') {
                    format!("{value}/{FRESH}")
                } else {
                    FRESH.to_owned()
                };
            }
            if neighbour != values {
                all.push(witness(neighbour));
            }
        }
        all.push(witness(values));
    }
}

fn depth_of(side: &Side<'_>) -> usize {
    match side {
        Side::Is(_, text) => Places::One(text).depth(),
        Side::Like(places) => places.depth(),
        Side::Any | Side::Holds { .. } => 0,
    }
}

/// A text that no policy holds, or so we trust; plain, so that any engine takes it.
pub(crate) const FRESH: &str = "zz-none";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decision, RBAC_WITH_DOMAINS, Source, Value};

    #[test]
    fn each_rule_gets_a_request_that_it_decides_and_neighbours_that_it_does_not() {
        let model = Source {
            name: "model.conf",
            text: RBAC_WITH_DOMAINS,
        };
        let rules = Source {
            name: "policy.csv",
            text: "p, clerk, tax, /returns/:id, GET, allow\np, clerk, tax, /returns/*, *, allow\ng, alice, clerk, tax\n",
        };
        let policy = Policy::compile(model, rules).unwrap();
        let (witnesses, without) = witnesses(&policy);
        assert_eq!(without, 0);
        let decided = |witness: &Witness| {
            let arguments: Vec<_> = witness.arguments.iter().cloned().map(Value::Text).collect();
            match policy.decide_arguments(witness.context, &arguments) {
                Decision::Permit(permit) => Some(policy.rule(permit.rule()).line),
                Decision::Deny(_) => None,
            }
        };
        for line in [1, 2] {
            let mine: Vec<_> = witnesses
                .iter()
                .filter(|witness| witness.line == line)
                .collect();
            assert!(
                mine.iter().any(|witness| decided(witness) == Some(line)),
                "{line}"
            );
            assert!(
                mine.iter().any(|witness| decided(witness).is_none()),
                "{line}"
            );
        }
    }
}
