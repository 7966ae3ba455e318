//! The requests of the demonstration: printed as curl commands for the newcomer, sent by the self-test.

use super::client::HOST;
use super::people::Person;
use super::ports::Addresses;
use crate::denial::Denial;
use crate::layers::Layer;

/// One request, or one series of them, and what must come of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    /// The layer that it shows at work.
    pub(super) layer: Layer,
    /// What happens, as a sentence without its full stop.
    pub(super) story: &'static str,
    /// Who asks; nobody: without a certificate.
    pub(super) who: Option<Person>,
    pub(super) door: Door,
    pub(super) method: &'static str,
    pub(super) target: &'static str,
    /// Sent beside Host, or in its place.
    pub(super) headers: &'static [(&'static str, &'static str)],
    pub(super) body: &'static str,
    pub(super) course: Course,
    pub(super) expect: Expect,
    pub(super) shown: Shown,
}

/// Which listener is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    Office,
    Internet,
}

/// How the request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    Once,
    /// Again and again, until it is refused.
    Burst,
    /// Once; then the certificate is revoked, and the same connection asks again until it is ended.
    RevokedMeanwhile,
}

/// What must come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// The application answers with this status.
    Allowed(u16),
    /// The gateway answers with the denial's status.
    Denied(Denial),
    /// There is no connection; the TLS alert, which is all that the client is told.
    NoConnection(Denial, &'static str),
    /// The connection is ended while it is open.
    Ended(Denial),
}

/// Where the case appears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Among the commands for the newcomer, and in the self-test.
    Guide,
    /// In the self-test only: more of the same kind, or nothing that curl could send.
    SelfTest,
}

impl Case {
    /// The request's bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.has_header("host") {
            text.push_str(&format!("Host: {HOST}\r\n"));
        }
        for (name, value) in self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() && !self.has_header("content-length") {
            text.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        text.push_str("\r\n");
        text.push_str(self.body);
        text.into_bytes()
    }

    /// The same as a command, to be given in the quickstart's folder.
    pub(super) fn curl(&self, addresses: &Addresses) -> String {
        let port = match self.door {
            Door::Office => addresses.office.port(),
            Door::Internet => addresses.internet.port(),
        };
        let mut options = String::from("--cacert certs/ca.pem");
        if let Some(person) = self.who {
            options.push_str(&format!(" --cert certs/{}", person.file()));
        }
        if self.target.contains("/..") {
            options.push_str(" --path-as-is");
        }
        if self.method != "GET" && self.body.is_empty() {
            options.push_str(&format!(" --request {}", self.method));
        }
        for (name, value) in self.headers {
            options.push_str(&format!(" --header '{name}: {value}'"));
        }
        if !self.body.is_empty() {
            options.push_str(&format!(" --data '{}'", self.body));
        }
        let url = format!("https://{HOST}:{port}{}", self.target);
        match self.course {
            Course::Once | Course::RevokedMeanwhile => format!("curl {options} '{url}'"),
            Course::Burst => format!(
                "for i in $(seq 60); do curl --silent --output /dev/null --write-out '%{{http_code}}\\n' {options} '{url}'; done | sort | uniq -c"
            ),
        }
    }

    fn has_header(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|(own, _)| own.eq_ignore_ascii_case(name))
    }
}

const fn case(layer: Layer, story: &'static str, target: &'static str, expect: Expect) -> Case {
    Case {
        layer,
        story,
        who: Some(Person::Li),
        door: Door::Office,
        method: "GET",
        target,
        headers: &[],
        body: "",
        course: Course::Once,
        expect,
        shown: Shown::SelfTest,
    }
}

impl Case {
    const fn by(self, who: Option<Person>) -> Self {
        Self { who, ..self }
    }

    const fn at(self, door: Door) -> Self {
        Self { door, ..self }
    }

    const fn with_method(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    const fn with_headers(self, headers: &'static [(&'static str, &'static str)]) -> Self {
        Self { headers, ..self }
    }

    const fn with_body(self, body: &'static str) -> Self {
        Self { body, ..self }
    }

    const fn in_course(self, course: Course) -> Self {
        Self { course, ..self }
    }

    const fn guide(self) -> Self {
        Self {
            shown: Shown::Guide,
            ..self
        }
    }
}

/// In the order in which they are told and sent. The burst is last: after it, its sender has to wait.
#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    case(Layer::Application, "Li, a clerk of civil affairs, reads a resident's record", "/residents/1024", Expect::Allowed(200)).guide(),
    case(Layer::Application, "Li adds a note to it", "/residents/1024/notes", Expect::Allowed(201))
        .with_method("POST").with_body("moved to East Gate Street").guide(),
    case(Layer::Application, "Wang of the tax bureau checks a residence certificate", "/certificates/1024", Expect::Allowed(200))
        .by(Some(Person::Wang)).guide(),
    case(Layer::Application, "Li deletes a record: no rule allows it", "/residents/1024", Expect::Denied(Denial::NoRule))
        .with_method("DELETE").guide(),
    case(Layer::Application, "Li reads the sealed record: a deny rule is stronger", "/residents/9001", Expect::Denied(Denial::ExplicitDeny)).guide(),

    case(Layer::Data, "Wang reads another department's record: not cleared", "/residents/1024", Expect::Denied(Denial::Label))
        .by(Some(Person::Wang)).guide(),

    case(Layer::Endpoint, "Somebody without a certificate", "/statistics", Expect::NoConnection(Denial::CertificateRequired, "certificate required"))
        .by(None).guide(),
    case(Layer::Endpoint, "Zhou, whose certificate is revoked", "/statistics", Expect::NoConnection(Denial::Revoked, "certificate unknown"))
        .by(Some(Person::Zhou)).guide(),
    case(Layer::Endpoint, "Sun, whose certificate has expired", "/statistics", Expect::NoConnection(Denial::CertificateExpired, "certificate unknown"))
        .by(Some(Person::Sun)).guide(),
    case(Layer::Endpoint, "Somebody whom a foreign CA calls Li", "/statistics", Expect::NoConnection(Denial::CertificateUntrusted, "certificate unknown"))
        .by(Some(Person::FalseLi)).guide(),

    case(Layer::Edge, "A path with two readings: dot segments", "/statistics/../residents/1024", Expect::Denied(Denial::PathAmbiguous)).guide(),
    case(Layer::Edge, "A path with two readings: encoded slash", "/residents%2f9001", Expect::Denied(Denial::PathAmbiguous)).guide(),
    case(Layer::Edge, "A path with two readings: doubly encoded", "/residents/%2539001", Expect::Denied(Denial::PathAmbiguous)),
    case(Layer::Edge, "A path with two readings: parameters", "/residents/9001;v=1", Expect::Denied(Denial::PathAmbiguous)),
    case(Layer::Edge, "A path with two readings: empty segment", "//residents/9001", Expect::Denied(Denial::PathAmbiguous)),
    case(Layer::Edge, "A Host that is not the name TLS was opened for", "/statistics", Expect::Denied(Denial::HostMismatch))
        .with_headers(&[("Host", "payroll.civil.hangu.test")]),
    case(Layer::Edge, "A request smuggled behind two lengths", "/statistics", Expect::Denied(Denial::FramingAmbiguous))
        .with_method("POST").with_headers(&[("Content-Length", "5"), ("Transfer-Encoding", "chunked")]).with_body("0\r\n\r\n"),
    case(Layer::Edge, "Li claims to be the mayor: the claim is removed", "/statistics", Expect::Allowed(200))
        .with_headers(&[("X-Hangu-Subject", "mayor"), ("X_Hangu_Subject", "mayor"), ("X-Forwarded-For", "10.9.9.9")]).guide(),

    case(Layer::Network, "Li at the internet door: public data", "/statistics", Expect::Allowed(200)).at(Door::Internet),
    case(Layer::Network, "Li at the internet door: sensitive data", "/residents/1024", Expect::Denied(Denial::ZoneLabel))
        .at(Door::Internet).guide(),

    case(Layer::Cloud, "A path that no application has", "/payroll", Expect::Denied(Denial::NoRoute)).guide(),
    case(Layer::Cloud, "A method that the route does not take", "/statistics", Expect::Denied(Denial::MethodNotAllowed))
        .with_method("DELETE"),

    case(Layer::Endpoint, "Chen is revoked while she is connected", "/residents/1025", Expect::Ended(Denial::Revoked))
        .by(Some(Person::Chen)).in_course(Course::RevokedMeanwhile),
    case(Layer::Network, "Wang asks faster than he may", "/statistics", Expect::Denied(Denial::RateIdentity))
        .by(Some(Person::Wang)).in_course(Course::Burst).guide(),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_is_shown_and_every_story_is_its_own() {
        for layer in Layer::ALL {
            assert!(CASES.iter().any(|case| case.layer == layer), "{layer:?}");
        }
        let mut stories: Vec<_> = CASES.iter().map(|case| case.story).collect();
        stories.sort_unstable();
        stories.dedup();
        assert_eq!(stories.len(), CASES.len());
    }

    #[test]
    fn a_denied_case_shows_the_layer_that_denies() {
        for case in CASES {
            if let Expect::Denied(denial) | Expect::NoConnection(denial, _) = case.expect {
                assert_eq!(denial.layer(), Some(case.layer), "{}", case.story);
            }
        }
    }

    #[test]
    fn commands_can_be_pasted() {
        let addresses = Addresses::from(8443);
        let curl = |story: &str| {
            let found = CASES.iter().find(|case| case.story.starts_with(story));
            found.unwrap().curl(&addresses)
        };
        for (story, command) in [
            (
                "Li, a clerk",
                "curl --cacert certs/ca.pem --cert certs/li.pem 'https://localhost:8443/residents/1024'",
            ),
            (
                "Li adds",
                "curl --cacert certs/ca.pem --cert certs/li.pem --data 'moved to East Gate Street' \
                 'https://localhost:8443/residents/1024/notes'",
            ),
            (
                "Somebody without",
                "curl --cacert certs/ca.pem 'https://localhost:8443/statistics'",
            ),
            (
                "Li deletes",
                "curl --cacert certs/ca.pem --cert certs/li.pem --request DELETE 'https://localhost:8443/residents/1024'",
            ),
        ] {
            assert_eq!(curl(story), command);
        }
        assert!(curl("A path with two readings: dot").contains(" --path-as-is "));
        assert!(curl("Li at the internet door: sens").contains(":8444/"));
    }

    #[test]
    fn requests_have_one_host_and_one_length_unless_the_case_is_about_them() {
        for case in CASES {
            let text = String::from_utf8(case.bytes()).unwrap();
            assert_eq!(text.matches("Host: ").count(), 1, "{}", case.story);
            assert!(
                text.matches("Content-Length: ").count() <= 1,
                "{}",
                case.story
            );
        }
    }
}
