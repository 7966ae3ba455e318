//! The rooms of the house and what each must never know.

/// One member whose knowledge is bounded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Folder in the workspace.
    pub(crate) folder: &'static str,
    /// Package name.
    pub(crate) package: &'static str,
    /// Crates, each with its family (`pingora` is `pingora-core` too), that it neither needs nor names.
    pub(crate) crates: &'static [&'static str],
    /// Paths that its sources never name, tests apart.
    pub(crate) paths: &'static [&'static str],
}

impl Room {
    /// Whether a package is one that the room must never need, by any way.
    pub(crate) fn must_not_depend_on(&self, package: &str) -> bool {
        self.crates.iter().any(|name| is_of_family(package, name))
    }
}

/// Whether a package is `name` or one of its family, `name-…`.
pub(crate) fn is_of_family(package: &str, name: &str) -> bool {
    package
        .strip_prefix(name)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Pure rooms: what comes in is bytes and the time, what goes out is values. IP addresses are values; sockets are not.
pub(crate) const ROOMS: &[Room] = &[
    Room {
        folder: "policy",
        package: "hangu-policy",
        crates: &[
            "tokio",
            "http",
            "hyper",
            "h2",
            "pingora",
            "casbin",
            "rand",
            "getrandom",
            "hangu",
        ],
        paths: &[
            "std::fs",
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "ToSocketAddrs",
            "std::env",
            "std::process",
            "SystemTime",
            "Instant",
            "async",
        ],
    },
    Room {
        folder: "policy/casbin",
        package: "hangu-policy-casbin",
        crates: &["http", "hyper", "h2", "pingora", "hangu"],
        paths: &[
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "ToSocketAddrs",
            "std::process",
        ],
    },
    Room {
        folder: "certs",
        package: "hangu-certs",
        crates: &["tokio", "http", "hyper", "h2", "pingora", "hangu"],
        paths: &[
            "std::fs",
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "ToSocketAddrs",
            "std::env",
            "std::process",
            "SystemTime::now",
            "Instant",
            "async",
        ],
    },
    Room {
        folder: "audit",
        package: "hangu-audit",
        crates: &["tokio", "http", "hyper", "h2", "pingora", "hangu"],
        paths: &[
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "ToSocketAddrs",
            "std::env",
            "std::process",
            "SystemTime::now",
            "Instant",
            "async",
        ],
    },
    Room {
        folder: "limits",
        package: "hangu-limits",
        crates: &["tokio", "http", "hyper", "h2", "pingora", "hangu"],
        paths: &[
            "std::fs",
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "ToSocketAddrs",
            "std::env",
            "std::process",
            "SystemTime",
            "Instant",
            "async",
        ],
    },
];

/// The six layers, in their order.
pub(crate) const LAYERS: [&str; 6] = [
    "endpoint",
    "edge",
    "network",
    "cloud",
    "data",
    "application",
];

/// The layout: every folder here exists.
pub(crate) const FOLDERS: &[&str] = &[
    "gateway",
    "policy",
    "policy/casbin",
    "certs",
    "audit",
    "limits",
    "tests",
    "benches",
    "fuzz",
    "deploy",
    "docs/adr",
];
