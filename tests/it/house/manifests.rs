//! What the manifests, the lock file and docs/dependencies.md say of dependencies.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

use super::sources::root;

/// The workspace as cargo sees it.
pub(crate) fn metadata() -> Result<Metadata, cargo_metadata::Error> {
    let options = ["--locked", "--offline"].map(str::to_owned).to_vec();
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(options)
        .exec()
}

/// What a member needs to run or to build, tests apart; `None` when there is no such member.
pub(crate) fn dependencies(metadata: &Metadata, package: &str) -> Option<Vec<String>> {
    let package = metadata
        .workspace_packages()
        .into_iter()
        .find(|own| own.name.as_str() == package)?;
    let needed = package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != DependencyKind::Development);
    Some(needed.map(|dependency| dependency.name.clone()).collect())
}

/// What the members take from outside the workspace.
pub(crate) fn outside_dependencies(metadata: &Metadata) -> BTreeSet<String> {
    let all = metadata
        .workspace_packages()
        .into_iter()
        .flat_map(|package| &package.dependencies);
    all.filter(|dependency| dependency.path.is_none())
        .map(|dependency| dependency.name.clone())
        .collect()
}

/// Names and lines of `[workspace.dependencies]`, our own crates apart.
pub(crate) fn declared_dependencies(manifest: &str) -> BTreeMap<String, usize> {
    let numbered = (1_usize..).zip(manifest.lines());
    let section = numbered
        .skip_while(|(_, line)| *line != "[workspace.dependencies]")
        .skip(1);
    let lines = section.take_while(|(_, line)| !line.starts_with('['));
    let named =
        lines.filter_map(|(number, line)| Some((line.split_once(" = ")?.0.to_owned(), number)));
    named
        .filter(|(name, _)| !name.starts_with("hangu-"))
        .collect()
}

/// Names and lines of the table rows of docs/dependencies.md, which start "| `name` |".
pub(crate) fn explained_dependencies(document: &str) -> BTreeMap<String, usize> {
    let numbered = (1_usize..).zip(document.lines());
    let named = numbered.filter_map(|(number, line)| {
        Some((
            line.strip_prefix("| `")?.split_once("` |")?.0.to_owned(),
            number,
        ))
    });
    named.collect()
}

/// The line of a manifest that names a dependency, or 1.
pub(crate) fn line_of(manifest: &str, name: &str) -> usize {
    let is_of = |line: &str| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
    };
    (1_usize..)
        .zip(manifest.lines())
        .find(|(_, line)| is_of(line))
        .map_or(1, |(number, _)| number)
}

/// Which package needs which, as Cargo.lock has it: registry packages without their own tests.
#[derive(Debug)]
pub(crate) struct Lock(BTreeMap<String, BTreeSet<String>>);

impl Lock {
    pub(crate) fn read(text: &str) -> Self {
        let mut packages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut name = String::new();
        for line in text.lines() {
            if let Some(own) = line.strip_prefix("name = ") {
                name = own.trim_matches('"').to_owned();
            } else if let Some(needed) = line.strip_prefix(" \"") {
                let needed = needed.split([' ', '"']).next().unwrap_or_default();
                packages
                    .entry(name.clone())
                    .or_default()
                    .insert(needed.to_owned());
            }
        }
        Self(packages)
    }

    /// Every package reached from these, with the chain that leads to it, the starting one first.
    pub(crate) fn reached_from(&self, direct: &[String]) -> BTreeMap<String, Vec<String>> {
        let mut reached: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut next: Vec<Vec<String>> = direct.iter().map(|name| vec![name.clone()]).collect();
        while let Some(chain) = next.pop() {
            let Some(name) = chain.last() else { continue };
            if reached.contains_key(name) {
                continue;
            }
            let needed = self.0.get(name).into_iter().flatten();
            next.extend(
                needed.map(|needed| chain.iter().cloned().chain([needed.clone()]).collect()),
            );
            reached.insert(name.clone(), chain);
        }
        reached
    }
}
