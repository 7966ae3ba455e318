//! Policies out of a database: the table `casbin_rule` as Casbin's adapters fill it, dumped as CSV or as SQL.

use super::tidy::quoted;
use crate::problem::{Place, Problem, Problems, Source};
use crate::rules::csv;

/// The rows of a dump, as lines of a policy file.
///
/// Taken are CSV with a heading that names `ptype` (or `p_type`) and `v0`, `v1`, …, CSV without heading that starts
/// with an optional number and the row's type, and SQL `INSERT INTO … VALUES (…), (…);` with or without names of
/// columns. Empty and NULL fields at the end of a row are left out.
///
/// # Errors
/// Every line that is none of these.
pub fn import(dump: Source<'_>) -> Result<String, Vec<Problem>> {
    let mut problems = Problems::new(dump.name);
    let mut rows = Vec::new();
    let has_insert = |line: &str| keyword(line.trim_start(), "insert").is_some();
    if dump.text.lines().any(has_insert) {
        sql(dump.text, &mut rows, &mut problems);
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
        let texts: Vec<String> = fields.iter().map(|field| field.text.to_string()).collect();
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

/// SQL: every INSERT, whatever stands between.
fn sql(text: &str, rows: &mut Vec<String>, problems: &mut Problems<'_>) {
    let mut rest = text;
    while let Some(start) = next_insert(rest) {
        let after = rest.get(start..).unwrap_or_default();
        let line = 1 + text.len().saturating_sub(after.len());
        let line = text
            .get(..line - 1)
            .unwrap_or_default()
            .matches('\n')
            .count()
            + 1;
        let at = Place { line, column: 1 };
        match insert(after, at, rows, problems) {
            Some(remaining) => rest = remaining,
            None => {
                problems.add(
                    at,
                    "this INSERT cannot be read",
                    "write `INSERT INTO casbin_rule (ptype, v0, …) VALUES ('p', 'alice', …), (…);`",
                );
                return;
            }
        }
    }
}

/// Where the next INSERT begins a line.
fn next_insert(text: &str) -> Option<usize> {
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let blanks = line.len() - line.trim_start().len();
        if keyword(line.trim_start(), "insert").is_some() {
            return Some(offset + blanks);
        }
        offset += line.len();
    }
    None
}

/// Reads one INSERT; gives what follows it.
fn insert<'t>(
    text: &'t str,
    at: Place,
    rows: &mut Vec<String>,
    problems: &mut Problems<'_>,
) -> Option<&'t str> {
    let rest = keyword(text, "insert")?;
    let values = find_keyword(rest, "values")?;
    let head = rest.get(..values)?;
    let columns = head.split_once('(').map(|(_, names)| {
        let names = names.trim_end().trim_end_matches(')');
        names
            .split(',')
            .map(|name| name.trim().to_owned())
            .collect::<Vec<_>>()
    });
    let columns = match columns {
        Some(names) => Some(heading(&names)?),
        None => None,
    };
    let mut rest = rest.get(values + "values".len()..)?;
    loop {
        rest = rest.trim_start().strip_prefix('(')?;
        let (fields, after) = tuple(rest)?;
        let picked = match &columns {
            Some(columns) => pick(&fields, columns),
            None => without_number(fields),
        };
        push(rows, picked, at, problems);
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Some(rest.strip_prefix(';').unwrap_or(rest)),
        }
    }
}

/// The fields of `'a', NULL, 3)`, and what follows the parenthesis.
fn tuple(mut rest: &str) -> Option<(Vec<String>, &str)> {
    let mut fields = Vec::new();
    loop {
        rest = rest.trim_start();
        let (field, after) = match rest.strip_prefix('\'') {
            Some(inner) => literal(inner)?,
            None => {
                let end = rest.find([',', ')'])?;
                let word = rest.get(..end)?.trim();
                let word = if word.eq_ignore_ascii_case("null") {
                    ""
                } else {
                    word
                };
                (word.to_owned(), rest.get(end..)?)
            }
        };
        fields.push(field);
        let after = after.trim_start();
        if let Some(after) = after.strip_prefix(')') {
            return Some((fields, after));
        }
        rest = after.strip_prefix(',')?;
    }
}

/// A text in quotes, which are doubled inside, or written after a backslash.
fn literal(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\'' if text.get(at + 1..)?.starts_with('\'') => {
                characters.next();
                out.push('\'');
            }
            '\'' => return Some((out, text.get(at + 1..)?)),
            '\\' => out.push(characters.next()?.1),
            other => out.push(other),
        }
    }
    None
}

/// What follows a word at the start of a text.
fn keyword<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let start = text.get(..word.len())?;
    let rest = text.get(word.len()..)?;
    (start.eq_ignore_ascii_case(word) && rest.starts_with(|c: char| c.is_whitespace()))
        .then_some(rest)
}

/// Where a word stands alone.
fn find_keyword(text: &str, word: &str) -> Option<usize> {
    let lower = text.to_ascii_lowercase();
    lower.match_indices(word).map(|(at, _)| at).find(|at| {
        let before = lower
            .get(..*at)
            .and_then(|before| before.chars().next_back());
        let after = lower
            .get(at + word.len()..)
            .and_then(|after| after.chars().next());
        let parts = |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || matches!(c, '(' | ')'));
        parts(before) && parts(after)
    })
}

/// Columns `v0`, `v1`, … of the table.
const VALUES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn imported(text: &str) -> Result<String, String> {
        let dump = Source { name: "dump", text };
        import(dump).map_err(|problems| problems[0].to_string())
    }

    #[test]
    fn every_common_form_of_a_dump_is_read() {
        let expected = "p, alice, tax, /a, GET, allow\ng, bob, clerk, tax\n";
        for dump in [
            "id,ptype,v0,v1,v2,v3,v4,v5\n1,p,alice,tax,/a,GET,allow,\n2,g,bob,clerk,tax,,,\n",
            "ptype,v0,v1,v2,v3,v4\np,alice,tax,/a,GET,allow\ng,bob,clerk,tax,,\n",
            "1,p,alice,tax,/a,GET,allow\n2,g,bob,clerk,tax,,\n",
            "p, alice, tax, /a, GET, allow\ng, bob, clerk, tax\n",
            "-- dump\nBEGIN;\nINSERT INTO casbin_rule VALUES (1,'p','alice','tax','/a','GET','allow',NULL),(2,'g','bob','clerk','tax','','','');\nCOMMIT;\n",
            "INSERT INTO `casbin_rule` (`id`, `ptype`, `v0`, `v1`, `v2`, `v3`, `v4`) VALUES\n(1, 'p', 'alice', 'tax', '/a', 'GET', 'allow'),\n(2, 'g', 'bob', 'clerk', 'tax', NULL, NULL);\n",
            "insert into public.casbin_rule (v0, ptype, v1, v2, v3, v4) values ('alice', 'p', 'tax', '/a', 'GET', 'allow');\ninsert into public.casbin_rule (ptype, v0, v1, v2) values ('g', 'bob', 'clerk', 'tax');\n",
        ] {
            assert_eq!(imported(dump).as_deref(), Ok(expected), "{dump}");
        }
    }

    #[test]
    fn texts_keep_their_quotes_and_commas() {
        let dump = "INSERT INTO casbin_rule VALUES (1,'p','it''s, \"x\"','a');\n";
        assert_eq!(imported(dump).as_deref(), Ok("p, \"it's, \"\"x\"\"\", a\n"));
    }

    #[test]
    fn what_is_no_dump_is_refused_with_its_place() {
        for (dump, place) in [
            ("", "dump:1:1"),
            ("x,1,2\n", "dump:1:1"),
            ("p,a\nq,b\n", "dump:2:1"),
            (
                "SELECT 1;\nINSERT INTO casbin_rule VALUES (1,'p','a;\n",
                "dump:2:1",
            ),
            (
                "INSERT INTO casbin_rule (a, b) VALUES (1, 2);\n",
                "dump:1:1",
            ),
        ] {
            assert!(
                imported(dump).is_err_and(|error| error.starts_with(place)),
                "{dump}"
            );
        }
    }
}
