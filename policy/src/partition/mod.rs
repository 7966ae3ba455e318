//! A policy in partitions, one for each organisation: what a gateway decides with.
//!
//! Why: a national platform has a million rules of a hundred organisations, and each changes its own. A partition is
//! a [`Policy`] of its own with its texts, roles and tables, shared by the generations that have the same rows; a new
//! generation compiles what has changed and takes the rest as it is. Readers keep the generation that they have.
//!
//! A model can be parted when no request can match, or fail at, a row of another organisation ([`Parting::of`]); what
//! it cannot part is one partition. Either way the answers are those of [`Policy::compile`] over the same rows: a test
//! holds it to that.

mod part;
mod split;
#[cfg(test)]
mod tests;

use crate::decision::{Decision, RuleId};
use crate::engine::table::Table;
use crate::load::Binding;
use crate::overridden::Overridden;
use crate::policy::Policy;
use crate::problem::{Place, Problem, Problems, Source};
use crate::request::Request;
use crate::rule::RuleView;
use crate::rules::symbols::{self, hash};
use crate::rules::table;
use part::{Part, Parting};
use split::{Common, Split};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// A model and its rules, compiled by organisation. It cannot be changed: make the next one from it and swap.
pub struct PartitionedPolicy {
    model: Arc<Model>,
    /// Rows of no organisation, which every partition holds.
    common: Arc<Common>,
    parts: Vec<Part>,
    /// From the hash of an organisation's name to its place in `parts`.
    by_domain: Table,
    /// What answers for every other organisation; all there is where the policy is not parted.
    rest: Part,
    parted: bool,
    permits_may_override: bool,
}

/// The model as it was read.
struct Model {
    name: String,
    text: String,
    /// How rows are parted, if they can be.
    parting: Option<Parting>,
}

impl Model {
    fn source(&self) -> Source<'_> {
        Source {
            name: &self.name,
            text: &self.text,
        }
    }
}

impl PartitionedPolicy {
    /// Compiles a model and its rules.
    ///
    /// # Errors
    /// As [`Policy::compile`].
    pub fn compile(model: Source<'_>, rules: Source<'_>) -> Result<Self, Vec<Problem>> {
        Self::compile_after(None, model, rules)
    }

    /// As [`Self::compile`]; partitions whose rows are those of `before`, in the same order, are taken from it.
    ///
    /// # Errors
    /// As [`Policy::compile`].
    pub fn compile_after(
        before: Option<&Self>,
        model: Source<'_>,
        rules: Source<'_>,
    ) -> Result<Self, Vec<Problem>> {
        let before = before.filter(|before| before.model.source() == model);
        let model = match before {
            Some(before) => Arc::clone(&before.model),
            None => Arc::new(Model {
                name: model.name.to_owned(),
                text: model.text.to_owned(),
                parting: Parting::of(&Policy::compile(model, NO_RULES)?),
            }),
        };
        let split = model
            .parting
            .as_ref()
            .and_then(|parting| Split::of(rules, parting, before));
        let parted = split.and_then(|split| Self::parted(&model, rules.name, &split));
        match parted {
            Some(parted) => Ok(parted),
            // What is wrong is told of the file as a whole.
            None => Self::whole(model, rules),
        }
    }

    /// One partition that holds everything.
    fn whole(model: Arc<Model>, rules: Source<'_>) -> Result<Self, Vec<Problem>> {
        let policy = Policy::compile(model.source(), rules)?;
        Ok(Self::of_whole(model, policy))
    }

    fn of_whole(model: Arc<Model>, policy: Policy) -> Self {
        Self {
            model,
            common: Arc::default(),
            parts: Vec::new(),
            by_domain: Table::default(),
            permits_may_override: policy.permits_may_override(),
            rest: Part::whole(policy),
            parted: false,
        }
    }

    /// The partitions of rows that have been split; `None` if any of them has a problem.
    fn parted(model: &Arc<Model>, rules_name: &str, split: &Split<'_>) -> Option<Self> {
        let (rest, parts) = part::compile(model.source(), rules_name, split)?;
        let common = Arc::new(split.common());
        Self::joined(Arc::clone(model), common, parts, rest)
    }

    /// Numbers the rules of all partitions; `None` if together they are more than one policy may be.
    fn joined(
        model: Arc<Model>,
        common: Arc<Common>,
        mut parts: Vec<Part>,
        mut rest: Part,
    ) -> Option<Self> {
        if !part::within_bounds(parts.iter().chain([&rest])) {
            return None;
        }
        let mut first = 0_u32;
        for part in parts.iter_mut().chain([&mut rest]) {
            part.first = first;
            first = first.checked_add(part.policy.numbers())?;
        }
        let permits_may_override =
            (parts.iter().chain([&rest])).any(|part| part.policy.permits_may_override());
        let domains = parts.iter().zip(0_u32..);
        let pairs = domains.map(|(part, index)| (hash(part.domain.as_bytes()), index));
        Some(Self {
            by_domain: Table::build(pairs.collect()),
            permits_may_override,
            model,
            common,
            parts,
            rest,
            parted: true,
        })
    }

    /// The same policy with other rows for one organisation, whose name every one of them must have; without rows it
    /// loses those that it has. Takes the time of these rows, not of the policy's.
    ///
    /// # Errors
    /// All problems of these rows (at most a hundred); one if the model cannot be parted, or if the policy would be too large.
    pub fn with_partition(&self, domain: &str, rules: Source<'_>) -> Result<Self, Vec<Problem>> {
        let refused = |what: &str, fix: &str| {
            let mut problems = Problems::new(rules.name);
            problems.add(Place { line: 1, column: 1 }, what, fix);
            problems.into_vec()
        };
        let Some(parting) = self.model.parting.as_ref().filter(|_| self.parted) else {
            return Err(refused(
                "the model lets rows of one organisation decide for another, or the policy is not parted",
                "load the policy as a whole",
            ));
        };
        let mut problems = Problems::new(rules.name);
        let lines: Vec<_> = table::lines(rules, &mut problems).collect();
        split::check(&lines, parting, domain, &mut problems);
        if !problems.is_empty() {
            return Err(problems.into_vec());
        }
        let part = Part::compile_alone(self.model.source(), rules, domain, &self.common, &lines)?;
        let mut parts: Vec<_> = self
            .parts
            .iter()
            .filter(|part| *part.domain != *domain)
            .cloned()
            .collect();
        parts.extend(part);
        let joined = Self::joined(
            Arc::clone(&self.model),
            Arc::clone(&self.common),
            parts,
            self.rest.clone(),
        );
        joined.ok_or_else(|| {
            refused(
                "with these rows the policy is too large",
                "use fewer rows, or fewer patterns that are more than whole segments",
            )
        })
    }

    /// Decides as [`Policy::decide`]. Takes no lock and allocates nothing.
    #[inline]
    pub fn decide(&self, request: &Request<'_>) -> Decision {
        let hash = hash(request.domain.as_bytes());
        let part = self.part_of(hash, request.domain).unwrap_or(&self.rest);
        let decision = part.policy.decide_tagged(request, symbols::tag_of(hash));
        decision.numbered_from(part.first)
    }

    /// As [`Policy::overridden`].
    pub fn overridden(&self, request: &Request<'_>, rule: RuleId) -> Overridden {
        let part = self.part(request.domain).unwrap_or(&self.rest);
        let own = rule.0.checked_sub(part.first).map(RuleId);
        own.map_or_else(Overridden::default, |own| {
            part.policy
                .overridden(request, own)
                .numbered_from(part.first)
        })
    }

    /// As [`Policy::permits_may_override`]: costs nothing.
    pub fn permits_may_override(&self) -> bool {
        self.permits_may_override
    }

    /// As [`Policy::clears`].
    pub fn clears(
        &self,
        subject: &str,
        domain: &str,
        label: &str,
        time_unix_ms: Option<i64>,
    ) -> bool {
        let part = self.part(domain).unwrap_or(&self.rest);
        part.policy.clears(subject, domain, label, time_unix_ms)
    }

    /// Where a rule stands and what it says.
    pub fn rule(&self, id: RuleId) -> RuleView<'_> {
        let after = self.parts.partition_point(|part| part.first <= id.0);
        let part = match after.checked_sub(1) {
            Some(index) if id.0 < self.rest.first => self.parts.get(index),
            _ => None,
        };
        part.unwrap_or(&self.rest).rule(id)
    }

    /// How many numbers its rules have, from 0: rows, and lines of the model that decide where no row does.
    pub fn rule_numbers(&self) -> usize {
        self.rest.first as usize + self.rest.policy.numbers() as usize
    }

    /// Every rule with its number, rows and lines of the model, in the order of the numbers.
    pub fn rules(&self) -> impl Iterator<Item = (RuleId, RuleView<'_>)> {
        let parts = self.parts.iter().chain([&self.rest]);
        parts.flat_map(|part| {
            let numbers = part.first..part.first.saturating_add(part.policy.numbers());
            numbers.map(|number| (RuleId(number), part.rule(RuleId(number))))
        })
    }

    /// The policy that decides for an organisation: one with the rows of others, where they are not parted.
    ///
    /// Its rules have numbers of their own: ask it, not this one, about a [`RuleId`] that it gave.
    pub fn policy_of(&self, domain: &str) -> &Policy {
        &self.part(domain).unwrap_or(&self.rest).policy
    }

    /// How many rows say what is allowed or denied; role rows are not counted.
    pub fn rule_count(&self) -> usize {
        let parts = self.parts.iter().chain([&self.rest]);
        parts.map(|part| part.policy.rule_count()).sum()
    }

    /// Bytes of memory that the rules, their texts and the tables over them take, roughly.
    pub fn memory_bytes(&self) -> usize {
        let parts = self.parts.iter().chain([&self.rest]);
        parts.map(Part::bytes).sum::<usize>() + self.by_domain.bytes() + self.common.bytes()
    }

    /// As [`Policy::contexts`].
    pub fn contexts(&self) -> impl Iterator<Item = usize> {
        self.rest.policy.contexts()
    }

    /// As [`Policy::facts_read`].
    pub fn facts_read(&self) -> impl Iterator<Item = &'static str> {
        self.rest.policy.facts_read()
    }

    /// As [`Policy::attributes_read`], of all organisations.
    pub fn attributes_read(&self, context: usize, fact: &str) -> BTreeSet<String> {
        let parts = self.parts.iter().chain([&self.rest]);
        let names = parts.map(|part| part.policy.attributes_read(context, fact));
        names.flatten().collect()
    }

    /// As [`Policy::clearance_labels`].
    pub fn clearance_labels(&self) -> impl Iterator<Item = &str> {
        self.rest.policy.clearance_labels()
    }

    /// As [`Policy::domains`], in the order in which they were first named.
    pub fn domains(&self) -> impl Iterator<Item = &str> {
        let parts = self.parts.iter().map(|part| &*part.domain);
        parts.chain(self.rest.policy.domains())
    }

    /// How many partitions it has; 1 if it is not parted.
    pub fn partition_count(&self) -> usize {
        self.parts.len().max(1)
    }

    /// How many of its partitions it shares with `other`.
    pub fn partitions_shared_with(&self, other: &Self) -> usize {
        let shared = |part: &&Part| {
            let other = other.part(&part.domain);
            other.is_some_and(|other| Arc::ptr_eq(&other.policy, &part.policy))
        };
        self.parts.iter().filter(shared).count()
    }

    #[inline]
    fn part(&self, domain: &str) -> Option<&Part> {
        self.part_of(hash(domain.as_bytes()), domain)
    }

    #[inline]
    fn part_of(&self, hash: u64, domain: &str) -> Option<&Part> {
        let mut found = None;
        self.by_domain.each(hash, |index| {
            if let Some(part) = self.parts.get(index as usize)
                && *part.domain == *domain
            {
                found = Some(part);
            }
        });
        found
    }
}

impl fmt::Debug for PartitionedPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionedPolicy")
            .field("model", &self.model.name)
            .field("partition_count", &self.partition_count())
            .field("rule_count", &self.rule_count())
            .finish_non_exhaustive()
    }
}

const NO_RULES: Source<'_> = Source { name: "", text: "" };
/// Requests by name: the only ones that a gateway makes.
const BINDING: Binding = Binding::Named;
