//! What belongs to the process: server, audit, access log, admin.

use std::num::NonZeroUsize;

use super::reader::{Reader, parse_address};
use super::trust::crls;
use crate::config::bounds;
use crate::config::checked::{
    ANONYMOUS_SUBJECT, AccessLog, Admin, Audit, Control, ControlRemote, ControlSocket, Server,
};
use crate::config::file::{self, Text};
use crate::config::problem::Fault;

pub(super) fn server(reader: &mut Reader<'_, '_>, written: &file::Server) -> Option<Server> {
    let threads = match &written.threads {
        Some(_) => reader
            .count(written.threads.as_ref(), &bounds::THREADS)
            .try_into()
            .ok(),
        None => None,
    };
    let drain = reader.duration(written.drain.as_ref(), &bounds::DRAIN);
    let default = Text::new(0..0, DEFAULT_RUN_DIR.to_owned());
    let run_dir = reader.folder(written.run_dir.as_ref().unwrap_or(&default));
    Some(Server {
        threads: threads.unwrap_or_else(one_thread_a_core),
        run_dir: run_dir?,
        drain,
    })
}

/// As many as there are cores, within bounds; one if the system does not say.
fn one_thread_a_core() -> NonZeroUsize {
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let most = NonZeroUsize::try_from(bounds::THREADS.max).unwrap_or(NonZeroUsize::MIN);
    cores.min(most)
}

pub(super) fn access_log(
    reader: &mut Reader<'_, '_>,
    written: Option<&file::AccessLog>,
) -> Option<AccessLog> {
    let to = written?.to.as_ref()?;
    if to.get_ref() == "stdout" {
        return Some(AccessLog::Stdout);
    }
    reader.output(to).map(AccessLog::File)
}

pub(super) fn admin(reader: &mut Reader<'_, '_>, written: Option<&file::Admin>) -> Option<Admin> {
    let written = written?;
    let text = written.address.as_ref()?;
    let address = reader.read(Some(text), parse_address)?;
    if !address.ip().is_loopback() && !written.expose {
        let what = format!(
            "`{address}` is not a loopback address, and the admin endpoint has no authentication"
        );
        reader.fault(
            text,
            Fault::new(
                what,
                "write `127.0.0.1:…`, or add `expose = true` if the network in front is closed",
            ),
        );
    }
    Some(Admin { address })
}

pub(super) fn control(
    reader: &mut Reader<'_, '_>,
    written: &file::Control,
    (server, audit): (Option<&Server>, Option<&Audit>),
) -> Option<Control> {
    let socket = match &written.socket {
        Some(text) => reader.output(text).map(ControlSocket::Open),
        None => server.map(|server| ControlSocket::Private(server.run_dir.join(CONTROL_SOCKET))),
    };
    let revocations = match &written.revocations {
        Some(text) => reader.output(text),
        None => audit.map(|audit| audit.folder.with_file_name(REVOCATIONS)),
    };
    let uids = written
        .uids
        .iter()
        .map(|uid| reader.count(Some(uid), &bounds::UID))
        .collect();
    let remote = match &written.remote {
        Some(written) => Some(remote(reader, written)?),
        None => None,
    };
    Some(Control {
        socket: socket?,
        revocations: revocations?,
        uids,
        remote,
    })
}

fn remote(reader: &mut Reader<'_, '_>, written: &file::ControlRemote) -> Option<ControlRemote> {
    let address = reader.read(written.address.as_ref(), parse_address);
    let certificate = reader.file(written.certificate.as_ref());
    let key = reader.file(written.key.as_ref());
    let client_ca = reader.file(written.client_ca.as_ref());
    let crls = crls(reader, written.crls.as_ref(), None);
    let subjects = reader.read_each(written.subjects.as_ref(), |text| match text {
        "" | ANONYMOUS_SUBJECT => Err(Fault::new(
            format!("`{text}` is the subject of no certificate"),
            "write a subject as `identity.subject` makes it, such as `spiffe://gov.example/operator`",
        )),
        text => Ok(text.into()),
    });
    Some(ControlRemote {
        address: address?,
        certificate: certificate?,
        key: key?,
        client_ca: client_ca?,
        crls,
        subjects: subjects.into_iter().map(|(_, subject)| subject).collect(),
    })
}

const REVOCATIONS: &str = "revocations.json";
const CONTROL_SOCKET: &str = "control.sock";
pub(super) const DEFAULT_RUN_DIR: &str = "run";
