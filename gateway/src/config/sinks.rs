//! `[[audit.sinks]]` as meant: who is sent the audit log, and how.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use hangu_audit::Format;

use super::checked::ClientCertificate;
use super::values::Name;

/// One receiver of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sink {
    /// Unique; names the sink in metrics and its place in the log on the disk.
    pub name: Name,
    /// What each record is written as.
    pub format: Format,
    /// Where it goes.
    pub to: SinkTarget,
    /// Most records that are sent together.
    pub batch: NonZeroU32,
    /// Longest time that connecting, or the sending of one batch, may take.
    pub timeout: Duration,
}

/// Where a sink's records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkTarget {
    /// Syslog over TLS (RFC 5425).
    Syslog {
        /// Name or address of the receiver.
        host: String,
        /// Its port; never zero.
        port: u16,
        /// The name that its certificate must carry.
        server_name: String,
        /// What it must prove, and what we show.
        tls: SinkTls,
        /// How long what was sent counts as under way: the protocol has no word for "received".
        settle: Duration,
    },
    /// Lines of JSON by HTTP POST.
    Http {
        /// `https://…`, or `http://` to a loopback address.
        url: String,
        /// Absent for `http://`.
        tls: Option<SinkTls>,
        /// File with a bearer token.
        token: Option<PathBuf>,
    },
    /// Files in a folder, for an agent that takes them away.
    Folder(PathBuf),
}

/// TLS to a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkTls {
    /// PEM bundle of the authorities that sign the receiver.
    pub ca: PathBuf,
    /// What we show; `None`: nothing.
    pub client: Option<ClientCertificate>,
}

impl Sink {
    /// The files that a reload reads for it.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let (tls, token) = match &self.to {
            SinkTarget::Syslog { tls, .. } => (Some(tls), None),
            SinkTarget::Http { tls, token, .. } => (tls.as_ref(), token.as_ref()),
            SinkTarget::Folder(_) => (None, None),
        };
        let tls = tls.into_iter().flat_map(|tls| {
            let client = tls.client.iter();
            std::iter::once(&tls.ca).chain(client.flat_map(|own| [&own.chain, &own.key]))
        });
        tls.chain(token)
    }
}
