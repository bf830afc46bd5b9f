//! Pure: the words and signs of results in a comment.

use crds::RunPhase;

/// In which order results are told: what needs somebody comes first.
pub const ORDER: [&[RunPhase]; 7] = [
    &[RunPhase::Failed],
    &[RunPhase::TimedOut],
    &[RunPhase::Error],
    &[RunPhase::Succeeded],
    &[RunPhase::Cancelled],
    &[RunPhase::Running],
    &[RunPhase::Queued, RunPhase::Dispatched, RunPhase::Unknown],
];

/// A run that has a Job and no step yet waits, as far as people care.
pub fn word(phase: RunPhase) -> &'static str {
    match phase {
        RunPhase::Dispatched | RunPhase::Unknown => RunPhase::Queued.word(),
        phase => phase.word(),
    }
}

/// The sign before a result; never alone.
pub fn sign(phase: RunPhase) -> char {
    match phase {
        RunPhase::Succeeded => '●',
        RunPhase::Failed | RunPhase::TimedOut => '✕',
        RunPhase::Error => '▲',
        RunPhase::Running | RunPhase::Lost => '◐',
        RunPhase::Cancelled => '–',
        RunPhase::Queued | RunPhase::Dispatched | RunPhase::Unknown => '○',
    }
}

/// Keeps a few words on one line.
pub fn unbroken(words: &str) -> String {
    words.replace(' ', "\u{a0}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{super::comment_parts, *};

    const PAGE: &str = include_str!("../../../docs/comment.md");

    #[test]
    fn the_page_about_the_comment_has_every_sign_beside_the_words_that_it_stands_for() {
        let table = PAGE.split("| sign | word | means |").nth(1).unwrap();
        let rows = table
            .lines()
            .skip(2)
            .map_while(|row| row.strip_prefix("| "));
        let mut documented = BTreeSet::new();
        for row in rows {
            let mut cells = row.split(" | ");
            let (sign, words) = (cells.next().unwrap(), cells.next().unwrap());
            let words = words
                .split(", ")
                .map(|word| (sign.to_owned(), word.to_owned()));
            documented.extend(words);
        }
        let phases = ORDER.iter().flat_map(|phases| phases.iter());
        let said: BTreeSet<(String, String)> = phases
            .map(|phase| (sign(*phase).to_string(), word(*phase).to_owned()))
            .collect();
        assert_eq!(documented, said);
    }

    #[test]
    fn the_page_about_the_comment_knows_how_many_rows_stand_open() {
        let (rows, table) = (comment_parts::OPEN_ROWS, comment_parts::OPEN_TABLE);
        assert!(PAGE.contains(&format!("stand open, at most {rows};")));
        assert_eq!(table, 10);
        assert!(PAGE.contains("Of more than ten builders"));
    }
}
