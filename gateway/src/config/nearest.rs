//! The word that somebody meant who typed another one.

/// The known word that is most like `word`, if it is like enough for a slip of the fingers.
pub fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let nearest = known.map(|one| (distance(word, one), one)).min();
    nearest
        .filter(|(edits, _)| *edits <= TYPING_ERROR_EDITS_MAX)
        .map(|(_, one)| one)
}

/// Edits (insert, delete, replace a character) from one word to the other; words longer than any that is known count as far.
fn distance(from: &str, to: &str) -> usize {
    if from.len() > WORD_BYTES_MAX {
        return usize::MAX;
    }
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, a) in from.chars().enumerate() {
        let mut above_left = line;
        let mut left = line.saturating_add(1);
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, b) in row.iter_mut().skip(1).zip(&to) {
            let replaced = above_left.saturating_add(usize::from(a != *b));
            above_left = *cell;
            left = replaced
                .min(above_left.saturating_add(1))
                .min(left.saturating_add(1));
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

/// As many edits are taken for a slip of the fingers.
const TYPING_ERROR_EDITS_MAX: usize = 2;
/// No known word is longer.
const WORD_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_fingers_is_understood_and_another_word_is_not() {
        let known = ["allowed", "denied", "refused"];
        for (word, meant) in [
            ("allow", Some("allowed")),
            ("denyed", Some("denied")),
            ("Denied", Some("denied")),
            ("reject", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known.into_iter()), meant, "{word}");
        }
    }
}
