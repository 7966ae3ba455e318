//! Roles of relations whose names are patterns, as Go's role manager holds them once a matching function is attached.
//!
//! A name is linked to its roles, to whatever a role of its that is a pattern matches, and to the roles of every
//! pattern that it matches itself. All names of role rows are closed at load. A name that no row has, as a path of a
//! request, is matched against the patterns when it comes: what is reached through each of them is known by then.

use super::pattern::{Matching, Patterns};
use super::roles::Links;
use crate::bounds::{
    ROLE_DEPTH_MAX, ROLE_MATCHES_MAX, ROLE_PATTERNS_MAX, ROLE_STEPS_MAX, ROLES_REACHED_MAX,
};
use crate::rules::symbols::{PairState, Symbol, Symbols};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The closed roles of one relation.
#[derive(Debug)]
pub(crate) struct RolePatterns {
    matching: Matching,
    /// What each name of a role row reaches in a domain, in the order of numbers, itself not counted.
    reached: HashMap<(Symbol, Symbol), Box<[Symbol]>, PairState>,
    /// By domain: the patterns that have roles, and what is reached through each.
    through: BTreeMap<Symbol, Vec<Through>>,
    /// Patterns that are matched at most to answer whether one name holds one role.
    tried: usize,
}

/// A pattern, and what names that match it reach.
type Through = (Symbol, Box<[Symbol]>);

/// What a graph is closed with.
#[derive(Clone, Copy)]
pub(crate) struct Closing<'a> {
    pub(crate) matching: Matching,
    pub(crate) links: &'a Links,
    /// What rules ask for.
    pub(crate) targets: &'a BTreeSet<Symbol>,
    pub(crate) patterns: &'a Patterns,
    pub(crate) symbols: &'a Symbols,
}

/// Why a relation is refused: what is wrong, and the fix.
type Refused = (String, &'static str);

impl RolePatterns {
    /// Closes the graph of each domain, given the names that have roles in it.
    pub(crate) fn close(closing: Closing<'_>, order: &[(Symbol, Symbol)]) -> Result<Self, Refused> {
        let mut heads: BTreeMap<Symbol, BTreeSet<Symbol>> = BTreeMap::new();
        for (name, domain) in order {
            heads.entry(*domain).or_default().insert(*name);
        }
        let mut all = Self {
            matching: closing.matching,
            reached: HashMap::default(),
            through: BTreeMap::new(),
            tried: 0,
        };
        let mut spent = Spent::default();
        for (domain, heads) in heads {
            let graph = Graph::of(closing, &heads, domain, &mut spent)?;
            for name in &graph.names {
                let reached = graph.reach(*name, std::iter::once(*name), 0, &mut spent)?;
                all.reached.insert((*name, domain), reached);
            }
            let mut through = Vec::with_capacity(graph.patterns.len());
            let mut tried: BTreeMap<Symbol, usize> = BTreeMap::new();
            for pattern in &graph.patterns {
                let roles = graph.roles(*pattern).iter().map(|(role, _)| *role);
                let reached = graph.reach(NOBODY, roles, 1, &mut spent)?;
                for role in &reached {
                    let count = tried.entry(*role).or_default();
                    *count += 1;
                    all.tried = all.tried.max(*count);
                }
                through.push((*pattern, reached));
            }
            all.through.insert(domain, through);
        }
        Ok(all)
    }

    /// Whether a name, known or not, is `role` or reaches it in `domain`.
    pub(crate) fn holds(
        &self,
        who: (Option<Symbol>, &str),
        role: Symbol,
        domain: Option<Symbol>,
        patterns: &Patterns,
        symbols: &Symbols,
    ) -> bool {
        let (symbol, text) = who;
        let asked = symbols.text(role);
        if text == asked
            || !is_plain(self.matching, asked)
                && patterns.matches(self.matching, text, role, symbols)
        {
            return true;
        }
        let Some(domain) = domain else {
            return false;
        };
        if let Some(reached) = symbol.and_then(|symbol| self.reached.get(&(symbol, domain))) {
            return reached.binary_search(&role).is_ok();
        }
        let through = self.through.get(&domain).into_iter().flatten();
        let mut leading = through.filter(|(_, reached)| reached.binary_search(&role).is_ok());
        leading.any(|(pattern, _)| patterns.matches(self.matching, text, *pattern, symbols))
    }

    /// What a name of a role row reaches in `domain`.
    pub(crate) fn reached(&self, name: Symbol, domain: Symbol) -> Option<&[Symbol]> {
        self.reached.get(&(name, domain)).map(|reached| &**reached)
    }

    /// Matches that one question may take, and whether they are of globs.
    pub(crate) fn cost(&self) -> (u64, bool) {
        (self.tried as u64 + 1, self.matching == Matching::Glob)
    }

    /// How many names and roles it holds.
    pub(crate) fn size(&self) -> usize {
        let through = self.through.values().flatten().map(|(_, reached)| reached);
        let reached = self.reached.values().chain(through);
        reached.map(|reached| reached.len() + 2).sum()
    }
}

/// Whether a text matches itself alone.
pub(crate) fn is_plain(matching: Matching, text: &str) -> bool {
    match matching {
        Matching::KeyMatch => !text.contains('*'),
        Matching::KeyMatch2 | Matching::KeyMatch3 | Matching::KeyMatch4 | Matching::Glob => text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '/' | '_' | '-')),
        Matching::KeyMatch5 | Matching::Regex | Matching::Ip => false,
    }
}

/// What closing has taken so far.
#[derive(Default)]
struct Spent {
    matches: usize,
    steps: usize,
    reached: usize,
}

/// The links of one domain.
struct Graph<'a> {
    closing: Closing<'a>,
    domain: Symbol,
    names: BTreeSet<Symbol>,
    /// Names with roles that may match others.
    patterns: Vec<Symbol>,
    next: HashMap<Symbol, Vec<Symbol>>,
    /// What rules ask for that is a pattern and matches a name.
    is: HashMap<Symbol, Vec<Symbol>>,
    /// What rules ask for, no role row names, and a role that is a pattern matches.
    leads: HashMap<Symbol, Vec<Symbol>>,
}

impl<'a> Graph<'a> {
    fn of(
        closing: Closing<'a>,
        heads: &BTreeSet<Symbol>,
        domain: Symbol,
        spent: &mut Spent,
    ) -> Result<Self, Refused> {
        let mut graph = Self {
            closing,
            domain,
            names: heads.clone(),
            patterns: Vec::new(),
            next: HashMap::new(),
            is: HashMap::new(),
            leads: HashMap::new(),
        };
        for name in heads {
            let roles = closing.links.get(&(*name, domain)).into_iter().flatten();
            graph.names.extend(roles.map(|(role, _)| *role));
        }
        let may_match = |name: &&Symbol| !is_plain(closing.matching, closing.symbols.text(**name));
        graph.patterns = heads.iter().filter(may_match).copied().collect();
        let roles: BTreeSet<_> = graph.names.iter().filter(may_match).copied().collect();
        let asked: Vec<_> = closing.targets.iter().filter(may_match).copied().collect();
        let others = closing.targets.len().saturating_mul(roles.len());
        let by_name = graph.patterns.len() + roles.len() + asked.len();
        spent.matches += graph
            .names
            .len()
            .saturating_mul(by_name)
            .saturating_add(others);
        if spent.matches > ROLE_MATCHES_MAX || graph.patterns.len() > ROLE_PATTERNS_MAX {
            return Err((
                format!(
                    "more than {ROLE_PATTERNS_MAX} patterns, or more than {ROLE_MATCHES_MAX} matches to try,"
                ),
                "use fewer patterns for names, or a relation of its own for them",
            ));
        }
        graph.link(&roles, &asked);
        Ok(graph)
    }

    fn matches(&self, name: Symbol, pattern: Symbol) -> bool {
        let Closing {
            matching,
            patterns,
            symbols,
            ..
        } = self.closing;
        name != pattern && patterns.matches(matching, symbols.text(name), pattern, symbols)
    }

    fn roles(&self, name: Symbol) -> &'a [(Symbol, usize)] {
        let links = self.closing.links.get(&(name, self.domain));
        links.map_or(&[], |links| links)
    }

    fn link(&mut self, roles: &BTreeSet<Symbol>, asked: &[Symbol]) {
        let mut matched: HashMap<Symbol, Vec<Symbol>> = HashMap::new();
        let mut unnamed: HashMap<Symbol, Vec<Symbol>> = HashMap::new();
        for role in roles {
            let names = self.names.iter().filter(|name| self.matches(**name, *role));
            matched.insert(*role, names.copied().collect());
            let others = self.closing.targets.difference(&self.names);
            let others = others.filter(|target| self.matches(**target, *role));
            unnamed.insert(*role, others.copied().collect());
        }
        for name in self.names.clone() {
            let mut next = BTreeSet::new();
            let mut leads = BTreeSet::new();
            for (role, _) in self.roles(name) {
                next.insert(*role);
                next.extend(matched.get(role).into_iter().flatten());
                leads.extend(unnamed.get(role).into_iter().flatten());
            }
            for pattern in &self.patterns {
                if self.matches(name, *pattern) {
                    next.extend(self.roles(*pattern).iter().map(|(role, _)| *role));
                }
            }
            let is = asked.iter().filter(|target| self.matches(name, **target));
            self.is.insert(name, is.copied().collect());
            self.next.insert(name, next.into_iter().collect());
            self.leads.insert(name, leads.into_iter().collect());
        }
    }

    /// What is reached from these names, that many links away from `own`, which is not counted.
    fn reach(
        &self,
        own: Symbol,
        from: impl Iterator<Item = Symbol>,
        links: usize,
        spent: &mut Spent,
    ) -> Result<Box<[Symbol]>, Refused> {
        let mut frontier: Vec<Symbol> = from.collect();
        let mut seen: BTreeSet<Symbol> = frontier.iter().copied().collect();
        let mut reached = BTreeSet::new();
        for depth in links.. {
            let mut next = Vec::new();
            for name in &frontier {
                reached.insert(*name);
                reached.extend(self.is.get(name).into_iter().flatten());
                let leads = self.leads.get(name).into_iter().flatten();
                for target in leads.filter(|_| depth < ROLE_DEPTH_MAX) {
                    reached.insert(*target);
                }
                for role in self.next.get(name).into_iter().flatten() {
                    spent.steps += 1;
                    if seen.insert(*role) {
                        next.push(*role);
                    }
                }
            }
            if next.is_empty() {
                break;
            }
            if depth >= ROLE_DEPTH_MAX {
                let from = frontier
                    .first()
                    .map(|name| self.closing.symbols.text(*name));
                return Err((
                    format!(
                        "more than {ROLE_DEPTH_MAX} links on the way by `{}`",
                        from.unwrap_or_default()
                    ),
                    "shorten the chain; casbin follows no further",
                ));
            }
            frontier = next;
        }
        reached.remove(&own);
        spent.reached += reached.len();
        if spent.reached > ROLES_REACHED_MAX || spent.steps > ROLE_STEPS_MAX {
            return Err((
                format!("more than {ROLES_REACHED_MAX} roles reached"),
                "use fewer patterns for names, or link fewer roles with each other",
            ));
        }
        Ok(reached.into_iter().collect())
    }
}

/// Nobody's number.
const NOBODY: Symbol = Symbol(u32::MAX);
