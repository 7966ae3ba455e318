//! Why an HTTP/2 connection was ended.

use crate::denial::Denial;

/// Why a connection was ended; the closed list of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It did not begin with the preface of RFC 9113 section 3.4.
    Preface,
    /// A frame of a wrong size, on a wrong stream or in a wrong place.
    Frame,
    /// Header compression that cannot be read.
    Compression,
    /// A header block over its bound, in one frame or in many.
    HeadFlood,
    /// A frame or a head that did not arrive whole within the deadline.
    HeadTimeout,
    /// Trailers that say what only a head may.
    Trailers,
    /// Too many streams that were opened and reset.
    ResetFlood,
    /// Too many PING frames.
    PingFlood,
    /// Too many SETTINGS frames.
    SettingsFlood,
    /// Too many frames with nothing in them.
    EmptyFlood,
    /// Too many frames that are read and ignored.
    IgnoredFlood,
    /// Too many WINDOW_UPDATE frames.
    WindowFlood,
    /// Too many streams whose answers nobody took within the deadline.
    StallFlood,
    /// The HTTP/2 library ended it with an error of its own.
    Library,
}

impl Ending {
    /// As the metric and the record name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Ending::Preface => "preface",
            Ending::Frame => "frame",
            Ending::Compression => "compression",
            Ending::HeadFlood => "head_flood",
            Ending::HeadTimeout => "head_timeout",
            Ending::Trailers => "trailers",
            Ending::ResetFlood => "reset_flood",
            Ending::PingFlood => "ping_flood",
            Ending::SettingsFlood => "settings_flood",
            Ending::EmptyFlood => "empty_flood",
            Ending::IgnoredFlood => "ignored_flood",
            Ending::WindowFlood => "window_flood",
            Ending::StallFlood => "stall_flood",
            Ending::Library => "library",
        }
    }

    /// The denial that the record carries.
    #[must_use]
    pub fn denial(self) -> Denial {
        match self {
            Ending::Preface
            | Ending::Frame
            | Ending::Compression
            | Ending::Trailers
            | Ending::Library => Denial::Http2Malformed,
            Ending::HeadTimeout => Denial::HeadTimeout,
            Ending::HeadFlood
            | Ending::ResetFlood
            | Ending::PingFlood
            | Ending::SettingsFlood
            | Ending::EmptyFlood
            | Ending::IgnoredFlood
            | Ending::WindowFlood
            | Ending::StallFlood => Denial::Http2Flood,
        }
    }
}
