//! Roles that are held for a time only: `g = _, _, (_, _)`, each row with a start and an end.
//!
//! Casbin's own condition for this is `timeMatch`, which its users must attach to every link in code; a policy file
//! alone leaves the links open for ever. Here the window of a row always counts, and without a time none is open.

use super::eval::EvaluationFault;
use super::spans::Spans;
use crate::bounds::{ROLE_DEPTH_MAX, WINDOWS_MAX};
use crate::problem::{Place, Problems};
use crate::rules::symbols::{PairState, Symbol, Symbols};
use crate::rules::table::Rows;
use std::collections::{BTreeMap, HashMap};

/// The links of one relation, followed anew for each request.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    links: HashMap<(Symbol, Symbol), Vec<Link>, PairState>,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    role: Symbol,
    /// Milliseconds since 1970, both exclusive.
    after: i64,
    before: i64,
}

impl Windows {
    /// Reads the rows `name, role[, domain], start, end`.
    pub(crate) fn resolve(
        relation: &str,
        rows: &Rows,
        no_domain: Symbol,
        symbols: &Symbols,
        problems: &mut Problems<'_>,
    ) -> Self {
        let mut windows = Self::default();
        for row in 0..rows.len() {
            let (name, role, domain, start, end) = match rows.row(row) {
                [name, role, start, end] => (*name, *role, no_domain, *start, *end),
                [name, role, domain, start, end] => (*name, *role, *domain, *start, *end),
                _ => continue,
            };
            let at = Place {
                line: rows.line(row),
                column: 1,
            };
            let mut time = |symbol: Symbol, open: i64| {
                let text = symbols.text(symbol);
                let time = if text == "_" {
                    Some(open)
                } else {
                    milliseconds(text)
                };
                if time.is_none() {
                    problems.add(
                        at,
                        format!("`{text}` is no time"),
                        "write `2026-01-31 23:59:59` in UTC, or `_` for no limit",
                    );
                }
                time
            };
            let (after, before) = (time(start, i64::MIN), time(end, i64::MAX));
            let links = windows.links.entry((name, domain)).or_default();
            if links.len() >= WINDOWS_MAX {
                problems.add(
                    at,
                    format!("more than {WINDOWS_MAX} roles for a time of one name in `{relation}`"),
                    "give it a role of its own that holds them",
                );
                break;
            }
            if links.iter().any(|link| link.role == role) {
                problems.add(
                    at,
                    format!("a second window of `{relation}` for one name and role, casbin keeps only the last"),
                    "remove one of the rows",
                );
            }
            if let (Some(after), Some(before)) = (after, before) {
                links.push(Link {
                    role,
                    after,
                    before,
                });
            }
        }
        windows
    }

    /// Whether `name` inherits a role in `domain` that is `wanted`, at `time_unix_ms`, through open windows alone.
    pub(crate) fn inherits(
        &self,
        name: Symbol,
        domain: Symbol,
        time_unix_ms: Option<i64>,
        wanted: &mut dyn FnMut(Symbol) -> bool,
    ) -> Result<bool, EvaluationFault> {
        let open = |link: &Link| match time_unix_ms {
            Some(time) => link.after < time && time < link.before,
            None => link.after == i64::MIN && link.before == i64::MAX,
        };
        let mut seen = [name; SEEN_MAX];
        let mut count = 1;
        let mut level = 0;
        for _ in 0..ROLE_DEPTH_MAX {
            let end = count;
            for index in level..end {
                let from = seen.get(index).copied().unwrap_or(name);
                let links = self.links.get(&(from, domain)).into_iter().flatten();
                for link in links.filter(|link| open(link)) {
                    if wanted(link.role) {
                        return Ok(true);
                    }
                    if seen.iter().take(count).any(|known| *known == link.role) {
                        continue;
                    }
                    let place = seen.get_mut(count).ok_or(EvaluationFault::TooManyRoles)?;
                    *place = link.role;
                    count += 1;
                }
            }
            level = end;
        }
        Ok(false)
    }

    /// When `name` inherits which role in `domain`; `None` where it may be more roles than a request follows.
    pub(crate) fn held(&self, name: Symbol, domain: Symbol) -> Option<BTreeMap<Symbol, Spans>> {
        let mut held: BTreeMap<Symbol, Spans> = BTreeMap::new();
        let mut reached = BTreeMap::from([(name, Spans::always())]);
        for _ in 0..ROLE_DEPTH_MAX {
            let mut next: BTreeMap<Symbol, Spans> = BTreeMap::new();
            for (from, spans) in &reached {
                for link in self.links.get(&(*from, domain)).into_iter().flatten() {
                    let open = spans.within(link.after, link.before);
                    next.entry(link.role).or_default().add(&open);
                }
            }
            // What was reached earlier has been followed.
            next.retain(|role, spans| {
                let known = held.entry(*role).or_default();
                *spans = spans.without(known);
                known.add(spans);
                !spans.is_empty()
            });
            if held.len() >= SEEN_MAX {
                return None;
            }
            reached = next;
        }
        held.retain(|_, spans| !spans.is_empty());
        Some(held)
    }
}

/// `2026-01-31 23:59:59` as milliseconds since 1970, in UTC.
fn milliseconds(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(' ')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        _ => return None,
    };
    if !(1..=days).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Days since 0000-03-01, so that the leap day is the last of its year.
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let since =
        365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + day
            - 1;
    let seconds = (since - 719_468) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(seconds * 1_000)
}

fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; 3];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        if part.len() != digits || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Roles followed for one question; beyond it the request fails.
const SEEN_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_from_1970() {
        for (text, expected) in [
            ("1970-01-01 00:00:00", Some(0)),
            ("2000-02-29 12:00:00", Some(951_825_600_000)),
            ("2026-11-24 08:00:00", Some(1_795_507_200_000)),
            ("0000-01-01 00:00:00", Some(-62_167_219_200_000)),
            ("9999-12-31 23:59:59", Some(253_402_300_799_000)),
            ("2025-02-29 00:00:00", None),
            ("2025-13-01 00:00:00", None),
            ("2025-1-01 00:00:00", None),
            ("2025-01-01 24:00:00", None),
            ("2025-01-01T00:00:00", None),
            ("2025-01-01", None),
            ("", None),
        ] {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
    }
}
