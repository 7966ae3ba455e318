//! Why a request is answered as it is: the rule, the rules that came close, and the smallest change that would turn
//! the answer around. A change is never guessed: each was made, compiled and asked.

use super::question::{Nearness, Question};
use super::reach::{Sheet, Side};
use super::tidy::quoted;
use crate::decision::{Decision, Refusal, RuleId};
use crate::engine::expr::Expr;
use crate::model::check::Effect;
use crate::policy::Policy;
use crate::problem::Source;
use crate::request::Fact;
use crate::value::Value;

/// A model, its rules, and what they were compiled to.
#[derive(Clone, Copy, Debug)]
pub struct Authored<'a> {
    /// The model's text.
    pub model: Source<'a>,
    /// The text of the rules.
    pub rules: Source<'a>,
    /// Compiled from both by [`Policy::compile_positional`] or [`Policy::compile`].
    pub policy: &'a Policy,
}

/// Everything that there is to say about one request.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Whether it is permitted.
    pub permitted: bool,
    /// The rule that decided; none when no rule matches.
    pub rule: Option<RuleLine>,
    /// Why the rule could not be evaluated, if that was the reason.
    pub fault: Option<String>,
    /// Each argument of the request with its value.
    pub inputs: Vec<(String, String)>,
    /// The roles that the subject holds there, nearest first.
    pub roles: Vec<String>,
    /// Every rule that matches, the deciding one among them.
    pub matching: Vec<RuleLine>,
    /// Rules among them that would have decided otherwise, had the deciding one not overridden them.
    pub overridden: Vec<RuleLine>,
    /// Rules that came close: all of their conditions hold but one. The nearest first, at most [`NEAR_MAX`].
    pub near: Vec<NearRule>,
    /// How many more came as close.
    pub near_more: usize,
    /// Changes of the policy of which each alone would turn the answer around; the smallest first.
    pub changes: Vec<Change>,
}

/// A rule and where it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RuleLine {
    /// `policy.csv:12`.
    pub place: String,
    /// Its line, counted from 1.
    pub line: usize,
    /// What it says.
    pub text: String,
    /// Whether it denies.
    pub denies: bool,
}

/// A rule that came close.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NearRule {
    /// The rule.
    pub rule: RuleLine,
    /// The one condition that failed, as a sentence.
    pub failed: String,
}

/// A change of the policy's text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// A line more, at the end.
    Add(String),
    /// These lines less.
    Remove(Vec<usize>),
}

/// Explains a request in a context; `arguments` in the order of its `r`. `None` if the model has no such context.
pub fn explain(
    authored: Authored<'_>,
    context: usize,
    arguments: &[Value],
    time_unix_ms: Option<i64>,
) -> Option<Explanation> {
    let policy = authored.policy;
    let sheet = Sheet::of(policy, context)?;
    let question = Question::new(sheet, arguments, time_unix_ms);
    let decision =
        policy.decide_arguments_at(sheet.section.context.number, arguments, time_unix_ms);
    let (permitted, rule, fault) = match &decision {
        Decision::Permit(permit) => (true, Some(permit.rule()), None),
        Decision::Deny(Refusal::NoRule) => (false, None, None),
        Decision::Deny(Refusal::ExplicitDeny(rule)) => (false, Some(*rule), None),
        Decision::Deny(Refusal::EvaluationError(rule, fault)) => {
            (false, Some(*rule), Some(fault.to_string()))
        }
    };
    let (mut matching, mut near) = (Vec::new(), Vec::new());
    for row in 0..sheet.len() {
        match question.nearness(row) {
            Nearness::Matches => matching.push(row),
            Nearness::AllBut(term) => near.push((row, term)),
            Nearness::Far => {}
        }
    }
    let rank = |(row, term): &(usize, &Expr)| (distance(sheet, *row, term, arguments), *row);
    near.sort_by_key(rank);
    let changes = Changing {
        authored,
        sheet,
        arguments,
        time_unix_ms,
        permitted,
    };
    let changes = changes.find(&matching, &near);
    let near_more = near.len().saturating_sub(NEAR_MAX);
    near.truncate(NEAR_MAX);
    Some(Explanation {
        permitted,
        rule: rule.and_then(|rule| rule_line(policy, rule)),
        fault,
        inputs: question.inputs(),
        roles: roles(sheet, arguments),
        overridden: rule.map_or_else(Vec::new, |rule| overridden(sheet, rule, &matching)),
        matching: matching
            .into_iter()
            .map(|row| row_line(sheet, row))
            .collect(),
        near: near
            .into_iter()
            .map(|(row, term)| NearRule {
                rule: row_line(sheet, row),
                failed: question.failing(term, row),
            })
            .collect(),
        near_more,
        changes,
    })
}

/// Of the rows that match, those of the other kind than the one that decided.
fn overridden(sheet: Sheet<'_>, decided_by: RuleId, matching: &[usize]) -> Vec<RuleLine> {
    let own = decided_by.0.checked_sub(sheet.section.first);
    let Some(own) = own
        .map(|row| row as usize)
        .filter(|row| matching.contains(row))
    else {
        return Vec::new();
    };
    let others = matching
        .iter()
        .filter(|row| sheet.denies(**row) != sheet.denies(own));
    others.map(|row| row_line(sheet, *row)).collect()
}

/// A row as a rule.
pub(crate) fn row_line(sheet: Sheet<'_>, row: usize) -> RuleLine {
    let line = sheet.line(row);
    RuleLine {
        place: format!("{}:{line}", sheet.policy.rules_name),
        line,
        text: sheet.row_text(row),
        denies: sheet.denies(row),
    }
}

/// A rule that decided.
pub(crate) fn rule_line(policy: &Policy, rule: RuleId) -> Option<RuleLine> {
    let view = policy.rule(rule);
    (view.line > 0).then(|| RuleLine {
        place: view.to_string(),
        line: view.line,
        text: view.text(),
        denies: Sheet::all(policy).any(|sheet| {
            let row = rule
                .0
                .checked_sub(sheet.section.first)
                .map(|row| row as usize);
            row.is_some_and(|row| row < sheet.len() && sheet.denies(row))
        }),
    })
}

/// The roles that the subject holds in the request's domain.
fn roles(sheet: Sheet<'_>, arguments: &[Value]) -> Vec<String> {
    let text = |fact| {
        let text = arguments.get(sheet.argument(fact)?)?.as_text()?;
        sheet.policy.symbols.find(text)
    };
    let Some(subject) = text(Fact::Subject) else {
        return Vec::new();
    };
    let tables = sheet.policy.relations.iter().zip(&sheet.policy.roles);
    let mut held = Vec::new();
    for (table, roles) in tables {
        let domain = match (table.relation.in_domains, text(Fact::Domain)) {
            (true, Some(domain)) => domain,
            (true, None) => continue,
            (false, _) => crate::engine::roles::NO_DOMAIN,
        };
        held.extend(
            roles
                .held(subject, domain, &sheet.policy.symbols)
                .iter()
                .map(|role| sheet.policy.symbols.text(*role).to_owned()),
        );
    }
    held
}

/// How far a failed term is from holding: another method or role is nearer than another path, a path with a common
/// start nearer than one without.
fn distance(sheet: Sheet<'_>, row: usize, term: &Expr, arguments: &[Value]) -> usize {
    let Expr::Match {
        value,
        pattern: crate::engine::expr::PatternOf::Rule { column },
        ..
    } = term
    else {
        return 0;
    };
    let asked = value
        .as_argument()
        .and_then(|argument| arguments.get(argument));
    let Some(asked) = asked.and_then(Value::as_text) else {
        return FAR;
    };
    let pattern = sheet.text(row, *column);
    let same = |(a, b): &(&str, &str)| a == b || b.starts_with([':', '{', '*']);
    let common = asked
        .split('/')
        .zip(pattern.split('/'))
        .take_while(same)
        .count();
    FAR.saturating_sub(common)
}

/// Looks for changes that turn the answer around.
struct Changing<'a> {
    authored: Authored<'a>,
    sheet: Sheet<'a>,
    arguments: &'a [Value],
    time_unix_ms: Option<i64>,
    permitted: bool,
}

impl Changing<'_> {
    fn find(&self, matching: &[usize], near: &[(usize, &Expr)]) -> Vec<Change> {
        let lines = |denies: bool| -> Vec<usize> {
            let rows = matching
                .iter()
                .filter(|row| self.sheet.denies(**row) == denies);
            rows.map(|row| self.sheet.line(*row)).collect()
        };
        let mut candidates = Vec::new();
        if self.permitted {
            candidates.push(Change::Remove(lines(false)));
            candidates.extend(self.exact_row("deny").map(Change::Add));
        } else {
            candidates.push(Change::Remove(lines(true)));
            let wanted = near.iter().filter(|(row, _)| !self.sheet.denies(*row));
            for (row, term) in wanted.take(NEAR_TRIED) {
                candidates.extend(self.mended(*row, term).into_iter().map(Change::Add));
            }
            candidates.extend(self.exact_row("allow").map(Change::Add));
        }
        candidates.dedup();
        candidates.retain(|change| !matches!(change, Change::Remove(lines) if lines.is_empty()));
        candidates.truncate(CHANGES_TRIED);
        candidates.retain(|change| self.turns(change));
        candidates
    }

    /// Rows that would make a near rule match: a role for the subject, or the rule once more for what is asked.
    fn mended(&self, row: usize, term: &Expr) -> Vec<String> {
        let clauses = self.sheet.clauses();
        let reaches = self.sheet.reaches(row, &clauses);
        let mut rows = Vec::new();
        if let Expr::Role {
            who,
            role,
            domain,
            relation,
        } = term
            && let (Some(who), Expr::Rule { column }) = (who.as_argument(), &**role)
            && let Some(table) = self.sheet.policy.relations.get(*relation)
            && !table.relation.windowed
            && table.relation.matching.is_none()
        {
            let mut fields = vec![
                table.relation.name.clone(),
                self.text(who),
                self.sheet.text(row, *column).to_owned(),
            ];
            if let Some(domain) = domain {
                let named = domain.as_argument().map(|argument| self.text(argument));
                fields.extend(named.or_else(|| domain.as_text().map(str::to_owned)));
            }
            rows.push(joined(&fields));
        }
        let Some(reach) = reaches.first() else {
            return rows;
        };
        let mut fields: Vec<String> = (0..self.sheet.section.context.shape.columns.len())
            .map(|column| self.sheet.text(row, column).to_owned())
            .collect();
        let failing = |argument: &usize| super::reach::argument_of(term) == Some(*argument);
        for argument in (0..reach.sides.len()).filter(failing) {
            if matches!(reach.sides.get(argument), Some(Side::Holds { .. })) {
                return rows;
            }
            if let Some(field) = self
                .sheet
                .column_of(argument)
                .and_then(|column| fields.get_mut(column))
            {
                *field = self.text(argument);
            }
        }
        fields.insert(0, self.sheet.section.context.shape.name.clone());
        rows.push(joined(&fields));
        rows
    }

    /// A row for this request alone.
    fn exact_row(&self, effect: &str) -> Option<String> {
        let shape = &self.sheet.section.context.shape;
        if shape.effect.is_none() && effect == "deny" {
            return None;
        }
        let mut fields = vec![String::new(); shape.columns.len()];
        for argument in 0..self.arguments.len() {
            let column = self.sheet.column_of(argument)?;
            *fields.get_mut(column)? = self.text(argument);
        }
        if let Some(field) = shape.effect.and_then(|column| fields.get_mut(column)) {
            effect.clone_into(field);
        }
        if let Some(field) = shape.priority.and_then(|column| fields.get_mut(column)) {
            "0".clone_into(field);
        }
        let bare = fields.iter().any(String::is_empty);
        fields.insert(0, shape.name.clone());
        (!bare).then(|| joined(&fields))
    }

    fn text(&self, argument: usize) -> String {
        let value = self.arguments.get(argument);
        value
            .and_then(Value::as_text)
            .unwrap_or_default()
            .to_owned()
    }

    /// Whether the changed policy answers otherwise.
    fn turns(&self, change: &Change) -> bool {
        let rules = self.authored.rules;
        let text = match change {
            Change::Add(line) => format!("{}\n{line}\n", rules.text),
            Change::Remove(lines) => {
                let kept = (1..).zip(rules.text.split('\n'));
                let kept =
                    kept.map(|(number, line)| if lines.contains(&number) { "" } else { line });
                kept.collect::<Vec<_>>().join("\n")
            }
        };
        let changed = Source {
            name: rules.name,
            text: &text,
        };
        let Ok(policy) = Policy::compile_positional(self.authored.model, changed) else {
            return false;
        };
        let context = self.sheet.section.context.number;
        let decision = policy.decide_arguments_at(context, self.arguments, self.time_unix_ms);
        // Under deny-override an empty policy decides nothing, and is no proposal.
        let empty = policy.rule_count() == 0 && self.sheet.effect() == Effect::DenyOverride;
        !empty && matches!(decision, Decision::Permit(_)) != self.permitted
    }
}

fn joined(fields: &[String]) -> String {
    let fields: Vec<_> = fields.iter().map(|field| quoted(field)).collect();
    fields.join(", ")
}

/// Rules that came close and are told.
pub const NEAR_MAX: usize = 1_000;
/// Rules that came close for which changes are tried.
const NEAR_TRIED: usize = 3;
/// Changes that are compiled and asked: each costs one load of the policy.
const CHANGES_TRIED: usize = 5;
/// Farther than any path has segments.
const FAR: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RBAC_WITH_DOMAINS;

    const RULES: &str = "p, clerk, tax, /returns/:id, GET, allow\np, clerk, tax, /returns/9, *, deny\n\
        p, head, tax, /returns/:id, DELETE, allow\ng, alice, clerk, tax\ng, head, clerk, tax\n";

    fn explained(subject: &str, domain: &str, path: &str, method: &str) -> Explanation {
        let model = Source {
            name: "model.conf",
            text: RBAC_WITH_DOMAINS,
        };
        let rules = Source {
            name: "policy.csv",
            text: RULES,
        };
        let policy = Policy::compile(model, rules).unwrap();
        let authored = Authored {
            model,
            rules,
            policy: &policy,
        };
        let arguments = [subject, domain, path, method].map(|text| Value::Text(text.to_owned()));
        explain(authored, 1, &arguments, None).unwrap()
    }

    #[test]
    fn a_permit_names_its_rule_and_what_would_take_it_away() {
        let found = explained("alice", "tax", "/returns/7", "GET");
        assert!(found.permitted);
        assert_eq!(found.rule.map(|rule| rule.line), Some(1));
        assert_eq!(found.roles, ["clerk"]);
        assert_eq!(
            found.changes,
            [
                Change::Remove(vec![1]),
                Change::Add("p, alice, tax, /returns/7, GET, deny".to_owned())
            ]
        );
    }

    #[test]
    fn a_refusal_names_the_rules_that_came_close_and_the_condition_that_failed() {
        let found = explained("alice", "tax", "/returns/7", "DELETE");
        assert!(!found.permitted && found.rule.is_none() && found.matching.is_empty());
        let near: Vec<_> = found
            .near
            .iter()
            .map(|near| (near.rule.line, near.failed.as_str()))
            .collect();
        assert_eq!(
            near,
            [
                (1, "the method is `DELETE`, the rule is for `GET`"),
                (3, "`alice` does not hold `head` in `tax`"),
                (2, "the path `/returns/7` is not among `/returns/9`"),
            ]
        );
        assert_eq!(
            found.changes,
            [
                Change::Add("p, clerk, tax, /returns/:id, DELETE, allow".to_owned()),
                Change::Add("g, alice, head, tax".to_owned()),
                Change::Add("p, alice, tax, /returns/7, DELETE, allow".to_owned()),
            ]
        );
    }

    #[test]
    fn an_explicit_denial_is_lifted_by_removing_it_alone() {
        let found = explained("alice", "tax", "/returns/9", "GET");
        assert_eq!(
            found.rule.map(|rule| (rule.line, rule.denies)),
            Some((2, true))
        );
        assert_eq!(found.changes, [Change::Remove(vec![2])]);
    }

    #[test]
    fn a_stranger_is_told_which_role_is_missing() {
        let found = explained("mallory", "tax", "/returns/7", "GET");
        assert_eq!(
            found.near.first().map(|near| near.failed.as_str()),
            Some("`mallory` does not hold `clerk` in `tax`")
        );
        assert_eq!(
            found.changes.first(),
            Some(&Change::Add("g, mallory, clerk, tax".to_owned()))
        );
    }
}
