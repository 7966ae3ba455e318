//! Lint: a policy that loads and still does not say what its author meant.

use super::finding::{Finding, Findings};
use super::reach::Sheet;
use super::surroundings::{self, Surroundings};
use super::{cost, names, overlap, texts, unused};
use crate::policy::Policy;
use crate::problem::Source;

/// Everything that is worth a look, in the order of the file.
///
/// `rules` is the text that `policy` was compiled from; `refused` tells the characters that the gateway takes in no path. With `surroundings`, rules are held against what the gateway
/// serves too.
pub fn lint(
    policy: &Policy,
    rules: Source<'_>,
    refused: fn(char) -> bool,
    surroundings: Option<&Surroundings>,
) -> Vec<Finding> {
    let mut findings = Findings::new(rules.name, rules.text, refused);
    for sheet in Sheet::all(policy) {
        cost::look(sheet, &mut findings);
        overlap::look(sheet, &mut findings);
        texts::look(sheet, &mut findings);
        names::look(sheet, &mut findings);
        if let Some(surroundings) = surroundings {
            surroundings::look(sheet, surroundings, &mut findings);
        }
    }
    names::look_at_roles(policy, &mut findings);
    unused::look(policy, &mut findings);
    if let Some(surroundings) = surroundings {
        unused::look_at_labels(policy, &surroundings.labels, &mut findings);
    }
    findings.into_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RBAC_WITH_DOMAINS;

    fn found(model: &str, rules: &str) -> Vec<String> {
        let rules = Source {
            name: "policy.csv",
            text: rules,
        };
        let model = Source {
            name: "model.conf",
            text: model,
        };
        let policy = Policy::compile_positional(model, rules).unwrap();
        lint(&policy, rules, |c| c == '\u{ff41}', None)
            .iter()
            .map(|finding| {
                format!(
                    "{}:{} {} {}",
                    finding.problem.line, finding.problem.column, finding.severity, finding.kind
                )
            })
            .collect()
    }

    #[test]
    fn a_sound_policy_has_nothing_to_look_at() {
        let rules = "p, clerk, tax, /returns/:id, GET, allow\np, clerk, tax, /returns/9, GET, deny\n\
            p, head, tax, /returns/:id, DELETE, allow\ng, alice, clerk, tax\ng, head, clerk, tax\ng, bob, head, tax\n";
        assert_eq!(found(RBAC_WITH_DOMAINS, rules), Vec::<String>::new());
    }

    #[test]
    fn rules_that_say_nothing_new_or_the_opposite_are_found() {
        let roles = "g, alice, clerk, tax\ng, bob, head, tax\ng, head, clerk, tax\n";
        for (rules, expected) in [
            (
                "p, clerk, tax, /a, GET, allow\np, clerk, tax, /a, GET, allow\n",
                "2:1 warning duplicate",
            ),
            (
                "p, clerk, tax, /a, GET, allow\np, clerk, tax, /a, GET, deny\n",
                "1:1 error contradictory",
            ),
            (
                "p, clerk, tax, /a/:id, GET, allow\np, clerk, tax, /a/*, *, allow\n",
                "1:1 warning shadowed",
            ),
            (
                "p, head, tax, /a/:id, GET, allow\np, clerk, tax, /a/:x, GET, allow\n",
                "1:1 warning shadowed",
            ),
            (
                "p, clerk, tax, /a/:id, GET, allow\np, clerk, tax, /a/*, *, deny\n",
                "1:1 error never-in-effect",
            ),
            (
                "p, clerk, tax, /a/7, GET, deny\np, clerk, tax, /a/:id, GET, deny\n",
                "1:1 warning shadowed",
            ),
        ] {
            let found = found(RBAC_WITH_DOMAINS, &format!("{rules}{roles}"));
            assert_eq!(found, [expected], "{rules}");
        }
    }

    #[test]
    fn under_priority_a_rule_behind_one_that_holds_it_never_decides() {
        let model = "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act, eft\n\
            [policy_effect]\ne = priority(p.eft) || deny\n[matchers]\nm = r.sub == p.sub && keyMatch2(r.obj, p.obj) && r.act == p.act\n";
        let rules = "p, a, /x/:id, GET, deny\np, a, /x/7, GET, allow\np, b, /x/7, GET, allow\np, b, /x/:id, GET, deny\n";
        assert_eq!(found(model, rules), ["2:1 error never-in-effect"]);
    }

    #[test]
    fn texts_that_do_not_mean_what_they_look_like_are_found() {
        let model = "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act\n\
            [policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = r.sub == p.sub && keyMatch2(r.obj, p.obj) && regexMatch(r.act, p.act)\n";
        for (rule, expected) in [
            ("p, a, /x, GET", "1:11 error unanchored-regex"),
            ("p, a, /x, ^GET$|^PUT", "1:11 error unanchored-regex"),
            ("p, a, /x//y, ^GET$", "1:7 warning unreachable-path"),
            ("p, a, /x/../y, ^GET$", "1:7 warning unreachable-path"),
            ("p, a, /x%2Fy, ^GET$", "1:7 warning unreachable-path"),
            ("p, a, x, ^GET$", "1:7 warning unreachable-path"),
            ("p, a, /\u{ff41}, ^GET$", "1:7 warning unreachable-path"),
            ("p, a, /x.y, ^GET$", "1:7 warning wide-pattern"),
        ] {
            assert_eq!(found(model, &format!("{rule}\n")), [expected], "{rule}");
        }
    }

    #[test]
    fn paths_that_are_compared_letter_by_letter_are_looked_at_and_plain_names_are_not() {
        let model = "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act\n\
            [policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = r.sub == p.sub && r.obj == p.obj && r.act == p.act\n";
        assert_eq!(
            found(model, "p, alice, data1, read\n"),
            Vec::<String>::new()
        );
        let rules = "p, alice, /a, GET\np, alice, /a//b, GET\np, alice, data1, read\n";
        assert_eq!(
            found(model, rules),
            [
                "2:11 warning unreachable-path",
                "3:11 warning unreachable-path",
                "3:18 error method-typo"
            ]
        );
    }

    #[test]
    fn a_policy_that_costs_too_much_is_found() {
        let model = "[request_definition]\nr = sub, obj\n[policy_definition]\np = sub, obj\n\
            [policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = globMatch(r.obj, p.obj)\n";
        let rules = |rows: usize| {
            (0..rows)
                .map(|row| format!("p, a, /{row}/*\n"))
                .collect::<String>()
        };
        assert_eq!(found(model, &rules(300)), ["1:1 warning costs-too-much"]);
        assert_eq!(found(model, &rules(100)), Vec::<String>::new());
    }

    #[test]
    fn methods_and_names_that_are_slips_are_found() {
        for (rules, expected) in [
            (
                "p, clerk, tax, /a, get, allow\ng, alice, clerk, tax\n",
                "1:20 error method-typo",
            ),
            (
                "p, clerk, tax, /a, DELTE, allow\ng, alice, clerk, tax\n",
                "1:20 error method-typo",
            ),
            (
                "p, clerk, tax, /a, FOO, allow\np, clerk, tax, /a, GET, allow\ng, alice, clerk, tax\n",
                "1:20 error method-typo",
            ),
            (
                "p, clerk, tax, /a, GET, allow\ng, alice, head, land\np, head, land, /b, GET, allow\n",
                "1:4 warning role-nobody-holds",
            ),
            (
                "p, clerk, tax, /a, GET, allow\np, Clerk, tax, /b, GET, allow\ng, alice, clerk, tax\ng, bob, Clerk, tax\n",
                "2:4 warning names-alike",
            ),
            (
                "p, clerk, tax, /a, GET, allow\ng, alice, clerk, tax\np, alice, land, /a, GET, allow\ng, bob, alice, land\n",
                "2:4 warning user-named-like-role",
            ),
            (
                "p, clerk, tax, /*, *, allow\ng, alice, clerk, tax\n",
                "1:1 warning over-broad",
            ),
        ] {
            let found = found(RBAC_WITH_DOMAINS, rules);
            assert_eq!(found, [expected], "{rules}");
        }
    }
}
