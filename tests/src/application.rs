//! `[[applications]]` of a test's configuration.

use std::net::SocketAddr;

/// One application: a host, a tenant, routes and upstreams.
#[derive(Clone, Debug)]
pub struct Application {
    name: String,
    host: String,
    tenant: String,
    label: String,
    keys: Vec<String>,
    headers: Vec<(String, String)>,
    routes: Vec<String>,
    upstreams: Vec<SocketAddr>,
    upstream_tls: Option<String>,
    health: Option<String>,
}

impl Application {
    /// `<name>.test` of the tenant `civil`, all of it `internal`, with one route that takes everything.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            host: format!("{name}.test"),
            tenant: "civil".to_owned(),
            label: "internal".to_owned(),
            keys: Vec::new(),
            headers: Vec::new(),
            routes: Vec::new(),
            upstreams: Vec::new(),
            upstream_tls: None,
            health: None,
        }
    }

    /// Another tenant.
    #[must_use]
    pub fn tenant(mut self, tenant: &str) -> Self {
        tenant.clone_into(&mut self.tenant);
        self
    }

    /// A line of `[[applications]]`, such as `read_timeout = "200ms"`.
    #[must_use]
    pub fn key(mut self, line: &str) -> Self {
        self.keys.push(line.to_owned());
        self
    }

    /// A header with its template.
    #[must_use]
    pub fn header(mut self, name: &str, template: &str) -> Self {
        self.headers.push((name.to_owned(), template.to_owned()));
        self
    }

    /// A route by its inline table, such as `prefix = "/a", methods = ["GET"]`. Without any there is one for `/`.
    #[must_use]
    pub fn route(mut self, inline: &str) -> Self {
        self.routes.push(inline.to_owned());
        self
    }

    /// One more upstream.
    #[must_use]
    pub fn upstream(mut self, address: SocketAddr) -> Self {
        self.upstreams.push(address);
        self
    }

    /// The lines of `[applications.upstream_tls]`.
    #[must_use]
    pub fn upstream_tls(mut self, lines: &str) -> Self {
        self.upstream_tls = Some(lines.to_owned());
        self
    }

    /// The lines of `[applications.health]`.
    #[must_use]
    pub fn health(mut self, lines: &str) -> Self {
        self.health = Some(lines.to_owned());
        self
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn write(&self, toml: &mut String) {
        let mut lines = vec![
            "[[applications]]".to_owned(),
            format!("name = \"{}\"", self.name),
            format!("tenant = \"{}\"", self.tenant),
            format!("hosts = [\"{}\"]", self.host),
            format!("label = \"{}\"", self.label),
        ];
        lines.extend(self.keys.iter().cloned());
        let everything = ["prefix = \"/\"".to_owned()];
        let routes = if self.routes.is_empty() {
            &everything[..]
        } else {
            &self.routes[..]
        };
        lines.push(format!("routes = [{{ {} }}]", routes.join(" }, { ")));
        let upstreams: Vec<String> = self
            .upstreams
            .iter()
            .map(|address| format!("{{ address = \"{address}\" }}"))
            .collect();
        lines.push(format!("upstreams = [{}]", upstreams.join(", ")));
        if !self.headers.is_empty() {
            lines.push("[applications.headers]".to_owned());
            lines.extend(
                self.headers
                    .iter()
                    .map(|(name, template)| format!("{name} = \"{template}\"")),
            );
        }
        for (table, text) in [
            ("upstream_tls", &self.upstream_tls),
            ("health", &self.health),
        ] {
            if let Some(text) = text {
                lines.push(format!("[applications.{table}]\n{text}"));
            }
        }
        toml.push_str(&lines.join("\n"));
        toml.push_str("\n\n");
    }
}
