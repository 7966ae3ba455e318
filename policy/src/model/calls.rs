//! The functions of a matcher: the built-in ones and the relations of roles. Any other is refused by name.

use super::check::numbered;
use super::parser::{Kind, Node};
use super::resolve::{Origin, Resolver};
use crate::engine::expr::{Expr, PatternOf};
use crate::engine::extract::Extraction;
use crate::engine::pattern::Matching;

impl Resolver<'_, '_> {
    /// The checked form of a call.
    pub(super) fn call(&mut self, name: &str, arguments: &[Node<'_>], at: usize) -> Option<Expr> {
        if let Some(matching) = Matching::ALL.into_iter().find(|m| m.name() == name) {
            return self.matching(matching, arguments, at);
        }
        if let Some(relation) = self.relations.iter().position(|r| r.name == name) {
            return self.role(relation, arguments, at);
        }
        if let Some(extraction) = Extraction::ALL.into_iter().find(|e| e.name() == name) {
            return self.extraction(extraction, arguments, at);
        }
        if name == "eval" {
            return self.eval(arguments, at);
        }
        let known: Vec<_> = Matching::ALL
            .iter()
            .map(|m| m.name().to_owned())
            .chain(Extraction::ALL.iter().map(|e| e.name().to_owned()))
            .chain(std::iter::once("eval".to_owned()))
            .chain(self.relations.iter().map(|r| r.name.clone()))
            .collect();
        self.refuse(
            at,
            format!("function `{name}` is not compiled"),
            format!("use one of `{}`", known.join("`, `")),
        );
        None
    }

    fn eval(&mut self, arguments: &[Node<'_>], at: usize) -> Option<Expr> {
        if self.origin == Origin::Row {
            self.refuse(at, "`eval` inside a condition", "write the condition out");
            return None;
        }
        let argument = match arguments {
            [argument] => self.resolve(argument)?,
            _ => Expr::Bool(false),
        };
        let Expr::Rule { column } = argument else {
            self.refuse(
                at,
                "`eval` takes one field of the rows",
                format!(
                    "write `eval({}.sub_rule)` with a column of that name",
                    numbered("p", self.number)
                ),
            );
            return None;
        };
        Some(Expr::Eval { column })
    }

    fn matching(&mut self, matching: Matching, arguments: &[Node<'_>], at: usize) -> Option<Expr> {
        let name = matching.name();
        let [value_node, pattern_node] = arguments else {
            self.refuse(
                at,
                format!("`{name}` takes 2 arguments, not {}", arguments.len()),
                format!("write `{name}(value, pattern)`"),
            );
            return None;
        };
        let (value, pattern) = (self.textual(value_node), self.textual(pattern_node));
        let (value, pattern) = (value?, pattern?);
        let pattern = self.pattern(matching, pattern, pattern_node.at)?;
        Some(Expr::Match {
            matching,
            value: Box::new(value),
            pattern,
        })
    }

    fn extraction(
        &mut self,
        extraction: Extraction,
        arguments: &[Node<'_>],
        at: usize,
    ) -> Option<Expr> {
        let name = extraction.name();
        let (value, pattern, rest) = match arguments {
            [value, pattern, rest @ ..] if arguments.len() == extraction.arguments() => {
                (value, pattern, rest.first())
            }
            _ => {
                self.refuse(
                    at,
                    format!(
                        "`{name}` takes {} arguments, not {}",
                        extraction.arguments(),
                        arguments.len()
                    ),
                    "write `keyGet(path, pattern)` or `keyGet2(path, pattern, \"name\")`",
                );
                return None;
            }
        };
        let parameter = match rest.map(|node| (&node.kind, node.at)) {
            None => "",
            Some((Kind::Text(text), _)) => text,
            Some((_, at)) => {
                self.refuse(
                    at,
                    format!("the parameter's name in `{name}` is no quoted text"),
                    "write it in quotes",
                );
                return None;
            }
        };
        let pattern_at = pattern.at;
        let (value, pattern) = (self.textual(value), self.textual(pattern));
        let (value, pattern) = (value?, pattern?);
        let pattern = self.extraction_pattern(extraction, pattern, pattern_at)?;
        Some(Expr::Extract {
            extraction,
            value: Box::new(value),
            pattern,
            name: parameter.into(),
        })
    }

    fn extraction_pattern(
        &mut self,
        extraction: Extraction,
        pattern: Expr,
        at: usize,
    ) -> Option<PatternOf> {
        if let Expr::Rule { column } = pattern {
            return Some(PatternOf::Rule { column });
        }
        if extraction == Extraction::KeyGet {
            return Some(PatternOf::Any(Box::new(pattern)));
        }
        let checked = match pattern.as_text() {
            Some(text) => extraction.check(text),
            None => Err((
                format!(
                    "the pattern of `{}` comes from the request",
                    extraction.name()
                ),
                "give it as a field of `p` or in quotes".to_owned(),
            )),
        };
        if let Err((what, fix)) = checked {
            self.refuse(at, what, fix);
            return None;
        }
        Some(PatternOf::Fixed(self.symbols.intern(pattern.as_text()?)?))
    }

    fn pattern(&mut self, matching: Matching, pattern: Expr, at: usize) -> Option<PatternOf> {
        if let Expr::Rule { column } = pattern {
            return Some(PatternOf::Rule { column });
        }
        if let Expr::Text(text) = &pattern {
            let symbol = self.symbols.intern(text)?;
            if let Err((what, fix)) = self.patterns.add(matching, symbol, self.symbols) {
                self.refuse(at, what, fix);
                return None;
            }
            return Some(PatternOf::Fixed(symbol));
        }
        if matching == Matching::KeyMatch {
            return Some(PatternOf::Any(Box::new(pattern)));
        }
        self.refuse(
            at,
            format!(
                "the pattern of `{}` comes from the request",
                matching.name()
            ),
            "give the pattern, the second argument, as a field of `p` or in quotes",
        );
        None
    }

    fn role(&mut self, relation: usize, arguments: &[Node<'_>], at: usize) -> Option<Expr> {
        let definition = self.relations.get(relation)?.clone();
        let wanted = if definition.in_domains { 3 } else { 2 };
        if arguments.len() != wanted {
            let name = &definition.name;
            self.refuse(
                at,
                format!(
                    "`{name}` is defined with {wanted} `_`, called with {} arguments",
                    arguments.len()
                ),
                format!("write `{name}(r.sub, p.sub)`, with `r.dom` as third for roles in domains"),
            );
            return None;
        }
        let parts: Vec<_> = arguments.iter().map(|node| self.textual(node)).collect();
        let mut parts = parts.into_iter().collect::<Option<Vec<_>>>()?.into_iter();
        Some(Expr::Role {
            relation,
            who: Box::new(parts.next()?),
            role: Box::new(parts.next()?),
            domain: parts.next().map(Box::new),
        })
    }
}
