//! The table of all keys as text for people: `docs/configuration.md` holds what this writes.

use std::fmt::Display;
use std::fmt::Write as _;

use super::bounds::{Bounds, Entries};
use super::keys::{self, KEYS, Key, Kind, Need};
use super::values::Written;

/// All keys of the configuration file in Markdown: a heading for each table, a row for each key with its type,
/// bounds, default and meaning.
#[must_use]
pub fn reference() -> String {
    let mut out = String::new();
    let tables = KEYS.iter().filter(|key| key.is_table());
    for table in tables {
        section(&mut out, table);
    }
    out
}

fn section(out: &mut String, table: &Key) {
    let heading = keys::header(table.path);
    let number = match table.kind {
        Kind::Tables(entries) => format!(" {} tables.", range(entries)),
        Kind::Named(entries) => format!(" {} keys.", range(entries)),
        Kind::Table
        | Kind::Text(_)
        | Kind::Texts(..)
        | Kind::Choice(_)
        | Kind::Duration(_)
        | Kind::Size(_)
        | Kind::Count(_)
        | Kind::Counts(..)
        | Kind::Flag => String::new(),
    };
    let absent = match table.need {
        Need::Required => "Required.".to_owned(),
        Need::Bounds | Need::Default(_) | Need::Otherwise(_) => {
            format!("Without it: {}.", absent(table))
        }
    };
    let rows: String = keys::inside(table.path)
        .filter(|key| !key.is_table())
        .map(row)
        .collect();
    // Writing to a `String` cannot fail.
    let _written = write!(
        out,
        "### `{heading}`\n\n{}{number} {absent}\n",
        table.meaning
    );
    if !rows.is_empty() {
        let _written = write!(
            out,
            "\n| key | value | default | meaning |\n|---|---|---|---|\n{rows}"
        );
    }
    out.push('\n');
}

fn row(key: &Key) -> String {
    let name = if key.name() == "*" {
        "*name*".to_owned()
    } else {
        format!("`{}`", key.name())
    };
    format!(
        "| {name} | {} | {} | {} |\n",
        value(key.kind),
        absent(key),
        key.meaning
    )
}

fn value(kind: Kind) -> String {
    match kind {
        Kind::Table | Kind::Tables(_) | Kind::Named(_) => "table".to_owned(),
        Kind::Text(of) => of.to_owned(),
        Kind::Texts(of, entries) => format!("list of {}, each {of}", range(entries)),
        Kind::Choice(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
            words.join(" or ")
        }
        Kind::Duration(bounds) => bounded("duration", Written(bounds.min), Written(bounds.max)),
        Kind::Size(bounds) => bounded("size", bounds.min, bounds.max),
        Kind::Count(bounds) => bounded("number", bounds.min, bounds.max),
        Kind::Counts(bounds, entries) => format!(
            "list of {}, each a number, {} to {}",
            range(entries),
            bounds.min,
            bounds.max
        ),
        Kind::Flag => "`true` or `false`".to_owned(),
    }
}

fn absent(key: &Key) -> String {
    match (key.need, key.kind) {
        (Need::Required, _) => "required".to_owned(),
        (Need::Default(toml), _) => format!("`{toml}`"),
        (Need::Otherwise(what), _) => what.to_owned(),
        (Need::Bounds, Kind::Duration(bounds)) => format!("`\"{}\"`", Written(bounds.fallback())),
        (Need::Bounds, Kind::Size(bounds)) => default(&bounds, "\""),
        (Need::Bounds, Kind::Count(bounds)) => default(&bounds, ""),
        (Need::Bounds, _) => String::new(),
    }
}

fn default<T: Copy + PartialOrd + Display>(bounds: &Bounds<T>, quote: &str) -> String {
    format!("`{quote}{}{quote}`", bounds.fallback())
}

fn bounded(what: &str, min: impl Display, max: impl Display) -> String {
    format!("{what}, {min} to {max}")
}

fn range(entries: Entries) -> String {
    format!("{} to {}", entries.min, entries.max)
}
