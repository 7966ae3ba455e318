//! What a client can rely on once it has its answer.

use hangu_tests::{Answer, Gate, TestUpstream, wait_until};

use crate::support::{field, gateway, head, records, records_with};

#[test]
fn whoever_has_an_answer_has_its_record_in_the_log() {
    for acknowledge in ["durable", "written"] {
        let upstream = TestUpstream::answering(|_| Answer::ok("the records"));
        let application = hangu_tests::Application::new("records")
            .key(&format!("acknowledge = \"{acknowledge}\""))
            .route("prefix = \"/\"")
            .upstream(upstream.address());
        let gateway = gateway().application(application).start();
        let mut connection = gateway.client("clerk").connect().unwrap();
        for (path, status) in [
            ("/residents/7", 200),
            ("/sealed/1", 403),
            ("/a//b", 400),
            ("/residents/8", 200),
        ] {
            let response = connection.get(path).unwrap();
            assert_eq!(response.status, status);
            // Not waited for: it is there.
            let id = response.request_id();
            let records = gateway.audit().records();
            let found = records
                .iter()
                .find(|record| field(record, "request_id") == id);
            let found = found.unwrap_or_else(|| panic!("{acknowledge}: {path}: no record"));
            assert_eq!(found["status"], status);
            assert_eq!(found["bytes_out"], response.body.len(), "{found:#}");
        }
    }
}

#[test]
fn what_comes_after_the_beginning_of_an_answer_is_told_in_a_second_record() {
    let upstream = TestUpstream::answering(|_| {
        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        Answer::Raw(chunked.into())
    });
    let gateway = gateway().records(upstream.address()).start();
    let response = gateway.client("clerk").get("/residents/7").unwrap();
    assert_eq!(response.text(), "hello");
    let begun = gateway.audit().of_request(&response.request_id());
    assert_eq!(
        (field(&begun, "kind"), &begun["bytes_out"]),
        ("request", &0.into())
    );
    let end = gateway.audit().end_of_request(&response.request_id());
    assert_eq!(field(&end, "decision"), "allowed");
    assert_eq!(field(&end, "subject"), "spiffe://gov.test/clerk");
    assert!(end["bytes_out"].as_u64() >= Some(5), "{end:#}");
    assert!(end["duration_us"].as_u64() >= begun["duration_us"].as_u64());
    wait_until("every place to be free again", || {
        gateway.metrics().sum("hangu_audit_queue_records", &[]) == 0.0
    });
}

#[test]
fn an_answer_whose_length_was_announced_has_one_record_and_gives_its_place_back() {
    let (gateway, _upstream) = records();
    let mut connection = gateway.client("clerk").connect().unwrap();
    for _ in 0..20 {
        assert_eq!(connection.get("/residents/7").unwrap().status, 200);
        assert_eq!(connection.get("/sealed/1").unwrap().status, 403);
    }
    let post = format!(
        "{}Content-Length: 2\r\n\r\n{{}}",
        head("POST", "/residents")
    );
    assert_eq!(connection.exchange(post.as_bytes()).unwrap().status, 200);
    wait_until("every place to be free again", || {
        gateway.metrics().sum("hangu_audit_queue_records", &[]) == 0.0
    });
    assert_eq!(gateway.audit().of_kind("request").len(), 41);
    assert_eq!(gateway.audit().of_kind("end").len(), 0);
}

#[test]
fn an_application_that_counts_its_records_is_served_when_there_is_no_place_and_the_log_says_how_many_are_missing()
 {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = TestUpstream::answering(move |request| match request.target.as_str() {
        "/slow" => Answer::ok("slow").held_by(&held),
        _ => Answer::ok("quick"),
    });
    let application = hangu_tests::Application::new("records")
        .key("acknowledge = \"counted\"")
        .route("prefix = \"/\"")
        .upstream(upstream.address());
    let gateway = gateway()
        .audit("queue = 1")
        .application(application)
        .start();
    wait_until("the record of the start to be written", || {
        !gateway.audit().of_kind("start").is_empty()
    });
    let mut holding = gateway.client("clerk").connect().unwrap();
    holding
        .send(format!("{}\r\n", head("GET", "/slow")).as_bytes())
        .unwrap();
    wait_until("the only place to be taken", || gate.held() == 1);
    let mut second = gateway.client("clerk").connect().unwrap();
    for _ in 0..3 {
        assert_eq!(second.get("/").unwrap().status, 200);
    }
    assert_eq!(
        second.get("/sealed/1").unwrap().status,
        403,
        "judged all the same"
    );
    assert_eq!(gateway.metrics().sum("hangu_audit_dropped_total", &[]), 4.0);
    gate.open();
    assert_eq!(holding.read_response(true).unwrap().text(), "slow");
    let missing = || {
        let dropped = gateway.audit().of_kind("dropped");
        let number = |record| {
            field(record, "detail")
                .split(' ')
                .next()?
                .parse::<u64>()
                .ok()
        };
        dropped.iter().filter_map(number).sum::<u64>()
    };
    wait_until("the log to say what is missing", || missing() == 4);
}

#[test]
fn a_disk_that_refuses_holds_the_answer_back() {
    let (gateway, upstream) = records_with(|world| world.shell("trap '' XFSZ; ulimit -S -f 64"));
    let client = gateway.client("clerk");
    let mut answered = 0;
    while client.get("/residents/7").unwrap().status == 200 {
        answered += 1;
        assert!(answered < 500, "the limit is never reached");
    }
    // The log has every one that was answered, and the one that was not is neither lost nor told as served.
    let allowed = |record: &&serde_json::Value| field(record, "decision") == "allowed";
    let written = gateway.audit().records().iter().filter(allowed).count();
    assert_eq!(written, answered);
    assert_eq!(upstream.count(), answered + 1);
}
