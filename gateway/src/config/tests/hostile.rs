//! Whatever the file holds, the answer is a configuration or problems that lie in the file.

use proptest::prelude::*;

use super::{RoutePrefix, example, parsed};

/// Pieces that a mistake could leave behind.
const PIECES: [&str; 16] = [
    "",
    "\"",
    "'",
    "[",
    "]]",
    "{",
    "}",
    "=",
    ",",
    "\n",
    "#",
    "0",
    "-1",
    "\u{0}",
    "\u{1b}",
    "函谷关",
];

fn problems_lie_in(text: &str) {
    let Err(problems) = parsed(text) else { return };
    assert!(!problems.is_empty(), "refused without a reason");
    for problem in &problems {
        let line = text
            .split('\n')
            .nth(problem.line - 1)
            .expect("the line is in the file");
        assert!(problem.column <= line.chars().count() + 1, "{problem}");
        assert!(
            !problem.to_string().contains(char::is_control),
            "{problem:?}"
        );
        assert!(
            !problem.what.is_empty() && !problem.fix.is_empty(),
            "{problem:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_mutilated_file_is_answered_with_problems_in_the_file(
        cuts in prop::collection::vec((0_usize..4_000, 0_usize..12, 0..PIECES.len()), 1..4)
    ) {
        let mut chars: Vec<char> = example().chars().collect();
        for (at, length, piece) in cuts {
            let at = at.min(chars.len());
            let end = (at + length).min(chars.len());
            chars.splice(at..end, PIECES[piece].chars());
        }
        problems_lie_in(&chars.into_iter().collect::<String>());
    }

    #[test]
    fn a_file_without_some_of_its_lines_is_answered_with_problems_in_the_file(
        kept in prop::collection::vec(prop::bool::weighted(0.9), 200)
    ) {
        let lines = example().lines().zip(kept.into_iter().chain(std::iter::repeat(true)));
        let text: Vec<&str> = lines.filter(|(_, kept)| *kept).map(|(line, _)| line).collect();
        problems_lie_in(&text.join("\n"));
    }

    #[test]
    fn the_spelling_of_a_route_prefix_is_final(text in "(/[a-z.%;~ 内0-9A-F\\PC]{0,6}){1,4}") {
        if let Ok(prefix) = RoutePrefix::parse(&text) {
            prop_assert!(prefix.covers(prefix.as_str()));
            prop_assert!(prefix.as_str().is_ascii());
            prop_assert_eq!(RoutePrefix::parse(prefix.as_str()), Ok(prefix));
        }
    }

    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        problems_lie_in(&text);
    }
}

#[test]
fn a_deeply_nested_file_is_refused_and_does_not_exhaust_the_stack() {
    for (open, close) in [("[", "]"), ("{a=", "}")] {
        let text = format!("a = {}{}", open.repeat(100_000), close.repeat(100_000));
        assert!(parsed(&text).is_err());
    }
}

#[test]
fn a_file_full_of_mistakes_is_answered_with_the_first_hundred() {
    let text: String = (0..5_000)
        .map(|number| format!("unknown-{number} = 1\n"))
        .collect();
    let problems = parsed(&text).unwrap_err();
    assert_eq!(problems.len(), 101);
    assert_eq!(problems[100].what, "4905 more problems follow");
}
