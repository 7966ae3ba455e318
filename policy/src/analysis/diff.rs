//! What a change of policy does to people: who gains and who loses what.
//!
//! Subjects that hold the same roles before and the same roles after are one class. For each class the rules that
//! changed are parted into regions on which nothing more can differ, and for each region both tables are asked. So
//! the answer is exact wherever rules are made of roles, texts and whole segments; where they are not, it says so.

use super::explain::{RuleLine, rule_line};
use super::reach::Sheet;
use super::regions::{Cell, Region, contains, parts};
use super::version::{Placed, Version};
use super::witness::FRESH;
use crate::decision::RuleId;
use crate::policy::Policy;
use crate::request::Fact;
use crate::value::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What differs between two policies.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diff {
    /// By organisation, role, and what is asked for.
    pub deltas: Vec<Delta>,
    /// Who is cleared for what, in relations that the matcher does not ask, by name and label.
    pub clearances: Vec<ClearanceDelta>,
    /// Why the list may lack something; empty when it is exact.
    pub inexact: BTreeSet<String>,
}

/// Which way.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Direction {
    /// Refused before, permitted now.
    Gains,
    /// Permitted before, refused now.
    Loses,
}

/// One change of a clearance.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ClearanceDelta {
    /// Who: a name, or a role or label that stands on the left.
    pub name: String,
    /// For which label.
    pub label: String,
    /// Which way.
    pub direction: Direction,
    /// It is so after this moment, in milliseconds since 1970; `None` where it always has been.
    pub after_unix_ms: Option<i64>,
    /// It is so before this moment; `None` where it has no end.
    pub before_unix_ms: Option<i64>,
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub struct Delta {
    /// Which way.
    pub direction: Direction,
    /// In which organisation; empty where the model knows none, `*` where rules name none.
    pub domain: String,
    /// The role, or the name, that the deciding rule is for.
    pub role: String,
    /// Who is concerned, in order; the role alone when nobody holds it.
    pub subjects: BTreeSet<String>,
    /// What the request is, by the model's names; `:any` is one segment, `*` anything.
    pub wants: Vec<(String, String)>,
    /// Parts of it for which nothing changes.
    pub except: Vec<Vec<(String, String)>>,
    /// The rule that decided before.
    pub before: Option<RuleLine>,
    /// The rule that decides now.
    pub after: Option<RuleLine>,
}

/// Compares two policies for requests in one context.
///
/// # Errors
/// When one of them has no such context, or their requests have different arguments, so that no request can be put to both.
pub fn diff(
    old: &Policy,
    new: &Policy,
    context: usize,
    time_unix_ms: Option<i64>,
) -> Result<Diff, String> {
    let of = |policy| {
        Sheet::of(policy, context).ok_or_else(|| {
            format!("context {context} is in one of the models alone; compare policies of one kind of request")
        })
    };
    let (old, new) = (of(old)?, of(new)?);
    let names = |sheet: Sheet<'_>| -> Vec<String> {
        let arguments = sheet.section.context.arguments.iter();
        arguments.map(|(name, _)| name.clone()).collect()
    };
    if names(old) != names(new) {
        return Err(format!(
            "the models' requests differ: `{}` and `{}`; compare policies of one kind of request",
            names(old).join(", "),
            names(new).join(", ")
        ));
    }
    let mut comparing = Comparing {
        subject: old.argument(Fact::Subject),
        domain: old.argument(Fact::Domain),
        remodelled: old.section.context.matcher_text != new.section.context.matcher_text
            || old.effect() != new.effect(),
        old: Version::new(old),
        new: Version::new(new),
        time_unix_ms,
        diff: Diff::default(),
    };
    comparing.compare();
    let mut diff = comparing.diff;
    super::clearances::compare(old, new, &mut diff);
    diff.deltas.sort_by(|a, b| {
        let key = |delta: &Delta| {
            (
                delta.domain.clone(),
                delta.role.clone(),
                delta.direction,
                delta.wants.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
    Ok(diff)
}

/// The names that rules are for before, and after.
type Class<'a> = (BTreeSet<&'a str>, BTreeSet<&'a str>);

/// A region, which way its answer changes, and the rules that decided before and after.
type Answered<'r, 'a> = (
    &'r Region<'a>,
    Option<Direction>,
    Option<RuleId>,
    Option<RuleId>,
);

struct Comparing<'a> {
    old: Version<'a>,
    new: Version<'a>,
    subject: Option<usize>,
    domain: Option<usize>,
    /// Matcher or effect differ, so that every rule may mean something else.
    remodelled: bool,
    time_unix_ms: Option<i64>,
    diff: Diff,
}

impl<'a> Comparing<'a> {
    fn compare(&mut self) {
        for version in [&self.old, &self.new] {
            let relations = &version.sheet.policy.relations;
            if relations.iter().any(|t| t.relation.matching.is_some()) {
                self.diff.inexact.insert(
                    "roles of names that are patterns are compared for names that rows have alone"
                        .to_owned(),
                );
            }
            // Those of clearance are compared with their times.
            let asked = super::clearances::asked(version.sheet);
            let mut asked = asked.iter().filter_map(|number| relations.get(*number));
            if asked.any(|table| table.relation.windowed) {
                self.diff.inexact.insert(
                    "roles held for a time are compared for subjects that rules name alone"
                        .to_owned(),
                );
            }
        }
        let (old, new) = (self.old.sheet.policy, self.new.sheet.policy);
        let mut domains: BTreeSet<&'a str> = BTreeSet::from([""]);
        if self.domain.is_some() {
            domains = old.domains().chain(new.domains()).collect();
            domains.insert(FRESH);
        }
        for domain in domains {
            for (class, subjects) in self.classes(domain) {
                self.compare_class(domain, &class, &subjects);
            }
        }
    }

    /// The subjects of an organisation by the roles that they hold before and after; a stranger is among them.
    fn classes(&self, domain: &'a str) -> BTreeMap<Class<'a>, BTreeSet<&'a str>> {
        let mut subjects = BTreeSet::from([FRESH]);
        for version in [&self.old, &self.new] {
            for place in [domain, ""] {
                subjects.extend(version.members.get(place).into_iter().flatten());
            }
            let named = version.by_name.keys();
            let here = named.filter(|(place, _)| place.is_none_or(|place| place == domain));
            subjects.extend(here.filter_map(|(_, name)| *name));
        }
        let mut classes: BTreeMap<Class<'a>, BTreeSet<&'a str>> = BTreeMap::new();
        let named = |version: &Version<'a>, subject: &'a str| {
            let mut profile = version.profile(subject, domain);
            let known = |name: &&str| {
                [Some(domain), None]
                    .into_iter()
                    .any(|place| version.by_name.contains_key(&(place, Some(*name))))
            };
            profile.retain(known);
            profile
        };
        for subject in subjects {
            let class = (named(&self.old, subject), named(&self.new, subject));
            classes.entry(class).or_default().insert(subject);
        }
        classes
    }

    fn compare_class(&mut self, domain: &'a str, class: &Class<'a>, subjects: &BTreeSet<&'a str>) {
        let before = self.old.boxes_for(&class.0, domain);
        let after = self.new.boxes_for(&class.1, domain);
        if before == after && !self.remodelled {
            return;
        }
        let lacks = |list: &[&Placed<'a>], one: &&&Placed<'a>| !list.contains(*one);
        let mut changed: Vec<&Placed<'a>> = before
            .iter()
            .filter(|one| self.remodelled || lacks(&after, one))
            .copied()
            .collect();
        changed.extend(after.iter().filter(|one| lacks(&before, one)));
        if changed.is_empty()
            && self.old.sheet.effect() != crate::model::check::Effect::AllowAndDeny
        {
            // The same rules in another order: under priority that may matter.
            changed.extend(&after);
        }
        let mut within: Vec<Region<'a>> = Vec::new();
        let mut inexact = BTreeSet::new();
        for one in &changed {
            if let Some(text) = &one.opaque {
                inexact.insert(format!(
                    "`{text}` changes and has conditions or patterns that are only asked for one request"
                ));
            }
            if !within.contains(&one.region) {
                within.push(one.region.clone());
            }
        }
        if self.remodelled {
            within.push(vec![
                Cell::Any;
                self.old.sheet.section.context.arguments.len()
            ]);
        }
        let opaque = |one: &&Placed<'a>| one.opaque.is_some() && !changed.contains(one);
        if before.iter().chain(&after).any(opaque) {
            inexact.insert(
                "rules with conditions or regular expressions stand beside what changes: they were asked for one request of each kind"
                    .to_owned(),
            );
        }
        let others: Vec<&Region<'a>> = before.iter().chain(&after).map(|one| &one.region).collect();
        let mut regions: Vec<Region<'a>> = Vec::new();
        for region in &within {
            match parts(region, &others) {
                Some(parts) => regions.extend(parts),
                None => {
                    inexact
                        .insert("some rules overlap in too many ways to look at each".to_owned());
                    regions.push(region.clone());
                }
            }
        }
        let depth = others
            .iter()
            .flat_map(|region| region.iter())
            .map(depth_of)
            .max()
            .unwrap_or_default()
            + 1;
        self.diff.inexact.extend(inexact);
        self.ask_all(domain, &unique(regions), depth, subjects);
    }

    /// Asks both tables about each region, and keeps the largest regions that change.
    fn ask_all(
        &mut self,
        domain: &'a str,
        regions: &[Region<'a>],
        depth: usize,
        subjects: &BTreeSet<&'a str>,
    ) {
        let Some(representative) = subjects.first() else {
            return;
        };
        let mut answered: Vec<Answered<'_, 'a>> = Vec::new();
        for region in regions {
            let values: Option<Vec<_>> = region.iter().map(|cell| cell.witness(depth)).collect();
            let Some(mut values) = values else {
                continue;
            };
            for (place, value) in [(self.subject, *representative), (self.domain, domain)] {
                if let Some(cell) = place.and_then(|place| values.get_mut(place)) {
                    value.clone_into(cell);
                }
            }
            let values: Vec<_> = values.into_iter().map(Value::Text).collect();
            let before = self.old.ask(&values, self.time_unix_ms);
            let after = self.new.ask(&values, self.time_unix_ms);
            let direction = match (before.0, after.0) {
                (false, true) => Some(Direction::Gains),
                (true, false) => Some(Direction::Loses),
                (true, true) | (false, false) => None,
            };
            answered.push((region, direction, before.1, after.1));
        }
        let outside = |(region, ..): &Answered<'_, 'a>| {
            let holders = regions.iter().filter(|outer| contains(outer, region));
            holders.count()
        };
        answered.sort_by_cached_key(outside);
        self.report(&answered, domain, subjects);
    }

    /// Tells each region that changes, but those that are told with a larger one; the larger come first.
    fn report(
        &mut self,
        answered: &[Answered<'_, 'a>],
        domain: &'a str,
        subjects: &BTreeSet<&'a str>,
    ) {
        let inside =
            |outer: &Region<'a>, inner: &Region<'a>| outer != inner && contains(outer, inner);
        let mut told: Vec<(&Region<'a>, Direction)> = Vec::new();
        for (region, direction, before, after) in answered {
            let Some(direction) = *direction else {
                continue;
            };
            let unlike: Vec<&Region<'a>> = answered
                .iter()
                .filter(|(_, way, ..)| *way != Some(direction))
                .map(|(other, ..)| *other)
                .collect();
            let implied = told.iter().any(|(outer, way)| {
                let between = |other: &&Region<'a>| inside(outer, other) && inside(other, region);
                *way == direction && inside(outer, region) && !unlike.iter().any(between)
            });
            if implied {
                continue;
            }
            told.push((region, direction));
            let same: Vec<_> = unlike
                .iter()
                .filter(|other| inside(region, other))
                .collect();
            let widest = same
                .iter()
                .filter(|other| !same.iter().any(|wider| inside(wider, other)));
            let except = widest.map(|other| self.wants(other)).collect();
            let rules = (*before, *after);
            self.add(direction, domain, region, except, rules, subjects);
        }
    }

    fn add(
        &mut self,
        direction: Direction,
        domain: &str,
        region: &Region<'a>,
        except: Vec<Vec<(String, String)>>,
        (before, after): (Option<RuleId>, Option<RuleId>),
        subjects: &BTreeSet<&'a str>,
    ) {
        let before = before.and_then(|rule| rule_line(self.old.sheet.policy, rule));
        let after = after.and_then(|rule| rule_line(self.new.sheet.policy, rule));
        let (version, deciding) = match direction {
            Direction::Gains => (&self.new, &after),
            Direction::Loses => (&self.old, &before),
        };
        let role = deciding
            .as_ref()
            .map_or(String::new(), |rule| named_by(version.sheet, rule));
        let domain = if domain == FRESH { "*" } else { domain };
        let shown = |subject: &&str| {
            if *subject == FRESH {
                "anyone else".to_owned()
            } else {
                (*subject).to_owned()
            }
        };
        let subjects: BTreeSet<String> = subjects.iter().map(shown).collect();
        let delta = Delta {
            direction,
            domain: domain.to_owned(),
            role,
            subjects,
            wants: self.wants(region),
            except,
            before,
            after,
        };
        let same = |known: &&mut Delta| {
            (
                known.direction,
                &known.domain,
                &known.role,
                &known.wants,
                &known.except,
            ) == (
                delta.direction,
                &delta.domain,
                &delta.role,
                &delta.wants,
                &delta.except,
            )
        };
        match self.diff.deltas.iter_mut().find(same) {
            Some(known) => known.subjects.extend(delta.subjects),
            None => self.diff.deltas.push(delta),
        }
    }

    fn wants(&self, region: &Region<'a>) -> Vec<(String, String)> {
        let others =
            |argument: &usize| Some(*argument) != self.subject && Some(*argument) != self.domain;
        (0..region.len())
            .filter(others)
            .filter_map(|argument| {
                let cell = region.get(argument)?;
                Some((
                    self.old.sheet.argument_name(argument).to_owned(),
                    cell.shown(),
                ))
            })
            .collect()
    }
}

fn unique(regions: Vec<Region<'_>>) -> Vec<Region<'_>> {
    let mut seen = std::collections::HashSet::new();
    regions
        .into_iter()
        .filter(|region| seen.insert(region.clone()))
        .collect()
}

fn depth_of(cell: &Cell<'_>) -> usize {
    match cell {
        Cell::Any => 0,
        Cell::Like(places) => places.depth(),
    }
}

/// The name that a rule is for.
fn named_by(sheet: Sheet<'_>, rule: &RuleLine) -> String {
    let row = (0..sheet.len()).find(|row| sheet.line(*row) == rule.line);
    let column = sheet
        .argument(Fact::Subject)
        .and_then(|argument| sheet.column_of(argument));
    match (row, column) {
        (Some(row), Some(column)) => sheet.text(row, column).to_owned(),
        _ => String::new(),
    }
}
