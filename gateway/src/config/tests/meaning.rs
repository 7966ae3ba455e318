//! What good values mean.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use super::super::values::{Written, parse_duration};
use super::{LEAST, example, good};
use crate::config::{
    AccessLog, Balance, ByteSize, ClientAuthentication, Host, HostPattern, IpPrefix, Method,
    MethodSet, Mode, Rate, RoutePrefix, TlsVersion,
};

#[test]
fn the_least_file_gets_every_default() {
    let config = good(LEAST);
    assert_eq!(config.server.run_dir, Path::new("/etc/hangu/run"));
    assert_eq!(config.server.drain, Duration::from_secs(30));
    assert!((1..=64).contains(&config.server.threads.get()));
    let [listener] = &config.listeners[..] else {
        panic!("one listener")
    };
    assert_eq!(
        listener.trust.client_authentication,
        ClientAuthentication::Required
    );
    assert_eq!(
        listener.trust.client_ca,
        Path::new("/etc/hangu/certs/clients-ca.pem")
    );
    assert_eq!(listener.tls_min, TlsVersion::Tls13);
    assert_eq!(listener.zone, None);
    assert_eq!(listener.header_bytes_max.bytes(), 32 * 1024);
    let [application] = &config.applications[..] else {
        panic!("one application")
    };
    assert_eq!(application.routes[0].methods, MethodSet::ALL);
    assert!(application.upstream_tls.is_none());
    assert!(
        config.limits.identity.is_none() && config.access_log.is_none() && config.admin.is_none()
    );
}

#[test]
fn the_example_means_what_it_says() {
    let config = good(example());
    let listener = &config.listeners[0];
    let zones: Vec<&str> = config.zones.iter().map(|zone| zone.name.as_str()).collect();
    assert_eq!(zones, ["bureau", "internet"]);
    let internet = listener.zone.expect("the listener has a zone");
    assert_eq!(
        config.zone(internet).map(|zone| zone.name.as_str()),
        Some("internet")
    );

    let records = &config.applications[0];
    assert_eq!(records.balance, Balance::LeastConnections);
    assert_eq!(records.headers[0].name, "x-client-identity");
    let [residents, root] = &records.routes[..] else {
        panic!("two routes")
    };
    assert_eq!(
        residents.prefix.as_str(),
        "/residents",
        "the longest prefix comes first"
    );
    assert_eq!(
        residents.methods.iter().collect::<Vec<_>>(),
        [Method::Get, Method::Post]
    );
    assert_eq!(
        root.label, records.label,
        "the application's label stands in"
    );
    let names = |route: &super::super::Route| {
        config
            .label(route.label)
            .map(|label| label.as_str().to_owned())
    };
    assert_eq!(
        (names(residents), names(root)),
        (Some("sensitive".into()), Some("internal".into()))
    );
    assert!(residents.label > root.label, "labels are ordered");

    assert!(!config.matrix.allows(internet, residents.label));
    assert!(!config.matrix.allows(internet, root.label));
    assert!(config.matrix.allows(internet, config.applications[1].label));
    let bureau = config
        .zones
        .iter()
        .position(|zone| zone.name.as_str() == "bureau");
    assert_eq!(bureau, Some(0));

    let tls = records.upstream_tls.as_ref().expect("upstreams speak TLS");
    assert_eq!(tls.server_name.as_str(), "app.internal");
    assert!(tls.client.is_some());
    let limit = config.limits.source.expect("sources are limited");
    let Rate {
        requests,
        per,
        burst,
    } = limit.rate;
    assert_eq!(limit.mode, Mode::Enforced);
    assert_eq!(
        (requests.get(), per, burst.get()),
        (200, Duration::from_secs(1), 400)
    );
    assert_eq!(config.access_log, Some(AccessLog::Stdout));
}

#[test]
fn one_text_names_the_server_of_shared_limits() {
    const RATE: &str = "[[limits.rates]]\nname = \"a\"\nby = [\"identity\"]\nrequests = 1\nper = \"1s\"\nburst = 1\nshared = true\n";
    let shared = |written: &str| good(&format!("{LEAST}\n{written}\n{RATE}")).limits.shared;
    let short = shared("[limits]\nshared = \"redis://127.0.0.1:6379\"").expect("it is shared");
    assert_eq!(short.urls, ["redis://127.0.0.1:6379"]);
    assert_eq!(short.deadline, Duration::from_millis(5));
    let long = shared("[limits.shared]\nurls = [\"redis://127.0.0.1:6379\"]");
    assert_eq!(Some(short), long);
}

#[test]
fn a_wildcard_certificate_covers_exactly_one_more_label() {
    let covers = |pattern: &str, host: &str| {
        let host = Host::parse(host).unwrap();
        HostPattern::parse(pattern).unwrap().covers(&host)
    };
    for (pattern, host, expected) in [
        ("a.example", "a.example", true),
        ("a.example", "b.a.example", false),
        ("*.civil.example", "records.civil.example", true),
        ("*.civil.example", "civil.example", false),
        ("*.civil.example", "a.records.civil.example", false),
        ("*.civil.example", "records.evil-civil.example", false),
    ] {
        assert_eq!(covers(pattern, host), expected, "{pattern} {host}");
        let host = Host::parse(host).unwrap();
        let pattern = HostPattern::parse(pattern).unwrap();
        assert_eq!(
            HostPattern::all_covering(&host).any(|any| any == pattern),
            expected
        );
    }
}

#[test]
fn names_that_no_client_sends_as_sni_are_no_hosts() {
    for (text, why) in [
        ("10.0.0.1", "an address"),
        ("[::1]", "an address"),
        ("1.2.3", "an address in short"),
        ("records.example:443", "a port"),
        ("Records.example", "upper case"),
        ("资料.example", "not ASCII"),
        ("records.example.", "a dot at the end"),
        ("-a.example", "a hyphen in front"),
        ("a-.example", "a hyphen behind"),
        ("a..example", "an empty label"),
        ("a_b.example", "an underscore"),
        ("", "nothing"),
        ("*.example.org", "a wildcard"),
    ] {
        assert!(Host::parse(text).is_err(), "{why}: {text}");
    }
    assert!(Host::parse(&format!("{}.example", "a".repeat(64))).is_err());
    assert!(Host::parse(&"a.".repeat(130)).is_err());
    for text in [
        "localhost",
        "records.civil.example",
        "xn--czrw28b.example",
        "1a.example",
    ] {
        assert!(Host::parse(text).is_ok(), "{text}");
    }
    for text in [
        "*",
        "*.example",
        "a.*.example",
        "*a.example.org",
        "*.*.example.org",
    ] {
        assert!(HostPattern::parse(text).is_err(), "{text}");
    }
}

#[test]
fn prefixes_are_strict_and_tell_the_canonical_form() {
    for (text, fix) in [
        (
            "10.0.0.1",
            "write the length too: `10.0.0.1/32` for one address",
        ),
        ("::1", "write the length too: `::1/128` for one address"),
        ("10.0.0.1/8", "write `10.0.0.0/8`"),
        ("2001:db8::1/32", "write `2001:db8::/32`"),
        ("10.0.0.0/33", "write a length from 0 to 32"),
        ("10.0.0.0/08", "write a length from 0 to 32"),
        ("10.0.0.0/+8", "write a length from 0 to 32"),
        ("10.0.0.0/", "write a length from 0 to 32"),
        ("::/129", "write a length from 0 to 128"),
        (
            "::ffff:10.0.0.0/104",
            "write `10.0.0.0/8`: the addresses of clients are compared in that form",
        ),
    ] {
        assert_eq!(IpPrefix::parse(text).unwrap_err().fix, fix, "{text}");
    }
    for (prefix, address, expected) in [
        ("10.1.0.0/16", "10.1.255.255", true),
        ("10.1.0.0/16", "10.2.0.0", false),
        ("0.0.0.0/0", "255.1.2.3", true),
        ("0.0.0.0/0", "::1", false),
        ("::/0", "::1", true),
        ("::/0", "10.0.0.1", false),
        ("127.0.0.1/32", "127.0.0.1", true),
        ("2001:db8::/33", "2001:db8:8000::", false),
    ] {
        let parsed = IpPrefix::parse(prefix).unwrap();
        assert_eq!(
            parsed.contains(address.parse::<IpAddr>().unwrap()),
            expected,
            "{prefix} {address}"
        );
        assert_eq!(parsed.to_string(), prefix);
    }
}

#[test]
fn a_route_prefix_matches_whole_segments() {
    for (prefix, path, expected) in [
        ("/", "/", true),
        ("/", "/a", true),
        ("/residents", "/residents", true),
        ("/residents", "/residents/", true),
        ("/residents", "/residents/7", true),
        ("/residents", "/residentsx", false),
        ("/residents", "/resident", false),
        ("/residents", "/Residents", false),
        ("/%E5%86%85", "/%E5%86%85/a", true),
        ("/内", "/%E5%86%85/a", true),
        ("/a b", "/a%20b", true),
        ("/a/:id", "/a/7", true),
        ("/a/:id", "/a/7/b", true),
        ("/a/:id", "/a/%E5%86%85", true),
        ("/a/:id", "/a/", false),
        ("/a/:id", "/a", false),
        ("/a/:id/b", "/a/7/bc", false),
        ("/:a/:b", "/x/y", true),
        ("/内/:a", "/%E5%86%85/y", true),
        ("/a:b", "/a:b", true),
        ("/a:b", "/axb", false),
    ] {
        assert_eq!(
            RoutePrefix::parse(prefix).unwrap().covers(path),
            expected,
            "{prefix} {path}"
        );
    }
    for text in [
        "", "a", "//", "/a/", "/a//b", "/.", "/a/..", "/a.", "/a%20", "/a?", "/a#b", "/a;b",
        "/a\\b", "/%", "/%e5", "/%41", "/%2B", "/%2F", "/%5C", "/%00", "/%25", "/%4", "/%E5",
        "/\u{7}", "/:", "/a/:7", "/:a-b", "/:内", "/:a/:a",
    ] {
        assert!(RoutePrefix::parse(text).is_err(), "{text}");
    }
}

#[test]
fn routes_of_one_prefix_stand_together_behind_longer_ones() {
    let routes = r#"[[applications.routes]]
prefix = "/bb"
methods = ["GET"]
[[applications.routes]]
prefix = "/aa"
[[applications.routes]]
prefix = "/bb"
methods = ["PUT"]
[[applications.routes]]
prefix = "/aa/c"
[[applications.routes]]
prefix = "/""#;
    let config = good(&LEAST.replace("[[applications.routes]]\nprefix = \"/\"", routes));
    let prefixes: Vec<&str> = config.applications[0]
        .routes
        .iter()
        .map(|route| route.prefix.as_str())
        .collect();
    assert_eq!(prefixes, ["/aa/c", "/aa", "/bb", "/bb", "/"]);
}

#[test]
fn routes_stand_in_the_order_in_which_they_are_asked() {
    let written = [
        "/:x/long-segment",
        "/",
        "/a/:x",
        "/:x/:y/c",
        "/a/b",
        "/a/:x/c",
        "/a/b/:x",
        "/:x",
        "/much-longer-than-others",
    ];
    let routes = written.map(|prefix| format!("[[applications.routes]]\nprefix = \"{prefix}\""));
    let least = LEAST.replace(
        "[[applications.routes]]\nprefix = \"/\"",
        &routes.join("\n"),
    );
    let config = good(&least);
    let routes = &config.applications[0].routes;
    let found: Vec<&str> = routes.iter().map(|route| route.prefix.as_str()).collect();
    let expected = [
        "/a/b/:x",
        "/a/:x/c",
        "/:x/:y/c",
        "/a/b",
        "/a/:x",
        "/:x/long-segment",
        "/much-longer-than-others",
        "/:x",
        "/",
    ];
    assert_eq!(found, expected);
    for (index, route) in routes.iter().enumerate() {
        for later in routes.iter().skip(index + 1) {
            assert!(!later.prefix.goes_before(&route.prefix), "{later:?}");
        }
    }
}

#[test]
fn a_route_parameter_has_a_bound() {
    let many = |count: usize| (0..count).map(|n| format!("/:p{n}")).collect::<String>();
    assert_eq!(
        RoutePrefix::parse(&many(16)).unwrap().parameters().len(),
        16
    );
    assert!(RoutePrefix::parse(&many(17)).is_err());
    assert!(RoutePrefix::parse(&format!("/:{}", "a".repeat(64))).is_ok());
    assert!(RoutePrefix::parse(&format!("/:{}", "a".repeat(65))).is_err());
}

#[test]
fn quantities_are_written_as_they_are_read() {
    for (text, ms) in [
        ("0ms", 0),
        ("250ms", 250),
        ("10s", 10_000),
        ("5m", 300_000),
        ("1h", 3_600_000),
    ] {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)));
        assert_eq!(Written(Duration::from_millis(ms)).to_string(), text);
    }
    for (text, bytes) in [
        ("0B", 0),
        ("1B", 1),
        ("64KiB", 65_536),
        ("1MiB", 1 << 20),
        ("3GiB", 3 << 30),
    ] {
        assert_eq!(ByteSize::parse(text), Ok(ByteSize::of(bytes)));
        assert_eq!(ByteSize::of(bytes).to_string(), text);
    }
    for text in [
        "",
        "s",
        "1",
        "1 s",
        " 1s",
        "1S",
        "-1s",
        "+1s",
        "1.5s",
        "1d",
        "99999999999999999999s",
        "18446744073709551615h",
    ] {
        assert!(parse_duration(text).is_err(), "{text}");
    }
    for text in [
        "",
        "KiB",
        "1",
        "1KB",
        "1kib",
        "1 KiB",
        "-1B",
        "17179869184GiB",
    ] {
        assert!(ByteSize::parse(text).is_err(), "{text}");
    }
}

#[test]
fn methods_that_are_never_let_through_have_no_name() {
    for name in ["TRACE", "CONNECT", "get", "PROPFIND", ""] {
        assert_eq!(Method::from_wire(name), None, "{name}");
    }
    assert_eq!(MethodSet::ALL.iter().count(), Method::ALL.len());
    for method in Method::ALL {
        assert_eq!(Method::from_wire(method.as_str()), Some(method));
    }
}
