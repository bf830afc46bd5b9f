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
