//! Policies out of a database: the table `casbin_rule` as Casbin's adapters fill it, dumped as CSV or as SQL.

mod sql;
#[cfg(test)]
mod tests;

use super::tidy::quoted;
use crate::problem::{Place, Problem, Problems, Source};
use crate::rules::csv;

/// The rows of a dump, as lines of a policy file.
///
/// Taken are CSV with a heading that names `ptype` (or `p_type`) and `v0`, `v1`, …, CSV without heading that starts
/// with an optional number and the row's type, and SQL with `INSERT INTO … VALUES (…), (…);` or `COPY … FROM stdin;` as
/// MySQL, PostgreSQL and SQLite dump it. Empty and NULL fields at the end of a row are left out.
///
/// # Errors
/// Every line and every statement that is none of these, and values with a line break.
pub fn import(dump: Source<'_>) -> Result<String, Vec<Problem>> {
    let mut problems = Problems::new(dump.name);
    let mut rows = Vec::new();
    if sql::is_sql(dump.text) {
        sql::read(dump.text, &mut rows, &mut problems);
    } else {
        table(dump.text, &mut rows, &mut problems);
    }
    if problems.is_empty() && rows.is_empty() {
        let at = Place { line: 1, column: 1 };
        problems.add(
            at,
            "the dump holds no rule",
            "dump the table `casbin_rule` as CSV or as SQL with INSERT",
        );
    }
    if !problems.is_empty() {
        return Err(problems.into_vec());
    }
    Ok(rows.concat())
}

/// One row of the table as a line.
fn push(rows: &mut Vec<String>, mut fields: Vec<String>, at: Place, problems: &mut Problems<'_>) {
    while fields.last().is_some_and(String::is_empty) {
        fields.pop();
    }
    let kind = fields.first().map_or("", String::as_str);
    let number = kind.trim_start_matches(['p', 'g']);
    let plain = kind.len() == number.len() + 1 && number.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || fields.len() < 2 {
        problems.add(
            at,
            format!("`{kind}` is no type of a row with its fields"),
            "write `p`, `p2`, `g`, `g2` … and at least one value",
        );
        return;
    }
    if fields.iter().any(|field| field.contains(['\n', '\r'])) {
        let fix = "correct the row in the database";
        problems.add(
            at,
            "a value has a line break, which no policy file can hold",
            fix,
        );
        return;
    }
    let fields: Vec<_> = fields.iter().map(|field| quoted(field)).collect();
    rows.push(format!("{}\n", fields.join(", ")));
}

/// CSV: the columns by the heading, or in their usual order.
fn table(text: &str, rows: &mut Vec<String>, problems: &mut Problems<'_>) {
    let mut columns: Option<Vec<usize>> = None;
    for (number, line) in (1..).zip(text.split('\n')) {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let mut fields = Vec::new();
        if !csv::split(line, number, &mut fields, problems) {
            continue;
        }
        let text = |text: &str| if text == "\\N" { "" } else { text }.to_owned();
        let texts: Vec<String> = fields.iter().map(|field| text(&field.text)).collect();
        if columns.is_none() && rows.is_empty() {
            columns = heading(&texts);
            if columns.is_some() {
                continue;
            }
        }
        let picked = match &columns {
            Some(columns) => pick(&texts, columns),
            None => without_number(texts),
        };
        let place = Place {
            line: number,
            column: 1,
        };
        push(rows, picked, place, problems);
    }
}

/// Where the type and `v0`, `v1`, … stand, if these are the names of columns.
fn heading(names: &[String]) -> Option<Vec<usize>> {
    let find = |wanted: &str| {
        names.iter().position(|name| {
            name.trim_matches(['`', '"', '[', ']', ' '])
                .eq_ignore_ascii_case(wanted)
        })
    };
    let kind = find("ptype").or_else(|| find("p_type"))?;
    let values = (0..VALUES_MAX).map_while(|number| find(&format!("v{number}")));
    Some(std::iter::once(kind).chain(values).collect())
}

fn pick(fields: &[String], columns: &[usize]) -> Vec<String> {
    let field = |column: &usize| fields.get(*column).cloned().unwrap_or_default();
    columns.iter().map(field).collect()
}

/// Rows without names of columns may begin with their number.
fn without_number(mut fields: Vec<String>) -> Vec<String> {
    let is_number = fields
        .first()
        .is_some_and(|first| !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit()));
    if is_number {
        fields.remove(0);
    }
    fields
}

/// Columns `v0`, `v1`, … of the table.
const VALUES_MAX: usize = 32;
