//! When the comment of a build is edited. Pure.
//!
//! Always at the end; before that only when builders that did not pass are worth it: the first at
//! once, then at most every two minutes. A build in which all pass has its comment edited once.

use std::time::Duration;

use tokio::time::Instant;

/// Least time between two edits before the end.
const EVERY: Duration = Duration::from_secs(120);
/// How long the last edit waits for GitHub to take the results themselves.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the comment shows, as far as this process knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown {
    /// GitHub's id of it.
    pub id: Option<i64>,
    /// A hash of its text.
    pub text: Option<u64>,
    /// So many builders that did not pass.
    pub unhappy: i32,
    /// The result.
    pub result: bool,
    /// When it was last edited.
    pub edited: Option<Instant>,
    /// Since when there is a result.
    pub ended: Option<Instant>,
    /// After an edit that GitHub did not take: when the next one may be tried.
    pub not_before: Option<Instant>,
}

/// What there is to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// Builders that failed, timed out or ended in error.
    pub unhappy: i32,
    /// Every builder has a result.
    pub result: bool,
    /// GitHub has taken every result, or never will.
    pub told: bool,
}

/// Whether the comment is to be edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// It shows what there is, or nothing that is worth an edit is missing.
    Not,
    /// Now.
    Now,
    /// After this time.
    After(Duration),
}

/// Whether a comment that stands is to be edited.
pub fn due(shown: &Shown, news: News, now: Instant) -> Due {
    let left = |from: Option<Instant>, wait: Duration| match from {
        Some(from) if from + wait > now => Due::After(from + wait - now),
        _ => Due::Now,
    };
    if !shown.result
        && let Some(at) = shown.not_before.filter(|at| *at > now)
    {
        return Due::After(at - now);
    }
    match news {
        _ if shown.result => Due::Not,
        News {
            result: true,
            told: false,
            ..
        } => left(shown.ended.or(Some(now)), PATIENCE),
        News { result: true, .. } => Due::Now,
        News { unhappy, .. } if unhappy > shown.unhappy => left(shown.edited, EVERY),
        News { .. } => Due::Not,
    }
}

/// Whether a comment that shows this needs no further edit.
pub fn is_last(shown: &Shown, news: News, now: Instant) -> bool {
    let waited = shown.ended.is_some_and(|ended| ended + PATIENCE <= now);
    news.result && (news.told || waited)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(unhappy: i32) -> News {
        News {
            unhappy,
            result: false,
            told: false,
        }
    }

    #[test]
    fn a_build_in_which_all_pass_is_edited_at_its_end_only() {
        let now = Instant::now();
        let mut shown = Shown::default();
        assert_eq!(due(&shown, running(0), now), Due::Not);
        let end = News {
            unhappy: 0,
            result: true,
            told: true,
        };
        assert_eq!(due(&shown, end, now), Due::Now);
        shown.result = true;
        assert_eq!(due(&shown, end, now), Due::Not);
    }

    #[test]
    fn the_first_failure_is_shown_at_once_and_more_after_two_minutes() {
        let now = Instant::now();
        let mut shown = Shown::default();
        assert_eq!(due(&shown, running(1), now), Due::Now);
        shown.unhappy = 1;
        shown.edited = Some(now);
        assert_eq!(due(&shown, running(1), now), Due::Not);
        let minute = Duration::from_secs(60);
        assert_eq!(due(&shown, running(2), now + minute), Due::After(minute));
        assert_eq!(due(&shown, running(2), now + 2 * minute), Due::Now);
    }

    #[test]
    fn the_last_edit_waits_a_while_for_the_results_themselves() {
        let now = Instant::now();
        let shown = Shown {
            ended: Some(now),
            ..Shown::default()
        };
        let untold = News {
            unhappy: 0,
            result: true,
            told: false,
        };
        assert_eq!(due(&shown, untold, now), Due::After(PATIENCE));
        assert_eq!(due(&shown, untold, now + PATIENCE), Due::Now);
        assert!(!is_last(&shown, untold, now));
        assert!(is_last(&shown, untold, now + PATIENCE));
    }

    #[test]
    fn an_edit_that_was_refused_is_not_tried_again_at_once() {
        let now = Instant::now();
        let shown = Shown {
            not_before: Some(now + EVERY),
            ..Shown::default()
        };
        assert_eq!(due(&shown, running(1), now), Due::After(EVERY));
        assert_eq!(due(&shown, running(1), now + EVERY), Due::Now);
    }
}
