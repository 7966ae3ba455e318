//! Holds a parsed document against the table of keys: unknown keys, wrong types, missing keys, too many entries.
//!
//! A deserialiser alone stops at the first such mistake. This walk reports each and takes the offending value out,
//! so that the rest of the file can still be read and its values checked in the same run.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::bounds::Entries;
use super::keys::{self, Key, Kind, Need};
use super::nearest::nearest;
use super::problem::{Fault, Report};

/// Reports what does not fit and takes it out.
pub(super) fn prune(document: &mut DeTable<'_>, report: &mut Report<'_>) {
    prune_known("", document, 0, report);
}

/// A table with known keys; `at` is where it begins.
fn prune_known(path: &str, table: &mut DeTable<'_>, at: usize, report: &mut Report<'_>) {
    let absent = |key: &&Key| !table.iter().any(|(name, _)| *name.get_ref() == key.name());
    for key in keys::inside(path)
        .filter(|key| matches!(key.need, Need::Required))
        .filter(absent)
    {
        report.add(at, missing(path, key));
    }
    for (name, mut value) in std::mem::take(table) {
        match keys::inside(path).find(|key| *name.get_ref() == key.name()) {
            Some(key) => {
                if prune_value(key, &mut value, report) {
                    table.insert(name, value);
                }
            }
            None => report.add(name.span().start, unknown(path, name.get_ref())),
        }
    }
}

/// A table whose keys the operator chooses.
fn prune_named(key: &Key, table: &mut DeTable<'_>, report: &mut Report<'_>) {
    let Some(element) = keys::inside(key.path).next() else {
        return;
    };
    for (name, mut value) in std::mem::take(table) {
        if prune_value(element, &mut value, report) {
            table.insert(name, value);
        }
    }
}

/// Whether the value may stay.
fn prune_value(
    key: &'static Key,
    value: &mut Spanned<DeValue<'_>>,
    report: &mut Report<'_>,
) -> bool {
    let Range { start: at, .. } = value.span();
    if key.path == SHARED && value.get_ref().is_str() {
        write_out(value);
    }
    let fits = match (key.kind, value.get_mut()) {
        (Kind::Table, DeValue::Table(table)) => {
            prune_known(key.path, table, at, report);
            true
        }
        (Kind::Named(entries), DeValue::Table(table)) => {
            bound(entries, table.len(), key, at, report);
            prune_named(key, table, report);
            true
        }
        (Kind::Tables(entries), DeValue::Array(list)) => {
            bound(entries, list.len(), key, at, report);
            for element in list.iter_mut() {
                let Range { start: at, .. } = element.span();
                let DeValue::Table(table) = element.get_mut() else {
                    return wrong_type(key, element, report);
                };
                prune_known(key.path, table, at, report);
            }
            true
        }
        (Kind::Texts(_, entries), DeValue::Array(list)) => {
            bound(entries, list.len(), key, at, report);
            match list.iter().find(|element| !element.get_ref().is_str()) {
                Some(element) => return wrong_type(key, element, report),
                None => true,
            }
        }
        (
            Kind::Text(_) | Kind::Choice(_) | Kind::Duration(_) | Kind::Size(_),
            DeValue::String(_),
        ) => true,
        (Kind::Count(_), DeValue::Integer(_)) => is_whole_number(value.get_ref()),
        (Kind::Counts(_, entries), DeValue::Array(list)) => {
            bound(entries, list.len(), key, at, report);
            match list
                .iter()
                .find(|element| !is_whole_number(element.get_ref()))
            {
                Some(element) => return wrong_type(key, element, report),
                None => true,
            }
        }
        (Kind::Flag, DeValue::Boolean(_)) => true,
        _ => false,
    };
    fits || wrong_type(key, value, report)
}

/// The table that a text stands for: the one with these `urls` and every default.
fn write_out(value: &mut Spanned<DeValue<'_>>) {
    let span = value.span();
    let url = std::mem::replace(value.get_mut(), DeValue::Boolean(false));
    let urls = DeArray::from_iter([Spanned::new(span.clone(), url)]);
    let urls = Spanned::new(span.clone(), DeValue::Array(urls));
    let name = Spanned::new(span, "urls".into());
    *value.get_mut() = DeValue::Table(DeTable::from_iter([(name, urls)]));
}

/// May be a text: `shared = "redis://…"`.
const SHARED: &str = "limits.shared";

fn is_whole_number(value: &DeValue<'_>) -> bool {
    matches!(value, DeValue::Integer(number) if i64::from_str_radix(number.as_str(), number.radix()).is_ok())
}

fn bound(entries: Entries, count: usize, key: &Key, at: usize, report: &mut Report<'_>) {
    if count < entries.min || count > entries.max {
        let what = format!("`{}` has {count} entries", key.name());
        report.add(
            at,
            Fault::new(what, format!("write {} to {}", entries.min, entries.max)),
        );
    }
}

fn wrong_type(key: &Key, value: &Spanned<DeValue<'_>>, report: &mut Report<'_>) -> bool {
    let is = match value.get_ref() {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    let name = if key.name() == "*" {
        keys::header(key.parent())
    } else {
        key.name().to_owned()
    };
    let what = format!("{is} does not fit `{name}`");
    report.add(
        value.span().start,
        Fault::new(what, format!("write {}", wanted(key))),
    );
    false
}

/// What a key holds, with an example where the notation is ours.
fn wanted(key: &Key) -> String {
    match key.kind {
        Kind::Table | Kind::Named(_) => "it as a table of keys".to_owned(),
        Kind::Tables(_) => format!("each entry under a line `{}`", keys::header(key.path)),
        Kind::Text(of) => format!("{of} in quotes"),
        Kind::Texts(of, _) => format!("a list in brackets, each entry {of} in quotes"),
        Kind::Choice(words) => format!("one of {}", quoted(words.iter().copied())),
        Kind::Duration(_) => "a duration in quotes, as in `\"10s\"`".to_owned(),
        Kind::Size(_) => "a size in quotes, as in `\"64KiB\"`".to_owned(),
        Kind::Count(bounds) => format!(
            "a whole number from {} to {}, without quotes",
            bounds.min, bounds.max
        ),
        Kind::Counts(bounds, _) => format!(
            "a list in brackets, each entry a whole number from {} to {}",
            bounds.min, bounds.max
        ),
        Kind::Flag => "`true` or `false`, without quotes".to_owned(),
    }
}

fn quoted<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

fn missing(path: &str, key: &Key) -> Fault {
    let place = if path.is_empty() {
        "the file".to_owned()
    } else {
        format!("`{}`", keys::header(path))
    };
    let fix = match key.kind {
        Kind::Table | Kind::Tables(_) | Kind::Named(_) => {
            format!("add a section `{}`", keys::header(key.path))
        }
        Kind::Text(_)
        | Kind::Texts(..)
        | Kind::Choice(_)
        | Kind::Duration(_)
        | Kind::Size(_)
        | Kind::Count(_)
        | Kind::Counts(..)
        | Kind::Flag => {
            format!("add `{} = …`: {}", key.name(), wanted(key))
        }
    };
    Fault::new(format!("{place} has no `{}`", key.name()), fix)
}

fn unknown(path: &str, name: &str) -> Fault {
    let place = if path.is_empty() {
        "the file".to_owned()
    } else {
        format!("`{}`", keys::header(path))
    };
    let what = format!("`{name}` is not a known key of {place}");
    match nearest(name, keys::inside(path).map(Key::name)) {
        Some(key) => Fault::new(what, format!("did you mean `{key}`?")),
        None => Fault::new(
            what,
            format!(
                "remove it, or use one of {}",
                quoted(keys::inside(path).map(Key::name))
            ),
        ),
    }
}
