//! Frames of HTTP/2 as bytes (RFC 9113 sections 4 and 6).

use bytes::BytesMut;

use super::Ending;

/// Every frame begins with so many bytes.
pub(super) const FRAME_HEAD_BYTES: usize = 9;

/// RFC 9113 section 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Headers,
    Priority,
    ResetStream,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
    Unknown,
}

/// The head of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameHead {
    bytes: [u8; FRAME_HEAD_BYTES],
    pub(super) length: usize,
    pub(super) kind: Kind,
    flags: u8,
    pub(super) stream: u32,
}

impl FrameHead {
    pub(super) fn read(bytes: [u8; FRAME_HEAD_BYTES]) -> Self {
        let [l1, l2, l3, kind, flags, s1, s2, s3, s4] = bytes;
        let length = u32::from_be_bytes([0, l1, l2, l3]);
        Self {
            bytes,
            length: usize::try_from(length).unwrap_or(usize::MAX),
            kind: match kind {
                0 => Kind::Data,
                1 => Kind::Headers,
                2 => Kind::Priority,
                3 => Kind::ResetStream,
                4 => Kind::Settings,
                5 => Kind::PushPromise,
                6 => Kind::Ping,
                7 => Kind::GoAway,
                8 => Kind::WindowUpdate,
                9 => Kind::Continuation,
                _ => Kind::Unknown,
            },
            flags,
            // The highest bit is reserved and ignored.
            stream: u32::from_be_bytes([s1, s2, s3, s4]) & STREAM_MASK,
        }
    }

    pub(super) fn ends_stream(&self) -> bool {
        self.flags & END_STREAM != 0
    }

    pub(super) fn ends_headers(&self) -> bool {
        self.flags & END_HEADERS != 0
    }

    pub(super) fn is_ack(&self) -> bool {
        self.flags & ACK != 0
    }

    /// Sizes, and whether the frame belongs to a stream or to the connection.
    pub(super) fn check(&self) -> Result<(), Ending> {
        let size_is_right = match self.kind {
            Kind::Priority => self.length == 5,
            Kind::ResetStream | Kind::WindowUpdate => self.length == 4,
            Kind::Ping => self.length == 8,
            Kind::Settings if self.is_ack() => self.length == 0,
            Kind::Settings => self.length.is_multiple_of(6) && self.length <= SETTINGS_BYTES_MAX,
            Kind::GoAway => (8..=FRAME_BYTES_MAX).contains(&self.length),
            Kind::Data | Kind::Headers | Kind::PushPromise | Kind::Continuation | Kind::Unknown => {
                self.length <= FRAME_BYTES_MAX
            }
        };
        let stream_is_right = match self.kind {
            Kind::Settings | Kind::Ping | Kind::GoAway => self.stream == 0,
            Kind::WindowUpdate | Kind::Unknown => true,
            Kind::Data
            | Kind::Headers
            | Kind::Priority
            | Kind::ResetStream
            | Kind::PushPromise
            | Kind::Continuation => self.stream != 0,
        };
        if size_is_right && stream_is_right {
            Ok(())
        } else {
            Err(Ending::Frame)
        }
    }

    /// The header block fragment in the payload of HEADERS, without padding and priority (section 6.2).
    pub(super) fn fragment<'p>(&self, payload: &'p [u8]) -> Option<&'p [u8]> {
        let (padding, rest) = if self.flags & PADDED == 0 {
            (0, payload)
        } else {
            let (padding, rest) = payload.split_first()?;
            (usize::from(*padding), rest)
        };
        let skipped = if self.flags & PRIORITY == 0 { 0 } else { 5 };
        let end = rest.len().checked_sub(padding)?;
        rest.get(skipped..end)
    }

    /// Writes it down as it came.
    pub(super) fn write(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.bytes);
    }
}

/// Writes a header block down in as many frames as it needs.
pub(super) fn write_block(out: &mut BytesMut, stream: u32, ends_stream: bool, block: &[u8]) {
    let mut rest = block;
    let mut kind = HEADERS;
    loop {
        let (part, after) = super::split_at_most(rest, FRAME_BYTES_MAX);
        let ends_headers = if after.is_empty() { END_HEADERS } else { 0 };
        let ends_stream = if ends_stream && kind == HEADERS {
            END_STREAM
        } else {
            0
        };
        let length = u32::try_from(part.len()).unwrap_or_default();
        let [_, l1, l2, l3] = length.to_be_bytes();
        let [s1, s2, s3, s4] = stream.to_be_bytes();
        let flags = ends_headers | ends_stream;
        out.extend_from_slice(&[l1, l2, l3, kind, flags, s1, s2, s3, s4]);
        out.extend_from_slice(part);
        if after.is_empty() {
            return;
        }
        (rest, kind) = (after, CONTINUATION);
    }
}

/// RST_STREAM of stream 0, which every implementation answers with GOAWAY (section 6.4).
pub(super) const BROKEN: [u8; 13] = [0, 0, 4, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// SETTINGS_MAX_FRAME_SIZE where nothing else is said, and we say nothing else (section 6.5.2).
const FRAME_BYTES_MAX: usize = 16_384;
/// Sixteen settings; there are six in the standard and a few in extensions.
const SETTINGS_BYTES_MAX: usize = 16 * 6;
const STREAM_MASK: u32 = 0x7fff_ffff;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
