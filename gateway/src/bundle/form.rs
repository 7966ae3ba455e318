//! The form of a file of tests: TOML, or YAML where its name ends so. Both have the same keys, and whatever is wrong with them is told
//! by line.
//!
//! A bundle brings such files from outside: depth, anchors and what they unfold to are bounded, and nothing is ever included.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{alias_limits, budget, options};

/// Facts of a request by name.
pub(crate) type Facts = BTreeMap<String, String>;

/// A file of tests, as meant.
#[derive(Debug)]
pub(crate) struct Suite {
    /// Facts that every test of the file begins with.
    pub(crate) given: Facts,
    /// The context of the model that its tests ask, such as 2 for `r2, p2, e2, m2`; the first if it is left out.
    pub(crate) context: Option<usize>,
    /// Each with the line at which it begins.
    pub(crate) cases: Vec<(usize, Case)>,
}

/// A file of tests, as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File<C> {
    #[serde(default = "BTreeMap::new")]
    given: Facts,
    context: Option<usize>,
    #[serde(default = "Vec::new")]
    test: Vec<C>,
}

/// One test.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) given: Facts,
    pub(crate) when: OneOrMany,
    pub(crate) expect: Expected,
    /// The rule that must decide: `policy.csv:12`, or its line alone.
    pub(crate) rule: Option<String>,
    /// The context that it asks, where it is another than the file's.
    pub(crate) context: Option<usize>,
}

/// One request, or several.
#[derive(Debug)]
pub(crate) struct OneOrMany(pub(crate) Vec<Facts>);

/// What a test expects.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Expected {
    /// Permitted, and cleared where a label is named.
    Allow,
    /// Not.
    Deny,
}

// By hand: what serde does for an untagged enum forgets where in the file it was.
impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Requests;
        impl<'de> Visitor<'de> for Requests {
            type Value = OneOrMany;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the facts of a request, or a list of them")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OneOrMany, A::Error> {
                let one = Facts::deserialize(MapAccessDeserializer::new(map))?;
                Ok(OneOrMany(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<OneOrMany, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(OneOrMany)
            }
        }
        deserializer.deserialize_any(Requests)
    }
}

/// Reads a file of tests.
///
/// # Errors
/// What is wrong with it, and its line.
pub(crate) fn read(file: &str, text: &str) -> Result<Suite, String> {
    let suite = if file.ends_with(".yaml") || file.ends_with(".yml") {
        read_yaml(text)
    } else {
        read_toml(text)
    };
    let suite = suite.map_err(|(line, what)| {
        format!("{file}:{line}: {what}; see `hangu policy test --help` for the form of a test")
    })?;
    if suite.cases.is_empty() {
        return Err(format!(
            "{file}:1: there is no `[[test]]`, in YAML `test:`; write one, or leave the file out"
        ));
    }
    Ok(suite)
}

fn read_toml(text: &str) -> Result<Suite, (usize, String)> {
    let line_of = |offset: usize| {
        let before = text.get(..offset).unwrap_or_default();
        before.matches('\n').count() + 1
    };
    let file: File<toml::Spanned<Case>> = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(span.start));
        (line, error.message().replace('\n', " "))
    })?;
    let cases = file.test.into_iter();
    Ok(Suite {
        given: file.given,
        context: file.context,
        cases: cases
            .map(|case| (line_of(case.span().start), case.into_inner()))
            .collect(),
    })
}

fn read_yaml(text: &str) -> Result<Suite, (usize, String)> {
    let options = options! {
        budget: budget! {
            max_events: EVENTS_MAX,
            max_nodes: EVENTS_MAX,
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_documents: 1,
            max_anchors: ANCHORS_MAX,
            max_aliases: ALIASES_MAX,
            max_merge_keys: ALIASES_MAX,
        },
        alias_limits: alias_limits! {
            max_total_replayed_events: REPLAYED_MAX,
            max_replay_stack_depth: DEPTH_MAX,
        },
        with_snippet: false,
    };
    let line = |location: serde_saphyr::Location| usize::try_from(location.line()).unwrap_or(1);
    let file: File<serde_saphyr::Spanned<Case>> =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let place = error.location().map_or(1, line);
            (place.max(1), message(&error))
        })?;
    let cases = file.test.into_iter();
    Ok(Suite {
        given: file.given,
        context: file.context,
        cases: cases
            .map(|case| (line(case.referenced), case.value))
            .collect(),
    })
}

/// One line, and without the place: that is told in our own way.
fn message(error: &serde_saphyr::Error) -> String {
    let told = error.to_string();
    let first = told.lines().next().unwrap_or_default();
    let what = first
        .rsplit_once(" at line ")
        .map_or(first, |(what, _)| what);
    what.to_owned()
}

/// Names, values, beginnings and ends of one file: some ten thousand tests.
const EVENTS_MAX: usize = 1_000_000;
/// Lists and mappings in one another; a test needs five.
const DEPTH_MAX: usize = 16;
/// Values that are named to be said again.
const ANCHORS_MAX: usize = 1_000;
/// Times that one is said again.
const ALIASES_MAX: usize = 10_000;
/// What all of that comes to.
const REPLAYED_MAX: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "given: &who\n  domain: tax\ntest:\n  - name: a clerk reads\n    given: { subject: alice }\n    when:\n      - { method: GET, path: /a/1 }\n      - { method: GET, path: /a/2, zone: 5 }\n    expect: allow\n    rule: policy.csv:1\n  - name: nobody else\n    given:\n      <<: *who\n      subject: bob\n    when: { method: GET, path: /a/1 }\n    expect: deny\n    context: 2\n";
    const TOML: &str = "[given]\ndomain = \"tax\"\n\n[[test]]\nname = \"a clerk reads\"\ngiven = { subject = \"alice\" }\nwhen = [{ method = \"GET\", path = \"/a/1\" }, { method = \"GET\", path = \"/a/2\", zone = \"5\" }]\nexpect = \"allow\"\nrule = \"policy.csv:1\"\n\n[[test]]\nname = \"nobody else\"\ngiven = { domain = \"tax\", subject = \"bob\" }\nwhen = { method = \"GET\", path = \"/a/1\" }\nexpect = \"deny\"\ncontext = 2\n";

    #[test]
    fn yaml_and_toml_say_the_same() {
        let (yaml, toml) = (read("t.yaml", YAML).unwrap(), read("t.toml", TOML).unwrap());
        let shown = |suite: &Suite| {
            let cases: Vec<_> = suite.cases.iter().map(|(_, case)| case).collect();
            format!("{:?} {:?} {cases:?}", suite.given, suite.context)
        };
        assert_eq!(shown(&yaml), shown(&toml));
        let lines: Vec<_> = yaml.cases.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [4, 11]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_in_both_forms() {
        let test = "test:\n  - name: x\n    expect: deny\n    when: ";
        for (file, text, line) in [
            (
                "t.yml",
                format!("{test}{{ method: GET }}\n    colour: red\n"),
                5,
            ),
            ("t.yml", format!("{test}[{{ method: [GET] }}]\n"), 4),
            ("t.yml", format!("{test}GET\n"), 4),
            (
                "t.yml",
                format!("{test}{{ method: GET, method: PUT }}\n"),
                4,
            ),
            (
                "t.yml",
                "test:\n  - name: x\n    expect: maybe\n    when: {}\n".to_owned(),
                3,
            ),
            ("t.yml", "test: [\n".to_owned(), 1),
            ("t.yml", "test: []\n".to_owned(), 1),
            ("t.yml", String::new(), 1),
            ("t.yml", format!("{test}{{}}\n---\ntest: []\n"), 5),
            (
                "t.toml",
                "[[test]]\nname = \"x\"\nexpect = \"deny\"\nwhen = [{ method = 3 }]\n".to_owned(),
                4,
            ),
            (
                "t.toml",
                "[[test]]\nname = \"x\"\nexpect = \"deny\"\nwhen = \"GET\"\n".to_owned(),
                4,
            ),
        ] {
            let error = read(file, &text).unwrap_err();
            assert!(
                error.starts_with(&format!("{file}:{line}: ")),
                "{text}: {error}"
            );
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn hostile_yaml_is_refused_before_it_costs_anything() {
        let mut bomb = "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let all = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb += &format!("b{level}: &a{level} [{all}]\n");
        }
        let merges = (0..50).fold("given: &m0 { a: b }\n".to_owned(), |text, level| {
            format!(
                "{text}x{level}: &m{} {{ <<: [*m{level}, *m{level}] }}\n",
                level + 1
            )
        });
        for (what, text) in [
            ("deep lists", "[".repeat(100_000)),
            ("deep mappings", "{a: ".repeat(100_000)),
            (
                "deep blocks",
                (0..2_000)
                    .map(|depth| format!("{}- \n", " ".repeat(depth)))
                    .collect(),
            ),
            ("a bomb of aliases", format!("given: {{}}\n{bomb}")),
            ("a bomb of merges", merges),
            ("an alias of itself", "given: &a { b: *a }\n".to_owned()),
            ("another file", "test: !include /etc/passwd\n".to_owned()),
            ("a long key", format!("? {}\n: x\n", "k".repeat(1_000_000))),
        ] {
            let began = std::time::Instant::now();
            assert!(read("t.yaml", &text).is_err(), "{what}");
            assert!(began.elapsed().as_secs() < 5, "{what}");
        }
    }
}
