//! Names and calls of a matcher to what they stand for.

use super::check::{Relation, numbered};
use super::conf::Phrase;
use super::parser::{Comparison, Kind, Node};
use crate::engine::expr::{Expr, Type};
use crate::engine::pattern::Patterns;
use crate::load::Binding;
use crate::problem::{Place, Problems};
use crate::request::Fact;
use crate::rules::symbols::Symbols;

/// Where an expression is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    Matcher,
    /// In a field of a row, for `eval()`.
    Row,
}

/// Resolves one expression of one context.
pub(crate) struct Resolver<'a, 'p> {
    pub(crate) number: usize,
    pub(crate) origin: Origin,
    pub(crate) binding: Binding,
    pub(crate) arguments: &'a [(String, Place)],
    pub(crate) columns: &'a [String],
    pub(crate) relations: &'a [Relation],
    pub(crate) symbols: &'a mut Symbols,
    pub(crate) patterns: &'a mut Patterns,
    pub(crate) phrase: &'a Phrase,
    pub(crate) problems: &'a mut Problems<'p>,
}

impl Resolver<'_, '_> {
    /// The checked form of `node`; `None` after a problem.
    pub(crate) fn resolve(&mut self, node: &Node<'_>) -> Option<Expr> {
        let at = node.at;
        match &node.kind {
            Kind::Text(text) => self.text(text, at),
            Kind::Number(number) => Some(Expr::Number(*number)),
            Kind::Bool(value) => Some(Expr::Bool(*value)),
            Kind::Path(path) => self.path(path, at),
            Kind::Call(name, arguments) => self.call(name, arguments, at),
            Kind::List(items) => Some(Expr::List(self.each(items)?)),
            Kind::Not(inner) => Some(Expr::Not(Box::new(self.condition(inner)?))),
            Kind::Negative(inner) => Some(Expr::Negative(Box::new(self.resolve(inner)?))),
            Kind::All(parts) => Some(Expr::all(self.conditions(parts)?)),
            Kind::Any(parts) => Some(Expr::any(self.conditions(parts)?)),
            Kind::Compare(comparison, sides) => self.compare(*comparison, &sides.0, &sides.1, at),
            Kind::Arithmetic(operation, sides) => {
                let (a, b) = (self.resolve(&sides.0), self.resolve(&sides.1));
                let (a, b) = (a?, b?);
                for side in [&a, &b] {
                    if !matches!(side.type_of(), Type::Number | Type::Unknown) {
                        self.refuse(
                            at,
                            "arithmetic with something that is no number",
                            "compare texts with `==`",
                        );
                        return None;
                    }
                }
                Some(Expr::Arithmetic(*operation, Box::new((a, b))))
            }
        }
    }

    /// A problem at byte `at` of the matcher.
    pub(crate) fn refuse(&mut self, at: usize, what: impl Into<String>, fix: impl Into<String>) {
        self.problems.add(self.phrase.place(at), what, fix);
    }

    /// Every node, so that each gets its problem; `None` if any has one.
    fn each(&mut self, nodes: &[Node<'_>]) -> Option<Vec<Expr>> {
        let resolved: Vec<_> = nodes.iter().map(|node| self.resolve(node)).collect();
        resolved.into_iter().collect()
    }

    fn conditions(&mut self, nodes: &[Node<'_>]) -> Option<Vec<Expr>> {
        let resolved: Vec<_> = nodes.iter().map(|node| self.condition(node)).collect();
        resolved.into_iter().collect()
    }

    fn condition(&mut self, node: &Node<'_>) -> Option<Expr> {
        let expr = self.resolve(node)?;
        if !matches!(expr.type_of(), Type::Bool | Type::Unknown) {
            self.refuse(
                node.at,
                "a value where a condition is needed",
                "compare it with something",
            );
            return None;
        }
        Some(expr)
    }

    /// Both casbins rewrite `r.` and `p.` inside quotes too.
    fn text(&mut self, text: &str, at: usize) -> Option<Expr> {
        if rewritten(text) {
            self.refuse(
                at,
                format!("`{text}` holds `r.` or `p.`, which casbin rewrites even inside quotes"),
                "keep such a text in a policy row",
            );
            return None;
        }
        if is_time_to_go(text) {
            self.refuse(
                at,
                format!("`{text}` in quotes is a time to Go casbin and a text to Rust"),
                "keep such a text in a policy row",
            );
            return None;
        }
        if self.origin == Origin::Row && text.contains('\\') {
            self.refuse(
                at,
                "backslash in quotes, which Go casbin takes for an escape in rows and not in matchers",
                "write the condition without it",
            );
            return None;
        }
        Some(Expr::Text(text.into()))
    }

    fn path(&mut self, path: &[&str], at: usize) -> Option<Expr> {
        let (request, policy) = (numbered("r", self.number), numbered("p", self.number));
        let found = match path {
            [section, name, attributes @ ..] if *section == request => {
                let argument = self.arguments.iter().position(|(known, _)| known == name);
                argument.map(|argument| Expr::Request {
                    argument,
                    path: attributes.iter().map(|name| Box::from(*name)).collect(),
                })
            }
            [section, name] if *section == policy => self
                .columns
                .iter()
                .position(|known| known == name)
                .map(|column| Expr::Rule { column }),
            _ => None,
        };
        if let (Some(Expr::Request { path: inner, .. }), [_, name, ..]) = (&found, path)
            && self.binding == Binding::Named
            && !self.is_known(name, inner.is_empty(), at)
        {
            return None;
        }
        if found.is_none() {
            let known: Vec<_> = self
                .arguments
                .iter()
                .map(|(name, _)| format!("`{request}.{name}`"))
                .chain(self.columns.iter().map(|name| format!("`{policy}.{name}`")))
                .collect();
            self.refuse(
                at,
                format!("`{}` is not defined", path.join(".")),
                format!("use one of {}, or put a text in quotes", known.join(", ")),
            );
        }
        found
    }

    /// Whether a gateway knows the argument `name`, whole or by its attributes, of its requests; if not, it is a problem.
    fn is_known(&mut self, name: &str, whole: bool, at: usize) -> bool {
        let request = numbered("r", self.number);
        let fact = Fact::named(name);
        if whole && fact.is_some_and(Fact::has_only_attributes) {
            self.refuse(
                at,
                format!("`{request}.{name}` has parameters and is no text itself: it would be empty whatever is asked"),
                format!("read one parameter, such as `{request}.{name}.year`"),
            );
            return false;
        }
        if !whole && !fact.is_some_and(Fact::has_attributes) {
            self.refuse(
                at,
                format!("the gateway knows no attributes of `{request}.{name}`"),
                "read attributes of the subject or parameters of the query or the route, or compare the argument itself",
            );
            return false;
        }
        true
    }

    fn compare(
        &mut self,
        comparison: Comparison,
        left: &Node<'_>,
        right: &Node<'_>,
        at: usize,
    ) -> Option<Expr> {
        let (a, b) = (self.resolve(left), self.resolve(right));
        let (a, b) = (a?, b?);
        let (ta, tb) = (a.type_of(), b.type_of());
        if b.as_list().is_some_and(|items| items.len() < 2) {
            self.refuse(
                at,
                "a list of one, which Go casbin takes for a value",
                "compare with `==`",
            );
            return None;
        }
        let fine = match comparison {
            Comparison::Equal | Comparison::NotEqual => ta != Type::List && tb != Type::List,
            Comparison::In => ta != Type::List && matches!(tb, Type::List | Type::Unknown),
            Comparison::Less
            | Comparison::LessOrEqual
            | Comparison::Greater
            | Comparison::GreaterOrEqual => matches!(
                (ta, tb),
                (Type::Number | Type::Unknown, Type::Number | Type::Unknown)
                    | (Type::Text | Type::Unknown, Type::Text | Type::Unknown)
            ),
        };
        if !fine {
            let fix = if comparison == Comparison::In {
                "put a list on the right: `in (\"a\", \"b\")`"
            } else {
                "compare texts with texts and numbers with numbers; fields of rows are texts"
            };
            self.refuse(at, "these two cannot be compared so", fix);
            return None;
        }
        if comparison == Comparison::Equal
            && let Some(expr) = self.by_number(&a, &b).or_else(|| self.by_number(&b, &a))
        {
            return Some(expr);
        }
        Some(Expr::Compare(comparison, Box::new((a, b))))
    }

    /// Equality with a field of the row, where numbers can stand for the texts.
    fn by_number(&mut self, field: &Expr, other: &Expr) -> Option<Expr> {
        let Expr::Rule { column } = *field else {
            return None;
        };
        if let Expr::Request { argument, path } = other
            && path.is_empty()
        {
            return Some(Expr::Same {
                argument: *argument,
                column,
            });
        }
        let Expr::Text(text) = other else {
            return None;
        };
        Some(Expr::Is {
            column,
            symbol: self.symbols.intern(text)?,
        })
    }

    /// A text.
    pub(super) fn textual(&mut self, node: &Node<'_>) -> Option<Expr> {
        let expr = self.resolve(node)?;
        if !matches!(expr.type_of(), Type::Text | Type::Unknown) {
            self.refuse(
                node.at,
                "a text is needed here",
                "give a field of `r` or `p`, or a text in quotes",
            );
            return None;
        }
        Some(expr)
    }
}

/// Whether Go's evaluator takes a quoted text for a time: `2026-01-31`, with or without a time of day, or `3:04PM`.
fn is_time_to_go(text: &str) -> bool {
    let shaped = |shape: &str| {
        let start = text.get(..shape.len()).unwrap_or_default();
        !start.is_empty()
            && start
                .bytes()
                .zip(shape.bytes())
                .all(|(found, wanted)| match wanted {
                    b'0' => found.is_ascii_digit(),
                    _ => found == wanted,
                })
    };
    let noon = text.ends_with("AM") || text.ends_with("PM");
    shaped("0000-00-00") || (noon && (shaped("0:00") || shaped("00:00")))
}

/// Whether casbin's rewriting of `r.` and `p2.` reaches into `text`.
fn rewritten(text: &str) -> bool {
    let mut rest = text;
    let mut before = None;
    while let Some(c) = rest.chars().next() {
        let word_before = before.is_some_and(|b: char| b.is_alphanumeric() || b == '_');
        if (c == 'r' || c == 'p') && !word_before {
            let after = rest
                .trim_start_matches(c)
                .trim_start_matches(|d: char| d.is_ascii_digit());
            let one = rest.strip_prefix(c).is_some_and(|r| !r.starts_with(c));
            if one && after.starts_with('.') {
                return true;
            }
        }
        before = Some(c);
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    false
}
