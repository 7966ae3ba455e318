//! `hangu policy fmt`: brings policy files into their one tidy form.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use hangu_policy::analysis::tidy;
use hangu_policy::{Source, bounds};
use serde_json::json;

use super::files::{lines, read_bounded};
use super::{Done, Outcome, print_json};
use crate::cli::say;

#[derive(Debug, Args)]
#[command(after_help = "Example:
  hangu policy fmt policy.csv
  hangu policy fmt --check policy.csv      # in CI: exit code 1 when it is not tidy

Rows of one kind that follow one another are aligned; comments, empty lines and the order of rows stay.")]
pub(in crate::cli) struct Options {
    /// Policy files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Change nothing, and fail where something would change
    #[arg(long)]
    check: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Done {
    let mut outcome = Outcome::Clean;
    let mut files = Vec::new();
    for path in &options.files {
        let text = read_bounded(path, bounds::RULES_BYTES_MAX)?;
        let name = path.display().to_string();
        let source = Source {
            name: &name,
            text: &text,
        };
        let tidied = tidy(source).map_err(|problems| lines(&problems))?;
        files.push(json!({"file": name, "tidy": tidied == text}));
        if tidied == text {
            continue;
        }
        if options.check {
            if !options.json {
                say(format_args!(
                    "{name}: not tidy; run `hangu policy fmt {name}`"
                ));
            }
            outcome = Outcome::Found;
            continue;
        }
        let beside = path.with_extension("csv.new");
        let written = fs::write(&beside, &tidied).and_then(|()| fs::rename(&beside, path));
        written.map_err(|error| vec![format!("{name}: {error}; it is as it was")])?;
        if !options.json {
            say(format_args!("{name}: tidied"));
        }
    }
    if options.json {
        print_json(&json!({"changed": !options.check, "files": files}))?;
    }
    Ok(outcome)
}
