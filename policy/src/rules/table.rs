//! The rows of a policy, by section, as numbers.

use super::csv::{Field, split};
use super::symbols::{Symbol, Symbols};
use crate::bounds::{ROWS_MAX, RULES_BYTES_MAX};
use crate::problem::{Place, Problems, Source};

/// What one section's rows look like.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// The first field of its rows: `p`, `p2`, `g`, `g2` …
    pub(crate) name: String,
    /// What the fields after it are called, in order.
    pub(crate) columns: Vec<String>,
    /// Which of them holds `allow` or `deny`.
    pub(crate) effect: Option<usize>,
    /// Which of them holds a whole number by which rows are ordered.
    pub(crate) priority: Option<usize>,
}

/// The rows of one section, in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    width: usize,
    fields: Vec<Symbol>,
    lines: Vec<u32>,
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The fields of a row; empty beyond the last.
    pub(crate) fn row(&self, row: usize) -> &[Symbol] {
        self.fields
            .get(row * self.width..(row + 1) * self.width)
            .unwrap_or_default()
    }

    /// Reads the ends of a row, so that it is in the cache when it is compared.
    #[inline]
    pub(crate) fn touch(&self, row: usize) -> u32 {
        match self.row(row) {
            [first, .., last] => first.0 ^ last.0,
            _ => 0,
        }
    }

    /// One field of a row.
    pub(crate) fn field(&self, row: usize, column: usize) -> Option<Symbol> {
        self.row(row).get(column).copied()
    }

    /// The line of a row in its file, counted from 1.
    pub(crate) fn line(&self, row: usize) -> usize {
        self.lines.get(row).copied().unwrap_or_default() as usize
    }

    pub(crate) fn bytes(&self) -> usize {
        self.fields.capacity() * size_of::<Symbol>() + self.lines.capacity() * size_of::<u32>()
    }

    /// Puts the rows in the order of `key`; equal ones stay as they are.
    pub(crate) fn sort_by_key(&mut self, key: impl Fn(&[Symbol]) -> i64) {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|row| key(self.row(*row)));
        let fields = order
            .iter()
            .flat_map(|row| self.row(*row).to_vec())
            .collect();
        let lines = order
            .iter()
            .filter_map(|row| self.lines.get(*row).copied())
            .collect();
        self.fields = fields;
        self.lines = lines;
    }
}

/// The lines of a policy, each with its number; none, and a problem, if the policy is too large.
pub(crate) fn lines<'a>(
    source: Source<'a>,
    problems: &mut Problems<'_>,
) -> impl Iterator<Item = (usize, &'a str)> + use<'a> {
    let text = if source.text.len() > RULES_BYTES_MAX {
        problems.add(
            Place { line: 1, column: 1 },
            format!("policy is larger than {RULES_BYTES_MAX} bytes"),
            "split it by organisation",
        );
        ""
    } else {
        source.text
    };
    let lines = text.split('\n').enumerate();
    lines.map(|(index, line)| (index + 1, line.strip_suffix('\r').unwrap_or(line)))
}

/// Reads the lines of a policy: the rows of each shape, in the order of `shapes`.
pub(crate) fn read<'a>(
    lines: impl Iterator<Item = (usize, &'a str)>,
    shapes: &[Shape],
    symbols: &mut Symbols,
    problems: &mut Problems<'_>,
) -> Vec<Rows> {
    let mut tables: Vec<Rows> = shapes
        .iter()
        .map(|shape| Rows {
            width: shape.columns.len(),
            ..Rows::default()
        })
        .collect();
    let mut fields: Vec<Field<'_>> = Vec::new();
    for (number, line) in lines {
        if problems.is_full() {
            break;
        }
        if !split(line, number, &mut fields, problems) {
            continue;
        }
        let Some((first, values)) = fields.split_first() else {
            continue;
        };
        let known = shapes
            .iter()
            .zip(&mut tables)
            .find(|(shape, _)| shape.name == first.text);
        match known {
            Some((shape, rows)) => add(rows, shape, values, number, symbols, problems),
            None => unknown(first, number, shapes, problems),
        }
    }
    for rows in &mut tables {
        rows.fields.shrink_to_fit();
        rows.lines.shrink_to_fit();
    }
    tables
}

fn add(
    rows: &mut Rows,
    shape: &Shape,
    values: &[Field<'_>],
    line: usize,
    symbols: &mut Symbols,
    problems: &mut Problems<'_>,
) {
    let at = |column| Place { line, column };
    if values.len() != shape.columns.len() {
        let surplus = values.get(shape.columns.len()).map_or(1, |f| f.column);
        problems.add(
            at(surplus),
            format!(
                "row has {} fields after `{}`, the model wants {}",
                values.len(),
                shape.name,
                shape.columns.len()
            ),
            format!("write `{}, {}`", shape.name, shape.columns.join(", ")),
        );
        return;
    }
    if let Some(field) = shape.effect.and_then(|column| values.get(column))
        && field.text != "allow"
        && field.text != "deny"
    {
        problems.add(
            at(field.column),
            format!("`{}` is no effect, casbin would ignore the row", field.text),
            "write `allow` or `deny`, in lower case",
        );
        return;
    }
    if let Some(field) = shape.priority.and_then(|column| values.get(column))
        && field.text.parse::<i64>().is_err()
    {
        problems.add(
            at(field.column),
            format!("priority `{}` is not a whole number", field.text),
            "write for example `10`; the smallest is decided first",
        );
        return;
    }
    if shape.name.starts_with('g')
        && let Some(field) = values.iter().find(|field| field.text.is_empty())
    {
        problems.add(
            at(field.column),
            format!("a field of this `{}` row is empty", shape.name),
            "write the name; was the file cut off",
        );
        return;
    }
    let Ok(number) = u32::try_from(line) else {
        return;
    };
    if rows.len() >= ROWS_MAX {
        problems.add(
            at(1),
            format!("more than {ROWS_MAX} rows of `{}`", shape.name),
            "split the policy by organisation",
        );
        return;
    }
    let before = rows.fields.len();
    rows.fields
        .extend(values.iter().map_while(|field| symbols.intern(&field.text)));
    if rows.fields.len() != before + values.len() {
        rows.fields.truncate(before);
        problems.add(
            at(1),
            "texts of the policy take more than 4 GiB",
            "split the policy by organisation",
        );
        return;
    }
    rows.lines.push(number);
}

fn unknown(first: &Field<'_>, line: usize, shapes: &[Shape], problems: &mut Problems<'_>) {
    let names: Vec<_> = shapes.iter().map(|shape| shape.name.as_str()).collect();
    problems.add(
        Place {
            line,
            column: first.column,
        },
        format!(
            "row type `{}` is not in the model, casbin would ignore the row",
            first.text
        ),
        format!("start the row with one of `{}`", names.join("`, `")),
    );
}
