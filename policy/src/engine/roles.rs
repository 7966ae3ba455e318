//! Who inherits which role: one graph a relation, as in Go; closed at load.

use super::table::Table;
use crate::bounds::{ROLE_DEPTH_MAX, ROLES_HELD_MAX};
use crate::problem::{Place, Problems};
use crate::rules::symbols::{Marks, PairState, Symbol, Symbols, mix};
use crate::rules::table::Rows;
use std::collections::HashMap;

/// The roles of one relation (`g`, `g2`, …), each name's whole inheritance resolved.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    /// From the hash of name and domain to its record.
    table: Table,
    /// Records: name, domain, how many roles and whether rules name it itself, and the roles, nearest first.
    records: Vec<Symbol>,
}

impl Roles {
    /// Resolves the rows `name, role[, domain]`.
    ///
    /// A chain of more links than Casbin follows is a problem: casbin would cut it silently. Cycles are allowed, as
    /// in Casbin: their members hold each other's roles.
    pub(crate) fn resolve(
        relation: &str,
        rows: &Rows,
        named_by_rules: &Marks,
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
        let mut closing = Closing {
            links,
            seen: symbols.none(),
            held: Vec::new(),
        };
        let mut pairs = Vec::with_capacity(order.len());
        for (name, domain) in order {
            let closed = closing.close(
                name,
                domain,
                ROLES_HELD_MAX.saturating_sub(roles.records.len()),
            );
            if let Err(Refused { row, what, fix }) = closed {
                let at = Place {
                    line: rows.line(row),
                    column: 1,
                };
                let from = symbols.text(name);
                problems.add(at, format!("{what} from `{from}` in `{relation}`"), fix);
                if problems.is_full() {
                    break;
                }
            } else if let (Ok(at), Ok(count)) = (
                u32::try_from(roles.records.len()),
                u32::try_from(closing.held.len()),
            ) {
                pairs.push((hash(name, domain), at));
                let named = u32::from(named_by_rules.has(name));
                roles
                    .records
                    .extend([name, domain, Symbol(count << 1 | named)]);
                roles
                    .records
                    .extend(closing.held.iter().map(|(role, _)| *role));
            }
        }
        roles.records.shrink_to_fit();
        roles.table = Table::build(pairs);
        roles
    }

    /// What is known of `name` in `domain`, if it inherits any role there.
    #[inline]
    pub(crate) fn member(&self, name: Symbol, domain: Symbol) -> Option<Member<'_>> {
        let mut member = None;
        self.table.each(hash(name, domain), |at| {
            if let Some([of, within, count, rest @ ..]) = self.records.get(at as usize..)
                && (*of, *within) == (name, domain)
            {
                member = Some(Member {
                    held: rest.get(..(count.0 >> 1) as usize).unwrap_or_default(),
                    named_by_rules: count.0 & 1 == 1,
                });
            }
        });
        member
    }

    /// The roles that `name` inherits in `domain`, itself not counted.
    pub(crate) fn held(&self, name: Symbol, domain: Symbol) -> &[Symbol] {
        self.member(name, domain).map_or(&[], |member| member.held)
    }

    /// Whether `name` inherits `role` in `domain`; a name's own role is not looked at.
    pub(crate) fn inherits(&self, name: Symbol, role: Symbol, domain: Symbol) -> bool {
        self.held(name, domain).contains(&role)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.table.bytes() + self.records.capacity() * size_of::<Symbol>()
    }
}

/// One who inherits roles.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member<'a> {
    /// The roles inherited, itself not counted.
    pub(crate) held: &'a [Symbol],
    /// Whether a rule has it where it has roles.
    pub(crate) named_by_rules: bool,
}

fn hash(name: Symbol, domain: Symbol) -> u64 {
    mix(u64::from(name.0) << 32 | u64::from(domain.0))
}

/// The direct roles of a name in a domain, each with its row.
type Links = HashMap<(Symbol, Symbol), Vec<(Symbol, usize)>, PairState>;

/// The closure of one name after the other.
struct Closing {
    links: Links,
    seen: Marks,
    /// The roles of the name at hand, each with the row that gave it.
    held: Vec<(Symbol, usize)>,
}

struct Refused {
    row: usize,
    what: String,
    fix: &'static str,
}

impl Closing {
    fn close(&mut self, name: Symbol, domain: Symbol, room: usize) -> Result<(), Refused> {
        for (role, _) in self.held.drain(..) {
            self.seen.unmark(role);
        }
        self.seen.mark(name);
        let closed = self.walk(name, domain, room);
        self.seen.unmark(name);
        closed
    }

    fn walk(&mut self, name: Symbol, domain: Symbol, room: usize) -> Result<(), Refused> {
        self.follow(name, domain, room)?;
        let mut frontier = 0;
        for depth in 1.. {
            let end = self.held.len();
            if frontier == end {
                break;
            }
            for index in frontier..end {
                if let Some((role, _)) = self.held.get(index).copied() {
                    self.follow(role, domain, room)?;
                }
            }
            if depth == ROLE_DEPTH_MAX
                && let Some((_, row)) = self.held.get(end)
            {
                return Err(Refused {
                    row: *row,
                    what: format!("more than {ROLE_DEPTH_MAX} links"),
                    fix: "shorten the chain; casbin follows no further",
                });
            }
            frontier = end;
        }
        Ok(())
    }

    /// Adds the direct roles of `name` that are new.
    fn follow(&mut self, name: Symbol, domain: Symbol, room: usize) -> Result<(), Refused> {
        for (role, row) in self.links.get(&(name, domain)).into_iter().flatten() {
            if self.held.len() >= room {
                return Err(Refused {
                    row: *row,
                    what: format!("more than {ROLES_HELD_MAX} roles held"),
                    fix: "flatten the roles or split the policy by organisation",
                });
            }
            if self.seen.mark(*role) {
                self.held.push((*role, *row));
            }
        }
        Ok(())
    }
}

/// The domain of relations without one: no text has this number.
pub(crate) const NO_DOMAIN: Symbol = Symbol(u32::MAX);
