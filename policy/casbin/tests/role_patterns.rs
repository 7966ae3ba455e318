//! Names and domains of roles as patterns: our answer is that of Go's role manager with matching functions.
//!
//! Go's is written out here as its sources have it, link by link, and is what counts; Rust casbin is asked too, with the
//! same functions attached, and where it differs from Go there is a test with the reason.

use casbin::function_map::{key_match, key_match2 as key_match2_anew};
use casbin::{CoreApi, DefaultModel, Enforcer, StringAdapter};
use proptest::prelude::*;
use proptest::sample::select;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use support::{compile, permits};

mod support;

type Matching = fn(&str, &str) -> bool;

const MODEL: &str = "[request_definition]\nr = sub, dom, obj, act\n[policy_definition]\np = sub, dom, obj, act\n\
    [role_definition]\ng = _, _, _\ng2 = _, _\n[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\n\
    m = g(r.sub, p.sub, r.dom) && g2(r.obj, p.obj) && r.act == p.act\n\
    [role_matching]\ng = keyMatch\ng2 = keyMatch2\n[domain_matching]\ng = keyMatch\n";

thread_local! {
    static MATCHED: RefCell<HashMap<(String, String), bool>> = RefCell::default();
}

/// casbin's own, which compiles a regular expression each time, with a memory.
fn key_match2(name: &str, pattern: &str) -> bool {
    let key = (name.to_owned(), pattern.to_owned());
    let matches = || key_match2_anew(name, pattern);
    MATCHED.with_borrow_mut(|known| *known.entry(key).or_insert_with(matches))
}

/// What Rust casbin answers with `keyMatch2` for names and `keyMatch` for domains attached.
fn rust_permits(model: &str, rules: &str, arguments: &[&str]) -> casbin::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let load = async {
        let model = DefaultModel::from_str(model).await?;
        Enforcer::new(model, StringAdapter::new(rules.to_owned())).await
    };
    let mut enforcer = runtime.block_on(load)?;
    let roles = enforcer.get_role_manager();
    roles.write().matching_fn(Some(key_match2), Some(key_match));
    enforcer.build_role_links()?;
    let arguments: Vec<_> = arguments.iter().map(|a| (*a).to_owned()).collect();
    enforcer.enforce(arguments)
}

/// Go's role manager of one domain.
struct GoRoles {
    matching: Matching,
    roles: BTreeMap<String, BTreeSet<String>>,
}

impl GoRoles {
    fn new(links: &[(&str, &str)], matching: Matching) -> Self {
        let mut roles: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, role) in links {
            roles.entry((*role).to_owned()).or_default();
            roles
                .entry((*name).to_owned())
                .or_default()
                .insert((*role).to_owned());
        }
        Self { matching, roles }
    }

    fn matches(&self, name: &str, pattern: &str) -> bool {
        name == pattern || (self.matching)(name, pattern)
    }

    fn has_link(mut self, name: &str, target: &str) -> bool {
        if self.matches(name, target) {
            return true;
        }
        for new in [name, target] {
            self.roles.entry(new.to_owned()).or_default();
        }
        let mut level = BTreeSet::from([name.to_owned()]);
        for _ in 0..=10 {
            if level.iter().any(|name| self.matches(name, target)) {
                return true;
            }
            level = level.iter().flat_map(|name| self.next(name)).collect();
        }
        false
    }

    /// `rangeRoles`: its roles, what matches those of them that are patterns, and the roles of patterns that it matches.
    fn next(&self, name: &str) -> BTreeSet<String> {
        let mut next = BTreeSet::new();
        for role in self.roles.get(name).into_iter().flatten() {
            next.insert(role.clone());
            let matched = self
                .roles
                .keys()
                .filter(|other| *other != role && self.matches(other, role));
            next.extend(matched.cloned());
        }
        for (pattern, roles) in &self.roles {
            if pattern != name && self.matches(name, pattern) {
                next.extend(roles.iter().cloned());
            }
        }
        next
    }
}

/// Rows, and requests for them.
#[derive(Clone, Debug)]
struct Case {
    rules: Vec<[&'static str; 4]>,
    roles: Vec<[&'static str; 3]>,
    groups: Vec<[&'static str; 2]>,
}

impl Case {
    fn text(&self) -> String {
        let mut text = String::new();
        for row in &self.rules {
            text += &format!("p, {}\n", row.join(", "));
        }
        for row in &self.roles {
            text += &format!("g, {}\n", row.join(", "));
        }
        for row in &self.groups {
            text += &format!("g2, {}\n", row.join(", "));
        }
        text
    }

    fn go(&self, [subject, domain, object, action]: [&str; 4]) -> bool {
        self.rules.iter().any(|[sub, _, obj, act]| {
            let roles: Vec<_> = self
                .roles
                .iter()
                .filter(|[_, _, within]| domain == *within || key_match(domain, within))
                .map(|[name, role, _]| (*name, *role))
                .collect();
            let groups: Vec<_> = self
                .groups
                .iter()
                .map(|[name, role]| (*name, *role))
                .collect();
            action == *act
                && GoRoles::new(&roles, key_match).has_link(subject, sub)
                && GoRoles::new(&groups, key_match2).has_link(object, obj)
        })
    }
}

const SUBJECTS: [&str; 8] = ["alice", "bob", "admin", "head", "a*", "*", "ad*", "al*"];
const DOMAINS: [&str; 6] = ["tax", "tax/north", "land", "*", "tax*", "tax/*"];
const OBJECTS: [&str; 9] = [
    "/book/1",
    "/book/2/x",
    "/book/:id",
    "/book/*",
    "books",
    "pens",
    "/:kind/1",
    "/pen/1",
    "*",
];

fn case() -> impl Strategy<Value = Case> {
    let rule = (
        select(&SUBJECTS[..]),
        select(&OBJECTS[..]),
        select(&["read", "write"][..]),
    )
        .prop_map(|(sub, obj, act)| [sub, "any", obj, act]);
    let role = (
        select(&SUBJECTS[..]),
        select(&SUBJECTS[..]),
        select(&DOMAINS[..]),
    )
        .prop_map(|(name, role, domain)| [name, role, domain]);
    let group = (select(&OBJECTS[..]), select(&OBJECTS[..])).prop_map(|(name, role)| [name, role]);
    (
        prop::collection::vec(rule, 1..4),
        prop::collection::vec(role, 0..6),
        prop::collection::vec(group, 0..6),
    )
        .prop_map(|(rules, roles, groups)| Case {
            rules,
            roles,
            groups,
        })
}

fn requests() -> impl Strategy<Value = Vec<[&'static str; 4]>> {
    let one = (
        select(&["alice", "bob", "admin", "zoe", "adam", "", "a*", "*"][..]),
        select(&["tax", "tax/north", "tax/south", "land", "sea", "*", "tax*"][..]),
        select(
            &[
                "/book/1",
                "/book/7",
                "/book/2/x",
                "/pen/1",
                "/pen/9",
                "books",
                "/book/:id",
                "",
                "/a\nb",
            ][..],
        ),
        select(&["read", "write"][..]),
    );
    prop::collection::vec(
        one.prop_map(|(sub, dom, obj, act)| [sub, dom, obj, act]),
        1..16,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn names_and_domains_that_are_patterns_answer_as_go(case in case(), requests in requests()) {
        let policy = compile(MODEL, &case.text()).unwrap();
        for request in requests {
            prop_assert_eq!(permits(&policy, &request), case.go(request), "{:?} on\n{}", request, case.text());
        }
    }
}

const ONE: &str = "[request_definition]\nr = sub, dom, obj, act\n[policy_definition]\np = sub, dom, obj, act\n\
    [role_definition]\ng = _, _, _\n[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\n\
    m = g(r.obj, p.obj, r.dom) && r.act == p.act\n\
    [role_matching]\ng = keyMatch2\n[domain_matching]\ng = keyMatch\n";

/// Patterns that do not overlap and lead to plain groups: there Rust casbin is as Go.
fn one_case() -> impl Strategy<Value = String> {
    const GROUPS: [&str; 3] = ["books", "pens", "things"];
    const NAMES: [&str; 5] = ["/book/:id", "/pen/:id", "books", "pens", "/shelf/1"];
    let rule = (select(&GROUPS[..]), select(&["read", "write"][..]))
        .prop_map(|(obj, act)| format!("p, any, any, {obj}, {act}\n"));
    let role = (
        select(&NAMES[..]),
        select(&GROUPS[..]),
        select(&["*", "tax"][..]),
    )
        .prop_map(|(name, role, domain)| format!("g, {name}, {role}, {domain}\n"));
    let roles = prop::collection::vec(role, 0..6);
    (prop::collection::vec(rule, 1..4), roles).prop_map(|(rules, roles)| {
        let anywhere = "g, /shelf/:id, shelves, *\n".to_owned();
        [rules, vec![anywhere], roles].concat().concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn patterns_that_lead_to_groups_answer_as_rust(rules in one_case()) {
        let policy = compile(ONE, &rules).unwrap();
        for object in ["/book/1", "/book/1/x", "/pen/2", "books", "/shelf/1", "/shelf/2", "/none"] {
            for domain in ["tax", "land"] {
                let request = ["any", domain, object, "read"];
                let expected = rust_permits(ONE, &rules, &request).unwrap();
                prop_assert_eq!(permits(&policy, &request), expected, "{:?} on\n{}", request, rules);
            }
        }
    }
}

#[test]
fn a_pattern_that_a_rule_names_itself_matches_where_no_role_row_is_as_in_go() {
    // Rust looks for the name in the graph first, and there is none.
    let rules = "p, any, any, /book/:id, read\n";
    let request = ["any", "tax", "/book/1", "read"];
    assert!(permits(&compile(ONE, rules).unwrap(), &request));
    assert!(!rust_permits(ONE, rules, &request).unwrap());
}

#[test]
fn a_name_has_the_roles_of_every_pattern_that_it_matches_as_in_go() {
    // Rust takes an unknown name for the first pattern that matches it, and for no other.
    let only = |group: &str| {
        format!("p, any, any, {group}, read\ng, /book/:id, books, *\ng, /:kind/1, files, *\n")
    };
    let request = ["any", "tax", "/book/1", "read"];
    for group in ["books", "files"] {
        assert!(
            permits(&compile(ONE, &only(group)).unwrap(), &request),
            "{group}"
        );
    }
    assert!(
        !(rust_permits(ONE, &only("books"), &request).unwrap()
            && rust_permits(ONE, &only("files"), &request).unwrap())
    );
}

#[test]
fn a_name_that_matches_a_pattern_is_not_that_pattern_as_in_go() {
    // Rust goes on as `/book/*`, a text that itself matches `/book/:id`: it permits what no rule is for.
    let rules = "p, any, any, /book/:id, read\ng, /book/*, shelves, *\n";
    let request = ["any", "tax", "/book/2/x", "read"];
    assert!(!permits(&compile(ONE, rules).unwrap(), &request));
    assert!(rust_permits(ONE, rules, &request).unwrap());
}
