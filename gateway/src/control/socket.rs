//! The control socket as a file: made so that it is never open to others, and taken over by the next process in one step.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};

use crate::config::ControlSocket;
use crate::server::Start;

/// Listens there. The socket is made beside its place and renamed into it: callers find the old process or the new
/// one, never none, and nobody can connect before the mode is right.
///
/// # Errors
/// What the system says; [`io::ErrorKind::AddrInUse`] when another gateway listens there and this is not its upgrade.
pub fn bind(socket: &ControlSocket, start: Start) -> io::Result<UnixListener> {
    let (path, mode) = match socket {
        ControlSocket::Private(path) => (path, 0o600),
        // Who may call is decided by what the kernel says of the caller.
        ControlSocket::Open(path) => (path, 0o666),
    };
    if start == Start::Fresh && UnixStream::connect(path).is_ok() {
        let taken = "another gateway listens there; stop it, or choose another `control.socket`";
        return Err(io::Error::new(io::ErrorKind::AddrInUse, taken));
    }
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(&beside)?;
    fs::set_permissions(&beside, Permissions::from_mode(mode))?;
    fs::rename(&beside, path)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_for_its_owner_only_and_is_taken_over_by_an_upgrade_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let socket = ControlSocket::Private(path.clone());
        let first = bind(&socket, Start::Fresh).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let refused = bind(&socket, Start::Fresh).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);

        let second = bind(&socket, Start::Upgrade).unwrap();
        let _caller = UnixStream::connect(&path).unwrap();
        second.accept().unwrap();
        first.set_nonblocking(true).unwrap();
        // The probe of the refused one is all that the first ever saw.
        drop(first.accept().unwrap());
        assert_eq!(
            first.accept().unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );

        drop(second);
        bind(&socket, Start::Fresh).unwrap();
    }
}
