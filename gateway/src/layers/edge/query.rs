//! The parameters of a query that an application declares, so that rules may read them.
//!
//! A query goes to the application as it came, and every framework splits and decodes it in its own way: at `&` or also at `;`, with
//! `a[]` as `a` or not, the first of two or the last, with or without regard to case. What a rule decides by must have one reading
//! in all of them, so a declared parameter stands once and under its own name, or the request is refused.

use crate::denial::Denial;

/// The values of the declared parameters that `query` has, decoded, in the order of `declared`.
///
/// # Errors
/// [`Denial::QueryAmbiguous`] where one stands twice, in whatever spelling, or its value is no text.
pub fn parameters(
    query: Option<&[u8]>,
    declared: &[Box<str>],
) -> Result<Vec<(String, String)>, Denial> {
    let mut found = Vec::new();
    let Some(query) = query.filter(|_| !declared.is_empty()) else {
        return Ok(found);
    };
    for pair in query.split(|byte| *byte == b'&') {
        // Who splits at `;` too finds further parameters behind it, and their names may be declared ones.
        let mut parts = pair.split(|byte| *byte == b';');
        let first = parts.next().unwrap_or_default();
        let is_hidden = |part: &[u8]| declared_name(part, declared).is_some();
        if parts.any(is_hidden) {
            return Err(Denial::QueryAmbiguous);
        }
        let Some(name) = declared_name(first, declared) else {
            continue;
        };
        let (spelling, value) = halves(pair);
        let is_plain = decoded(spelling).as_deref() == Some(name.as_bytes());
        let is_again = found
            .iter()
            .any(|(own, _): &(String, String)| *own == *name);
        let value = decoded(value).and_then(|bytes| String::from_utf8(bytes).ok());
        match value.filter(|value| !value.chars().any(char::is_control)) {
            Some(value) if is_plain && !is_again => found.push((name.to_owned(), value)),
            Some(_) | None => return Err(Denial::QueryAmbiguous),
        }
    }
    Ok(found)
}

/// The declared parameter that some framework takes this one for.
fn declared_name<'d>(pair: &[u8], declared: &'d [Box<str>]) -> Option<&'d str> {
    let (spelling, _) = halves(pair);
    // A broken escape stays as it is for those who take it all the same.
    let name = decoded(spelling).unwrap_or_else(|| spelling.to_vec());
    let folded = folded(&name);
    declared
        .iter()
        .find(|own| own.to_ascii_lowercase().as_bytes() == folded)
        .map(|own| &**own)
}

/// Name and value.
fn halves(pair: &[u8]) -> (&[u8], &[u8]) {
    match pair.iter().position(|byte| *byte == b'=') {
        Some(at) => (
            pair.get(..at).unwrap_or_default(),
            pair.get(at + 1..).unwrap_or_default(),
        ),
        None => (pair, &[]),
    }
}

/// A name as the laxest frameworks read it: without case, without spaces around it, cut at a bracket or NUL, with `_` for `.`, a
/// space and `-`.
fn folded(name: &[u8]) -> Vec<u8> {
    let end = name
        .iter()
        .position(|byte| matches!(byte, b'[' | 0))
        .unwrap_or(name.len());
    let name = name.get(..end).unwrap_or_default().trim_ascii();
    name.iter()
        .map(|byte| match byte {
            b'.' | b' ' | b'-' => b'_',
            other => other.to_ascii_lowercase(),
        })
        .collect()
}

/// Escapes and `+` undone (WHATWG URL section 5.1); `None` for an escape that is none.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(*rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => *other,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Vec<(String, String)>, Denial> {
        let declared = ["year".into(), "cost_centre".into()];
        parameters(Some(query.as_bytes()), &declared)
    }

    #[test]
    fn a_declared_parameter_is_read_once_and_decoded() {
        for (query, expected) in [
            ("", &[][..]),
            ("a=b&a=c&&=", &[]),
            ("year=2026", &[("year", "2026")]),
            ("a=1;b=2&year=2026", &[("year", "2026")]),
            ("ye%61r=20%326", &[("year", "2026")]),
            ("year", &[("year", "")]),
            ("year=a+b%20c%26d=e", &[("year", "a b c&d=e")]),
            ("year=%E5%B9%B4", &[("year", "\u{5e74}")]),
            (
                "cost_centre=7&year=1",
                &[("cost_centre", "7"), ("year", "1")],
            ),
            ("years=1&my-year=2", &[]),
        ] {
            let expected: Vec<(String, String)> = expected
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            assert_eq!(read(query), Ok(expected), "{query}");
        }
        assert_eq!(parameters(None, &["year".into()]), Ok(Vec::new()));
        assert_eq!(parameters(Some(b"year=1&year=2"), &[]), Ok(Vec::new()));
    }

    #[test]
    fn a_declared_parameter_with_two_readings_is_ambiguous() {
        for query in [
            "year=1&year=1",
            "year=1&year=2",
            "year&year",
            "year=1&ye%61r=2",
            "ye%61r=1&y%65ar=2",
            "year=1&%79%65%61%72=2",
            "Year=1",
            "year=1&YEAR=2",
            "year[]=1",
            "year%5B0%5D=1",
            "year=1&year[a]=2",
            "a=1;year=2",
            "year=1;year=2",
            "year=1&a=2;ye%61r=3",
            "+year=1",
            "year%20=1",
            "year%00x=1",
            "cost.centre=1",
            "cost-centre=1",
            "cost+centre=1",
            "year=%zz",
            "year=%2",
            "year=%ff",
            "year=%00",
            "year=a%0d%0ab",
        ] {
            assert_eq!(read(query), Err(Denial::QueryAmbiguous), "{query}");
        }
    }
}
