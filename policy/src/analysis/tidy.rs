//! A policy file in its one tidy form: fields parted by a comma and aligned, comments and empty lines kept.

use crate::problem::{Problem, Problems, Source};
use crate::rules::csv::{self, Field};

/// The text in its tidy form: the same rows in the same order.
///
/// Rows of one kind that follow one another without an empty line or a comment between are aligned.
///
/// # Errors
/// What cannot be read as a policy row.
pub fn tidy(rules: Source<'_>) -> Result<String, Vec<Problem>> {
    let mut problems = Problems::new(rules.name);
    let mut out = String::with_capacity(rules.text.len() + rules.text.len() / 8);
    let mut block: Vec<Vec<String>> = Vec::new();
    let text = rules.text.strip_suffix('\n').unwrap_or(rules.text);
    for (number, line) in (1..).zip(text.split('\n')) {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let mut fields: Vec<Field<'_>> = Vec::new();
        if csv::split(line, number, &mut fields, &mut problems) {
            let fields: Vec<_> = fields.iter().map(|field| quoted(&field.text)).collect();
            if block
                .last()
                .is_some_and(|last| last.first() != fields.first())
            {
                write(&mut block, &mut out);
            }
            block.push(fields);
        } else {
            write(&mut block, &mut out);
            out.push_str(line.trim());
            out.push('\n');
        }
    }
    write(&mut block, &mut out);
    if problems.is_empty() {
        Ok(out)
    } else {
        Err(problems.into_vec())
    }
}

/// Writes rows with their fields aligned. Blanks stand behind the comma, where both casbins leave them out.
fn write(block: &mut Vec<Vec<String>>, out: &mut String) {
    let mut widths: Vec<usize> = Vec::new();
    for row in block.iter() {
        for (index, field) in row.iter().enumerate() {
            let width = width(field);
            match widths.get_mut(index) {
                Some(widest) if width <= WIDTH_MAX => *widest = (*widest).max(width),
                Some(_) => {}
                None => widths.push(width.min(WIDTH_MAX)),
            }
        }
    }
    for row in block.drain(..) {
        let last = row.len().saturating_sub(1);
        for (index, (field, widest)) in row.iter().zip(&widths).enumerate() {
            out.push_str(field);
            if index < last {
                out.push_str(", ");
                let blanks = widest.saturating_sub(width(field));
                out.extend(std::iter::repeat_n(' ', blanks));
            }
        }
        out.push('\n');
    }
}

/// Columns on a terminal: a Chinese character takes two.
fn width(text: &str) -> usize {
    let wide = |c: char| matches!(u32::from(c), 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6);
    text.chars().map(|c| if wide(c) { 2 } else { 1 }).sum()
}

/// A field as it must be written so that it is read back.
pub(crate) fn quoted(field: &str) -> String {
    let plain =
        !field.contains([',', '"', '#']) && field.trim() == field && !field.starts_with('#');
    if plain {
        return field.to_owned();
    }
    format!("\"{}\"", field.replace('"', "\"\""))
}

/// Fields wider than this do not push the others of their column aside.
const WIDTH_MAX: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tidied(text: &str) -> String {
        tidy(Source {
            name: "policy.csv",
            text,
        })
        .unwrap()
    }

    #[test]
    fn rows_are_aligned_and_the_rest_is_kept() {
        let text = "# who\n\np,clerk,tax,/a,GET,allow\n  p, 张三,  tax, /a/b, *, deny\r\ng, alice,clerk,tax\n  # end  \n";
        let expected = "# who\n\np, clerk, tax, /a,   GET, allow\np, 张三,  tax, /a/b, *,   deny\ng, alice, clerk, tax\n# end\n";
        assert_eq!(tidied(text), expected);
    }

    #[test]
    fn a_row_that_cannot_be_read_is_a_problem() {
        let refused = tidy(Source {
            name: "policy.csv",
            text: "p, a, \"b\n",
        });
        assert_eq!(refused.unwrap_err()[0].line, 1);
    }

    fn field() -> impl Strategy<Value = String> {
        prop::collection::vec(
            prop::sample::select(vec!["a", " ", ",", "\"", "#", "/x", "张", "="]),
            0..6,
        )
        .prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn what_is_written_reads_back_as_the_same_fields_and_is_tidy(rows in prop::collection::vec(prop::collection::vec(field(), 1..5), 1..5)) {
            let line = |row: &Vec<String>| {
                let fields: Vec<_> = row.iter().map(|field| quoted(field)).collect();
                format!("p, {}", fields.join(", "))
            };
            let text: Vec<_> = rows.iter().map(line).collect();
            let once = tidied(&text.join("\n"));
            prop_assert_eq!(&tidied(&once), &once);
            for (line, row) in once.lines().zip(&rows) {
                let mut fields = Vec::new();
                let mut problems = Problems::new("p");
                csv::split(line, 1, &mut fields, &mut problems);
                let read: Vec<_> = fields.iter().skip(1).map(|field| field.text.to_string()).collect();
                prop_assert_eq!(&read, row);
            }
        }
    }
}
