//! Who is calling, over real sockets: what certificate and directory say reaches policy, application and log.

use hangu_certs::{ClientRequest, SpiffeId, Validity};
use hangu_tests::{Answer, RunningGateway, TestGateway, TestUpstream, now};

use super::assert_ended;
use crate::support::{assert_allowed, assert_refused, field, gateway};

/// The shipped model, with one more condition.
fn model_with(condition: &str) -> String {
    hangu_policy::RBAC_WITH_DOMAINS.trim_end().to_owned() + " && " + condition + "\n"
}

/// A gateway with this `[identity]` and this directory, made by `change`.
fn start(
    identity: &str,
    directory: &str,
    change: impl FnOnce(TestGateway) -> TestGateway,
) -> (RunningGateway, TestUpstream) {
    let upstream = TestUpstream::answering(|_| Answer::ok("the records"));
    let folder = change(gateway().records(upstream.address()).table(identity)).prepare();
    folder.write("people.csv", directory);
    (folder.start(), upstream)
}

fn rfc3339(seconds: i64) -> String {
    let moment = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap();
    moment
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap()
}

const WITH_DIRECTORY: &str = "[identity]\ndirectory = \"people.csv\"";

#[test]
fn the_policy_reads_what_certificate_and_directory_say_of_a_caller() {
    let (gateway, upstream) = start(
        "[identity]\ndirectory = \"people.csv\"\norganisation = \"{subject.o}\"\n\
         [identity.attributes]\ngrade = \"{subject.title}\"\nwhole = \"{subject.cn}\"",
        "match,device_class\nspiffe://gov.test/clerk,laptop\n",
        |gateway| {
            gateway.model(&model_with(
                "(r.obj != \"/by-organisation\" || r.sub.organisation == \"Tax\") \
                 && (r.obj != \"/by-device\" || r.sub.device_class == \"laptop\") \
                 && (r.obj != \"/by-grade\" || r.sub.grade == \"high\")",
            ))
        },
    );
    let of = |organisation: &str| {
        let mut request = ClientRequest::spiffe(
            &SpiffeId::parse("spiffe://gov.test/clerk").unwrap(),
            Validity::days(now() - 60, 1),
        );
        request.organisation = Some(organisation.to_owned());
        gateway.client_with(Some(&gateway.pki().client_of(&request)))
    };
    let response = of("Tax").get("/by-organisation").unwrap();
    assert_allowed(&gateway, &response);
    let record = gateway.audit().of_request(&response.request_id());
    assert_eq!(
        (field(&record, "organisation"), field(&record, "device")),
        ("Tax", "laptop")
    );
    assert_eq!(field(&record, "certificate").len(), 64);
    assert_allowed(&gateway, &of("Land").get("/by-device").unwrap());
    let other = of("Land").get("/by-organisation").unwrap();
    assert_refused(&gateway, &other, 403, "application.no_rule");
    let absent = of("Tax").get("/by-grade").unwrap();
    assert_refused(&gateway, &absent, 403, "application.evaluation_error");
    assert_eq!(upstream.count(), 2);
}

#[test]
fn a_posture_that_is_stale_or_missing_is_the_worst() {
    let directory = |posture: &str| {
        format!(
            "match,roles,clearance,posture,posture_at\n\
             spiffe://gov.test/healthy,clerk,internal,{posture}\nspiffe://gov.test/unknown,clerk,internal,,\n"
        )
    };
    let fresh = directory(&format!("80,{}", rfc3339(now() - 60)));
    let (gateway, upstream) = start(WITH_DIRECTORY, &fresh, |gateway| {
        gateway.model(&model_with("r.sub.posture >= 60"))
    });
    let mut healthy = gateway.client("healthy").connect().unwrap();
    assert_allowed(&gateway, &healthy.get("/").unwrap());
    let unknown = gateway.client("unknown").get("/").unwrap();
    assert_refused(&gateway, &unknown, 403, "application.no_rule");
    for posture in [
        format!("80,{}", rfc3339(now() - 7200)),
        format!("80,{}", rfc3339(now() + 7200)),
        format!("59,{}", rfc3339(now() - 60)),
        ",".to_owned(),
    ] {
        gateway.folder().write("people.csv", &directory(&posture));
        gateway.reload();
        let response = healthy.get("/").unwrap();
        assert_refused(&gateway, &response, 403, "application.no_rule");
    }
    assert_eq!(upstream.count(), 1);
}

#[test]
fn roles_and_clearance_of_the_directory_count_from_the_next_request() {
    let (gateway, upstream) = start(WITH_DIRECTORY, "match,roles,clearance\n", |gateway| gateway);
    let mut connection = gateway.client("newcomer").connect().unwrap();
    let rows = |row: &str| {
        gateway.folder().write(
            "people.csv",
            &format!("match,roles,clearance\nspiffe://gov.test/newcomer,{row}\n"),
        );
        gateway.reload();
    };
    let response = connection.get("/residents/7").unwrap();
    assert_refused(&gateway, &response, 403, "data.label");
    rows(",internal");
    let response = connection.get("/residents/7").unwrap();
    assert_refused(&gateway, &response, 403, "application.no_rule");
    rows("reader@civil,");
    assert_allowed(&gateway, &connection.get("/residents/7").unwrap());
    let response = connection.get("/secret/1").unwrap();
    assert_refused(&gateway, &response, 403, "data.label");
    rows("clerk,");
    assert_allowed(&gateway, &connection.get("/secret/1").unwrap());
    rows(",");
    let response = connection.get("/residents/7").unwrap();
    assert_refused(&gateway, &response, 403, "data.label");
    assert_eq!(upstream.count(), 2);
}

#[test]
fn a_row_by_certificate_gives_another_subject_and_organisation() {
    let upstream = TestUpstream::answering(|_| Answer::ok("the records"));
    let folder = gateway()
        .records(upstream.address())
        .table(WITH_DIRECTORY)
        .prepare();
    let credentials = folder.pki().client("nobody-knows");
    let (chain, _) = credentials.parse();
    let identity = hangu_certs::Identity::from_chain(&chain).unwrap();
    let fingerprint = identity.field("fingerprint").unwrap();
    folder.write(
        "people.csv",
        &format!(
            "certificate,subject,organisation\n{fingerprint},spiffe://gov.test/clerk,\"Tax, Land\"\n"
        ),
    );
    let gateway = folder.start();
    let response = gateway.client_with(Some(&credentials)).get("/secret/1");
    let response = response.unwrap();
    assert_allowed(&gateway, &response);
    let record = gateway.audit().of_request(&response.request_id());
    assert_eq!(
        (field(&record, "subject"), field(&record, "organisation")),
        ("spiffe://gov.test/clerk", "Tax, Land")
    );
}

#[test]
fn a_directory_with_a_mistake_changes_nothing_and_says_where() {
    let good = "match,roles\nspiffe://gov.test/newcomer,clerk\n";
    let (gateway, _upstream) = start(WITH_DIRECTORY, good, |gateway| gateway);
    let mut connection = gateway.client("newcomer").connect().unwrap();
    for (file, why) in [
        (
            "match,roles\nspiffe://gov.test/newcomer,clerk;clerk\n",
            "line 2: roles are",
        ),
        (
            "match,roles\na,clerk@nowhere\n",
            "`clerk@nowhere` of `a` is not a role",
        ),
        (
            "match,clearance\na,secret\n",
            "there is no label `secret`, for which `a` is to be cleared",
        ),
        (
            "match,roles\nanonymous,clerk\n",
            "kept for clients without a certificate",
        ),
    ] {
        gateway.folder().write("people.csv", file);
        gateway.reload_refused();
        assert_allowed(&gateway, &connection.get("/secret/1").unwrap());
        let said = gateway.stderr();
        assert!(said.contains(why), "{why}: {said}");
        assert!(said.contains("people.csv"), "{said}");
    }
}

#[test]
fn a_spiffe_id_of_another_trust_domain_is_refused() {
    let (gateway, upstream) = start(
        "[identity]\nspiffe_trust_domains = [\"gov.test\", \"other.test\"]",
        "",
        |gateway| gateway,
    );
    let mut connection = gateway.client("clerk").connect().unwrap();
    assert_allowed(&gateway, &connection.get("/").unwrap());
    let configuration = gateway.folder().read("hangu.toml");
    let without = configuration.replace("\"gov.test\", ", "");
    gateway.folder().write("hangu.toml", &without);
    gateway.reload();
    assert_ended(&gateway, &mut connection, "endpoint.trust_domain");
    let response = gateway.client("clerk").get("/").unwrap();
    assert_refused(&gateway, &response, 403, "endpoint.trust_domain");
    assert_eq!(upstream.count(), 1);
}

#[test]
fn an_organisation_is_its_credit_code_only_when_the_check_characters_fit() {
    let (gateway, _upstream) = start(
        "[identity]\norganisation = \"{credit_code}\"",
        "",
        |gateway| gateway,
    );
    for (unit, organisation) in [
        ("91350100M000100Y43", "91350100M000100Y43"),
        ("91350100M000100Y44", ""),
    ] {
        let request = ClientRequest {
            organisational_unit: Some(unit.to_owned()),
            ..ClientRequest::spiffe(
                &SpiffeId::parse("spiffe://gov.test/clerk").unwrap(),
                Validity::days(now() - 60, 1),
            )
        };
        let client = gateway.client_with(Some(&gateway.pki().client_of(&request)));
        let response = client.get("/").unwrap();
        assert_allowed(&gateway, &response);
        let record = gateway.audit().of_request(&response.request_id());
        assert_eq!(field(&record, "organisation"), organisation, "{unit}");
    }
}
