//! Reads Rust text far enough to know which paths it names: words, `::`, groups of `use`, and what `#[cfg(test)]` hides.
//!
//! Not a parser: it need not understand an expression to see that one says `tokio::spawn`. Comments, strings and
//! test-only items are passed over, so prose about a forbidden thing is no violation.

use std::iter::Peekable;
use std::str::Chars;

/// A path as a source names it, groups of `use` written out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// Its segments; `*` for a glob.
    pub(crate) segments: Vec<String>,
    /// Line of its last segment, from 1.
    pub(crate) line: usize,
    /// Whether a `use` names it.
    pub(crate) imported: bool,
}

/// What one source file names outside its tests.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// All paths, in the order of the text.
    pub(crate) paths: Vec<Named>,
    /// Modules in files of their own that only tests build.
    pub(crate) test_modules: Vec<String>,
}

/// Reads one source text.
pub(crate) fn scan(source: &str) -> Scan {
    let mut scan = Scan::default();
    let tokens = without_tests(&tokens(source), &mut scan.test_modules);
    let mut reader = Reader {
        tokens: &tokens,
        at: 0,
        imported: false,
        paths: &mut scan.paths,
    };
    reader.read_all();
    scan
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Word(String),
    /// `::`
    Joint,
    Mark(char),
}

#[derive(Clone, Debug)]
struct Token {
    kind: Kind,
    line: usize,
}

impl Token {
    fn is(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }

    fn says(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Word(own) if own == word)
    }
}

fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        rest: source.chars().peekable(),
        line: 1,
        tokens: Vec::new(),
    };
    while let Some(first) = lexer.take() {
        lexer.token(first);
    }
    lexer.tokens
}

struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn take(&mut self) -> Option<char> {
        let next = self.rest.next();
        if next == Some('\n') {
            self.line += 1;
        }
        next
    }

    fn take_if(&mut self, wanted: char) -> bool {
        let is_next = self.rest.peek() == Some(&wanted);
        if is_next {
            self.take();
        }
        is_next
    }

    fn push(&mut self, kind: Kind) {
        self.tokens.push(Token {
            kind,
            line: self.line,
        });
    }

    fn token(&mut self, first: char) {
        match first {
            '/' if self.take_if('/') => while self.take().is_some_and(|next| next != '\n') {},
            '/' if self.take_if('*') => self.block_comment(),
            '"' => self.string(),
            '\'' => self.quote(),
            ':' if self.take_if(':') => self.push(Kind::Joint),
            _ if first == '_' || first.is_alphanumeric() => self.word(first),
            _ if first.is_whitespace() => {}
            _ => self.push(Kind::Mark(first)),
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.take() {
                Some('/') if self.take_if('*') => depth += 1,
                Some('*') if self.take_if('/') => depth -= 1,
                Some(_) => {}
                None => return,
            }
        }
    }

    fn string(&mut self) {
        while let Some(next) = self.take() {
            match next {
                '\\' => drop(self.take()),
                '"' => return,
                _ => {}
            }
        }
    }

    /// After the `#`s of `r##"`: ends at `"##`.
    fn raw_string(&mut self, hashes: usize) {
        let mut closing = None;
        while let Some(next) = self.take() {
            closing = match (next, closing) {
                ('"', _) => Some(0),
                ('#', Some(seen)) => Some(seen + 1),
                _ => None,
            };
            if closing == Some(hashes) {
                return;
            }
        }
    }

    /// A character literal, or a lifetime.
    fn quote(&mut self) {
        let mut ahead = self.rest.clone();
        match (ahead.next(), ahead.next()) {
            (Some('\\'), _) => {
                self.take();
                self.take();
                while self.take().is_some_and(|next| next != '\'') {}
            }
            (Some(_), Some('\'')) => {
                self.take();
                self.take();
            }
            _ => {}
        }
    }

    fn word(&mut self, first: char) {
        let mut word = String::from(first);
        while let Some(next) = self
            .rest
            .next_if(|next| *next == '_' || next.is_alphanumeric())
        {
            word.push(next);
        }
        if matches!(word.as_str(), "r" | "br" | "cr") && matches!(self.rest.peek(), Some('#' | '"'))
        {
            let mut hashes = 0;
            while self.take_if('#') {
                hashes += 1;
            }
            if self.take_if('"') {
                return self.raw_string(hashes);
            }
            // A raw identifier, `r#type`: its word follows.
            return;
        }
        if matches!(word.as_str(), "b" | "c") && self.take_if('"') {
            return self.string();
        }
        self.push(Kind::Word(word));
    }
}

/// Leaves out every item behind `#[cfg(test)]`; modules of their own files are listed.
fn without_tests(tokens: &[Token], modules: &mut Vec<String>) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut rest = tokens;
    while let Some((token, after)) = rest.split_first() {
        match after_test_attribute(rest) {
            Some(item) => rest = after_item(item, modules),
            None => {
                kept.push(token.clone());
                rest = after;
            }
        }
    }
    kept
}

fn after_test_attribute(tokens: &[Token]) -> Option<&[Token]> {
    let (attribute, rest) = tokens.split_at_checked(7)?;
    let words: Vec<Kind> = attribute.iter().map(|token| token.kind.clone()).collect();
    let wanted = [
        Kind::Mark('#'),
        Kind::Mark('['),
        Kind::Word("cfg".to_owned()),
        Kind::Mark('('),
        Kind::Word("test".to_owned()),
        Kind::Mark(')'),
        Kind::Mark(']'),
    ];
    (words == wanted).then_some(rest)
}

/// What follows the item that starts here: it ends at its `;` or with its braces.
fn after_item<'t>(item: &'t [Token], modules: &mut Vec<String>) -> &'t [Token] {
    let (mut braces, mut brackets) = (0_usize, 0_usize);
    let mut rest = item;
    let mut name = None;
    while let Some((token, after)) = rest.split_first() {
        rest = after;
        match token.kind {
            Kind::Word(_) if token.says("mod") && braces == 0 => name = after.first().cloned(),
            Kind::Mark('{') => braces += 1,
            Kind::Mark('}') => {
                braces = braces.saturating_sub(1);
                if braces == 0 {
                    return rest;
                }
            }
            Kind::Mark('(' | '[') => brackets += 1,
            Kind::Mark(')' | ']') => brackets = brackets.saturating_sub(1),
            Kind::Mark(';') if braces == 0 && brackets == 0 => {
                if let Some(Token {
                    kind: Kind::Word(module),
                    ..
                }) = name
                {
                    modules.push(module);
                }
                return rest;
            }
            Kind::Word(_) | Kind::Joint | Kind::Mark(_) => {}
        }
    }
    rest
}

struct Reader<'t> {
    tokens: &'t [Token],
    at: usize,
    imported: bool,
    paths: &'t mut Vec<Named>,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<&'t Token> {
        self.tokens.get(self.at)
    }

    fn read_all(&mut self) {
        while let Some(token) = self.peek() {
            if token.says("use") {
                self.imported = true;
                self.at += 1;
            } else if token.is(';') {
                self.imported = false;
                self.at += 1;
            } else if matches!(token.kind, Kind::Word(_)) || (self.imported && token.is('{')) {
                self.tree(Vec::new());
            } else {
                self.at += 1;
            }
        }
    }

    /// One path, or one group of them, behind `prefix`.
    fn tree(&mut self, mut segments: Vec<String>) {
        let mut line = 0;
        while let Some(token) = self.peek() {
            line = token.line;
            match &token.kind {
                Kind::Word(word) => segments.push(word.clone()),
                Kind::Mark('{') if self.imported => return self.group(&segments),
                Kind::Mark('*') if self.imported => segments.push("*".to_owned()),
                Kind::Joint | Kind::Mark(_) => break,
            }
            self.at += 1;
            if !self.peek().is_some_and(|next| next.kind == Kind::Joint) {
                break;
            }
            self.at += 1;
        }
        if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
            segments.pop();
        }
        self.paths.push(Named {
            segments,
            line,
            imported: self.imported,
        });
    }

    fn group(&mut self, prefix: &[String]) {
        self.at += 1;
        while let Some(token) = self.peek() {
            match token.kind {
                Kind::Mark('}') => {
                    self.at += 1;
                    return;
                }
                Kind::Mark(',') | Kind::Joint => self.at += 1,
                Kind::Word(_) if token.says("as") => self.at += 2,
                Kind::Word(_) | Kind::Mark('{' | '*') => self.tree(prefix.to_vec()),
                Kind::Mark(_) => self.at += 1,
            }
        }
    }
}
