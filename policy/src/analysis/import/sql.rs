//! SQL as `mysqldump`, `pg_dump` and `.dump` of SQLite write it: INSERT and COPY are read, what builds the table is passed over,
//! and anything else is told with its line.
//!
//! A backslash in a text means one thing in MySQL and another elsewhere. Where the dump does not say whose it is, it is
//! refused: a rule that is read wrong is worse than one that is not read.

use super::{heading, pick, push, without_number};
use crate::problem::{Place, Problems};

/// Whether a text is SQL rather than CSV: some line begins as a statement does.
pub(super) fn is_sql(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim_start();
        let word = line.split(|letter: char| letter.is_whitespace()).next();
        let word = word.unwrap_or_default().trim_end_matches(';');
        let whole = line.len() > word.len() + 1 || line.ends_with(';');
        let words = || DATA.iter().chain(&STRUCTURE);
        whole && words().any(|known| word.eq_ignore_ascii_case(known))
    })
}

/// Reads every statement.
pub(super) fn read(text: &str, rows: &mut Vec<String>, problems: &mut Problems<'_>) {
    let mut reader = Reader {
        rest: text,
        line: 1,
        backslash: Backslash::of(text),
        tables: Vec::new(),
    };
    while let Some((line, token)) = reader.next() {
        let done = match token {
            Token::Sign(';') => Ok(()),
            Token::Word(word) if is_one(word, &["insert", "replace"]) => {
                reader.insert(rows, problems)
            }
            Token::Word(word) if word.eq_ignore_ascii_case("copy") => reader.copy(rows, problems),
            Token::Word(word) if is_one(word, &STRUCTURE) => reader.skip(),
            Token::Word(word) if word.eq_ignore_ascii_case("delete") => reader.delete(),
            Token::Sign('\\') => reader.command(),
            Token::Broken(why) => Err(Fault::Lost(why)),
            Token::Word(_) | Token::Name(_) | Token::Text(_) | Token::Sign(_) => {
                Err(Fault::Statement("this statement is not understood"))
            }
        };
        let (what, lost) = match done {
            Ok(()) => continue,
            Err(Fault::Statement(what)) => (what, false),
            Err(Fault::Lost(what)) => (what, true),
        };
        let place = Place { line, column: 1 };
        problems.add(place, what, "dump the table `casbin_rule` alone, as CSV with a heading or as SQL with INSERT or COPY");
        if lost || reader.skip().is_err() {
            return;
        }
    }
}

/// What keeps a statement from being read.
enum Fault {
    /// It alone is lost.
    Statement(&'static str),
    /// Where it ends is not known.
    Lost(&'static str),
}

/// What a backslash in a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backslash {
    /// The beginning of an escape.
    Escape,
    /// Itself.
    Plain,
    Unknown,
}

impl Backslash {
    fn of(text: &str) -> Self {
        let has = |signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
        let mysql = has(&[
            "-- MySQL dump",
            "-- MariaDB dump",
            "/*!",
            "INTO `",
            "TABLES `",
        ]);
        let others = has(&[
            "PostgreSQL database dump",
            "standard_conforming_strings = on",
            "FROM stdin;",
            "PRAGMA ",
            "BEGIN TRANSACTION;",
        ]);
        match (mysql, others) {
            (true, false) => Self::Escape,
            (false, true) => Self::Plain,
            (true, true) | (false, false) => Self::Unknown,
        }
    }
}

/// A piece of a statement.
enum Token<'t> {
    Word(&'t str),
    /// A name in quotes.
    Name(&'t str),
    Text(String),
    Sign(char),
    Broken(&'static str),
}

struct Reader<'t> {
    rest: &'t str,
    line: usize,
    backslash: Backslash,
    /// Tables that rows were taken of.
    tables: Vec<String>,
}

impl<'t> Reader<'t> {
    /// Takes so many bytes.
    fn take(&mut self, bytes: usize) -> &'t str {
        let taken = self.rest.get(..bytes).unwrap_or(self.rest);
        self.rest = self.rest.get(taken.len()..).unwrap_or_default();
        self.line += taken.matches('\n').count();
        taken
    }

    /// The next piece and its line; comments are left out.
    fn next(&mut self) -> Option<(usize, Token<'t>)> {
        loop {
            let blanks = self.rest.len() - self.rest.trim_start().len();
            self.take(blanks);
            let line = self.line;
            let first = self.rest.chars().next()?;
            if self.rest.starts_with("--") || first == '#' {
                self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
                continue;
            }
            if self.rest.starts_with("/*") {
                let Some(end) = self.rest.find("*/") else {
                    return Some((line, Token::Broken("this comment is never closed")));
                };
                let comment = self.take(end + 2).to_ascii_lowercase();
                // MySQL carries out what stands in such a comment.
                if comment.starts_with("/*!") && is_hidden(&comment) {
                    return Some((line, Token::Broken("this comment of MySQL holds rows")));
                }
                continue;
            }
            return Some((line, self.token(first)));
        }
    }

    fn token(&mut self, first: char) -> Token<'t> {
        if first == '\'' {
            self.take(1);
            return self.text(self.backslash);
        }
        if matches!(first, '"' | '`') {
            self.take(1);
            let Some(end) = self.rest.find(first) else {
                return Token::Broken("this name is never closed");
            };
            let name = self.take(end);
            self.take(1);
            return Token::Name(name);
        }
        let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '$');
        if !is_part(first) {
            self.take(first.len_utf8());
            return Token::Sign(first);
        }
        let end = self.rest.find(|letter| !is_part(letter));
        let word = self.take(end.unwrap_or(self.rest.len()));
        if self.rest.starts_with('\'') && is_one(word, &["e", "n"]) {
            self.take(1);
            let escaped = word.eq_ignore_ascii_case("e");
            return self.text(if escaped {
                Backslash::Escape
            } else {
                self.backslash
            });
        }
        Token::Word(word)
    }

    /// A text up to its closing quote; quotes are doubled inside.
    fn text(&mut self, backslash: Backslash) -> Token<'t> {
        let mut out = String::new();
        loop {
            let Some(at) = self.rest.find(['\'', '\\']) else {
                return Token::Broken("this text is never closed");
            };
            out.push_str(self.take(at));
            let found = self.take(1);
            if found == "'" {
                if !self.rest.starts_with('\'') {
                    return Token::Text(out);
                }
                out.push_str(self.take(1));
                continue;
            }
            match backslash {
                Backslash::Plain => out.push('\\'),
                Backslash::Unknown => {
                    return Token::Broken(
                        "a backslash in a text means one thing in MySQL and another elsewhere, and nothing here says whose dump this is",
                    );
                }
                Backslash::Escape => {
                    let escaped = self.rest.chars().next();
                    self.take(escaped.map_or(0, char::len_utf8));
                    out.extend(escaped.map(unescaped));
                }
            }
        }
    }

    /// Passes over the rest of a statement.
    fn skip(&mut self) -> Result<(), Fault> {
        while let Some((_, token)) = self.next() {
            match token {
                Token::Sign(';') => return Ok(()),
                Token::Broken(why) => return Err(Fault::Lost(why)),
                Token::Word(_) | Token::Name(_) | Token::Text(_) | Token::Sign(_) => {}
            }
        }
        Ok(())
    }

    /// A line for `psql`: those that only guard the dump are passed over.
    fn command(&mut self) -> Result<(), Fault> {
        let line = self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
        let word = line.split_whitespace().next().unwrap_or_default();
        if is_one(word, &["restrict", "unrestrict", "connect"]) {
            return Ok(());
        }
        Err(Fault::Lost("this command is not understood"))
    }

    fn sign(&mut self) -> Option<char> {
        match self.next()?.1 {
            Token::Sign(sign) => Some(sign),
            Token::Word(_) | Token::Name(_) | Token::Text(_) | Token::Broken(_) => None,
        }
    }

    fn peek(&mut self) -> Option<Token<'t>> {
        let (rest, line) = (self.rest, self.line);
        let token = self.next().map(|(_, token)| token);
        (self.rest, self.line) = (rest, line);
        token
    }

    /// The name of a table behind its schema.
    fn table(&mut self) -> Result<String, Fault> {
        let unread = Fault::Statement("the name of the table cannot be read");
        let mut name = match self.next() {
            Some((_, Token::Word(name) | Token::Name(name))) => name,
            _ => return Err(unread),
        };
        while matches!(self.peek(), Some(Token::Sign('.'))) {
            self.next();
            name = match self.next() {
                Some((_, Token::Word(name) | Token::Name(name))) => name,
                _ => return Err(unread),
            };
        }
        Ok(name.to_owned())
    }

    /// Names of columns in parentheses, if there are any, as places of the type and `v0`, `v1`, …
    fn columns(&mut self) -> Result<Option<Vec<usize>>, Fault> {
        if !matches!(self.peek(), Some(Token::Sign('('))) {
            return Ok(None);
        }
        self.next();
        let mut names = Vec::new();
        loop {
            match self.next() {
                Some((_, Token::Word(name) | Token::Name(name))) => names.push(name.to_owned()),
                _ => return Err(Fault::Statement("the names of the columns cannot be read")),
            }
            match self.sign() {
                Some(',') => {}
                Some(')') => break,
                _ => return Err(Fault::Statement("the names of the columns cannot be read")),
            }
        }
        let columns = heading(&names);
        let none = Fault::Statement("no column is called `ptype`, so this is no table of rules");
        columns.map(Some).ok_or(none)
    }

    /// `DELETE FROM sqlite_sequence;` behind its first word: SQLite counts anew.
    fn delete(&mut self) -> Result<(), Fault> {
        let from = matches!(self.next(), Some((_, Token::Word(word))) if word.eq_ignore_ascii_case("from"));
        if from && self.table()?.eq_ignore_ascii_case("sqlite_sequence") {
            return self.skip();
        }
        Err(Fault::Statement("this statement is not understood"))
    }

    /// Whether rows of a table are rules: the only table of the dump is, and every one that is called so.
    fn takes(&mut self, table: String) -> Result<(), Fault> {
        let is_known = table.to_ascii_lowercase().contains("casbin")
            || self.tables.is_empty()
            || self.tables.contains(&table);
        if !is_known {
            return Err(Fault::Statement(
                "this is another table than the one before",
            ));
        }
        self.tables.push(table);
        self.tables.dedup();
        Ok(())
    }

    /// `INSERT INTO t (…) VALUES (…), (…);` behind its first word.
    fn insert(&mut self, rows: &mut Vec<String>, problems: &mut Problems<'_>) -> Result<(), Fault> {
        loop {
            match self.next() {
                Some((_, Token::Word(word))) if word.eq_ignore_ascii_case("into") => break,
                Some((_, Token::Word(_))) => {}
                _ => return Err(Fault::Statement("this INSERT names no table")),
            }
        }
        let table = self.table()?;
        if table.eq_ignore_ascii_case("sqlite_sequence") {
            return self.skip();
        }
        self.takes(table)?;
        let columns = self.columns()?;
        match self.next() {
            Some((_, Token::Word(word))) if word.eq_ignore_ascii_case("values") => {}
            _ => return Err(Fault::Statement("this INSERT has no VALUES")),
        }
        loop {
            let (line, fields) = self.tuple()?;
            let picked = match &columns {
                Some(columns) => pick(&fields, columns),
                None => without_number(fields),
            };
            push(rows, picked, Place { line, column: 1 }, problems);
            match self.next() {
                Some((_, Token::Sign(','))) => {}
                Some((_, Token::Sign(';'))) | None => return Ok(()),
                Some((_, Token::Word(word))) if word.eq_ignore_ascii_case("on") => {
                    return self.on_conflict();
                }
                Some((_, Token::Broken(why))) => return Err(Fault::Lost(why)),
                Some(_) => return Err(Fault::Statement(VALUES)),
            }
        }
    }

    /// `CONFLICT DO NOTHING` behind `ON`: the row is there in any case.
    fn on_conflict(&mut self) -> Result<(), Fault> {
        for wanted in ["conflict", "do", "nothing"] {
            match self.next() {
                Some((_, Token::Word(word))) if word.eq_ignore_ascii_case(wanted) => {}
                _ => {
                    return Err(Fault::Statement(
                        "this INSERT may change a row that is there",
                    ));
                }
            }
        }
        self.skip()
    }

    /// `(1, 'a', NULL)` and its line.
    fn tuple(&mut self) -> Result<(usize, Vec<String>), Fault> {
        let line = match self.next() {
            Some((line, Token::Sign('('))) => line,
            Some((_, Token::Broken(why))) => return Err(Fault::Lost(why)),
            _ => return Err(Fault::Statement(VALUES)),
        };
        let mut fields = Vec::new();
        loop {
            match self.next() {
                Some((_, Token::Text(text))) => fields.push(text),
                Some((_, Token::Word(word))) if word.eq_ignore_ascii_case("null") => {
                    fields.push(String::new());
                }
                Some((_, Token::Word(word))) if word.bytes().all(|byte| byte.is_ascii_digit()) => {
                    fields.push(word.to_owned());
                }
                Some((_, Token::Broken(why))) => return Err(Fault::Lost(why)),
                _ => return Err(Fault::Statement(VALUES)),
            }
            match self.next() {
                Some((_, Token::Sign(','))) => {}
                Some((_, Token::Sign(')'))) => return Ok((line, fields)),
                Some((_, Token::Broken(why))) => return Err(Fault::Lost(why)),
                _ => return Err(Fault::Statement(VALUES)),
            }
        }
    }

    /// `COPY t (…) FROM stdin;` behind its first word, and the lines that follow up to `\.`.
    fn copy(&mut self, rows: &mut Vec<String>, problems: &mut Problems<'_>) -> Result<(), Fault> {
        let table = self.table()?;
        let columns = self.columns()?;
        for wanted in ["from", "stdin"] {
            match self.next() {
                Some((_, Token::Word(word))) if word.eq_ignore_ascii_case(wanted) => {}
                _ => {
                    return Err(Fault::Statement(
                        "this COPY is not read; only `FROM stdin` is",
                    ));
                }
            }
        }
        if self.sign() != Some(';') {
            return Err(Fault::Lost("this COPY has options; dump without them"));
        }
        let taken = self.takes(table);
        self.take(self.rest.find('\n').map_or(self.rest.len(), |at| at + 1));
        loop {
            let line = self.line;
            let end = self
                .rest
                .find('\n')
                .ok_or(Fault::Lost("this COPY is never ended by `\\.`"));
            let row = self.take(end? + 1).trim_end_matches(['\n', '\r']);
            if row == "\\." {
                return taken;
            }
            if taken.is_err() {
                continue;
            }
            let fields: Vec<String> = row.split('\t').map(copied).collect();
            let picked = match &columns {
                Some(columns) => pick(&fields, columns),
                None => without_number(fields),
            };
            push(rows, picked, Place { line, column: 1 }, problems);
        }
    }
}

/// A field of COPY: `\N` is NULL.
fn copied(field: &str) -> String {
    if field == "\\N" {
        return String::new();
    }
    let mut out = String::new();
    let mut letters = field.chars();
    while let Some(letter) = letters.next() {
        if letter == '\\' {
            out.extend(letters.next().map(unescaped));
        } else {
            out.push(letter);
        }
    }
    out
}

/// The letter that stands behind a backslash.
fn unescaped(letter: char) -> char {
    match letter {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        '0' => '\0',
        other => other,
    }
}

/// Whether a comment that MySQL carries out brings or takes rows.
fn is_hidden(comment: &str) -> bool {
    ["insert", "replace", "delete", "update", "load"]
        .iter()
        .any(|word| {
            comment
                .split(|c: char| !c.is_alphabetic())
                .any(|part| part == *word)
        })
}

fn is_one(word: &str, known: &[&str]) -> bool {
    known.iter().any(|known| word.eq_ignore_ascii_case(known))
}

const VALUES: &str =
    "the values of this INSERT cannot be read: texts in quotes, numbers and NULL are";
/// Statements that bring rows.
const DATA: [&str; 3] = ["insert", "replace", "copy"];
/// Statements that bring and take none: they build the table around them.
const STRUCTURE: [&str; 18] = [
    "alter", "analyze", "begin", "comment", "commit", "create", "drop", "end", "grant", "lock",
    "pragma", "revoke", "select", "set", "start", "unlock", "use", "vacuum",
];
