//! What can they do: every rule that is for a subject, and what takes it away.

use super::explain::{RuleLine, row_line};
use super::reach::{Clause, Reach, Sheet, Side, Within};
use crate::engine::roles::NO_DOMAIN;
use crate::policy::Policy;
use crate::request::Fact;
use crate::rules::symbols::Symbol;

/// Everything that the rules say of a subject.
#[derive(Clone, Debug, PartialEq)]
pub struct WhatCan {
    /// Each rule that is for the subject, in the order of the file.
    pub rules: Vec<RuleFor>,
    /// Why there may be more that is not listed; `None` when the list is complete.
    pub incomplete: Option<String>,
}

/// A rule that is for the subject.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RuleFor {
    /// The rule.
    pub rule: RuleLine,
    /// In which organisation; empty where the rule or the model names none.
    pub domain: String,
    /// The role by which it is for the subject; the subject's own name where rules name it.
    pub by: String,
    /// What else the request must be, by the model's names, such as `("obj", "/returns/:id")`; `*` is anything.
    pub wants: Vec<(String, String)>,
    /// Whether a condition has to hold besides, such as one for `eval()`.
    pub conditional: bool,
    /// Lines of denials that take a part of it away, or all of it.
    pub cut_by: Vec<usize>,
    /// Whether one of them takes all of it away.
    pub void: bool,
}

/// Lists every rule of a context that is for a subject, in all organisations or in one.
pub fn what_can(
    policy: &Policy,
    context: usize,
    subject: &str,
    domain: Option<&str>,
    time_unix_ms: Option<i64>,
) -> WhatCan {
    let mut found = WhatCan {
        rules: Vec::new(),
        incomplete: None,
    };
    let Some(sheet) = Sheet::of(policy, context) else {
        return found;
    };
    let Some(argument) = sheet.argument(Fact::Subject) else {
        found.incomplete = Some("the model's `r` has no subject".to_owned());
        return found;
    };
    if policy.matches_names_of_roles() {
        found.incomplete = Some(
            "the model matches names of roles, and rules behind a pattern are not followed"
                .to_owned(),
        );
    }
    let asked = Asked {
        sheet,
        argument,
        name: subject,
        symbol: policy.symbols.find(subject),
        domain,
        time_unix_ms,
    };
    let clauses = sheet.clauses();
    let bare = |clause: &Clause<'_>| !clause.terms.iter().any(|term| term.touches_rule());
    if clauses.iter().any(bare) {
        found.incomplete = Some("the matcher permits some requests without any rule".to_owned());
    }
    let mut mine = Vec::new();
    for row in 0..sheet.len() {
        for reach in sheet.reaches(row, &clauses) {
            for (domain, by) in asked.by(&reach) {
                mine.push((row, reach.clone(), domain, by));
            }
        }
    }
    for (row, reach, domain, by) in &mine {
        let denials = mine.iter().filter(|(other, denial, within, _)| {
            let counts = sheet.denies(*other) && !sheet.denies(*row) && asked.wins(*other, *row);
            counts && within == domain && sheet.may_meet(denial, reach)
        });
        let denials: Vec<_> = denials.collect();
        let whole = |denial: &Reach<'_>| {
            denial.rest.is_empty() && asked.holds_apart_from_subject(denial, reach)
        };
        found.rules.push(RuleFor {
            rule: row_line(sheet, *row),
            domain: domain.clone(),
            by: by.clone(),
            wants: asked.wants(*row, reach),
            conditional: !reach.rest.is_empty(),
            cut_by: denials
                .iter()
                .map(|(other, ..)| sheet.line(*other))
                .collect(),
            void: denials.iter().any(|(_, denial, ..)| whole(denial)),
        });
    }
    found
}

/// The subject that is asked about.
struct Asked<'a> {
    sheet: Sheet<'a>,
    argument: usize,
    name: &'a str,
    symbol: Option<Symbol>,
    domain: Option<&'a str>,
    time_unix_ms: Option<i64>,
}

impl<'a> Asked<'a> {
    /// In which domains a box is for the subject, and by which role.
    fn by(&self, reach: &Reach<'a>) -> Vec<(String, String)> {
        let symbols = &self.sheet.policy.symbols;
        let own = self
            .sheet
            .argument(Fact::Domain)
            .and_then(|place| reach.sides.get(place));
        let named = match own {
            Some(Side::Is(_, text)) => Some(*text),
            _ => None,
        };
        if let (Some(named), Some(wanted)) = (named, self.domain)
            && named != wanted
        {
            return Vec::new();
        }
        let here = named.or(self.domain).unwrap_or_default().to_owned();
        match reach.sides.get(self.argument) {
            Some(Side::Any) | None => vec![(here, "everyone".to_owned())],
            Some(Side::Is(symbol, _)) if Some(*symbol) == self.symbol => {
                vec![(here, self.name.to_owned())]
            }
            Some(Side::Is(..)) => Vec::new(),
            Some(Side::Like(places)) if places.holds(self.name) == Some(false) => Vec::new(),
            Some(Side::Like(places)) => vec![(here, places.shown())],
            Some(Side::Holds { role, .. }) if Some(*role) == self.symbol => {
                vec![(here, self.name.to_owned())]
            }
            Some(Side::Holds {
                relation,
                role,
                domain,
            }) => {
                let by = symbols.text(*role).to_owned();
                let domains = self.domains_of(*relation, *domain, reach);
                let held = domains
                    .into_iter()
                    .filter(|domain| self.holds(*relation, *role, *domain));
                held.map(|domain| {
                    let shown = if domain == NO_DOMAIN {
                        here.clone()
                    } else {
                        symbols.text(domain).to_owned()
                    };
                    (shown, by.clone())
                })
                .collect()
            }
        }
    }

    /// The domains in which a role counts for a box.
    fn domains_of(&self, relation: usize, domain: Within, reach: &Reach<'a>) -> Vec<Symbol> {
        let policy = self.sheet.policy;
        let Some(roles) = policy.roles.get(relation) else {
            return Vec::new();
        };
        let one = |text: &str| roles.domain(text, policy.symbols.find(text), &policy.symbols);
        match (self.sheet.domain_symbol(domain, reach), self.domain) {
            (Some(NO_DOMAIN), _) => vec![NO_DOMAIN],
            (Some(symbol), _) => one(policy.symbols.text(symbol)).into_iter().collect(),
            (None, Some(wanted)) => one(wanted).into_iter().collect(),
            (None, None) => policy
                .domains()
                .filter_map(|text| policy.symbols.find(text))
                .collect(),
        }
    }

    fn holds(&self, relation: usize, role: Symbol, domain: Symbol) -> bool {
        let roles = self.sheet.policy.roles.get(relation);
        roles.zip(self.symbol).is_some_and(|(roles, who)| {
            roles.inherits(
                who,
                role,
                domain,
                self.time_unix_ms,
                &self.sheet.policy.symbols,
            ) == Ok(true)
        })
    }

    /// Whether a denial counts against a row that allows.
    fn wins(&self, denial: usize, row: usize) -> bool {
        use crate::model::check::Effect;
        match self.sheet.effect() {
            Effect::AllowOverride => false,
            Effect::DenyOverride | Effect::AllowAndDeny => true,
            Effect::Priority | Effect::SubjectPriority => denial < row,
        }
    }

    /// Whether a box holds all of another, who asks left out.
    fn holds_apart_from_subject(&self, outer: &Reach<'a>, inner: &Reach<'a>) -> bool {
        let mut outer = outer.clone();
        if let Some(side) = outer.sides.get_mut(self.argument) {
            *side = Side::Any;
        }
        self.sheet
            .covers((0, &[outer]), (0, std::slice::from_ref(inner)))
    }

    /// What the other arguments must be.
    fn wants(&self, row: usize, reach: &Reach<'a>) -> Vec<(String, String)> {
        let place = self.sheet.argument(Fact::Domain);
        let others = |argument: &usize| *argument != self.argument && Some(*argument) != place;
        (0..reach.sides.len())
            .filter(others)
            .filter_map(|argument| {
                let shown = match reach.sides.get(argument)? {
                    Side::Any => "*".to_owned(),
                    Side::Is(_, text) => (*text).to_owned(),
                    Side::Like(places) => match self.sheet.column_of(argument) {
                        Some(column) => self.sheet.text(row, column).to_owned(),
                        None => places.shown(),
                    },
                    Side::Holds { role, .. } => self.sheet.policy.symbols.text(*role).to_owned(),
                };
                Some((self.sheet.argument_name(argument).to_owned(), shown))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::who_can;
    use crate::{Decision, RBAC_WITH_DOMAINS, Source, Value};

    const RULES: &str = "p, clerk, tax, /returns/:id, GET, allow\np, clerk, tax, /returns/9, *, deny\n\
        p, head, tax, /returns/:id, DELETE, allow\np, clerk, land, /plots/*, GET, allow\np, head, land, /plots/*, *, deny\n\
        g, alice, clerk, tax\ng, bob, head, tax\ng, head, clerk, tax\ng, alice, clerk, land\ng, alice, head, land\n";

    fn policy() -> Policy {
        let model = Source {
            name: "model.conf",
            text: RBAC_WITH_DOMAINS,
        };
        let rules = Source {
            name: "policy.csv",
            text: RULES,
        };
        Policy::compile(model, rules).unwrap()
    }

    #[test]
    fn every_rule_for_a_subject_is_listed_with_what_cuts_it() {
        let listed = |subject, domain| -> Vec<_> {
            let found = what_can(&policy(), 1, subject, domain, None);
            let shown =
                |one: &RuleFor| (one.rule.line, one.by.clone(), one.cut_by.clone(), one.void);
            found.rules.iter().map(shown).collect()
        };
        let owned = |line, by: &str, cut: &[usize], void| (line, by.to_owned(), cut.to_vec(), void);
        assert_eq!(
            listed("bob", None),
            [
                owned(1, "clerk", &[2], false),
                owned(2, "clerk", &[], false),
                owned(3, "head", &[2], false)
            ]
        );
        assert_eq!(
            listed("alice", Some("land")),
            [owned(4, "clerk", &[5], true), owned(5, "head", &[], false)]
        );
        assert_eq!(listed("mallory", None), []);
    }

    #[test]
    fn what_can_agrees_with_the_table_on_every_witness() {
        let policy = policy();
        let (witnesses, _) = crate::analysis::witnesses(&policy);
        for witness in witnesses {
            let arguments: Vec<_> = witness.arguments.iter().cloned().map(Value::Text).collect();
            let permitted = matches!(policy.decide_arguments(1, &arguments), Decision::Permit(_));
            let domain = witness.arguments[1].as_str();
            let found = who_can(&policy, 1, &arguments, Some(domain), None);
            let named = found
                .allowed
                .iter()
                .any(|one| one.subject == witness.arguments[0]);
            assert_eq!(named, permitted, "{witness:?}");
            if permitted {
                let rules = what_can(&policy, 1, &witness.arguments[0], Some(domain), None);
                assert!(
                    rules.rules.iter().any(|one| !one.rule.denies && !one.void),
                    "{witness:?}"
                );
            }
        }
    }
}
