//! What a caller is told of his limits: `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10).
//!
//! Callers who have shown a certificate only, and of limits that count them or their organisation only: how busy others are, and
//! how near an attacker without a name may come, is told to nobody.

use std::fmt::Write as _;

use pingora::http::ResponseHeader;

use super::request::{Limited, Nearest};
use super::whole_seconds;

impl Limited {
    /// Tells the caller his limits, on the answer of the application or on a refusal.
    ///
    /// # Errors
    /// Never: names of limits are letters, digits and `-`.
    pub fn tell(&self, response: &mut ResponseHeader) -> pingora::Result<()> {
        if !self.tells {
            return Ok(());
        }
        if let Some(policy) = self
            .counts
            .as_ref()
            .and_then(|counts| counts.policy.clone())
        {
            response.insert_header("RateLimit-Policy", policy)?;
        }
        let mut field = String::with_capacity(FIELD_BYTES);
        for nearest in [&self.nearest, &self.nearest_quota].into_iter().flatten() {
            add(&mut field, nearest);
        }
        if !field.is_empty() {
            response.insert_header("RateLimit", field)?;
        }
        Ok(())
    }
}

/// Room for a limit and a quota of usual names.
const FIELD_BYTES: usize = 64;

fn add(field: &mut String, nearest: &Nearest) {
    let comma = if field.is_empty() { "" } else { ", " };
    let (name, remaining) = (&nearest.name, nearest.remaining);
    let seconds = whole_seconds(nearest.full_after);
    // Writing to a `String` cannot fail.
    let _written = write!(field, "{comma}\"{name}\";r={remaining};t={seconds}");
}
