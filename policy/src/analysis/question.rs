//! One request put to every row: which rows match, and of those that do not, what kept them.

use super::reach::{Clause, Sheet};
use super::texts::{METHODS, distinct};
use crate::engine::eval::{Argument, Scene};
use crate::engine::expr::{Expr, PatternOf};
use crate::model::parser::Comparison;
use crate::policy::Policy;
use crate::request::Fact;
use crate::value::{Attributes, Value, View};
use std::fmt::Write;

/// A name of the model's `r`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ArgumentName {
    /// As the model calls it.
    pub name: String,
    /// What the gateway knows by that name: `sub`, `dom`, `obj`, `act`, `label`, `zone` …
    pub fact: Option<&'static str>,
    /// Whether rules and matcher write paths and methods as no gateway ever sees them, such as `data1` and `read`: the
    /// policy is about names then, not about requests.
    pub is_plain: bool,
}

/// The names of the request's arguments in a context, in order; none where the model has no such context.
pub fn argument_names(policy: &Policy, context: usize) -> Vec<ArgumentName> {
    let Some(sheet) = Sheet::of(policy, context) else {
        return Vec::new();
    };
    (0..sheet.section.context.arguments.len())
        .map(|argument| ArgumentName {
            name: sheet.argument_name(argument).to_owned(),
            fact: sheet.fact(argument).map(Fact::name),
            is_plain: is_plain(sheet, argument),
        })
        .collect()
}

/// Whether what is said of a path has no `/` anywhere, what is said of a method no method of HTTP; something must be said.
pub(crate) fn is_plain(sheet: Sheet<'_>, argument: usize) -> bool {
    let is_sent = |text: &str| match sheet.fact(argument) {
        Some(Fact::Path) => text.contains('/'),
        Some(Fact::Method) => text
            .split(|letter: char| !letter.is_ascii_alphabetic())
            .any(|word| METHODS.contains(&word.to_ascii_uppercase().as_str())),
        _ => true,
    };
    let (mut said, mut sent) = (false, false);
    let mut look = |text: &str| {
        said |= text != "*";
        sent |= text != "*" && is_sent(text);
    };
    if let Some(column) = sheet.column_of(argument) {
        for (_, text) in distinct(sheet, column) {
            look(text);
        }
    }
    sheet.section.context.matcher.each(&mut |expr| {
        if let Expr::Text(text) = expr {
            look(text);
        }
    });
    said && !sent
}

/// A request that is put to rows.
pub(crate) struct Question<'a> {
    sheet: Sheet<'a>,
    clauses: Vec<Clause<'a>>,
    request: Vec<Argument<'a>>,
    time_unix_ms: Option<i64>,
}

/// How near a row came.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Nearness<'a> {
    Matches,
    /// All terms of a clause hold but this one.
    AllBut(&'a Expr),
    Far,
}

impl<'a> Question<'a> {
    pub(crate) fn new(sheet: Sheet<'a>, arguments: &'a [Value], time_unix_ms: Option<i64>) -> Self {
        let request = arguments.iter().map(|value| {
            let mut argument = Argument::NONE;
            argument.view = View::from(value);
            argument.attributes = Attributes::Values(value.attributes());
            if let View::Text(text) = argument.view {
                argument.symbol = sheet.policy.symbols.find(text);
            }
            argument
        });
        Self {
            sheet,
            clauses: sheet.clauses(),
            request: request.collect(),
            time_unix_ms,
        }
    }

    fn scene<'s>(&'s self, row: usize) -> Scene<'s> {
        Scene {
            symbols: &self.sheet.policy.symbols,
            patterns: &self.sheet.policy.patterns,
            roles: &self.sheet.policy.roles,
            conditions: &self.sheet.section.conditions,
            time_unix_ms: self.time_unix_ms,
            request: &self.request,
            row: self.sheet.section.rows.row(row),
        }
    }

    /// How near a row comes to matching. A term that cannot be evaluated does not hold.
    pub(crate) fn nearness(&self, row: usize) -> Nearness<'a> {
        let scene = self.scene(row);
        let mut best = Nearness::Far;
        for clause in &self.clauses {
            let mut failed = None;
            let mut count = 0;
            for term in &clause.terms {
                let term: &Expr = term;
                if scene.satisfies(term) != Ok(true) {
                    count += 1;
                    failed = Some(term);
                    if count > 1 {
                        break;
                    }
                }
            }
            match (count, failed) {
                (0, _) => return Nearness::Matches,
                (1, Some(_)) if self.is_impossible(clause, row) => {}
                (1, Some(term)) => {
                    let position = clause
                        .terms
                        .iter()
                        .find(|other| std::ptr::eq(**other, term));
                    if let (Some(term), Nearness::Far) = (position, best) {
                        best = Nearness::AllBut(term);
                    }
                }
                _ => {}
            }
        }
        best
    }

    /// Whether a clause can never match a row, whatever is asked: a term of the row alone fails.
    fn is_impossible(&self, clause: &Clause<'a>, row: usize) -> bool {
        clause.terms.iter().any(|term| {
            matches!(term, Expr::Is { column, symbol } if self.sheet.symbol(row, *column) != Some(*symbol))
        })
    }

    /// One sentence: what a term wants of this request and does not get.
    pub(crate) fn failing(&self, term: &Expr, row: usize) -> String {
        if let Expr::Same { argument, column } = term {
            let (noun, value) = (self.noun(*argument), self.argument(*argument));
            let wanted = self.sheet.text(row, *column);
            return format!("the {noun} is {value}, the rule is for `{wanted}`");
        }
        if let Expr::Match {
            value,
            pattern: PatternOf::Rule { column },
            ..
        } = term
        {
            let argument = value.as_argument();
            let noun = argument.map_or("value", |argument| self.noun(argument));
            let (value, pattern) = (self.shown(value, row), self.sheet.text(row, *column));
            return format!("the {noun} {value} is not among `{pattern}`");
        }
        if let Expr::Role {
            who, role, domain, ..
        } = term
        {
            let within = domain.as_ref().map_or(String::new(), |domain| {
                format!(" in {}", self.shown(domain, row))
            });
            let (who, role) = (self.shown(who, row), self.shown(role, row));
            return format!("{who} does not hold {role}{within}");
        }
        if let Expr::Eval { column } = term {
            let fault = self.scene(row).satisfies(term).err();
            let fault = fault.map_or(String::new(), |fault| format!(": {fault}"));
            let condition = self.sheet.text(row, *column);
            return format!("its condition `{condition}` does not hold{fault}");
        }
        if let Expr::Compare(comparison, sides) = term {
            let (left, right) = (self.shown(&sides.0, row), self.shown(&sides.1, row));
            return format!("{left} {} {right} does not hold", written(*comparison));
        }
        if let Expr::Not(inner) = term {
            return format!("it is for others: {}", self.holding(inner, row));
        }
        "a condition of the matcher does not hold".to_owned()
    }

    fn holding(&self, term: &Expr, row: usize) -> String {
        if let Expr::Role { who, role, .. } = term {
            return format!("{} holds {}", self.shown(who, row), self.shown(role, row));
        }
        if let Expr::Same { argument, .. } = term {
            return format!(
                "the {} is {}",
                self.noun(*argument),
                self.argument(*argument)
            );
        }
        "a condition that must not hold does".to_owned()
    }

    /// What an argument is called in a sentence.
    pub(crate) fn noun(&self, argument: usize) -> &'a str {
        match self.sheet.fact(argument) {
            Some(Fact::Subject) => "subject",
            Some(Fact::Domain) => "organisation",
            Some(Fact::Path) => "path",
            Some(Fact::Method) => "method",
            _ => self.sheet.argument_name(argument),
        }
    }

    fn argument(&self, argument: usize) -> String {
        self.request
            .get(argument)
            .map_or(String::new(), |argument| view_text(argument.view))
    }

    fn shown(&self, expr: &Expr, row: usize) -> String {
        if let Expr::Rule { column } = expr {
            return format!("`{}`", self.sheet.text(row, *column));
        }
        if let Expr::Text(text) = expr {
            return format!("`{text}`");
        }
        if let Expr::Number(number) = expr {
            return format!("`{number}`");
        }
        let Expr::Request { argument, path } = expr else {
            return "a value".to_owned();
        };
        let value = self.scene(row).attribute(*argument, path);
        let value = value.map_or("nothing".to_owned(), view_text);
        if path.is_empty() {
            return value;
        }
        let name = self.sheet.argument_name(*argument);
        format!("{name}.{} ({value})", path.join("."))
    }

    /// Each argument with its value, for people.
    pub(crate) fn inputs(&self) -> Vec<(String, String)> {
        let bare = |value: String| {
            let inner = value.strip_prefix('`').and_then(|v| v.strip_suffix('`'));
            inner.map_or(value.clone(), str::to_owned)
        };
        let mut inputs = Vec::new();
        for (number, argument) in self.request.iter().enumerate() {
            let name = self.sheet.argument_name(number);
            inputs.push((name.to_owned(), bare(self.argument(number))));
            let Attributes::Values(attributes) = argument.attributes else {
                continue;
            };
            for (attribute, value) in attributes {
                let value = bare(view_text(View::from(value)));
                inputs.push((format!("{name}.{attribute}"), value));
            }
        }
        inputs
    }
}

fn written(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "==",
        Comparison::NotEqual => "!=",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
        Comparison::In => "in",
    }
}

/// A value in a sentence.
fn view_text(view: View<'_>) -> String {
    match view {
        View::Null => "nothing".to_owned(),
        View::Bool(value) => format!("`{value}`"),
        View::Number(number) => format!("`{number}`"),
        View::Text(text) => format!("`{text}`"),
        View::List(items) => format!("a list of {}", items.len()),
        View::Object(fields) => {
            let mut shown = String::from("`{");
            for (index, (name, value)) in fields.iter().enumerate() {
                let value = view_text(View::from(value));
                let comma = if index == 0 { "" } else { ", " };
                // Writing into a string cannot fail.
                let _written = write!(shown, "{comma}{name}: {}", value.trim_matches('`'));
            }
            shown + "}`"
        }
    }
}
