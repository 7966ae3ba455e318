//! The order in which rows are decided, where the model asks for another than that of the file.
//!
//! As in Go: first by the place of a row's subject in the tree of roles, deepest first, then by the `priority`
//! column, smallest first; rows that are equal stay as they are. Rust casbin knows neither.

use crate::model::check::{Context, Effect};
use crate::problem::{Place, Problems};
use crate::rules::symbols::{Symbol, Symbols};
use crate::rules::table::Rows;
use std::collections::HashMap;

/// Orders the rows of every section.
pub(crate) fn order(
    contexts: &[Context],
    tables: &mut [Rows],
    roles: Option<&Rows>,
    symbols: &mut Symbols,
    problems: &mut Problems<'_>,
) {
    let by_subject = contexts
        .first()
        .is_some_and(|context| context.effect == Effect::SubjectPriority);
    if by_subject && let Some(levels) = roles.and_then(|rows| levels(rows, symbols, problems)) {
        for (context, rows) in contexts.iter().zip(&mut *tables) {
            let domain = context.shape.columns.iter().position(|name| name == "dom");
            rows.sort_by_key(|row| {
                let domain = match domain {
                    Some(column) => row.get(column).copied(),
                    None => levels.no_domain,
                };
                let subject = row.first().copied();
                -domain
                    .zip(subject)
                    .and_then(|key| levels.of.get(&key))
                    .copied()
                    .unwrap_or_default()
            });
        }
    }
    for (context, rows) in contexts.iter().zip(tables) {
        if let Some(column) = context.shape.priority {
            rows.sort_by_key(|row| {
                row.get(column)
                    .and_then(|symbol| symbols.text(*symbol).parse().ok())
                    .unwrap_or(i64::MAX)
            });
        }
    }
}

/// A name in its domain.
type Name = (Symbol, Symbol);

/// How deep each name stands under the roles that nobody holds a role above of.
struct Levels {
    of: HashMap<Name, i64>,
    no_domain: Option<Symbol>,
}

/// The levels of a relation; where Go would answer by chance or never, a problem.
fn levels(rows: &Rows, symbols: &mut Symbols, problems: &mut Problems<'_>) -> Option<Levels> {
    let nowhere = symbols.intern("")?;
    let tree = Tree::of(rows, nowhere);
    let mut levels = HashMap::new();
    let mut steps = 0_usize;
    for root in tree
        .names
        .iter()
        .filter(|name| !tree.parents.contains_key(*name))
    {
        let order = match tree.order_below(*root) {
            Ok(order) => order,
            Err(row) => {
                problems.add(
                    place(rows, row),
                    "roles in a cycle have no place in the order of subjects, Go casbin would not end",
                    "remove one of the role rows",
                );
                return None;
            }
        };
        steps += order.len();
        if steps > STEPS_MAX {
            problems.add(
                place(rows, 0),
                "the tree of roles is too large to order subjects by",
                "use a `priority` column",
            );
            return None;
        }
        for (name, level) in tree.levels_below(*root, &order) {
            if levels
                .insert(name, level)
                .is_some_and(|other| other != level)
            {
                let row = tree.parents.get(&name).copied().unwrap_or_default();
                problems.add(
                    place(rows, row),
                    format!(
                        "`{}` stands at several depths, Go casbin would take one by chance",
                        symbols.text(name.1)
                    ),
                    "hold each role under one root, or use a `priority` column",
                );
                return None;
            }
        }
    }
    for name in tree.names {
        levels.entry(name).or_insert(1);
    }
    Some(Levels {
        of: levels,
        no_domain: Some(nowhere),
    })
}

/// Who holds what, from the role down.
#[derive(Default)]
struct Tree {
    names: Vec<Name>,
    /// Those who hold a role directly, each with the row.
    children: HashMap<Name, Vec<(Name, usize)>>,
    /// The first row in which a name holds a role.
    parents: HashMap<Name, usize>,
}

impl Tree {
    fn of(rows: &Rows, nowhere: Symbol) -> Self {
        let mut tree = Self::default();
        let mut known = std::collections::HashSet::new();
        for row in 0..rows.len() {
            if let [name, role, domain @ ..] = rows.row(row) {
                let domain = domain.first().copied().unwrap_or(nowhere);
                let (child, parent) = ((domain, *name), (domain, *role));
                tree.children.entry(parent).or_default().push((child, row));
                tree.parents.entry(child).or_insert(row);
                for name in [child, parent] {
                    if known.insert(name) {
                        tree.names.push(name);
                    }
                }
            }
        }
        tree
    }

    fn children(&self, name: Name) -> &[(Name, usize)] {
        self.children.get(&name).map_or(&[], Vec::as_slice)
    }

    /// All names below `root`, each after those that it is below; the error is a row of a cycle.
    fn order_below(&self, root: Name) -> Result<Vec<Name>, usize> {
        let mut order = Vec::new();
        // Names being walked are `false`, names done are `true`.
        let mut state: HashMap<Name, bool> = HashMap::from([(root, false)]);
        let mut path = vec![(root, 0_usize)];
        while let Some((name, next)) = path.last_mut() {
            let Some((child, row)) = self.children(*name).get(*next).copied() else {
                state.insert(*name, true);
                order.push(*name);
                path.pop();
                continue;
            };
            *next += 1;
            match state.get(&child) {
                Some(false) => return Err(row),
                Some(true) => {}
                None => {
                    state.insert(child, false);
                    path.push((child, 0));
                }
            }
        }
        order.reverse();
        Ok(order)
    }

    /// The longest way from `root` to each name of `order`.
    fn levels_below(&self, root: Name, order: &[Name]) -> HashMap<Name, i64> {
        let mut levels = HashMap::from([(root, 0)]);
        for name in order {
            let level = levels.get(name).copied().unwrap_or_default();
            for (child, _) in self.children(*name) {
                let deepest = levels.entry(*child).or_insert(level + 1);
                *deepest = (*deepest).max(level + 1);
            }
        }
        levels
    }
}

fn place(rows: &Rows, row: usize) -> Place {
    Place {
        line: rows.line(row).max(1),
        column: 1,
    }
}

/// Names looked at, summed over all roots.
const STEPS_MAX: usize = 20_000_000;
