//! Methods, patterns and regular expressions that do not mean what they look like.

use super::finding::{Findings, Severity};
use super::places::{Places, Segment};
use super::question::is_plain;
use super::reach::Sheet;
use crate::engine::expr::{Expr, PatternOf};
use crate::engine::pattern::Matching;
use crate::engine::segments::Whole;
use crate::request::Fact;
use crate::rules::symbols::Symbol;

pub(crate) fn look(sheet: Sheet<'_>, findings: &mut Findings<'_>) {
    for (matching, column, fact) in pattern_columns(sheet) {
        for (row, text) in distinct(sheet, column) {
            if matching == Matching::Regex {
                regex(sheet, row, column, text, findings);
            } else {
                pattern(sheet, (row, column), (matching, fact), text, findings);
            }
        }
    }
    plain_paths(sheet, findings);
    methods(sheet, findings);
    broad(sheet, findings);
}

/// The columns that hold patterns, how they are matched, and with which fact of a request.
fn pattern_columns(sheet: Sheet<'_>) -> Vec<(Matching, usize, Option<Fact>)> {
    let mut columns = Vec::new();
    sheet.section.context.matcher.each(&mut |expr| {
        if let Expr::Match {
            matching,
            value,
            pattern: PatternOf::Rule { column },
        } = expr
        {
            let fact = value
                .as_argument()
                .and_then(|argument| sheet.fact(argument));
            if !columns.iter().any(|(_, known, _)| known == column) {
                columns.push((*matching, *column, fact));
            }
        }
    });
    columns
}

/// Each text of a column with the first row that has it.
pub(crate) fn distinct(sheet: Sheet<'_>, column: usize) -> Vec<(usize, &str)> {
    let mut seen = sheet.policy.symbols.none();
    let new = |row: &usize| {
        let symbol: Option<Symbol> = sheet.symbol(*row, column);
        symbol.is_some_and(|symbol| seen.mark(symbol))
    };
    let rows: Vec<usize> = (0..sheet.len()).filter(new).collect();
    rows.into_iter()
        .map(|row| (row, sheet.text(row, column)))
        .collect()
}

fn regex(sheet: Sheet<'_>, row: usize, column: usize, text: &str, findings: &mut Findings<'_>) {
    let Some(what) = looseness(text) else {
        return;
    };
    let fix = format!(
        "write `^({})$`",
        text.trim_start_matches('^').trim_end_matches('$')
    );
    findings.at_rule(
        sheet,
        row,
        Some(column),
        (Severity::Error, "unanchored-regex"),
        (what, fix),
    );
}

/// What a regular expression matches besides what its author thinks of.
fn looseness(text: &str) -> Option<String> {
    let bare = !text.starts_with('^') && !text.starts_with("\\A");
    let open = !text.ends_with('$') && !text.ends_with("\\z");
    if bare || open {
        let example = match (bare, open) {
            (true, true) => format!("x{text}x"),
            (true, false) => format!("x{text}"),
            (false, _) => format!("{text}x"),
        };
        return Some(format!(
            "regexMatch looks for `{text}` anywhere in the text, so `{}` matches too",
            example.replace(['^', '$'], "")
        ));
    }
    let mut depth = 0_usize;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                characters.next();
            }
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => {
                return Some(format!(
                    "`|` parts the anchors of `{text}`: each alternative is held at one end only"
                ));
            }
            _ => {}
        }
    }
    None
}

fn pattern(
    sheet: Sheet<'_>,
    (row, column): (usize, usize),
    (matching, fact): (Matching, Option<Fact>),
    text: &str,
    findings: &mut Findings<'_>,
) {
    if fact == Some(Fact::Path)
        && let Some((what, fix)) = unreachable(text, findings.refused)
    {
        findings.at_rule(
            sheet,
            row,
            Some(column),
            (Severity::Warning, "unreachable-path"),
            (
                format!("no request's path is ever `{text}`: {what}"),
                fix.to_owned(),
            ),
        );
        return;
    }
    if matching.has_segments() && text.starts_with('/') && Whole::parse(matching, text).is_none() {
        let (what, fix) = if text.contains('.') {
            (
                "`.` stands for any character",
                "write `:name` for the whole segment, or know that more matches",
            )
        } else if text.trim_end_matches("/*").contains('*') {
            (
                "`*` before the end stands for many segments",
                "write `:name` for one segment",
            )
        } else {
            (
                "it is read as a regular expression",
                "write whole segments: `/a/:id`, `/a/*`",
            )
        };
        findings.at_rule(
            sheet,
            row,
            Some(column),
            (Severity::Warning, "wide-pattern"),
            (
                format!("`{text}` matches more than it looks like: {what}"),
                fix.to_owned(),
            ),
        );
    }
}

/// Why the gateway never asks for such a path: it judges canonical ones, with their escapes undone.
fn unreachable(text: &str, refused: fn(char) -> bool) -> Option<(&'static str, &'static str)> {
    if text == "*" || text.starts_with("*/") {
        return None;
    }
    if !text.starts_with('/') {
        return Some(("a path begins with `/`", "begin it with `/`"));
    }
    if text.contains("//") {
        return Some(("paths with empty segments are refused", "remove one `/`"));
    }
    if text.contains('%') {
        return Some((
            "a path is judged with its escapes undone",
            "write the character itself",
        ));
    }
    if text.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Some((
            "paths with dot segments are refused",
            "write the path that is meant",
        ));
    }
    if text.split('/').any(|segment| segment.ends_with(['.', ' '])) {
        return Some((
            "segments that end in a dot or a space are refused",
            "remove the dot or the space",
        ));
    }
    if text.chars().any(refused) {
        return Some((
            "the gateway refuses paths with full-width, combining or invisible characters",
            "write the plain or composed (NFC) character",
        ));
    }
    if text.contains(['\\', ';', '#', '?']) {
        return Some((
            "paths with `\\`, `;`, `#` are refused, and a query is not part of the path",
            "remove it",
        ));
    }
    None
}

/// Paths that are compared letter by letter and never asked for.
fn plain_paths(sheet: Sheet<'_>, findings: &mut Findings<'_>) {
    let Some(argument) = sheet.argument(Fact::Path) else {
        return;
    };
    let Some(column) = sheet.column_of(argument) else {
        return;
    };
    let is_pattern = |(_, other, _): &(Matching, usize, Option<Fact>)| *other == column;
    if is_plain(sheet, argument) || pattern_columns(sheet).iter().any(is_pattern) {
        return;
    }
    for (row, text) in distinct(sheet, column) {
        if let Some((what, fix)) = unreachable(text, findings.refused) {
            let what = format!("no request's path is ever `{text}`: {what}");
            let kind = (Severity::Warning, "unreachable-path");
            findings.at_rule(sheet, row, Some(column), kind, (what, fix.to_owned()));
        }
    }
}

/// Methods that no request carries.
fn methods(sheet: Sheet<'_>, findings: &mut Findings<'_>) {
    let argument = sheet.argument(Fact::Method);
    let column = argument.and_then(|argument| sheet.column_of(argument));
    let (Some(argument), Some(column)) = (argument, column) else {
        return;
    };
    // `alice, data1, read` is about names, and no gateway is meant.
    let path = sheet.argument(Fact::Path);
    if is_plain(sheet, argument) && path.is_none_or(|path| is_plain(sheet, path)) {
        return;
    }
    if pattern_columns(sheet)
        .iter()
        .any(|(_, other, _)| *other == column)
    {
        return;
    }
    for (row, text) in distinct(sheet, column) {
        if METHODS.contains(&text) || text == "*" {
            continue;
        }
        let upper = text.to_ascii_uppercase();
        let meant = METHODS.iter().find(|known| **known == upper).or_else(|| {
            let capitals = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase());
            let near = |known: &&&str| distance(known, text) <= 1 + usize::from(known.len() > 4);
            METHODS.iter().find(near).filter(|_| capitals)
        });
        let fix = match meant {
            Some(meant) => format!("write `{meant}`"),
            None => "write a method of HTTP, such as `GET`, or `*`".to_owned(),
        };
        let what = format!("no request has the method `{text}`, so this rule never matches");
        findings.at_rule(
            sheet,
            row,
            Some(column),
            (Severity::Error, "method-typo"),
            (what, fix),
        );
    }
}

/// Changes of one letter that lead from one text to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(&b) {
            let above = *cell;
            *cell = (diagonal + usize::from(from != *to))
                .min(above + 1)
                .min(left + 1);
            diagonal = above;
            left = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Rules that allow every method on every path.
fn broad(sheet: Sheet<'_>, findings: &mut Findings<'_>) {
    let (Some(path), Some(method)) = (sheet.argument(Fact::Path), sheet.argument(Fact::Method))
    else {
        return;
    };
    let clauses = sheet.clauses();
    for row in (0..sheet.len()).filter(|row| !sheet.denies(*row)) {
        let everything = sheet.reaches(row, &clauses).iter().any(|reach| {
            let all = |argument: usize| reach.sides.get(argument).is_some_and(is_everything);
            reach.rest.is_empty() && all(path) && all(method)
        });
        if everything {
            let what =
                "allows every method on every path, also on those that are added later".to_owned();
            let fix = "name the paths and methods that are needed".to_owned();
            findings.at_rule(
                sheet,
                row,
                None,
                (Severity::Warning, "over-broad"),
                (what, fix),
            );
        }
    }
}

/// Whether every value of an argument is meant.
fn is_everything(side: &super::reach::Side<'_>) -> bool {
    use super::reach::Side;
    match side {
        Side::Any => true,
        Side::Like(Places::Prefix(prefix)) => matches!(*prefix, "" | "/"),
        Side::Like(Places::Segments { parts, open }) => {
            *open && parts.iter().all(|part| *part == Segment::Some)
        }
        Side::Like(Places::Opaque(_, text)) => matches!(*text, "*" | ".*" | "^.*$"),
        Side::Like(Places::One(_)) | Side::Is(..) | Side::Holds { .. } => false,
    }
}

/// Methods that requests carry: those of RFC 9110 and PATCH of RFC 5789.
pub(crate) const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_counted_in_letters() {
        for (a, b, expected) in [
            ("GET", "GET", 0),
            ("GET", "GTE", 2),
            ("DELETE", "DELTE", 1),
            ("POST", "PUT", 2),
            ("", "GET", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn loose_expressions_are_told_from_tight_ones() {
        for (text, loose) in [
            ("GET", true),
            ("^GET", true),
            ("GET$", true),
            ("^GET$", false),
            ("^(GET|PUT)$", false),
            ("^GET$|^PUT$", true),
            (r"^a\|b$", false),
            ("^[|]$", false),
        ] {
            assert_eq!(looseness(text).is_some(), loose, "{text}");
        }
    }
}
