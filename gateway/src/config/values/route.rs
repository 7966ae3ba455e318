//! What a route matches: a path prefix and a set of methods.

use std::cmp::Reverse;

use hangu_policy::RouteParameter;

use crate::config::problem::Fault;

/// The beginning of a canonical path, made of whole segments: `/` or `/a/b`, never with a slash at the end.
///
/// It is held in the spelling in which the gateway judges and sends a path (RFC 3986 §6.2.2: escapes in upper case,
/// and only where a path cannot hold the character itself), so that matching compares bytes.
///
/// A segment `:name` is a parameter: it stands for one segment that is not empty, which the policy reads by that name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoutePrefix {
    sent: Box<str>,
    judged: Box<str>,
    /// As sent, with a `:` alone for each parameter: prefixes of one shape cover the same paths.
    shape: Box<str>,
    parameters: Box<[RouteParameter]>,
}

impl RoutePrefix {
    /// Takes a prefix that a canonical path can begin with; other characters than those of a path may be written as
    /// they are (`/内`) or as escapes (`/%E5%86%85`).
    ///
    /// # Errors
    /// No slash in front, one at the end, empty or dot segments, query, a needless or lower-case escape, or a
    /// character that the gateway refuses in a path: such a route could not be reached. A parameter whose name is none, or stands
    /// twice, or is one too many.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let refused = |fix: &str| Fault::new(format!("`{text}` is not a path prefix"), fix);
        let Some(inside) = text.strip_prefix('/') else {
            return Err(refused("begin it with `/`"));
        };
        if text.len() > ROUTE_PREFIX_BYTES_MAX {
            let fix = format!("shorten it to {ROUTE_PREFIX_BYTES_MAX} bytes");
            return Err(Fault::new("a path prefix is over-long", fix));
        }
        if inside.is_empty() {
            return Ok(Self {
                sent: text.into(),
                judged: text.into(),
                shape: text.into(),
                parameters: Box::default(),
            });
        }
        if let Some(shorter) = text.strip_suffix('/') {
            return Err(refused(&format!(
                "leave the slash at the end away: `{shorter}`"
            )));
        }
        let (sent, decoded) = spell(inside).map_err(refused)?;
        let ambiguous = |segment: &str| segment.is_empty() || segment.ends_with(['.', ' ']);
        if decoded.split('/').any(ambiguous) {
            return Err(refused(
                "remove segments that are empty or end in a dot or a space: the gateway refuses such paths",
            ));
        }
        let parameters = parameters(&decoded)?;
        let shape = sent
            .split('/')
            .flat_map(|part| ["/", if part.starts_with(':') { ":" } else { part }]);
        Ok(Self {
            shape: shape.collect::<String>().into(),
            sent: format!("/{sent}").into(),
            judged: format!("/{decoded}").into(),
            parameters,
        })
    }

    /// The prefix in its canonical spelling, with the names of its parameters: what records and limits call the route.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.sent
    }

    /// The same with its escapes undone: what the policy knows the route by.
    #[must_use]
    pub fn as_judged(&self) -> &str {
        &self.judged
    }

    /// Its parameters, in order.
    #[must_use]
    pub fn parameters(&self) -> &[RouteParameter] {
        &self.parameters
    }

    /// Whether both cover the same paths.
    #[must_use]
    pub fn has_shape_of(&self, other: &Self) -> bool {
        self.shape == other.shape
    }

    /// Sorts routes into the order in which they are asked: more segments first; of as many, a literal one before a parameter at the
    /// first place where they differ; those of one shape together.
    #[must_use]
    pub fn order(&self) -> impl Ord + use<> {
        let kinds: Vec<bool> = self.kinds().collect();
        (Reverse(kinds.len()), kinds, self.shape.clone())
    }

    /// Whether it is asked before `other` wherever both cover a path.
    #[must_use]
    pub fn goes_before(&self, other: &Self) -> bool {
        let (own, others) = (self.kinds().count(), other.kinds().count());
        own > others || (own == others && self.kinds().lt(other.kinds()))
    }

    /// Of each segment, whether it is a parameter; none of `/`.
    fn kinds(&self) -> impl Iterator<Item = bool> {
        let parts = self.shape.split('/').skip(1);
        parts
            .filter(|part| !part.is_empty())
            .map(|part| part == ":")
    }

    /// Whether a path, spelled as it is sent, lies under it: the same path, or one that goes on with a `/`.
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        if &*self.sent == "/" {
            return path.starts_with('/');
        }
        if !self.parameters.is_empty() {
            return self.fits(path, |own, other| own == other);
        }
        path.strip_prefix(&*self.sent)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Whether a canonical path lies under it once ASCII letters have no case.
    #[must_use]
    pub fn covers_but_for_case(&self, path: &str) -> bool {
        if !self.parameters.is_empty() {
            return self.fits(path, str::eq_ignore_ascii_case);
        }
        let Some((begin, rest)) = path.split_at_checked(self.sent.len()) else {
            return false;
        };
        begin.eq_ignore_ascii_case(&self.sent) && (rest.is_empty() || rest.starts_with('/'))
    }

    /// Segment by segment.
    fn fits(&self, path: &str, same: impl Fn(&str, &str) -> bool) -> bool {
        let mut segments = path.split('/');
        self.shape.split('/').all(|own| {
            let found = segments.next();
            found.is_some_and(|found| match own {
                ":" => !found.is_empty(),
                own => same(own, found),
            })
        })
    }
}

/// The parameters among the segments of a prefix.
fn parameters(decoded: &str) -> Result<Box<[RouteParameter]>, Fault> {
    let mut found: Vec<RouteParameter> = Vec::new();
    for (segment, part) in decoded.split('/').enumerate() {
        let Some(name) = part.strip_prefix(':') else {
            continue;
        };
        if !is_parameter_name(name) {
            return Err(Fault::new(
                format!("`{part}` is not a route parameter"),
                format!(
                    "write `:` and a name of letters, digits and `_` that begins with no digit, of {PARAMETER_NAME_BYTES_MAX} bytes at most"
                ),
            ));
        }
        if found.iter().any(|other| *other.name == *name) {
            return Err(Fault::new(
                format!("the parameter `{part}` stands in one prefix twice"),
                "give each parameter its own name",
            ));
        }
        if found.len() >= ROUTE_PARAMETERS_MAX {
            return Err(Fault::new(
                "a path prefix has too many parameters",
                format!("leave {ROUTE_PARAMETERS_MAX} of them"),
            ));
        }
        found.push(RouteParameter {
            name: name.into(),
            segment,
        });
    }
    Ok(found.into())
}

/// What a model can write behind `r.route.`.
fn is_parameter_name(name: &str) -> bool {
    let begins_well = |first: u8| first.is_ascii_alphabetic() || first == b'_';
    name.bytes().next().is_some_and(begins_well)
        && name.len() <= PARAMETER_NAME_BYTES_MAX
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The canonical spelling, and the characters that it stands for; or the remedy.
fn spell(text: &str) -> Result<(String, String), &'static str> {
    let mut sent = String::with_capacity(text.len());
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = if byte == b'%' {
            let value = escaped(rest.next(), rest.next())
                .ok_or("write an escape as `%` and two upper-case hex digits")?;
            if is_plain(value) {
                return Err("write letters, digits and -._~!$&'()*+,=:@ without escape");
            }
            value
        } else {
            byte
        };
        if byte.is_ascii_control() || b"\\%;?#".contains(&byte) {
            return Err(
                "remove control characters, backslashes and %;?#: the gateway refuses them in a path",
            );
        }
        if is_plain(byte) {
            sent.push(char::from(byte));
        } else {
            sent.push_str(&format!("%{byte:02X}"));
        }
        decoded.push(byte);
    }
    let decoded = String::from_utf8(decoded)
        .map_err(|_| "write escapes that are UTF-8: the gateway refuses others")?;
    Ok((sent, decoded))
}

fn escaped(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: Option<u8>| {
        let byte = byte?;
        let upper = byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
        char::from(byte).to_digit(16).filter(|_| upper)
    };
    let value = digit(high)?.checked_mul(16)?.checked_add(digit(low)?)?;
    u8::try_from(value).ok()
}

/// RFC 3986 §3.3 `pchar` and `/`, less `;`.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,=:@".contains(&byte)
}

/// The methods that a route can name. TRACE, CONNECT and unknown methods are never let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
    /// OPTIONS
    Options,
}

impl Method {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::Get,
        Self::Head,
        Self::Post,
        Self::Put,
        Self::Patch,
        Self::Delete,
        Self::Options,
    ];

    /// As on the wire; case matters (RFC 9110 §9.1).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }

    /// The method of that name; `None` for every one that is never let through.
    #[must_use]
    pub fn from_wire(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of methods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MethodSet(u8);

impl MethodSet {
    /// Every method that a route can name.
    pub const ALL: Self = Self(0b0111_1111);

    /// Whether the method is in it.
    #[must_use]
    pub fn contains(self, method: Method) -> bool {
        self.0 & method.bit() != 0
    }

    /// Its methods, in the order of [`Method::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Method> {
        Method::ALL
            .into_iter()
            .filter(move |method| self.contains(*method))
    }

    /// Whether no method is in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[must_use]
    pub(in crate::config) fn with(self, method: Method) -> Self {
        Self(self.0 | method.bit())
    }

    #[must_use]
    pub(in crate::config) fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// Parameters of one [`RoutePrefix`].
const ROUTE_PARAMETERS_MAX: usize = 16;
/// Bytes of the name of one.
const PARAMETER_NAME_BYTES_MAX: usize = 64;
/// Bytes of a [`RoutePrefix`].
const ROUTE_PREFIX_BYTES_MAX: usize = 1024;
