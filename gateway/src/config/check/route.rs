//! Routes: prefix and methods, and what they say in place of their application.

use std::time::Duration;

use super::Names;
use super::reader::Reader;
use crate::config::bounds;
use crate::config::checked::{Bodies, PathProfile, Route};
use crate::config::file::{self, Texts};
use crate::config::problem::Fault;
use crate::config::values::{ByteSize, LabelId, Method, MethodSet, RoutePrefix};

/// What a route has of its application.
pub(super) struct RouteDefaults {
    label: Option<LabelId>,
    pub(super) request_body_max: ByteSize,
    response_timeout: Duration,
}

impl RouteDefaults {
    pub(super) fn new(
        reader: &mut Reader<'_, '_>,
        label: Option<LabelId>,
        written: &file::Application,
    ) -> Self {
        let (body, response) = (&written.request_body_max, &written.response_timeout);
        Self {
            label,
            request_body_max: reader.size(body.as_ref(), &bounds::REQUEST_BODY_MAX),
            response_timeout: reader.duration(response.as_ref(), &bounds::RESPONSE_TIMEOUT),
        }
    }
}

/// In the order in which they are asked, routes of one shape together. Of two such no method may be in both: the second could not
/// be reached.
pub(super) fn routes(
    reader: &mut Reader<'_, '_>,
    names: Names<'_>,
    defaults: &RouteDefaults,
    written: &[file::Route],
) -> Vec<Route> {
    let mut taken: Vec<(RoutePrefix, MethodSet)> = Vec::new();
    let mut routes = Vec::with_capacity(written.len());
    for route in written {
        let methods = methods(reader, route.methods.as_ref());
        let path_profile = reader.choice(
            route.path_profile.as_ref(),
            &PATH_PROFILES,
            PathProfile::Strict,
        );
        let request_body_max = match &route.request_body_max {
            Some(_) => reader.size(route.request_body_max.as_ref(), &bounds::REQUEST_BODY_MAX),
            None => defaults.request_body_max,
        };
        let response_timeout = match &route.response_timeout {
            Some(_) => reader.duration(route.response_timeout.as_ref(), &bounds::RESPONSE_TIMEOUT),
            None => defaults.response_timeout,
        };
        let label = match &route.label {
            Some(label) => names.label(reader, label),
            None => defaults.label,
        };
        let Some((place, prefix)) = route
            .prefix
            .as_ref()
            .and_then(|text| Some((text, reader.read(Some(text), RoutePrefix::parse)?)))
        else {
            continue;
        };
        if let Some(fault) = taken_before(&taken, &prefix, methods) {
            reader.fault(place, fault);
        }
        taken.push((prefix.clone(), methods));
        if let Some(label) = label {
            routes.push(Route {
                prefix,
                methods,
                label,
                path_profile,
                request_body_max,
                response_timeout,
                bodies: match route.streaming {
                    true => Bodies::Streaming,
                    false => Bodies::Whole,
                },
            });
        }
    }
    routes.sort_by_cached_key(|route| route.prefix.order());
    routes
}

/// An earlier route that takes some of the methods for the same paths.
fn taken_before(
    taken: &[(RoutePrefix, MethodSet)],
    prefix: &RoutePrefix,
    methods: MethodSet,
) -> Option<Fault> {
    let mut earlier = taken.iter().filter(|(other, _)| other.has_shape_of(prefix));
    let (other, both) = earlier.find_map(|(other, theirs)| {
        let both = theirs.common(methods);
        (!both.is_empty()).then_some((other, both))
    })?;
    let both: Vec<&str> = both.iter().map(Method::as_str).collect();
    let (both, prefix) = (both.join(", "), prefix.as_str());
    let what = match other.as_str() {
        same if same == prefix => format!("an earlier route takes {both} of `{prefix}`"),
        other => {
            format!("an earlier route, `{other}`, takes {both} of the same paths as `{prefix}`")
        }
    };
    Some(Fault::new(
        what,
        "remove one of the two, or give them different `methods`",
    ))
}

fn methods(reader: &mut Reader<'_, '_>, written: Option<&Texts>) -> MethodSet {
    if written.is_none() {
        return MethodSet::ALL;
    }
    let methods = reader.read_each(written, parse_method);
    reader.no_two(methods.iter().copied(), |method| {
        Fault::new(
            format!(
                "method `{}` stands here for the second time",
                method.as_str()
            ),
            "remove it",
        )
    });
    methods
        .into_iter()
        .fold(MethodSet::default(), |set, (_, method)| set.with(method))
}

const PATH_PROFILES: [(&str, PathProfile); 2] = [
    ("strict", PathProfile::Strict),
    ("keep-encoded-slash", PathProfile::KeepEncodedSlash),
];

fn parse_method(text: &str) -> Result<Method, Fault> {
    Method::from_wire(text).ok_or_else(|| {
        let known: Vec<&str> = Method::ALL.into_iter().map(Method::as_str).collect();
        let what = format!("method `{text}` is never let through");
        Fault::new(what, format!("use {}", known.join(", ")))
    })
}
