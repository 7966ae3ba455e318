//! Compiling: the model's text, then the rules', then patterns and roles.

use crate::bounds::ARGUMENTS_MAX;
use crate::conditions::{compile_conditions, compile_patterns, eval_columns};
use crate::engine::cost::Cost;
use crate::engine::eval::Conditions;
use crate::engine::expr::Expr;
use crate::engine::index::{Index, Ruled};
use crate::engine::pattern::Patterns;
use crate::engine::roles::Roles;
use crate::engine::{need, plan};
use crate::model::check::{self, Context, Model, Relation};
use crate::model::conf;
use crate::obligations;
use crate::policy::{Policy, RelationTable, Section};
use crate::priority;
use crate::problem::{Problem, Problems, Source};
use crate::request::Fact;
use crate::role_names::Names;
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
    let mut problems = Problems::new(rules.name);
    let lines = table::lines(rules, &mut problems);
    compile_lines(model, rules, lines, binding, problems)
}

/// As [`compile`], of these lines of the rules, each with the number that it is to have.
pub(crate) fn compile_lines<'a>(
    model: Source<'_>,
    rules: Source<'_>,
    lines: impl Iterator<Item = (usize, &'a str)>,
    binding: Binding,
    mut problems: Problems<'_>,
) -> Result<Policy, Vec<Problem>> {
    let mut symbols = Symbols::default();
    let mut patterns = Patterns::default();
    let (checked, facts) = read_model(model, binding, &mut symbols, &mut patterns)?;
    let shapes = shapes(&checked);
    let mut tables = table::read(lines, &shapes, &mut symbols, &mut problems);
    let role_rows = tables.split_off(checked.contexts.len().min(tables.len()));
    priority::order(
        &checked.contexts,
        &mut tables,
        role_rows.first(),
        &mut symbols,
        &mut problems,
    );
    obligations::check(&checked.contexts, &tables, &symbols, &mut problems);
    let conditions = conditions(
        &checked,
        &tables,
        rules,
        &mut symbols,
        &mut patterns,
        &mut problems,
    );
    let relations = relations(checked.relations, role_rows);
    let matchers: Vec<_> = checked
        .contexts
        .iter()
        .map(|c| &c.matcher)
        .zip(&tables)
        .collect();
    let names = Names {
        relations: &relations,
        matchers: &matchers,
        conditions: &conditions,
        rules,
    };
    let roles = names.roles(&mut symbols, &mut patterns, &mut problems);
    if !problems.is_empty() {
        return Err(problems.into_vec());
    }
    let parts = checked
        .contexts
        .into_iter()
        .zip(tables)
        .zip(conditions)
        .zip(facts);
    let parts = parts.map(|(((context, rows), conditions), facts)| Part {
        context,
        rows,
        conditions,
        facts,
    });
    let sections = sections(parts.collect(), &relations, &roles, &mut symbols);
    symbols.freeze();
    Ok(Policy {
        model_name: model.name.to_owned(),
        rules_name: rules.name.to_owned(),
        sections,
        symbols,
        relations,
        roles,
        patterns,
    })
}

/// Checks the model, and what each argument of its contexts stands for.
fn read_model(
    model: Source<'_>,
    binding: Binding,
    symbols: &mut Symbols,
    patterns: &mut Patterns,
) -> Result<(Model, Vec<Vec<Fact>>), Vec<Problem>> {
    let mut problems = Problems::new(model.name);
    let definitions = conf::parse(model, &mut problems);
    let checked = check::check(&definitions, binding, symbols, patterns, &mut problems);
    let facts: Vec<_> = checked
        .contexts
        .iter()
        .map(|context| facts(context, binding, &mut problems))
        .collect();
    if problems.is_empty() {
        Ok((checked, facts))
    } else {
        Err(problems.into_vec())
    }
}

/// Compiles what the rows of each section bring besides texts.
fn conditions(
    model: &Model,
    tables: &[Rows],
    rules: Source<'_>,
    symbols: &mut Symbols,
    patterns: &mut Patterns,
    problems: &mut Problems<'_>,
) -> Vec<Conditions> {
    let mut all = Vec::new();
    for (context, rows) in model.contexts.iter().zip(tables) {
        let relations = &model.relations;
        let found =
            compile_conditions(context, relations, rows, rules, symbols, patterns, problems);
        let exprs: Vec<_> = std::iter::once(&context.matcher)
            .chain(found.values())
            .collect();
        compile_patterns(&exprs, rows, rules, symbols, patterns, problems);
        all.push(found);
    }
    all
}

fn relations(relations: Vec<Relation>, rows: Vec<Rows>) -> Vec<RelationTable> {
    relations
        .into_iter()
        .zip(rows)
        .map(|(relation, rows)| RelationTable { relation, rows })
        .collect()
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
            Some(fact) if facts.contains(&fact) => problems.add(
                *at,
                format!("`{name}` stands for what another argument stands for"),
                "remove one of them",
            ),
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
        if relation.windowed {
            columns.extend(["start".to_owned(), "end".to_owned()]);
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

/// The arguments, one bit each, whose number an expression asks for.
fn by_number(exprs: &[&Expr]) -> u32 {
    let mut arguments = 0;
    let mut add = |argument: usize| {
        arguments |= u32::try_from(argument)
            .ok()
            .and_then(|argument| 1_u32.checked_shl(argument))
            .unwrap_or_default();
    };
    for expr in exprs {
        expr.each(&mut |expr| {
            if let Expr::Same { argument, .. } = expr {
                add(*argument);
            }
            if let Expr::Match { value, .. } = expr
                && let Some(argument) = value.as_argument()
            {
                add(argument);
            }
            if let Expr::Role {
                who, role, domain, ..
            } = expr
            {
                let parts = [Some(who), Some(role), domain.as_ref()];
                parts
                    .into_iter()
                    .flatten()
                    .filter_map(|part| part.as_argument())
                    .for_each(&mut add);
            }
        });
    }
    arguments
}

/// What a section is made of.
struct Part {
    context: Context,
    rows: Rows,
    conditions: Conditions,
    facts: Vec<Fact>,
}

fn sections(
    parts: Vec<Part>,
    relations: &[RelationTable],
    roles: &[Roles],
    symbols: &mut Symbols,
) -> Vec<Section> {
    let relations: Vec<_> = relations
        .iter()
        .map(|table| table.relation.clone())
        .collect();
    let total: usize = parts.iter().map(|part| part.rows.len()).sum();
    let mut first = 0;
    let mut effect_rule = u32::try_from(total).unwrap_or(u32::MAX / 2);
    let mut sections = Vec::new();
    for part in parts {
        let section = section(part, first, effect_rule, (&relations, roles), symbols);
        first += u32::try_from(section.rows.len()).unwrap_or_default();
        effect_rule += 2;
        sections.push(section);
    }
    sections
}

fn section(
    part: Part,
    first: u32,
    effect_rule: u32,
    (relations, roles): (&[Relation], &[Roles]),
    symbols: &mut Symbols,
) -> Section {
    let Part {
        context,
        rows,
        conditions,
        facts,
    } = part;
    let deny = symbols.find("deny");
    let needs = need::of(&context.matcher, &conditions);
    let plan = plan::plan(&context.matcher, needs, relations, symbols);
    let exprs: Vec<_> = std::iter::once(&context.matcher)
        .chain(conditions.values())
        .collect();
    let by_number = by_number(&exprs);
    let ruled = Ruled {
        rows: &rows,
        matcher: &context.matcher,
        effect: context.effect,
        deny: context.shape.effect.zip(deny),
    };
    let mut cost = Cost::of(&context.matcher, &conditions);
    cost.add_roles(&context.matcher, &conditions, roles);
    let index = Index::build(plan, ruled, cost, symbols);
    let rowless = (rows.len() == 0).then(|| context.matcher.with_empty_fields(symbols));
    Section {
        by_number,
        index,
        rowless,
        evaluates: !eval_columns(&context.matcher).is_empty(),
        reads_rows: context.matcher.touches_rule(),
        facts,
        first,
        deny,
        effect_rule,
        context,
        rows,
        conditions,
    }
}
