//! The directory, and the roles and clearance in it as rows of the policy.

use std::collections::BTreeSet;

use hangu_certs::{Directory, Holder};

use super::{LoadError, Loader};
use crate::config::{ANONYMOUS_SUBJECT, Config};
use crate::layers::endpoint::caller::Callers;

/// Roles and clearance of the directory of a configuration, as rows that a gateway adds to its rules, and the directory's line of
/// each.
///
/// # Errors
/// What is wrong with the directory, or does not fit the model.
pub fn directory_rights(
    config: &Config,
    model: &str,
    now: i64,
) -> Result<(String, Vec<usize>), Vec<LoadError>> {
    let mut loader = Loader::new(config, now);
    let mut rows = String::new();
    let done = loader
        .callers(config)
        .and_then(|callers| loader.append_rights(config, &callers, model, &mut rows));
    match done {
        Some(lines) => Ok((rows, lines)),
        None => Err(loader.problems),
    }
}

impl Loader {
    /// How this generation knows its callers.
    pub(super) fn callers(&mut self, config: &Config) -> Option<Callers> {
        let authorities = self.authorities_of(&config.identity);
        let Some(path) = &config.identity.directory else {
            let none = Directory::default();
            return Some(Callers::new(&config.identity, none, authorities));
        };
        let bytes = self.bytes(path)?;
        match Directory::from_csv(&path.display().to_string(), &bytes) {
            Ok(directory) => Some(Callers::new(&config.identity, directory, authorities)),
            Err(problems) => {
                for problem in problems {
                    self.wrong(path, problem.into());
                }
                None
            }
        }
    }

    /// Adds the directory's roles and clearance to the rules. They become rows of the model's own relations, so that a role from the
    /// directory is what a role from the policy is, and inherits what that inherits. Gives the directory's line of each row.
    pub(super) fn append_rights(
        &mut self,
        config: &Config,
        callers: &Callers,
        model: &str,
        rules: &mut String,
    ) -> Option<Vec<usize>> {
        let mut members: Vec<_> = callers.directory().members().collect();
        members.sort_unstable_by_key(|(subject, _, _)| *subject);
        if members.is_empty() {
            return Some(Vec::new());
        }
        let tenants: BTreeSet<&str> = config
            .applications
            .iter()
            .map(|application| application.tenant.as_str())
            .collect();
        let mut rights = Rights {
            relations: Relations::of(model),
            tenants,
            labels: config.labels.iter().map(|label| label.as_str()).collect(),
            lines: Vec::new(),
            line: 1,
        };
        if !rules.ends_with('\n') {
            rules.push('\n');
        }
        for (subject, holder, line) in members {
            rights.line = line;
            if let Err(what) = rights.append(subject, holder, rules) {
                let path = config.identity.directory.clone().unwrap_or_default();
                let what = what.into();
                let error = LoadError::DirectoryRights {
                    path: path.clone(),
                    what,
                };
                self.wrong(&path, error);
                return None;
            }
        }
        Some(rights.lines)
    }
}

/// Turns roles and clearance into rows.
struct Rights<'a> {
    relations: Relations<'a>,
    tenants: BTreeSet<&'a str>,
    labels: BTreeSet<&'a str>,
    /// The directory's line of each row so far, and of the rows to come.
    lines: Vec<usize>,
    line: usize,
}

impl Rights<'_> {
    fn append(&mut self, subject: &str, holder: &Holder, rules: &mut String) -> Result<(), String> {
        if subject.eq_ignore_ascii_case(ANONYMOUS_SUBJECT) {
            return Err(format!(
                "the subject `{subject}` is kept for clients without a certificate; name its holder otherwise, or write its rights into the policy"
            ));
        }
        for written in &holder.roles {
            let (role, tenant) = match written.split_once('@') {
                Some((role, tenant)) => (role, Some(tenant)),
                None => (written.as_str(), None),
            };
            if role.is_empty() || tenant.is_some_and(|tenant| !self.tenants.contains(tenant)) {
                return Err(format!(
                    "`{written}` of `{subject}` is not a role; write `ROLE`, or `ROLE@TENANT` with the tenant of an application"
                ));
            }
            self.append_role(subject, role, tenant, rules)?;
        }
        let Some(label) = &holder.clearance else {
            return Ok(());
        };
        if !self.labels.contains(label.as_str()) {
            return Err(format!(
                "there is no label `{label}`, for which `{subject}` is to be cleared; add it to `order` in `[labels]`, or use one of them"
            ));
        }
        let clearance = self.relations.clearance.ok_or(
            "it gives clearance, and the model has no relation for it; add `g2 = _, _` to `[role_definition]`",
        )?;
        self.row(rules, clearance, &[subject, label])
    }

    fn append_role(
        &mut self,
        subject: &str,
        role: &str,
        tenant: Option<&str>,
        rules: &mut String,
    ) -> Result<(), String> {
        let Some(membership) = self.relations.membership else {
            return Err(
                "it gives roles, and the model has no relation for them; add `g = _, _, _` to `[role_definition]`"
                    .to_owned(),
            );
        };
        match (tenant, self.relations.in_domains) {
            (Some(tenant), true) => self.row(rules, membership, &[subject, role, tenant]),
            (None, true) => {
                for tenant in self.tenants.clone() {
                    self.row(rules, membership, &[subject, role, tenant])?;
                }
                Ok(())
            }
            (None, false) => self.row(rules, membership, &[subject, role]),
            (Some(_), false) => Err(format!(
                "`{role}@…` of `{subject}` names a tenant, and the model's roles have none; write `{role}`"
            )),
        }
    }

    fn row(
        &mut self,
        rules: &mut String,
        relation: Relation<'_>,
        fields: &[&str],
    ) -> Result<(), String> {
        self.lines.push(self.line);
        if self.lines.len() > ROWS_MAX {
            return Err(format!(
                "its roles make more than {ROWS_MAX} rows of policy; write `ROLE@TENANT` where a role is held with one tenant only"
            ));
        }
        rules.push_str(relation.name);
        for field in fields {
            rules.push_str(",\"");
            rules.push_str(&field.replace('"', "\"\""));
            rules.push('"');
        }
        if relation.windowed {
            rules.push_str(",_,_");
        }
        rules.push('\n');
        Ok(())
    }
}

/// Which of the model's relations holds roles, and which holds clearance: as `Policy::decide` and `Policy::clears` take them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Relations<'a> {
    membership: Option<Relation<'a>>,
    in_domains: bool,
    clearance: Option<Relation<'a>>,
}

/// A relation by its name, and whether its rows hold for a time: those of a directory hold without a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Relation<'a> {
    name: &'a str,
    windowed: bool,
}

impl<'a> Relations<'a> {
    /// Out of `[role_definition]`. What is wrong with it, the policy's own loader says.
    fn of(model: &'a str) -> Self {
        let lines = model.lines().map(str::trim);
        let section = lines
            .skip_while(|line| *line != "[role_definition]")
            .skip(1)
            .take_while(|line| !line.starts_with('['));
        let relations: Vec<(Relation<'_>, usize)> = section
            .filter_map(|line| line.split_once('='))
            .map(|(name, shape)| {
                let window = shape.split_once('(');
                let (places, windowed) = window.map_or((shape, false), |(own, _)| (own, true));
                let name = name.trim();
                (Relation { name, windowed }, places.matches('_').count())
            })
            .filter(|(_, places)| (2..=3).contains(places))
            .collect();
        let domains = relations.iter().find(|(_, places)| *places == 3);
        let clearance = relations.iter().rfind(|(_, places)| *places == 2);
        let membership = domains.or_else(|| relations.first());
        Relations {
            membership: membership.map(|(relation, _)| *relation),
            in_domains: domains.is_some(),
            clearance: clearance.map(|(relation, _)| *relation),
        }
    }
}

/// Rows of policy that a directory may make.
const ROWS_MAX: usize = 4_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_are_found_in_the_model() {
        let of = |lines: &str| {
            let model = format!(
                "[request_definition]\nr = sub\n[role_definition]\n{lines}\n[matchers]\nm = r._ == _\n"
            );
            let relations = Relations::of(&model);
            let own = |relation: Option<Relation<'_>>| {
                relation.map_or(String::new(), |Relation { name, windowed }| {
                    format!("{name}{}", if windowed { " for a time" } else { "" })
                })
            };
            (
                own(relations.membership),
                relations.in_domains,
                own(relations.clearance),
            )
        };
        for (lines, membership, in_domains, clearance) in [
            ("g = _, _, _\ng2 = _, _", "g", true, "g2"),
            ("g = _, _\n# a comment\ng2 = _, _", "g", false, "g2"),
            ("g = _, _", "g", false, "g"),
            ("g = _, _, _", "g", true, ""),
            ("g = _, _, _, (_, _)\ng2 = _, _", "g for a time", true, "g2"),
            ("g = _, _\ng2 = _, _, (_, _)", "g", false, "g2 for a time"),
            ("", "", false, ""),
        ] {
            assert_eq!(
                of(lines),
                (membership.to_owned(), in_domains, clearance.to_owned()),
                "{lines}"
            );
        }
    }
}
