//! What our side tells the client about streams and the connection: read in passing, so that nothing that the HTTP/2
//! library refuses by itself goes uncounted.

use prometheus::IntCounterVec;

use super::frame::{FRAME_HEAD_BYTES, FrameHead, Kind};

/// What was among the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Streams that were reset for an error of the client.
    pub(super) broken_streams: u32,
    /// The connection was ended for an error.
    pub(super) goaway_with_error: bool,
}

/// Where in a frame the next byte stands.
#[derive(Debug)]
pub(super) struct Outgoing {
    head: [u8; FRAME_HEAD_BYTES],
    seen: usize,
    /// Of the frame that has begun.
    frame: Option<FrameHead>,
    read: usize,
    /// The last four bytes of what has to be looked into.
    code: u32,
    resets: IntCounterVec,
}

impl Outgoing {
    pub(super) fn new(resets: IntCounterVec) -> Self {
        Self {
            head: [0; FRAME_HEAD_BYTES],
            seen: 0,
            frame: None,
            read: 0,
            code: 0,
            resets,
        }
    }

    /// Reads what is being sent.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> Seen {
        let mut seen = Seen::default();
        while !bytes.is_empty() {
            bytes = match self.frame {
                None => self.head(bytes),
                Some(frame) => self.payload(frame, bytes, &mut seen),
            };
        }
        seen
    }

    fn head<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let (part, rest) = super::split_at_most(bytes, FRAME_HEAD_BYTES - self.seen);
        for (place, byte) in self.head.iter_mut().skip(self.seen).zip(part) {
            *place = *byte;
        }
        self.seen += part.len();
        if self.seen == FRAME_HEAD_BYTES {
            let frame = FrameHead::read(self.head);
            self.seen = 0;
            self.read = 0;
            self.frame = (frame.length > 0).then_some(frame);
        }
        rest
    }

    fn payload<'b>(&mut self, frame: FrameHead, bytes: &'b [u8], seen: &mut Seen) -> &'b [u8] {
        let (part, rest) = super::split_at_most(bytes, frame.length - self.read);
        // The error code is the whole payload of RST_STREAM, and bytes 4 to 8 of GOAWAY (RFC 9113 sections 6.4 and 6.8).
        let code_ends: usize = if frame.kind == Kind::ResetStream {
            4
        } else if frame.kind == Kind::GoAway {
            8
        } else {
            0
        };
        let of_code = code_ends.saturating_sub(self.read).min(part.len());
        for byte in part.iter().take(of_code) {
            self.code = self.code << 8 | u32::from(*byte);
        }
        self.read += part.len();
        if of_code > 0 && self.read >= code_ends {
            self.code_read(frame.kind, seen);
        }
        if self.read >= frame.length {
            self.frame = None;
        }
        rest
    }

    fn code_read(&mut self, kind: Kind, seen: &mut Seen) {
        let name = code_name(self.code);
        if kind == Kind::GoAway {
            seen.goaway_with_error |= name != "no_error";
        } else {
            self.resets.with_label_values(&[name]).inc();
            // The others are ours: an answer that needs no body, a stream too many, a request that was given up.
            let is_of_the_client = !matches!(
                name,
                "no_error" | "refused_stream" | "cancel" | "internal_error"
            );
            seen.broken_streams += u32::from(is_of_the_client);
        }
    }
}

/// RFC 9113 section 7.
fn code_name(code: u32) -> &'static str {
    match code {
        0 => "no_error",
        1 => "protocol_error",
        2 => "internal_error",
        3 => "flow_control_error",
        4 => "settings_timeout",
        5 => "stream_closed",
        6 => "frame_size_error",
        7 => "refused_stream",
        8 => "cancel",
        9 => "compression_error",
        10 => "connect_error",
        11 => "enhance_your_calm",
        12 => "inadequate_security",
        13 => "http_1_1_required",
        _ => "unknown",
    }
}
