//! Differences from casbin that are meant, by name.
//!
//! A name is given only for what shows the difference: casbin's error or panic where we deny, our error where Go's is the same,
//! or an answer that turns into casbin's when the policy is written as casbin reads it.

use super::case::{Asked, Case};
use super::{compile, decide, permits};
use hangu_policy::{Decision, EvaluationFault, Refusal};
use hangu_policy_casbin::{Oracle, OracleError};
use serde_json::Value;

/// The name of a difference, if it has one.
pub(super) fn name(
    case: &Case,
    asked: &Asked,
    ours: &Decision,
    theirs: &Result<bool, OracleError>,
) -> Option<&'static str> {
    match (ours, theirs) {
        (Decision::Deny(_), Err(OracleError::Panic)) => Some("casbin panics, we deny"),
        (Decision::Deny(_), Err(_)) => Some("casbin fails, we deny"),
        (Decision::Permit(_), Err(OracleError::Panic)) => {
            first_instead_fails(case, asked).or_else(|| permitted_in_a_panic(case, asked))
        }
        (Decision::Permit(_), Err(_)) => first_instead_fails(case, asked),
        (Decision::Deny(Refusal::EvaluationError(_, fault)), Ok(true)) => Some(failed(*fault)),
        (_, Ok(theirs)) => read_otherwise(case, asked, *theirs)
            .or_else(|| first_instead_fails(case, asked).filter(|_| *theirs)),
    }
}

/// Go answers; only Rust cuts a text inside a character, and takes a loose brace for a repetition.
fn permitted_in_a_panic(case: &Case, asked: &Asked) -> Option<&'static str> {
    let cuts = case.model.contains("keyMatch(") || case.model.contains("keyGet(");
    if cuts && is_beyond_ascii(asked) {
        return Some("casbin cuts a path inside a character and panics, Go compares bytes");
    }
    if is_mapped(case, asked) {
        return Some(
            "an IPv4 address in IPv6 form is that IPv4 address, where casbin goes on to what panics",
        );
    }
    let mut plain = case.clone();
    plain.rules = in_rows(&case.rules, "p", |row| row.replace(['{', '}'], "-"));
    let ours = compile(&plain).ok()?;
    let theirs = Oracle::new(&plain.model, &plain.rules).ok()?;
    let theirs = theirs.decide_values(asked.context, &asked.arguments);
    let theirs = theirs.ok().filter(|_| plain.rules != case.rules)?;
    if theirs == permits(&decide(&ours, asked)) {
        return Some("casbin takes a brace for a repetition and panics, Go for a character");
    }
    read_otherwise(&plain, asked, theirs).map(
        |_| "casbin takes a brace for a repetition and panics, and reads another pattern otherwise",
    )
}

/// Rust moves a repeated row to the end, or takes a pattern for one that matches, and what then comes first cannot be
/// evaluated: by us an error, by Rust an error or a comparison with nothing.
fn first_instead_fails(case: &Case, asked: &Asked) -> Option<&'static str> {
    let fails = |rules: String| {
        let read = Case {
            rules,
            ..case.clone()
        };
        let decided = compile(&read).map(|policy| decide(&policy, asked));
        let failed = matches!(decided, Ok(Decision::Deny(Refusal::EvaluationError(..))));
        failed && read.rules != case.rules
    };
    if fails(last_of_repeated(&case.rules)) {
        return Some(
            "a repeated row keeps its place, as in Go, before one that cannot be evaluated",
        );
    }
    readings_of(case, asked).any(fails).then_some(
        "a row does not match, as in Go, where casbin goes on to what cannot be evaluated",
    )
}

/// The rules as casbin reads them: by one way of reading otherwise, then by two.
fn readings_of<'a>(case: &'a Case, asked: &'a Asked) -> impl Iterator<Item = String> {
    let one = READINGS
        .iter()
        .map(move |(_, reading)| reading(&case.rules, asked));
    one.chain(pairs_of(case, asked))
}

fn pairs_of<'a>(case: &'a Case, asked: &'a Asked) -> impl Iterator<Item = String> {
    READINGS.iter().flat_map(move |(_, first)| {
        let first = first(&case.rules, asked);
        READINGS
            .iter()
            .map(move |(_, second)| second(&first, asked))
    })
}

/// Where Go's evaluator fails, so do we; Rust's compares what is not there, or of another type, with everything.
fn failed(fault: EvaluationFault) -> &'static str {
    match fault {
        EvaluationFault::MissingAttribute => {
            "Go fails on a missing attribute and denies, Rust compares nothing"
        }
        EvaluationFault::WrongType => "Go fails on another type and denies, Rust converts it",
        EvaluationFault::NoAddress => "Go fails on what is no address and denies",
        EvaluationFault::TooManyRoles
        | EvaluationFault::TooManySteps
        | EvaluationFault::ArgumentCount
        | EvaluationFault::UnknownContext => "the request cannot be evaluated",
    }
}

/// The policy written as casbin reads it, for each way in which it reads otherwise.
fn read_otherwise(case: &Case, asked: &Asked, theirs: bool) -> Option<&'static str> {
    let section = if asked.context == 1 { "p, " } else { "p2, " };
    let matcher = if asked.context == 1 { "m = " } else { "m2 = " };
    if !case.rules.lines().any(|line| line.starts_with(section)) {
        return Some("an empty policy permits nothing for want of a rule");
    }
    let line = case.model.lines().find(|line| line.starts_with(matcher));
    if line.is_some_and(|line| !line.contains("p.") && !line.contains("p2.")) {
        return Some("a matcher of the request alone is asked once, as in Go, not for each row");
    }
    let classes = ["\\d", "\\w", "\\s", "\\b"];
    if is_beyond_ascii(asked) && classes.iter().any(|class| case.rules.contains(class)) {
        return Some("classes of regular expressions know ASCII only, as in Go");
    }
    if is_mapped(case, asked) {
        return Some("an IPv4 address in IPv6 form is that IPv4 address, as in Go");
    }
    let reads = |rules: String| {
        let mut read = case.clone();
        read.rules = rules;
        read.rules != case.rules
            && compile(&read).is_ok_and(|policy| permits(&decide(&policy, asked)) == theirs)
    };
    let one = READINGS
        .iter()
        .find(|(_, reading)| reads(reading(&case.rules, asked)));
    let two = || {
        pairs_of(case, asked)
            .any(reads)
            .then_some("two of these differences at once")
    };
    one.map(|(name, _)| *name).or_else(two)
}

type Reading = fn(&str, &Asked) -> String;

const READINGS: &[(&str, Reading)] = &[
    (
        "a glob that ends in `/**` also matches what stands before, as in Go",
        without_folders,
    ),
    (
        "braces without a name are braces, as in Go, and no bad pattern",
        |rules, _| rules.replace("{}", "-none-"),
    ),
    ("a repeated row keeps its place, as in Go", |rules, _| {
        last_of_repeated(rules)
    }),
    ("a deny row of another section denies", |rules, _| {
        in_rows(rules, "p2, ", |row| row.replace(", deny", ", allow"))
    }),
    ("the priority column counts, as in Go", |rules, _| {
        without_priorities(rules)
    }),
    (
        "ten links of roles are followed, as in Go",
        |rules, asked| without_tenth_link(rules, asked),
    ),
    ("relations do not share a graph", |rules, _| {
        let shared = |from: &str, to: &str| {
            in_rows(rules, from, |row| {
                format!("{row}\n{}", row.replacen(from, to, 1))
            })
        };
        [shared("g, ", "g2, "), shared("g2, ", "g, ")].concat()
    }),
    ("a bare colon is a colon, as in Go", |rules, _| {
        rules.replace("/:/", "/:x/").replace("/:,", "/:x,")
    }),
    ("braces without a name are braces, as in Go", |rules, _| {
        rules.replace("{}", "{x}")
    }),
];

/// Rust moves a repeated row to the end.
fn last_of_repeated(rules: &str) -> String {
    let lines: Vec<_> = rules.lines().collect();
    let last = |(index, line): &(usize, &&str)| {
        let after = lines.get(index + 1..).unwrap_or_default();
        !after.contains(line)
    };
    let kept = lines.iter().enumerate().filter(last);
    kept.map(|(_, line)| format!("{line}\n")).collect()
}

/// Rust follows nine links; names of a chain end in their numbers.
fn without_tenth_link(rules: &str, asked: &Asked) -> String {
    let name = asked.arguments.first().and_then(Value::as_str);
    let number = name.and_then(|name| name.strip_prefix("link")?.parse::<usize>().ok());
    match number {
        Some(number) => rules.replace(&format!("g, link{}, ", number + 9), "g, nobody, "),
        None => rules.to_owned(),
    }
}

/// Rust matches only what stands below.
fn without_folders(rules: &str, asked: &Asked) -> String {
    let path = asked.arguments.get(1).and_then(Value::as_str);
    match path {
        Some(path) => rules.replace(&format!("\"{path}/**\""), "-none-"),
        None => rules.to_owned(),
    }
}

/// Rust takes the rows as they stand.
fn without_priorities(rules: &str) -> String {
    in_rows(rules, "p, ", |row| {
        let rest = row.splitn(3, ", ").nth(2).unwrap_or_default();
        format!("p, 0, {rest}")
    })
}

/// Changes the rows that start so.
fn in_rows(rules: &str, start: &str, change: impl Fn(&str) -> String) -> String {
    let changed = |line: &str| {
        if line.starts_with(start) {
            change(line)
        } else {
            line.to_owned()
        }
    };
    rules.lines().map(|line| changed(line) + "\n").collect()
}

/// Whether an address of the request is an IPv4 one in IPv6 form, and is asked about as an address.
fn is_mapped(case: &Case, asked: &Asked) -> bool {
    let mapped = |text: &str| text.contains("::ffff:");
    let mut texts = asked.arguments.iter().filter_map(Value::as_str);
    texts.any(mapped) && case.model.contains("ipMatch")
}

fn is_beyond_ascii(asked: &Asked) -> bool {
    !Value::from(asked.arguments.clone()).to_string().is_ascii()
}
