//! What can be wrong with what a configuration names.

use std::path::PathBuf;

use hangu_certs::{CrlError, DirectoryError, ServerCertificateError, TrustError};

use super::{FILE_BYTES_MAX, policy};
use crate::bundle::{BundleError, NewestError};
use crate::config;
use crate::layers::network::limits::LimitError;
use crate::ship::PlanError;

/// One thing wrong with what the configuration names. Shown as one line: where, what, how to fix.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Of the configuration file.
    #[error(transparent)]
    Config(#[from] config::Problem),
    /// What is wrong with a file, at the place that names it.
    #[error("{}:{line}:{column}: {source}", file.display())]
    Named {
        /// The configuration file.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted in characters from 1.
        column: usize,
        /// What is wrong.
        source: Box<LoadError>,
    },
    /// Of the model or the rules.
    #[error(transparent)]
    Policy(#[from] hangu_policy::Problem),
    /// Of a client CA or upstream CA.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Of a revocation list.
    #[error(transparent)]
    Crl(#[from] CrlError),
    /// `[crl_grace]` names somebody who issues nothing here.
    #[error("{}: `[crl_grace]` names the issuer `{issuer}`, and no authority has this name; known are {known}", file.display())]
    GraceOfNobody {
        /// The configuration file.
        file: PathBuf,
        /// As written.
        issuer: String,
        /// The first few that could be meant.
        known: String,
    },
    /// Two authorities could give two people the same name.
    #[error("{}: {what}", file.display())]
    Names {
        /// The configuration file.
        file: PathBuf,
        /// What is wrong, and how to mend it.
        what: Box<str>,
    },
    /// A SPIFFE id may be a name, and of any trust domain.
    #[error("`{template}` of `{key}` may hold a SPIFFE id, and nothing says of which trust domains the authorities in `{}` may vouch; write `spiffe_trust_domains = [\"gov.example\"]` into `[identity]`{or_beside}, or `[]` to take no SPIFFE id", path.display())]
    NotPinned {
        /// Their file.
        path: PathBuf,
        /// The template.
        template: Box<str>,
        /// Where it stands.
        key: Box<str>,
        /// The other place, where there is one.
        or_beside: &'static str,
    },
    /// Of a server certificate.
    #[error(transparent)]
    ServerCertificate(#[from] ServerCertificateError),
    /// Of the directory.
    #[error("{0}")]
    Directory(#[from] DirectoryError),
    /// The directory gives roles or clearance that the policy cannot take.
    #[error("directory `{}`: {what}", path.display())]
    DirectoryRights {
        /// The directory.
        path: PathBuf,
        /// What is wrong, and how to mend it.
        what: Box<str>,
    },
    /// A file cannot be read.
    #[error("{}: cannot be read: {source}; let the gateway's user read it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is larger than any of its kind should be.
    #[error("{}: holds {bytes} bytes, more than {FILE_BYTES_MAX}; is it the right file", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// A model or rules file is not UTF-8.
    #[error("{}: is not UTF-8; save it as UTF-8", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// The certificate that we show to an upstream cannot be used.
    #[error("{}: cannot be used as a client certificate: {why}; give a PEM chain, leaf first, and its key", path.display())]
    UpstreamClient {
        /// The chain.
        path: PathBuf,
        /// What is wrong.
        why: Box<str>,
    },
    /// TLS could not be set up.
    #[error(
        "listener `{listener}`: TLS cannot be set up: {source}; check `tls_min` and the certificates"
    )]
    Tls {
        /// The listener.
        listener: String,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// A file of an audit sink cannot be used.
    #[error("{}: audit sink `{sink}` cannot use it: {source}; give PEM certificates and their key, or a token", source.path.display())]
    Sink {
        /// The sink.
        sink: String,
        /// What is wrong with which file.
        source: PlanError,
    },
    /// Of the key for pseudonyms.
    #[error("{}: cannot be used for pseudonyms: {why}", path.display())]
    Pseudonyms {
        /// The file.
        path: PathBuf,
        /// Why.
        why: Box<str>,
    },
    /// A limit that cannot be counted.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// A setting of the process changed at a reload.
    #[error("{}: {what} cannot change while the gateway runs; put it back, or restart or upgrade the gateway", file.display())]
    Fixed {
        /// The configuration file.
        file: PathBuf,
        /// Which setting.
        what: Box<str>,
    },
    /// Of a bundle.
    #[error("{}: {source}", path.display())]
    Bundle {
        /// The bundle.
        path: PathBuf,
        /// What is wrong.
        source: Box<BundleError>,
    },
    /// Of the file that remembers the newest bundle.
    #[error(transparent)]
    Newest(#[from] NewestError),
    /// The policy knows no rule any more.
    #[error("{}: has no rule, and a running gateway does not reload to deny everybody; restart it to do that on purpose", path.display())]
    NoRules {
        /// The rules file.
        path: PathBuf,
    },
    /// The model asks for something about a request that the gateway cannot tell.
    #[error("{}: `r` names `{fact}`, which the gateway does not know of a request; known are {}", path.display(), policy::FACTS_KNOWN.join(", "))]
    UnknownFact {
        /// The model file.
        path: PathBuf,
        /// The name.
        fact: Box<str>,
    },
    /// An application is to be decided by a context that the model has not.
    #[error("{}: has no context {context}, which `policy_context` of the application `{application}` names; define `r{context}`, `p{context}`, `e{context}` and `m{context}`, or name another", path.display())]
    UnknownContext {
        /// The model file.
        path: PathBuf,
        /// The application.
        application: String,
        /// The context.
        context: u8,
    },
    /// The model or a rule reads what no request can tell: of which file, and what.
    #[error("{}: {}", .0.display(), .1)]
    Unanswered(PathBuf, Box<str>),
    /// Rules demand what cannot be carried out.
    #[error("{}: {what}", path.display())]
    Obligation {
        /// The rules file.
        path: PathBuf,
        /// What is wrong.
        what: Box<str>,
    },
    /// The policy clears nobody for a label in use.
    #[error("{}: gives nobody clearance for the label `{label}`, so the routes that carry it serve nobody; add a row such as `g2, ROLE, {label}`", path.display())]
    LabelWithoutClearance {
        /// The rules file.
        path: PathBuf,
        /// The label.
        label: String,
    },
}
