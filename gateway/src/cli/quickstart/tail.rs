//! One readable line for each record of the audit log, as it is written.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hangu_audit::{Entry, Layers, Position, Reader};

use super::error::QuickstartError;
use super::people::TRUST_DOMAIN;
use super::words::{glyph, in_words};
use crate::cli::say;
use crate::layers::Layer;

/// Follows the log in `folder` from what is there now, until `ending` and nothing is left.
pub(super) fn follow(reader: &mut Reader, ending: &AtomicBool) -> Result<(), QuickstartError> {
    loop {
        // Read before the log is: what was written until then must still be shown.
        let last_look = ending.load(Ordering::Acquire);
        while let Some(line) = reader.next_line()? {
            say(line_of(&Entry::parse(&line.json)?));
        }
        if last_look {
            return Ok(());
        }
        std::thread::sleep(POLL);
    }
}

/// A reader of what will be written from now on.
pub(super) fn reader(folder: &Path) -> Result<Reader, QuickstartError> {
    Ok(Reader::open(folder, Position::Last(0))?)
}

/// What the columns of the lines are.
pub(super) fn heading() -> String {
    format!(
        "  {:<8}  {:<23}  answer  {:<22}  {:<28}  why",
        "time", "what each layer said", "who", "what"
    )
}

/// Time, the six verdicts, answer, who, what, why.
fn line_of(entry: &Entry) -> String {
    let time = entry.time.get(11..19).unwrap_or(&entry.time);
    let Some(layers) = &entry.layers else {
        return format!("  {time}  {:<10} {}", entry.kind, shown(&entry.detail));
    };
    let verdicts = verdicts(layers);
    let status = entry
        .status
        .map_or("---".to_owned(), |status| status.to_string());
    let who = match entry.subject.strip_prefix(TRUST_DOMAIN) {
        Some(short) => short,
        None if entry.subject.is_empty() => "(nobody)",
        None => &entry.subject,
    };
    let what = if entry.kind == "request" {
        format!("{} {}", entry.method, entry.path)
    } else {
        "(no connection)".to_owned()
    };
    let line = format!(
        "  {time}  {verdicts}  {status:<6}  {:<22}  {:<28}  {}",
        shown(who),
        shown(&what),
        why(&entry.reason)
    );
    line.trim_end().to_owned()
}

fn verdicts(layers: &Layers) -> String {
    let steps = [
        &layers.endpoint,
        &layers.edge,
        &layers.network,
        &layers.cloud,
        &layers.data,
        &layers.application,
    ];
    let cells = Layer::ALL.into_iter().zip(steps).map(|(layer, step)| {
        let mark = match step.as_str() {
            "pass" => "✓",
            "refuse" => "✗",
            _ => "·",
        };
        format!("{}{mark}", glyph(layer))
    });
    cells.collect::<Vec<_>>().join(" ")
}

fn why(code: &str) -> String {
    match in_words(code) {
        "" => code.to_owned(),
        words => format!("{code}: {words}"),
    }
}

/// What a client wrote may not move the terminal's cursor or turn its reading direction.
fn shown(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_alphanumeric() || character.is_ascii_graphic() || character == ' ' {
                character.to_string()
            } else {
                character.escape_unicode().to_string()
            }
        })
        .collect()
}

const POLL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn request(subject: &str, path: &str) -> Entry {
        Entry {
            time: "2026-11-24T07:10:22.123Z".to_owned(),
            kind: "request".to_owned(),
            subject: subject.to_owned(),
            method: "GET".to_owned(),
            path: path.to_owned(),
            status: Some(403),
            reason: "data.label".to_owned(),
            layers: Some(Layers {
                endpoint: "pass".to_owned(),
                edge: "pass".to_owned(),
                network: "pass".to_owned(),
                cloud: "pass".to_owned(),
                data: "refuse".to_owned(),
                application: "not_reached".to_owned(),
            }),
            ..Entry::default()
        }
    }

    #[test]
    fn a_line_tells_who_asked_what_and_which_layer_refused() {
        let entry = request("spiffe://gov.hangu.test/tax/clerk/wang", "/residents/1024");
        assert_eq!(
            line_of(&entry),
            "  07:10:22  端✓ 边✓ 网✓ 云✓ 数✗ 用·  403     tax/clerk/wang          GET /residents/1024           \
             data.label: not cleared for this class of data"
        );
    }

    #[test]
    fn what_a_client_wrote_cannot_move_the_cursor() {
        let line = line_of(&request("", "/a\u{1b}[2J\u{202e}b"));
        assert!(line.contains("(nobody)"), "{line}");
        assert!(line.contains("/a\\u{1b}[2J\\u{202e}b"), "{line}");
    }

    #[test]
    fn an_event_is_told_in_its_own_words() {
        let entry = Entry {
            time: "2026-11-24T07:10:22.123Z".to_owned(),
            kind: "reload".to_owned(),
            detail: "generation 2 taken".to_owned(),
            ..Entry::default()
        };
        assert_eq!(line_of(&entry), "  07:10:22  reload     generation 2 taken");
    }
}
