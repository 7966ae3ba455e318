//! A policy held against what the gateway serves: rules that no request can reach, or that the data layer forbids.

use super::finding::{Findings, Severity};
use super::places::{Common, Places, Segment};
use super::reach::{Reach, Sheet, Side};
use super::route_parameters::{self, segments_of};
use crate::engine::roles::NO_DOMAIN;
use crate::request::Fact;
use crate::rules::symbols::Symbol;
use std::collections::{BTreeSet, HashMap};

/// What a gateway serves, as far as a policy has to do with it.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Every route of every application.
    pub routes: Vec<Route>,
    /// Every zone.
    pub zones: Vec<Zone>,
    /// Every label.
    pub labels: Vec<String>,
    /// The lowest label: what anybody may know.
    pub lowest_label: String,
}

/// A route of an application.
#[derive(Clone, Debug)]
pub struct Route {
    /// The application's name.
    pub application: String,
    /// The organisation that it belongs to, the domain of its rules.
    pub tenant: String,
    /// Which context of the model decides there: 1 for `r, p, e, m`.
    pub context: usize,
    /// The beginning of its paths, whole segments: `/` or `/a/b`; a segment `:name` is a parameter.
    pub prefix: String,
    /// Its methods, in capitals.
    pub methods: Vec<String>,
    /// The label of what it serves.
    pub label: String,
}

/// A network zone.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// The labels that it may reach.
    pub labels: Vec<String>,
}

pub(crate) fn look(sheet: Sheet<'_>, surroundings: &Surroundings, findings: &mut Findings<'_>) {
    let context = sheet.section.context.number;
    if !surroundings
        .routes
        .iter()
        .any(|route| route.context == context)
    {
        if sheet.len() > 0 {
            let what = format!(
                "no application asks context {context}, so no rule of this kind decides anything"
            );
            let fix = format!(
                "write `policy_context = {context}` for an application, or remove the rules"
            );
            let kind = (Severity::Warning, "context-not-asked");
            findings.at_rule(sheet, 0, None, kind, (what, fix));
        }
        return;
    }
    route_parameters::look(sheet, surroundings, findings);
    let clauses = sheet.clauses();
    let mut clearances = Clearances::new(sheet);
    for row in 0..sheet.len() {
        let reaches = sheet.reaches(row, &clauses);
        let Some(reach) = reaches.first() else {
            continue;
        };
        if let Some((column, kind, what, fix)) =
            fault(sheet, row, reach, surroundings, &mut clearances)
        {
            findings.at_rule(sheet, row, column, (Severity::Warning, kind), (what, fix));
        }
    }
}

type Fault = (Option<usize>, &'static str, String, String);

fn fault(
    sheet: Sheet<'_>,
    row: usize,
    reach: &Reach<'_>,
    surroundings: &Surroundings,
    clearances: &mut Clearances<'_>,
) -> Option<Fault> {
    let tenant = tenant(sheet, reach);
    let of_tenant = |route: &&Route| {
        route.context == sheet.section.context.number
            && tenant.is_none_or(|(_, tenant)| route.tenant == tenant)
    };
    let routes: Vec<&Route> = surroundings.routes.iter().filter(of_tenant).collect();
    if let (Some((_, tenant)), true) = (tenant, routes.is_empty()) {
        return Some((
            column(sheet, Fact::Domain),
            "no-such-organisation",
            format!("no application belongs to `{tenant}`, so this rule never matches"),
            "correct the name, or remove the rule".to_owned(),
        ));
    }
    let path = side(sheet, reach, Fact::Path)?;
    let method = side(sheet, reach, Fact::Method);
    let served: Vec<&Route> = routes
        .iter()
        .filter(|route| serves(route, path) && takes(route, method))
        .filter(|route| !routes.iter().any(|other| hides(other, route, path)))
        .copied()
        .collect();
    if served.is_empty() {
        return Some((
            column(sheet, Fact::Path),
            "unserved-path",
            "no route serves these paths with this method, so this rule never matches".to_owned(),
            "correct path or method, or add a route to the configuration".to_owned(),
        ));
    }
    if sheet.denies(row) {
        return None;
    }
    unreachable(sheet, &served, surroundings)
        .or_else(|| uncleared(sheet, reach, &served, clearances))
        .or_else(|| broad(sheet, method, &served, surroundings))
}

/// A rule for labels that no zone may reach.
fn unreachable(sheet: Sheet<'_>, served: &[&Route], surroundings: &Surroundings) -> Option<Fault> {
    let zones = || surroundings.zones.iter();
    let reachable = |route: &&Route| zones().any(|zone| zone.labels.contains(&route.label));
    if served.iter().any(reachable) {
        return None;
    }
    Some((
        column(sheet, Fact::Path),
        "zone-unreachable",
        format!(
            "no zone may reach {}, so this rule never matches",
            labels(served)
        ),
        "open the label to a zone in `[matrix]`, or remove the rule".to_owned(),
    ))
}

/// A rule for a role of which nobody is cleared for what the rule allows.
fn uncleared(
    sheet: Sheet<'_>,
    reach: &Reach<'_>,
    served: &[&Route],
    clearances: &mut Clearances<'_>,
) -> Option<Fault> {
    let Some(Side::Holds { role, .. }) = side(sheet, reach, Fact::Subject) else {
        return None;
    };
    let within = match tenant(sheet, reach) {
        Some((tenant, _)) => tenant,
        None if !clearances.in_domains => NO_DOMAIN,
        None => return None,
    };
    let mut cleared = |route: &&Route| clearances.some_cleared(*role, within, &route.label);
    if served.iter().any(&mut cleared) {
        return None;
    }
    let name = sheet.policy.symbols.text(*role);
    Some((
        column(sheet, Fact::Subject),
        "label-not-cleared",
        format!(
            "nobody who holds `{name}` is cleared for {}: the data layer refuses what this rule allows",
            labels(served)
        ),
        format!("remove the rule, or clear `{name}` with a `g2` row"),
    ))
}

/// A rule that allows every method on data that are not for everybody.
fn broad(
    sheet: Sheet<'_>,
    method: Option<&Side<'_>>,
    served: &[&Route],
    surroundings: &Surroundings,
) -> Option<Fault> {
    let mut high = served.to_vec();
    high.retain(|route| route.label != surroundings.lowest_label);
    if high.is_empty() || !matches!(method, Some(Side::Any)) {
        return None;
    }
    Some((
        column(sheet, Fact::Method),
        "over-broad",
        format!("allows every method on data of label {}", labels(&high)),
        "name the methods that are needed".to_owned(),
    ))
}

fn side<'r, 'a>(sheet: Sheet<'a>, reach: &'r Reach<'a>, fact: Fact) -> Option<&'r Side<'a>> {
    reach.sides.get(sheet.argument(fact)?)
}

fn column(sheet: Sheet<'_>, fact: Fact) -> Option<usize> {
    sheet.column_of(sheet.argument(fact)?)
}

/// The organisation that a rule is for, if it is one.
fn tenant<'a>(sheet: Sheet<'a>, reach: &Reach<'a>) -> Option<(Symbol, &'a str)> {
    match side(sheet, reach, Fact::Domain) {
        Some(Side::Is(symbol, text)) => Some((*symbol, *text)),
        Some(Side::Any | Side::Like(_) | Side::Holds { .. }) | None => None,
    }
}

/// The labels of routes, each once.
fn labels(routes: &[&Route]) -> String {
    let labels: BTreeSet<_> = routes.iter().map(|route| route.label.as_str()).collect();
    let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
    labels.join(", ")
}

/// The paths of a route: its prefix and everything below.
fn places_of(route: &Route) -> [Places<'_>; 2] {
    let parts: Vec<_> = segments_of(route)
        .map(|part| match part.starts_with(':') {
            true => Segment::Some,
            false => Segment::Literal(part),
        })
        .collect();
    let itself = match parts.contains(&Segment::Some) {
        true => Places::Segments {
            parts: parts.clone(),
            open: false,
        },
        false => Places::One(&route.prefix),
    };
    [itself, Places::Segments { parts, open: true }]
}

/// Whether a route is asked before another: it has more segments, or a literal one where the other first has a parameter.
fn goes_first(one: &Route, other: &Route) -> bool {
    let parts = |route| segments_of(route).map(|part| part.starts_with(':'));
    let (own, others) = (parts(one).count(), parts(other).count());
    own > others || (own == others && parts(one).lt(parts(other)))
}

/// Whether some path of a rule lies under a route; `true` when it cannot be told.
fn serves(route: &Route, path: &Side<'_>) -> bool {
    let wanted = match path {
        Side::Any | Side::Holds { .. } => return true,
        Side::Is(_, text) => Places::One(text),
        Side::Like(places) => places.clone(),
    };
    places_of(route)
        .iter()
        .any(|places| wanted.common(places) != Common::Nothing)
}

fn takes(route: &Route, method: Option<&Side<'_>>) -> bool {
    match method {
        Some(Side::Is(_, method)) => route.methods.iter().any(|known| known == method),
        Some(Side::Any | Side::Like(_) | Side::Holds { .. }) | None => true,
    }
}

/// Whether a route of the same application that goes first takes all paths of a rule away from `route`.
fn hides(other: &Route, route: &Route, path: &Side<'_>) -> bool {
    let wanted = match path {
        Side::Any | Side::Holds { .. } => return false,
        Side::Is(_, text) => Places::One(text),
        Side::Like(places) => places.clone(),
    };
    other.application == route.application
        && goes_first(other, route)
        && places_of(other)
            .iter()
            .any(|places| places.contains(&wanted))
}

/// Who is cleared for what, asked once for each role.
struct Clearances<'a> {
    sheet: Sheet<'a>,
    /// Who holds a role in a domain.
    holders: HashMap<(Symbol, Symbol), Vec<Symbol>>,
    known: HashMap<(Symbol, Symbol, String), bool>,
    /// Whether roles are held in domains.
    in_domains: bool,
    /// Whether it can be told: the model has clearances, and none of its roles is held for a time only.
    told: bool,
}

impl<'a> Clearances<'a> {
    fn new(sheet: Sheet<'a>) -> Self {
        let policy = sheet.policy;
        let mut holders: HashMap<_, Vec<Symbol>> = HashMap::new();
        let membership = policy.membership_relation();
        let relation = membership.and_then(|n| policy.relations.get(n).zip(policy.roles.get(n)));
        if let Some((table, roles)) = relation {
            for row in 0..table.rows.len() {
                let own = table.rows.field(row, 2);
                let own = own.filter(|_| table.relation.in_domains);
                let Some(name) = table.rows.field(row, 0) else {
                    continue;
                };
                let domain = own.unwrap_or(NO_DOMAIN);
                for role in roles.held(name, domain, &policy.symbols) {
                    holders.entry((*role, domain)).or_default().push(name);
                }
            }
        }
        Self {
            sheet,
            holders,
            in_domains: relation.is_some_and(|(table, _)| table.relation.in_domains),
            known: HashMap::new(),
            told: policy.clearance_relation().is_some()
                && !policy.relations.iter().any(|table| table.relation.windowed),
        }
    }

    /// Whether the role, or someone who holds it, is cleared; `true` where that cannot be told.
    fn some_cleared(&mut self, role: Symbol, domain: Symbol, label: &str) -> bool {
        if !self.told {
            return true;
        }
        let key = (role, domain, label.to_owned());
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let policy = self.sheet.policy;
        let within = match domain {
            NO_DOMAIN => "",
            domain => policy.symbols.text(domain),
        };
        let held_in = if self.in_domains { domain } else { NO_DOMAIN };
        let holders = self.holders.get(&(role, held_in)).into_iter().flatten();
        let cleared = std::iter::once(&role)
            .chain(holders)
            .any(|name| policy.clears(policy.symbols.text(*name), within, label, None));
        self.known.insert(key, cleared);
        cleared
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::lint::lint;
    use crate::{Policy, RBAC_WITH_DOMAINS, Source};

    fn route(prefix: &str, methods: &[&str], label: &str) -> Route {
        Route {
            application: "records".to_owned(),
            tenant: "tax".to_owned(),
            context: 1,
            prefix: prefix.to_owned(),
            methods: methods.iter().map(|method| (*method).to_owned()).collect(),
            label: label.to_owned(),
        }
    }

    #[test]
    fn rules_that_the_rest_of_the_gateway_refuses_are_found() {
        let surroundings = Surroundings {
            routes: vec![
                route("/statistics", &["GET"], "public"),
                route("/residents", &["GET", "POST"], "sensitive"),
                route("/vault", &["GET"], "secret"),
            ],
            zones: vec![Zone {
                name: "office".to_owned(),
                labels: vec!["public".to_owned(), "sensitive".to_owned()],
            }],
            labels: ["public", "sensitive", "secret"].map(str::to_owned).into(),
            lowest_label: "public".to_owned(),
        };
        let roles = "g, alice, clerk, tax\ng, bob, partner, tax\ng2, clerk, secret\ng2, partner, public\n\
            g2, secret, sensitive\ng2, sensitive, public\n";
        for (rule, expected) in [
            ("p, clerk, tax, /residents/:id, GET, allow", None),
            ("p, clerk, tax, /statistics, *, allow", None),
            (
                "p, clerk, land, /residents/:id, GET, allow",
                Some("no-such-organisation"),
            ),
            (
                "p, clerk, tax, /nothing/:id, GET, allow",
                Some("unserved-path"),
            ),
            (
                "p, clerk, tax, /residents/:id, DELETE, allow",
                Some("unserved-path"),
            ),
            (
                "p, clerk, tax, /residentsx, GET, allow",
                Some("unserved-path"),
            ),
            (
                "p, clerk, tax, /vault/1, GET, allow",
                Some("zone-unreachable"),
            ),
            (
                "p, partner, tax, /residents/:id, GET, allow",
                Some("label-not-cleared"),
            ),
            (
                "p, clerk, tax, /residents/:id, *, allow",
                Some("over-broad"),
            ),
        ] {
            let text = format!("{rule}\n{roles}g, carol, clerk, land\n");
            let rules = Source {
                name: "policy.csv",
                text: &text,
            };
            let model = Source {
                name: "model.conf",
                text: RBAC_WITH_DOMAINS,
            };
            let policy = Policy::compile(model, rules).unwrap();
            let found = lint(&policy, rules, |_| false, Some(&surroundings));
            let kinds: Vec<_> = found.iter().map(|finding| finding.kind).collect();
            assert_eq!(
                kinds,
                expected.into_iter().collect::<Vec<_>>(),
                "{rule}: {found:?}"
            );
        }
    }

    #[test]
    fn roles_without_domains_are_held_against_clearances_too() {
        let model = "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act\n\
            [role_definition]\ng = _, _\ng2 = _, _\n[policy_effect]\ne = some(where (p.eft == allow))\n\
            [matchers]\nm = g(r.sub, p.sub) && keyMatch2(r.obj, p.obj) && r.act == p.act\n";
        let surroundings = Surroundings {
            routes: vec![route("/residents", &["GET"], "sensitive")],
            zones: vec![Zone {
                name: "office".to_owned(),
                labels: vec!["sensitive".to_owned()],
            }],
            labels: vec!["sensitive".to_owned()],
            lowest_label: "public".to_owned(),
        };
        for (cleared, expected) in [
            ("clerk, sensitive", vec![]),
            ("alice, sensitive", vec![]),
            ("bob, sensitive", vec!["label-not-cleared"]),
        ] {
            let text = format!("p, clerk, /residents/:id, GET\ng, alice, clerk\ng2, {cleared}\n");
            let rules = Source {
                name: "policy.csv",
                text: &text,
            };
            let model = Source {
                name: "model.conf",
                text: model,
            };
            let policy = Policy::compile(model, rules).unwrap();
            let found = lint(&policy, rules, |_| false, Some(&surroundings));
            let kinds: Vec<_> = found.iter().map(|finding| finding.kind).collect();
            assert_eq!(kinds, expected, "{cleared}: {found:?}");
        }
    }
}
