//! What a route matches: a path prefix and a set of methods.

use crate::config::problem::Fault;

/// The beginning of a canonical path, made of whole segments: `/` or `/a/b`, never with a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoutePrefix(Box<str>);

impl RoutePrefix {
    /// Takes a prefix that a canonical path can begin with.
    ///
    /// # Errors
    /// No slash in front, one at the end, empty or dot segments, query, escape, or a byte that a canonical path
    /// never holds: such a route could not be reached.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let what = || format!("`{text}` is not a path prefix");
        let Some(inside) = text.strip_prefix('/') else {
            return Err(Fault::new(what(), "begin it with `/`"));
        };
        if text.len() > ROUTE_PREFIX_BYTES_MAX {
            return Err(Fault::new(
                what(),
                format!("shorten it to {ROUTE_PREFIX_BYTES_MAX} bytes"),
            ));
        }
        if inside.is_empty() {
            return Ok(Self(text.into()));
        }
        if let Some(shorter) = text.strip_suffix('/') {
            return Err(Fault::new(
                what(),
                format!("leave the slash at the end away: `{shorter}`"),
            ));
        }
        if inside
            .split('/')
            .any(|segment| matches!(segment, "" | "." | ".."))
        {
            return Err(Fault::new(
                what(),
                "remove empty, `.` and `..` segments: no canonical path holds them",
            ));
        }
        if !inside
            .bytes()
            .all(|byte| byte == b'/' || is_path_byte(byte))
        {
            return Err(Fault::new(
                what(),
                "write a-z, A-Z, 0-9 and -._~!$&'()*+,;=:@ only, other bytes as upper-case escapes such as `%E5`",
            ));
        }
        if !escapes_are_canonical(inside) {
            return Err(Fault::new(
                what(),
                "write an escape as `%` and two upper-case hex digits, not for a letter, digit, -._~, slash or control character",
            ));
        }
        Ok(Self(text.into()))
    }

    /// The prefix as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a canonical path lies under it: the same path, or one that goes on with a `/`.
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        if &*self.0 == "/" {
            return path.starts_with('/');
        }
        path.strip_prefix(&*self.0)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Bytes of RFC 3986 `pchar`, with the `%` of an escape.
fn is_path_byte(byte: u8) -> bool {
    is_unreserved(byte) || b"!$&'()*+,;=:@%".contains(&byte)
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Escapes are in upper case (RFC 3986 §6.2.2.1) and do not stand for unreserved bytes (§6.2.2.2), nor for slashes
/// and control characters, which the gateway refuses in a path.
fn escapes_are_canonical(text: &str) -> bool {
    let mut pieces = text.split('%');
    pieces.next();
    pieces.all(|piece| {
        let Some(digits) = piece.get(..2) else {
            return false;
        };
        let upper = digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte));
        let refused = |byte: u8| {
            is_unreserved(byte) || byte.is_ascii_control() || byte == b'/' || byte == b'\\'
        };
        upper && u8::from_str_radix(digits, 16).is_ok_and(|byte| !refused(byte))
    })
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

    #[must_use]
    pub(in crate::config) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Bytes of a [`RoutePrefix`].
const ROUTE_PREFIX_BYTES_MAX: usize = 1024;
