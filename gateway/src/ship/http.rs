//! Batches of JSON lines by HTTP POST. A batch is delivered when the receiver answers 2xx.

use std::time::Duration;

use super::delivery::{Batch, Destination};
use super::error::ShipError;

/// One receiver.
pub(super) struct Http {
    agent: ureq::Agent,
    url: String,
    token: Option<String>,
}

impl Http {
    pub(super) const fn new(agent: ureq::Agent, url: String, token: Option<String>) -> Self {
        Self { agent, url, token }
    }
}

impl Destination for Http {
    fn send(&mut self, batch: &Batch) -> Result<(), ShipError> {
        let Batch {
            log_id,
            first,
            last,
            ..
        } = batch;
        let mut request = self
            .agent
            .post(&self.url)
            .header("content-type", "application/x-ndjson")
            .header("idempotency-key", format!("{log_id}-{first}-{last}"));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = request.send(batch.text())?;
        let status = answer.status().as_u16();
        // Read to its end, so that the connection can be used again; what it says is the receiver's own business.
        drop(
            answer
                .into_body()
                .into_with_config()
                .limit(ANSWER_BYTES_MAX)
                .read_to_vec(),
        );
        match status {
            200..=299 => Ok(()),
            413 if batch.lines.len() > 1 => Err(ShipError::TooLarge),
            _ => Err(ShipError::Status(status)),
        }
    }

    fn linger(&self) -> Duration {
        LINGER
    }
}

const ANSWER_BYTES_MAX: u64 = 64 * 1024;
/// How long a batch that is not full waits for more.
const LINGER: Duration = Duration::from_millis(200);
