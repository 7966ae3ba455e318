//! Host → application, path and method → route.

use std::collections::HashMap;

use crate::config::{Application, Host, Listener, Method, Route};
use crate::denial::Denial;

/// Which application owns which host at one listener; by index into the configuration's applications.
#[derive(Debug)]
pub struct HostTable(HashMap<Box<str>, usize>);

impl HostTable {
    /// Numbers the hosts that a listener has a certificate for. A client that names no host in its handshake can ask for no
    /// other either: each listener trusts its own client authorities, and they say who may come for its own hosts.
    #[must_use]
    pub fn new(applications: &[Application], listener: &Listener) -> Self {
        let serves = |host: &Host| {
            let patterns = listener
                .certificates
                .iter()
                .flat_map(|certificate| &certificate.hosts);
            patterns.into_iter().any(|pattern| pattern.covers(host))
        };
        let hosts = applications
            .iter()
            .enumerate()
            .flat_map(|(index, application)| {
                application.hosts.iter().map(move |host| (host, index))
            });
        let served = hosts.filter(|(host, _)| serves(host));
        Self(
            served
                .map(|(host, index)| (host.as_str().into(), index))
                .collect(),
        )
    }

    /// The application of a host; without case (RFC 3986 section 3.2.2).
    #[must_use]
    pub fn application_of(&self, host: &str) -> Option<usize> {
        match self.0.get(host) {
            Some(index) => Some(*index),
            None => self.0.get(host.to_ascii_lowercase().as_str()).copied(),
        }
    }
}

/// The route of a canonical path: of the prefixes that cover it, the one that goes before the others, if it takes the method.
///
/// # Errors
/// [`Denial::NoRoute`] when no prefix covers the path, [`Denial::MethodNotAllowed`] when none that does takes the method,
/// [`Denial::PathAmbiguous`] when a prefix that goes before covers it but for the case of letters: an application that looks at no case would
/// serve what lies under that one.
pub fn route_of(routes: &[Route], path: &str, method: Method) -> Result<usize, Denial> {
    let mut covered: Option<&Route> = None;
    let mut but_for_case: Option<&Route> = None;
    for (index, route) in routes.iter().enumerate() {
        // In order: once a prefix covers the path, only routes of its shape may still answer.
        if covered.is_some_and(|first| !first.prefix.has_shape_of(&route.prefix)) {
            break;
        }
        if !route.prefix.covers(path) {
            if but_for_case.is_none() && route.prefix.covers_but_for_case(path) {
                but_for_case = Some(route);
            }
            continue;
        }
        if route.methods.contains(method) {
            return match but_for_case {
                Some(other) if other.prefix.goes_before(&route.prefix) => {
                    Err(Denial::PathAmbiguous)
                }
                _ => Ok(index),
            };
        }
        covered = Some(route);
    }
    Err(if covered.is_some() {
        Denial::MethodNotAllowed
    } else {
        Denial::NoRoute
    })
}
