//! One partition, and whether a model can be parted at all.

use super::BINDING;
use super::split::{Common, Line, Lines, Split};
use crate::bounds::{COMPILED_MAX, ROLES_HELD_MAX, ROWS_MAX};
use crate::decision::RuleId;
use crate::engine::expr::Expr;
use crate::load;
use crate::model::check::Effect;
use crate::policy::{Policy, Section};
use crate::problem::{Problem, Problems, Source};
use crate::request::Fact;
use crate::rule::RuleView;
use crate::rules::csv::Field;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// The rows of one organisation, compiled.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) domain: Box<str>,
    pub(super) policy: Arc<Policy>,
    /// The number of its first rule among all.
    pub(super) first: u32,
    /// The line in the file of each of its lines, in order; empty where they are the same.
    lines: Arc<[u32]>,
}

impl Part {
    /// A part that holds everything.
    pub(super) fn whole(policy: Policy) -> Self {
        Self {
            domain: Box::default(),
            policy: Arc::new(policy),
            first: 0,
            lines: Arc::default(),
        }
    }

    /// Compiles the rows of one organisation that have a file of their own; nothing if there are none.
    pub(super) fn compile_alone(
        model: Source<'_>,
        rules: Source<'_>,
        domain: &str,
        common: &Common,
        own: &[(usize, &str)],
    ) -> Result<Option<Self>, Vec<Problem>> {
        let common = common.lines.iter().map(|line| (0, &**line));
        let lines = own.iter().copied().chain(common);
        let problems = Problems::new(rules.name);
        let policy = load::compile_lines(model, rules, lines, BINDING, problems)?;
        let empty = policy.rule_count() == 0
            && (policy.relations.iter())
                .all(|table| !table.relation.in_domains || table.rows.len() == 0);
        Ok((!empty).then(|| Self {
            domain: domain.into(),
            policy: Arc::new(policy),
            first: 0,
            lines: Arc::default(),
        }))
    }

    /// Where a rule of this part stands, by its number among all.
    pub(super) fn rule(&self, id: RuleId) -> RuleView<'_> {
        let own = RuleId(id.0.saturating_sub(self.first));
        let mut view = self.policy.rule(own);
        if view.is_row() && !self.lines.is_empty() {
            let line = self.lines.get(view.line.saturating_sub(1));
            view.line = line.copied().unwrap_or_default() as usize;
        }
        view
    }

    pub(super) fn bytes(&self) -> usize {
        self.policy.memory_bytes() + size_of_val(&*self.lines)
    }
}

/// Compiles every part that has not been compiled; `None` if one has a problem.
pub(super) fn compile(
    model: Source<'_>,
    rules_name: &str,
    split: &Split<'_>,
) -> Option<(Part, Vec<Part>)> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(vec![None; split.parts.len()]);
    let work = || {
        // A problem stops this thread, and leaves its place empty.
        while let Some((index, lines)) = take(&next, &split.parts) {
            let part = one(model, rules_name, &split.common, lines);
            let Ok(mut done) = done.lock() else {
                return;
            };
            match (done.get_mut(index), part) {
                (Some(place), Some(part)) => *place = Some(part),
                _ => return,
            }
        }
    };
    let half = thread::available_parallelism().map_or(1, NonZeroUsize::get) / 2;
    thread::scope(|scope| {
        for _ in 1..half.clamp(1, THREADS_MAX) {
            scope.spawn(work);
        }
        work();
    });
    let rest = one(model, rules_name, &Lines::default(), &split.common)?;
    let parts: Option<Vec<_>> = done.into_inner().ok()?.into_iter().collect();
    Some((rest, parts?))
}

fn take<'s, 'a>(next: &AtomicUsize, parts: &'s [Lines<'a>]) -> Option<(usize, &'s Lines<'a>)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    Some((index, parts.get(index)?))
}

fn one(model: Source<'_>, rules_name: &str, common: &Lines<'_>, own: &Lines<'_>) -> Option<Part> {
    let all = || own.lines.iter().chain(&common.lines);
    let policy = match own.compiled() {
        Some(policy) => Arc::clone(policy),
        None => {
            let rules = Source {
                name: rules_name,
                text: "",
            };
            let numbered = (1..).zip(all().map(|(_, line): &Line<'_>| *line));
            let problems = Problems::new(rules_name);
            Arc::new(load::compile_lines(model, rules, numbered, BINDING, problems).ok()?)
        }
    };
    Some(Part {
        domain: own.domain.clone(),
        policy,
        first: 0,
        lines: all().map(|(number, _)| *number).collect(),
    })
}

/// Whether parts are together no more than one policy may be.
pub(super) fn within_bounds<'a>(parts: impl Iterator<Item = &'a Part>) -> bool {
    let (mut rows, mut compiled, mut roles) = (0, 0, 0);
    for part in parts {
        rows += part.policy.rule_count();
        compiled += part.policy.patterns.compiled();
        roles += part.policy.roles.iter().map(|r| r.size()).sum::<usize>();
    }
    rows <= ROWS_MAX && compiled <= COMPILED_MAX && roles <= ROLES_HELD_MAX
}

/// How the rows of a model are parted by organisation.
#[derive(Debug)]
pub(super) struct Parting {
    /// For each type of row, sections before relations, its name, and which field after it names the organisation.
    columns: Vec<(String, Option<usize>)>,
}

impl Parting {
    /// How the rows of this policy's model are parted, if no row of one organisation can have a part in an answer for
    /// another: every alternative of a matcher wants the organisation of the request in the row, roles are held in
    /// that one, and no term can fail, for casbin fails at any row.
    pub(super) fn of(policy: &Policy) -> Option<Self> {
        let mut columns = Vec::new();
        for section in &policy.sections {
            let column = column_of(policy, section)?;
            columns.push((section.context.shape.name.clone(), Some(column)));
        }
        for table in &policy.relations {
            let relation = &table.relation;
            if relation.domain_patterns || relation.windowed || relation.matching.is_some() {
                return None;
            }
            let column = relation.in_domains.then_some(2);
            columns.push((relation.name.clone(), column));
        }
        let parted = policy.relations.iter().any(|t| t.relation.in_domains);
        (parted || !policy.sections.is_empty()).then_some(Self { columns })
    }

    /// The type of a row by its number, and its organisation if it is of one; `None` if there is no such row.
    pub(super) fn domain<'f>(&self, fields: &'f [Field<'_>]) -> Option<(usize, Option<&'f str>)> {
        let (first, values) = fields.split_first()?;
        let known = |(name, _): &(String, Option<usize>)| *name == first.text;
        let kind = self.columns.iter().position(known)?;
        match self.columns.get(kind)?.1 {
            Some(column) => Some((kind, Some(&*values.get(column)?.text))),
            None => Some((kind, None)),
        }
    }

    /// The types of rows that are of no organisation.
    pub(super) fn kinds_in_common(&self) -> impl Iterator<Item = usize> {
        let columns = self.columns.iter().enumerate();
        columns.filter_map(|(kind, (_, column))| column.is_none().then_some(kind))
    }

    /// The types of rows that are of one.
    pub(super) fn kinds_of_organisations(&self) -> impl Iterator<Item = usize> {
        let columns = self.columns.iter().enumerate();
        columns.filter_map(|(kind, (_, column))| column.map(|_| kind))
    }
}

/// The column of the organisation.
fn column_of(policy: &Policy, section: &Section) -> Option<usize> {
    let domain = section.facts.iter().position(|f| *f == Fact::Domain)?;
    let parts = section.context.matcher.disjuncts();
    let wanted = |part: &Expr| {
        part.conjuncts().iter().find_map(|term| {
            if let Expr::Same { argument, column } = term
                && *argument == domain
            {
                return Some(*column);
            }
            None
        })
    };
    let column = parts.first().and_then(wanted)?;
    let everywhere = parts.iter().all(|part| wanted(part) == Some(column));
    let mut own = true;
    section.context.matcher.each(&mut |expr| {
        if let Expr::Role {
            relation,
            domain: within,
            ..
        } = expr
        {
            let relation = policy.relations.get(*relation);
            let in_domains = relation.is_some_and(|table| table.relation.in_domains);
            let asked = within.as_ref().and_then(|within| within.as_argument());
            own &= !in_domains || asked == Some(domain);
        }
        own &= !matches!(expr, Expr::Eval { .. });
    });
    let plain = matches!(
        section.context.effect,
        Effect::AllowOverride | Effect::AllowAndDeny | Effect::Priority
    );
    (everywhere && own && plain && section.index.needs_texts_only()).then_some(column)
}

/// Threads that compile partitions, at most: half of the processors serve on.
const THREADS_MAX: usize = 4;
