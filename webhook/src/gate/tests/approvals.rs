//! Approvals among those of people who may not push.

use super::*;

/// Moved in the window; and so many strangers, with older accounts than anybody, approve the head.
fn approved_by_strangers(count: i64, known: bool) -> Scene {
    let scene = Scene::good()
        .moved(LABEL - 5, AUTHOR)
        .approved(REVIEWER, HEAD);
    scene.with(|s| {
        let reviews = s.facts.reviews.as_mut().expect("reviews");
        let real = reviews.reviews[0].clone();
        for stranger in -count..0 {
            reviews.reviews.push(github::Review {
                user: Some(user(stranger)),
                ..real.clone()
            });
            if known {
                s.facts.rights.insert(stranger, right("read", "read"));
            }
        }
    })
}

#[test]
fn strangers_who_approve_hide_no_approval_of_somebody_trusted() {
    let unread = |scene: Scene| scene.with(|s| drop(s.facts.rights.remove(&REVIEWER)));
    let known = approved_by_strangers(50, false);
    assert_eq!(known.said(), "build", "whose right is known");
    let asked = unread(approved_by_strangers(50, true)).said();
    assert!(asked.starts_with("ask Right([User { id: 30"), "{asked}");
}

#[test]
fn so_many_rights_of_strangers_are_looked_up_at_a_time_and_not_without_end() {
    let unread = |scene: Scene| scene.with(|s| drop(s.facts.rights.remove(&REVIEWER)));
    let scene = unread(approved_by_strangers(50, false));
    match scene.judged() {
        Step::Ask(Question::Right(users)) => assert_eq!(users.len(), 20),
        other => panic!("{other:?}"),
    }
    let flooded = unread(approved_by_strangers(100, true));
    assert_eq!(flooded.said(), "HeadMovedBefore");
}
