//! What a row of a policy reaches: for each argument of a request, the values with which the row matches.
//!
//! A matcher is a disjunction of clauses, a clause a conjunction of terms; a row makes of each clause one box with a
//! side for each argument. Terms that no side can hold stay beside the box, and whoever compares two boxes takes
//! those with such terms as equal only where the rows say the same in them.

use super::places::{Common, Places};
use crate::engine::expr::{Expr, PatternOf};
use crate::engine::roles::NO_DOMAIN;
use crate::model::check::Effect;
use crate::policy::{Policy, Section};
use crate::request::Fact;
use crate::rules::symbols::Symbol;

/// One section of a policy, laid open.
#[derive(Clone, Copy)]
pub(crate) struct Sheet<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) section: &'a Section,
}

/// One clause of a matcher.
#[derive(Debug)]
pub(crate) struct Clause<'a> {
    pub(crate) terms: Vec<&'a Expr>,
}

/// One box of a row.
#[derive(Clone, Debug)]
pub(crate) struct Reach<'a> {
    pub(crate) clause: usize,
    /// One for each argument of the request.
    pub(crate) sides: Vec<Side<'a>>,
    /// Terms that no side holds; those of the request alone are among them.
    pub(crate) rest: Vec<&'a Expr>,
}

/// The values of one argument.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Side<'a> {
    Any,
    Is(Symbol, &'a str),
    Like(Places<'a>),
    /// Whoever is or inherits the role.
    Holds {
        relation: usize,
        role: Symbol,
        domain: Within,
    },
}

/// The domain in which a role is held.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Within {
    None,
    Argument(usize),
    Fixed(Option<Symbol>),
}

impl<'a> Sheet<'a> {
    /// Every section of a policy.
    pub(crate) fn all(policy: &'a Policy) -> impl Iterator<Item = Self> {
        policy
            .sections
            .iter()
            .map(move |section| Self { policy, section })
    }

    /// The section of a context: `r, p, e, m` for 1, `r2, p2, e2, m2` for 2.
    pub(crate) fn of(policy: &'a Policy, context: usize) -> Option<Self> {
        Self::all(policy).find(|sheet| sheet.section.context.number == context)
    }

    pub(crate) fn argument_name(self, argument: usize) -> &'a str {
        let named = self.section.context.arguments.get(argument);
        named.map_or("", |(name, _)| name)
    }

    pub(crate) fn len(self) -> usize {
        self.section.rows.len()
    }

    pub(crate) fn line(self, row: usize) -> usize {
        self.section.rows.line(row)
    }

    pub(crate) fn effect(self) -> Effect {
        self.section.context.effect
    }

    pub(crate) fn symbol(self, row: usize, column: usize) -> Option<Symbol> {
        self.section.rows.field(row, column)
    }

    pub(crate) fn text(self, row: usize, column: usize) -> &'a str {
        self.symbol(row, column)
            .map_or("", |symbol| self.policy.symbols.text(symbol))
    }

    pub(crate) fn denies(self, row: usize) -> bool {
        self.section.ruled().denies(self.section.rows.row(row))
    }

    /// The row as it would be written.
    pub(crate) fn row_text(self, row: usize) -> String {
        let fields = self.section.rows.row(row).iter();
        let fields: Vec<_> = fields
            .map(|field| self.policy.symbols.text(*field))
            .collect();
        format!("{}, {}", self.section.context.shape.name, fields.join(", "))
    }

    /// What an argument stands for, by its name.
    pub(crate) fn fact(self, argument: usize) -> Option<Fact> {
        let (name, _) = self.section.context.arguments.get(argument)?;
        Fact::named(name)
    }

    /// The argument that stands for a fact.
    pub(crate) fn argument(self, fact: Fact) -> Option<usize> {
        (0..self.section.context.arguments.len()).find(|index| self.fact(*index) == Some(fact))
    }

    /// The column that the matcher compares an argument with.
    pub(crate) fn column_of(self, argument: usize) -> Option<usize> {
        let mut found = None;
        self.section.context.matcher.each(&mut |expr| {
            if argument_of(expr) == Some(argument) {
                found = found.or(compared_column(expr));
            }
        });
        found
    }

    /// The clauses of the matcher; one alone when there would be too many.
    pub(crate) fn clauses(self) -> Vec<Clause<'a>> {
        let mut open: Vec<Vec<&Expr>> = vec![vec![&self.section.context.matcher]];
        let mut closed = Vec::new();
        while let Some(terms) = open.pop() {
            let found = terms
                .iter()
                .position(|term| matches!(term, Expr::All(_) | Expr::Any(_)));
            let Some((at, term)) = found.and_then(|at| Some((at, terms.get(at)?))) else {
                closed.push(Clause { terms });
                continue;
            };
            let (before, after) = terms.split_at(at);
            let with = |parts: &'a [Expr]| {
                let after = after.iter().skip(1).copied();
                before
                    .iter()
                    .copied()
                    .chain(parts)
                    .chain(after)
                    .collect::<Vec<_>>()
            };
            if let Expr::All(parts) = term {
                open.push(with(parts));
            } else if let Expr::Any(parts) = term
                && open.len() + closed.len() + parts.len() <= CLAUSES_MAX
            {
                let apart = parts.iter().rev().map(std::slice::from_ref);
                open.extend(apart.map(with));
            } else {
                return vec![Clause {
                    terms: vec![&self.section.context.matcher],
                }];
            }
        }
        closed
    }

    /// The boxes of a row; none when the row can never match.
    pub(crate) fn reaches(self, row: usize, clauses: &[Clause<'a>]) -> Vec<Reach<'a>> {
        let mut all: Vec<Reach<'a>> = Vec::new();
        for (number, clause) in clauses.iter().enumerate() {
            let Some(reach) = self.reach(row, number, clause) else {
                continue;
            };
            if all
                .iter()
                .any(|known| self.box_holds(known, &reach, row, row))
            {
                continue;
            }
            let kept = |known: &Reach<'a>| !self.box_holds(&reach, known, row, row);
            all.retain(kept);
            all.push(reach);
        }
        all
    }

    fn reach(self, row: usize, number: usize, clause: &Clause<'a>) -> Option<Reach<'a>> {
        let mut reach = Reach {
            clause: number,
            sides: vec![Side::Any; self.section.context.arguments.len()],
            rest: Vec::new(),
        };
        for term in &clause.terms {
            if let Expr::Is { column, symbol } = term {
                if self.symbol(row, *column) != Some(*symbol) {
                    return None;
                }
                continue;
            }
            match self.side(row, term) {
                Some((argument, side)) => match reach.sides.get_mut(argument) {
                    Some(free) if *free == Side::Any => *free = side,
                    Some(same) if *same == side => {}
                    _ => reach.rest.push(term),
                },
                None => reach.rest.push(term),
            }
        }
        Some(reach)
    }

    fn side(self, row: usize, term: &'a Expr) -> Option<(usize, Side<'a>)> {
        let argument = argument_of(term)?;
        if let Expr::Same { column, .. } = term {
            let symbol = self.symbol(row, *column)?;
            let text = self.policy.symbols.text(symbol);
            return Some((argument, Side::Is(symbol, text)));
        }
        if let Expr::Match {
            matching,
            pattern: PatternOf::Rule { column },
            ..
        } = term
        {
            let places = Places::of(*matching, self.text(row, *column));
            let side = if let Places::One(text) = places {
                Side::Is(self.policy.symbols.find(text)?, text)
            } else {
                Side::Like(places)
            };
            return Some((argument, side));
        }
        let Expr::Role {
            relation,
            role,
            domain,
            ..
        } = term
        else {
            return None;
        };
        let role = self.symbol(row, column_of(role)?)?;
        let domain = match domain {
            None => Within::None,
            Some(domain) => match domain.as_argument() {
                Some(argument) => Within::Argument(argument),
                None => Within::Fixed(self.policy.symbols.find(domain.as_text()?)),
            },
        };
        let side = Side::Holds {
            relation: *relation,
            role,
            domain,
        };
        Some((argument, side))
    }

    /// Whether whatever row `b` matches, row `a` matches; `false` when it cannot be told.
    pub(crate) fn covers(
        self,
        (a, a_reaches): (usize, &[Reach<'a>]),
        (b, b_reaches): (usize, &[Reach<'a>]),
    ) -> bool {
        b_reaches.iter().all(|inner| {
            a_reaches
                .iter()
                .any(|outer| self.box_holds(outer, inner, a, b))
        })
    }

    fn box_holds(self, outer: &Reach<'a>, inner: &Reach<'a>, a: usize, b: usize) -> bool {
        let rest = outer.rest.is_empty()
            || (outer.clause == inner.clause
                && outer.rest.len() <= inner.rest.len()
                && outer.rest.iter().all(|term| {
                    inner.rest.iter().any(|other| std::ptr::eq(*other, *term))
                        && self.agree(term, a, b)
                }));
        rest && outer
            .sides
            .iter()
            .zip(&inner.sides)
            .all(|(mine, theirs)| self.side_holds(mine, theirs, inner))
    }

    /// Whether two rows have the same in all columns that a term reads.
    fn agree(self, term: &Expr, a: usize, b: usize) -> bool {
        let mut columns = Vec::new();
        term.each(&mut |expr| {
            if let Expr::Rule { column }
            | Expr::Same { column, .. }
            | Expr::Is { column, .. }
            | Expr::Eval { column }
            | Expr::Match {
                pattern: PatternOf::Rule { column },
                ..
            }
            | Expr::Extract {
                pattern: PatternOf::Rule { column },
                ..
            } = expr
            {
                columns.push(*column);
            }
        });
        columns
            .iter()
            .all(|column| self.symbol(a, *column) == self.symbol(b, *column))
    }

    fn side_holds(self, outer: &Side<'a>, inner: &Side<'a>, whole: &Reach<'a>) -> bool {
        match (outer, inner) {
            (Side::Any, _) => true,
            (Side::Is(a, _), Side::Is(b, _)) => a == b,
            (Side::Like(a), Side::Is(_, text)) => a.holds(text) == Some(true),
            (Side::Like(a), Side::Like(b)) => a.contains(b),
            (
                Side::Holds {
                    relation,
                    role,
                    domain,
                },
                Side::Holds {
                    relation: other,
                    role: inner_role,
                    domain: inner_domain,
                },
            ) => {
                relation == other
                    && domain == inner_domain
                    && (role == inner_role
                        || self.inherits(*relation, *inner_role, *role, *domain, whole))
            }
            (
                Side::Holds {
                    relation,
                    role,
                    domain,
                },
                Side::Is(who, _),
            ) => who == role || self.inherits(*relation, *who, *role, *domain, whole),
            (Side::Is(..) | Side::Like(_) | Side::Holds { .. }, _) => false,
        }
    }

    fn inherits(
        self,
        relation: usize,
        who: Symbol,
        role: Symbol,
        domain: Within,
        whole: &Reach<'a>,
    ) -> bool {
        self.held(relation, who, domain, whole).contains(&role)
    }

    /// The roles that a name holds where a box is; none when the box is in every domain.
    pub(crate) fn held(
        self,
        relation: usize,
        who: Symbol,
        domain: Within,
        whole: &Reach<'a>,
    ) -> &'a [Symbol] {
        let Some(roles) = self.policy.roles.get(relation) else {
            return &[];
        };
        match self.domain_symbol(domain, whole) {
            Some(domain) => roles.held(who, domain, &self.policy.symbols),
            None => &[],
        }
    }

    /// The domain in which roles of a box are held, if it is one.
    pub(crate) fn domain_symbol(self, domain: Within, whole: &Reach<'a>) -> Option<Symbol> {
        match domain {
            Within::None => Some(NO_DOMAIN),
            Within::Fixed(symbol) => symbol,
            Within::Argument(argument) => match whole.sides.get(argument) {
                Some(Side::Is(symbol, _)) => Some(*symbol),
                _ => None,
            },
        }
    }

    /// Whether some request can match both boxes; `true` when it cannot be told. Who asks is not looked at.
    pub(crate) fn may_meet(self, a: &Reach<'a>, b: &Reach<'a>) -> bool {
        a.sides.iter().zip(&b.sides).all(|pair| match pair {
            (Side::Is(a, _), Side::Is(b, _)) => a == b,
            (Side::Like(places), Side::Is(_, text)) | (Side::Is(_, text), Side::Like(places)) => {
                places.holds(text) != Some(false)
            }
            (Side::Like(a), Side::Like(b)) => a.common(b) != Common::Nothing,
            (Side::Any | Side::Holds { .. }, _) | (_, Side::Any | Side::Holds { .. }) => true,
        })
    }
}

/// The column that an expression is.
fn column_of(expr: &Expr) -> Option<usize> {
    if let Expr::Rule { column } = expr {
        return Some(*column);
    }
    None
}

/// The column that a term compares its argument with.
fn compared_column(term: &Expr) -> Option<usize> {
    if let Expr::Same { column, .. }
    | Expr::Match {
        pattern: PatternOf::Rule { column },
        ..
    } = term
    {
        return Some(*column);
    }
    if let Expr::Role { role, .. } = term {
        return column_of(role);
    }
    None
}

/// The argument that a term is about, if it is one.
pub(crate) fn argument_of(term: &Expr) -> Option<usize> {
    if let Expr::Same { argument, .. } = term {
        return Some(*argument);
    }
    if let Expr::Match { value: who, .. } | Expr::Role { who, .. } = term {
        return who.as_argument();
    }
    None
}

/// Clauses of one matcher that are looked at apart.
const CLAUSES_MAX: usize = 64;
