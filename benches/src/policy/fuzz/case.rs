//! Generated models, policies and requests.

use super::alphabet::{
    ACTIONS, ADDRESSES, ATTRIBUTES, DOMAINS, EFFECTS, GLOBBED, GLOBS, METHODS, NAMES, NETWORKS,
    OBJECTS, PATHS, ROW_TERMS, TERMS,
};
use crate::measure::Random;
use serde_json::{Value, json};

/// A model, its rows and what is asked of it.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) family: &'static str,
    pub(super) model: String,
    pub(super) rules: String,
    pub(super) requests: Vec<Asked>,
}

/// Arguments in the order of the model's `r`, or `r2`.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) context: usize,
    pub(super) arguments: Vec<Value>,
}

type Family = fn(&mut Random) -> Case;

/// Each makes cases of its own kind.
pub(super) const FAMILIES: &[Family] = &[
    texts,
    texts,
    texts,
    shipped,
    shipped,
    domains,
    resource_roles,
    globs,
    addresses,
    attributes,
    attributes,
    conditions,
    sections,
    priorities,
    chains,
];

impl Case {
    /// The case with this number: the same each time.
    pub(super) fn generate(number: u64) -> Self {
        let mut random = Random::new(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let family = FAMILIES.get(random.below(FAMILIES.len()));
        family.copied().unwrap_or(texts)(&mut random)
    }
}

struct Model<'a> {
    request: &'a str,
    rule: &'a str,
    relations: &'a str,
    effect: &'a str,
    matcher: &'a str,
}

impl Model<'_> {
    fn text(&self) -> String {
        let roles = match self.relations {
            "" => String::new(),
            relations => format!("[role_definition]\n{relations}\n"),
        };
        format!(
            "[request_definition]\nr = {}\n[policy_definition]\np = {}\n{roles}[policy_effect]\ne = {}\n[matchers]\nm = {}\n",
            self.request, self.rule, self.effect, self.matcher
        )
    }
}

/// A matcher of some of these terms: a disjunction of conjunctions.
fn matcher(random: &mut Random, terms: &[&'static str]) -> String {
    let clauses: Vec<_> = (0..1 + random.below(2))
        .map(|_| {
            let terms: Vec<_> = (0..1 + random.below(3)).map(|_| random.of(terms)).collect();
            terms.join(" && ")
        })
        .collect();
    let matcher = clauses.join(" || ");
    let reads_rows = matcher.contains("p.");
    match terms.first() {
        Some(first) if !reads_rows && random.percent(90) => format!("{matcher} || {first}"),
        _ => matcher,
    }
}

fn effect_of(random: &mut Random) -> &'static str {
    if random.percent(25) { "deny" } else { "allow" }
}

/// Rows of a kind: up to a dozen, at times none, at times one of them twice.
fn rows(random: &mut Random, mut row: impl FnMut(&mut Random) -> String) -> String {
    if random.percent(2) {
        return String::new();
    }
    let mut rows: Vec<_> = (0..1 + random.below(11)).map(|_| row(random)).collect();
    if random.percent(10) {
        let again = rows.get(random.below(rows.len())).cloned();
        rows.extend(again);
    }
    rows.concat()
}

fn roles(
    random: &mut Random,
    relation: &str,
    names: &[&'static str],
    domains: &[&'static str],
) -> String {
    // A name that looks like a pattern is refused at load, and with it the whole policy.
    let plain = |row: &String| !(row.contains(['*', '{']) || row.contains("/:"));
    (0..random.below(6))
        .map(|_| {
            let (a, b) = (random.of(names), random.of(names));
            match domains {
                [] => format!("{relation}, {a}, {b}\n"),
                domains => format!("{relation}, {a}, {b}, {}\n", random.of(domains)),
            }
        })
        .filter(plain)
        .collect()
}

fn ask(random: &mut Random, mut arguments: impl FnMut(&mut Random) -> Vec<Value>) -> Vec<Asked> {
    let request = |_| Asked {
        context: 1,
        arguments: arguments(random),
    };
    (0..REQUESTS).map(request).collect()
}

fn plain_row(random: &mut Random) -> String {
    let (sub, obj, act) = (random.of(NAMES), random.of(OBJECTS), random.of(ACTIONS));
    format!("p, {sub}, {obj}, {act}, {}\n", effect_of(random))
}

fn plain_request(random: &mut Random) -> Vec<Value> {
    vec![
        random.of(NAMES).into(),
        random.of(PATHS).into(),
        random.of(METHODS).into(),
    ]
}

fn texts(random: &mut Random) -> Case {
    let matcher = matcher(random, TERMS);
    let model = Model {
        request: "sub, obj, act",
        rule: "sub, obj, act, eft",
        relations: "g = _, _",
        effect: random.of(EFFECTS),
        matcher: &matcher,
    };
    Case {
        family: "texts and patterns",
        model: model.text(),
        rules: rows(random, plain_row) + roles(random, "g", NAMES, &[]).as_str(),
        requests: ask(random, plain_request),
    }
}

fn domain_row(random: &mut Random) -> String {
    let (sub, dom, obj) = (random.of(NAMES), random.of(DOMAINS), random.of(OBJECTS));
    let act = random.of(&["GET", "POST", "*", "get"]);
    format!("p, {sub}, {dom}, {obj}, {act}, {}\n", effect_of(random))
}

fn domain_request(random: &mut Random) -> Vec<Value> {
    vec![
        random.of(NAMES).into(),
        random.of(DOMAINS).into(),
        random.of(PATHS).into(),
        random.of(METHODS).into(),
    ]
}

fn shipped(random: &mut Random) -> Case {
    Case {
        family: "the shipped model",
        model: hangu_policy::RBAC_WITH_DOMAINS.to_owned(),
        rules: rows(random, domain_row) + roles(random, "g", NAMES, DOMAINS).as_str(),
        requests: ask(random, domain_request),
    }
}

fn domains(random: &mut Random) -> Case {
    let terms = [
        "g(r.sub, p.sub, r.dom)",
        "r.dom == p.dom",
        "g(r.sub, p.sub, p.dom)",
        "g(r.sub, \"admin\", r.dom)",
        "g(r.sub, p.sub, \"tax\")",
        "keyMatch(r.obj, p.obj)",
        "keyMatch4(r.obj, p.obj)",
        "r.act == p.act",
        "(r.dom == p.dom || p.dom == \"*\")",
    ];
    let matcher = matcher(random, &terms);
    let model = Model {
        request: "sub, dom, obj, act",
        rule: "sub, dom, obj, act, eft",
        relations: "g = _, _, _",
        effect: random.of(EFFECTS),
        matcher: &matcher,
    };
    Case {
        family: "roles in domains",
        model: model.text(),
        rules: rows(random, domain_row) + roles(random, "g", NAMES, DOMAINS).as_str(),
        requests: ask(random, domain_request),
    }
}

fn resource_roles(random: &mut Random) -> Case {
    let terms = [
        "g(r.sub, p.sub)",
        "g2(r.obj, p.obj)",
        "r.act == p.act",
        "keyMatch2(r.obj, p.obj)",
        "g2(r.obj, \"/*\")",
    ];
    let matcher = matcher(random, &terms);
    let model = Model {
        request: "sub, obj, act",
        rule: "sub, obj, act, eft",
        relations: "g = _, _\ng2 = _, _",
        effect: random.of(EFFECTS),
        matcher: &matcher,
    };
    let some = OBJECTS.get(..12).unwrap_or_default();
    Case {
        family: "roles of resources",
        model: model.text(),
        rules: rows(random, plain_row)
            + roles(random, "g", NAMES, &[]).as_str()
            + roles(random, "g2", some, &[]).as_str(),
        requests: ask(random, plain_request),
    }
}

fn globs(random: &mut Random) -> Case {
    let terms = [
        "globMatch(r.obj, p.obj)",
        "r.sub == p.sub",
        "g(r.sub, p.sub)",
        "globMatch(r.obj, \"/foo/*\")",
    ];
    let matcher = matcher(random, &terms);
    let model = Model {
        request: "sub, obj",
        rule: "sub, obj, eft",
        relations: "g = _, _",
        effect: random.of(EFFECTS),
        matcher: &matcher,
    };
    let row = |random: &mut Random| {
        let (sub, obj) = (random.of(NAMES), random.of(GLOBS));
        format!("p, {sub}, \"{obj}\", {}\n", effect_of(random))
    };
    Case {
        family: "globs",
        model: model.text(),
        rules: rows(random, row) + roles(random, "g", NAMES, &[]).as_str(),
        requests: ask(random, |random| {
            vec![random.of(NAMES).into(), random.of(GLOBBED).into()]
        }),
    }
}

fn addresses(random: &mut Random) -> Case {
    let terms = [
        "ipMatch(r.ip, p.net)",
        "r.act == p.act",
        "ipMatch(r.ip, \"10.0.0.0/8\")",
        "!ipMatch(r.ip, p.net)",
    ];
    let matcher = matcher(random, &terms);
    let model = Model {
        request: "ip, act",
        rule: "net, act, eft",
        relations: "",
        effect: random.of(EFFECTS),
        matcher: &matcher,
    };
    let row = |random: &mut Random| {
        let (net, act) = (random.of(NETWORKS), random.of(METHODS));
        format!("p, {net}, {act}, {}\n", effect_of(random))
    };
    Case {
        family: "addresses",
        model: model.text(),
        rules: rows(random, row),
        requests: ask(random, |random| {
            vec![random.of(ADDRESSES).into(), random.of(METHODS).into()]
        }),
    }
}

/// A subject with attributes; at times one is missing, or of another type.
fn subject(random: &mut Random) -> Value {
    let age: Value = match random.below(12) {
        0 => "old".into(),
        1 => Value::Null,
        _ => random.of(&[17, 18, 19, 40, 60, 61]).into(),
    };
    match random.below(10) {
        0 => random.of(NAMES).into(),
        1 => json!({"name": random.of(NAMES)}),
        _ => json!({
            "name": random.of(NAMES),
            "age": age,
            "org": {"unit": random.of(&["tax", "land"])},
            "rights": random.of(&[&["read"][..], &["write", "read"], &[]]),
        }),
    }
}

fn object(random: &mut Random) -> Value {
    match random.below(10) {
        0 => random.of(PATHS).into(),
        1 => json!({"path": random.of(PATHS)}),
        _ => {
            json!({"owner": random.of(NAMES), "path": random.of(PATHS), "open": random.percent(50)})
        }
    }
}

fn attribute_request(random: &mut Random) -> Vec<Value> {
    vec![subject(random), object(random), random.of(METHODS).into()]
}

fn attributes(random: &mut Random) -> Case {
    let terms: Vec<_> = ROW_TERMS.iter().chain(ATTRIBUTES).copied().collect();
    let matcher = matcher(random, &terms);
    let model = Model {
        request: "sub, obj, act",
        rule: "sub, obj, act, eft",
        relations: "g = _, _",
        effect: random.of(EFFECTS),
        matcher: &matcher,
    };
    Case {
        family: "attributes of the request",
        model: model.text(),
        rules: rows(random, plain_row) + roles(random, "g", NAMES, &[]).as_str(),
        requests: ask(random, attribute_request),
    }
}

fn conditions(random: &mut Random) -> Case {
    let matcher = random.of(&[
        "eval(p.rule)",
        "eval(p.rule) && r.act == p.act",
        "r.act == p.act && eval(p.rule)",
        "r.act == p.act && eval(p.rule) || r.sub.name == \"root\" && p.act == \"*\"",
    ]);
    let model = Model {
        request: "sub, obj, act",
        rule: "rule, act, eft",
        relations: "",
        effect: random.of(EFFECTS),
        matcher,
    };
    // Rust reads doubled quotes in a field otherwise than Go.
    let plain: Vec<_> = ATTRIBUTES
        .iter()
        .copied()
        .filter(|term| !term.contains(['"', ',']))
        .collect();
    let row = |random: &mut Random| {
        let (rule, act) = (random.of(&plain), random.of(METHODS));
        format!("p, {rule}, {act}, {}\n", effect_of(random))
    };
    Case {
        family: "conditions in rows",
        model: model.text(),
        rules: rows(random, row),
        requests: ask(random, attribute_request),
    }
}

fn sections(random: &mut Random) -> Case {
    let (first, second) = (random.of(EFFECTS), random.of(EFFECTS));
    let matcher = matcher(random, TERMS);
    let other = matcher.replace("r.", "r2.").replace("p.", "p2.");
    let model = format!(
        "[request_definition]\nr = sub, obj, act\nr2 = sub, obj, act\n[policy_definition]\np = sub, obj, act, eft\np2 = sub, obj, act, eft\n\
         [role_definition]\ng = _, _\n[policy_effect]\ne = {first}\ne2 = {second}\n[matchers]\nm = {matcher}\nm2 = {other}\n"
    );
    let second = rows(random, plain_row).replace("p, ", "p2, ");
    let mut requests = ask(random, plain_request);
    for asked in &mut requests {
        asked.context = 1 + random.below(2);
    }
    Case {
        family: "several sections",
        model,
        rules: rows(random, plain_row) + second.as_str() + roles(random, "g", NAMES, &[]).as_str(),
        requests,
    }
}

fn priorities(random: &mut Random) -> Case {
    let matcher = matcher(random, TERMS);
    let model = Model {
        request: "sub, obj, act",
        rule: "priority, sub, obj, act, eft",
        relations: "g = _, _",
        effect: "priority(p.eft) || deny",
        matcher: &matcher,
    };
    let row = |random: &mut Random| {
        let number = random.of(&["1", "2", "10", "-1"]);
        plain_row(random).replace("p, ", &format!("p, {number}, "))
    };
    Case {
        family: "a priority column",
        model: model.text(),
        rules: rows(random, row) + roles(random, "g", NAMES, &[]).as_str(),
        requests: ask(random, plain_request),
    }
}

/// Roles of roles, as many links as are followed.
fn chains(random: &mut Random) -> Case {
    let model = Model {
        request: "sub, obj, act",
        rule: "sub, obj, act, eft",
        relations: "g = _, _",
        effect: random.of(EFFECTS),
        matcher: random.of(&[
            "g(r.sub, p.sub) && r.act == p.act",
            "r.act == p.act && g(r.sub, \"link10\") && r.obj == p.obj",
        ]),
    };
    let name = |random: &mut Random| format!("link{}", random.below(12));
    let row = |random: &mut Random| {
        let (sub, effect) = (name(random), effect_of(random));
        format!("p, {sub}, {}, GET, {effect}\n", random.of(&["/a", "/b"]))
    };
    let links = (0..8 + random.below(3)).map(|n| format!("g, link{n}, link{}\n", n + 1));
    Case {
        family: "chains of roles",
        rules: rows(random, row) + links.collect::<String>().as_str(),
        model: model.text(),
        requests: ask(random, |random| {
            let (sub, obj) = (name(random), random.of(&["/a", "/b"]));
            vec![sub.into(), obj.into(), random.of(&["GET", "POST"]).into()]
        }),
    }
}

/// Requests of one case.
const REQUESTS: usize = 160;
