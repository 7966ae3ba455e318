//! Roles that nobody holds, and names that are taken for one another.

use super::finding::{Findings, Severity};
use super::reach::{Sheet, Side};
use crate::policy::{Policy, RelationTable};
use crate::rules::symbols::Symbol;
use std::collections::{HashMap, HashSet};

/// Rules for roles that nobody holds, and role names that differ by capitals alone.
pub(crate) fn look(sheet: Sheet<'_>, findings: &mut Findings<'_>) {
    let known: Vec<Known> = sheet.policy.relations.iter().map(Known::of).collect();
    let clauses = sheet.clauses();
    let mut asked = HashSet::new();
    let mut spellings: HashMap<String, (Symbol, usize)> = HashMap::new();
    for row in 0..sheet.len() {
        for reach in sheet.reaches(row, &clauses) {
            let holds = reach
                .sides
                .iter()
                .enumerate()
                .find_map(|(argument, side)| match side {
                    Side::Holds {
                        relation,
                        role,
                        domain,
                    } => Some((argument, *relation, *role, *domain)),
                    Side::Any | Side::Is(..) | Side::Like(_) => None,
                });
            let Some((argument, relation, role, domain)) = holds else {
                continue;
            };
            let Some(column) = sheet.column_of(argument) else {
                continue;
            };
            let name = sheet.policy.symbols.text(role);
            let (first, line) = *spellings
                .entry(folded(name))
                .or_insert_with(|| (role, sheet.line(row)));
            let within = sheet.domain_symbol(domain, &reach);
            if !asked.insert((relation, role, within)) {
                continue;
            }
            if first != role {
                let other = sheet.policy.symbols.text(first);
                let what = format!(
                    "`{name}` is another role than `{other}` of line {line}, though people read them as one"
                );
                let fix = "write both in one way".to_owned();
                findings.at_rule(
                    sheet,
                    row,
                    Some(column),
                    (Severity::Warning, "names-alike"),
                    (what, fix),
                );
            }
            let held = known
                .get(relation)
                .is_none_or(|known| known.is_held(role, within) || known.members.is_empty());
            // What looks like an identity is one, and `anonymous` is who comes without a certificate.
            let is_subject = name == "anonymous" || name.contains(['/', ':', '@', '*']);
            if !held && !is_subject {
                let place = within
                    .filter(|_| known.get(relation).is_some_and(|known| known.in_domains))
                    .map_or(String::new(), |domain| {
                        format!(" in `{}`", sheet.policy.symbols.text(domain))
                    });
                let what = format!("nobody holds `{name}`{place}, so this rule serves nobody");
                let fix = "give the role to someone with a `g` row, or remove the rule".to_owned();
                findings.at_rule(
                    sheet,
                    row,
                    Some(column),
                    (Severity::Warning, "role-nobody-holds"),
                    (what, fix),
                );
            }
        }
    }
}

/// Subjects that have the name of a role: whoever gets such a name from a certificate authority gets the role.
pub(crate) fn look_at_roles(policy: &Policy, findings: &mut Findings<'_>) {
    for table in policy
        .relations
        .iter()
        .filter(|table| table.relation.in_domains)
    {
        let known = Known::of(table);
        let mut told = HashSet::new();
        for row in 0..table.rows.len() {
            let (Some(name), Some(domain)) = (table.rows.field(row, 0), table.rows.field(row, 2))
            else {
                continue;
            };
            let elsewhere = known.roles.get(&name);
            let Some(other) =
                elsewhere.and_then(|domains| domains.iter().find(|other| **other != domain))
            else {
                continue;
            };
            if elsewhere.is_some_and(|domains| domains.contains(&domain)) || !told.insert(name) {
                continue;
            }
            let (text, other) = (policy.symbols.text(name), policy.symbols.text(*other));
            let here = policy.symbols.text(domain);
            let what = format!(
                "`{text}` is a subject in `{here}` and a role in `{other}`: whoever is called so has the rights of the role there"
            );
            let fix = "give the role or the subject another name".to_owned();
            findings.at(
                table.rows.line(row),
                Some(0),
                (Severity::Warning, "user-named-like-role"),
                (what, fix),
            );
        }
    }
}

/// What the rows of one relation name.
struct Known {
    in_domains: bool,
    patterns: bool,
    /// Whether names stand for others, so that any role may be held.
    matched: bool,
    members: HashSet<Symbol>,
    /// The domains in which each role is held; one that is never named stands for relations without domains.
    roles: HashMap<Symbol, Vec<Symbol>>,
}

impl Known {
    fn of(table: &RelationTable) -> Self {
        let mut known = Self {
            in_domains: table.relation.in_domains,
            patterns: table.relation.domain_patterns,
            matched: table.relation.matching.is_some(),
            members: HashSet::new(),
            roles: HashMap::new(),
        };
        for row in 0..table.rows.len() {
            if let (Some(member), Some(role)) = (table.rows.field(row, 0), table.rows.field(row, 1))
            {
                known.members.insert(member);
                let domains = known.roles.entry(role).or_default();
                if let Some(domain) = table.rows.field(row, 2).filter(|_| known.in_domains)
                    && domains.last() != Some(&domain)
                    && !domains.contains(&domain)
                {
                    domains.push(domain);
                }
            }
        }
        known
    }

    /// Whether someone holds a role there, or it is a subject itself.
    fn is_held(&self, role: Symbol, domain: Option<Symbol>) -> bool {
        let held = self.roles.get(&role).is_some_and(|domains| match domain {
            Some(domain) if self.in_domains && !self.patterns => domains.contains(&domain),
            Some(_) | None => true,
        });
        held || self.matched || self.members.contains(&role)
    }
}

/// A name as people tell names apart.
fn folded(name: &str) -> String {
    let letters = name
        .chars()
        .filter(|letter| !matches!(letter, '-' | '_' | ' '));
    letters.flat_map(char::to_lowercase).collect()
}
