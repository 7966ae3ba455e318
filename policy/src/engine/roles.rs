//! Who inherits which role: one graph a relation, as in Go; closed at load.

use crate::bounds::{ROLE_DEPTH_MAX, ROLES_HELD_MAX};
use crate::problem::{Place, Problems};
use crate::rules::symbols::{PairState, Symbol, Symbols};
use crate::rules::table::Rows;
use std::collections::HashMap;

/// The roles of one relation (`g`, `g2`, …), each name's whole inheritance resolved.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    /// Name and domain to a range of `held`; without domains, the domain is [`NO_DOMAIN`].
    spans: HashMap<(Symbol, Symbol), (u32, u32), PairState>,
    /// Roles held, itself not counted, nearest first.
    held: Vec<Symbol>,
}

impl Roles {
    /// Resolves the rows `name, role[, domain]`.
    ///
    /// A chain of more links than Casbin follows is a problem: casbin would cut it silently. Cycles are allowed, as
    /// in Casbin: their members hold each other's roles.
    pub(crate) fn resolve(
        relation: &str,
        rows: &Rows,
        symbols: &Symbols,
        problems: &mut Problems<'_>,
    ) -> Self {
        let mut links = Links::default();
        let mut order = Vec::new();
        for row in 0..rows.len() {
            if let [name, role, domain @ ..] = rows.row(row) {
                let domain = domain.first().copied().unwrap_or(NO_DOMAIN);
                let next = links.entry((*name, domain)).or_insert_with(|| {
                    order.push((*name, domain));
                    Vec::new()
                });
                next.push((*role, row));
            }
        }
        let mut roles = Self::default();
        for (name, domain) in order {
            if let Err(Refused { row, what, fix }) = roles.close(name, domain, &links) {
                let at = Place {
                    line: rows.line(row),
                    column: 1,
                };
                problems.add(
                    at,
                    format!("{what} from `{}` in `{relation}`", symbols.text(name)),
                    fix,
                );
                if problems.is_full() {
                    break;
                }
            }
        }
        roles
    }

    fn close(&mut self, name: Symbol, domain: Symbol, links: &Links) -> Result<(), Refused> {
        let start = self.held.len();
        let mut frontier = start;
        for (role, row) in links.get(&(name, domain)).into_iter().flatten() {
            self.hold(start, name, *role, *row)?;
        }
        for depth in 1.. {
            let end = self.held.len();
            if frontier == end {
                break;
            }
            for index in frontier..end {
                let Some(role) = self.held.get(index).copied() else {
                    break;
                };
                for (next, row) in links.get(&(role, domain)).into_iter().flatten() {
                    let before = self.held.len();
                    self.hold(start, name, *next, *row)?;
                    if depth == ROLE_DEPTH_MAX && self.held.len() > before {
                        self.held.truncate(start);
                        return Err(Refused {
                            row: *row,
                            what: format!("more than {ROLE_DEPTH_MAX} links"),
                            fix: "shorten the chain; casbin follows no further",
                        });
                    }
                }
            }
            frontier = end;
        }
        if let (Ok(from), Ok(to)) = (u32::try_from(start), u32::try_from(self.held.len())) {
            self.spans.insert((name, domain), (from, to));
        }
        Ok(())
    }

    fn hold(
        &mut self,
        start: usize,
        name: Symbol,
        role: Symbol,
        row: usize,
    ) -> Result<(), Refused> {
        let known = self.held.get(start..).unwrap_or_default();
        if role == name || known.contains(&role) {
            return Ok(());
        }
        if self.held.len() >= ROLES_HELD_MAX {
            return Err(Refused {
                row,
                what: format!("more than {ROLES_HELD_MAX} roles held"),
                fix: "flatten the roles or split the policy by organisation",
            });
        }
        self.held.push(role);
        Ok(())
    }

    pub(crate) fn bytes(&self) -> usize {
        let span = size_of::<(Symbol, Symbol)>() + size_of::<(u32, u32)>() + 1;
        self.spans.capacity() * span + self.held.capacity() * size_of::<Symbol>()
    }

    /// The roles that `name` inherits in `domain`, itself not counted.
    pub(crate) fn held(&self, name: Symbol, domain: Symbol) -> &[Symbol] {
        match self.spans.get(&(name, domain)) {
            Some((from, to)) => self
                .held
                .get(*from as usize..*to as usize)
                .unwrap_or_default(),
            None => &[],
        }
    }

    /// Whether `name` inherits `role` in `domain`; a name's own role is not looked at.
    pub(crate) fn inherits(&self, name: Symbol, role: Symbol, domain: Symbol) -> bool {
        self.held(name, domain).contains(&role)
    }
}

/// The direct roles of a name in a domain, each with its row.
type Links = HashMap<(Symbol, Symbol), Vec<(Symbol, usize)>, PairState>;

struct Refused {
    row: usize,
    what: String,
    fix: &'static str,
}

/// The domain of relations without one: no text has this number.
pub(crate) const NO_DOMAIN: Symbol = Symbol(u32::MAX);
