//! `model.conf` as written: sections, names and values, with the place of every character.
//!
//! Go and Rust casbin read this file leniently: a section that they do not know, a repeated name, a gap in the
//! numbering are dropped without a word. Here each is a problem.

use crate::bounds::MODEL_BYTES_MAX;
use crate::problem::{Place, Problems, Source};

/// The sections of a model.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Section {
    Request,
    Policy,
    Role,
    Effect,
    Matcher,
    /// Not Casbin's: which function matches names of roles; Casbin's parsers pass over it.
    RoleMatching,
    /// The same for domains of roles.
    DomainMatching,
}

impl Section {
    pub(crate) const ALL: [Self; 7] = [
        Self::Request,
        Self::Policy,
        Self::Role,
        Self::Effect,
        Self::Matcher,
        Self::RoleMatching,
        Self::DomainMatching,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Request => "request_definition",
            Self::Policy => "policy_definition",
            Self::Role => "role_definition",
            Self::Effect => "policy_effect",
            Self::Matcher => "matchers",
            Self::RoleMatching => "role_matching",
            Self::DomainMatching => "domain_matching",
        }
    }

    pub(crate) fn letter(self) -> &'static str {
        match self {
            Self::Request => "r",
            Self::Policy => "p",
            Self::Role | Self::RoleMatching | Self::DomainMatching => "g",
            Self::Effect => "e",
            Self::Matcher => "m",
        }
    }

    /// Whether it is about relations that the section of roles defines.
    pub(crate) fn is_matching(self) -> bool {
        matches!(self, Self::RoleMatching | Self::DomainMatching)
    }
}

/// A value that may stretch over several lines, and where each part of it stands.
#[derive(Clone, Debug)]
pub(crate) struct Phrase {
    pub(crate) text: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    start: usize,
    at: Place,
}

impl Phrase {
    pub(crate) fn new(text: &str, at: Place) -> Self {
        Self {
            text: text.to_owned(),
            pieces: vec![Piece { start: 0, at }],
        }
    }

    /// The place of the byte at `offset`.
    pub(crate) fn place(&self, offset: usize) -> Place {
        let piece = self
            .pieces
            .iter()
            .rev()
            .find(|piece| piece.start <= offset)
            .copied()
            .unwrap_or(Piece {
                start: 0,
                at: Place { line: 1, column: 1 },
            });
        let before = self.text.get(piece.start..offset).unwrap_or_default();
        Place {
            line: piece.at.line,
            column: piece.at.column + before.chars().count(),
        }
    }

    fn append(&mut self, text: &str, at: Place) {
        self.text.push(' ');
        self.pieces.push(Piece {
            start: self.text.len(),
            at,
        });
        self.text.push_str(text);
    }
}

/// One `name = value` of a section.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    pub(crate) section: Section,
    /// 1 for `p`, 2 for `p2`, and so on.
    pub(crate) number: usize,
    pub(crate) at: Place,
    pub(crate) value: Phrase,
}

/// Reads the definitions of a model file.
pub(crate) fn parse(source: Source<'_>, problems: &mut Problems<'_>) -> Vec<Definition> {
    let mut reader = Reader {
        problems,
        section: None,
        titled: false,
        pending: None,
        definitions: Vec::new(),
    };
    if source.text.len() > MODEL_BYTES_MAX {
        reader.problems.add(
            START,
            format!("model is larger than {MODEL_BYTES_MAX} bytes"),
            "check that this is the model and not the policy",
        );
        return Vec::new();
    }
    let text = match source.text.strip_prefix('\u{feff}') {
        Some(rest) => {
            reader.problems.add(
                START,
                "file starts with a byte order mark",
                "save it as UTF-8 without one",
            );
            rest
        }
        None => source.text,
    };
    let mut last = 0;
    for (index, line) in text.split('\n').enumerate() {
        last = index + 1;
        reader.line(last, line.strip_suffix('\r').unwrap_or(line));
    }
    reader.broken_continuation(last);
    let definitions = reader.definitions;
    check_numbering(&definitions, problems);
    definitions
}

struct Reader<'p, 'a> {
    problems: &'p mut Problems<'a>,
    section: Option<Section>,
    /// Some section title has been read, known or not.
    titled: bool,
    pending: Option<Phrase>,
    definitions: Vec<Definition>,
}

impl Reader<'_, '_> {
    fn line(&mut self, number: usize, line: &str) {
        if let Some((offset, control)) = line
            .char_indices()
            .find(|(_, c)| c.is_control() && *c != '\t')
        {
            self.problems.add(
                column(number, line, offset),
                format!("control character {control:?}"),
                "remove it",
            );
            return;
        }
        let trimmed = line.trim();
        let at = column(number, line, line.len() - line.trim_start().len());
        if trimmed.is_empty() || trimmed.starts_with('#') || trimmed.starts_with(';') {
            self.broken_continuation(number);
        } else if let Some(title) = trimmed
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            self.broken_continuation(number);
            self.title(title, at);
        } else {
            self.text(trimmed, at);
        }
    }

    fn title(&mut self, title: &str, at: Place) {
        self.titled = true;
        self.section = Section::ALL.into_iter().find(|s| s.title() == title);
        if self.section.is_none() {
            let known: Vec<_> = Section::ALL.iter().map(|s| s.title()).collect();
            self.problems.add(
                at,
                format!("section `{title}` is not known"),
                format!("use one of `{}`", known.join("`, `")),
            );
        }
    }

    /// One line of a definition; a trailing backslash continues it on the next line.
    fn text(&mut self, line: &str, at: Place) {
        let (line, continues) = match line.strip_suffix('\\') {
            Some(rest) => (rest.trim_end(), true),
            None => (line, false),
        };
        let line = self.without_comment(line, at);
        let phrase = match self.pending.take() {
            Some(mut phrase) => {
                phrase.append(line, at);
                phrase
            }
            None => Phrase::new(line, at),
        };
        if continues {
            self.pending = Some(phrase);
        } else {
            self.define(&phrase);
        }
    }

    /// Both casbins cut at `#` wherever it stands, Go at `;` too: inside quotes that would change the meaning.
    fn without_comment<'l>(&mut self, line: &'l str, at: Place) -> &'l str {
        let mut quote = None;
        for (offset, c) in line.char_indices() {
            match (c, quote) {
                ('"' | '\'', None) => quote = Some(c),
                (c, Some(open)) if c == open => quote = None,
                ('#' | ';', None) => return line.get(..offset).unwrap_or(line).trim_end(),
                ('#' | ';', Some(_)) => {
                    let place = Place {
                        line: at.line,
                        column: at.column + line.get(..offset).unwrap_or_default().chars().count(),
                    };
                    self.problems.add(
                        place,
                        format!("`{c}` inside quotes, where casbin cuts the line"),
                        format!("keep text with `{c}` in the policy rows, quoted"),
                    );
                    return line;
                }
                _ => {}
            }
        }
        line
    }

    fn broken_continuation(&mut self, number: usize) {
        if let Some(phrase) = self.pending.take() {
            self.problems.add(
                Place {
                    line: number,
                    column: 1,
                },
                "a line that ends in `\\` has no continuation",
                "remove the `\\`, or the empty or comment line between",
            );
            self.define(&phrase);
        }
    }

    fn define(&mut self, phrase: &Phrase) {
        let at = phrase.place(0);
        let Some((name, value)) = phrase.text.split_once('=') else {
            self.problems.add(
                at,
                format!("expected `name = value`, found `{}`", phrase.text),
                "write for example `m = r.sub == p.sub`, comments on their own line",
            );
            return;
        };
        let start = name.len() + 1 + (value.len() - value.trim_start().len());
        let (name, value) = (name.trim(), value.trim());
        let Some(section) = self.section else {
            if !self.titled {
                self.problems.add(
                    at,
                    format!("`{name}` stands before any section"),
                    "put it below its title, for example `[matchers]`",
                );
            }
            return;
        };
        let Some(number) = number_of(section, name) else {
            let letter = section.letter();
            self.problems.add(
                at,
                format!("`{name}` has no meaning in section `{}`", section.title()),
                format!("name it `{letter}`, `{letter}2`, `{letter}3`, …"),
            );
            return;
        };
        if value.is_empty() {
            self.problems
                .add(at, format!("`{name}` is empty"), "give it a value");
            return;
        }
        if self
            .definitions
            .iter()
            .any(|d| d.section == section && d.number == number)
        {
            self.problems.add(
                at,
                format!("`{name}` is defined twice, casbin would keep only the last"),
                "remove one",
            );
            return;
        }
        self.definitions.push(Definition {
            section,
            number,
            at,
            value: phrase.from(start, value),
        });
    }
}

impl Phrase {
    /// The part `text` that starts at byte `start` of this phrase.
    fn from(&self, start: usize, text: &str) -> Self {
        let mut pieces = vec![Piece {
            start: 0,
            at: self.place(start),
        }];
        pieces.extend(
            self.pieces
                .iter()
                .filter(|piece| piece.start > start)
                .map(|piece| Piece {
                    start: piece.start - start,
                    at: piece.at,
                }),
        );
        Self {
            text: text.to_owned(),
            pieces,
        }
    }
}

/// `p` is 1, `p2` is 2; `p1`, `p0`, `p02` and `px` have no number.
fn number_of(section: Section, name: &str) -> Option<usize> {
    let digits = name.strip_prefix(section.letter())?;
    if digits.is_empty() {
        return Some(1);
    }
    let number: usize = digits.parse().ok()?;
    ((2..=SECTIONS_MAX).contains(&number) && number.to_string() == digits).then_some(number)
}

/// Casbin stops reading a section at the first missing number, and ignores what follows.
fn check_numbering(definitions: &[Definition], problems: &mut Problems<'_>) {
    for d in definitions.iter().filter(|d| !d.section.is_matching()) {
        let missing = (1..d.number).find(|n| {
            !definitions
                .iter()
                .any(|other| other.section == d.section && other.number == *n)
        });
        if let Some(missing) = missing {
            let letter = d.section.letter();
            let wanted = if missing == 1 {
                letter.to_owned()
            } else {
                format!("{letter}{missing}")
            };
            problems.add(
                d.at,
                format!(
                    "`{letter}{}` is never read because `{wanted}` is missing",
                    d.number
                ),
                format!("number them without a gap from `{letter}`, `{letter}2`"),
            );
        }
    }
}

fn column(line: usize, text: &str, offset: usize) -> Place {
    Place {
        line,
        column: 1 + text.get(..offset).unwrap_or_default().chars().count(),
    }
}

const START: Place = Place { line: 1, column: 1 };

/// The highest number of a definition, as in `p9`.
const SECTIONS_MAX: usize = 99;

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(text: &str) -> Vec<String> {
        let mut problems = Problems::new("m");
        parse(Source { name: "m", text }, &mut problems);
        problems
            .into_vec()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn what_casbin_drops_silently_is_refused() {
        for (text, expected) in [
            ("[matcher]\nm = x", "m:1:1: section `matcher` is not known"),
            ("m = x", "m:1:1: `m` stands before any section"),
            (
                "[matchers]\nM = x",
                "m:2:1: `M` has no meaning in section `matchers`",
            ),
            ("[matchers]\nm1 = x", "m:2:1: `m1` has no meaning"),
            ("[matchers]\nm = x\nm = y", "m:3:1: `m` is defined twice"),
            (
                "[matchers]\nm = x\nm3 = y",
                "m:3:1: `m3` is never read because `m2` is missing",
            ),
            ("[matchers]\nm =", "m:2:1: `m` is empty"),
            ("[matchers]\nm : x", "m:2:1: expected `name = value`"),
            (
                "[matchers] # x\nm = x",
                "m:1:1: expected `name = value`, found `[matchers]`",
            ),
            ("[matchers]\nm = x == \"a#b\"", "m:2:12: `#` inside quotes"),
            (
                "[matchers]\nm = x \\\n\n&& y",
                "m:3:1: a line that ends in `\\` has no continuation",
            ),
            (
                "[matchers]\nm = x \\",
                "m:2:1: a line that ends in `\\` has no continuation",
            ),
            (
                "\u{feff}[matchers]\nm = x",
                "m:1:1: file starts with a byte order mark",
            ),
            ("[matchers]\nm = \0", "m:2:5: control character '\\0'"),
        ] {
            let found = problems_of(text);
            assert!(
                found.first().is_some_and(|p| p.starts_with(expected)),
                "{text:?}: {found:?}"
            );
        }
    }

    #[test]
    fn a_value_over_several_lines_keeps_its_places() {
        let text = "[matchers]\r\n  m = aa && \\\r\n    bb # why\r\n";
        let mut problems = Problems::new("m");
        let found = parse(Source { name: "m", text }, &mut problems);
        assert!(problems.is_empty());
        let value = &found[0].value;
        assert_eq!(value.text, "aa && bb");
        assert_eq!(value.place(0), Place { line: 2, column: 7 });
        assert_eq!(
            value.place(3),
            Place {
                line: 2,
                column: 10
            }
        );
        assert_eq!(value.place(6), Place { line: 3, column: 5 });
        assert_eq!(value.place(7), Place { line: 3, column: 6 });
    }
}
