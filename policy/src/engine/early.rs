//! What is asked of memory before the numbers of a request's texts are known.
//!
//! A decision costs what it waits for memory, and at a million rules hardly anything that it reads is in a cache. Where
//! the role record of the subject stands and where the patterns of a path stand follows from the texts alone; so both
//! are asked for together with the numbers, and what they lead to together with the texts. It is a guess of what comes:
//! everything is read again, and verified, when its turn comes.

use super::eval::Argument;
use super::index::Index;
use super::paths::{PathIndex, Probes};
use super::plan::{Domain, Source};
use super::roles::Roles;
use crate::rules::symbols::Symbols;
use crate::value::View;
use std::hint::black_box;

/// What was asked for the first clause of an index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Early {
    /// For its first pattern.
    pub(crate) probes: Probes,
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

impl Index {
    /// Asks for the places that the texts of a request lead to.
    pub(crate) fn ask(&self, request: &[Argument<'_>], roles: &[Roles]) -> Option<Early> {
        let tags = self.tags(request);
        if let Some((relation, who, domain)) = tags
            && let Some(roles) = roles.get(relation)
        {
            black_box(roles.touch(who, domain));
        }
        let (paths, text) = self.first_paths(request)?;
        Some(Early {
            probes: paths.probes(text),
        })
    }

    /// Asks for what stands at these places.
    pub(crate) fn ask_again(
        &self,
        early: Option<&Early>,
        request: &[Argument<'_>],
        roles: &[Roles],
        symbols: &Symbols,
    ) {
        if let Some(early) = early
            && let Some((paths, _)) = self.first_paths(request)
        {
            black_box(paths.touch_texts(&early.probes, symbols));
        }
        if let Some((relation, who, domain)) = self.tags(request)
            && let Some(roles) = roles.get(relation)
        {
            black_box(roles.touch_record(who, domain));
        }
    }

    fn first_paths<'a>(&self, request: &[Argument<'a>]) -> Option<(&PathIndex, &'a str)> {
        let (key, argument) = self.first.pattern?;
        let paths = self.clauses.first()?.keys.get(key)?.paths.first()?;
        let View::Text(text) = request.get(argument)?.view else {
            return None;
        };
        Some((paths, text))
    }

    /// The relation of the first role, and the tags of who and where.
    fn tags(&self, request: &[Argument<'_>]) -> Option<(usize, u32, u32)> {
        let (relation, who, domain) = self.first.role?;
        let tag = |argument: usize| request.get(argument).map(|argument| argument.likely.tag);
        let domain = match domain {
            Some(domain) => tag(domain)?,
            None => 0,
        };
        Some((relation, tag(who)?, domain))
    }
}
