//! Host → application, path and method → route.

use std::collections::HashMap;

use crate::config::{Application, Method, Route};
use crate::denial::Denial;

/// Which application owns which host; by index into the configuration's applications.
#[derive(Debug)]
pub struct HostTable(HashMap<Box<str>, usize>);

impl HostTable {
    /// Numbers the hosts of all applications.
    #[must_use]
    pub fn new(applications: &[Application]) -> Self {
        let hosts = applications
            .iter()
            .enumerate()
            .flat_map(|(index, application)| {
                application
                    .hosts
                    .iter()
                    .map(move |host| (host.as_str().into(), index))
            });
        Self(hosts.collect())
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

/// The route of a canonical path: the longest prefix that covers it and takes the method.
///
/// # Errors
/// [`Denial::NoRoute`] when no prefix covers the path, [`Denial::MethodNotAllowed`] when none that does takes the method.
pub fn route_of(routes: &[Route], path: &str, method: Method) -> Result<usize, Denial> {
    let mut covered: Option<&Route> = None;
    for (index, route) in routes.iter().enumerate() {
        // Longest first: once a prefix covers the path, only routes of that very prefix may still answer.
        if covered.is_some_and(|first| first.prefix != route.prefix) {
            break;
        }
        if !route.prefix.covers(path) {
            continue;
        }
        if route.methods.contains(method) {
            return Ok(index);
        }
        covered = Some(route);
    }
    Err(if covered.is_some() {
        Denial::MethodNotAllowed
    } else {
        Denial::NoRoute
    })
}
