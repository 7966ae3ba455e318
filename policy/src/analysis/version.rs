//! One of two policies that are compared: its rules by organisation and by whom they are for.

use super::places::Places;
use super::reach::{Reach, Sheet, Side};
use super::regions::{Cell, Region};
use crate::decision::{Decision, Refusal, RuleId};
use crate::engine::roles::NO_DOMAIN;
use crate::request::Fact;
use crate::value::Value;
use std::collections::{BTreeSet, HashMap};

/// One of both policies, its rules by organisation and role.
pub(super) struct Version<'a> {
    pub(super) sheet: Sheet<'a>,
    boxes: Vec<Placed<'a>>,
    /// From organisation (`None`: all) and name (`None`: everyone) to boxes.
    pub(super) by_name: HashMap<(Option<&'a str>, Option<&'a str>), Vec<usize>>,
    /// From organisation to the names that hold roles there.
    pub(super) members: HashMap<&'a str, BTreeSet<&'a str>>,
}

/// A box of a rule, apart from who asks and where.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed<'a> {
    pub(super) region: Region<'a>,
    denies: bool,
    /// It has conditions or patterns that no region can hold: the rule's text.
    pub(super) opaque: Option<String>,
}

impl<'a> Version<'a> {
    pub(super) fn new(sheet: Sheet<'a>) -> Self {
        let mut version = Self {
            sheet,
            boxes: Vec::new(),
            by_name: HashMap::new(),
            members: HashMap::new(),
        };
        let clauses = sheet.clauses();
        let (subject, domain) = (sheet.argument(Fact::Subject), sheet.argument(Fact::Domain));
        for row in 0..sheet.len() {
            for reach in sheet.reaches(row, &clauses) {
                let side = |argument: Option<usize>| {
                    argument.and_then(|argument| reach.sides.get(argument))
                };
                let within = match side(domain) {
                    Some(Side::Is(_, text)) => Some(*text),
                    _ => None,
                };
                let who = match side(subject) {
                    Some(Side::Is(_, text)) => Some(*text),
                    Some(Side::Holds { role, .. }) => Some(sheet.policy.symbols.text(*role)),
                    Some(Side::Any | Side::Like(_)) | None => None,
                };
                let (region, opaque) = region(&reach, subject, domain);
                version
                    .by_name
                    .entry((within, who))
                    .or_default()
                    .push(version.boxes.len());
                version.boxes.push(Placed {
                    region,
                    denies: sheet.denies(row),
                    opaque: opaque.then(|| sheet.row_text(row)),
                });
            }
        }
        version.find_members();
        version
    }

    fn find_members(&mut self) {
        let symbols = &self.sheet.policy.symbols;
        for table in &self.sheet.policy.relations {
            for row in 0..table.rows.len() {
                let domain = table
                    .rows
                    .field(row, 2)
                    .filter(|_| table.relation.in_domains);
                if let Some(name) = table.rows.field(row, 0) {
                    let domain = domain.map_or("", |domain| symbols.text(domain));
                    self.members
                        .entry(domain)
                        .or_default()
                        .insert(symbols.text(name));
                }
            }
        }
    }

    /// The names by which rules may be for a subject: its own and those of its roles.
    pub(super) fn profile(&self, name: &'a str, domain: &str) -> BTreeSet<&'a str> {
        let policy = self.sheet.policy;
        let mut names = BTreeSet::from([name]);
        if let Some(symbol) = policy.symbols.find(name) {
            for (table, roles) in policy.relations.iter().zip(&policy.roles) {
                let within = if table.relation.in_domains {
                    roles.domain(domain, policy.symbols.find(domain), &policy.symbols)
                } else {
                    Some(NO_DOMAIN)
                };
                let held = within.map_or(&[][..], |within| {
                    roles.held(symbol, within, &policy.symbols)
                });
                names.extend(held.iter().map(|role| policy.symbols.text(*role)));
            }
        }
        names
    }

    /// The boxes that are for any of these names in an organisation.
    pub(super) fn boxes_for(
        &self,
        profile: &BTreeSet<&'a str>,
        domain: &'a str,
    ) -> Vec<&Placed<'a>> {
        let names = profile.iter().map(|name| Some(*name)).chain([None]);
        let places = [Some(domain), None];
        let mut found: Vec<usize> = names
            .flat_map(|name| places.map(|place| (place, name)))
            .filter_map(|key| self.by_name.get(&key))
            .flatten()
            .copied()
            .collect();
        found.sort_unstable();
        found.dedup();
        found
            .into_iter()
            .filter_map(|index| self.boxes.get(index))
            .collect()
    }

    pub(super) fn ask(
        &self,
        arguments: &[Value],
        time_unix_ms: Option<i64>,
    ) -> (bool, Option<RuleId>) {
        let context = self.sheet.section.context.number;
        match self
            .sheet
            .policy
            .decide_arguments_at(context, arguments, time_unix_ms)
        {
            Decision::Permit(permit) => (true, Some(permit.rule())),
            Decision::Deny(Refusal::ExplicitDeny(rule)) => (false, Some(rule)),
            Decision::Deny(Refusal::NoRule | Refusal::EvaluationError(..)) => (false, None),
        }
    }
}

/// The sides of a box, subject and domain left out, and whether it has anything that a region cannot hold.
fn region<'a>(
    reach: &Reach<'a>,
    subject: Option<usize>,
    domain: Option<usize>,
) -> (Region<'a>, bool) {
    let mut opaque = !reach.rest.is_empty();
    let cells = reach.sides.iter().enumerate().map(|(argument, side)| {
        if Some(argument) == subject || Some(argument) == domain {
            opaque |= matches!(side, Side::Like(_));
            return Cell::Any;
        }
        match side {
            Side::Is(_, text) => Cell::Like(Places::One(text)),
            Side::Like(places) => {
                opaque |= matches!(places, Places::Opaque(..));
                Cell::Like(places.clone())
            }
            Side::Any => Cell::Any,
            Side::Holds { .. } => {
                opaque = true;
                Cell::Any
            }
        }
    });
    let region = cells.collect();
    (region, opaque)
}
