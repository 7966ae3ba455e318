//! Which authority stands at the top of a chain, by the name that the configuration gives it.
//!
//! An anchor comes out of a file of the operator, so its key says beyond doubt who vouches for a caller. Names in certificates do not:
//! whoever signs can sign any of them.

use std::collections::HashMap;

use hangu_certs::{AnchorName, Identity};

use crate::config;

/// Names of authorities by the keys of their anchors.
#[derive(Debug, Default)]
pub struct Authorities(HashMap<[u8; 32], Box<str>>);

impl Authorities {
    /// Those of `anchors` that the configuration names.
    #[must_use]
    pub fn new<'a>(
        rules: &config::Identity,
        anchors: impl IntoIterator<Item = &'a AnchorName>,
    ) -> Self {
        let named = |anchor: &AnchorName| {
            let key = hex(&anchor.key);
            let is_it = |listed: &String| *listed == anchor.subject || *listed == key;
            let of = |(_, listed): &&(config::Name, Vec<String>)| listed.iter().any(is_it);
            let (name, _) = rules.authorities.iter().find(of)?;
            Some((anchor.key, name.as_str().into()))
        };
        Self(anchors.into_iter().filter_map(named).collect())
    }

    /// The name of the authority at the top of a verified chain; `None` where the configuration gives it none.
    #[must_use]
    pub fn name(&self, identity: &Identity) -> Option<&str> {
        let anchor = identity.authorities.last()?;
        self.0.get(&anchor.key).map(|name| &**name)
    }

    /// As `{authority}` calls the authority of an anchor.
    #[must_use]
    pub fn called(&self, anchor: &AnchorName) -> String {
        let known = self.0.get(&anchor.key);
        known.map_or_else(|| hex(&anchor.key), |name| name.to_string())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
