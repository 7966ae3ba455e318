//! What the newcomer reads first.

use std::fmt::Write;
use std::path::Path;

use super::cases::{CASES, Case, Expect, Shown};
use super::ports::Addresses;
use super::tail;
use super::words::{glyph, in_words, question};
use crate::layers::Layer;

/// The whole text; `hangu` is this program, `done` are lines about what was written to the folder.
pub(super) fn guide(hangu: &Path, folder: &Path, addresses: &Addresses, done: &[String]) -> String {
    let mut text = String::from("Hangu quickstart\n\n");
    // Writing into a string cannot fail.
    let _written = write_guide(&mut text, hangu, folder, addresses, done);
    text
}

fn write_guide(
    text: &mut String,
    hangu: &Path,
    folder: &Path,
    addresses: &Addresses,
    done: &[String],
) -> std::fmt::Result {
    writeln!(text, "Folder {}", folder.display())?;
    for line in done {
        writeln!(text, "  {line}")?;
    }
    if done.is_empty() {
        writeln!(
            text,
            "  everything was there from an earlier run and is used as it is"
        )?;
    }
    write_places(text, addresses)?;
    write_layers(text)?;
    writeln!(text, "Try it. In a second terminal:\n")?;
    writeln!(text, "  cd {}\n", shell_word(folder))?;
    let shown = CASES.iter().filter(|case| case.shown == Shown::Guide);
    for (number, case) in (1..).zip(shown) {
        write_case(text, number, case, addresses)?;
    }
    write_next_steps(text, hangu, addresses)?;
    write!(
        text,
        "Requests appear here as they come, with the time in UTC. Ctrl-C stops everything.\n\n{}",
        tail::heading()
    )
}

fn write_places(text: &mut String, addresses: &Addresses) -> std::fmt::Result {
    let Addresses {
        office,
        internet,
        application,
        admin,
    } = addresses;
    write!(
        text,
        "\nWhat is running\n  \
         https://localhost:{}  the gateway's office door: its clients may reach all classes of data\n  \
         https://localhost:{}  the gateway's internet door: its clients may reach public data only\n  \
         http://{application}   the demo application, a bureau's resident records; only the gateway should ask it\n  \
         http://{admin}   the gateway's own /metrics, /healthz and /readyz\n  \
         The gateway also answers as https://{RECORDS}:{}, with curl --resolve {RECORDS}:{}:127.0.0.1\n\n",
        office.port(),
        internet.port(),
        office.port(),
        office.port(),
    )
}

fn write_layers(text: &mut String) -> std::fmt::Result {
    writeln!(
        text,
        "Every request has to pass six layers (✓ agreed, ✗ refused, · was not asked any more)"
    )?;
    for layer in Layer::ALL {
        writeln!(
            text,
            "  {} {:<12} {}",
            glyph(layer),
            layer.name(),
            question(layer)
        )?;
    }
    writeln!(text)
}

fn write_case(
    text: &mut String,
    number: usize,
    case: &Case,
    addresses: &Addresses,
) -> std::fmt::Result {
    writeln!(text, "  {number:>2}  {}", case.story)?;
    writeln!(text, "      {}", case.curl(addresses))?;
    writeln!(text, "      → {}\n", answer(case))
}

fn answer(case: &Case) -> String {
    let by = |layer: Layer, code: &str| {
        format!(
            "{} {} refuses: {} ({code})",
            glyph(layer),
            layer.name(),
            in_words(code)
        )
    };
    match case.expect {
        Expect::Allowed(status) if case.headers.is_empty() => {
            format!(
                "{status}, and in the answer what the gateway told the application about the client"
            )
        }
        Expect::Allowed(status) => {
            format!(
                "{status}, and the answer shows Li's own identity: whatever a client says about itself is removed"
            )
        }
        Expect::Denied(denial) if denial.status() == 429 => {
            format!(
                "about thirty times 200, then 429; {}",
                by(case.layer, denial.code())
            )
        }
        Expect::Denied(denial) => format!("{}; {}", denial.status(), by(case.layer, denial.code())),
        Expect::Ended(denial) => {
            format!("the connection is ended; {}", by(case.layer, denial.code()))
        }
        Expect::NoConnection(denial, alert) => {
            format!(
                "no connection; curl is told \"alert {alert}\" and no more\n        {}",
                by(case.layer, denial.code())
            )
        }
    }
}

fn write_next_steps(text: &mut String, hangu: &Path, addresses: &Addresses) -> std::fmt::Result {
    let hangu = shell_word(hangu);
    let segment = "audit-000000000001.jsonl";
    writeln!(text, "What to try next, in the same folder")?;
    for (what, how) in [
        ("Change a rule", "let clerks DELETE in policy/policy.csv and save: it counts within two seconds.".to_owned()),
        ("Make a mistake", "write nonsense there and save: the line is named here, and the rules from before serve on.".to_owned()),
        ("Look before", format!("{hangu} check --config hangu.toml")),
        ("Prove the log", format!("{hangu} audit verify audit")),
        (
            "Forge a copy",
            format!(
                "mkdir -p copy; cp audit/head.json copy; sed 's/\"kind\":\"start\"/\"kind\":\"stop\"/' audit/{segment} > copy/{segment}; {hangu} audit verify copy"
            ),
        ),
        ("See the numbers", format!("curl --silent http://{}/metrics | grep hangu_layer_verdicts", addresses.admin)),
        ("Test all of it", format!("{hangu} quickstart --self-test")),
    ] {
        writeln!(text, "  {what:<16} {how}")?;
    }
    writeln!(text)
}

/// A path as one word of a shell command.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || "/._-".contains(character);
    if text.chars().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// The application's own name, which no name server knows.
const RECORDS: &str = "records.civil.hangu.test";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_blanks_and_quotes_is_one_word() {
        for (path, word) in [
            ("/a/b-c_1.d", "/a/b-c_1.d"),
            ("/my demo", "'/my demo'"),
            ("/it's", "'/it'\\''s'"),
        ] {
            assert_eq!(shell_word(Path::new(path)), word);
        }
    }

    #[test]
    fn the_guide_reads_well() {
        let done = ["wrote hangu.toml".to_owned()];
        let (hangu, folder) = (Path::new("/bin/hangu"), Path::new("/demo"));
        insta::assert_snapshot!(guide(hangu, folder, &Addresses::from(8443), &done));
    }

    #[test]
    fn a_second_run_says_that_it_made_nothing() {
        let hangu = Path::new("/bin/hangu");
        let text = guide(hangu, Path::new("/demo"), &Addresses::from(8443), &[]);
        assert!(text.contains("everything was there"), "{text}");
    }
}
