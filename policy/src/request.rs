//! The request as a gateway knows it, and which of the model's names stands for what.

use crate::value::{Attributes, Value, View};
use std::num::NonZeroU8;

/// What is asked: may this subject do this to that.
///
/// Unknown facts are left empty; an empty text equals no text that a rule can hold but an empty field.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// Who: the authenticated identity.
    pub subject: &'a str,
    /// What is known of the subject besides: `r.sub.department` in a matcher.
    pub subject_attributes: &'a [(String, Value)],
    /// The organisation (tenant) whose data are asked for.
    pub domain: &'a str,
    /// The canonical path: starts with `/`, no dot segments, no query.
    pub path: &'a str,
    /// The template of the route that the path took: its parameters as segments `:name`, such as `/citizens/:id/records`.
    pub route: &'a str,
    /// The parameters of that template, which [`Self::path`] has the values of: `r.route.id` in a matcher.
    pub route_parameters: &'a [RouteParameter],
    /// The method, in capitals.
    pub method: &'a str,
    /// The label of the data behind the route.
    pub label: &'a str,
    /// The network zone that the request comes from.
    pub zone: &'a str,
    /// The class of the device that it comes from.
    pub device: &'a str,
    /// What the data are to be used for.
    pub purpose: &'a str,
    /// What the query says, for a model that reads it: `r.query.year` in a matcher.
    pub query_parameters: &'a [(String, Value)],
    /// The client's address, as text.
    pub address: &'a str,
    /// The application that the route leads to.
    pub application: &'a str,
    /// When it is asked, in milliseconds since 1970; without it, no role held for a time counts. A model reads it as `r.time`:
    /// seconds since 1970, a number.
    pub time_unix_ms: Option<i64>,
    /// Which context of the model decides, such as 2 for `r2, p2, e2, m2`; `r, p, e, m` if it is left out.
    pub context: Option<NonZeroU8>,
}

/// A parameter of a route's template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteParameter {
    /// Its name, without the colon.
    pub name: Box<str>,
    /// Which segment of the path it stands for, the first being 0.
    pub segment: usize,
}

impl RouteParameter {
    /// Its value in a canonical path; `None` where the path has no such segment, or an empty one.
    #[must_use]
    pub fn value<'a>(&self, path: &'a str) -> Option<&'a str> {
        let mut segments = path.strip_prefix('/')?.split('/');
        segments.nth(self.segment).filter(|value| !value.is_empty())
    }
}

/// One fact of a [`Request`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fact {
    Subject,
    Domain,
    Path,
    Method,
    Label,
    Zone,
    Device,
    Purpose,
    Address,
    Application,
    Query,
    Route,
    Time,
}

impl Fact {
    /// Every name that a model's `r` may use for a fact; the first of each is the one to recommend.
    const NAMES: [(Self, &'static [&'static str]); 13] = [
        (Self::Subject, &["sub", "subject", "user"]),
        (
            Self::Domain,
            &["dom", "domain", "tenant", "org", "organisation"],
        ),
        (Self::Path, &["obj", "object", "path", "resource"]),
        (Self::Method, &["act", "action", "method"]),
        (Self::Label, &["label"]),
        (Self::Zone, &["zone"]),
        (Self::Device, &["device", "device_class"]),
        (Self::Purpose, &["purpose"]),
        (Self::Address, &["address", "ip", "client"]),
        (Self::Application, &["application", "app"]),
        (Self::Query, &["query"]),
        (Self::Route, &["route"]),
        (Self::Time, &["time"]),
    ];

    /// How many there are.
    pub(crate) const COUNT: usize = Self::NAMES.len();

    /// The first of its names.
    pub(crate) fn name(self) -> &'static str {
        let own = Self::NAMES.iter().find(|(fact, _)| *fact == self);
        own.and_then(|(_, names)| names.first())
            .copied()
            .unwrap_or_default()
    }

    /// The fact that `name` stands for.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(_, names)| names.contains(&name))
            .map(|(fact, _)| *fact)
    }

    /// Whether a matcher may read `r.NAME.ATTRIBUTE` of it.
    pub(crate) fn has_attributes(self) -> bool {
        matches!(self, Self::Subject | Self::Query | Self::Route)
    }

    /// Whether there is nothing of it but attributes: as a text it would be empty, and `!= "…"` of nothing is true.
    pub(crate) fn has_only_attributes(self) -> bool {
        self == Self::Query
    }

    /// All names, for an error.
    pub(crate) fn names() -> String {
        let names: Vec<_> = Self::NAMES
            .iter()
            .flat_map(|(_, names)| *names)
            .copied()
            .collect();
        names.join("`, `")
    }

    /// What is known of this fact of `request` besides its text.
    pub(crate) fn attributes_of<'a>(self, request: &'a Request<'a>) -> Attributes<'a> {
        match self {
            Self::Subject => Attributes::Values(request.subject_attributes),
            Self::Query => Attributes::Values(request.query_parameters),
            Self::Route => Attributes::OfRoute(request),
            Self::Domain
            | Self::Path
            | Self::Method
            | Self::Label
            | Self::Zone
            | Self::Device
            | Self::Purpose
            | Self::Address
            | Self::Application
            | Self::Time => Attributes::NONE,
        }
    }

    /// This fact of `request`.
    pub(crate) fn of<'a>(self, request: &Request<'a>) -> View<'a> {
        View::Text(match self {
            Self::Subject => request.subject,
            Self::Domain => request.domain,
            Self::Path => request.path,
            Self::Method => request.method,
            Self::Label => request.label,
            Self::Zone => request.zone,
            Self::Device => request.device,
            Self::Purpose => request.purpose,
            Self::Address => request.address,
            Self::Application => request.application,
            // It has only attributes.
            Self::Query => "",
            Self::Route => request.route,
            Self::Time => return seconds(request.time_unix_ms),
        })
    }
}

/// Seconds since 1970; an unknown time equals nothing and is less or more than nothing.
fn seconds<'a>(time_unix_ms: Option<i64>) -> View<'a> {
    let Some(milliseconds) = time_unix_ms else {
        return View::Null;
    };
    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds since 1970 fit a double until the year 285,000,000"
    )]
    View::Number(milliseconds.div_euclid(1_000) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_the_segment_that_it_stands_for() {
        let at = |segment| RouteParameter {
            name: "id".into(),
            segment,
        };
        for (path, segment, value) in [
            ("/citizens/7/records", 1, Some("7")),
            ("/citizens/7/records", 0, Some("citizens")),
            ("/citizens/7", 2, None),
            ("/citizens/", 1, None),
            ("/citizens/a%2Fb/x", 1, Some("a%2Fb")),
            ("", 0, None),
        ] {
            assert_eq!(at(segment).value(path), value, "{path} {segment}");
        }
    }

    #[test]
    fn each_name_stands_for_one_fact() {
        let all: Vec<_> = Fact::NAMES.iter().flat_map(|(_, names)| *names).collect();
        for name in &all {
            assert_eq!(
                all.iter().filter(|other| *other == name).count(),
                1,
                "{name}"
            );
            assert!(Fact::named(name).is_some());
        }
        assert_eq!(Fact::named("sub2"), None);
    }
}
