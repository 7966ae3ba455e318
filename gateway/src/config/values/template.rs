//! Texts over the client's identity, such as `{san.uri}`.

use hangu_certs::Template;

use crate::config::problem::Fault;

/// Takes a template with at least one known field.
///
/// # Errors
/// Whatever [`Template::parse`] refuses.
pub(in crate::config) fn parse_template(text: &str) -> Result<Template, Fault> {
    Template::parse(text)
        .map_err(|error| Fault::new(format!("`{text}` is not a template"), error.to_string()))
}
