//! Rows of roles and clearances that change nothing: a role that no rule names, a label that no data carry.

use super::finding::{Findings, Severity};
use super::reach::{Sheet, Side};
use crate::engine::expr::Expr;
use crate::policy::Policy;
use crate::rules::symbols::Symbol;
use std::collections::{BTreeSet, HashSet};

/// Roles that people hold and nothing asks for: mostly a slip of the pen.
pub(crate) fn look(policy: &Policy, findings: &mut Findings<'_>) {
    let asked = Asked::of(policy);
    for (relation, table) in policy.relations.iter().enumerate() {
        // A relation that no matcher asks is the clearance, or asked in a way that names no role; where names are
        // patterns, a role that no rule names may match one.
        if !asked.relations.contains(&relation)
            || asked.unclear.contains(&relation)
            || table.relation.matching.is_some()
        {
            continue;
        }
        let by_domain = table.relation.in_domains && !table.relation.domain_patterns;
        let within = |row: usize| table.rows.field(row, 2).filter(|_| by_domain);
        let rows = 0..table.rows.len();
        let inherit: HashSet<_> = rows
            .clone()
            .filter_map(|row| Some((table.rows.field(row, 0)?, within(row))))
            .collect();
        let mut told = HashSet::new();
        for row in rows {
            let Some(role) = table.rows.field(row, 1) else {
                continue;
            };
            let domain = within(row);
            let named = asked.names(relation, role, domain)
                || inherit.contains(&(role, domain))
                || asked.cleared.contains(&role);
            if named || !told.insert((role, domain)) {
                continue;
            }
            let text = policy.symbols.text(role);
            let place = domain.map_or(String::new(), |domain| {
                format!(" in `{}`", policy.symbols.text(domain))
            });
            let what =
                format!("no rule names the role `{text}`{place}, so holding it gives nothing");
            let fix = "correct the name, write a rule for it, or remove the row".to_owned();
            let kind = (Severity::Warning, "unused-role");
            findings.at(table.rows.line(row), Some(1), kind, (what, fix));
        }
    }
}

/// Clearances for labels that the configuration does not know.
pub(crate) fn look_at_labels(policy: &Policy, labels: &[String], findings: &mut Findings<'_>) {
    let table = policy
        .clearance_relation()
        .and_then(|n| policy.relations.get(n));
    let Some(table) = table else {
        return;
    };
    let rows = 0..table.rows.len();
    let lower: HashSet<_> = rows
        .clone()
        .filter_map(|row| table.rows.field(row, 0))
        .collect();
    for row in rows {
        let Some(label) = table.rows.field(row, 1) else {
            continue;
        };
        let text = policy.symbols.text(label);
        // What is cleared itself is a role or a label in between.
        if lower.contains(&label) || labels.iter().any(|known| known == text) {
            continue;
        }
        let known: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let what = format!(
            "`{text}` is no label of the configuration, so this row clears nobody for anything"
        );
        let fix = format!("name one of {}", known.join(", "));
        let kind = (Severity::Warning, "unknown-label");
        findings.at(table.rows.line(row), Some(1), kind, (what, fix));
    }
}

/// Which roles rules and matchers ask for.
#[derive(Default)]
struct Asked {
    relations: BTreeSet<usize>,
    /// Relations that are asked in a way that names no role.
    unclear: BTreeSet<usize>,
    /// Relation, role, and the domain where it is one.
    roles: HashSet<(usize, Symbol, Option<Symbol>)>,
    /// Who is cleared for something.
    cleared: HashSet<Symbol>,
}

impl Asked {
    fn of(policy: &Policy) -> Self {
        let mut asked = Self::default();
        for sheet in Sheet::all(policy) {
            sheet.section.context.matcher.each(&mut |expr| {
                if let Expr::Role { relation, role, .. } = expr {
                    asked.relations.insert(*relation);
                    let text = role.as_text();
                    if let Some(role) = text.and_then(|text| policy.symbols.find(text)) {
                        asked.roles.insert((*relation, role, None));
                    } else if text.is_none() && !matches!(**role, Expr::Rule { .. }) {
                        asked.unclear.insert(*relation);
                    }
                }
            });
            if sheet.section.evaluates {
                asked.unclear.extend(0..policy.relations.len());
            }
            asked.take_rows(sheet);
        }
        let clearance = policy.clearance_relation();
        if let Some(table) = clearance.and_then(|n| policy.relations.get(n)) {
            let rows = 0..table.rows.len();
            asked
                .cleared
                .extend(rows.filter_map(|row| table.rows.field(row, 0)));
        }
        asked
    }

    fn take_rows(&mut self, sheet: Sheet<'_>) {
        let clauses = sheet.clauses();
        for row in 0..sheet.len() {
            for reach in sheet.reaches(row, &clauses) {
                for side in &reach.sides {
                    let Side::Holds {
                        relation,
                        role,
                        domain,
                    } = side
                    else {
                        continue;
                    };
                    let in_domains = sheet.policy.relations.get(*relation);
                    let in_domains = in_domains.is_some_and(|table| table.relation.in_domains);
                    let domain = sheet.domain_symbol(*domain, &reach).filter(|_| in_domains);
                    self.roles.insert((*relation, *role, domain));
                }
                for term in &reach.rest {
                    term.each(&mut |expr| {
                        if let Expr::Role { relation, .. } = expr {
                            self.unclear.insert(*relation);
                        }
                    });
                }
            }
        }
    }

    fn names(&self, relation: usize, role: Symbol, domain: Option<Symbol>) -> bool {
        let mut places = self.roles.iter();
        match domain {
            Some(_) => {
                self.roles.contains(&(relation, role, domain))
                    || self.roles.contains(&(relation, role, None))
            }
            None => places.any(|(other, named, _)| *other == relation && *named == role),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::analysis::Surroundings;
    use crate::analysis::lint::lint;
    use crate::{Policy, RBAC_WITH_DOMAINS, Source};

    fn found(rules: &str, labels: Option<&[&str]>) -> Vec<String> {
        let rules = Source {
            name: "policy.csv",
            text: rules,
        };
        let model = Source {
            name: "model.conf",
            text: RBAC_WITH_DOMAINS,
        };
        let policy = Policy::compile(model, rules).unwrap();
        let surroundings = labels.map(|labels| Surroundings {
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            ..Surroundings::default()
        });
        let found = lint(&policy, rules, |_| false, surroundings.as_ref());
        found
            .iter()
            .filter(|finding| ["unused-role", "unknown-label"].contains(&finding.kind))
            .map(|finding| {
                let problem = &finding.problem;
                format!("{}:{} {}", problem.line, problem.column, finding.kind)
            })
            .collect()
    }

    const RULE: &str = "p, clerk, tax, /a, GET, allow\n";

    #[test]
    fn a_role_that_no_rule_names_is_found() {
        for (rows, expected) in [
            ("g, alice, clerk, tax\n", None),
            ("g, alice, cleark, tax\n", Some("2:11 unused-role")),
            ("g, bob, clerk, land\n", Some("2:9 unused-role")),
            ("g, alice, head, tax\ng, head, clerk, tax\n", None),
            ("g, alice, auditor, tax\ng2, auditor, public\n", None),
        ] {
            let found = found(&format!("{RULE}{rows}"), None);
            let expected: Vec<_> = expected.into_iter().collect();
            assert_eq!(found, expected, "{rows}");
        }
    }

    #[test]
    fn a_clearance_for_a_label_that_is_none_is_found() {
        let rows =
            "g, alice, clerk, tax\ng2, clerk, secrit\ng2, clerk, deputies\ng2, deputies, public\n";
        let found = found(&format!("{RULE}{rows}"), Some(&["public", "secret"]));
        assert_eq!(found, ["3:12 unknown-label"]);
    }
}
