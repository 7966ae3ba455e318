//! The source files of the house.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::scan::scan;

/// One file that goes into the product.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    /// Its path from the root of the workspace.
    pub(crate) place: String,
    pub(crate) text: String,
}

/// The sources below a folder, without those of modules that only tests build.
pub(crate) fn product_sources(folder: &Path) -> io::Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut only_tests: BTreeSet<PathBuf> = BTreeSet::new();
    for path in rust_files(folder)? {
        let text = fs::read_to_string(&path)?;
        let is_root = path
            .file_stem()
            .is_some_and(|stem| stem == "mod" || stem == "lib" || stem == "main");
        let home = if is_root {
            path.parent().unwrap_or(folder).to_owned()
        } else {
            path.with_extension("")
        };
        only_tests.extend(
            scan(&text)
                .test_modules
                .iter()
                .map(|module| home.join(module)),
        );
        sources.push(Source {
            place: shown(&path),
            path,
            text,
        });
    }
    sources.retain(|source| {
        !source
            .path
            .with_extension("")
            .ancestors()
            .any(|above| only_tests.contains(above))
    });
    Ok(sources)
}

/// Every Rust file below a folder, build output apart.
pub(crate) fn rust_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A path from the root of the workspace.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}
