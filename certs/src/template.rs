//! Text made from an identity's fields: `{san.uri}`, `cn={subject.cn};o={subject.o}`, `{spiffe.path[1]}`.
//!
//! Templates say which part of a certificate becomes a policy subject or a header. The danger is a name that imitates
//! the template's own punctuation: with `cn={subject.cn};o={subject.o}`, whoever can choose the common name `x;o=Treasury` would
//! choose an organisation too. So in a template of more than one part every character of a value that the template itself uses as
//! punctuation is percent-encoded, and `%` with it; different identities never give the same text.

use std::fmt;

use crate::field::{EXTENSION_PREFIX, Field, POLICY_PREFIX, UnknownField, Values};
use crate::identity::Identity;
use crate::name::is_invisible;

/// A parsed template. Parsing is for load time; rendering allocates one string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: Box<str>,
    parts: Vec<Part>,
    /// Characters that are encoded in values.
    punctuation: Vec<char>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Field {
        field: Field,
        index: usize,
    },
    /// A private extension by its dotted OID.
    Extension(String),
    /// A certificate policy by its dotted OID.
    Policy(String),
}

/// Why a template is refused, at the byte where it goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It is empty.
    #[error("the template is empty; write a field such as `{{san.uri}}`")]
    Empty,
    /// It is over 1,024 bytes.
    #[error("the template is longer than 1024 bytes")]
    TooLong,
    /// It names no field, so that everybody would get the same text.
    #[error("the template names no field; write one such as `{{subject.cn}}`")]
    NoField,
    /// A brace has no partner.
    #[error("the `{brace}` at byte {at} has no partner; write `{brace}{brace}` for a brace itself")]
    Unbalanced {
        /// The brace.
        brace: char,
        /// Its offset.
        at: usize,
    },
    /// Two fields with no punctuation between, so that `a` `bc` and `ab` `c` would be one.
    #[error(
        "nothing separates the field at byte {at} from the one before it; put punctuation such as `/` between them"
    )]
    Touching {
        /// Offset of the second field.
        at: usize,
    },
    /// No such field.
    #[error(transparent)]
    Unknown(#[from] UnknownField),
    /// Something other than a number between brackets, or an index on a field that has one value.
    #[error(
        "`{field}` cannot have an index `{index}`; lists such as `san.uri`, `subject.ou` and `spiffe.path` take `[0]` to `[127]`"
    )]
    Index {
        /// The field.
        field: String,
        /// As written.
        index: String,
    },
    /// `extension.` or `policy.` without an OID behind it.
    #[error(
        "`{written}` is not an object identifier; write one in dotted form, such as `extension.1.2.156.10260.4.1.3`"
    )]
    ObjectIdentifier {
        /// As written.
        written: String,
    },
    /// A control or invisible character.
    #[error("the template has a control or invisible character at byte {at}")]
    Invisible {
        /// Its offset.
        at: usize,
    },
}

impl Template {
    /// Reads a template: text with fields in braces, `{{` and `}}` for braces themselves. [`Identity::FIELDS`] lists the fields, to which come private extensions
    /// (`extension.1.2.156.10260.4.1.3`) and certificate policies (`policy.1.3.6.1.4.1.99999.1`, which gives the OID where the certificate has it);
    /// a list's field gives its first value, or the one that an index such as `[1]` picks.
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        if text.is_empty() {
            return Err(TemplateError::Empty);
        }
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(TemplateError::TooLong);
        }
        if let Some((at, _)) = text
            .char_indices()
            .find(|(_, character)| is_invisible(*character))
        {
            return Err(TemplateError::Invisible { at });
        }
        let parts = parse_parts(text)?;
        let literals = || {
            parts.iter().filter_map(|part| match part {
                Part::Literal(literal) => Some(literal.as_str()),
                Part::Field { .. } | Part::Extension(_) | Part::Policy(_) => None,
            })
        };
        if literals().count() == parts.len() {
            return Err(TemplateError::NoField);
        }
        let mut punctuation: Vec<char> = literals()
            .flat_map(str::chars)
            .filter(|character| !character.is_alphanumeric())
            .collect();
        if parts.len() > 1 {
            punctuation.push('%');
        }
        punctuation.sort_unstable();
        punctuation.dedup();
        Ok(Template {
            text: text.into(),
            parts,
            punctuation,
        })
    }

    /// The text for an identity, or `None` when the certificate lacks one of the fields: there is no empty or default name.
    pub fn render(&self, identity: &Identity) -> Option<String> {
        self.render_under(identity, None)
    }

    /// The same, where the authority at the top of the chain is called so; without, `{authority}` is the SHA-256 of its key.
    pub fn render_under(&self, identity: &Identity, authority: Option<&str>) -> Option<String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Extension(oid) => self.push_value(identity.extension(oid)?, &mut text),
                Part::Policy(oid) => self.push_value(identity.policy(oid)?, &mut text),
                Part::Field {
                    field: Field::Authority,
                    ..
                } if authority.is_some() => self.push_value(authority?, &mut text),
                Part::Field { field, index } => {
                    self.push_value(identity.value(*field, *index)?, &mut text)
                }
            }
        }
        Some(text)
    }

    /// Whether no two authorities can bring about the same text: it holds the authority, or the certificate or its key. The names of
    /// a certificate do not do that, not even its issuer's: whoever signs certificates can sign one for an issuer of any name.
    pub fn is_of_one_authority(&self) -> bool {
        self.reads(|field| {
            matches!(
                field,
                Field::Authority | Field::Fingerprint | Field::KeyFingerprint
            )
        })
    }

    /// Whether it gives nothing for a certificate without SPIFFE id.
    pub fn needs_spiffe(&self) -> bool {
        self.names_trust_domain()
            || self.reads(|field| matches!(field, Field::SpiffePath | Field::SpiffeSegment))
    }

    /// Whether its texts hold the trust domain of a SPIFFE id.
    pub fn names_trust_domain(&self) -> bool {
        self.reads(|field| matches!(field, Field::Spiffe | Field::SpiffeTrustDomain))
    }

    /// Whether a SPIFFE id may be part of its texts.
    pub fn may_hold_spiffe(&self) -> bool {
        self.needs_spiffe() || self.reads(|field| field == Field::Uri)
    }

    fn reads(&self, wanted: impl Fn(Field) -> bool) -> bool {
        self.parts
            .iter()
            .any(|part| matches!(part, Part::Field { field, .. } if wanted(*field)))
    }

    fn push_value(&self, value: &str, text: &mut String) {
        for character in value.chars() {
            if self.punctuation.contains(&character) {
                let mut bytes = [0; 4];
                for byte in character.encode_utf8(&mut bytes).bytes() {
                    text.push('%');
                    crate::name::push_hex(byte, text);
                }
            } else {
                text.push(character);
            }
        }
    }
}

/// As written.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse_parts(text: &str) -> Result<Vec<Part>, TemplateError> {
    let mut parts: Vec<Part> = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some((before, from_brace)) = rest
        .find(['{', '}'])
        .and_then(|brace| rest.split_at_checked(brace))
    {
        let at = text.len() - from_brace.len();
        literal.push_str(before);
        if let Some(after) = from_brace
            .strip_prefix("{{")
            .or_else(|| from_brace.strip_prefix("}}"))
        {
            literal.push(if from_brace.starts_with('{') {
                '{'
            } else {
                '}'
            });
            rest = after;
            continue;
        }
        let inside = from_brace
            .strip_prefix('{')
            .ok_or(TemplateError::Unbalanced { brace: '}', at })?;
        let (name, after) = inside
            .split_once('}')
            .ok_or(TemplateError::Unbalanced { brace: '{', at })?;
        let follows_field = matches!(
            parts.last(),
            Some(Part::Field { .. } | Part::Extension(_) | Part::Policy(_))
        );
        if follows_field && literal.chars().all(char::is_alphanumeric) {
            return Err(TemplateError::Touching { at });
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(&mut literal)));
        }
        parts.push(parse_field(name)?);
        rest = after;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    Ok(parts)
}

fn parse_field(text: &str) -> Result<Part, TemplateError> {
    if let Some(oid) = text.strip_prefix(EXTENSION_PREFIX) {
        return object_identifier(oid).map(Part::Extension);
    }
    if let Some(oid) = text.strip_prefix(POLICY_PREFIX) {
        return object_identifier(oid).map(Part::Policy);
    }
    let (name, written) = match text.split_once('[') {
        Some((name, rest)) => (name, Some(rest)),
        None => (text, None),
    };
    let (field, values) = Field::find(name)?;
    let Some(written) = written else {
        return Ok(Part::Field { field, index: 0 });
    };
    let refused = || TemplateError::Index {
        field: name.to_owned(),
        index: format!("[{written}"),
    };
    let digits = written.strip_suffix(']').ok_or_else(refused)?;
    let index: u8 = digits.parse().map_err(|_why| refused())?;
    if values == Values::One || index > INDEX_MAX || index.to_string() != digits {
        return Err(refused());
    }
    let field = if field == Field::SpiffePath {
        Field::SpiffeSegment
    } else {
        field
    };
    Ok(Part::Field {
        field,
        index: usize::from(index),
    })
}

fn object_identifier(text: &str) -> Result<String, TemplateError> {
    let is_arc = |arc: &str| {
        arc.parse::<u64>()
            .is_ok_and(|number| number.to_string() == arc)
    };
    if text.contains('.') && text.split('.').all(is_arc) {
        Ok(text.to_owned())
    } else {
        Err(TemplateError::ObjectIdentifier {
            written: text.to_owned(),
        })
    }
}

/// Bytes of one template.
const TEMPLATE_BYTES_MAX: usize = 1024;
/// The highest index: no certificate has more values.
const INDEX_MAX: u8 = 127;
