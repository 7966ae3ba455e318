//! The configuration: one TOML file, read as written, then checked into what it means.
//!
//! An operator's mistake must stop the gateway from starting (or from reloading), with every mistake named at once,
//! by line and column, and with its remedy: a typing error in a key that is silently ignored is an open door.
//! This module reads the TOML file alone. It asks whether the named files exist; what is in them is loaded and
//! checked when the snapshot is built.

mod application;
mod bounds;
mod check;
mod checked;
mod file;
mod keys;
mod limits;
pub mod nearest;
mod policy;
mod problem;
mod reference;
mod shape;
mod sinks;
#[cfg(test)]
mod tests;
mod values;

use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use toml::de::{DeTable, Deserializer};

use check::{Look, look_on_disk};
use problem::Report;

pub use hangu_certs::Template;

pub use checked::{
    ANONYMOUS_SUBJECT, AccessLog, Acknowledge, Admin, Application, Archive, Attribute, Audit,
    Balance, Bodies, ClientAuthentication, ClientCertificate, Config, Control, ControlRemote,
    ControlSocket, HeaderRule, Health, Identity, Listener, Matrix, ObjectStore, PathProfile,
    Pseudonyms, Purpose, Retention, Route, Server, ServerCertificate, SigningKey, StoreAddress,
    TlsVersion, Upstream, UpstreamProtocol, UpstreamTls, Witness, Zone,
};
pub use checked::{ClientTrust, CrlFetch};
pub use limits::{
    ConcurrencyBy, ConcurrencyLimit, Fallback, Held, Limits, Mode, Network, Part, QuotaLimit,
    QuotaOf, REQUEST_CONCURRENCY_MAX, Rate, RateLimit, Scope, SharedKind, SharedLimits, ShortLimit,
    SourceClients, SourceLimit,
};
pub use policy::{Policy, PolicyBundle, PolicySource, Shadow, ShadowSource};
pub use problem::{ConfigErrors, Fault, Problem};
pub use reference::reference;
pub use sinks::{Sink, SinkTarget, SinkTls};
pub use values::{
    ByteSize, Host, HostPattern, IpPrefix, LabelId, LabelSet, Method, MethodSet, Name, RoutePrefix,
    Tenant, ZoneId,
};
pub use values::{CrlHost, CrlUrl};

/// Reads and checks a configuration file. Relative paths in it start at its own folder.
///
/// # Errors
/// The file cannot be read or is larger than 16 MiB, is not UTF-8 or not TOML, or does not make sense: every
/// problem that was found, in the order of the file.
pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
    let text = read(path).map_err(|problem| ConfigErrors::new(vec![problem]))?;
    parse(path, &text).map_err(ConfigErrors::new)
}

/// Checks the text of a configuration file. `name` stands in front of each problem, and relative paths start at
/// its folder; the files that the text names are looked for on disk.
///
/// # Errors
/// Every problem that was found, in the order of the file; never an empty list.
pub fn parse(name: &Path, text: &str) -> Result<Config, Vec<Problem>> {
    // Without a working folder nothing relative can be found, and that is what will be reported.
    let absolute = std::path::absolute(name).unwrap_or_else(|_| name.to_owned());
    let folder = absolute.parent().unwrap_or(&absolute);
    let config = parse_looking(name, folder, text, look_on_disk)?;
    Ok(Config {
        file: absolute,
        ..config
    })
}

fn parse_looking(
    name: &Path,
    folder: &Path,
    text: &str,
    look: Look,
) -> Result<Config, Vec<Problem>> {
    let mut report = Report::new(name, text);
    let (mut document, mistakes) = DeTable::parse_recoverable(text);
    for mistake in &mistakes {
        report.add(start(mistake), syntax(mistake));
    }
    if !report.is_empty() {
        return Err(report.finish()); // what follows a mistake of syntax is guesswork
    }
    shape::prune(document.get_mut(), &mut report);
    let config = match file::File::deserialize(Deserializer::from(document)) {
        Ok(file) => check::check(name, folder, &file, look, &mut report),
        Err(mistake) => {
            report.add(start(&mistake), syntax(&mistake));
            None
        }
    };
    match config {
        Some(config) if report.is_empty() => Ok(config),
        Some(_) | None => Err(report.finish()),
    }
}

fn start(mistake: &toml::de::Error) -> usize {
    mistake.span().map_or(0, |span| span.start)
}

fn syntax(mistake: &toml::de::Error) -> Fault {
    let what = format!("this is not TOML: {}", mistake.message());
    Fault::new(what, "correct it here or in the line above")
}

fn read(path: &Path) -> Result<String, Problem> {
    let file = std::fs::File::open(path).map_err(|error| unreadable(path, &error))?;
    let mut bytes = Vec::new();
    let mut most = file.take(bounds::FILE_BYTES_MAX.saturating_add(1));
    most.read_to_end(&mut bytes)
        .map_err(|error| unreadable(path, &error))?;
    if u64::try_from(bytes.len()).map_or(true, |bytes| bytes > bounds::FILE_BYTES_MAX) {
        let most = ByteSize::of(bounds::FILE_BYTES_MAX);
        let what = format!("the file is larger than {most}");
        return Err(whole_file(path, &what, "name a configuration file"));
    }
    String::from_utf8(bytes).map_err(|error| not_utf8(path, &error))
}

fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> Problem {
    let valid = error.utf8_error().valid_up_to();
    let text = String::from_utf8_lossy(error.as_bytes().get(..valid).unwrap_or_default());
    let (line, column) = problem::line_and_column(&text, valid);
    let problem = whole_file(path, "this is not UTF-8", "save the file as UTF-8");
    Problem {
        line,
        column,
        ..problem
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    let what = format!("the file cannot be read: {error}");
    whole_file(
        path,
        &what,
        "name a file that the user that runs the gateway can read",
    )
}

fn whole_file(path: &Path, what: &str, fix: &str) -> Problem {
    let fault = Fault::new(what, fix);
    Problem {
        file: path.to_owned(),
        line: 0,
        column: 0,
        what: fault.what,
        fix: fault.fix,
    }
}
