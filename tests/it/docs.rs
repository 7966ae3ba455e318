//! The documents say what is: their examples load, the tests that they cite exist, their tables list what the code has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use hangu_gateway::config;
use hangu_gateway::denial::Denial;
use hangu_policy::{Policy, RBAC_WITH_DOMAINS, Source};

#[test]
fn every_policy_in_the_documents_compiles_with_the_shipped_model() {
    let blocks = blocks("csv");
    assert!(blocks.len() >= 5, "{blocks:?}");
    for Block { place, text } in blocks {
        if let Err(problems) = compile(RBAC_WITH_DOMAINS, &text) {
            panic!("{place}: {problems:?}");
        }
    }
}

#[test]
fn every_model_in_the_documents_compiles() {
    for Block { place, text } in blocks("conf") {
        if let Err(problems) = compile(&text, "") {
            panic!("{place}: {problems:?}");
        }
    }
}

#[test]
fn every_configuration_in_the_documents_has_only_known_keys() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hangu.toml");
    let blocks = blocks("toml");
    assert!(!blocks.is_empty());
    for Block { place, text } in blocks {
        fs::write(&file, text).unwrap();
        // Parts of a configuration lack the rest, and files that they name are not there.
        let Err(errors) = config::load(&file) else {
            continue;
        };
        for problem in errors.problems() {
            let is_written_wrong =
                problem.what.contains("not TOML") || problem.what.contains("not a known key");
            assert!(!is_written_wrong, "{place}: {problem}");
        }
    }
}

#[test]
fn every_test_that_the_specification_cites_exists() {
    let text = read("SPECIFICATION.md");
    let cited: Vec<(&str, &str)> = quoted(&text)
        .filter_map(|code| code.split_once(".rs::"))
        .collect();
    assert!(cited.len() >= 50, "only {} tests are cited", cited.len());
    for (file, test) in cited {
        let source = read(&format!("{file}.rs"));
        let found = source.contains(&format!("fn {test}("));
        assert!(
            found,
            "{file}.rs has no test `{test}`; SPECIFICATION.md cites it"
        );
    }
}

#[test]
fn every_feature_of_casbin_is_listed_with_a_test_that_exists() {
    let text = read("docs/casbin-compatibility.md");
    let features: Vec<_> = text
        .lines()
        .filter(|line| {
            line.starts_with("| ") && !line.starts_with("| feature") && !line.starts_with("| case")
        })
        .collect();
    assert!(
        features.len() >= 35,
        "only {} features are listed",
        features.len()
    );
    for feature in features {
        let cited = quoted(feature)
            .filter_map(|code| code.split_once(".rs::"))
            .last();
        let (file, test) = cited.unwrap_or_else(|| panic!("no test: {feature}"));
        let source = read(&format!("{file}.rs"));
        assert!(
            source.contains(&format!("fn {test}(")),
            "{file}.rs has no test `{test}`"
        );
    }
}

#[test]
fn every_promise_has_its_own_number() {
    let text = read("SPECIFICATION.md");
    let numbers: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("- **P")?.split_once("**"))
        .map(|(number, _)| number)
        .collect();
    let distinct: BTreeSet<_> = numbers.iter().collect();
    assert_eq!(distinct.len(), numbers.len(), "{numbers:?}");
}

#[test]
fn the_specification_lists_every_reason_with_its_status() {
    let expected: BTreeMap<String, String> = Denial::ALL
        .iter()
        .map(|denial| (denial.code().to_owned(), denial.status().to_string()))
        .collect();
    let text = read("SPECIFICATION.md");
    let (_, table) = text.split_once("## Reason codes").unwrap();
    let listed = rows(table)
        .map(|cells| (bare(&cells[0]), cells[1].clone()))
        .collect();
    assert_eq!(expected, listed);
}

#[test]
fn the_guide_for_analysts_explains_every_reason() {
    let text = read("docs/soc.md");
    let (_, table) = text.split_once("## Reasons").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let explained: BTreeSet<String> = rows(table).map(|cells| bare(&cells[0])).collect();
    let expected = Denial::ALL
        .iter()
        .map(|denial| denial.code().to_owned())
        .collect();
    assert_eq!(explained, expected);
}

#[test]
fn the_guide_for_operators_lists_every_metric() {
    let source = read("gateway/src/observe/metrics.rs");
    let (code, _) = source.split_once("#[cfg(test)]").unwrap();
    let code = [
        code,
        &read("gateway/src/observe/policy.rs"),
        &read("gateway/src/observe/boundary.rs"),
        &read("gateway/src/observe/limits.rs"),
        &read("gateway/src/observe/retention.rs"),
        &read("gateway/src/observe/shipping.rs"),
        &read("gateway/src/observe/crl.rs"),
        &read("gateway/src/observe/live.rs"),
    ]
    .concat();
    let made: BTreeSet<String> = code
        .split("make.")
        .skip(1)
        .filter_map(|call| call.split_once('(')?.1.trim_start().strip_prefix('"'))
        .filter_map(|name| Some(format!("hangu_{}", name.split_once('"')?.0)))
        .collect();
    assert!(made.len() >= 15, "{made:?}");
    let text = read("docs/operators.md");
    let (_, table) = text.split_once("## Metrics").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let listed: BTreeSet<String> = rows(table).map(|cells| bare(&cells[0])).collect();
    assert_eq!(made, listed);
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'))
        {
            let target = target.0.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let to = path.parent().unwrap().join(target);
            assert!(to.exists(), "{}: `{target}` leads nowhere", path.display());
        }
    }
}

fn compile(model: &str, rules: &str) -> Result<Policy, Vec<String>> {
    let model = Source {
        name: "model.conf",
        text: model,
    };
    let rules = Source {
        name: "policy.csv",
        text: rules,
    };
    Policy::compile(model, rules)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

/// A fenced block, and where it begins.
#[derive(Debug)]
struct Block {
    place: String,
    text: String,
}

/// The fenced blocks of one language in all documents.
fn blocks(language: &str) -> Vec<Block> {
    let fence = format!("```{language}");
    let mut found = Vec::new();
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        let mut inside: Option<Block> = None;
        for (index, line) in text.lines().enumerate() {
            match &mut inside {
                None if line.split_whitespace().next() == Some(&fence) => {
                    let place = format!("{}:{}", path.display(), index + 1);
                    inside = Some(Block {
                        place,
                        text: String::new(),
                    });
                }
                None => {}
                Some(_) if line == "```" => found.extend(inside.take()),
                Some(block) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
            }
        }
        assert!(
            inside.is_none(),
            "{}: a block is never closed",
            path.display()
        );
    }
    found
}

/// The documents beside the code: those of the root, and of `docs/` with its folders.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["", "docs", "docs/adr"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// What stands in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The cells of each row of a table, without its two lines of heading.
fn rows(table: &str) -> impl Iterator<Item = Vec<String>> {
    table
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
}

/// What a cell has in backticks.
fn bare(cell: &str) -> String {
    quoted(cell).next().unwrap_or_default().to_owned()
}

fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}
