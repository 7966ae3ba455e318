//! The worked example of the policy guide: every command is run, and what it prints is compared.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::policy_cli::Desk;

#[test]
fn every_command_of_the_worked_example_prints_what_the_guide_says() {
    let desk = Desk::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let guide = fs::read_to_string(root.join("docs/policy.md")).unwrap();
    let mut ran = 0;
    for block in guide.split("\n```").skip(1).step_by(2) {
        let (kind, text) = block.split_once('\n').unwrap();
        if let Some((_, name)) = kind.split_once("worked/") {
            desk.write(name, &format!("{text}\n"));
        }
        if kind != "console worked" {
            continue;
        }
        for example in format!("\n{text}\n").split("\n$ ").skip(1) {
            let (command, expected) = example.split_once('\n').unwrap_or((example, ""));
            let said = run(&desk, command);
            assert!(
                fits(said.trim_end(), expected.trim_end()),
                "{command}\n{said}"
            );
            ran += 1;
        }
    }
    assert!(ran >= 20, "{ran}");
}

/// What a command prints; the guide's `hangu` is the binary under test.
fn run(desk: &Desk, command: &str) -> String {
    let hangu = env!("CARGO_BIN_EXE_hangu-under-test");
    let script = format!("exec 2>&1\nhangu() {{ '{hangu}' \"$@\"; }}\n{command}");
    let output = Command::new("sh")
        .current_dir(desk.0.path())
        .args(["-c", &script])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Whether a text is as expected, where `\u{2026}` stands for anything.
fn fits(said: &str, expected: &str) -> bool {
    let mut pieces = expected.split('\u{2026}');
    let mut rest = match said.strip_prefix(pieces.next().unwrap_or_default()) {
        Some(rest) => rest,
        None => return false,
    };
    let mut last = None;
    for piece in pieces {
        match rest.split_once(piece) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
        last = Some(piece);
    }
    rest.is_empty() || last == Some("")
}

#[test]
fn what_is_different_each_time_is_told_from_what_is_not() {
    for (said, expected, fit) in [
        ("a", "a", true),
        ("ab", "a", false),
        ("a 17 b", "a \u{2026} b", true),
        ("a 17 c", "a \u{2026} b", false),
        ("key+17", "key+\u{2026}", true),
        ("", "", true),
        ("x", "", false),
    ] {
        assert_eq!(fits(said, expected), fit, "{said} {expected}");
    }
}
