//! The command line: what an operator types, reads, and what a script gets as an exit code.

use std::process::Output;

use hangu_tests::{GatewayFolder, TestUpstream};

use crate::support::gateway;

mod check;
mod log;

#[test]
fn a_wrong_command_line_is_answered_with_help_and_exit_code_2() {
    let folder = folder();
    for arguments in [
        &["fly"][..],
        &["run"],
        &["check", "--confg", "x"],
        &["audit"],
    ] {
        let output = folder.hangu(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains("Usage:"), "{}", stderr(&output));
    }
    let version = folder.hangu(&["--version"]);
    assert_eq!(
        stdout(&version),
        format!("hangu {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn the_quickstart_holds_what_it_promises() {
    let folder = folder();
    let output = folder.hangu(&["quickstart", "--self-test"]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}\n{}",
        stdout(&output),
        stderr(&output)
    );
}

#[test]
fn the_quickstart_names_a_taken_port() {
    let folder = folder();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let dir = folder.path("quickstart").display().to_string();
    let output = folder.hangu(&["quickstart", "--dir", &dir, "--port", &port]);
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}\n{}",
        stdout(&output),
        stderr(&output)
    );
    assert!(
        stderr(&output).contains(&port) && stderr(&output).contains("--port"),
        "{}",
        stderr(&output)
    );
}

fn folder() -> GatewayFolder {
    let upstream = TestUpstream::named("records");
    gateway().records(upstream.address()).prepare()
}

/// Standard error without the folder's own path, so that it is the same each time.
fn said(folder: &GatewayFolder, output: &Output) -> String {
    stderr(output).replace(
        &format!(
            "{}/",
            folder.path("").display().to_string().trim_end_matches('/')
        ),
        "",
    )
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
