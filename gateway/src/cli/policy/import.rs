//! `hangu policy import` and `graph`: policies out of a database, and as a picture.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use hangu_policy::analysis::{graph, import, tidy};
use hangu_policy::{Source, bounds};
use serde_json::json;

use super::files::{Naming, PolicyFiles, lines, read_bounded};
use super::{Done, Outcome, print_json};
use crate::cli::unheard;

#[derive(Debug, Args)]
#[command(after_help = "Example:
  mysqldump --skip-extended-insert casbin casbin_rule > dump.sql
  hangu policy import dump.sql --out policy.csv

  psql -c \"\\copy casbin_rule to 'dump.csv' csv header\"
  hangu policy import dump.csv --out policy.csv

Taken are CSV, with or without heading, and SQL with INSERT. Then run `hangu policy check`.")]
pub(in crate::cli) struct ImportOptions {
    /// The dump of the table `casbin_rule`; `-` is the standard input
    dump: PathBuf,
    /// Where to write the policy; without it, the standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  hangu policy graph --policy policy.csv --out policy.svg

A card for each organisation; arrows lead from a role to the roles that it inherits; a role on a coloured ground has
nobody who holds it directly.")]
pub(in crate::cli) struct GraphOptions {
    #[command(flatten)]
    files: PolicyFiles,
    /// This organisation alone
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// Where to write the SVG; without it, the standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &ImportOptions) -> Done {
    let text = if options.dump.as_os_str() == "-" {
        let mut text = String::new();
        let room = bounds::RULES_BYTES_MAX as u64;
        let read = io::stdin().lock().take(room).read_to_string(&mut text);
        read.map_err(|error| vec![format!("standard input: {error}")])?;
        text
    } else {
        read_bounded(&options.dump, bounds::RULES_BYTES_MAX)?
    };
    let name = options.dump.display().to_string();
    let dump = Source {
        name: &name,
        text: &text,
    };
    let rows = import(dump).map_err(|problems| lines(&problems))?;
    let rows = Source {
        name: &name,
        text: &rows,
    };
    write(
        (options.out.as_deref(), options.json, "policy"),
        &tidy(rows).map_err(|problems| lines(&problems))?,
    )
}

pub(super) fn draw(options: &GraphOptions) -> Done {
    let policy = options.files.read(Naming::AsGiven)?.compile()?;
    if let Some(domain) = &options.domain
        && !policy.domains().any(|known| known == domain)
    {
        return Err(vec![format!(
            "no rule names the organisation `{domain}`; see `hangu policy graph` without --domain"
        )]);
    }
    write(
        (options.out.as_deref(), options.json, "svg"),
        &graph(&policy, options.domain.as_deref()),
    )
}

/// Writes to a file or the standard output; as JSON, under a name.
fn write((out, json, name): (Option<&Path>, bool, &str), text: &str) -> Done {
    let refused = |error: io::Error| {
        let name = out.map_or("standard output".to_owned(), |path| {
            path.display().to_string()
        });
        vec![format!("{name}: {error}")]
    };
    match out {
        Some(path) => std::fs::write(path, text).map_err(refused)?,
        None if json => {}
        None => match io::stdout().lock().write_all(text.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => unheard(&error),
            written => written.map_err(refused)?,
        },
    }
    if json {
        print_json(&match out {
            Some(path) => json!({"out": path.display().to_string()}),
            None => json!({ name: text }),
        })?;
    }
    Ok(Outcome::Clean)
}
