//! Roles and organisations as a picture: one card an organisation, roles in it from those that inherit to those that
//! are inherited, with how many hold them and how many rules they have.

use super::reach::{Sheet, Side};
use crate::policy::Policy;
use crate::request::Fact;
use crate::rules::symbols::Symbol;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Draws the policy as one SVG document, all organisations or one.
pub fn graph(policy: &Policy, domain: Option<&str>) -> String {
    let mut cards = cards(policy);
    cards.retain(|name, _| domain.is_none_or(|domain| domain == name));
    let mut body = String::new();
    let (mut width, mut height) = (CARD_WIDTH_MIN, GAP);
    for (name, card) in &cards {
        let (drawn, card_width, card_height) = card.draw(name, height);
        body.push_str(&drawn);
        width = width.max(card_width);
        height += card_height + GAP;
    }
    let width = width + 2 * GAP;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<defs><marker id=\"to\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" \
         markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0 8 4 0 8z\" fill=\"#555\"/></marker></defs>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{body}</svg>\n"
    )
}

/// One organisation.
#[derive(Debug, Default)]
struct Card {
    roles: BTreeMap<String, Role>,
}

#[derive(Debug, Default)]
struct Role {
    inherits: BTreeSet<String>,
    people: usize,
    allows: usize,
    denies: usize,
}

fn cards(policy: &Policy) -> BTreeMap<String, Card> {
    let mut cards: BTreeMap<String, Card> = BTreeMap::new();
    let text = |symbol: Symbol| policy.symbols.text(symbol).to_owned();
    for sheet in Sheet::all(policy) {
        let clauses = sheet.clauses();
        let (subject, domain) = (sheet.argument(Fact::Subject), sheet.argument(Fact::Domain));
        for row in 0..sheet.len() {
            let reaches = sheet.reaches(row, &clauses);
            let Some(reach) = reaches.first() else {
                continue;
            };
            let side =
                |argument: Option<usize>| argument.and_then(|argument| reach.sides.get(argument));
            let place = match side(domain) {
                Some(Side::Is(_, text)) => (*text).to_owned(),
                _ => String::new(),
            };
            let who = match side(subject) {
                Some(Side::Holds { role, .. }) => text(*role),
                Some(Side::Is(_, text)) => (*text).to_owned(),
                Some(Side::Any | Side::Like(_)) | None => "everyone".to_owned(),
            };
            let role = cards
                .entry(place)
                .or_default()
                .roles
                .entry(who)
                .or_default();
            if sheet.denies(row) {
                role.denies += 1;
            } else {
                role.allows += 1;
            }
        }
    }
    for table in policy
        .relations
        .iter()
        .filter(|table| table.relation.name == "g")
    {
        let held: BTreeSet<_> = (0..table.rows.len())
            .filter_map(|row| table.rows.field(row, 1))
            .collect();
        for row in 0..table.rows.len() {
            let (Some(name), Some(role)) = (table.rows.field(row, 0), table.rows.field(row, 1))
            else {
                continue;
            };
            let place = table
                .rows
                .field(row, 2)
                .filter(|_| table.relation.in_domains);
            let card = cards.entry(place.map_or(String::new(), text)).or_default();
            let inherited = card.roles.entry(text(role)).or_default();
            if held.contains(&name) {
                card.roles
                    .entry(text(name))
                    .or_default()
                    .inherits
                    .insert(text(role));
            } else {
                inherited.people += 1;
            }
        }
    }
    cards
}

impl Card {
    /// How far each role is from those that inherit nothing; a cycle ends where it began.
    fn level(&self, name: &str, path: &mut Vec<String>) -> usize {
        if path.iter().any(|known| known == name) || path.len() > LEVELS_MAX {
            return 0;
        }
        path.push(name.to_owned());
        let inherits = self.roles.get(name).map(|role| &role.inherits);
        let level = inherits
            .into_iter()
            .flatten()
            .map(|role| 1 + self.level(role, path))
            .max()
            .unwrap_or_default();
        path.pop();
        level
    }

    /// The card at height `top`: its drawing, width and height.
    fn draw(&self, name: &str, top: usize) -> (String, usize, usize) {
        let mut levels: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for role in self.roles.keys() {
            levels
                .entry(self.level(role, &mut Vec::new()))
                .or_default()
                .push(role);
        }
        let deepest = levels.keys().max().copied().unwrap_or_default();
        let most = levels.values().map(Vec::len).max().unwrap_or_default();
        let width = (2 * GAP + (deepest + 1) * (NODE_WIDTH + GAP_WIDE)).max(CARD_WIDTH_MIN);
        let height = TITLE + most * (NODE_HEIGHT + GAP) + GAP;
        let mut places: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for (level, roles) in &levels {
            for (index, role) in roles.iter().enumerate() {
                let x = 2 * GAP + (deepest - level) * (NODE_WIDTH + GAP_WIDE);
                places.insert(role, (x, top + TITLE + index * (NODE_HEIGHT + GAP)));
            }
        }
        let mut out = String::new();
        let title = if name.is_empty() {
            "all organisations"
        } else {
            name
        };
        // Writing into a string cannot fail.
        let _written = writeln!(
            out,
            "<rect x=\"{GAP}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"#f5f7fa\" stroke=\"#9aa5b1\"/>\n\
             <text x=\"{}\" y=\"{}\" font-weight=\"bold\">{}</text>",
            2 * GAP,
            top + 20,
            escaped(title)
        );
        for (role, (x, y)) in &places {
            let Some(node) = self.roles.get(*role) else {
                continue;
            };
            for inherited in &node.inherits {
                if let Some((to_x, to_y)) = places.get(inherited.as_str()) {
                    let _written = writeln!(
                        out,
                        "<path d=\"M{} {} C{} {} {} {} {to_x} {}\" fill=\"none\" stroke=\"#555\" marker-end=\"url(#to)\"/>",
                        x + NODE_WIDTH,
                        y + NODE_HEIGHT / 2,
                        x + NODE_WIDTH + GAP_WIDE / 2,
                        y + NODE_HEIGHT / 2,
                        to_x.saturating_sub(GAP_WIDE / 2),
                        to_y + NODE_HEIGHT / 2,
                        to_y + NODE_HEIGHT / 2
                    );
                }
            }
            out.push_str(&node.draw(role, (*x, *y)));
        }
        (out, width, height)
    }
}

impl Role {
    /// The role as a box at a place.
    fn draw(&self, name: &str, (x, y): (usize, usize)) -> String {
        format!(
            "<g><title>{full}</title><rect x=\"{x}\" y=\"{y}\" width=\"{NODE_WIDTH}\" height=\"{NODE_HEIGHT}\" rx=\"4\" \
             fill=\"{}\" stroke=\"#3e4c59\"/><text x=\"{left}\" y=\"{}\">{}</text><text x=\"{left}\" y=\"{}\" \
             font-size=\"10\" fill=\"#52606d\">{} people · {} allow · {} deny</text></g>\n",
            if self.people == 0 {
                "#fff4e5"
            } else {
                "#ffffff"
            },
            y + 17,
            escaped(&shortened(name)),
            y + 32,
            self.people,
            self.allows,
            self.denies,
            full = escaped(name),
            left = x + 8,
        )
    }
}

/// The end of a long name tells more than its start.
fn shortened(name: &str) -> String {
    let count = name.chars().count();
    if count <= NAME_LETTERS_MAX {
        return name.to_owned();
    }
    let end: String = name.chars().skip(count - NAME_LETTERS_MAX + 1).collect();
    format!("…{end}")
}

/// A text inside SVG.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

const GAP: usize = 12;
const GAP_WIDE: usize = 60;
const TITLE: usize = 34;
const NODE_WIDTH: usize = 200;
const NODE_HEIGHT: usize = 40;
const CARD_WIDTH_MIN: usize = 300;
const NAME_LETTERS_MAX: usize = 26;
/// Links that are followed for the layout; the loader allows no more than ten.
const LEVELS_MAX: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RBAC_WITH_DOMAINS, Source};

    #[test]
    fn organisations_roles_and_what_they_inherit_are_drawn() {
        let model = Source {
            name: "m",
            text: RBAC_WITH_DOMAINS,
        };
        let rules = Source {
            name: "p",
            text: "p, clerk, tax, /a, GET, allow\np, a<b, land, /a, GET, deny\ng, alice, head, tax\ng, head, clerk, tax\ng, x, a<b, land\n",
        };
        let policy = Policy::compile(model, rules).unwrap();
        let drawn = graph(&policy, None);
        for text in [
            ">tax<",
            ">land<",
            ">clerk<",
            ">head<",
            ">a&lt;b<",
            "0 people · 1 allow · 0 deny",
            "marker-end",
        ] {
            assert!(drawn.contains(text), "{text}: {drawn}");
        }
        assert!(!drawn.contains("alice"));
        assert!(!graph(&policy, Some("land")).contains(">tax<"));
    }
}
