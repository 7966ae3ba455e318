//! What an application carries out of what rules demand, and what rules may read of its queries.

use super::reader::Reader;
use crate::config::file::Texts;
use crate::config::problem::Fault;

/// What the application carries out, each once.
pub(super) fn obligations(reader: &mut Reader<'_, '_>, written: Option<&Texts>) -> Vec<Box<str>> {
    let words = reader.read_each(written, |text| {
        let name = text
            .strip_prefix("mask:")
            .or_else(|| text.strip_prefix("watermark:"));
        let known = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
        };
        match name {
            Some(name) if !name.is_empty() && name.len() <= 64 && name.bytes().all(known) => {
                Ok(Box::<str>::from(text))
            }
            Some(_) | None => Err(Fault::new(
                format!("`{text}` is no obligation that an application carries out"),
                "write `mask:NAME` or `watermark:NAME`, as the rules name them",
            )),
        }
    });
    let places = words.iter().map(|(place, word)| (*place, word.clone()));
    reader.no_two(places, |word| {
        Fault::new(
            format!("`{word}` stands here for the second time"),
            "remove it",
        )
    });
    words.into_iter().map(|(_, word)| word).collect()
}

/// The query parameters that rules may read, each once.
pub(super) fn query_parameters(
    reader: &mut Reader<'_, '_>,
    written: Option<&Texts>,
) -> Vec<Box<str>> {
    let names = reader.read_each(written, |text| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let begins = text
            .bytes()
            .next()
            .is_some_and(|byte| !byte.is_ascii_digit());
        if begins && text.len() <= 64 && text.bytes().all(known) {
            return Ok(Box::<str>::from(text));
        }
        Err(Fault::new(
            format!("`{text}` is no query parameter that a rule can name"),
            "use at most 64 letters, digits and `_`, and begin with no digit",
        ))
    });
    // Some frameworks ask for no case.
    let places = names
        .iter()
        .map(|(place, name)| (*place, name.to_ascii_lowercase()));
    reader.no_two(places, |name| {
        let what = format!("`{name}` stands here for the second time");
        Fault::new(what, "remove it; case makes no difference")
    });
    names.into_iter().map(|(_, name)| name).collect()
}
