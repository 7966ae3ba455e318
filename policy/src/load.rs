//! Compiling: the model's text, then the rules', then patterns and roles.

use crate::bounds::{ARGUMENTS_MAX, REGEXES_MAX};
use crate::engine::eval::Patterns;
use crate::engine::expr::{Expr, PatternOf};
use crate::engine::pattern::{Matching, Pattern};
use crate::engine::roles::Roles;
use crate::model::check::{self, Context, Model};
use crate::model::conf;
use crate::policy::{Policy, RelationTable, Section};
use crate::problem::{Place, Problem, Problems, Source};
use crate::request::Fact;
use crate::rules::symbols::{Symbol, Symbols};
use crate::rules::table::{self, Rows, Shape};
use std::collections::hash_map::Entry;

/// How arguments of a request get their meaning.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Binding {
    /// By the names of the model's `r`, each a fact that a gateway knows.
    Named,
    /// By their order, whatever they are called.
    Positional,
}

/// Compiles a model and its rules.
pub(crate) fn compile(
    model: Source<'_>,
    rules: Source<'_>,
    binding: Binding,
) -> Result<Policy, Vec<Problem>> {
    let mut symbols = Symbols::default();
    let mut problems = Problems::new(model.name);
    let definitions = conf::parse(model, &mut problems);
    let checked = check::check(&definitions, &mut symbols, &mut problems);
    let facts: Vec<_> = checked
        .contexts
        .iter()
        .map(|context| facts(context, binding, &mut problems))
        .collect();
    if !problems.is_empty() {
        return Err(problems.into_vec());
    }
    let mut problems = Problems::new(rules.name);
    let shapes = shapes(&checked);
    let mut tables = table::read(rules, &shapes, &mut symbols, &mut problems);
    let role_rows = tables.split_off(checked.contexts.len().min(tables.len()));
    let mut patterns = Patterns::new();
    for (context, rows) in checked.contexts.iter().zip(&mut tables) {
        order(context, rows, &symbols);
        compile_patterns(context, rows, &symbols, &mut patterns, &mut problems);
    }
    let relations: Vec<_> = checked
        .relations
        .into_iter()
        .zip(role_rows)
        .map(|(relation, rows)| RelationTable {
            name: relation.name,
            in_domains: relation.in_domains,
            rows,
        })
        .collect();
    let roles = relations
        .iter()
        .map(|relation| Roles::resolve(&relation.name, &relation.rows, &symbols, &mut problems))
        .collect();
    if !problems.is_empty() {
        return Err(problems.into_vec());
    }
    Ok(Policy {
        model_name: model.name.to_owned(),
        rules_name: rules.name.to_owned(),
        sections: sections(checked.contexts, tables, facts, &symbols),
        symbols,
        relations,
        roles,
        patterns,
    })
}

fn facts(context: &Context, binding: Binding, problems: &mut Problems<'_>) -> Vec<Fact> {
    if let Some((name, at)) = context.arguments.get(ARGUMENTS_MAX) {
        problems.add(
            *at,
            format!("`{name}` is one request argument too many, at most {ARGUMENTS_MAX} are taken"),
            "remove some",
        );
    }
    let mut facts = Vec::new();
    if binding == Binding::Positional {
        return facts;
    }
    for (name, at) in &context.arguments {
        match Fact::named(name) {
            Some(fact) => facts.push(fact),
            None => problems.add(
                *at,
                format!("the gateway knows no request argument `{name}`"),
                format!("use one of `{}`", Fact::names()),
            ),
        }
    }
    facts
}

fn shapes(model: &Model) -> Vec<Shape> {
    let rules = model.contexts.iter().map(|context| context.shape.clone());
    let roles = model.relations.iter().map(|relation| {
        let mut columns = vec!["name".to_owned(), "role".to_owned()];
        if relation.in_domains {
            columns.push("domain".to_owned());
        }
        Shape {
            name: relation.name.clone(),
            columns,
            effect: None,
            priority: None,
        }
    });
    rules.chain(roles).collect()
}

/// Rows with a priority are decided in its order, as in Go; Rust casbin ignores the column.
fn order(context: &Context, rows: &mut Rows, symbols: &Symbols) {
    if let Some(column) = context.shape.priority {
        rows.sort_by_key(|row| {
            row.get(column)
                .and_then(|symbol| symbols.text(*symbol).parse().ok())
                .unwrap_or(i64::MAX)
        });
    }
}

/// Compiles each pattern once: those of the matcher, and those of the columns that it takes as patterns.
fn compile_patterns(
    context: &Context,
    rows: &Rows,
    symbols: &Symbols,
    patterns: &mut Patterns,
    problems: &mut Problems<'_>,
) {
    let mut columns = Vec::new();
    context.matcher.each(&mut |expr| {
        if let Expr::Match {
            matching, pattern, ..
        } = expr
        {
            match pattern {
                PatternOf::Fixed(symbol) => {
                    if let Ok(pattern) = Pattern::compile(*matching, symbols.text(*symbol)) {
                        patterns.insert((*matching, *symbol), pattern);
                    }
                }
                PatternOf::Rule { column } => columns.push((*matching, *column)),
                PatternOf::Any(_) => {}
            }
        }
    });
    let mut regexes = patterns.values().filter(|p| p.is_regex()).count();
    for (matching, column) in columns {
        for row in 0..rows.len() {
            let Some(symbol) = rows.field(row, column) else {
                continue;
            };
            let at = Place {
                line: rows.line(row),
                column: 1,
            };
            if let Err((what, fix)) = compile_one(matching, symbol, symbols, patterns, &mut regexes)
            {
                problems.add(at, what, fix);
            }
            if problems.is_full() {
                return;
            }
        }
    }
}

fn compile_one(
    matching: Matching,
    symbol: Symbol,
    symbols: &Symbols,
    patterns: &mut Patterns,
    regexes: &mut usize,
) -> Result<(), (String, String)> {
    let Entry::Vacant(free) = patterns.entry((matching, symbol)) else {
        return Ok(());
    };
    let pattern = Pattern::compile(matching, symbols.text(symbol))?;
    if pattern.is_regex() {
        *regexes += 1;
        if *regexes > REGEXES_MAX {
            return Err((
                format!("more than {REGEXES_MAX} patterns need a regular expression"),
                "write paths in whole segments: `/a/:id`, `/a/*`".to_owned(),
            ));
        }
    }
    free.insert(pattern);
    Ok(())
}

fn sections(
    contexts: Vec<Context>,
    tables: Vec<Rows>,
    facts: Vec<Vec<Fact>>,
    symbols: &Symbols,
) -> Vec<Section> {
    let deny = symbols.find("deny");
    let total: usize = tables.iter().map(Rows::len).sum();
    let mut first = 0;
    let mut effect_rule = u32::try_from(total).unwrap_or(u32::MAX / 2);
    contexts
        .into_iter()
        .zip(tables)
        .zip(facts)
        .map(|((context, rows), facts)| {
            let section = Section {
                reads_rows: context.matcher.touches_rule(),
                facts,
                first,
                deny,
                effect_rule,
                context,
                rows,
            };
            first += u32::try_from(section.rows.len()).unwrap_or_default();
            effect_rule += 2;
            section
        })
        .collect()
}
