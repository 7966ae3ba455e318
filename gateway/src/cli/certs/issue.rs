//! `hangu certs issue`: certificates for servers, people, devices and workloads, each with what its use asks for and nothing more.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use hangu_certs::{ClientRequest, Issued, SpiffeId, Validity};
use serde_json::json;

use super::ca::{CaFolder, DAYS_MAX};
use super::files::{self, Existing, Reader};
use super::{CertsError, Done, Outcome, moment, now, print_json};
use crate::cli::say;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// For a server: DNS names and addresses
    Server(Server),
    /// For a person or an application that calls
    Client(Client),
    /// For a device, by its number
    Device(Device),
    /// For a workload, by its SPIFFE id: good for both ends of a connection
    Workload(Workload),
}

/// What every certificate is issued with.
#[derive(Debug, Args)]
struct Common {
    /// The folder of the authority, made by `hangu certs ca`
    #[arg(long, value_name = "DIR")]
    ca: PathBuf,
    /// Where to write: OUT.pem gets the certificate and those above it, OUT.key the key (mode 0600)
    #[arg(long, value_name = "OUT")]
    out: PathBuf,
    /// Days that it is good for; if not said 90, for a device 365, for a workload 7
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=DAYS_MAX))]
    days: Option<u32>,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Server {
    /// A DNS name, which may begin with `*.`, or an IP address; the first becomes the common name
    #[arg(long, value_name = "HOST", required = true)]
    host: Vec<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Client {
    /// Common name
    #[arg(long)]
    name: String,
    #[command(flatten)]
    holder: Holder,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Device {
    /// The device's number: the subject's serialNumber
    #[arg(long)]
    number: String,
    /// Common name
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    holder: Holder,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Workload {
    /// The SPIFFE id, such as `spiffe://gov.example/tax/api`
    #[arg(long, value_name = "ID", value_parser = SpiffeId::parse)]
    spiffe: SpiffeId,
    /// A DNS name or an address that it serves
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// Whose it is, and other names.
#[derive(Debug, Args)]
struct Holder {
    /// Organisation (O)
    #[arg(long)]
    organization: Option<String>,
    /// Unit (OU)
    #[arg(long)]
    unit: Option<String>,
    /// Country (C): two capital letters
    #[arg(long)]
    country: Option<String>,
    /// organizationIdentifier, such as `NTRCN-` and a unified social credit code
    #[arg(long, value_name = "ID")]
    organization_identifier: Option<String>,
    /// A URI as alternative name; a SPIFFE id must be the only one
    #[arg(long)]
    uri: Vec<String>,
    /// A DNS name as alternative name
    #[arg(long)]
    dns: Vec<String>,
    /// An e-mail address as alternative name
    #[arg(long)]
    email: Vec<String>,
}

impl Holder {
    fn request(&self, validity: Validity) -> ClientRequest {
        ClientRequest {
            organisation: self.organization.clone(),
            organisational_unit: self.unit.clone(),
            organisation_identifier: self.organization_identifier.clone(),
            country: self.country.clone(),
            uris: self.uri.clone(),
            dns: self.dns.clone(),
            emails: self.email.clone(),
            validity: Some(validity),
            ..ClientRequest::default()
        }
    }
}

pub(super) fn issue(command: &Command) -> Done {
    match command {
        Command::Server(server) => {
            let hosts: Vec<&str> = server.host.iter().map(String::as_str).collect();
            let desk = Desk::open(&server.common, LEAF_DAYS)?;
            let issued = desk
                .folder
                .issue("server", &hosts.join(" "), desk.validity, |ca| {
                    ca.issue_server(&hosts, desk.validity)
                })?;
            desk.hand_out(&issued)
        }
        Command::Client(client) => {
            let desk = Desk::open(&client.common, LEAF_DAYS)?;
            let request = ClientRequest {
                common_name: Some(client.name.clone()),
                ..client.holder.request(desk.validity)
            };
            desk.issue_client("client", &client.name, &request)
        }
        Command::Device(device) => {
            let desk = Desk::open(&device.common, DEVICE_DAYS)?;
            let request = ClientRequest {
                common_name: device.name.clone(),
                device_number: Some(device.number.clone()),
                ..device.holder.request(desk.validity)
            };
            desk.issue_client("device", &device.number, &request)
        }
        Command::Workload(workload) => {
            let hosts: Vec<&str> = workload.host.iter().map(String::as_str).collect();
            let desk = Desk::open(&workload.common, WORKLOAD_DAYS)?;
            let name = workload.spiffe.as_str();
            let issued = desk.folder.issue("workload", name, desk.validity, |ca| {
                ca.issue_workload(&workload.spiffe, &hosts, desk.validity)
            })?;
            desk.hand_out(&issued)
        }
    }
}

/// An opened authority, with the places that what it issues goes to.
struct Desk<'a> {
    common: &'a Common,
    folder: CaFolder,
    validity: Validity,
    certificate: PathBuf,
    key: PathBuf,
}

impl<'a> Desk<'a> {
    fn open(common: &'a Common, days: u32) -> Result<Desk<'a>, CertsError> {
        let certificate = with_ending(&common.out, ".pem");
        let key = with_ending(&common.out, ".key");
        files::check_free(&[&certificate, &key], Existing::forced(common.force))?;
        let folder = CaFolder::open(&common.ca)?;
        let validity = folder.validity(now(), common.days.unwrap_or(days))?;
        Ok(Desk {
            common,
            folder,
            validity,
            certificate,
            key,
        })
    }

    fn issue_client(&self, kind: &str, name: &str, request: &ClientRequest) -> Done {
        let issued = self
            .folder
            .issue(kind, name, self.validity, |ca| ca.issue_client(request))?;
        self.hand_out(&issued)
    }

    fn hand_out(&self, issued: &Issued) -> Done {
        let existing = Existing::forced(self.common.force);
        files::write(&self.key, &issued.key_pem, Reader::Owner, existing)?;
        files::write(
            &self.certificate,
            &issued.certificate_pem,
            Reader::Anyone,
            existing,
        )?;
        let (certificate, key) = (files::name(&self.certificate), files::name(&self.key));
        let (serial, end) = (issued.serial, moment(self.validity.not_after));
        if self.common.json {
            print_json(&json!({
                "certificate": certificate, "key": key, "serial": serial.to_string(), "not_after": end,
            }))?;
        } else {
            say(format_args!(
                "{certificate}: serial {serial}, good until {end}"
            ));
            say(format_args!("{key}: its key; hand it over in a safe way"));
        }
        Ok(Outcome::Good)
    }
}

/// `alice.b` becomes `alice.b.pem`.
fn with_ending(out: &Path, ending: &str) -> PathBuf {
    let mut path = out.as_os_str().to_owned();
    path.push(ending);
    PathBuf::from(path)
}

const LEAF_DAYS: u32 = 90;
const DEVICE_DAYS: u32 = 365;
/// Workloads renew by themselves.
const WORKLOAD_DAYS: u32 = 7;
