//! What a route and an application may say about paths, bodies, answers and pages.

use hangu_tests::{Answer, Application, TestUpstream};

use crate::support::{
    assert_allowed, assert_refused, assert_refused_at, gateway, head, records, records_with,
};

#[test]
fn a_route_that_keeps_encoded_slashes_judges_and_forwards_them_as_they_are() {
    let upstream = TestUpstream::named("records");
    let records = Application::new("records")
        .route("prefix = \"/\"")
        .route("prefix = \"/files\", path_profile = \"keep-encoded-slash\"")
        .upstream(upstream.address());
    let policy = "p, clerk, civil, /files/a%2Fb, *, allow\ng, spiffe://gov.test/clerk, clerk, civil\n\
                  g2, clerk, sensitive\ng2, sensitive, internal\n";
    let gateway = gateway().application(records).policy(policy).start();
    let mut connection = gateway.client("clerk").connect().unwrap();
    for path in ["/files/a%2Fb", "/files/a%2fb"] {
        assert_allowed(&gateway, &connection.get(path).unwrap());
        assert_eq!(upstream.last().target, "/files/a%2Fb");
    }
    // Another name for the same thing it is not.
    let response = connection.get("/files/a/b").unwrap();
    assert_refused(&gateway, &response, 403, "application.no_rule");
    for path in [
        "/a%2Fb",
        "/files%2Fa",
        "/files/..%2Fa",
        "/files/a%2F..%2F..%2Fb",
        "/files/%2F",
        "/files/a%2Fb%2F",
        "/files/a%252Fb",
        "/files/a%5Cb",
    ] {
        let response = connection.get(path).unwrap();
        assert_refused(&gateway, &response, 400, "edge.path_ambiguous");
    }
    assert_eq!(upstream.count(), 2);
}

#[test]
fn a_path_that_misses_its_route_by_case_alone_is_refused() {
    let upstream = TestUpstream::named("records");
    let records = Application::new("records")
        .route("prefix = \"/\"")
        .route("prefix = \"/vault/files\", label = \"sensitive\"")
        .route("prefix = \"/Same\"")
        .route("prefix = \"/same\"")
        .upstream(upstream.address());
    let gateway = gateway().application(records).start();
    let mut h2 = gateway.client("clerk").connect_h2().unwrap();
    for path in [
        "/Vault/files",
        "/vault/FILES/1",
        "/VAULT/FILES/",
        "/%56ault/files",
        "/SAME",
    ] {
        let response = gateway.client("clerk").get(path).unwrap();
        assert_refused(&gateway, &response, 400, "edge.path_ambiguous");
        let request = h2.get(path);
        assert_eq!(h2.send(&request).unwrap().status, 400, "{path}");
    }
    assert_eq!(upstream.count(), 0);
    for path in [
        "/vault/files/1",
        "/Vault",
        "/Vault/filesystem",
        "/same",
        "/Same/x",
        "/Other",
    ] {
        assert_allowed(&gateway, &gateway.client("clerk").get(path).unwrap());
    }
}

#[test]
fn a_route_may_have_a_bound_of_its_own_for_bodies() {
    let upstream = TestUpstream::named("records");
    let records = Application::new("records")
        .key("request_body_max = \"10B\"")
        .route("prefix = \"/\"")
        .route("prefix = \"/upload\", request_body_max = \"1KiB\"")
        .upstream(upstream.address());
    let gateway = gateway().application(records).start();
    let post = |path: &str, bytes: usize| {
        let request = format!(
            "{}Content-Length: {bytes}\r\n\r\n{}",
            head("POST", path),
            "b".repeat(bytes)
        );
        gateway
            .client("clerk")
            .exchange(request.as_bytes())
            .unwrap()
    };
    assert_allowed(&gateway, &post("/upload", 1024));
    assert_allowed(&gateway, &post("/", 10));
    assert_refused(&gateway, &post("/upload", 1025), 413, "edge.body_too_large");
    assert_refused(&gateway, &post("/", 11), 413, "edge.body_too_large");
    let chunked = format!(
        "{}Transfer-Encoding: chunked\r\n\r\nB\r\nhello world\r\n0\r\n\r\n",
        head("POST", "/")
    );
    let response = gateway
        .client("clerk")
        .exchange(chunked.as_bytes())
        .unwrap();
    assert_refused_at(&gateway, &response, 413, "edge.body_too_large", "prpppp");
    assert_eq!(upstream.count(), 2);
}

#[test]
fn an_answer_names_no_software_is_for_tls_only_and_stays_out_of_caches() {
    let upstream = TestUpstream::answering(|_| {
        let fields = [
            ("Server", "Apache/2.4.1 (secret)"),
            ("X-Powered-By", "PHP/5"),
            ("X-AspNet-Version", "4.0"),
            ("Via", "1.1 inner"),
            ("Cache-Control", "public, max-age=600"),
            ("Expires", "Thu, 01 Jan 2099 00:00:00 GMT"),
            ("Strict-Transport-Security", "max-age=1"),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Answer::Reply(200, fields.to_vec(), b"x".to_vec())
    });
    let gateway = gateway().records(upstream.address()).start();
    let mut h2 = gateway.client("clerk").connect_h2().unwrap();
    let over_h2 = h2.get("/secret/1");
    for response in [
        gateway.client("clerk").get("/secret/1").unwrap(),
        h2.send(&over_h2).unwrap(),
    ] {
        for banner in [
            "server",
            "x-powered-by",
            "x-aspnet-version",
            "via",
            "expires",
        ] {
            assert_eq!(response.fields.get(banner), None, "{banner}");
        }
        let field = |name| (response.fields.get(name), response.fields.count(name));
        assert_eq!(field("cache-control"), (Some("no-store"), 1));
        assert_eq!(
            field("strict-transport-security"),
            (Some("max-age=31536000"), 1)
        );
    }
    // What is public may be cached as the application says.
    let response = gateway.client("clerk").get("/open/1").unwrap();
    assert_eq!(
        response.fields.get("cache-control"),
        Some("public, max-age=600")
    );
    assert_eq!(response.fields.get("server"), None);
}

#[test]
fn a_page_of_another_origin_opens_no_websocket() {
    let upgrade = |origin: &str| {
        format!(
            "{}Connection: upgrade\r\nUpgrade: websocket\r\n{origin}\r\n",
            head("GET", "/socket")
        )
    };
    let (plain, upstream) = records();
    let listed = records_with(|world| {
        world.application(
            Application::new("portal")
                .key("websocket_origins = [\"https://desk.test\", \"https://desk.test:8443\"]")
                .upstream(upstream.address()),
        )
    });
    for (gateway, host, origin, is_taken) in [
        (&plain, "records", "", true),
        (&plain, "records", "Origin: https://records.test\r\n", true),
        (
            &plain,
            "records",
            "Origin: https://records.test:8443\r\n",
            true,
        ),
        (&plain, "records", "Origin: https://evil.test\r\n", false),
        (&plain, "records", "Origin: http://records.test\r\n", false),
        (&plain, "records", "Origin: null\r\n", false),
        (
            &plain,
            "records",
            "Origin: https://records.test.evil.test\r\n",
            false,
        ),
        (
            &plain,
            "records",
            "Origin: https://evil@records.test\r\n",
            false,
        ),
        (
            &plain,
            "records",
            "Origin: https://records.test\r\nOrigin: https://records.test\r\n",
            false,
        ),
        (&listed.0, "portal", "Origin: https://desk.test\r\n", true),
        (
            &listed.0,
            "portal",
            "Origin: https://desk.test:8443\r\n",
            true,
        ),
        (
            &listed.0,
            "portal",
            "Origin: https://portal.test\r\n",
            false,
        ),
    ] {
        let client = gateway.client("clerk").named(&format!("{host}.test"));
        let request = upgrade(origin).replace(
            "records.test\r\nConnection",
            &format!("{host}.test\r\nConnection"),
        );
        let response = client.exchange(request.as_bytes()).unwrap();
        if is_taken {
            assert_allowed(gateway, &response);
        } else {
            assert_refused(gateway, &response, 403, "edge.origin_refused");
        }
    }
}

#[test]
fn a_body_that_drips_is_cut_and_one_that_flows_is_not() {
    let upstream = TestUpstream::named("records");
    let gateway = gateway()
        .records(upstream.address())
        .listener("header_timeout = \"200ms\"")
        .listener("body_rate_min = \"1MiB\"")
        .start();
    let mut dripping = gateway.client("clerk").connect().unwrap();
    let begun = format!("{}Content-Length: 100000\r\n\r\n", head("POST", "/drip"));
    dripping.send(begun.as_bytes()).unwrap();
    // Cut at the first byte after its time; until then each is taken.
    hangu_tests::wait_until("the slow body to be cut", || {
        drop(dripping.send(b"x"));
        let records = gateway.audit().of_kind("request");
        records
            .iter()
            .any(|record| record["reason"] == "edge.body_timeout")
    });
    assert_eq!(upstream.count(), 0);
    let flowing = format!("{}Content-Length: 5\r\n\r\nhello", head("POST", "/flow"));
    let response = gateway
        .client("clerk")
        .exchange(flowing.as_bytes())
        .unwrap();
    assert_allowed(&gateway, &response);
}
