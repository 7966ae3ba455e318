//! Texts over the client's identity.

use crate::config::problem::Fault;

/// A text with fields of the client's identity in braces, such as `{san.uri}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Box<str>);

impl Template {
    /// Takes a text with at least one field in braces.
    ///
    /// # Errors
    /// No field, a brace without its partner, or a character that a header value cannot hold.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let what = || format!("`{text}` is not a template");
        if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(Fault::new(what(), "use printable ASCII characters only"));
        }
        let mut pieces = text.split('{');
        let before = pieces.next().unwrap_or_default();
        let mut fields = 0_usize;
        let closed = !before.contains('}')
            && pieces.all(|piece| {
                fields = fields.saturating_add(1);
                piece
                    .split_once('}')
                    .is_some_and(|(field, rest)| !field.is_empty() && !rest.contains('}'))
            });
        if closed && fields > 0 {
            Ok(Self(text.into()))
        } else {
            Err(Fault::new(
                what(),
                "write fields in braces, as in `{san.uri}`",
            ))
        }
    }

    /// The template as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
