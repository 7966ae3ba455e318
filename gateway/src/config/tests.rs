//! What an operator sees of a file that is good, and of files that are not. Here: what these tests share.

mod documentation;
mod hostile;
mod meaning;
mod problems;
mod reading;

use std::path::Path;

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

/// The problems of [`LEAST`] after every `old` became `new`, one a line.
fn problems_with(old: &str, new: &str) -> String {
    assert!(LEAST.contains(old), "`{old}` is not in the least file");
    match parsed(&LEAST.replace(old, new)) {
        Ok(_) => String::new(),
        Err(problems) => ConfigErrors::new(problems).to_string(),
    }
}

/// The complete example of the documentation.
fn example() -> &'static str {
    let fence = |text: &'static str, mark: &str| text.split_once(mark).map(|(_, rest)| rest);
    let behind =
        fence(DOCUMENTATION, "## A complete example").and_then(|text| fence(text, "```toml\n"));
    behind
        .and_then(|text| text.split("```").next())
        .expect("the documentation has an example")
}

const DOCUMENTATION: &str = include_str!("../../../docs/configuration.md");
