//! The words of a matcher.
//!
//! What both casbins understand, and Go's single quotes and tuples. A backslash in quotes is a plain character, as
//! in Go: no escapes.

/// A word and the byte offset it starts at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Token<'a> {
    pub(crate) word: Word<'a>,
    pub(crate) at: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Word<'a> {
    Name(&'a str),
    Text(&'a str),
    Number(f64),
    Sign(Sign),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sign {
    And,
    Or,
    Not,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Plus,
    Minus,
    Times,
    Over,
    Remainder,
    Open,
    Close,
    OpenList,
    CloseList,
    Comma,
    Dot,
}

impl Sign {
    /// As written.
    pub(crate) fn text(self) -> &'static str {
        SIGNS
            .iter()
            .find(|(_, sign)| *sign == self)
            .map_or("", |(text, _)| text)
    }
}

/// Longest first, so that `<=` is not read as `<`.
const SIGNS: [(&str, Sign); 20] = [
    ("&&", Sign::And),
    ("||", Sign::Or),
    ("==", Sign::Equal),
    ("!=", Sign::NotEqual),
    ("<=", Sign::LessOrEqual),
    (">=", Sign::GreaterOrEqual),
    ("<", Sign::Less),
    (">", Sign::Greater),
    ("!", Sign::Not),
    ("+", Sign::Plus),
    ("-", Sign::Minus),
    ("*", Sign::Times),
    ("/", Sign::Over),
    ("%", Sign::Remainder),
    ("(", Sign::Open),
    (")", Sign::Close),
    ("[", Sign::OpenList),
    ("]", Sign::CloseList),
    (",", Sign::Comma),
    (".", Sign::Dot),
];

/// Why a text is not a sequence of words: the offset, what is wrong, and the fix.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) what: String,
    pub(crate) fix: String,
}

impl Fault {
    pub(crate) fn new(at: usize, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            at,
            what: what.into(),
            fix: fix.into(),
        }
    }
}

/// Splits an expression into words.
pub(crate) fn words(text: &str) -> Result<Vec<Token<'_>>, Fault> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let Some(c) = rest.chars().next() else { break };
        if c.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let (word, length) = word(rest, c, at)?;
        tokens.push(Token { word, at });
        at += length;
    }
    Ok(tokens)
}

fn word(rest: &str, first: char, at: usize) -> Result<(Word<'_>, usize), Fault> {
    if first == '"' || first == '\'' {
        return quoted(rest, first, at);
    }
    if first.is_ascii_digit() {
        return number(rest, at);
    }
    if first.is_alphabetic() || first == '_' {
        let name = prefix(rest, |c| c.is_alphanumeric() || c == '_');
        return Ok((Word::Name(name), name.len()));
    }
    match SIGNS.iter().find(|(text, _)| rest.starts_with(text)) {
        Some((text, sign)) => Ok((Word::Sign(*sign), text.len())),
        None => Err(unknown_sign(rest, first, at)),
    }
}

fn quoted(rest: &str, quote: char, at: usize) -> Result<(Word<'_>, usize), Fault> {
    let inner = rest.get(1..).unwrap_or_default();
    let Some(end) = inner.find(quote) else {
        return Err(Fault::new(
            at,
            format!("quote `{quote}` is never closed"),
            format!("close it with `{quote}`"),
        ));
    };
    let text = inner.get(..end).unwrap_or_default();
    Ok((Word::Text(text), end + 2))
}

fn number(rest: &str, at: usize) -> Result<(Word<'_>, usize), Fault> {
    let digits = prefix(rest, |c| c.is_alphanumeric() || c == '.' || c == '_');
    let plain = digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    match digits.parse::<f64>() {
        Ok(value) if plain && !digits.ends_with('.') => Ok((Word::Number(value), digits.len())),
        _ => Err(Fault::new(
            at,
            format!("`{digits}` is not a number"),
            "write it in decimal, for example `18` or `0.5`",
        )),
    }
}

fn unknown_sign(rest: &str, first: char, at: usize) -> Fault {
    let (what, fix) = match first {
        '=' if rest.starts_with("=~") => (
            "operator `=~` is not compiled".to_owned(),
            "use `regexMatch(value, pattern)`".to_owned(),
        ),
        '=' => ("`=` compares nothing".to_owned(), "write `==`".to_owned()),
        '&' | '|' => (
            format!("operator `{first}` on bits is not compiled"),
            format!("write `{first}{first}`"),
        ),
        '?' => (
            "operator `?` is not compiled".to_owned(),
            "write the two cases with `&&` and `||`".to_owned(),
        ),
        _ => (
            format!("character {first:?} has no meaning here"),
            "remove it".to_owned(),
        ),
    };
    Fault::new(at, what, fix)
}

fn prefix(text: &str, belongs: impl Fn(char) -> bool) -> &str {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_their_place() {
        let found: Vec<_> = words("r.sub<= 'a b'&&12.5")
            .unwrap()
            .into_iter()
            .map(|t| (t.word, t.at))
            .collect();
        assert_eq!(
            found,
            [
                (Word::Name("r"), 0),
                (Word::Sign(Sign::Dot), 1),
                (Word::Name("sub"), 2),
                (Word::Sign(Sign::LessOrEqual), 5),
                (Word::Text("a b"), 8),
                (Word::Sign(Sign::And), 13),
                (Word::Number(12.5), 15),
            ]
        );
    }

    #[test]
    fn a_backslash_in_quotes_is_a_plain_character() {
        let found = words(r#""a\" == x"#).unwrap();
        assert_eq!(found[0].word, Word::Text(r"a\"));
    }

    #[test]
    fn what_is_no_word_is_refused_with_its_place() {
        for (text, at, what) in [
            ("a = b", 2, "`=` compares nothing"),
            ("a =~ b", 2, "operator `=~`"),
            ("a & b", 2, "operator `&` on bits"),
            ("a ? b", 2, "operator `?`"),
            ("\"abc", 0, "quote `\"` is never closed"),
            ("12ab", 0, "`12ab` is not a number"),
            ("1.", 0, "`1.` is not a number"),
            ("a ; b", 2, "character ';'"),
        ] {
            let fault = words(text).unwrap_err();
            assert_eq!(fault.at, at, "{text}");
            assert!(fault.what.starts_with(what), "{text}: {}", fault.what);
        }
    }
}
