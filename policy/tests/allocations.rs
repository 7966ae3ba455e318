//! A decision allocates nothing, whatever it needs: an allocator that counts says so.

use allocation_counter::measure;
use hangu_policy::{
    Decision, PartitionedPolicy, Policy, RBAC_WITH_DOMAINS, Request, RouteParameter, Source, Value,
};
use std::fmt::Write as _;
use std::hint::black_box;

fn source<'a>(name: &'static str, text: &'a str) -> Source<'a> {
    Source { name, text }
}

/// Permits and denials of these requests, which must have been made without allocating.
fn decisions<'a>(
    requests: impl Iterator<Item = Request<'a>>,
    decide: impl Fn(&Request<'a>) -> Decision,
) -> [usize; 2] {
    let counts = measure(|| drop(black_box(vec![1])));
    assert_eq!(counts.count_total, 1, "what allocates is counted");
    let mut answers = [0; 2];
    for request in requests {
        // What a thread needs once, for example to match its first regular expression, is not counted.
        black_box(decide(&request));
        let counted = measure(|| match decide(&request) {
            Decision::Permit(_) => answers[0] += 1,
            Decision::Deny(_) => answers[1] += 1,
        });
        assert_eq!(counted.count_total, 0, "{request:?}");
    }
    answers
}

#[test]
fn a_decision_of_the_shipped_model_allocates_nothing() {
    let mut rules = String::new();
    for number in 0..6_000 {
        let (organisation, role) = (number % 12, number % 40);
        let catalogue = number % 97;
        let path = match number % 5 {
            0 => format!("/catalogues/{catalogue}/*"),
            1 => format!("/catalogues/{catalogue}/resources/:id"),
            2 => format!("/catalogues/{catalogue}.old/:id"),
            _ => format!("/catalogues/{catalogue}/resources/{number}"),
        };
        let effect = if number % 20 == 3 { "deny" } else { "allow" };
        let method = ["GET", "POST", "*"][number % 3];
        writeln!(
            rules,
            "p, role{role}, org{organisation}, {path}, {method}, {effect}"
        )
        .unwrap();
    }
    for user in 0..500 {
        for role in 0..=user % 3 {
            let role = (user + role * 7) % 40;
            writeln!(rules, "g, user{user}, role{role}, org{}", user % 12).unwrap();
        }
    }
    let policy =
        PartitionedPolicy::compile(source("m", RBAC_WITH_DOMAINS), source("p", &rules)).unwrap();
    let texts: Vec<_> = (0..6_000)
        .map(|number| {
            // User and rule agree in organisation and role; one in three asks elsewhere.
            let subject = format!("user{}", number % 120);
            let domain = format!("org{}", (number + usize::from(number % 3 == 0)) % 12);
            let catalogue = number % 97;
            let path = match number % 5 {
                2 => format!("/catalogues/{catalogue}xold/{number}"),
                _ => format!("/catalogues/{catalogue}/resources/{number}"),
            };
            (subject, domain, path, ["GET", "POST", "PATCH"][number % 3])
        })
        .collect();
    let requests = texts.iter().map(|(subject, domain, path, method)| Request {
        subject,
        domain,
        path,
        method,
        ..Request::default()
    });
    let [permitted, denied] = decisions(requests, |request| policy.decide(request));
    assert!(permitted > 100 && denied > 100, "{permitted} {denied}");
}

#[test]
fn a_decision_of_any_function_allocates_nothing() {
    let attributes = [
        ("age".to_owned(), Value::Number(40.0)),
        ("unit".to_owned(), Value::Text("tax".to_owned())),
        (
            "rights".to_owned(),
            Value::List(vec![Value::Text("read".to_owned())]),
        ),
    ];
    let terms = [
        "keyMatch(r.obj, p.obj)",
        "keyMatch2(r.obj, p.obj)",
        "keyMatch3(r.obj, p.obj)",
        "keyMatch4(r.obj, p.obj)",
        "keyMatch5(r.obj, p.obj)",
        "regexMatch(r.obj, p.obj)",
        "globMatch(r.obj, p.obj)",
        "ipMatch(r.ip, '10.0.0.0/8')",
        "keyGet(r.obj, '/a/*') == 'b'",
        "keyGet2(r.obj, '/a/:id', 'id') == 'b'",
        "keyGet3(r.obj, '/{x}/{id}', 'id') == 'b'",
        "r.sub.age > 18 && r.sub.unit == 'tax'",
        "'read' in r.sub.rights",
        "r.time > 1000 && r.time < 5000",
        "r.route.part == 'b'",
        "g(r.sub, p.sub) || p.sub == '*'",
        "g(r.sub, p.sub) && !(r.act in ('PUT', 'POST')) && r.sub != p.obj",
    ];
    let rules = "\
p, clerk, /a/b, GET, allow
p, *, /a/*, *, allow
p, clerk, /secret, GET, deny
p, alice, /x.y/z, GET, deny
g, alice, clerk
g, bob, clerk
";
    let parameters = [RouteParameter {
        name: "part".into(),
        segment: 1,
    }];
    let mut all = [0; 2];
    for term in terms {
        let model = format!(
            "[request_definition]\nr = sub, obj, act, ip, time, route\n[policy_definition]\np = sub, obj, act, eft\n\
             [role_definition]\ng = _, _\n[policy_effect]\n\
             e = some(where (p.eft == allow)) && !some(where (p.eft == deny))\n\
             [matchers]\nm = {term} && (r.act == p.act || p.act == '*')\n"
        );
        let policy = Policy::compile(source("m", &model), source("p", rules));
        let policy = policy.unwrap_or_else(|problems| panic!("{term}: {problems:?}"));
        let mut requests = Vec::new();
        for subject in ["alice", "bob", "eve"] {
            for path in ["/a/b", "/a/c/d", "/secret", "/xxy/z", "/a/b?q", "/资/一"] {
                for (method, address) in [("GET", "10.1.1.1"), ("POST", "::1"), ("PUT", "none")] {
                    requests.push(Request {
                        subject,
                        subject_attributes: &attributes,
                        path,
                        route: "/a/:part",
                        route_parameters: &parameters,
                        method,
                        address,
                        time_unix_ms: Some(2_000_000),
                        ..Request::default()
                    });
                }
            }
        }
        let [permitted, denied] = decisions(requests.into_iter(), |request| policy.decide(request));
        all = [all[0] + permitted, all[1] + denied];
    }
    assert!(all[0] > 50 && all[1] > 50, "{all:?}");
}
