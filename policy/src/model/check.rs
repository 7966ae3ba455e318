//! A model as meant: which arguments a request has, which columns a row, and the expression that joins them.

use super::conf::{Definition, Section};
use super::parser;
use super::resolve::{Origin, Resolver};
use super::role_matching;
use crate::engine::expr::{Expr, Type};
use crate::engine::pattern::{Matching, Patterns};
use crate::load::Binding;
use crate::problem::{Place, Problems};
use crate::rules::symbols::Symbols;
use crate::rules::table::Shape;

/// How the effects of the matching rows become one answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Effect {
    /// One row that allows is enough.
    AllowOverride,
    /// Allowed unless a row denies.
    DenyOverride,
    /// One row must allow and none deny.
    AllowAndDeny,
    /// The first row that matches decides.
    Priority,
    /// The same, with rows in the order of their subjects: the deepest in the tree of roles first.
    SubjectPriority,
}

impl Effect {
    const ALL: [(&'static str, Self); 5] = [
        ("some(where (p.eft == allow))", Self::AllowOverride),
        ("!some(where (p.eft == deny))", Self::DenyOverride),
        (
            "some(where (p.eft == allow)) && !some(where (p.eft == deny))",
            Self::AllowAndDeny,
        ),
        ("priority(p.eft) || deny", Self::Priority),
        ("subjectPriority(p.eft) || deny", Self::SubjectPriority),
    ];
}

/// One `r`, `p`, `e` and `m` that belong together.
#[derive(Debug)]
pub(crate) struct Context {
    /// 1 for `r, p, e, m`; 2 for `r2, p2, e2, m2`.
    pub(crate) number: usize,
    pub(crate) binding: Binding,
    /// The names of the request's arguments, in order, each with its place.
    pub(crate) arguments: Vec<(String, Place)>,
    pub(crate) shape: Shape,
    pub(crate) effect: Effect,
    pub(crate) effect_at: Place,
    pub(crate) effect_text: String,
    pub(crate) matcher: Expr,
    pub(crate) matcher_at: Place,
    pub(crate) matcher_text: String,
}

/// One relation of roles.
#[derive(Clone, Debug)]
pub(crate) struct Relation {
    pub(crate) name: String,
    /// Whether roles are held in a domain.
    pub(crate) in_domains: bool,
    /// Whether the domains of its rows are patterns.
    pub(crate) domain_patterns: bool,
    /// The function that matches its names, if the model gives one.
    pub(crate) matching: Option<Matching>,
    /// Whether its rows have a start and an end.
    pub(crate) windowed: bool,
}

/// A whole model.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) contexts: Vec<Context>,
    pub(crate) relations: Vec<Relation>,
}

/// Checks the definitions of a model; what cannot be compiled is a problem.
pub(crate) fn check(
    definitions: &[Definition],
    binding: Binding,
    symbols: &mut Symbols,
    patterns: &mut Patterns,
    problems: &mut Problems<'_>,
) -> Model {
    let relations = relations(definitions, problems);
    let mut contexts = Vec::new();
    let mut numbers: Vec<usize> = definitions
        .iter()
        .filter(|d| d.section != Section::Role && !d.section.is_matching())
        .map(|d| d.number)
        .collect();
    numbers.push(1);
    numbers.sort_unstable();
    numbers.dedup();
    for number in numbers {
        let asked = Asked {
            number,
            binding,
            definitions,
            relations: &relations,
        };
        if let Some(context) = asked.context(symbols, patterns, problems) {
            contexts.push(context);
        }
    }
    Model {
        contexts,
        relations,
    }
}

/// The context that is asked for.
struct Asked<'a> {
    number: usize,
    binding: Binding,
    definitions: &'a [Definition],
    relations: &'a [Relation],
}

impl Asked<'_> {
    fn context(
        &self,
        symbols: &mut Symbols,
        patterns: &mut Patterns,
        problems: &mut Problems<'_>,
    ) -> Option<Context> {
        let Self {
            number,
            binding,
            definitions,
            relations,
        } = *self;
        let find = |section| {
            definitions
                .iter()
                .find(|d| d.section == section && d.number == number)
        };
        let wanted = [
            Section::Request,
            Section::Policy,
            Section::Effect,
            Section::Matcher,
        ];
        let start = definitions
            .iter()
            .find(|d| d.number == number)
            .map(|d| d.at);
        for section in wanted {
            if find(section).is_none() {
                let name = numbered(section.letter(), number);
                problems.add(
                    start.unwrap_or(Place { line: 1, column: 1 }),
                    format!("`{name}` is missing in section `{}`", section.title()),
                    format!("a model needs `r`, `p`, `e` and `m` with one number; define `{name}`"),
                );
            }
        }
        let request = names(find(Section::Request)?, problems);
        let policy = find(Section::Policy)?;
        let columns = names(policy, problems);
        let effect = find(Section::Effect)?;
        let matcher = find(Section::Matcher)?;
        let position = |wanted: &str| columns.iter().position(|(name, _)| name == wanted);
        let shape = Shape {
            name: numbered("p", number),
            effect: position("eft"),
            priority: position("priority"),
            columns: columns.iter().map(|(name, _)| name.clone()).collect(),
        };
        let mut resolver = Resolver {
            number,
            origin: Origin::Matcher,
            binding,
            arguments: &request,
            columns: &shape.columns,
            relations,
            symbols,
            patterns,
            phrase: &matcher.value,
            problems,
        };
        let expr = condition(&mut resolver);
        let effect_kind = effect_of(effect, problems);
        Some(Context {
            number,
            binding,
            arguments: request,
            shape,
            effect: effect_kind?,
            effect_at: effect.at,
            effect_text: effect.value.text.clone(),
            matcher: expr?,
            matcher_at: matcher.at,
            matcher_text: matcher.value.text.clone(),
        })
    }
}

/// The condition that a resolver's phrase is.
pub(crate) fn condition(resolver: &mut Resolver<'_, '_>) -> Option<Expr> {
    let phrase = resolver.phrase;
    let node = match parser::parse(&phrase.text) {
        Ok(node) => node,
        Err(fault) => {
            resolver.refuse(fault.at, fault.what, fault.fix);
            return None;
        }
    };
    let expr = resolver.resolve(&node)?;
    if !matches!(expr.type_of(), Type::Bool | Type::Unknown) {
        resolver.refuse(
            node.at,
            "a value where a condition is needed",
            "compare it with something",
        );
        return None;
    }
    Some(expr)
}

/// The names of `r = a, b` or `p = a, b`, each with its place.
fn names(definition: &Definition, problems: &mut Problems<'_>) -> Vec<(String, Place)> {
    let text = &definition.value.text;
    let mut offset = 0;
    let mut names: Vec<(String, Place)> = Vec::new();
    for part in text.split(',') {
        let start = offset + (part.len() - part.trim_start().len());
        offset += part.len() + 1;
        let name = part.trim();
        let at = definition.value.place(start);
        let valid = name.chars().all(|c| c.is_alphanumeric() || c == '_')
            && name.chars().next().is_some_and(|c| !c.is_numeric());
        if !valid {
            problems.add(
                at,
                format!("`{name}` is not a name"),
                "separate names of letters, digits and `_` with commas",
            );
        } else if names.iter().any(|(known, _)| known == name) {
            problems.add(at, format!("`{name}` is named twice"), "rename one");
        } else {
            names.push((name.to_owned(), at));
        }
    }
    names
}

fn effect_of(definition: &Definition, problems: &mut Problems<'_>) -> Option<Effect> {
    let text = &definition.value.text;
    let found = Effect::ALL.into_iter().find(|(known, _)| known == text);
    if found.is_none() {
        let known: Vec<_> = Effect::ALL.iter().map(|(text, _)| *text).collect();
        problems.add(
            definition.value.place(0),
            format!("policy effect `{text}` is not known"),
            format!(
                "write one of these, to the letter: `{}`",
                known.join("`, `")
            ),
        );
    }
    found.map(|(_, effect)| effect)
}

fn relations(definitions: &[Definition], problems: &mut Problems<'_>) -> Vec<Relation> {
    let mut relations = Vec::new();
    let mut wanted = 1;
    while let Some(definition) = definitions
        .iter()
        .find(|d| d.section == Section::Role && d.number == wanted)
    {
        wanted += 1;
        let name = numbered("g", definition.number);
        let text = definition.value.text.as_str();
        let (names, window) = match text.split_once('(') {
            Some((names, window)) => (names.trim_end().trim_end_matches(','), Some(window)),
            None => (text, None),
        };
        let parts: Vec<_> = names.split(',').map(str::trim).collect();
        let plain = parts.iter().all(|part| *part == "_") && (2..=3).contains(&parts.len());
        let timed = window.is_none_or(|window| {
            let inside = window.strip_suffix(')').unwrap_or_default();
            inside.split(',').map(str::trim).eq(["_", "_"])
        });
        if !plain || !timed {
            problems.add(
                definition.value.place(0),
                format!("role definition `{text}` is not compiled"),
                "write `_, _`; for roles in domains `_, _, _`; for roles held for a time `_, _, (_, _)`",
            );
        }
        let in_domains = parts.len() == 3;
        let said = role_matching::of(definitions, definition.number, in_domains, problems);
        let domain_patterns = in_domains && (said.domains || matches_domains(definitions));
        if said.names.is_some() && window.is_some() {
            problems.add(
                definition.value.place(0),
                "roles held for a time in a relation whose names are patterns",
                "use a relation of its own for each",
            );
        }
        if domain_patterns && window.is_some() {
            problems.add(
                definition.value.place(0),
                "roles held for a time in domains that the matcher takes as patterns",
                "compare domains with `==`",
            );
        }
        relations.push(Relation {
            name,
            in_domains,
            domain_patterns,
            matching: said.names,
            windowed: window.is_some(),
        });
    }
    role_matching::check(definitions, problems);
    relations
}

/// Whether domains of role rows are patterns. Go casbin takes them so when the matcher, to the letter, calls
/// `keyMatch` with the second argument of `r` and the second column of `p`; Rust casbin never does.
fn matches_domains(definitions: &[Definition]) -> bool {
    let text = |section| {
        let found = definitions
            .iter()
            .find(|d| d.section == section && d.number == 1);
        found.map_or("", |d| d.value.text.as_str())
    };
    let second = |section| text(section).split(',').nth(1).map(str::trim);
    match (second(Section::Request), second(Section::Policy)) {
        (Some(argument), Some(column)) => {
            text(Section::Matcher).contains(&format!("keyMatch(r.{argument}, p.{column})"))
        }
        _ => false,
    }
}

/// `p` for 1, `p2` for 2.
pub(crate) fn numbered(letter: &str, number: usize) -> String {
    if number == 1 {
        letter.to_owned()
    } else {
        format!("{letter}{number}")
    }
}
