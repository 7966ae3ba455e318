//! How a subcommand speaks to a running gateway: over its control socket, or its control address.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use self::remote::Own;
use crate::config;

mod remote;

/// Where the gateway is.
#[derive(Args, Clone, Debug)]
pub(crate) struct Target {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    own: Own,
}

/// One of these.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
struct Place {
    /// The configuration file that the gateway runs with
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The gateway's control socket
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// The `control.remote` address of a gateway on another machine
    #[arg(long, value_name = "https://HOST:PORT", requires = "cert")]
    control: Option<String>,
}

/// Why a gateway could not be asked, or did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// The configuration does not say where the socket is.
    #[error("{0}\nor name the gateway's socket with `--socket PATH`")]
    Config(String),
    /// Nobody answers.
    #[error("{place}: {source}; is the gateway running, and may you control it")]
    Unreachable {
        /// The socket or the address.
        place: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The answer is none.
    #[error("{place}: the answer is not one of a gateway; are both of one version")]
    Answer {
        /// The socket or the address.
        place: String,
    },
    /// The gateway refused.
    #[error("the gateway refused: {0}")]
    Refused(String),
}

impl Target {
    /// Asks the gateway something. `path` may have a query, its values encoded by [`encoded`].
    ///
    /// # Errors
    /// [`ControlError`].
    pub(crate) fn get(&self, path: &str) -> Result<Value, ControlError> {
        self.call("GET", path, None)
    }

    /// Tells the gateway something.
    ///
    /// # Errors
    /// [`ControlError`].
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, ControlError> {
        self.call("POST", path, Some(body))
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, ControlError> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: hangu\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let (place, exchanged) = match &self.place.control {
            Some(url) => (
                format!("control address `{url}`"),
                remote::exchange(url, &self.own, request.as_bytes()),
            ),
            None => {
                let socket = self.path()?;
                let place = format!("control socket `{}`", socket.display());
                (place, exchange(&socket, request.as_bytes()))
            }
        };
        let answer = match exchanged {
            Ok(answer) => answer,
            Err(source) => return Err(ControlError::Unreachable { place, source }),
        };
        let (status, body) = split(&answer).ok_or(ControlError::Answer { place })?;
        match (status, body.get("error").and_then(Value::as_str)) {
            (200, _) => Ok(body),
            (_, Some(why)) => Err(ControlError::Refused(why.to_owned())),
            (status, None) => Err(ControlError::Refused(format!("status {status}"))),
        }
    }

    fn path(&self) -> Result<PathBuf, ControlError> {
        match (&self.place.socket, &self.place.config) {
            (Some(socket), _) => Ok(socket.clone()),
            (None, Some(file)) => match config::load(file) {
                Ok(config) => Ok(config.control.socket.path().to_owned()),
                Err(errors) => {
                    let problems: Vec<String> =
                        errors.problems().iter().map(ToString::to_string).collect();
                    Err(ControlError::Config(problems.join("\n")))
                }
            },
            (None, None) => Err(ControlError::Config("no gateway is named".to_owned())),
        }
    }
}

/// A value for a query: everything but the unreserved characters of RFC 3986 is percent-encoded.
pub(crate) fn encoded(value: &str) -> String {
    value
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn exchange(socket: &Path, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER_TIME))?;
    stream.set_write_timeout(Some(ANSWER_TIME))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(answer)
}

/// Status and JSON body.
fn split(answer: &[u8]) -> Option<(u16, Value)> {
    let text = str::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    Some((status, serde_json::from_str(body).ok()?))
}

/// As long as the gateway takes for any call, and a little more.
const ANSWER_TIME: Duration = Duration::from_secs(70);
const ANSWER_BYTES_MAX: u64 = 256 * 1024 * 1024;
