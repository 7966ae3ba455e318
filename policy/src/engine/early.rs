//! What is asked of memory before the numbers of a request's texts are known.
//!
//! A decision costs what it waits for memory, and at a million rules hardly anything that it reads is in a cache. Where
//! the role record of the subject stands and where the patterns of a path stand follows from the texts alone; so both
//! are asked for together with the numbers, and what they lead to together with the texts. It is a guess of what comes:
//! everything is read again, and verified, when its turn comes.

use super::eval::Argument;
use super::index::Index;
use super::paths::{Gathered, PathIndex, Probes};
use super::plan::{Domain, Source};
use super::roles::Roles;
use crate::rules::symbols::Symbols;
use crate::value::View;

/// What is asked for the first clause of an index.
#[derive(Debug, Default)]
pub(crate) struct Early {
    /// For its first pattern, if it has one.
    pub(crate) probes: Probes,
    /// What they have led to.
    pub(crate) gathered: Gathered,
    /// For its first role, if it has one.
    pub(crate) member: Option<LikelyMember>,
    asked: bool,
}

/// Where the record of who holds roles is likely to stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LikelyMember {
    /// Of these roles, and of no others: what stands there elsewhere may be no record.
    pub(crate) relation: usize,
    pub(crate) at: u32,
}

/// What the first clause of an index asks first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct First {
    /// The key and the argument of its first pattern.
    pattern: Option<(usize, usize)>,
    /// The relation, and the arguments that say who and in which domain, of its first role.
    role: Option<(usize, usize, Option<usize>)>,
}

impl First {
    /// Finds it in the keys of a clause, each with its sources.
    pub(crate) fn of<'k>(keys: impl Iterator<Item = &'k [Source]>) -> Self {
        let mut first = Self::default();
        for (key, sources) in keys.enumerate() {
            for source in sources {
                match source {
                    Source::Pattern { argument, .. } => {
                        first.pattern = first.pattern.or(Some((key, *argument)));
                    }
                    Source::Role {
                        relation,
                        who,
                        domain,
                    } => {
                        let domain = match domain {
                            Domain::None => None,
                            Domain::Argument(argument) => Some(*argument),
                            Domain::Fixed(_) => continue,
                        };
                        first.role = first.role.or(Some((*relation, *who, domain)));
                    }
                    Source::Argument(_) | Source::Fixed(_) => {}
                }
            }
        }
        first
    }
}

impl Early {
    /// What was asked, if there was anything.
    pub(crate) fn taken(&self) -> Option<&Self> {
        self.asked.then_some(self)
    }
}

impl Index {
    /// What the texts of a request lead to; nothing is read for it.
    #[inline]
    pub(crate) fn prepare(&self, request: &[Argument<'_>], early: &mut Early) {
        if let Some((paths, text)) = self.first_paths(request) {
            paths.probes(text, &mut early.probes);
            early.asked = true;
        }
    }

    /// Asks for the places that the texts of a request lead to.
    #[inline]
    pub(crate) fn touch(&self, early: &Early, request: &[Argument<'_>], roles: &[Roles]) -> u32 {
        let mut touched = 0;
        if let Some((paths, _)) = self.first_paths(request) {
            touched ^= paths.touch(&early.probes);
        }
        if let Some((relation, who, domain)) = self.tags(request)
            && let Some(roles) = roles.get(relation)
        {
            touched ^= roles.touch(who, domain);
        }
        touched
    }

    /// Asks for what stands at these places.
    #[inline]
    pub(crate) fn touch_again(
        &self,
        early: &mut Early,
        request: &[Argument<'_>],
        roles: &[Roles],
        symbols: &Symbols,
    ) {
        if let Some((relation, who, domain)) = self.tags(request)
            && let Some(roles) = roles.get(relation)
        {
            let at = roles.touch_record(who, domain);
            early.member = at.map(|at| LikelyMember { relation, at });
        }
        if let Some((paths, text)) = self.first_paths(request) {
            paths.gather(&early.probes, text.len(), symbols, &mut early.gathered);
        }
    }

    #[inline]
    fn first_paths<'a>(&self, request: &[Argument<'a>]) -> Option<(&PathIndex, &'a str)> {
        let (key, argument) = self.first.pattern?;
        let paths = self.clauses.first()?.keys.get(key)?.paths.first()?;
        let View::Text(text) = request.get(argument)?.view else {
            return None;
        };
        Some((paths, text))
    }

    /// The relation of the first role, and the tags of who and where.
    #[inline]
    fn tags(&self, request: &[Argument<'_>]) -> Option<(usize, u32, u32)> {
        let (relation, who, domain) = self.first.role?;
        let tag = |argument: usize| request.get(argument).map(|argument| argument.tag);
        let domain = match domain {
            Some(domain) => tag(domain)?,
            None => 0,
        };
        Some((relation, tag(who)?, domain))
    }
}
