//! What a request brings besides texts: attributes of a subject or an object.

use crate::request::Request;

/// An argument or attribute of a request, as JSON has them.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// `null`, which equals nothing but itself.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number; whole numbers are exact up to 2^53.
    Number(f64),
    /// A text.
    Text(String),
    /// A list, to be searched with `in`.
    List(Vec<Value>),
    /// Attributes by name; of two with one name the first counts.
    Object(Vec<(String, Value)>),
    /// A text of which more is known, as of a subject in a gateway: it is compared as the text, and its attributes are read by
    /// name.
    Described(String, Vec<(String, Value)>),
}

impl Value {
    /// The text that it is, described or not.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Described(text, _) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::List(_) | Self::Object(_) => None,
        }
    }

    /// What is known of a text besides.
    pub(crate) fn attributes(&self) -> &[(String, Value)] {
        match self {
            Self::Described(_, attributes) => attributes,
            Self::Null
            | Self::Bool(_)
            | Self::Number(_)
            | Self::Text(_)
            | Self::List(_)
            | Self::Object(_) => &[],
        }
    }
}

/// What is known of a text besides, at the time of deciding.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Attributes<'a> {
    /// By name; of two with one name the first counts.
    Values(&'a [(String, Value)]),
    /// The parameters of the request's route, which stand in its path.
    OfRoute(&'a Request<'a>),
}

impl<'a> Attributes<'a> {
    pub(crate) const NONE: Self = Self::Values(&[]);

    /// The attribute of this name.
    pub(crate) fn named(self, name: &str) -> Option<View<'a>> {
        match self {
            Self::Values(known) => known
                .iter()
                .find(|(known, _)| *known == *name)
                .map(|(_, value)| View::from(value)),
            Self::OfRoute(request) => {
                let mut parameters = request.route_parameters.iter();
                let found = parameters.find(|known| *known.name == *name)?;
                found.value(request.path).map(View::Text)
            }
        }
    }
}

/// A value at the time of deciding: borrowed, and copied freely.
#[derive(Clone, Copy, Debug)]
pub(crate) enum View<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Text(&'a str),
    List(&'a [Value]),
    Object(&'a [(String, Value)]),
}

impl<'a> From<&'a Value> for View<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Number(*number),
            Value::Text(text) | Value::Described(text, _) => Self::Text(text),
            Value::List(items) => Self::List(items),
            Value::Object(fields) => Self::Object(fields),
        }
    }
}

impl View<'_> {
    /// Equality as Go's `reflect.DeepEqual`: of different types, never.
    pub(crate) fn equals(&self, other: &View<'_>) -> bool {
        match (self, other) {
            (Self::Null, View::Null) => true,
            (Self::Bool(a), View::Bool(b)) => a == b,
            (Self::Number(a), View::Number(b)) => a == b,
            (Self::Text(a), View::Text(b)) => a == b,
            (Self::List(a), View::List(b)) => a == b,
            (Self::Object(a), View::Object(b)) => a == b,
            _ => false,
        }
    }
}
