//! Compiling: the model's text, then the rules', then patterns and roles.

use crate::bounds::{ARGUMENTS_MAX, REGEXES_MAX};
use crate::engine::expr::{Expr, PatternOf};
use crate::engine::index::{Index, Ruled};
use crate::engine::pattern::Patterns;
use crate::engine::plan;
use crate::engine::roles::Roles;
use crate::model::check::{self, Context, Model};
use crate::model::conf;
use crate::policy::{Policy, RelationTable, Section};
use crate::problem::{Place, Problem, Problems, Source};
use crate::request::Fact;
use crate::rules::symbols::Symbols;
use crate::rules::table::{self, Rows, Shape};

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
    let mut patterns = Patterns::default();
    let checked = check::check(&definitions, &mut symbols, &mut patterns, &mut problems);
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
        sections: sections(checked.contexts, tables, facts, &mut symbols),
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

/// Checks each pattern of the columns that the matcher takes as patterns, and compiles those that need it.
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
            matching,
            pattern: PatternOf::Rule { column },
            ..
        } = expr
        {
            columns.push((*matching, *column));
        }
    });
    for (matching, column) in columns {
        let mut seen = vec![false; symbols.len()];
        for row in 0..rows.len() {
            let Some(symbol) = rows.field(row, column) else {
                continue;
            };
            let seen = seen.get_mut(symbol.0 as usize);
            if seen.is_none_or(|seen| std::mem::replace(seen, true)) {
                continue;
            }
            let mut added = patterns.add(matching, symbol, symbols);
            if patterns.regexes() > REGEXES_MAX {
                added = Err((
                    format!("more than {REGEXES_MAX} patterns need a regular expression"),
                    "write paths in whole segments: `/a/:id`, `/a/*`".to_owned(),
                ));
            }
            if let Err((what, fix)) = added {
                let at = Place {
                    line: rows.line(row),
                    column: 1,
                };
                problems.add(at, what, fix);
            }
            if problems.is_full() || patterns.regexes() > REGEXES_MAX {
                return;
            }
        }
    }
}

/// The arguments, one bit each, whose number the matcher asks for.
fn by_number(matcher: &Expr) -> u32 {
    let mut arguments = 0;
    let mut add = |argument: usize| {
        arguments |= u32::try_from(argument)
            .ok()
            .and_then(|argument| 1_u32.checked_shl(argument))
            .unwrap_or_default();
    };
    matcher.each(&mut |expr| {
        if let Expr::Same { argument, .. } = expr {
            add(*argument);
        }
        if let Expr::Role {
            who, role, domain, ..
        } = expr
        {
            for part in [Some(who), Some(role), domain.as_ref()]
                .into_iter()
                .flatten()
            {
                if let Expr::Request { argument, path } = &**part
                    && path.is_empty()
                {
                    add(*argument);
                }
            }
        }
    });
    arguments
}

fn sections(
    contexts: Vec<Context>,
    tables: Vec<Rows>,
    facts: Vec<Vec<Fact>>,
    symbols: &mut Symbols,
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
            let plan = plan::plan(&context.matcher, symbols);
            let ruled = Ruled {
                rows: &rows,
                matcher: &context.matcher,
                effect: context.effect,
                deny: context.shape.effect.zip(deny),
            };
            let index = Index::build(plan, ruled, symbols);
            let section = Section {
                by_number: by_number(&context.matcher),
                index,
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
