//! The house rules of ARCHITECTURE.md, read off the manifests and the sources: which room knows which, how long a file
//! may be, and that every dependency is accounted for. Each violation is printed with its place.

mod manifests;
mod rooms;
mod scan;
mod sources;

use std::fs;
use std::path::Path;

use manifests::{
    Lock, declared_dependencies, dependencies, explained_dependencies, line_of, metadata,
    outside_dependencies,
};
use rooms::{FOLDERS, LAYERS, ROOMS, Room};
use scan::{Named, scan};
use sources::{product_sources, root, rust_files, shown};

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[test]
fn every_folder_of_the_layout_exists() {
    let missing: Vec<&str> = FOLDERS
        .iter()
        .copied()
        .filter(|folder| !root().join(folder).is_dir())
        .collect();
    assert!(
        missing.is_empty(),
        "folders of the layout that are not there: {missing:?}"
    );
}

#[test]
fn no_room_depends_on_what_it_must_never_know() -> Outcome {
    let metadata = metadata()?;
    let registry = Lock::read(&fs::read_to_string(root().join("Cargo.lock"))?);
    let mut violations = Vec::new();
    for room in ROOMS {
        let place = format!("{}/Cargo.toml", room.folder);
        let Some(direct) = dependencies(&metadata, room.package) else {
            violations.push(format!("{place}:1: there is no package `{}`", room.package));
            continue;
        };
        let manifest = fs::read_to_string(root().join(&place))?;
        for (name, chain) in registry.reached_from(&direct) {
            if room.must_not_depend_on(&name) {
                let line = line_of(&manifest, chain.first().map_or("", String::as_str));
                violations.push(format!(
                    "{place}:{line}: `{}` must never know `{name}` (by {})",
                    room.folder,
                    chain.join(" → ")
                ));
            }
        }
    }
    report(&violations)
}

#[test]
fn only_the_gateway_depends_on_pingora() -> Outcome {
    let metadata = metadata()?;
    let mut violations = Vec::new();
    for package in metadata.workspace_packages() {
        for dependency in &package.dependencies {
            if dependency.name.starts_with("pingora") && package.name.as_str() != "hangu-gateway" {
                let manifest = fs::read_to_string(&package.manifest_path)?;
                let line = line_of(&manifest, &dependency.name);
                violations.push(format!(
                    "{}:{line}: `{}` depends on `{}`",
                    package.manifest_path, package.name, dependency.name
                ));
            }
        }
    }
    report(&violations)
}

#[test]
fn no_room_names_what_it_must_never_know() -> Outcome {
    let mut violations = Vec::new();
    for room in ROOMS {
        for source in product_sources(&root().join(room.folder).join("src"))? {
            violations.extend(trespasses(room, &source.place, &source.text));
        }
    }
    report(&violations)
}

#[test]
fn no_layer_knows_another() -> Outcome {
    let mut violations = Vec::new();
    for layer in LAYERS {
        let folder = root().join("gateway/src/layers").join(layer);
        for source in product_sources(&folder)? {
            let module = module_of(&folder, &source.path, layer);
            violations.extend(sibling_uses(layer, &module, &source.place, &source.text));
        }
    }
    report(&violations)
}

#[test]
fn no_source_is_longer_than_500_lines() -> Outcome {
    const LINES_MAX: usize = 500;
    let mut violations = Vec::new();
    for path in rust_files(root())? {
        let lines = fs::read_to_string(&path)?.lines().count();
        if lines > LINES_MAX {
            violations.push(format!(
                "{}:{lines}: longer than {LINES_MAX} lines; split it by its ideas",
                shown(&path)
            ));
        }
    }
    report(&violations)
}

#[test]
fn every_dependency_says_why_it_is_there() -> Outcome {
    let manifest = fs::read_to_string(root().join("Cargo.toml"))?;
    let document = fs::read_to_string(root().join("docs/dependencies.md"))?;
    let used = outside_dependencies(&metadata()?);
    let declared = declared_dependencies(&manifest);
    let explained = explained_dependencies(&document);
    let mut violations = Vec::new();
    for (name, line) in &declared {
        if !explained.contains_key(name) {
            violations.push(format!(
                "Cargo.toml:{line}: `{name}` has no line in docs/dependencies.md"
            ));
        }
        if !used.contains(name) {
            violations.push(format!(
                "Cargo.toml:{line}: no member uses `{name}`; delete the line"
            ));
        }
    }
    for (name, line) in &explained {
        if !declared.contains_key(name) {
            violations.push(format!(
                "docs/dependencies.md:{line}: `{name}` is not in [workspace.dependencies]"
            ));
        }
    }
    for name in used.iter().filter(|name| !declared.contains_key(*name)) {
        violations.push(format!(
            "Cargo.toml:1: `{name}` is used by a member without a line in [workspace.dependencies]"
        ));
    }
    report(&violations)
}

#[test]
fn alerts_speak_of_metrics_and_reasons_that_exist() -> Outcome {
    let sources = [
        "metrics.rs",
        "policy.rs",
        "boundary.rs",
        "limits.rs",
        "retention.rs",
        "shipping.rs",
        "crl.rs",
        "live.rs",
    ]
    .map(|file| {
        fs::read_to_string(root().join("gateway/src/observe").join(file)).unwrap_or_default()
    });
    let metrics = sources.concat();
    let denials = fs::read_to_string(root().join("gateway/src/denial.rs"))?;
    let mut violations = Vec::new();
    for file in [
        "deploy/prometheus/alerts.yml",
        "deploy/prometheus/alerts_test.yml",
    ] {
        for (number, line) in (1_usize..).zip(fs::read_to_string(root().join(file))?.lines()) {
            for (word, known) in alert_words(line).map(|word| {
                (
                    word,
                    if word.contains('.') {
                        &denials
                    } else {
                        &metrics
                    },
                )
            }) {
                let name = word.strip_prefix("hangu_").unwrap_or(word);
                // The series of a histogram.
                let name = ["_bucket", "_count"]
                    .iter()
                    .find_map(|series| name.strip_suffix(series))
                    .unwrap_or(name);
                if !known.contains(&format!("\"{name}\"")) {
                    violations.push(format!("{file}:{number}: the gateway has no `{word}`"));
                }
            }
        }
    }
    report(&violations)
}

#[test]
fn a_forbidden_path_is_found_however_it_is_written() {
    let source = r##"
//! tokio::spawn in prose, and http.
use std::{fmt, io::{self, Write as _}, fs::{self, File}};
use ::tokio::task::{spawn, JoinHandle};
const TEXT: &str = "std::net::TcpStream \" tokio::x"; /* pingora::x /* nested */ http::y */
const RAW: &str = r#"pingora::"x" "#;
fn now<'a>(quote: char, http: &'a u8) -> u64 { let _ = ('"', '\'', quote == ':'); http.count_ones(); 0 }
fn clock() { std::time::SystemTime::now(); let r#type = 1; }
#[cfg(test)]
mod tests { use std::fs; #[test] fn f() { tokio::spawn(()) } }
fn after() { http::Request::new(()) }
"##;
    let room = Room {
        folder: "made-up",
        package: "made-up",
        crates: &["tokio", "http", "pingora"],
        paths: &["std::fs", "SystemTime::now", "TcpStream"],
    };
    assert_eq!(
        trespasses(&room, "made-up.rs", source),
        [
            "made-up.rs:3: `made-up` must never know `std::fs` (`std::fs`)",
            "made-up.rs:3: `made-up` must never know `std::fs` (`std::fs::File`)",
            "made-up.rs:4: `made-up` must never know `tokio` (`tokio::task::spawn`)",
            "made-up.rs:4: `made-up` must never know `tokio` (`tokio::task::JoinHandle`)",
            "made-up.rs:8: `made-up` must never know `SystemTime::now` (`std::time::SystemTime::now`)",
            "made-up.rs:11: `made-up` must never know `http` (`http::Request::new`)",
        ]
    );
}

#[test]
fn a_sibling_layer_is_found_however_it_is_written() {
    let source = "use crate::layers::{Layer, data::Label};\nuse super::super::network::zones;\nfn f() { crate::layers::edge::head::g(); super::own::h() }\n";
    let module = ["layers", "edge", "head"].map(str::to_owned);
    assert_eq!(
        sibling_uses("edge", &module, "head.rs", source),
        [
            "head.rs:1: layer `edge` must not know layer `data` (`crate::layers::data::Label`)",
            "head.rs:2: layer `edge` must not know layer `network` (`super::super::network::zones`)",
        ]
    );
}

#[test]
fn a_forbidden_package_is_found_behind_others() {
    let lock = Lock::read(
        "[[package]]\nname = \"tidy\"\ndependencies = [\n \"middle 1.0.0\",\n]\n\n[[package]]\nname = \"middle\"\ndependencies = [\n \"tokio\",\n \"tidy\",\n]\n",
    );
    let reached = lock.reached_from(&["tidy".to_owned()]);
    assert_eq!(
        reached.get("tokio"),
        Some(&["tidy", "middle", "tokio"].map(str::to_owned).to_vec())
    );
    assert!(
        ROOMS.iter().all(
            |room| room.must_not_depend_on("pingora-core") && !room.must_not_depend_on("pingo")
        )
    );
    assert_eq!(
        line_of(
            "[dependencies]\nregex-lite = \"1\"\nregex.workspace = true\n",
            "regex"
        ),
        3
    );
}

#[test]
fn metrics_and_reasons_are_found_in_alerts() {
    let line = r#"rate(hangu_a_total{reason=~"edge.x|data.y_z", app="records.pem"}[5m]) > 0.2 and the application. "#;
    assert_eq!(
        alert_words(line).collect::<Vec<_>>(),
        ["hangu_a_total", "edge.x", "data.y_z"]
    );
}

#[test]
fn modules_that_only_tests_build_are_told_from_others() {
    let found =
        scan("#[cfg(test)]\nmod drills;\nmod log;\n#[cfg(test)]\nuse std::fs;\nfn f() {}\n");
    assert_eq!(found.test_modules, ["drills"]);
    assert!(
        found
            .paths
            .iter()
            .all(|path| path.segments != ["std", "fs"]),
        "{found:?}"
    );
}

fn report(violations: &[String]) -> Outcome {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
    Ok(())
}

/// The metrics (`hangu_…`) and reason codes (`layer.…`) that a line of an alert file names.
fn alert_words(line: &str) -> impl Iterator<Item = &str> {
    let is_part = |letter: char| letter.is_ascii_lowercase() || letter == '_' || letter == '.';
    let words = line.split(move |letter| !is_part(letter));
    words.filter(|word| {
        let reason = word
            .split_once('.')
            .filter(|(layer, code)| LAYERS.contains(layer) && !code.is_empty());
        word.starts_with("hangu_") || reason.is_some()
    })
}

/// One line for each path of a source that its room must never know.
fn trespasses(room: &Room, place: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for path in scan(text).paths {
        let forbidden = room.crates.iter().find(|name| names_crate(&path, name));
        let forbidden =
            forbidden.or_else(|| room.paths.iter().find(|pattern| names_path(&path, pattern)));
        if let Some(what) = forbidden {
            found.push(format!(
                "{place}:{}: `{}` must never know `{what}` (`{}`)",
                path.line,
                room.folder,
                path.segments.join("::")
            ));
        }
    }
    found
}

/// A variable may share the name of a crate, so a bare word counts only in a `use`.
fn names_crate(path: &Named, name: &str) -> bool {
    let is_path = path.imported || path.segments.len() > 1;
    is_path
        && path
            .segments
            .first()
            .is_some_and(|first| rooms::is_of_family(&first.replace('_', "-"), name))
}

fn names_path(path: &Named, pattern: &str) -> bool {
    let wanted: Vec<&str> = pattern.split("::").collect();
    path.segments
        .windows(wanted.len())
        .any(|window| window == wanted)
}

/// One line for each path of a layer's source that leads into another layer.
fn sibling_uses(layer: &str, module: &[String], place: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for path in scan(text).paths {
        let meant = absolute(&path.segments, module);
        let [first, second, ..] = meant.as_slice() else {
            continue;
        };
        if first == "layers" && second != layer && LAYERS.contains(&second.as_str()) {
            let written = path.segments.join("::");
            found.push(format!(
                "{place}:{}: layer `{layer}` must not know layer `{second}` (`{written}`)",
                path.line
            ));
        }
    }
    found
}

/// A path from the crate's root, given the module that names it; empty for paths into other crates.
fn absolute(segments: &[String], module: &[String]) -> Vec<String> {
    let ups = segments
        .iter()
        .take_while(|segment| *segment == "super")
        .count();
    let rest = segments.iter().skip(ups.max(1)).cloned();
    match segments.first().map(String::as_str) {
        Some("crate") => rest.collect(),
        Some("self") => module.iter().cloned().chain(rest).collect(),
        Some("super") => module
            .iter()
            .take(module.len().saturating_sub(ups))
            .cloned()
            .chain(rest)
            .collect(),
        _ => Vec::new(),
    }
}

/// `layers/edge/head.rs` is the module `layers::edge::head`.
fn module_of(folder: &Path, path: &Path, layer: &str) -> Vec<String> {
    let inside = path.strip_prefix(folder).unwrap_or(path).with_extension("");
    let names = inside
        .iter()
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name != "mod");
    ["layers", layer]
        .map(str::to_owned)
        .into_iter()
        .chain(names)
        .collect()
}
