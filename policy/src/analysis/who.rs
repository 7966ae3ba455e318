//! Who can do this: complete lists, not samples.

use super::explain::{RuleLine, rule_line};
use super::reach::{Sheet, argument_of};
use super::witness::FRESH;
use crate::decision::Decision;
use crate::engine::expr::Expr;
use crate::policy::Policy;
use crate::request::Fact;
use crate::rules::symbols::Symbol;
use crate::value::Value;
use std::collections::{BTreeSet, HashMap};

/// Everyone who is permitted something.
#[derive(Clone, Debug, PartialEq)]
pub struct WhoCan {
    /// Each one, by organisation and name.
    pub allowed: Vec<Allowed>,
    /// Organisations, or one empty text, in which even those are permitted that no rule and no role row names.
    pub strangers: Vec<String>,
    /// Why others may be permitted too that are not listed; `None` when the list is complete.
    pub incomplete: Option<String>,
}

/// One who is permitted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Allowed {
    /// Who.
    pub subject: String,
    /// In which organisation; empty where the model knows none.
    pub domain: String,
    /// Whether others hold it as a role.
    pub is_role: bool,
    /// The rule that permits.
    pub rule: Option<RuleLine>,
}

/// Lists everyone who is permitted a request in a context. Its arguments are in the order of the model's `r`, whatever stands for
/// the subject; without `domain`, every organisation that the policy names is asked for.
pub fn who_can(
    policy: &Policy,
    context: usize,
    arguments: &[Value],
    domain: Option<&str>,
    time_unix_ms: Option<i64>,
) -> WhoCan {
    let mut found = WhoCan {
        allowed: Vec::new(),
        strangers: Vec::new(),
        incomplete: None,
    };
    let Some(sheet) = Sheet::of(policy, context) else {
        return found;
    };
    let Some(subject) = sheet.argument(Fact::Subject) else {
        found.incomplete = Some("the model's `r` has no subject".to_owned());
        return found;
    };
    found.incomplete = unlisted(sheet, subject);
    if policy.matches_names_of_roles() {
        found.incomplete =
            Some("the model matches names of roles, so that any name may hold some".to_owned());
    }
    let place = sheet.argument(Fact::Domain);
    let domains: Vec<String> = match (place, domain) {
        (None, _) => vec![String::new()],
        (Some(_), Some(domain)) => vec![domain.to_owned()],
        (Some(_), None) => policy.domains().map(str::to_owned).collect(),
    };
    let names = Names::of(sheet, subject);
    for domain in domains {
        let mut asked = arguments.to_vec();
        if let Some(argument) = place.and_then(|place| asked.get_mut(place)) {
            *argument = Value::Text(domain.clone());
        }
        let mut ask = |name: &str| {
            if let Some(argument) = asked.get_mut(subject) {
                *argument = Value::Text(name.to_owned());
            }
            match policy.decide_arguments_at(sheet.section.context.number, &asked, time_unix_ms) {
                Decision::Permit(permit) => Some(rule_line(policy, permit.rule())),
                Decision::Deny(_) => None,
            }
        };
        if ask(FRESH).is_some() {
            found.strangers.push(domain.clone());
        }
        for symbol in names.within(policy.symbols.find(&domain)) {
            let name = policy.symbols.text(symbol);
            if let Some(rule) = ask(name) {
                found.allowed.push(Allowed {
                    subject: name.to_owned(),
                    domain: domain.clone(),
                    is_role: names.roles.contains(&symbol),
                    rule,
                });
            }
        }
    }
    found.allowed.sort_by(|a, b| {
        (&a.domain, a.is_role, &a.subject).cmp(&(&b.domain, b.is_role, &b.subject))
    });
    found
}

/// Why there may be subjects that cannot be listed: the matcher takes them by other ways than their name.
fn unlisted(sheet: Sheet<'_>, subject: usize) -> Option<String> {
    let mut by_attribute = false;
    let mut by_pattern = false;
    sheet.section.context.matcher.each(&mut |expr| {
        by_attribute |= matches!(expr, Expr::Request { argument, path } if *argument == subject && !path.is_empty());
        by_pattern |= matches!(expr, Expr::Match { value, .. } if value.as_argument() == Some(subject));
    });
    if by_attribute || sheet.section.evaluates {
        return Some("the matcher reads attributes of subjects, which no file lists".to_owned());
    }
    by_pattern.then(|| "the matcher takes subjects by patterns, so others may match too".to_owned())
}

/// Every name that a subject can have and that makes a difference.
struct Names {
    /// Named by rules or by the matcher, and those whose roles hold in no domain or in domains by pattern.
    anywhere: BTreeSet<Symbol>,
    /// Those that hold a role in a domain.
    members: HashMap<Symbol, BTreeSet<Symbol>>,
    /// Names that others hold as a role.
    roles: BTreeSet<Symbol>,
}

impl Names {
    fn of(sheet: Sheet<'_>, subject: usize) -> Self {
        let mut names = Self {
            anywhere: BTreeSet::new(),
            members: HashMap::new(),
            roles: BTreeSet::new(),
        };
        if let Some(column) = sheet.column_of(subject) {
            let rows = 0..sheet.len();
            names
                .anywhere
                .extend(rows.filter_map(|row| sheet.symbol(row, column)));
        }
        let symbols = &sheet.policy.symbols;
        sheet.section.context.matcher.each(&mut |expr| {
            if let Expr::Text(text) = expr {
                names.anywhere.extend(symbols.find(text));
            }
        });
        for relation in relations_of(sheet, subject) {
            let Some(table) = sheet.policy.relations.get(relation) else {
                continue;
            };
            let apart = table.relation.in_domains && !table.relation.domain_patterns;
            for row in 0..table.rows.len() {
                let (Some(name), Some(role)) = (table.rows.field(row, 0), table.rows.field(row, 1))
                else {
                    continue;
                };
                names.roles.insert(role);
                match table.rows.field(row, 2).filter(|_| apart) {
                    Some(domain) => {
                        names.members.entry(domain).or_default().insert(name);
                    }
                    None => {
                        names.anywhere.insert(name);
                    }
                }
            }
        }
        names
    }

    fn within(&self, domain: Option<Symbol>) -> BTreeSet<Symbol> {
        let members = domain.and_then(|domain| self.members.get(&domain));
        self.anywhere
            .iter()
            .chain(members.into_iter().flatten())
            .copied()
            .collect()
    }
}

/// The relations in which the matcher looks for the subject's roles.
fn relations_of(sheet: Sheet<'_>, subject: usize) -> BTreeSet<usize> {
    let mut relations = BTreeSet::new();
    sheet.section.context.matcher.each(&mut |expr| {
        if let Expr::Role { relation, .. } = expr
            && argument_of(expr) == Some(subject)
        {
            relations.insert(*relation);
        }
    });
    relations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RBAC_WITH_DOMAINS, Source};

    const RULES: &str = "p, clerk, tax, /returns/:id, GET, allow\np, clerk, tax, /returns/9, *, deny\n\
        p, head, tax, /returns/:id, DELETE, allow\np, clerk, land, /plots/*, GET, allow\np, head, land, /plots/*, *, deny\n\
        g, alice, clerk, tax\ng, bob, head, tax\ng, head, clerk, tax\ng, alice, clerk, land\ng, alice, head, land\n";

    fn policy() -> Policy {
        let model = Source {
            name: "model.conf",
            text: RBAC_WITH_DOMAINS,
        };
        let rules = Source {
            name: "policy.csv",
            text: RULES,
        };
        Policy::compile(model, rules).unwrap()
    }

    #[test]
    fn everyone_who_is_permitted_is_listed_and_nobody_else() {
        for (domain, path, method, expected) in [
            (
                Some("tax"),
                "/returns/7",
                "GET",
                vec!["alice", "bob", "clerk", "head"],
            ),
            (Some("tax"), "/returns/9", "GET", vec![]),
            (None, "/returns/7", "DELETE", vec!["bob", "head"]),
            (None, "/plots/1", "GET", vec!["clerk"]),
        ] {
            let arguments = ["", "", path, method].map(|text| Value::Text(text.to_owned()));
            let found = who_can(&policy(), 1, &arguments, domain, None);
            let names: Vec<_> = found
                .allowed
                .iter()
                .map(|one| one.subject.as_str())
                .collect();
            assert_eq!(names, expected, "{domain:?} {path} {method}");
            assert!(found.incomplete.is_none() && found.strangers.is_empty());
        }
    }
}
