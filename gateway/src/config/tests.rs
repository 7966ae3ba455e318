//! What an operator sees of a file that is good, and of files that are not.

use std::path::Path;
use std::time::Duration;

use super::check::Found;
use super::*;

/// The least that a file must hold.
const LEAST: &str = r#"
[[listeners]]
name = "edge"
address = "127.0.0.1:8443"
client_ca = "certs/clients-ca.pem"
[[listeners.certificates]]
hosts = ["records.civil.example"]
chain = "certs/server.pem"
key = "certs/server.key"

[labels]
order = ["public"]

[[applications]]
name = "records"
tenant = "civil-affairs"
hosts = ["records.civil.example"]
label = "public"
[[applications.routes]]
prefix = "/"
[[applications.upstreams]]
address = "127.0.0.1:9001"

[policy]
model = "policy/model.conf"
rules = "policy/policy.csv"

[audit]
folder = "audit"
"#;

/// A disk on which every file is there, but for names that say otherwise.
fn disk(path: &Path) -> Found {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    match path.extension().and_then(|extension| extension.to_str()) {
        _ if name.starts_with("missing") => Found::Nothing,
        _ if name.starts_with("locked") => Found::Unreadable(std::io::ErrorKind::PermissionDenied),
        Some(_) => Found::File,
        None => Found::Folder,
    }
}

fn parsed(text: &str) -> Result<Config, Vec<Problem>> {
    parse_looking(Path::new("hangu.toml"), Path::new("/etc/hangu"), text, disk)
}

fn good(text: &str) -> Config {
    match parsed(text) {
        Ok(config) => config,
        Err(problems) => panic!("{}", ConfigErrors::new(problems)),
    }
}

/// The problems of [`LEAST`] after each `(old, new)` was replaced.
fn problems_with(changes: &[(&str, &str)]) -> String {
    let mut text = LEAST.to_owned();
    for (old, new) in changes {
        assert!(text.contains(old), "the change {old} changes nothing");
        text = text.replace(old, new);
    }
    match parsed(&text) {
        Ok(_) => String::new(),
        Err(problems) => ConfigErrors::new(problems).to_string(),
    }
}

#[test]
fn the_least_file_gets_every_default() {
    let config = good(LEAST);
    let [listener] = &config.listeners[..] else {
        panic!("one listener")
    };
    assert_eq!(
        listener.client_authentication,
        ClientAuthentication::Required
    );
    assert_eq!(listener.idle_timeout, Duration::from_secs(60));
    assert_eq!(config.server.run_dir, Path::new("/etc/hangu/run"));
    assert!(problems_with(&[("8443", "8444")]).is_empty());
}
