//! One line of `policy.csv` into fields, exactly as Go casbin reads it, or a problem.
//!
//! Go trims the line and what precedes a field, and reads RFC 4180 quotes. Rust trims both sides and reads quotes
//! differently. Where the two would read different fields, or a text that looks like a comment would become part of
//! a value, the line is refused.

use crate::bounds::{FIELDS_MAX, LINE_BYTES_MAX};
use crate::problem::{Place, Problems};
use std::borrow::Cow;

/// A field's text and where it starts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Field<'a> {
    pub(crate) text: Cow<'a, str>,
    /// The column in characters, counted from 1.
    pub(crate) column: usize,
}

/// The fields of one line into `fields`; `false` when the line holds none, or a problem.
pub(crate) fn split<'a>(
    line: &'a str,
    number: usize,
    fields: &mut Vec<Field<'a>>,
    problems: &mut Problems<'_>,
) -> bool {
    fields.clear();
    if let Err((offset, what, fix)) = fields_of(line, fields) {
        let before = line.get(..offset).unwrap_or_default();
        let at = Place {
            line: number,
            column: 1 + before.chars().count(),
        };
        problems.add(at, what, fix);
        return false;
    }
    !fields.is_empty()
}

type Refused = (usize, String, String);

fn fields_of<'a>(line: &'a str, fields: &mut Vec<Field<'a>>) -> Result<(), Refused> {
    if line.len() > LINE_BYTES_MAX {
        return Err(refused(
            0,
            format!("line is longer than {LINE_BYTES_MAX} bytes"),
            "split the rule",
        ));
    }
    check_characters(line)?;
    let text = line.trim_ascii_end();
    let mut at = indent(text, 0);
    let body = text.get(at..).unwrap_or_default();
    if body.is_empty() || body.starts_with('#') {
        return Ok(());
    }
    let ascii = line.is_ascii();
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let (field, end) = if rest.starts_with('"') {
            quoted(text, at)?
        } else {
            plain(text, at)?
        };
        if fields.len() == FIELDS_MAX {
            return Err(refused(
                at,
                format!("more than {FIELDS_MAX} fields"),
                "remove some",
            ));
        }
        let column = 1 + if ascii {
            at
        } else {
            text.get(..at).unwrap_or_default().chars().count()
        };
        fields.push(Field {
            text: field,
            column,
        });
        if end >= text.len() {
            return Ok(());
        }
        at = indent(text, end + 1);
    }
}

/// Tabs and blanks from `start` on are skipped.
fn indent(text: &str, start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    start + (rest.len() - rest.trim_ascii_start().len())
}

/// Characters that a reader of the file does not see as what they are.
fn check_characters(line: &str) -> Result<(), Refused> {
    let odd = |b: u8| (b < b' ' && b != b'\t') || b >= 0x7f;
    // Without a way out of the loop it is done sixteen bytes at a time.
    if !line.bytes().fold(false, |found, b| found | odd(b)) {
        return Ok(());
    }
    for (offset, c) in line.char_indices() {
        if c == '\u{feff}' {
            return Err(refused(
                offset,
                "byte order mark".to_owned(),
                "save the file as UTF-8 without one",
            ));
        }
        if c.is_control() && c != '\t' {
            return Err(refused(
                offset,
                format!("control character {c:?}"),
                "remove it",
            ));
        }
        if !c.is_ascii() && c.is_whitespace() {
            return Err(refused(
                offset,
                format!("{c:?} looks like a blank but is not one to casbin"),
                "replace it by a plain blank, or remove it",
            ));
        }
    }
    Ok(())
}

/// An unquoted field that starts at `at`, and where its comma or the line's end stands.
fn plain(text: &str, at: usize) -> Result<(Cow<'_, str>, usize), Refused> {
    let rest = text.get(at..).unwrap_or_default();
    let mut end = rest.len();
    let mut before = 0;
    for (offset, byte) in rest.bytes().enumerate() {
        match byte {
            b',' => {
                end = offset;
                break;
            }
            b'"' => {
                return Err(refused(
                    at + offset,
                    "quote `\"` inside an unquoted field, which Go casbin refuses".to_owned(),
                    "quote the whole field and double the quotes in it",
                ));
            }
            b'#' if before == b' ' || before == b'\t' => {
                return Err(refused(
                    at + offset,
                    "`#` after a value starts no comment, casbin makes it part of the value"
                        .to_owned(),
                    "put the comment on its own line, or quote the field",
                ));
            }
            _ => before = byte,
        }
    }
    let field = rest.get(..end).unwrap_or_default();
    let trimmed = field.trim_ascii_end();
    if trimmed.len() < field.len() {
        return Err(refused(
            at + trimmed.len(),
            "blank before the comma, which Go casbin keeps as part of the value".to_owned(),
            "remove it",
        ));
    }
    Ok((Cow::Borrowed(field), at + end))
}

/// A quoted field that starts at `at`, and where its comma or the line's end stands.
fn quoted(text: &str, at: usize) -> Result<(Cow<'_, str>, usize), Refused> {
    let body = at + 1;
    let mut from = body;
    loop {
        let rest = text.get(from..).unwrap_or_default();
        let Some(quote) = rest.find('"') else {
            return Err(refused(
                at,
                "quote `\"` is never closed".to_owned(),
                "close it",
            ));
        };
        let end = from + quote;
        let after = text.get(end + 1..).unwrap_or_default();
        if after.starts_with('"') {
            from = end + 2;
            continue;
        }
        if !after.is_empty() && !after.starts_with(',') {
            return Err(refused(
                end + 1,
                "text after a closing quote".to_owned(),
                "put the whole field into the quotes, the comma right after",
            ));
        }
        let inner = text.get(body..end).unwrap_or_default();
        let field = if inner.contains("\"\"") {
            Cow::Owned(inner.replace("\"\"", "\""))
        } else {
            Cow::Borrowed(inner)
        };
        return Ok((field, end + 1));
    }
}

fn refused(offset: usize, what: String, fix: &str) -> Refused {
    (offset, what, fix.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Vec<String>, String> {
        let mut problems = Problems::new("p");
        let mut fields = Vec::new();
        split(line, 1, &mut fields, &mut problems);
        match problems.into_vec().first() {
            Some(problem) => Err(problem.to_string()),
            None => Ok(fields.into_iter().map(|f| f.text.into_owned()).collect()),
        }
    }

    #[test]
    fn fields_are_those_that_go_reads() {
        for (line, fields) in [
            ("p, alice, /x, GET", vec!["p", "alice", "/x", "GET"]),
            ("  p,alice,\t/x,  GET  ", vec!["p", "alice", "/x", "GET"]),
            ("p, \"a, b\", \" c \"", vec!["p", "a, b", " c "]),
            (
                "p, \"r.sub.Name == \"\"bob\"\"\", x",
                vec!["p", "r.sub.Name == \"bob\"", "x"],
            ),
            ("p, \"a # b\", x", vec!["p", "a # b", "x"]),
            ("p, a#b, x", vec!["p", "a#b", "x"]),
            ("p, , x", vec!["p", "", "x"]),
            ("p, x,", vec!["p", "x", ""]),
            ("p, 张三, /资料/*, 读", vec!["p", "张三", "/资料/*", "读"]),
            ("p, a b c, x", vec!["p", "a b c", "x"]),
            ("# p, x", vec![]),
            ("   ", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(
                read(line),
                Ok(fields.into_iter().map(String::from).collect()),
                "{line:?}"
            );
        }
    }

    #[test]
    fn what_the_two_casbins_read_differently_is_refused() {
        for (line, expected) in [
            ("p, alice , x", "p:1:9: blank before the comma"),
            ("p, alice, deny # note", "p:1:16: `#` after a value"),
            ("p, alice, #", "ok"),
            (
                "p, r.n == \"bob\", x",
                "p:1:11: quote `\"` inside an unquoted field",
            ),
            ("p, \"bob\" x, y", "p:1:9: text after a closing quote"),
            ("p, \"bob, y", "p:1:4: quote `\"` is never closed"),
            ("\u{feff}p, alice, x", "p:1:1: byte order mark"),
            ("p, al\u{a0}ice, x", "p:1:6: '\\u{a0}' looks like a blank"),
            ("p, al\rice, x", "p:1:6: control character '\\r'"),
            ("p, al\0ice, x", "p:1:6: control character '\\0'"),
        ] {
            match read(line) {
                Ok(_) => assert_eq!(expected, "ok", "{line:?}"),
                Err(problem) => assert!(problem.starts_with(expected), "{line:?}: {problem}"),
            }
        }
    }

    #[test]
    fn a_line_is_bounded() {
        assert!(
            read(&"a".repeat(LINE_BYTES_MAX + 1))
                .unwrap_err()
                .contains("longer than")
        );
        assert!(
            read(&",".repeat(FIELDS_MAX))
                .unwrap_err()
                .contains("more than 33 fields")
        );
    }
}
