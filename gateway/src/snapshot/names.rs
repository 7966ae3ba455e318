//! Server certificates by the name that the client asks for.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::config::HostPattern;

/// Server name → certificate, and the group of those who are let in by it.
#[derive(Debug, Default)]
pub struct Names {
    exact: HashMap<Box<str>, Named>,
    below: HashMap<Box<str>, Named>,
    /// For a client that dialled an address and so names nothing.
    unnamed: Option<Named>,
}

#[derive(Clone, Debug)]
struct Named {
    key: Arc<CertifiedKey>,
    group: usize,
}

impl Names {
    pub(super) fn add(&mut self, hosts: &[HostPattern], key: &Arc<CertifiedKey>, group: usize) {
        let named = Named {
            key: Arc::clone(key),
            group,
        };
        self.unnamed.get_or_insert_with(|| named.clone());
        for host in hosts {
            match host {
                HostPattern::Exact(host) => self.exact.insert(host.as_str().into(), named.clone()),
                HostPattern::Below(domain) => {
                    self.below.insert(domain.as_str().into(), named.clone())
                }
            };
        }
    }

    /// The group of a name in lower case; without one, of the first certificate.
    #[must_use]
    pub fn group_of(&self, name: Option<&str>) -> Option<usize> {
        self.find(name).map(|named| named.group)
    }

    fn find(&self, name: Option<&str>) -> Option<&Named> {
        let Some(name) = name else {
            return self.unnamed.as_ref();
        };
        let below = || self.below.get(name.split_once('.')?.1);
        self.exact.get(name).or_else(below)
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        self.find(name.as_deref())
            .map(|named| Arc::clone(&named.key))
    }
}
