//! The grammar of a matcher: words to a tree, with the place of every node.
//!
//! Precedence is what Go's evaluator and Rust's agree on. Where they group differently (`a == b < c`), parentheses
//! are demanded.

use super::lexer::{Fault, Sign, Token, Word, words};
use crate::bounds::{EXPRESSION_DEPTH_MAX, EXPRESSION_NODES_MAX};

/// A node of the tree as written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node<'a> {
    pub(crate) at: usize,
    pub(crate) kind: Kind<'a>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind<'a> {
    Text(&'a str),
    Number(f64),
    Bool(bool),
    /// `r.sub.Age` is `["r", "sub", "Age"]`.
    Path(Vec<&'a str>),
    Call(&'a str, Vec<Node<'a>>),
    List(Vec<Node<'a>>),
    Not(Box<Node<'a>>),
    Negative(Box<Node<'a>>),
    All(Vec<Node<'a>>),
    Any(Vec<Node<'a>>),
    Compare(Comparison, Box<(Node<'a>, Node<'a>)>),
    Arithmetic(Operation, Box<(Node<'a>, Node<'a>)>),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Operation {
    Plus,
    Minus,
    Times,
    Over,
    Remainder,
}

/// Parses one whole expression.
pub(crate) fn parse(text: &str) -> Result<Node<'_>, Fault> {
    let tokens = words(text)?;
    let mut parser = Parser {
        tokens: &tokens,
        next: 0,
        end: text.len(),
        nodes: 0,
        depth: 0,
    };
    let node = parser.any()?;
    match parser.peek() {
        None => Ok(node),
        Some(token) => Err(parser.unexpected(token)),
    }
}

struct Parser<'t, 'a> {
    tokens: &'t [Token<'a>],
    next: usize,
    end: usize,
    nodes: usize,
    depth: usize,
}

type Parsed<'a> = Result<Node<'a>, Fault>;

impl<'a> Parser<'_, 'a> {
    fn any(&mut self) -> Parsed<'a> {
        self.depth += 1;
        if self.depth > EXPRESSION_DEPTH_MAX {
            return Err(Fault::new(
                self.here(),
                format!("expression nests deeper than {EXPRESSION_DEPTH_MAX}"),
                "simplify it, or move conditions into policy rows",
            ));
        }
        let node = self.chain(Sign::Or, Self::all, Kind::Any);
        self.depth -= 1;
        node
    }

    fn all(&mut self) -> Parsed<'a> {
        self.chain(Sign::And, Self::comparison, Kind::All)
    }

    fn chain(
        &mut self,
        sign: Sign,
        part: fn(&mut Self) -> Parsed<'a>,
        kind: fn(Vec<Node<'a>>) -> Kind<'a>,
    ) -> Parsed<'a> {
        let at = self.here();
        let first = part(self)?;
        if !self.sees(sign) {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.takes(sign) {
            parts.push(part(self)?);
        }
        self.node(at, kind(parts))
    }

    fn comparison(&mut self) -> Parsed<'a> {
        let at = self.here();
        let left = self.sum()?;
        let Some(comparison) = self.comparison_sign() else {
            return Ok(left);
        };
        let right = self.sum()?;
        if let (Some(again), Some(_)) = (self.peek(), self.comparison_sign()) {
            return Err(Fault::new(
                again.at,
                "comparisons in a row are grouped differently by Go and Rust casbin",
                "put parentheses around one of them",
            ));
        }
        self.node(at, Kind::Compare(comparison, Box::new((left, right))))
    }

    fn comparison_sign(&mut self) -> Option<Comparison> {
        let comparison = match self.peek()?.word {
            Word::Name("in") => Comparison::In,
            Word::Sign(Sign::Equal) => Comparison::Equal,
            Word::Sign(Sign::NotEqual) => Comparison::NotEqual,
            Word::Sign(Sign::Less) => Comparison::Less,
            Word::Sign(Sign::LessOrEqual) => Comparison::LessOrEqual,
            Word::Sign(Sign::Greater) => Comparison::Greater,
            Word::Sign(Sign::GreaterOrEqual) => Comparison::GreaterOrEqual,
            Word::Sign(_) | Word::Name(_) | Word::Text(_) | Word::Number(_) => return None,
        };
        self.next += 1;
        Some(comparison)
    }

    fn sum(&mut self) -> Parsed<'a> {
        const SIGNS: [(Sign, Operation); 2] = [
            (Sign::Plus, Operation::Plus),
            (Sign::Minus, Operation::Minus),
        ];
        self.operations(&SIGNS, Self::product)
    }

    fn product(&mut self) -> Parsed<'a> {
        const SIGNS: [(Sign, Operation); 3] = [
            (Sign::Times, Operation::Times),
            (Sign::Over, Operation::Over),
            (Sign::Remainder, Operation::Remainder),
        ];
        self.operations(&SIGNS, Self::unary)
    }

    /// A chain of operations of one rank, grouped from the left; the chain counts towards the depth.
    fn operations(
        &mut self,
        signs: &[(Sign, Operation)],
        part: fn(&mut Self) -> Parsed<'a>,
    ) -> Parsed<'a> {
        let at = self.here();
        let mut left = part(self)?;
        let mut links = 0;
        while let Some((_, operation)) = signs.iter().find(|(sign, _)| self.sees(*sign)) {
            self.next += 1;
            links += 1;
            if links > EXPRESSION_DEPTH_MAX {
                return Err(Fault::new(
                    at,
                    format!("more than {EXPRESSION_DEPTH_MAX} operations in a row"),
                    "simplify the arithmetic",
                ));
            }
            let right = part(self)?;
            left = self.node(at, Kind::Arithmetic(*operation, Box::new((left, right))))?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed<'a> {
        let at = self.here();
        self.depth += 1;
        if self.depth > EXPRESSION_DEPTH_MAX {
            return Err(Fault::new(
                at,
                format!("expression nests deeper than {EXPRESSION_DEPTH_MAX}"),
                "simplify it",
            ));
        }
        let node = if self.takes(Sign::Not) {
            let inner = self.unary()?;
            self.node(at, Kind::Not(Box::new(inner)))
        } else if self.takes(Sign::Minus) {
            let inner = self.unary()?;
            self.node(at, Kind::Negative(Box::new(inner)))
        } else {
            self.primary()
        };
        self.depth -= 1;
        node
    }

    fn primary(&mut self) -> Parsed<'a> {
        let Some(token) = self.peek() else {
            return Err(Fault::new(
                self.end,
                "expression ends too early",
                "complete it",
            ));
        };
        self.next += 1;
        match token.word {
            Word::Text(text) => self.node(token.at, Kind::Text(text)),
            Word::Number(number) => self.node(token.at, Kind::Number(number)),
            Word::Name("true") => self.node(token.at, Kind::Bool(true)),
            Word::Name("false") => self.node(token.at, Kind::Bool(false)),
            Word::Name("in") => Err(self.unexpected(token)),
            Word::Name(name) => self.name(name, token.at),
            Word::Sign(Sign::Open) => self.parenthesised(token.at),
            Word::Sign(Sign::OpenList) => {
                let items = self.items(Sign::CloseList)?;
                self.node(token.at, Kind::List(items))
            }
            Word::Sign(_) => Err(self.unexpected(token)),
        }
    }

    /// `(a)` is `a`; `(a, b)` is a tuple.
    fn parenthesised(&mut self, at: usize) -> Parsed<'a> {
        let mut items = self.items(Sign::Close)?;
        match (items.pop(), items.is_empty()) {
            (Some(only), true) => Ok(only),
            (Some(last), false) => {
                items.push(last);
                self.node(at, Kind::List(items))
            }
            (None, _) => Err(Fault::new(
                at,
                "`()` holds nothing",
                "put an expression in it",
            )),
        }
    }

    fn name(&mut self, first: &'a str, at: usize) -> Parsed<'a> {
        if self.takes(Sign::Open) {
            let arguments = self.items(Sign::Close)?;
            return self.node(at, Kind::Call(first, arguments));
        }
        let mut path = vec![first];
        while self.takes(Sign::Dot) {
            match self.peek() {
                Some(Token {
                    word: Word::Name(name),
                    ..
                }) => {
                    self.next += 1;
                    path.push(name);
                }
                Some(token) => return Err(self.unexpected(token)),
                None => {
                    return Err(Fault::new(self.end, "nothing follows `.`", "name a field"));
                }
            }
        }
        if self.sees(Sign::Open) {
            return Err(Fault::new(
                at,
                format!("method call `{}(…)` is not compiled", path.join(".")),
                "compare an attribute instead",
            ));
        }
        self.node(at, Kind::Path(path))
    }

    /// Expressions separated by commas, up to and with `close`.
    fn items(&mut self, close: Sign) -> Result<Vec<Node<'a>>, Fault> {
        let mut items = Vec::new();
        if self.takes(close) {
            return Ok(items);
        }
        loop {
            items.push(self.any()?);
            if self.takes(close) {
                return Ok(items);
            }
            if !self.takes(Sign::Comma) {
                return Err(match self.peek() {
                    Some(token) => self.unexpected(token),
                    None => Fault::new(
                        self.end,
                        format!("`{}` is missing at the end", close.text()),
                        "close it",
                    ),
                });
            }
        }
    }

    fn node(&mut self, at: usize, kind: Kind<'a>) -> Parsed<'a> {
        self.nodes += 1;
        if self.nodes > EXPRESSION_NODES_MAX {
            return Err(Fault::new(
                at,
                format!("expression has more than {EXPRESSION_NODES_MAX} parts"),
                "move conditions into policy rows",
            ));
        }
        Ok(Node { at, kind })
    }

    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.next).copied()
    }

    fn sees(&self, sign: Sign) -> bool {
        matches!(self.peek(), Some(Token { word: Word::Sign(s), .. }) if s == sign)
    }

    fn takes(&mut self, sign: Sign) -> bool {
        let sees = self.sees(sign);
        if sees {
            self.next += 1;
        }
        sees
    }

    fn here(&self) -> usize {
        self.peek().map_or(self.end, |token| token.at)
    }

    fn unexpected(&self, token: Token<'a>) -> Fault {
        let found = match token.word {
            Word::Name(name) => format!("`{name}`"),
            Word::Text(text) => format!("text `{text}`"),
            Word::Number(number) => format!("`{number}`"),
            Word::Sign(sign) => format!("`{}`", sign.text()),
        };
        Fault::new(
            token.at,
            format!("{found} is not expected here"),
            "check the operators and parentheses around it",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree with every pair of parentheses written.
    fn shape(node: &Node<'_>) -> String {
        let list = |nodes: &[Node<'_>], by: &str| {
            let shown: Vec<_> = nodes.iter().map(shape).collect();
            format!("({})", shown.join(by))
        };
        match &node.kind {
            Kind::Text(text) => format!("'{text}'"),
            Kind::Number(number) => number.to_string(),
            Kind::Bool(value) => value.to_string(),
            Kind::Path(path) => path.join("."),
            Kind::Call(name, arguments) => format!("{name}{}", list(arguments, ",")),
            Kind::List(items) => list(items, ";"),
            Kind::Not(inner) => format!("!{}", shape(inner)),
            Kind::Negative(inner) => format!("-{}", shape(inner)),
            Kind::All(parts) => list(parts, " & "),
            Kind::Any(parts) => list(parts, " | "),
            Kind::Compare(by, sides) => format!("({} {by:?} {})", shape(&sides.0), shape(&sides.1)),
            Kind::Arithmetic(by, sides) => {
                format!("({} {by:?} {})", shape(&sides.0), shape(&sides.1))
            }
        }
    }

    #[test]
    fn operators_bind_as_in_both_casbins() {
        for (text, expected) in [
            ("a || b && c", "(a | (b & c))"),
            ("a && b || c && d", "((a & b) | (c & d))"),
            ("!a && b", "(!a & b)"),
            ("r.x == 1 + 2 * 3", "(r.x Equal (1 Plus (2 Times 3)))"),
            ("1 - 2 - 3 < 4", "(((1 Minus 2) Minus 3) Less 4)"),
            ("r.a in ('x', \"y\")", "(r.a In ('x';'y'))"),
            ("r.a in ['x']", "(r.a In ('x'))"),
            ("g(r.sub, p.sub) && (x)", "(g(r.sub,p.sub) & x)"),
            ("-1 < 2", "(-1 Less 2)"),
        ] {
            assert_eq!(shape(&parse(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused_with_its_place() {
        for (text, at, what) in [
            ("a &&", 4, "expression ends too early"),
            ("a b", 2, "`b` is not expected here"),
            ("(a", 2, "`)` is missing at the end"),
            ("f(a b)", 4, "`b` is not expected here"),
            ("a == b == c", 7, "comparisons in a row"),
            (
                "r.sub.Has('x')",
                0,
                "method call `r.sub.Has(…)` is not compiled",
            ),
            ("()", 0, "`()` holds nothing"),
            ("r.", 2, "nothing follows `.`"),
            ("", 0, "expression ends too early"),
        ] {
            let fault = parse(text).unwrap_err();
            assert!(fault.what.starts_with(what), "{text}: {}", fault.what);
            assert_eq!(fault.at, at, "{text}");
        }
    }

    #[test]
    fn a_hostile_expression_is_bounded() {
        for text in [
            "(".repeat(10_000),
            "!".repeat(10_000),
            format!("{}1", "1+".repeat(10_000)),
            format!("{}a", "a&&".repeat(10_000)),
        ] {
            assert!(parse(&text).is_err());
        }
    }
}
