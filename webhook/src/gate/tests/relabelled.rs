//! Labels that several people set, take off and set again, and deliveries that tell of another time.

use super::*;

/// User 99 set the label, somebody took it off, and a core developer set it in the same second. The
/// delivery about the first is looked at now.
fn set_by_two() -> Scene {
    Scene::good().with(|s| {
        let mut first = event("labeled", "Test", EVENT - 2, LABEL);
        first.actor = Some(user(99));
        let off = event("unlabeled", "test", EVENT - 1, LABEL);
        let events = s.facts.events.as_mut().expect("events");
        events.events.splice(0..0, [first, off]);
        s.request.told.as_mut().expect("told").sender = user(99);
    })
}

fn told_at(scene: Scene, second: i64) -> Scene {
    scene.with(|s| s.request.told.as_mut().expect("told").updated_at = Some(at(second)))
}

#[test]
fn a_delivery_about_somebody_elses_label_before_refuses_nobodys_after_it() {
    assert_eq!(set_by_two().said(), "nothing: superseded");
    let other = set_by_two().with(|s| {
        let events = s.facts.events.as_mut().expect("events");
        events.events[0].label = Some(github::Label {
            name: "docs".to_owned(),
        });
    });
    assert_eq!(other.said(), "ActorMismatch", "that was another label");
}

#[test]
fn a_delivery_that_may_be_about_a_later_label_waits_for_the_timeline() {
    let told = |asked: u32, scene: Scene| {
        let scene = told_at(scene, LABEL + 1).with(|s| s.facts.events_asked = asked);
        scene.said()
    };
    let forged =
        || Scene::good().with(|s| s.request.told.as_mut().expect("told").sender = user(99));
    assert_eq!(told(1, forged()), "ask EventsAgain");
    assert_eq!(told(8, forged()), "ActorMismatch", "it never came");
    assert_eq!(told(1, set_by_two()), "ask EventsAgain");
    assert_eq!(told(8, set_by_two()), "nothing: superseded");
}
