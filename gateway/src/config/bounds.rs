//! Every bound and default of the configuration, each once; `keys` documents them, `check` enforces them.

use std::num::NonZeroU32;
use std::time::Duration;

use super::values::{ByteSize, LABELS_MAX};

/// What a number may be, both ends included, and what it is when the file does not say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds<T> {
    pub(super) min: T,
    pub(super) max: T,
    /// `None`: it must be written, or its absence means something else.
    pub(super) default: Option<T>,
}

impl<T: Copy + PartialOrd> Bounds<T> {
    /// Whether the number may be used.
    pub(super) fn hold(&self, number: T) -> bool {
        self.min <= number && number <= self.max
    }

    /// What stands in for a number that is not written, or that was reported.
    pub(super) fn fallback(&self) -> T {
        self.default.unwrap_or(self.min)
    }
}

const fn time(min_ms: u64, max_ms: u64, default_ms: u64) -> Bounds<Duration> {
    Bounds {
        min: Duration::from_millis(min_ms),
        max: Duration::from_millis(max_ms),
        default: Some(Duration::from_millis(default_ms)),
    }
}

const fn size(min: u64, max: u64, default: u64) -> Bounds<ByteSize> {
    Bounds {
        min: ByteSize::of(min),
        max: ByteSize::of(max),
        default: Some(ByteSize::of(default)),
    }
}

const fn count(max: u32, default: Option<u32>) -> Bounds<NonZeroU32> {
    Bounds {
        min: NonZeroU32::MIN,
        max: non_zero(max),
        default: match default {
            Some(number) => Some(non_zero(number)),
            None => None,
        },
    }
}

const fn non_zero(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

pub(super) const THREADS: Bounds<NonZeroU32> = count(64, None);
pub(super) const DRAIN: Bounds<Duration> = time(0, HOUR_MS, 30 * SECOND_MS);

pub(super) const CRL_GRACE: Bounds<Duration> = time(0, 7 * 24 * HOUR_MS, 0);
pub(super) const BALANCERS: Entries = entries(0, 256);
pub(super) const PROXY_TIMEOUT: Bounds<Duration> = time(100, MINUTE_MS, 2 * SECOND_MS);
pub(super) const HANDSHAKE_TIMEOUT: Bounds<Duration> = time(100, MINUTE_MS, 5 * SECOND_MS);
pub(super) const HANDSHAKES_MAX: Bounds<NonZeroU32> = count(65_536, Some(256));
pub(super) const HANDSHAKES_PER_SOURCE: Bounds<NonZeroU32> = count(65_536, Some(128));
/// A session keeps the client's chain: a few KiB each.
pub(super) const SESSION_RESUMPTION: Bounds<NonZeroU32> = count(65_536, None);
pub(super) const HEADER_TIMEOUT: Bounds<Duration> = time(100, 5 * MINUTE_MS, 10 * SECOND_MS);
pub(super) const IDLE_TIMEOUT: Bounds<Duration> = time(SECOND_MS, HOUR_MS, MINUTE_MS);
pub(super) const BODY_RATE_MIN: Bounds<ByteSize> = size(0, MIB, 64);
/// The HTTP/1 parser underneath has room for 256 fields.
pub(super) const HEADERS_MAX: Bounds<NonZeroU32> = count(256, Some(100));
pub(super) const HEADER_BYTES_MAX: Bounds<ByteSize> = size(KIB, 512 * KIB, 32 * KIB);

pub(super) const CRL_FETCH_EVERY: Bounds<Duration> = time(SECOND_MS, 24 * HOUR_MS, 10 * MINUTE_MS);
pub(super) const CRL_FETCH_TIMEOUT: Bounds<Duration> = time(100, 10 * MINUTE_MS, 30 * SECOND_MS);
/// A list of a million entries has about 40 MB.
pub(super) const CRL_FETCH_SIZE: Bounds<ByteSize> = size(KIB, 256 * MIB, 64 * MIB);
pub(super) const POSTURE_MAX_AGE: Bounds<Duration> = time(SECOND_MS, 30 * 24 * HOUR_MS, HOUR_MS);

pub(super) const REQUEST_BODY_MAX: Bounds<ByteSize> = size(0, 64 * GIB, 16 * MIB);
/// Up to two years, a year where nothing is said.
pub(super) const STRICT_TRANSPORT_SECURITY: Bounds<Duration> =
    time(0, 2 * 365 * 24 * HOUR_MS, 365 * 24 * HOUR_MS);
pub(super) const WEBSOCKET_ORIGINS: Entries = entries(0, 64);
pub(super) const CONNECT_TIMEOUT: Bounds<Duration> = time(10, MINUTE_MS, 2 * SECOND_MS);
pub(super) const READ_TIMEOUT: Bounds<Duration> = time(10, HOUR_MS, 30 * SECOND_MS);
pub(super) const WRITE_TIMEOUT: Bounds<Duration> = time(10, HOUR_MS, 30 * SECOND_MS);
/// A day: what takes longer is a stream.
pub(super) const RESPONSE_TIMEOUT: Bounds<Duration> = time(10, 24 * HOUR_MS, HOUR_MS);
pub(super) const FAILURES: Bounds<NonZeroU32> = count(1_000, Some(3));
pub(super) const POLICY_CONTEXT: Bounds<NonZeroU32> = count(64, Some(1));
pub(super) const RETRY_AFTER: Bounds<Duration> = time(100, HOUR_MS, 5 * SECOND_MS);

pub(super) const RATE_REQUESTS: Bounds<NonZeroU32> = count(1_000_000, None);
pub(super) const RATE_PER: Bounds<Duration> = Bounds {
    min: Duration::from_millis(1),
    max: Duration::from_millis(24 * HOUR_MS),
    default: None,
};
pub(super) const RATE_BURST: Bounds<NonZeroU32> = count(1_000_000, None);

/// Two people, unless the operator says that one is enough.
pub(super) const SIGNATURES: Bounds<NonZeroU32> = count(32, Some(2));

pub(super) const CONCURRENCY: Bounds<NonZeroU32> = count(1_000_000, None);
pub(super) const QUOTA_REQUESTS: Bounds<NonZeroU32> = count(1_000_000_000, None);
pub(super) const QUOTA_BYTES: Bounds<ByteSize> = Bounds {
    min: ByteSize::of(KIB),
    max: ByteSize::of(4096 * GIB),
    default: None,
};
pub(super) const SHARED_DEADLINE: Bounds<Duration> = time(1, SECOND_MS, 5);
pub(super) const SHARED_CONNECTIONS: Bounds<NonZeroU32> = count(16, Some(2));
pub(super) const SHARED_GATEWAYS: Bounds<NonZeroU32> = count(1_000, Some(2));
pub(super) const QUOTA_HOURS: Bounds<NonZeroU32> = count(366 * 24, Some(24));

pub(super) const AUDIT_QUEUE: Bounds<NonZeroU32> = count(1 << 20, Some(1 << 16));
pub(super) const AUDIT_SEGMENT: Bounds<ByteSize> = size(MIB, 4 * GIB, 64 * MIB);
pub(super) const AUDIT_DISK_MAX: Bounds<ByteSize> = Bounds {
    min: ByteSize::of(MIB),
    max: ByteSize::of(1 << 50),
    default: None,
};
/// So long an owner of host and key may rewrite what no witness has seen.
pub(super) const WITNESS_INTERVAL: Bounds<Duration> = time(SECOND_MS, HOUR_MS, 10 * SECOND_MS);
/// A record waits for its sync at most this long: a permit is worth no more than its trace.
pub(super) const AUDIT_FLUSH: Bounds<Duration> = time(1, SECOND_MS, 10);

pub(super) const RETENTION_DAYS: Bounds<NonZeroU32> = count(36_500, Some(180));
pub(super) const RETENTION_EVERY: Bounds<Duration> = time(SECOND_MS, 24 * HOUR_MS, HOUR_MS);

pub(super) const SINK_BATCH: Bounds<NonZeroU32> = count(10_000, Some(500));
pub(super) const SINK_TIMEOUT: Bounds<Duration> = time(SECOND_MS, 5 * MINUTE_MS, 10 * SECOND_MS);
pub(super) const SINK_SETTLE: Bounds<Duration> = time(0, 5 * MINUTE_MS, 10 * SECOND_MS);

pub(super) const UID: Bounds<NonZeroU32> = count(u32::MAX - 1, None);

/// How many entries a list or a table may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entries {
    pub(super) min: usize,
    pub(super) max: usize,
}

const fn entries(min: usize, max: usize) -> Entries {
    Entries { min, max }
}

pub(super) const LISTENERS: Entries = entries(1, 64);
pub(super) const CRLS: Entries = entries(0, 1_024);
pub(super) const CRL_HOSTS: Entries = entries(0, 64);
pub(super) const CERTIFICATES: Entries = entries(1, 1_024);
pub(super) const CERTIFICATE_HOSTS: Entries = entries(1, 256);
pub(super) const CRL_ISSUERS: Entries = entries(0, 1024);
pub(super) const ATTRIBUTES: Entries = entries(0, 64);
pub(super) const TRUST_DOMAINS: Entries = entries(0, 256);
pub(super) const AUTHORITIES: Entries = entries(0, 256);
pub(super) const AUTHORITY_ANCHORS: Entries = entries(1, 64);
pub(super) const ZONES: Entries = entries(0, 1_024);
pub(super) const ZONE_PREFIXES: Entries = entries(0, 65_536);
pub(super) const LABELS: Entries = entries(1, LABELS_MAX);
pub(super) const MATRIX_LABELS: Entries = entries(0, LABELS_MAX);
pub(super) const APPLICATIONS: Entries = entries(1, 16_384);
pub(super) const APPLICATION_HOSTS: Entries = entries(1, 256);
pub(super) const HEADERS: Entries = entries(0, 64);
pub(super) const ROUTES: Entries = entries(1, 4_096);
pub(super) const METHODS: Entries = entries(1, 7);
pub(super) const PSEUDONYMS: Entries = entries(1, 4);
pub(super) const SINKS: Entries = entries(0, 16);
pub(super) const UIDS: Entries = entries(0, 64);
pub(super) const CONTROL_SUBJECTS: Entries = entries(1, 256);
pub(super) const UPSTREAMS: Entries = entries(1, 256);
pub(super) const OBLIGATIONS: Entries = entries(0, 256);
pub(super) const QUERY_PARAMETERS: Entries = entries(0, 16);
pub(super) const PURPOSES: Entries = entries(1, 64);
pub(super) const POLICY_KEYS: Entries = entries(1, 32);
pub(super) const SHARED_URLS: Entries = entries(1, 16);
pub(super) const LIMITS: Entries = entries(0, 64);
pub(super) const LIMIT_BY: Entries = entries(1, 4);
pub(super) const LIMIT_APPLICATIONS: Entries = entries(1, 1_024);
pub(super) const LIMIT_ROUTES: Entries = entries(1, 1_024);

/// Bytes of a configuration file: the largest that the other bounds make sensible, and a stop for a wrong path.
pub(super) const FILE_BYTES_MAX: u64 = 16 * MIB;
