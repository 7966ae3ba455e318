//! Parameters of routes that rules read, held against those that routes have.

use super::finding::{Findings, Severity};
use super::reach::Sheet;
use super::surroundings::{Route, Surroundings};
use crate::engine::expr::Expr;
use crate::request::Fact;
use std::collections::BTreeSet;

/// Parameters that rules read and no route has: such a rule only refuses.
pub(crate) fn look(sheet: Sheet<'_>, surroundings: &Surroundings, findings: &mut Findings<'_>) {
    let context = &sheet.section.context;
    let routes = surroundings.routes.iter();
    let ours = routes.filter(|route| route.context == context.number);
    let known: BTreeSet<&str> = ours
        .flat_map(|route| segments_of(route).filter_map(|part| part.strip_prefix(':')))
        .collect();
    let unknown = |expr: &Expr| {
        let mut names = sheet.section.attributes_in(expr, Fact::Route);
        names.retain(|name| !known.contains(name.as_str()));
        names
    };
    let kind = (Severity::Error, "unknown-route-parameter");
    for name in unknown(&context.matcher) {
        let at = (sheet.policy.model_name.as_str(), context.matcher_at);
        findings.in_model(at, kind, unknown_parameter(&name, &known));
    }
    let mut columns = Vec::new();
    context.matcher.each(&mut |part| {
        if let Expr::Eval { column } = part {
            columns.push(*column);
        }
    });
    for (row, column) in (0..sheet.len()).flat_map(|row| columns.iter().map(move |at| (row, *at))) {
        let symbol = sheet.symbol(row, column);
        let condition = symbol.and_then(|symbol| sheet.section.conditions.get(&symbol));
        for name in condition.into_iter().flat_map(unknown) {
            findings.at_rule(
                sheet,
                row,
                Some(column),
                kind,
                unknown_parameter(&name, &known),
            );
        }
    }
}

/// What is wrong, and the remedy.
fn unknown_parameter(name: &str, known: &BTreeSet<&str>) -> (String, String) {
    let what =
        format!("reads `{name}` of the route, a parameter that no route of the configuration has");
    let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
    let fix = match known.is_empty() {
        true => format!("give a route the segment `:{name}`"),
        false => format!(
            "read one of {}, or give a route the segment `:{name}`",
            known.join(", ")
        ),
    };
    (what, fix)
}

/// The segments of a route; none of `/`.
pub(crate) fn segments_of(route: &Route) -> impl Iterator<Item = &str> {
    let inner = route.prefix.strip_prefix('/').unwrap_or(&route.prefix);
    inner.split('/').filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::lint::lint;
    use crate::{Policy, Source};

    const MODEL: &str = "[request_definition]\nr = sub, obj, act, route\n[policy_definition]\np = sub, obj, act, when\n\
        [policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\n\
        m = r.sub == p.sub && keyMatch2(r.obj, p.obj) && r.act == p.act && eval(p.when)\n";

    fn found(model: &str, rules: &str, prefixes: &[&str]) -> Vec<String> {
        let route = |prefix: &&str| Route {
            application: "records".to_owned(),
            tenant: "tax".to_owned(),
            context: 1,
            prefix: (*prefix).to_owned(),
            methods: vec!["GET".to_owned()],
            label: "public".to_owned(),
        };
        let surroundings = Surroundings {
            routes: prefixes.iter().map(route).collect(),
            zones: vec![super::super::surroundings::Zone {
                name: "office".to_owned(),
                labels: vec!["public".to_owned()],
            }],
            labels: vec!["public".to_owned()],
            lowest_label: "public".to_owned(),
        };
        let rules = Source {
            name: "policy.csv",
            text: rules,
        };
        let model = Source {
            name: "model.conf",
            text: model,
        };
        let policy = Policy::compile(model, rules).unwrap();
        let found = lint(&policy, rules, |_| false, Some(&surroundings));
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_parameter_that_no_route_has_is_found_where_it_is_read() {
        let rule = "p, alice, /citizens/:x, GET, \"r.route.id == r.sub\"\n";
        assert_eq!(found(MODEL, rule, &["/citizens/:id"]), Vec::<String>::new());
        assert_eq!(
            found(MODEL, rule, &["/citizens/:number"]),
            [
                "policy.csv:1:30: error[unknown-route-parameter]: reads `id` of the route, a parameter that no route of the \
                configuration has; read one of `number`, or give a route the segment `:id`"
            ]
        );
        let model = MODEL.replace("eval(p.when)", "r.route.id == r.sub");
        assert_eq!(
            found(&model, "p, alice, /citizens/:x, GET, -\n", &["/citizens"]),
            [
                "model.conf:8:1: error[unknown-route-parameter]: reads `id` of the route, a parameter that no route of the \
                configuration has; give a route the segment `:id`"
            ]
        );
    }

    #[test]
    fn a_route_with_parameters_serves_the_paths_of_its_template_and_those_below() {
        let rule = |path: &str| format!("p, alice, {path}, GET, \"r.act == 'GET'\"\n");
        for (path, served) in [
            ("/citizens/:x/records", true),
            ("/citizens/7/records", true),
            ("/citizens/7/records/9", true),
            ("/citizens/*", true),
            ("/citizens/:x", false),
            ("/citizens/7/taxes", false),
        ] {
            let found = found(MODEL, &rule(path), &["/citizens/:id/records"]);
            let unserved = found.iter().any(|one| one.contains("[unserved-path]"));
            assert_eq!(unserved, !served, "{path}: {found:?}");
        }
    }
}
