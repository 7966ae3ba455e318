//! Go's regular expressions in ours.
//!
//! Policies are written for Go's syntax (RE2). The two differ in small things that would change answers: in Go `\d`,
//! `\w`, `\s` and `\b` know ASCII only, a `{` that repeats nothing is a plain character, sets know no operators. What
//! Go refuses is refused here.

/// Rewrites an expression; the error is what is wrong with it.
pub(crate) fn from_go(source: &str) -> Result<String, String> {
    let mut rewriter = Rewriter {
        out: String::with_capacity(source.len() + 16),
        rest: source,
    };
    let mut repeated = false;
    while let Some(c) = rewriter.take() {
        let repeats = match c {
            '*' | '+' | '?' => {
                rewriter.out.push(c);
                true
            }
            '{' => rewriter.counted()?,
            _ => {
                rewriter.plain(c)?;
                false
            }
        };
        if repeats {
            if repeated {
                return Err("a repetition of a repetition".to_owned());
            }
            if rewriter.takes('?') {
                rewriter.out.push('?');
            }
        }
        repeated = repeats;
    }
    Ok(rewriter.out)
}

struct Rewriter<'a> {
    out: String,
    rest: &'a str,
}

impl<'a> Rewriter<'a> {
    fn take(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        Some(c)
    }

    fn takes(&mut self, wanted: char) -> bool {
        let after = self.rest.strip_prefix(wanted);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    /// After `{`: a repetition if it is one, else a plain character.
    fn counted(&mut self) -> Result<bool, String> {
        let Some((inside, after)) = self.rest.split_once('}') else {
            self.out.push_str("\\{");
            return Ok(false);
        };
        let (low, high) = match inside.split_once(',') {
            Some((low, high)) => (low, high),
            None => (inside, inside),
        };
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if low.is_empty() || !digits(low) || !digits(high) {
            self.out.push_str("\\{");
            return Ok(false);
        }
        let fits = |text: &str| text.is_empty() || text.parse::<u32>().is_ok_and(|n| n <= 1_000);
        if !fits(low) || !fits(high) {
            return Err("a repetition of more than 1000".to_owned());
        }
        self.out.push('{');
        self.out.push_str(inside);
        self.out.push('}');
        self.rest = after;
        Ok(true)
    }

    fn plain(&mut self, c: char) -> Result<(), String> {
        match c {
            '\\' => self.escape(false),
            '[' => self.set(),
            '(' if self.rest.starts_with('?') => self.group(),
            _ => {
                self.out.push(c);
                Ok(())
            }
        }
    }

    /// After `(`, before `?`.
    fn group(&mut self) -> Result<(), String> {
        let named = self.rest.starts_with("?P<") || self.rest.starts_with("?<");
        let flags = self.rest.get(1..).unwrap_or_default();
        let end = flags.find([':', ')']).unwrap_or(flags.len());
        let known = flags.get(..end).is_some_and(|flags| {
            flags
                .chars()
                .all(|flag| matches!(flag, 'i' | 'm' | 's' | 'U' | '-'))
        });
        if !named && !known {
            return Err("a group or flag that Go does not know".to_owned());
        }
        self.out.push('(');
        Ok(())
    }

    /// After a backslash.
    fn escape(&mut self, in_set: bool) -> Result<(), String> {
        let Some(c) = self.take() else {
            return Err("a backslash at the end".to_owned());
        };
        match (c, in_set) {
            ('d', false) => self.out.push_str("[0-9]"),
            ('d', true) => self.out.push_str("0-9"),
            ('D', _) => self.out.push_str("[^0-9]"),
            ('w', false) => self.out.push_str("[0-9A-Za-z_]"),
            ('w', true) => self.out.push_str("0-9A-Za-z_"),
            ('W', _) => self.out.push_str("[^0-9A-Za-z_]"),
            ('s', false) => self.out.push_str(r"[\t\n\x0C\r ]"),
            ('s', true) => self.out.push_str(r"\t\n\x0C\r "),
            ('S', _) => self.out.push_str(r"[^\t\n\x0C\r ]"),
            ('b', false) => self.out.push_str(r"(?-u:\b)"),
            ('B', false) => self.out.push_str(r"(?-u:\B)"),
            ('A' | 'z', false) | ('a' | 'f' | 't' | 'n' | 'r' | 'v', _) => {
                self.out.push('\\');
                self.out.push(c);
            }
            ('x' | 'p' | 'P', _) => self.long_escape(c),
            _ if c.is_ascii_alphanumeric() || !c.is_ascii() => {
                return Err(format!(
                    "escape `\\{c}`, which Go refuses or reads differently"
                ));
            }
            _ => self.literal(c),
        }
        Ok(())
    }

    /// `\x7F`, `\x{7F}`, `\pN`, `\p{Greek}`: as they are.
    fn long_escape(&mut self, c: char) {
        self.out.push('\\');
        self.out.push(c);
        if self.rest.starts_with('{') {
            let end = self.rest.find('}').map_or(self.rest.len(), |end| end + 1);
            let (inside, after) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
            self.out.push_str(inside);
            self.rest = after;
        }
    }

    fn literal(&mut self, c: char) {
        if regex_meta(c) {
            self.out.push('\\');
        }
        self.out.push(c);
    }

    /// After `[`.
    fn set(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.takes('^') {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let Some(c) = self.take() else {
                return Err("a set that is never closed".to_owned());
            };
            match c {
                ']' if !first => {
                    self.out.push(']');
                    return Ok(());
                }
                '[' if self.rest.starts_with(':') && self.rest.contains(":]") => {
                    let end = self.rest.find(":]").map_or(0, |end| end + 2);
                    let (inside, after) =
                        self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
                    self.out.push('[');
                    self.out.push_str(inside);
                    self.rest = after;
                }
                '\\' => self.escape(true)?,
                '-' => {
                    if self.rest.starts_with('-') {
                        return Err("`--` in a set, which Go and Rust read differently".to_owned());
                    }
                    self.out.push('-');
                }
                _ => self.literal(c),
            }
            first = false;
        }
    }
}

/// Characters that may need a backslash somewhere in an expression of ours.
fn regex_meta(c: char) -> bool {
    matches!(
        c,
        '\\' | '.'
            | '+'
            | '*'
            | '?'
            | '('
            | ')'
            | '|'
            | '['
            | ']'
            | '{'
            | '}'
            | '^'
            | '$'
            | '#'
            | '&'
            | '-'
            | '~'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex::Regex;

    #[test]
    fn expressions_mean_what_they_mean_in_go() {
        for (source, value, expected) in [
            (r"^\d+$", "12", true),
            (r"^\d+$", "١٢", false),
            (r"^[\d-]+$", "1-2", true),
            (r"^[^\D]+$", "12", true),
            (r"^[^\D]+$", "1a", false),
            (r"^\w+$", "a_1", true),
            (r"^\w+$", "é", false),
            (r"^\s$", "\u{a0}", false),
            (r"^\s$", "\u{b}", false),
            (r"\bé", "aé", true),
            (r"^/a/{x}$", "/a/{x}", true),
            (r"^a{2}$", "aa", true),
            (r"^a{2,}$", "aaa", true),
            (r"^a{,2}$", "a{,2}", true),
            (r"^[a&&b]+$", "&ab", true),
            (r"^[[a]+$", "[a", true),
            (r"^[]a]+$", "]a", true),
            (r"^[[:alpha:]]+$", "ab", true),
            (r"^\<\-\_$", "<-_", true),
            (r"(?i)^GET$", "get", true),
            (r"^a+?$", "aaa", true),
            (r"^(?P<x>a)$", "a", true),
            (r"^\x41\p{Han}$", "A中", true),
            (r"^[~]$", "~", true),
        ] {
            let rewritten = from_go(source).unwrap();
            let regex = Regex::new(&rewritten).unwrap();
            assert_eq!(
                regex.is_match(value),
                expected,
                "{source} {value:?} {rewritten}"
            );
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for source in [
            "a**", "a+*", "a{2}{3}", "a??*", "a{1001}", r"\Qa\E", r"(a)\1", "(?x)a", "(?=a)",
            "(?u)a", "[a", r"\", r"\é", r"[\b]", "[a--z]",
        ] {
            assert!(from_go(source).is_err(), "{source}");
        }
    }
}
