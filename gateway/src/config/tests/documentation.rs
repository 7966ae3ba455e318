//! `docs/configuration.md` says what the program does.

use super::super::keys::{KEYS, header};
use super::{DOCUMENTATION, LEAST, example, good, reference};

#[test]
fn every_key_is_documented_with_its_default() {
    let expected = reference();
    let written = DOCUMENTATION
        .split_once("## Keys\n\n")
        .and_then(|(_, keys)| keys.split_once("\n## "));
    let written = written.map_or("", |(keys, _)| keys);
    assert_eq!(
        written.trim_end(),
        expected.trim_end(),
        "put the right-hand side under `## Keys`"
    );
}

#[test]
fn the_example_is_accepted_and_shows_every_key() {
    good(example());
    for key in KEYS.iter().filter(|key| key.name() != "*") {
        let line = format!("{} = ", key.name());
        let shown = example().contains(&line) || example().contains(&header(key.path));
        assert!(shown, "the example does not show `{}`", key.path);
    }
}

#[test]
fn every_field_of_a_template_is_documented() {
    for field in hangu_certs::Identity::FIELDS {
        assert!(
            DOCUMENTATION.contains(&format!("`{field}`")),
            "`{field}` is not documented"
        );
    }
}

/// The tables behind the applications, with every default written out.
const REST: &str = r#"
queue = 65536
segment = "64MiB"
flush = "10ms"
[server]
run_dir = "run"
drain = "30s"
[zones]
[matrix]
[identity]
subject = "{san.uri}"
posture_max_age = "1h"
[identity.authorities]
[identity.attributes]
[crl_fetch]
folder = "crl-cache"
every = "10m"
timeout = "30s"
size_max = "64MiB"
[crl_grace]
[limits]
utc_offset = "+00:00"
[control]
uids = []
"#;

/// Every value that the documentation gives as a default, written out.
#[test]
fn writing_a_default_out_changes_nothing() {
    let application = r#"
request_body_max = "16MiB"
acknowledge = "durable"
balance = "round_robin"
connect_timeout = "2s"
read_timeout = "30s"
write_timeout = "30s"
strict_transport_security = "8760h"
health = { failures = 3, retry_after = "5s" }
headers = {}
[[applications.routes]]
methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
label = "public"
path_profile = "strict""#;
    let written = LEAST
        .replace("\n[[listeners.certificates]]", LISTENER)
        .replace("\n[[applications.routes]]", application);
    let written = written.trim_end().to_owned() + REST;
    assert_eq!(
        format!("{:?}", good(&written)),
        format!("{:?}", good(LEAST))
    );
    for line in [LISTENER, application, REST]
        .iter()
        .flat_map(|text| text.lines())
    {
        let Some((key, value)) = line.split_once(" = ") else {
            continue;
        };
        let row = format!("| `{key}` |");
        let documented = DOCUMENTATION
            .lines()
            .any(|line| line.starts_with(&row) && line.contains(&format!("| `{value}` |")));
        let in_words = ["health", "headers", "methods", "label"].contains(&key);
        assert!(
            documented || in_words,
            "`{key}` is not documented with its default `{value}`"
        );
    }
}

/// Each default of `[[listeners]]`.
const LISTENER: &str = r#"
client_authentication = "required"
crls = []
crl_urls = []
crl_grace = "0ms"
tls_min = "1.3"
proxy_protocol = "none"
balancers = []
proxy_timeout = "2s"
handshake_timeout = "5s"
handshakes_max = 256
handshakes_per_source = 128
header_timeout = "10s"
idle_timeout = "1m"
body_rate_min = "64B"
headers_max = 100
header_bytes_max = "32KiB"
[[listeners.certificates]]"#;
