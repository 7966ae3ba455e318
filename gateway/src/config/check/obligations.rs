//! What an application carries out of what rules demand.

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
