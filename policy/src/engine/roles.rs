//! Who inherits which role: one graph a relation, as in Go; closed at load.

use super::eval::EvaluationFault;
use super::pattern::{Patterns, key_match};
use super::role_patterns::{Closing as PatternClosing, RolePatterns};
use super::table::Table;
use super::windows::Windows;
use crate::bounds::{ROLE_DEPTH_MAX, ROLE_STEPS_MAX, ROLES_HELD_MAX};
use crate::model::check::Relation;
use crate::problem::{Place, Problems};
use crate::rules::symbols::{Marks, PairState, Symbol, Symbols, mix};
use crate::rules::table::Rows;
use std::collections::{BTreeSet, HashMap};
use std::hint::black_box;

/// The roles of one relation (`g`, `g2`, …), each name's whole inheritance resolved.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    /// From the hash of the texts of name and domain to its record: it can be asked before their numbers are known.
    table: Table,
    /// Records: domain, how many roles and whether rules name it itself, name, and the roles, nearest first.
    records: Vec<Symbol>,
    domains: Option<DomainPatterns>,
    windows: Option<Windows>,
    /// In place of records, where names are patterns.
    named: Option<RolePatterns>,
}

/// Domains of role rows that stand for many: `*` and what follows is anything, as in `keyMatch`.
#[derive(Debug)]
struct DomainPatterns {
    /// Every domain that a role row names.
    known: Marks,
    /// Those with a `*`, the longest text before it first.
    patterns: Vec<Symbol>,
}

impl Roles {
    /// Resolves the rows `name, role[, domain]`.
    ///
    /// A chain of more links than Casbin follows is a problem: casbin would cut it silently. Cycles are allowed, as
    /// in Casbin: their members hold each other's roles.
    pub(crate) fn resolve(
        relation: &Relation,
        rows: &Rows,
        (named_by_rules, asked): (&Marks, &BTreeSet<Symbol>),
        patterns: &Patterns,
        symbols: &Symbols,
        problems: &mut Problems<'_>,
    ) -> Self {
        if relation.windowed {
            return Self {
                windows: Some(Windows::resolve(
                    &relation.name,
                    rows,
                    NO_DOMAIN,
                    symbols,
                    problems,
                )),
                ..Self::default()
            };
        }
        let domains = relation
            .domain_patterns
            .then(|| DomainPatterns::of(rows, symbols));
        let (links, order) = links(rows, domains.as_ref(), symbols, problems);
        let mut roles = Self {
            domains,
            ..Self::default()
        };
        if let Some(matching) = relation.matching {
            let closing = PatternClosing {
                matching,
                links: &links,
                targets: asked,
                patterns,
                symbols,
            };
            match RolePatterns::close(closing, &order) {
                Ok(named) => roles.named = Some(named),
                Err((what, fix)) => {
                    let line = if rows.len() == 0 { 1 } else { rows.line(0) };
                    let at = Place { line, column: 1 };
                    problems.add(at, format!("{what} in `{}`", relation.name), fix);
                }
            }
            return roles;
        }
        roles.record(
            (links, order),
            (relation, rows),
            named_by_rules,
            symbols,
            problems,
        );
        roles
    }

    /// Closes the roles of each name into a record.
    fn record(
        &mut self,
        (links, order): (Links, Vec<(Symbol, Symbol)>),
        (relation, rows): (&Relation, &Rows),
        named_by_rules: &Marks,
        symbols: &Symbols,
        problems: &mut Problems<'_>,
    ) {
        let mut closing = Closing {
            links,
            seen: symbols.none(),
            held: Vec::new(),
            steps: 0,
        };
        let mut pairs = Vec::with_capacity(order.len());
        for (name, domain) in order {
            let closed = closing.close(
                name,
                domain,
                ROLES_HELD_MAX.saturating_sub(self.records.len()),
            );
            if let Err(Refused { row, what, fix }) = closed {
                let at = Place {
                    line: rows.line(row),
                    column: 1,
                };
                let from = symbols.text(name);
                problems.add(
                    at,
                    format!("{what} from `{from}` in `{}`", relation.name),
                    fix,
                );
                if problems.is_full() || closing.steps > ROLE_STEPS_MAX {
                    break;
                }
            } else if let (Ok(at), Ok(count)) = (
                u32::try_from(self.records.len()),
                u32::try_from(closing.held.len()),
            ) {
                pairs.push((hash(symbols, name, domain), at));
                let named = u32::from(named_by_rules.has(name));
                self.records
                    .extend([domain, Symbol(count << 1 | named), name]);
                self.records
                    .extend(closing.held.iter().map(|(role, _)| *role));
            }
        }
        self.records.shrink_to_fit();
        self.table = Table::build(pairs);
    }

    /// Reads where the record of a name in a domain is found, both given by the tags of their texts.
    #[inline]
    pub(crate) fn touch(&self, name: u32, domain: u32) -> u32 {
        self.table.touch(hash_of(name, domain))
    }

    /// Reads the start of the record, and says where it is if there is any.
    #[inline]
    pub(crate) fn touch_record(&self, name: u32, domain: u32) -> Option<u32> {
        let mut likely = None;
        self.table
            .each(hash_of(name, domain), |at| likely = Some(at));
        if let Some([first, _, _, last, ..]) = self.records.get(likely? as usize..) {
            black_box(first.0 ^ last.0);
        }
        likely
    }

    /// As [`Self::member`], if the record stands where [`Self::touch_record`] of this relation said.
    #[inline]
    pub(crate) fn member_at(&self, at: u32, name: Symbol, domain: Symbol) -> Option<Member<'_>> {
        let [within, count, own @ ..] = self.records.get(at as usize..)? else {
            return None;
        };
        if *within != domain || own.first() != Some(&name) {
            return None;
        }
        let (roles, named) = ((count.0 >> 1) as usize, (count.0 & 1) as usize);
        Some(Member {
            held: own.get(1..=roles).unwrap_or_default(),
            asked: own.get(1 - named..=roles).unwrap_or_default(),
        })
    }

    /// What is known of `name` in `domain`, if it inherits any role there; `tags` are those of their texts.
    #[inline]
    pub(crate) fn member(
        &self,
        name: Symbol,
        domain: Symbol,
        tags: (u32, u32),
    ) -> Option<Member<'_>> {
        let mut member = None;
        self.table.each(hash_of(tags.0, tags.1), |at| {
            member = member.or_else(|| self.member_at(at, name, domain));
        });
        member
    }

    /// The roles that `name` inherits in `domain`, itself not counted.
    ///
    /// Where names are patterns it is what names of role rows reach; any other may hold more than is told here.
    pub(crate) fn held(&self, name: Symbol, domain: Symbol, symbols: &Symbols) -> &[Symbol] {
        if let Some(named) = &self.named {
            return named.reached(name, domain).unwrap_or_default();
        }
        let tags = (symbols.tag(name), domain_tag(symbols, domain));
        let member = self.member(name, domain, tags);
        member.map_or(&[], |member| member.held)
    }

    /// The relation, if its roles are held for a time.
    pub(crate) fn windows(&self) -> Option<&Windows> {
        self.windows.as_ref()
    }

    /// Whether `name` inherits `role` in `domain`; a name's own role is not looked at.
    pub(crate) fn inherits(
        &self,
        name: Symbol,
        role: Symbol,
        domain: Symbol,
        time_unix_ms: Option<i64>,
        symbols: &Symbols,
    ) -> Result<bool, EvaluationFault> {
        match &self.windows {
            Some(windows) => windows.inherits(name, domain, time_unix_ms, &mut |held| held == role),
            None => Ok(self.held(name, domain, symbols).contains(&role)),
        }
    }

    /// Whether `name` inherits a role in `domain` that is `wanted`; where that takes too many steps it does not.
    pub(crate) fn inherits_any(
        &self,
        name: Symbol,
        domain: Symbol,
        (time_unix_ms, symbols): (Option<i64>, &Symbols),
        wanted: &mut dyn FnMut(Symbol) -> bool,
    ) -> bool {
        match &self.windows {
            Some(windows) => windows
                .inherits(name, domain, time_unix_ms, wanted)
                .unwrap_or(false),
            None => self
                .held(name, domain, symbols)
                .iter()
                .any(|role| wanted(*role)),
        }
    }

    /// The relation, if its names are patterns.
    pub(crate) fn named(&self) -> Option<&RolePatterns> {
        self.named.as_ref()
    }

    /// The domain whose roles count in the domain `text`, whose number is `symbol`.
    pub(crate) fn domain(
        &self,
        text: &str,
        symbol: Option<Symbol>,
        symbols: &Symbols,
    ) -> Option<Symbol> {
        let Some(domains) = &self.domains else {
            return symbol;
        };
        if let Some(symbol) = symbol
            && domains.known.has(symbol)
        {
            return Some(symbol);
        }
        // Every pattern that matches has a text before its `*` that the longest one starts with: it holds all links.
        let matching = |pattern: &&Symbol| key_match(text, symbols.text(**pattern));
        domains.patterns.iter().find(matching).copied()
    }

    /// How many names and roles its records hold.
    pub(crate) fn size(&self) -> usize {
        self.records.len() + self.named.as_ref().map_or(0, RolePatterns::size)
    }

    pub(crate) fn bytes(&self) -> usize {
        let named = self.named.as_ref().map_or(0, RolePatterns::size);
        self.table.bytes() + (self.records.capacity() + named) * size_of::<Symbol>()
    }
}

impl DomainPatterns {
    fn of(rows: &Rows, symbols: &Symbols) -> Self {
        let mut known = symbols.none();
        let mut patterns = Vec::new();
        for row in 0..rows.len() {
            if let [_, _, domain, ..] = rows.row(row)
                && known.mark(*domain)
                && symbols.text(*domain).contains('*')
            {
                patterns.push(*domain);
            }
        }
        let before = |pattern: &Symbol| symbols.text(*pattern).find('*').unwrap_or_default();
        patterns.sort_by_key(|pattern| std::cmp::Reverse(before(pattern)));
        Self { known, patterns }
    }
}

/// The direct links, and the names in the order of their first row.
fn links(
    rows: &Rows,
    domains: Option<&DomainPatterns>,
    symbols: &Symbols,
    problems: &mut Problems<'_>,
) -> (Links, Vec<(Symbol, Symbol)>) {
    let mut links = Links::default();
    let mut order = Vec::new();
    let mut known = Vec::new();
    let mut seen = symbols.none();
    if domains.is_some() {
        known.extend(
            (0..rows.len())
                .filter_map(|row| rows.field(row, 2))
                .filter(|domain| seen.mark(*domain)),
        );
    }
    let mut count = 0_usize;
    let is_pattern = |domain: &Symbol| domains.is_some() && symbols.text(*domain).contains('*');
    let patterns = (0..rows.len()).filter_map(|row| rows.field(row, 2));
    let patterns = patterns.filter(is_pattern).count();
    if patterns.saturating_mul(known.len()) > ROLE_STEPS_MAX {
        let at = Place { line: 1, column: 1 };
        problems.add(
            at,
            format!(
                "{patterns} patterns for {} domains are too many to try",
                known.len()
            ),
            "use fewer patterns for domains",
        );
        return (links, order);
    }
    for row in 0..rows.len() {
        let [name, role, domain @ ..] = rows.row(row) else {
            continue;
        };
        let domain = domain.first().copied().unwrap_or(NO_DOMAIN);
        let pattern = is_pattern(&domain);
        let within = known
            .iter()
            .filter(|d| pattern && key_match(symbols.text(**d), symbols.text(domain)));
        let own = (!pattern).then_some(domain);
        for domain in own.iter().chain(within) {
            count += 1;
            let next = links.entry((*name, *domain)).or_insert_with(|| {
                order.push((*name, *domain));
                Vec::new()
            });
            next.push((*role, row));
        }
        if count > ROLES_HELD_MAX {
            let at = Place {
                line: rows.line(row),
                column: 1,
            };
            problems.add(
                at,
                "too many roles in too many domains",
                "use fewer patterns for domains",
            );
            break;
        }
    }
    (links, order)
}

/// One who inherits roles.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member<'a> {
    /// The roles inherited, itself not counted.
    pub(crate) held: &'a [Symbol],
    /// What rules are looked up by: the roles, after itself if a rule has it where it has roles.
    pub(crate) asked: &'a [Symbol],
}

fn hash(symbols: &Symbols, name: Symbol, domain: Symbol) -> u64 {
    hash_of(symbols.tag(name), domain_tag(symbols, domain))
}

/// The tag of a domain's text; that of no domain is 0.
pub(crate) fn domain_tag(symbols: &Symbols, domain: Symbol) -> u32 {
    if domain == NO_DOMAIN {
        0
    } else {
        symbols.tag(domain)
    }
}

#[inline]
fn hash_of(name: u32, domain: u32) -> u64 {
    mix(u64::from(name) << 32 | u64::from(domain))
}

/// The direct roles of a name in a domain, each with its row.
pub(crate) type Links = HashMap<(Symbol, Symbol), Vec<(Symbol, usize)>, PairState>;

/// The closure of one name after the other.
struct Closing {
    links: Links,
    seen: Marks,
    /// The roles of the name at hand, each with the row that gave it.
    held: Vec<(Symbol, usize)>,
    /// Links followed, of all names so far.
    steps: usize,
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
            self.steps += 1;
            if self.steps > ROLE_STEPS_MAX {
                return Err(Refused {
                    row: *row,
                    what: format!("more than {ROLE_STEPS_MAX} links to follow"),
                    fix: "link fewer roles with each other",
                });
            }
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
