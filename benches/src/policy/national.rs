//! A policy of the size and kind of the national platform's, and requests for it.
//!
//! 84 organisations, in each 200 roles; a rule gives a role a path pattern (60 % exact, 22 % with a parameter, 18 %
//! the rest of a path) and a method, 5 % of them denials; 100,000 identities hold 1 to 3 roles in their organisation. 70 %
//! of the requests are made by a holder of the role that a rule names, in random order.

use crate::measure::Random;
use std::fmt::Write as _;
use std::hint::black_box;

/// The policy's rows by organisation, and what is asked.
pub(crate) struct National {
    /// All rows: the rules in random order of organisations, then who holds which role.
    pub(crate) rules: String,
    /// The rows of each organisation.
    pub(crate) organisations: Vec<String>,
    /// Who holds which role, alone: what they weigh does not depend on the number of rules.
    pub(crate) holders: String,
    pub(crate) requests: Vec<Asked>,
}

pub(crate) struct Asked {
    pub(crate) subject: String,
    pub(crate) domain: String,
    pub(crate) path: String,
    pub(crate) method: String,
}

impl Asked {
    /// Reads the texts, so that they are in the cache.
    pub(crate) fn read(&self) {
        let texts = [&self.subject, &self.domain, &self.path, &self.method];
        let sum = |text: &String| text.bytes().fold(0, u8::wrapping_add);
        black_box(texts.map(sum));
    }
}

struct Wanted {
    organisation: usize,
    role: usize,
    path: String,
    method: &'static str,
}

impl National {
    pub(crate) fn generate(size: usize) -> Self {
        let mut random = Random::new(0);
        let mut national = Self {
            rules: String::new(),
            organisations: vec![String::new(); ORGANISATIONS],
            holders: String::new(),
            requests: Vec::new(),
        };
        let mut wanted = Vec::new();
        for number in 0..size {
            let rule = national.rule(&mut random);
            if number % 4 == 0 {
                wanted.push(rule);
            }
        }
        let holders = national.holders(&mut random);
        national.requests = (0..REQUESTS)
            .filter_map(|_| asked(&mut random, &wanted, &holders))
            .collect();
        national
    }

    /// Clears every role for a label.
    #[cfg(feature = "gateway")]
    pub(crate) fn clear_all_roles(&mut self, label: &str) {
        for role in 0..ROLES {
            self.rules.push_str(&format!("g2, role{role}, {label}\n"));
        }
    }

    fn rule(&mut self, random: &mut Random) -> Wanted {
        let (organisation, role) = (random.below(ORGANISATIONS), random.below(ROLES));
        let (pattern, path) = place(random);
        let method = random.of(&["GET", "POST", "PUT", "DELETE", "*"]);
        let effect = if random.percent(5) { "deny" } else { "allow" };
        let row = format!("p, role{role}, org{organisation}, {pattern}, {method}, {effect}\n");
        self.rules.push_str(&row);
        if let Some(own) = self.organisations.get_mut(organisation) {
            own.push_str(&row);
        }
        Wanted {
            organisation,
            role,
            path,
            method: if method == "*" { "PATCH" } else { method },
        }
    }

    /// The identities that hold each role.
    fn holders(&mut self, random: &mut Random) -> Vec<Vec<usize>> {
        let mut holders = vec![Vec::new(); ORGANISATIONS * ROLES];
        for identity in 0..IDENTITIES {
            let organisation = random.below(ORGANISATIONS);
            for _ in 0..1 + random.below(3) {
                let role = random.below(ROLES);
                let mut row = String::new();
                // Writing to a string cannot fail.
                if writeln!(row, "g, user{identity}, role{role}, org{organisation}").is_ok() {
                    self.holders.push_str(&row);
                    if let Some(own) = self.organisations.get_mut(organisation) {
                        own.push_str(&row);
                    }
                }
                if let Some(holders) = holders.get_mut(organisation * ROLES + role) {
                    holders.push(identity);
                }
            }
        }
        self.rules.push_str(&self.holders);
        holders
    }
}

fn asked(random: &mut Random, wanted: &[Wanted], holders: &[Vec<usize>]) -> Option<Asked> {
    let wanted = wanted.get(random.below(wanted.len()))?;
    let holders = holders.get(wanted.organisation * ROLES + wanted.role)?;
    let identity = if !holders.is_empty() && random.percent(70) {
        random.of(holders)
    } else {
        random.below(IDENTITIES)
    };
    Some(Asked {
        subject: format!("user{identity}"),
        domain: format!("org{}", wanted.organisation),
        path: wanted.path.clone(),
        method: wanted.method.to_owned(),
    })
}

/// A pattern, and a path that it matches.
fn place(random: &mut Random) -> (String, String) {
    let (catalogue, resource) = (random.below(6_006), random.below(20_600));
    let kind = random.below(100);
    let exact = format!("/catalogues/{catalogue}/resources/{resource}");
    if kind < 60 {
        (exact.clone(), exact)
    } else if kind < 82 {
        (format!("/catalogues/{catalogue}/resources/:id"), exact)
    } else {
        (
            format!("/catalogues/{catalogue}/*"),
            format!("{exact}/rows"),
        )
    }
}

const ORGANISATIONS: usize = 84;
const ROLES: usize = 200;
const IDENTITIES: usize = 100_000;
const REQUESTS: usize = 200_000;
