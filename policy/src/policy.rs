//! A compiled policy: immutable, shared by all threads, swapped whole.

use crate::bounds::ARGUMENTS_MAX;
use crate::decision::{Decision, Permit, Refusal, RuleId};
use crate::engine::early::Early;
use crate::engine::eval::{Argument, Conditions, EvaluationFault, Scene};
use crate::engine::expr::Expr;
use crate::engine::index::{Index, Ruled};
use crate::engine::pattern::Patterns;
use crate::engine::roles::Roles;
use crate::engine::verdict::Outcome;
use crate::load;
use crate::model::check::{Context, Effect, Relation};
use crate::problem::{Problem, Source};
use crate::request::{Fact, Request};
use crate::rule::{RuleText, RuleView};
use crate::rules::symbols::{self, Symbol, Symbols};
use crate::rules::table::Rows;
use crate::value::{Attributes, Value, View};
use std::collections::BTreeSet;
use std::fmt;
use std::hint::black_box;

/// A model and its rules, compiled. It cannot be changed: build a new one and swap it.
pub struct Policy {
    pub(crate) model_name: String,
    pub(crate) rules_name: String,
    pub(crate) symbols: Symbols,
    pub(crate) sections: Vec<Section>,
    pub(crate) relations: Vec<RelationTable>,
    pub(crate) roles: Vec<Roles>,
    pub(crate) patterns: Patterns,
}

/// One context of the model with its rows.
pub(crate) struct Section {
    pub(crate) context: Context,
    /// Which fact of a request each argument is; empty for positional requests.
    pub(crate) facts: Vec<Fact>,
    pub(crate) rows: Rows,
    /// The rule number of the first row.
    pub(crate) first: u32,
    pub(crate) deny: Option<Symbol>,
    /// The rule number of the effect's line; the matcher's is the next.
    pub(crate) effect_rule: u32,
    /// Whether the matcher reads any field of the rows.
    pub(crate) reads_rows: bool,
    /// Without rows, the matcher with empty fields: where Casbin would raise an error.
    pub(crate) rowless: Option<Expr>,
    /// Whether the matcher evaluates conditions of the rows.
    pub(crate) evaluates: bool,
    /// The arguments, one bit each, whose number is asked for.
    pub(crate) by_number: u32,
    pub(crate) index: Index,
    /// The conditions for `eval()` that rows hold.
    pub(crate) conditions: Conditions,
}

/// The rows of one role relation.
pub(crate) struct RelationTable {
    pub(crate) relation: Relation,
    pub(crate) rows: Rows,
}

impl Policy {
    /// Compiles a model and its rules.
    ///
    /// # Errors
    /// All problems of the model, or if it has none, all of the rules (at most a hundred a file).
    pub fn compile(model: Source<'_>, rules: Source<'_>) -> Result<Self, Vec<Problem>> {
        load::compile(model, rules, load::Binding::Named)
    }

    /// As [`Self::compile`], for requests given as arguments in the order of the model's `r`, which may then have
    /// any names: what `hangu policy eval` takes. [`Self::decide`] permits nothing on such a policy.
    ///
    /// # Errors
    /// As [`Self::compile`].
    pub fn compile_positional(model: Source<'_>, rules: Source<'_>) -> Result<Self, Vec<Problem>> {
        load::compile(model, rules, load::Binding::Positional)
    }

    /// Bytes of memory that the rules, their texts and the tables over them take, roughly.
    pub fn memory_bytes(&self) -> usize {
        let sections = self
            .sections
            .iter()
            .map(|s| s.rows.bytes() + s.index.bytes());
        let relations = self.relations.iter().map(|r| r.rows.bytes());
        let roles = self.roles.iter().map(Roles::bytes);
        self.symbols.bytes() + sections.chain(relations).chain(roles).sum::<usize>()
    }

    /// How many rows say what is allowed or denied; role rows are not counted.
    pub fn rule_count(&self) -> usize {
        self.sections.iter().map(|section| section.rows.len()).sum()
    }

    /// The rows of one type, sections before relations.
    pub(crate) fn rows(&self, kind: usize) -> Option<&Rows> {
        match self.sections.get(kind) {
            Some(section) => Some(&section.rows),
            None => {
                let relation = self.relations.get(kind.checked_sub(self.sections.len())?);
                relation.map(|table| &table.rows)
            }
        }
    }

    /// How many numbers of rules it has: its rows, and two lines of the model for each section.
    pub(crate) fn numbers(&self) -> u32 {
        let last = self.sections.last();
        last.map_or(0, |section| section.effect_rule.saturating_add(2))
    }

    /// Which facts of a request the model's `r` names, by the first of their names, such as `sub` or `zone`; each as often as it is
    /// named. A caller that cannot know one of them must not use the policy.
    pub fn facts_read(&self) -> impl Iterator<Item = &'static str> {
        let facts = self.sections.iter().flat_map(|section| &section.facts);
        facts.map(|fact| fact.name())
    }

    /// Attributes of a fact, such as `query`, that the matcher of a context or a condition of its rows reads.
    pub fn attributes_read(&self, context: usize, fact: &str) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        if let (Some(section), Some(fact)) = (self.section(context), Fact::named(fact)) {
            let conditions = section.conditions.values();
            for expr in conditions.chain([&section.context.matcher]) {
                names.extend(section.attributes_in(expr, fact));
            }
        }
        names
    }

    /// The contexts of the model: 1 for `r, p, e, m`, 2 for `r2, p2, e2, m2`, and so on.
    pub fn contexts(&self) -> impl Iterator<Item = usize> {
        self.sections.iter().map(|section| section.context.number)
    }

    fn section(&self, context: usize) -> Option<&Section> {
        let mut sections = self.sections.iter();
        sections.find(|section| section.context.number == context)
    }

    /// Decides with the model's `r, p, e, m`, or with the context that the request names. Takes no lock and allocates
    /// nothing. The answer is [`Refusal::EvaluationError`] for a context that the model has not.
    pub fn decide(&self, request: &Request<'_>) -> Decision {
        self.decide_tagged(request, 0)
    }

    /// As [`Self::decide`], with the tag of the domain's text, or 0 where it is not known.
    #[inline]
    pub(crate) fn decide_tagged(&self, request: &Request<'_>, domain_tag: u32) -> Decision {
        let section = match request.context {
            None => self.sections.first(),
            Some(context) => self.section(usize::from(context.get())),
        };
        let Some(section) = section else {
            return Decision::Deny(Refusal::EvaluationError(
                RuleId(u32::MAX),
                EvaluationFault::UnknownContext,
            ));
        };
        if section.facts.len() != section.context.arguments.len() {
            return Decision::Deny(Refusal::EvaluationError(
                RuleId(u32::MAX),
                EvaluationFault::ArgumentCount,
            ));
        }
        if section.facts.len() <= FEW {
            let arguments = &mut [Argument::NONE; FEW];
            self.decide_named(section, arguments, request, domain_tag)
        } else {
            let arguments = &mut [Argument::NONE; Fact::COUNT];
            self.decide_named(section, arguments, request, domain_tag)
        }
    }

    fn decide_named<'a>(
        &self,
        section: &Section,
        arguments: &mut [Argument<'a>],
        request: &'a Request<'a>,
        domain_tag: u32,
    ) -> Decision {
        section.fill(arguments, request, domain_tag);
        let arguments = arguments.get_mut(..section.facts.len());
        self.decide_in(section, arguments.unwrap_or_default(), request.time_unix_ms)
    }

    /// Decides for arguments in the order of the model's `r`, with `r, p, e, m` for context 1, `r2, p2, e2, m2` for
    /// 2, and so on.
    ///
    /// The answer is [`Refusal::EvaluationError`] for a context that the model has not, or another number of
    /// arguments than it takes.
    pub fn decide_arguments(&self, context: usize, arguments: &[Value]) -> Decision {
        self.decide_arguments_at(context, arguments, None)
    }

    /// As [`Self::decide_arguments`], at a time in milliseconds since 1970: roles held for a time count only then.
    pub fn decide_arguments_at(
        &self,
        context: usize,
        arguments: &[Value],
        time_unix_ms: Option<i64>,
    ) -> Decision {
        let fault = |fault| Decision::Deny(Refusal::EvaluationError(RuleId(u32::MAX), fault));
        let Some(section) = self.section(context) else {
            return fault(EvaluationFault::UnknownContext);
        };
        if arguments.len() != section.context.arguments.len() {
            return fault(EvaluationFault::ArgumentCount);
        }
        let mut views = [Argument::NONE; ARGUMENTS_MAX];
        for (view, argument) in views.iter_mut().zip(arguments) {
            view.view = View::from(argument);
            view.attributes = Attributes::Values(argument.attributes());
        }
        let views = views.get_mut(..arguments.len());
        self.decide_in(section, views.unwrap_or_default(), time_unix_ms)
    }

    fn decide_in(
        &self,
        section: &Section,
        request: &mut [Argument<'_>],
        time_unix_ms: Option<i64>,
    ) -> Decision {
        let mut early = Early::default();
        self.number(section, request, &mut early);
        let scene = self.scene(section, request, time_unix_ms);
        if section.rows.len() == 0 || !section.reads_rows {
            return section.decide_without_rows(&scene);
        }
        match section.index.decide(&scene, section.ruled(), early.taken()) {
            Outcome::Allow(row) => Decision::Permit(Permit::granted_by(section.rule(row))),
            Outcome::AllowByDefault => {
                Decision::Permit(Permit::granted_by(RuleId(section.effect_rule)))
            }
            Outcome::Deny(row) => Decision::Deny(Refusal::ExplicitDeny(section.rule(row))),
            Outcome::Nothing => Decision::Deny(Refusal::NoRule),
            Outcome::Fault(row, fault) => {
                Decision::Deny(Refusal::EvaluationError(section.rule(row), fault))
            }
        }
    }

    /// A request before any row.
    pub(crate) fn scene<'s>(
        &'s self,
        section: &'s Section,
        request: &'s [Argument<'_>],
        time_unix_ms: Option<i64>,
    ) -> Scene<'s> {
        Scene {
            symbols: &self.symbols,
            patterns: &self.patterns,
            roles: &self.roles,
            conditions: &section.conditions,
            time_unix_ms,
            request,
            row: &[],
        }
    }

    /// Looks up the arguments that are asked for by number, and asks of memory what the index asks first: all hashes, then
    /// all places where they lead, then all texts there, then all numbers, so that memory is waited for twice and not twice
    /// for each.
    pub(crate) fn number(
        &self,
        section: &Section,
        request: &mut [Argument<'_>],
        early: &mut Early,
    ) {
        let mut touched = 0;
        for (index, argument) in request.iter_mut().enumerate() {
            if let Some(text) = section.text_to_number(index, argument) {
                if argument.tag == 0 {
                    argument.tag = symbols::tag(text);
                }
                touched ^= self.symbols.touch(argument.tag);
            }
        }
        let index = &section.index;
        index.prepare(request, early);
        touched ^= index.touch(early, request, &self.roles);
        black_box(touched);
        index.touch_again(early, request, &self.roles, &self.symbols);
        for (index, argument) in request.iter_mut().enumerate() {
            if let Some(text) = section.text_to_number(index, argument) {
                argument.likely = self.symbols.touch_text(argument.tag, text.len());
            }
        }
        for (index, argument) in request.iter_mut().enumerate() {
            if let Some(text) = section.text_to_number(index, argument) {
                let likely = argument.likely;
                argument.symbol = self.symbols.find_likely(text, argument.tag, likely);
            }
        }
    }

    /// Whether the names of some relation are patterns.
    pub(crate) fn matches_names_of_roles(&self) -> bool {
        self.roles.iter().any(|roles| roles.named().is_some())
    }

    /// Where a rule stands and what it says.
    pub fn rule(&self, id: RuleId) -> RuleView<'_> {
        for section in &self.sections {
            if id.0 == section.effect_rule || id.0 == section.effect_rule + 1 {
                return section.model_line(id, &self.model_name);
            }
            if let Some(row) = id.0.checked_sub(section.first)
                && (row as usize) < section.rows.len()
            {
                return RuleView {
                    file: &self.rules_name,
                    line: section.rows.line(row as usize),
                    text: RuleText::Row(
                        &section.context.shape,
                        section.rows.row(row as usize),
                        &self.symbols,
                    ),
                };
            }
        }
        RuleView {
            file: &self.rules_name,
            line: 0,
            text: RuleText::Model(""),
        }
    }

    /// Every domain that a rule or a role row names, each once.
    pub fn domains(&self) -> impl Iterator<Item = &str> {
        let mut seen = self.symbols.none();
        let roles = self
            .relations
            .iter()
            .filter(|r| r.relation.in_domains)
            .map(|r| (&r.rows, 2));
        let rules = self.sections.iter().filter_map(|section| {
            let column = section
                .context
                .shape
                .columns
                .iter()
                .position(|name| Fact::named(name) == Some(Fact::Domain))?;
            Some((&section.rows, column))
        });
        rules
            .chain(roles)
            .flat_map(|(rows, column)| {
                (0..rows.len()).filter_map(move |row| rows.field(row, column))
            })
            .filter(move |symbol| seen.mark(*symbol))
            .map(|symbol| self.symbols.text(symbol))
    }

    pub(crate) fn distinct<'a>(
        &'a self,
        rows: Option<&'a Rows>,
        column: usize,
    ) -> impl Iterator<Item = &'a str> {
        let mut seen = self.symbols.none();
        rows.into_iter()
            .flat_map(move |rows| (0..rows.len()).filter_map(move |row| rows.field(row, column)))
            .filter(move |symbol| seen.mark(*symbol))
            .map(|symbol| self.symbols.text(symbol))
    }
}

impl Section {
    /// The facts of a request in the order of the model's `r`; the tag of its domain is 0 where it is not known.
    #[inline]
    pub(crate) fn fill<'a>(
        &self,
        arguments: &mut [Argument<'a>],
        request: &'a Request<'a>,
        domain_tag: u32,
    ) {
        for (argument, fact) in arguments.iter_mut().zip(&self.facts) {
            argument.view = fact.of(request);
            if fact.has_attributes() {
                argument.attributes = fact.attributes_of(request);
            } else if *fact == Fact::Domain {
                argument.tag = domain_tag;
            }
        }
    }

    /// Attributes of a fact that an expression reads.
    pub(crate) fn attributes_in(&self, expr: &Expr, fact: Fact) -> Vec<String> {
        let mut found = Vec::new();
        expr.each(&mut |part| {
            if let Expr::Request { argument, path } = part
                && let Some((name, _)) = self.context.arguments.get(*argument)
                && Fact::named(name) == Some(fact)
                && let Some(attribute) = path.first()
            {
                found.push(attribute.to_string());
            }
        });
        found
    }

    /// The text of the argument at `index`, if it is asked for by number.
    fn text_to_number<'a>(&self, index: usize, argument: &Argument<'a>) -> Option<&'a str> {
        if let View::Text(text) = argument.view
            && self.by_number & (1 << index) != 0
        {
            return Some(text);
        }
        None
    }

    pub(crate) fn rule(&self, row: usize) -> RuleId {
        // INVARIANT: rows of all sections are at most `ROWS_MAX` each, counted at load to fit.
        RuleId(
            self.first
                .saturating_add(u32::try_from(row).unwrap_or(u32::MAX)),
        )
    }

    pub(crate) fn ruled(&self) -> Ruled<'_> {
        Ruled {
            rows: &self.rows,
            matcher: &self.context.matcher,
            effect: self.context.effect,
            deny: self.context.shape.effect.zip(self.deny),
        }
    }

    /// With no rows, or with a matcher that reads none: the request alone is judged, as Casbin does, but a term
    /// that reads a field of a row never holds, and nothing is permitted for want of a denial, nor where Casbin would raise an
    /// error on the way to what permits.
    fn decide_without_rows(&self, scene: &Scene<'_>) -> Decision {
        let rule = RuleId(self.effect_rule + 1);
        // Go raises an error where `eval()` has no rows to read, whatever else the matcher says.
        if self.evaluates && self.rows.len() == 0 {
            return Decision::Deny(Refusal::NoRule);
        }
        match scene.satisfies_without_rows(&self.context.matcher) {
            Ok(true) => match self
                .rowless
                .as_ref()
                .map(|matcher| scene.satisfies(matcher))
            {
                None | Some(Ok(true)) => Decision::Permit(Permit::granted_by(rule)),
                Some(Ok(false)) => Decision::Deny(Refusal::NoRule),
                Some(Err(fault)) => Decision::Deny(Refusal::EvaluationError(rule, fault)),
            },
            Ok(false) if self.context.effect == Effect::DenyOverride && self.rows.len() > 0 => {
                Decision::Permit(Permit::granted_by(RuleId(self.effect_rule)))
            }
            Ok(false) => Decision::Deny(Refusal::NoRule),
            Err(fault) => Decision::Deny(Refusal::EvaluationError(rule, fault)),
        }
    }

    fn model_line<'a>(&'a self, id: RuleId, file: &'a str) -> RuleView<'a> {
        let (at, text) = if id.0 == self.effect_rule {
            (self.context.effect_at, &self.context.effect_text)
        } else {
            (self.context.matcher_at, &self.context.matcher_text)
        };
        RuleView {
            file,
            line: at.line,
            text: RuleText::Model(text),
        }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("model", &self.model_name)
            .field("rules", &self.rules_name)
            .field("rule_count", &self.rule_count())
            .finish_non_exhaustive()
    }
}

/// Arguments that most models have at most: less memory to clear for each request.
const FEW: usize = 5;
