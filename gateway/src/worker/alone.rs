//! Pure: whether a machine that comes in is the only one that has its key.
//!
//! Nothing is written down when a worker is heard of. So a gateway that has just started, or beside which another
//! one hears of the worker, cannot tell whether the machine that has the session is there: then the object decides,
//! which says when the session was opened and, once somebody has missed it, that it is off-line.

use crds::WorkerSession;
use jiff::Timestamp;
use protocol::worker::session::SESSION_SECONDS;

use super::seen::{Heard, SILENT_FOR};

/// A machine that comes in, and what is known of the one that has the session.
pub struct Claim<'a> {
    /// Installation and start of the machine that comes in.
    pub who: &'a str,
    /// The session that the object names.
    pub session: &'a WorkerSession,
    /// The last that this gateway heard of the worker.
    pub heard: Option<&'a Heard>,
    /// The object says that it is off-line.
    pub is_offline: bool,
    /// Now.
    pub now: Timestamp,
}

/// The machine that has the session, where that is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rival {
    /// It is the same one, or is gone.
    None,
    /// It is there.
    There,
    /// It may be there: another gateway may hear of it, or this one will in a moment.
    Maybe,
}

/// Who else is this worker now.
pub fn rival(claim: &Claim<'_>) -> Rival {
    let session = claim.session;
    let current = format!("{} {}", session.instance, session.boot);
    if session.epoch == 0 || current == claim.who {
        return Rival::None;
    }
    let Some(heard) = claim.heard else {
        let opened = Timestamp::from_millisecond(session.nonce).unwrap_or_default();
        // Who is there has opened the next session by then.
        let is_over = claim.now.duration_since(opened).as_secs() >= SESSION_SECONDS;
        return match claim.is_offline || is_over {
            true => Rival::None,
            false => Rival::Maybe,
        };
    };
    if heard.left.is_some() {
        return Rival::None;
    }
    let silent = heard.at.elapsed();
    let came_back = session.before.as_deref() == Some(claim.who)
        && silent.as_secs() < SESSION_SECONDS.unsigned_abs();
    match silent < SILENT_FOR || came_back {
        true => Rival::There,
        false => Rival::None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use jiff::SignedDuration;

    use super::*;

    fn now() -> Timestamp {
        "2026-01-14T12:00:00Z".parse().unwrap()
    }

    /// The session of the machine `i b`, which took the place of `old b`, opened so many seconds ago.
    fn session(seconds: i64) -> WorkerSession {
        WorkerSession {
            epoch: 3,
            instance: "i".to_owned(),
            boot: "b".to_owned(),
            nonce: (now() - SignedDuration::from_secs(seconds)).as_millisecond(),
            before: Some("old b".to_owned()),
        }
    }

    /// Heard of so many seconds ago.
    fn heard(seconds: u64) -> Option<Heard> {
        Some(Heard {
            at: Instant::now().checked_sub(Duration::from_secs(seconds))?,
            time: now(),
            who: "i b".to_owned(),
            left: None,
            closed: None,
            disk_full: false,
            disk_free_mb: None,
        })
    }

    fn found(who: &str, opened: i64, heard: Option<Heard>, is_offline: bool) -> Rival {
        rival(&Claim {
            who,
            session: &session(opened),
            heard: heard.as_ref(),
            is_offline,
            now: now(),
        })
    }

    #[test]
    fn a_machine_is_alone_when_the_other_one_is_silent_has_left_or_is_missed() {
        assert_eq!(found("i b", 10, heard(0), false), Rival::None, "the same");
        assert_eq!(found("i b2", 10, heard(5), false), Rival::There);
        assert_eq!(found("i b2", 100, heard(61), false), Rival::None);
        assert_eq!(
            found("old b", 100, heard(61), false),
            Rival::There,
            "they alternate"
        );
        let left = heard(1).map(|heard| Heard {
            left: Some("bye".to_owned()),
            ..heard
        });
        assert_eq!(found("i b2", 10, left, false), Rival::None);
    }

    #[test]
    fn a_gateway_that_has_heard_of_nobody_lets_no_other_machine_in_before_the_object_says_so() {
        assert_eq!(
            found("i b", 10, None, false),
            Rival::None,
            "the same goes on"
        );
        assert_eq!(found("other b", 10, None, false), Rival::Maybe);
        assert_eq!(
            found("other b", SESSION_SECONDS - 1, None, false),
            Rival::Maybe
        );
        assert_eq!(found("other b", SESSION_SECONDS, None, false), Rival::None);
        assert_eq!(
            found("other b", 10, None, true),
            Rival::None,
            "it is off-line"
        );
        let claim = Claim {
            who: "other b",
            session: &WorkerSession::default(),
            heard: None,
            is_offline: false,
            now: now(),
        };
        assert_eq!(rival(&claim), Rival::None, "the first one ever");
    }
}
