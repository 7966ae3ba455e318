//! Distribution points: where certificates say that the lists of their issuers are published.
//!
//! Learnt from certificates of authorities that are trusted, and from chains that lack nothing but a list, so that only who may issue here
//! can name a place at all; followed only to hosts that the configuration lists. Known are at most 256.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::{beside, name_of};
use crate::config::{CrlFetch, CrlHost, CrlUrl};
use crate::observe::crl::Crl;

/// The distribution points that are followed, for as long as the process lives.
#[derive(Debug, Default)]
pub struct Points {
    known: ArcSwap<BTreeSet<CrlUrl>>,
    /// Held while one is added.
    adding: Mutex<()>,
}

impl Points {
    /// Those whose lists are kept from before.
    #[must_use]
    pub fn open(settings: &CrlFetch) -> Self {
        let kept = kept_points(settings).into_iter().map(|(url, _)| url);
        Self {
            known: ArcSwap::from_pointee(kept.take(POINTS_MAX).collect()),
            adding: Mutex::new(()),
        }
    }

    /// All that are known.
    #[must_use]
    pub fn known(&self) -> Arc<BTreeSet<CrlUrl>> {
        self.known.load_full()
    }

    /// Learns what a certificate names, as far as it is at one of these hosts. One that is known costs a look-up and no lock.
    pub fn learn(&self, uris: &[String], hosts: &[CrlHost], metrics: &Crl) {
        if hosts.is_empty() {
            return;
        }
        for uri in uris {
            if let Err(why) = self.learn_one(uri, hosts) {
                metrics.points_refused.with_label_values(&[why]).inc();
            }
        }
    }

    fn learn_one(&self, uri: &str, hosts: &[CrlHost]) -> Result<(), &'static str> {
        let url = CrlUrl::canonical(uri).ok_or("form")?;
        if !hosts.iter().any(|host| host.serves(&url)) {
            return Err("host");
        }
        if self.known.load().contains(&url) {
            return Ok(());
        }
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = BTreeSet::clone(&self.known.load());
        if known.len() >= POINTS_MAX && !known.contains(&url) {
            return Err("full");
        }
        known.insert(url);
        self.known.store(Arc::new(known));
        Ok(())
    }
}

/// Where the list of a distribution point is kept: apart from those of the configuration.
#[must_use]
pub(super) fn kept_at(settings: &CrlFetch, url: &CrlUrl) -> PathBuf {
    folder_of(settings).join(name_of(url))
}

/// Where the lists of all distribution points are kept.
#[must_use]
pub fn folder_of(settings: &CrlFetch) -> PathBuf {
    settings.folder.join("points")
}

/// The lists of distribution points that are kept, and where they are from.
#[must_use]
pub fn kept_points(settings: &CrlFetch) -> Vec<(CrlUrl, PathBuf)> {
    let entries = fs::read_dir(folder_of(settings)).into_iter().flatten();
    let mut kept: Vec<_> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let url = source_of(&path)?;
            (kept_at(settings, &url) == path).then_some((url, path))
        })
        .take(POINTS_MAX)
        .collect();
    kept.sort();
    kept
}

/// What is written beside a kept list says where it is from.
fn source_of(list: &Path) -> Option<CrlUrl> {
    if list.extension()? != "crl" {
        return None;
    }
    let text = fs::read_to_string(beside(list)).ok()?;
    CrlUrl::canonical(text.lines().nth(SOURCE_LINE)?)
}

/// Distribution points that are followed at once. A large authority has a few dozen.
const POINTS_MAX: usize = 256;
/// After the two validators and the digest.
const SOURCE_LINE: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::metrics::Metrics;

    #[test]
    fn only_plain_urls_of_listed_hosts_are_learnt_and_only_so_many() {
        let metrics = Metrics::new().unwrap().crl;
        let hosts = ["pki.example", "other.example:8080"].map(|host| CrlHost::parse(host).unwrap());
        let points = Points::default();
        let learn = |uri: &str| points.learn(&[uri.to_owned()], &hosts, &metrics);
        let refused = |why: &str| metrics.points_refused.with_label_values(&[why]).get();
        for uri in [
            "http://PKI.example/a.crl",
            "http://pki.example:80/a.crl",
            "http://other.example:8080/b.crl",
        ] {
            learn(uri);
        }
        assert_eq!(points.known().len(), 2, "one of them twice");
        for uri in [
            "http://pki.example:81/a.crl",
            "http://pki.example.evil/a.crl",
            "http://127.0.0.1/a.crl",
            "http://other.example/b.crl",
        ] {
            learn(uri);
        }
        assert_eq!(refused("host"), 4);
        for uri in [
            "https://pki.example/a.crl",
            "ldap://pki.example/cn=a",
            "http://pki.example@evil/a.crl",
            "http://pki.example/a b",
            "http://pki.example/a\r\nX: y",
        ] {
            learn(uri);
        }
        assert_eq!(refused("form"), 5);
        for number in 0..300 {
            learn(&format!("http://pki.example/{number}.crl"));
        }
        assert_eq!(points.known().len(), POINTS_MAX);
        assert_eq!(refused("full"), 46);
        points.learn(&["http://pki.example/new".to_owned()], &[], &metrics);
        assert_eq!(refused("full"), 46, "off: not even counted");
    }
}
