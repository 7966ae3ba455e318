//! Names for requests: the request id that client and operator share, and the W3C trace context.
//!
//! A request id is the boot's random half and a scrambled count: unique over the fleet without a system call for each request, and
//! telling nobody how many requests there were.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use ring::rand::{SecureRandom, SystemRandom};

/// 128 bits, written as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId {
    boot: u64,
    count: u64,
}

impl RequestId {
    /// The next id of this process.
    #[must_use]
    pub fn next() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        Self {
            boot: boot_id(),
            count: COUNT.fetch_add(1, Ordering::Relaxed),
        }
    }
}

impl RequestId {
    /// Its 32 digits, in ASCII.
    #[must_use]
    pub fn digits(self) -> [u8; 32] {
        let number = (u128::from(self.boot) << 64) | u128::from(spread(self.count ^ scramble()));
        let mut rest = number;
        let mut digits = [0; 32];
        for digit in digits.iter_mut().rev() {
            *digit = match u8::try_from(rest & 0xf).unwrap_or_default() {
                low @ 0..=9 => b'0' + low,
                high => b'a' + high - 10,
            };
            rest >>= 4;
        }
        digits
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digits();
        f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

/// A random number of this process, the same until it ends.
#[must_use]
pub fn boot_id() -> u64 {
    static BOOT: OnceLock<u64> = OnceLock::new();
    *BOOT.get_or_init(random)
}

/// Hides the count in request ids.
fn scramble() -> u64 {
    static SCRAMBLE: OnceLock<u64> = OnceLock::new();
    *SCRAMBLE.get_or_init(random)
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => u64::from_be_bytes(bytes),
        // No randomness: ids are still unique within the boot.
        Err(_) => u64::from(std::process::id()),
    }
}

/// Whether a client's `traceparent` may be passed on (W3C Trace Context level 1, section 3.2).
#[must_use]
pub fn is_traceparent(value: &[u8]) -> bool {
    let lower_hex = |bytes: &[u8]| {
        bytes
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let mut parts = value.split(|byte| *byte == b'-');
    let (Some(version), Some(trace), Some(parent), Some(flags), None) = (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) else {
        return false;
    };
    let lengths = (version.len(), trace.len(), parent.len(), flags.len()) == (2, 32, 16, 2);
    let all_hex = [version, trace, parent, flags].into_iter().all(lower_hex);
    let not_zero = |bytes: &[u8]| bytes.iter().any(|byte| *byte != b'0');
    lengths && all_hex && version == b"00" && not_zero(trace) && not_zero(parent)
}

/// A new `traceparent` for a request that came without one; the trace id is the request id.
#[must_use]
pub fn new_traceparent(id: RequestId) -> String {
    let span = spread(id.boot ^ id.count).max(1);
    format!("00-{id}-{span:016x}-01")
}

/// A bijection that spreads counts over all 64 bits, so that span ids of two boots do not meet.
fn spread(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_of_one_boot() {
        let (first, second) = (RequestId::next().to_string(), RequestId::next().to_string());
        assert_eq!(first.len(), 32);
        assert_ne!(first, second);
        assert_eq!(first.get(..16), second.get(..16));
    }

    #[test]
    fn only_a_well_formed_traceparent_is_passed() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_traceparent(good.as_bytes()));
        assert!(is_traceparent(
            new_traceparent(RequestId::next()).as_bytes()
        ));
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            assert!(!is_traceparent(bad.as_bytes()), "{bad}");
        }
    }
}
