//! What a gateway under test shall serve, and how that is written down.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use crate::application::Application;
use crate::folder::GatewayFolder;
use crate::pki::TestPki;
use crate::running::RunningGateway;
use crate::wait::must;

/// What to serve. Made by [`TestGateway::new`], changed by the builder methods, served by [`TestGateway::start`].
#[derive(Clone, Debug)]
pub struct TestGateway {
    pub(crate) binary: PathBuf,
    pub(crate) pki: Arc<TestPki>,
    server: Vec<String>,
    pub(crate) ip: IpAddr,
    listener: Vec<String>,
    extra_hosts: Vec<String>,
    tables: Vec<String>,
    zones: String,
    matrix: String,
    pub(crate) applications: Vec<Application>,
    pub(crate) model: String,
    pub(crate) policy: String,
    policy_table: String,
    pub(crate) crl: String,
    audit: Vec<String>,
    /// Shell commands that come before the gateway in its process, such as `ulimit`.
    pub(crate) shell: Option<String>,
}

/// The rules that a gateway has when its test names none: a clerk who may do everything but what is sealed and is cleared for all,
/// a reader who may read and is cleared for `internal`, and everybody for what is open.
const POLICY: &str = "\
p, clerk,     civil, /*,        *,   allow
p, clerk,     civil, /sealed/*, *,   deny
p, reader,    civil, /*,        GET, allow
p, anonymous, civil, /open/*,   GET, allow
g, spiffe://gov.test/clerk,  clerk,  civil
g, spiffe://gov.test/reader, reader, civil
g2, clerk,     sensitive
g2, sensitive, internal
g2, internal,  public
g2, reader,    internal
g2, anonymous, public
";

/// Where the policy comes from when a test says nothing else.
const FILES: &str = "model = \"policy/model.conf\"\nrules = \"policy/policy.csv\"";

impl TestGateway {
    /// A gateway of this binary: one listener, the zone `bureau` for all loopback addresses, the labels `public`, `internal` and
    /// `sensitive`, and no application yet.
    #[must_use]
    pub fn new(binary: &str) -> Self {
        let pki = Arc::new(TestPki::new());
        let crl = pki.crl_pem(&[], 1);
        Self {
            binary: PathBuf::from(binary),
            pki,
            server: Vec::new(),
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            listener: Vec::new(),
            extra_hosts: Vec::new(),
            tables: Vec::new(),
            zones: "bureau = [\"127.0.0.0/8\", \"::1/128\"]".to_owned(),
            matrix: "bureau = [\"public\", \"internal\", \"sensitive\"]".to_owned(),
            applications: Vec::new(),
            model: hangu_policy::RBAC_WITH_DOMAINS.to_owned(),
            policy: POLICY.to_owned(),
            policy_table: FILES.to_owned(),
            crl,
            audit: Vec::new(),
            shell: None,
        }
    }

    /// The application `records` with what the default policy speaks of: everything `internal`, `/secret` `sensitive`, `/open` `public`,
    /// and `/read-only` for GET alone.
    #[must_use]
    pub fn records(self, upstream: SocketAddr) -> Self {
        self.application(records().upstream(upstream))
    }

    /// One more application.
    #[must_use]
    pub fn application(mut self, application: Application) -> Self {
        self.applications.push(application);
        self
    }

    /// A line of `[server]`.
    #[must_use]
    pub fn server(mut self, line: &str) -> Self {
        self.server.push(line.to_owned());
        self
    }

    /// A line of `[[listeners]]`.
    #[must_use]
    pub fn listener(mut self, line: &str) -> Self {
        self.listener.push(line.to_owned());
        self
    }

    /// Another address for the listener than 127.0.0.1.
    #[must_use]
    pub fn ip(mut self, ip: IpAddr) -> Self {
        self.ip = ip;
        self
    }

    /// A host that the server certificate covers too, although no application has it.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        self.extra_hosts.push(host.to_owned());
        self
    }

    /// The whole `[zones]`.
    #[must_use]
    pub fn zones(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.zones);
        self
    }

    /// The whole `[matrix]`.
    #[must_use]
    pub fn matrix(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.matrix);
        self
    }

    /// Any other table, whole, such as `[limits]`.
    #[must_use]
    pub fn table(mut self, text: &str) -> Self {
        self.tables.push(text.to_owned());
        self
    }

    /// The same without any table of [`Self::table`].
    #[must_use]
    pub fn without_tables(mut self) -> Self {
        self.tables.clear();
        self
    }

    /// The rules.
    #[must_use]
    pub fn policy(mut self, rules: &str) -> Self {
        rules.clone_into(&mut self.policy);
        self
    }

    /// The model.
    #[must_use]
    pub fn model(mut self, model: &str) -> Self {
        model.clone_into(&mut self.model);
        self
    }

    /// The whole `[policy]`; without it, model and rules in files.
    #[must_use]
    pub fn policy_table(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.policy_table);
        self
    }

    /// The revocation lists, PEM.
    #[must_use]
    pub fn crl(mut self, pem: &str) -> Self {
        pem.clone_into(&mut self.crl);
        self
    }

    /// A line of `[audit]`.
    #[must_use]
    pub fn audit(mut self, line: &str) -> Self {
        self.audit.push(line.to_owned());
        self
    }

    /// Starts the gateway by a shell that does this first, such as `ulimit -f 8`.
    #[must_use]
    pub fn shell(mut self, commands: &str) -> Self {
        self.shell = Some(commands.to_owned());
        self
    }

    /// Who signs what.
    #[must_use]
    pub fn pki(&self) -> &TestPki {
        &self.pki
    }

    /// Writes the folder, without starting anything.
    #[must_use]
    pub fn prepare(self) -> GatewayFolder {
        GatewayFolder::new(self)
    }

    /// Writes the folder, starts the gateway and waits until it is ready.
    #[track_caller]
    #[must_use]
    pub fn start(self) -> RunningGateway {
        self.prepare().start()
    }

    pub(crate) fn configuration(&self, listener: SocketAddr, admin: SocketAddr) -> String {
        let mut hosts: Vec<String> = self
            .applications
            .iter()
            .map(|application| application.host().to_owned())
            .collect();
        hosts.extend(self.extra_hosts.iter().cloned());
        let hosts = format!("{hosts:?}");
        let lines = |lines: &[String]| lines.join("\n");
        let mut toml = format!(
            "[server]\nthreads = 2\nrun_dir = \"run\"\n{server}\n\n\
             [[listeners]]\nname = \"edge\"\naddress = \"{listener}\"\nclient_ca = \"certs/clients-ca.pem\"\n\
             crls = [\"certs/clients.crl.pem\"]\n{listeners}\n\
             [[listeners.certificates]]\nhosts = {hosts}\nchain = \"certs/server.pem\"\nkey = \"certs/server.key\"\n\n\
             [zones]\n{zones}\n\n[labels]\norder = [\"public\", \"internal\", \"sensitive\"]\n\n[matrix]\n{matrix}\n\n",
            server = lines(&self.server),
            listeners = lines(&self.listener),
            zones = self.zones,
            matrix = self.matrix,
        );
        for application in &self.applications {
            application.write(&mut toml);
        }
        let written = write!(
            toml,
            "[policy]\n{policy}\n\n\
             [audit]\nfolder = \"audit\"\nflush = \"2ms\"\n{audit}\n\n[admin]\naddress = \"{admin}\"\n\n{tables}\n",
            policy = self.policy_table,
            audit = lines(&self.audit),
            tables = self.tables_with_identity().join("\n\n"),
        );
        must(written, "write a configuration");
        toml
    }

    /// What names callers is pinned to the trust domain of the harness, unless the test says otherwise.
    fn tables_with_identity(&self) -> Vec<String> {
        let (head, pinned) = (
            "[identity]",
            "[identity]\nspiffe_trust_domains = [\"gov.test\"]",
        );
        let mut tables = self.tables.clone();
        match tables.iter_mut().find(|table| table.starts_with(head)) {
            Some(table) if table.contains("spiffe_trust_domains") => {}
            Some(table) => *table = table.replacen(head, pinned, 1),
            None => tables.push(pinned.to_owned()),
        }
        tables
    }

    pub(crate) fn server_names(&self) -> Vec<&str> {
        let own = self.applications.iter().map(Application::host);
        own.chain(self.extra_hosts.iter().map(String::as_str))
            .chain(["127.0.0.1"])
            .collect()
    }
}

/// The application of [`TestGateway::records`], without an upstream.
fn records() -> Application {
    Application::new("records")
        .route("prefix = \"/\"")
        .route("prefix = \"/secret\", label = \"sensitive\"")
        .route("prefix = \"/open\", label = \"public\"")
        .route("prefix = \"/read-only\", methods = [\"GET\"]")
}
