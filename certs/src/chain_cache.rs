//! Verified chains, remembered: peers come back, and a signature check costs more than everything else.
//!
//! What is remembered is what an immutable trust bundle says about immutable bytes; dates and revocation are asked again every time.
//! Only chains that passed are kept, so strangers cannot fill the memory, and a chain says nothing about who holds its key: the
//! handshake proves that each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ring::digest::{Context, SHA256};
use rustls_pki_types::CertificateDer;

use crate::chain_error::{ChainError, ChainReason};
use crate::path::{Purpose, VerifiedChain, verify_chain};
use crate::revocation::RevocationIndex;
use crate::trust::TrustBundle;

/// Verifies chains for one trust bundle and one generation of its revocation lists.
pub(crate) struct ChainCache {
    trust: Arc<TrustBundle>,
    revocation: Arc<RevocationIndex>,
    purpose: Purpose,
    verified: Mutex<Generations>,
}

impl ChainCache {
    pub(crate) fn new(
        trust: Arc<TrustBundle>,
        revocation: Arc<RevocationIndex>,
        purpose: Purpose,
    ) -> ChainCache {
        ChainCache {
            trust,
            revocation,
            purpose,
            verified: Mutex::default(),
        }
    }

    pub(crate) fn trust(&self) -> &TrustBundle {
        &self.trust
    }

    /// Whether a chain that another cache has verified stands here too.
    pub(crate) fn still_accepts(&self, chain: &VerifiedChain, now: i64) -> bool {
        let anchor = chain.certificates.last();
        anchor.is_some_and(|anchor| self.trust.has_anchor(anchor))
            && chain.is_current(now)
            && self.revocation.check(&chain.identity.links, now).is_ok()
    }

    /// The verified chain of what a peer presented, the leaf first, at `now` (Unix seconds).
    pub(crate) fn chain(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: i64,
    ) -> Result<Arc<VerifiedChain>, ChainError> {
        let key = cache_key(end_entity, intermediates);
        let is_good = |chain: &VerifiedChain| {
            chain.is_current(now) && self.revocation.check(&chain.identity.links, now).is_ok()
        };
        let remembered = self
            .verified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .find(&key);
        if let Some(chain) = remembered.filter(|chain| is_good(chain)) {
            return Ok(chain);
        }
        // Not good any more, or new: there may be another path, and otherwise this says why not.
        let chain = Arc::new(verify_chain(
            &self.trust,
            &self.revocation,
            end_entity,
            intermediates,
            self.purpose,
            now,
        )?);
        self.verified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, Arc::clone(&chain));
        Ok(chain)
    }

    /// As [`ChainCache::chain`], of a list that may be empty.
    pub(crate) fn presented(
        &self,
        presented: &[CertificateDer<'_>],
        now: i64,
    ) -> Result<Arc<VerifiedChain>, ChainError> {
        match presented.split_first() {
            Some((end_entity, intermediates)) => self.chain(end_entity, intermediates, now),
            None => Err(ChainError {
                reason: ChainReason::NoCertificate,
                depth: 0,
                subject: "?".to_owned(),
                points: Vec::new(),
            }),
        }
    }
}

/// Hash of everything that was presented, lengths included.
fn cache_key(end_entity: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    for certificate in std::iter::once(end_entity).chain(intermediates) {
        hash.update(&certificate.len().to_be_bytes());
        hash.update(certificate);
    }
    let mut key = [0; 32];
    key.iter_mut()
        .zip(hash.finish().as_ref())
        .for_each(|(to, from)| *to = *from);
    key
}

/// Two generations: when the young one is full it becomes the old one, whose chains are forgotten unless they are asked for
/// again. Bounded, and no look-up costs more than two probes.
#[derive(Default)]
struct Generations {
    young: HashMap<[u8; 32], Arc<VerifiedChain>>,
    old: HashMap<[u8; 32], Arc<VerifiedChain>>,
}

impl Generations {
    fn find(&mut self, key: &[u8; 32]) -> Option<Arc<VerifiedChain>> {
        if let Some(chain) = self.young.get(key) {
            return Some(Arc::clone(chain));
        }
        let chain = self.old.remove(key)?;
        self.insert(*key, Arc::clone(&chain));
        Some(chain)
    }

    fn insert(&mut self, key: [u8; 32], chain: Arc<VerifiedChain>) {
        if self.young.len() >= GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, chain);
    }
}

/// Chains of one generation: twice this many are remembered, at about 4 KiB each.
const GENERATION_MAX: usize = 2048;
