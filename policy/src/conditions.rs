//! What rows bring besides texts: patterns, and conditions for `eval()`; each compiled once, at load.

use crate::bounds::{COMPILED_BYTES_MAX, COMPILED_MAX, CONDITION_NODES_MAX, CONDITIONS_MAX};
use crate::engine::eval::Conditions;
use crate::engine::expr::{Expr, PatternOf};
use crate::engine::extract::Extraction;
use crate::engine::pattern::{Matching, Patterns};
use crate::model::check::{Context, Relation, condition};
use crate::model::conf::Phrase;
use crate::model::resolve::{Origin, Resolver};
use crate::problem::{Place, Problems, Source};
use crate::rules::csv;
use crate::rules::symbols::{Marks, Symbol, Symbols};
use crate::rules::table::Rows;

/// Compiles the conditions of the columns that the matcher gives to `eval()`.
pub(crate) fn compile_conditions(
    context: &Context,
    relations: &[Relation],
    rows: &Rows,
    source: Source<'_>,
    symbols: &mut Symbols,
    patterns: &mut Patterns,
    problems: &mut Problems<'_>,
) -> Conditions {
    let mut conditions = Conditions::default();
    let mut parts = 0_usize;
    for column in eval_columns(&context.matcher) {
        for (symbol, row) in distinct(rows, column, symbols) {
            if conditions.contains_key(&symbol) {
                continue;
            }
            if problems.is_full() {
                return conditions;
            }
            if conditions.len() >= CONDITIONS_MAX || parts > CONDITION_NODES_MAX {
                problems.add(
                    field_place(source, rows.line(row), column),
                    format!(
                        "more than {CONDITIONS_MAX} different conditions, or {CONDITION_NODES_MAX} parts of them"
                    ),
                    "compare attributes in the matcher instead",
                );
                return conditions;
            }
            let mut compile = |at: Place, problems: &mut Problems<'_>| {
                let phrase = Phrase::new(symbols.text(symbol), at);
                condition(&mut Resolver {
                    number: context.number,
                    origin: Origin::Row,
                    binding: context.binding,
                    arguments: &context.arguments,
                    columns: &context.shape.columns,
                    relations,
                    symbols,
                    patterns,
                    phrase: &phrase,
                    problems,
                })
            };
            // Where the field stands takes a walk through the file, and is asked only for a problem.
            let nowhere = Place { line: 0, column: 0 };
            match compile(nowhere, &mut Problems::new(source.name)) {
                Some(expr) => {
                    expr.each(&mut |_| parts += 1);
                    conditions.insert(symbol, expr);
                }
                None => {
                    compile(field_place(source, rows.line(row), column), problems);
                }
            }
        }
    }
    conditions
}

/// Checks each pattern of the columns that the matcher or a condition takes as patterns, and compiles those that
/// need it.
pub(crate) fn compile_patterns(
    exprs: &[&Expr],
    rows: &Rows,
    source: Source<'_>,
    symbols: &Symbols,
    patterns: &mut Patterns,
    problems: &mut Problems<'_>,
) {
    for (extraction, column) in extraction_columns(exprs) {
        for (symbol, row) in distinct(rows, column, symbols) {
            if let Err((what, fix)) = extraction.check(symbols.text(symbol)) {
                problems.add(field_place(source, rows.line(row), column), what, fix);
            }
            if problems.is_full() {
                return;
            }
        }
    }
    for (matching, column) in pattern_columns(exprs) {
        for (symbol, row) in distinct(rows, column, symbols) {
            let mut added = patterns.add(matching, symbol, symbols);
            if patterns.compiled() > COMPILED_MAX || patterns.bytes() > COMPILED_BYTES_MAX {
                added = Err((
                    format!(
                        "more than {COMPILED_MAX} patterns, or {COMPILED_BYTES_MAX} bytes of them, have to be compiled"
                    ),
                    "write paths in whole segments: `/a/:id`, `/a/*`".to_owned(),
                ));
            }
            if let Err((what, fix)) = added {
                problems.add(field_place(source, rows.line(row), column), what, fix);
            }
            if problems.is_full()
                || patterns.compiled() > COMPILED_MAX
                || patterns.bytes() > COMPILED_BYTES_MAX
            {
                return;
            }
        }
    }
}

/// The columns that the matcher gives to `eval()`.
pub(crate) fn eval_columns(matcher: &Expr) -> Vec<usize> {
    let mut columns = Vec::new();
    matcher.each(&mut |expr| {
        if let Expr::Eval { column } = expr {
            columns.push(*column);
        }
    });
    columns.sort_unstable();
    columns.dedup();
    columns
}

fn extraction_columns(exprs: &[&Expr]) -> Vec<(Extraction, usize)> {
    let mut columns = Vec::new();
    for expr in exprs {
        expr.each(&mut |expr| {
            if let Expr::Extract {
                extraction,
                pattern: PatternOf::Rule { column },
                ..
            } = expr
                && !columns.contains(&(*extraction, *column))
            {
                columns.push((*extraction, *column));
            }
        });
    }
    columns
}

fn pattern_columns(exprs: &[&Expr]) -> Vec<(Matching, usize)> {
    let mut columns = Vec::new();
    for expr in exprs {
        expr.each(&mut |expr| {
            if let Expr::Match {
                matching,
                pattern: PatternOf::Rule { column },
                ..
            } = expr
                && !columns.contains(&(*matching, *column))
            {
                columns.push((*matching, *column));
            }
        });
    }
    columns
}

/// What rows have in the columns where matchers ask for a role of the relation number `relation`.
pub(crate) fn named_by_rules(
    relation: usize,
    exprs: &[(&Expr, &Rows)],
    symbols: &Symbols,
) -> Marks {
    let mut named = symbols.none();
    for (expr, rows) in exprs {
        let mut columns = Vec::new();
        expr.each(&mut |expr| {
            if let Expr::Role {
                relation: asked,
                role,
                ..
            } = expr
                && *asked == relation
                && let Expr::Rule { column } = **role
            {
                columns.push(column);
            }
        });
        for column in columns {
            for row in 0..rows.len() {
                rows.field(row, column).map(|symbol| named.mark(symbol));
            }
        }
    }
    named
}

/// The symbols of a column, each with the first row that holds it.
pub(crate) fn distinct(rows: &Rows, column: usize, symbols: &Symbols) -> Vec<(Symbol, usize)> {
    let mut seen = symbols.none();
    (0..rows.len())
        .filter_map(|row| Some((rows.field(row, column)?, row)))
        .filter(|(symbol, _)| seen.mark(*symbol))
        .collect()
}

/// Where a field of a row stands in the file; the row's type is not counted among the fields.
pub(crate) fn field_place(source: Source<'_>, line: usize, column: usize) -> Place {
    let text = source.text.split('\n').nth(line.saturating_sub(1));
    let mut fields = Vec::new();
    let mut ignored = Problems::new(source.name);
    csv::split(text.unwrap_or_default(), line, &mut fields, &mut ignored);
    Place {
        line,
        column: fields.get(column + 1).map_or(1, |field| field.column),
    }
}
