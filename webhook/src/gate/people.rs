//! Who may do what. GitHub's words are an allowlist: a word that is new to us gives no right.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crds::Permission;

/// A person's right on the repository, as GitHub reported it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Right {
    /// `admin`, `write`, `read`, `none`.
    pub permission: String,
    /// `admin`, `maintain`, `write`, `triage`, `read`, or a custom role.
    pub role: String,
    /// GitHub says that this person may not push, whatever the words say.
    pub no_push: bool,
}

impl Right {
    /// The right that the two words stand for together. They must fit: a custom role, a missing
    /// word or a new one is none.
    pub fn level(&self) -> Option<Permission> {
        Permission::granted(&self.permission, &self.role, Some(!self.no_push))
    }

    /// Whether it is at least this.
    pub fn covers(&self, minimum: Permission) -> bool {
        self.level().is_some_and(|level| level >= minimum)
    }

    /// What the right is called: the role, where there is one.
    pub fn word(&self) -> String {
        let word = match (self.role.as_str(), self.permission.as_str()) {
            ("", "") => "none",
            ("", permission) => permission,
            (role, _) => role,
        };
        word.chars().take(100).collect()
    }
}

impl From<github::Collaborator> for Right {
    fn from(found: github::Collaborator) -> Self {
        Self {
            no_push: found.push == Some(false),
            permission: found.permission,
            role: found.role_name.unwrap_or_default(),
        }
    }
}

/// How long a right that was found may be used again.
pub(super) const KEPT: Duration = Duration::from_secs(60);
/// Entries after which the old ones are thrown out.
const MOST: usize = 1024;

/// Where a right was asked for: GitHub's id of the repository, and the name by which it was called. What was
/// found under a name that somebody else has taken meanwhile counts under no other name.
pub(crate) type Place = (i64, String);

/// Rights that were found a moment ago, by repository and user id. That somebody has none is asked each
/// time a label is set, so that a new core developer does not wait; by commands, which anybody can
/// write, it is believed.
#[derive(Debug, Default)]
pub struct RightCache {
    found: Mutex<HashMap<(Place, i64), (Right, Instant)>>,
}

impl RightCache {
    /// A right to write that was found.
    pub(crate) fn get(&self, place: &Place, user: i64) -> Option<Right> {
        self.recent(place, user)
            .filter(|right| right.covers(Permission::Write))
    }

    /// That somebody has no right at all.
    pub(crate) fn get_none(&self, place: &Place, user: i64) -> Option<Right> {
        self.recent(place, user)
            .filter(|right| right.level().is_none())
    }

    fn recent(&self, place: &Place, user: i64) -> Option<Right> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let (right, at) = found.get(&(place.clone(), user))?;
        (at.elapsed() < KEPT).then(|| right.clone())
    }

    pub(crate) fn keep(&self, place: &Place, user: i64, right: &Right) {
        let none = right.level().is_none();
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() >= MOST {
            found.retain(|_, (_, at)| at.elapsed() < KEPT);
        }
        if !none && !right.covers(Permission::Write) || none && found.len() >= MOST {
            // Between the two it is asked each time; and strangers take no more room than this.
            found.remove(&(place.clone(), user));
            return;
        }
        found.insert((place.clone(), user), (right.clone(), Instant::now()));
    }
}

/// The people whose latest word on the pull request is an approval of exactly this head, other than
/// its author. Whether they are trusted is for the caller to find out.
pub(crate) fn approvers<'a>(
    reviews: &'a [github::Review],
    head: &str,
    author: Option<i64>,
) -> Vec<&'a github::User> {
    let mut latest: HashMap<i64, (&github::User, &github::Review)> = HashMap::new();
    for review in reviews {
        let Some(user) = review.user.as_ref().filter(|user| user.is_person()) else {
            continue;
        };
        // Comments do not change what somebody said before.
        if matches!(review.state.as_str(), "COMMENTED" | "PENDING") {
            continue;
        }
        let newer = latest
            .get(&user.id)
            .is_none_or(|(_, old)| old.submitted_at <= review.submitted_at);
        if newer {
            latest.insert(user.id, (user, review));
        }
    }
    let mut found: Vec<&github::User> = latest
        .into_values()
        .filter(|(user, review)| {
            review.state == "APPROVED"
                && review.commit_id.as_deref() == Some(head)
                && author.is_some_and(|author| author != user.id)
        })
        .map(|(user, _)| user)
        .collect();
    found.sort_by_key(|user| user.id);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s11_only_words_that_fit_together_give_a_right() {
        use Permission::{Admin, Maintain, Triage, Write};
        for (permission, role, expected) in [
            ("admin", "admin", Some(Admin)),
            ("write", "maintain", Some(Maintain)),
            ("write", "write", Some(Write)),
            ("read", "triage", Some(Triage)),
            ("read", "read", None),
            ("none", "none", None),
            ("none", "", None),
            ("write", "", None),
            ("write", "custom-x", None),
            ("admin", "custom-x", None),
            ("read", "admin", None),
            ("owner", "owner", None),
            ("Admin", "Admin", None),
            ("", "", None),
            ("", "admin", None),
            ("maintain", "maintain", None),
            ("push", "write", None),
        ] {
            let right = Right {
                permission: permission.to_owned(),
                role: role.to_owned(),
                no_push: false,
            };
            assert_eq!(right.level(), expected, "{permission}/{role}");
            for minimum in [Triage, Write, Maintain, Admin] {
                let covered = expected.is_some_and(|level| level >= minimum);
                assert_eq!(
                    right.covers(minimum),
                    covered,
                    "{permission}/{role} {minimum:?}"
                );
            }
        }
    }

    #[test]
    fn s12_somebody_who_may_not_push_has_no_write_right_whatever_the_words_say() {
        let right = Right {
            permission: "write".to_owned(),
            role: "write".to_owned(),
            no_push: true,
        };
        assert_eq!(right.level(), None);
    }

    fn place(repository: i64) -> Place {
        (repository, "o/r".to_owned())
    }

    #[test]
    fn that_somebody_has_no_right_is_asked_each_time_except_by_commands() {
        let cache = RightCache::default();
        let core = Right {
            permission: "write".to_owned(),
            role: "write".to_owned(),
            no_push: false,
        };
        cache.keep(&place(1), 2, &core);
        cache.keep(&place(1), 3, &Right::default());
        assert_eq!(cache.get(&place(1), 2), Some(core));
        assert_eq!(cache.get(&place(1), 3), None);
        assert_eq!(cache.get(&place(2), 2), None, "another repository");
        assert_eq!(cache.get(&(1, "p/r".to_owned()), 2), None, "another name");
        assert_eq!(cache.get_none(&place(1), 3), Some(Right::default()));
        assert_eq!(cache.get_none(&place(1), 2), None);
        let triager = Right {
            permission: "read".to_owned(),
            role: "triage".to_owned(),
            no_push: false,
        };
        cache.keep(&place(1), 3, &triager);
        assert_eq!(
            (cache.get(&place(1), 3), cache.get_none(&place(1), 3)),
            (None, None)
        );
    }

    #[test]
    fn strangers_take_only_so_much_room_and_never_that_of_others() {
        let cache = RightCache::default();
        for stranger in 0..5_000 {
            cache.keep(&place(1), stranger, &Right::default());
        }
        let kept = |cache: &RightCache| cache.found.lock().map(|found| found.len()).ok();
        assert_eq!(kept(&cache), Some(MOST));
        let core = Right {
            permission: "write".to_owned(),
            role: "write".to_owned(),
            no_push: false,
        };
        cache.keep(&place(1), 5_000, &core);
        assert_eq!(cache.get(&place(1), 5_000), Some(core));
    }

    fn review(user: i64, state: &str, commit: &str, second: i64) -> github::Review {
        github::Review {
            id: second,
            user: Some(github::User {
                id: user,
                login: format!("u{user}"),
                kind: "User".to_owned(),
            }),
            state: state.to_owned(),
            commit_id: Some(commit.to_owned()),
            submitted_at: jiff::Timestamp::from_second(second).ok(),
        }
    }

    #[test]
    fn an_approval_counts_while_it_is_the_latest_word_on_exactly_this_commit() {
        let ids = |reviews: &[github::Review]| -> Vec<i64> {
            approvers(reviews, "head", Some(1))
                .iter()
                .map(|user| user.id)
                .collect()
        };
        assert_eq!(ids(&[review(2, "APPROVED", "head", 1)]), [2]);
        assert_eq!(ids(&[review(2, "APPROVED", "older", 1)]), [0; 0]);
        assert_eq!(
            ids(&[review(1, "APPROVED", "head", 1)]),
            [0; 0],
            "the author"
        );
        assert_eq!(
            ids(&[
                review(2, "APPROVED", "head", 1),
                review(2, "CHANGES_REQUESTED", "head", 2)
            ]),
            [0; 0]
        );
        assert_eq!(
            ids(&[
                review(2, "APPROVED", "head", 1),
                review(2, "DISMISSED", "head", 1)
            ]),
            [0; 0]
        );
        assert_eq!(
            ids(&[
                review(2, "APPROVED", "head", 1),
                review(2, "COMMENTED", "head", 2)
            ]),
            [2]
        );
        let mut bot = review(3, "APPROVED", "head", 1);
        bot.user.as_mut().expect("a user").kind = "Bot".to_owned();
        assert_eq!(ids(&[bot]), [0; 0]);
        assert!(
            approvers(&[review(2, "APPROVED", "head", 1)], "head", None).is_empty(),
            "without an author nobody is another person"
        );
    }
}
