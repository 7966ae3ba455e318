//! `globMatch`, as in Go (`doublestar`): `*` and `?` stay within a segment, `**` as a whole segment crosses them.
//!
//! `{a,b}` is unfolded at load. A few spellings whose meaning Go leaves to its algorithm are refused.

/// A compiled glob.
#[derive(Clone, Debug)]
pub(crate) struct Glob {
    alternatives: Vec<Vec<Token>>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Token {
    Char(char),
    /// `?`: any character but `/`.
    One,
    /// `*`: any characters but `/`.
    Star,
    /// `**/` at the start of a segment: any segments.
    Segments,
    /// `**` at the end, at the start of a segment: anything.
    Rest,
    Set {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Glob {
    /// Compiles a glob; the error is what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.contains("***") || text.contains("**/**") {
            return Err("stars in a row mean different things to different tools".to_owned());
        }
        let alternatives = unfold(text)?;
        let parsed: Result<_, _> = alternatives.iter().map(|text| tokens(text)).collect();
        Ok(Self {
            alternatives: parsed?,
        })
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        let tokens = self.alternatives.iter().flatten();
        tokens
            .map(|token| match token {
                Token::Set { ranges, .. } => size_of::<Token>() + size_of_val(&**ranges),
                Token::Char(_) | Token::One | Token::Star | Token::Segments | Token::Rest => {
                    size_of::<Token>()
                }
            })
            .sum()
    }

    /// Whether all of `value` matches. Takes at most (length of the value)² steps for each alternative.
    pub(crate) fn matches(&self, value: &str) -> bool {
        self.alternatives.iter().any(|tokens| fits(tokens, value))
    }
}

/// `a{b,c}d` is `abd` and `acd`.
fn unfold(text: &str) -> Result<Vec<String>, String> {
    let mut done = vec![String::new()];
    let mut rest = text;
    while let Some(at) = rest.find(['{', '\\', '[', '}']) {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        let step = if from.starts_with('\\') {
            escaped_length(from)
        } else if from.starts_with('[') {
            set_length(from)?
        } else if from.starts_with('}') {
            1
        } else {
            let (inside, after) = alternatives(from)?;
            let choices: Vec<_> = inside.split(',').collect();
            if done.len() * choices.len() > ALTERNATIVES_MAX {
                return Err(format!("more than {ALTERNATIVES_MAX} alternatives"));
            }
            done = done
                .iter()
                .flat_map(|start| {
                    choices
                        .iter()
                        .map(move |choice| format!("{start}{before}{choice}"))
                })
                .collect();
            rest = after;
            continue;
        };
        let (taken, after) = from.split_at_checked(step).unwrap_or((from, ""));
        for start in &mut done {
            start.push_str(before);
            start.push_str(taken);
        }
        rest = after;
    }
    for start in &mut done {
        start.push_str(rest);
    }
    Ok(done)
}

/// The inside of the braces that `text` starts with, and what follows.
fn alternatives(text: &str) -> Result<(&str, &str), String> {
    let inner = text.strip_prefix('{').unwrap_or(text);
    let Some((inside, after)) = inner.split_once('}') else {
        return Err("`{` is never closed".to_owned());
    };
    if inside.contains(['{', '*', '\\', '[']) || after.starts_with('*') {
        return Err("stars, sets, escapes or braces in or right after braces".to_owned());
    }
    Ok((inside, after))
}

fn escaped_length(text: &str) -> usize {
    text.chars().take(2).map(char::len_utf8).sum()
}

/// The length of the set that `text` starts with.
fn set_length(text: &str) -> Result<usize, String> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ']' if at > 1 => return Ok(at + 1),
            _ => {}
        }
    }
    Err("`[` is never closed, or empty".to_owned())
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut starts_segment = true;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        let (token, after) = match c {
            '*' => star(after, starts_segment),
            '?' => (Token::One, after),
            '[' => set(rest)?,
            '\\' => match after.chars().next() {
                Some(c) => (
                    Token::Char(c),
                    after.get(c.len_utf8()..).unwrap_or_default(),
                ),
                None => return Err("a backslash at the end".to_owned()),
            },
            _ => (Token::Char(c), after),
        };
        starts_segment = token == Token::Char('/') || token == Token::Segments;
        tokens.push(token);
        rest = after;
    }
    Ok(tokens)
}

/// After a `*`.
fn star(after: &str, starts_segment: bool) -> (Token, &str) {
    let Some(after) = after.strip_prefix('*') else {
        return (Token::Star, after);
    };
    match after.strip_prefix('/') {
        Some(after) if starts_segment => (Token::Segments, after),
        None if starts_segment && after.is_empty() => (Token::Rest, after),
        _ => (Token::Star, after),
    }
}

fn set(text: &str) -> Result<(Token, &str), String> {
    let (inside, after) = text
        .split_at_checked(set_length(text)?)
        .unwrap_or((text, ""));
    let inside = inside.get(1..inside.len() - 1).unwrap_or_default();
    let (negated, inside) = match inside.strip_prefix(['!', '^']) {
        Some(rest) => (true, rest),
        None => (false, inside),
    };
    if inside.is_empty() || inside.starts_with(']') {
        return Err("a set of nothing".to_owned());
    }
    let mut chars = Vec::new();
    let mut iter = inside.chars();
    while let Some(c) = iter.next() {
        match c {
            '\\' => chars.extend(iter.next().map(|c| (c, false))),
            c => chars.push((c, c == '-')),
        }
    }
    let mut ranges = Vec::new();
    let mut at = 0;
    while let Some((low, _)) = chars.get(at).copied() {
        match (chars.get(at + 1), chars.get(at + 2)) {
            (Some((_, true)), Some((high, _))) => {
                ranges.push((low, *high));
                at += 3;
            }
            _ => {
                ranges.push((low, low));
                at += 1;
            }
        }
    }
    Ok((Token::Set { negated, ranges }, after))
}

fn fits(tokens: &[Token], value: &str) -> bool {
    let mut token = 0;
    let mut rest = value;
    // Where to go on when the rest does not fit: one character later for `*`, one segment later for `**/`.
    let mut star: Option<(usize, &str)> = None;
    let mut segments: Option<(usize, &str)> = None;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        let next = match tokens.get(token) {
            Some(Token::Rest) => return true,
            Some(Token::Star) => {
                star = Some((token + 1, rest));
                Some((token + 1, rest))
            }
            Some(Token::Segments) => {
                segments = Some((token + 1, rest));
                star = None;
                Some((token + 1, rest))
            }
            Some(Token::Char(wanted)) => (*wanted == c).then_some((token + 1, after)),
            Some(Token::One) => (c != '/').then_some((token + 1, after)),
            Some(Token::Set { negated, ranges }) => {
                let found = ranges.iter().any(|(low, high)| (*low..=*high).contains(&c));
                (found != *negated).then_some((token + 1, after))
            }
            None => None,
        };
        let next = next
            .or_else(|| later(&mut star, |text| text.strip_prefix(|c| c != '/')))
            .or_else(|| {
                star = None;
                later(&mut segments, |text| {
                    text.split_once('/').map(|(_, after)| after)
                })
            });
        match next {
            Some((to, text)) => (token, rest) = (to, text),
            None => return false,
        }
    }
    ends(tokens.get(token..).unwrap_or_default())
}

/// Tries what a star stands for a step later.
fn later<'a>(
    star: &mut Option<(usize, &'a str)>,
    step: impl Fn(&'a str) -> Option<&'a str>,
) -> Option<(usize, &'a str)> {
    let (token, text) = (*star)?;
    let next = step(text).map(|text| (token, text));
    if next.is_some() {
        *star = next;
    }
    next
}

/// Whether what is left of a glob matches nothing at all.
fn ends(tokens: &[Token]) -> bool {
    let empty = |token: &Token| matches!(token, Token::Star | Token::Rest | Token::Segments);
    match tokens {
        [] => true,
        [only] => empty(only),
        [Token::Char('/'), last] => matches!(last, Token::Rest | Token::Segments),
        _ => false,
    }
}

/// Globs that one glob with braces may unfold to.
const ALTERNATIVES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_in_go() {
        for (value, glob, expected) in [
            ("/foo", "/foo", true),
            ("/foo", "/foo*", true),
            ("/foobar", "/foo*", true),
            ("/foo/bar", "/foo*", false),
            ("/foo/bar", "/foo/*", true),
            ("/foo/bar/x", "/foo/*", false),
            ("/foo/", "/foo/*", true),
            ("/foo/bar/x", "/foo/**", true),
            ("/foo", "/foo/**", true),
            ("/foobar", "/foo/**", false),
            ("/a/b/c/d", "/a/**/d", true),
            ("/a/d", "/a/**/d", true),
            ("/a/xd", "/a/**/d", false),
            ("/a/x/yd", "/a/**/d", false),
            ("/a/x/y.txt", "/a/**/*.txt", true),
            ("/a/", "/a/**/*", false),
            ("/a/x", "/a/**/*", true),
            ("/abc", "/a?c", true),
            ("/a/c", "/a?c", false),
            ("/a中c", "/a?c", true),
            ("/b", "/[abc]", true),
            ("/d", "/[!abc]", true),
            ("/d", "/[^a-c]", true),
            ("/-", "/[a\\-c]", true),
            ("/jpg", "/{jpg,png}", true),
            ("/gif", "/{jpg,png}", false),
            ("/a*", "/a\\*", true),
            ("/ab", "/a\\*", false),
            ("/x/a.txt", "/x/**.txt", true),
            ("/x/y/a.txt", "/x/**.txt", false),
            ("", "**", true),
            ("anything/at/all", "**", true),
            ("", "*", true),
            ("/aab", "/*ab", true),
            ("/a/b/a/c", "/**/a/c", true),
        ] {
            let compiled = Glob::parse(glob).unwrap();
            assert_eq!(compiled.matches(value), expected, "{value} {glob}");
        }
    }

    #[test]
    fn what_is_no_glob_or_has_two_meanings_is_refused() {
        for glob in [
            "[",
            "[]",
            "[!]",
            "{a",
            "a\\",
            "***",
            "a/**/**",
            "{a,*}",
            "{a,b}**",
            "{a,{b,c}}",
        ] {
            assert!(Glob::parse(glob).is_err(), "{glob}");
        }
        assert!(Glob::parse(&"{a,b}".repeat(10)).is_err());
    }

    #[test]
    fn a_hostile_glob_takes_bounded_time() {
        let glob = Glob::parse(&"*a".repeat(500)).unwrap();
        assert!(!glob.matches(&"a".repeat(2_000).replace("aa", "ab")));
    }
}
