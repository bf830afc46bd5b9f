//! The Events of a build: that it began and how it ended, as one where it was over at once; besides only what is out of
//! the ordinary.

use crds::{
    BuildPhase, PrBuild, PrBuildStatus,
    condition::{self, kind},
};
use kube::runtime::events::EventType;

use super::status::CANCELLED;
use crate::{admission::guard::reason as held, context::Context, journal};

/// An Event that is to be told.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    warning: bool,
    reason: String,
    note: String,
}

/// Tells what a change of a build's status means.
pub(super) async fn tell_story(
    ctx: &Context,
    build: &PrBuild,
    old: &PrBuildStatus,
    new: &PrBuildStatus,
) {
    for told in story(build, old, new) {
        let kind = match told.warning {
            true => EventType::Warning,
            false => EventType::Normal,
        };
        ctx.event(build, kind, &told.reason, told.note).await;
    }
    if new.phase == BuildPhase::Complete && old.phase != BuildPhase::Complete {
        ctx.metrics.completed(new);
        journal::complete(build, new);
    }
}

/// What a change of a build's status means, in words.
fn story(build: &PrBuild, old: &PrBuildStatus, new: &PrBuildStatus) -> Vec<Told> {
    let mut story = Vec::new();
    let mut tell = |warning, reason: &str, note: String| {
        let reason = reason.to_owned();
        story.push(Told {
            warning,
            reason,
            note,
        });
    };
    let request = &build.spec.request;
    let ended = new.phase == BuildPhase::Complete && old.phase != BuildPhase::Complete;
    let began = |status: &PrBuildStatus| condition::is_true(&status.conditions, kind::DISPATCHED);
    let mut asked = (began(new) && !began(old)).then(|| {
        let by = &request.trigger.user.login;
        let builders = match request.builders.len() {
            1 => "1 builder".to_owned(),
            more => format!("{more} builders"),
        };
        format!("@{by} asked for {builders} on {}", new.short_sha)
    });
    if !ended && let Some(asked) = asked.take() {
        tell(false, "Dispatched", asked);
    }
    let admitted = condition::find(&new.conditions, kind::ADMITTED);
    let before = condition::find(&old.conditions, kind::ADMITTED);
    if let Some(admitted) = admitted
        && before.map(|before| &before.reason) != Some(&admitted.reason)
    {
        tell(false, &admitted.reason, admitted.message.clone());
    }
    let dropped = admitted.is_some_and(|admitted| admitted.reason == held::DROPPED);
    if let Some(reason) = new.reason.as_ref().filter(|why| why.starts_with(CANCELLED))
        && !dropped
        && old.reason.as_ref() != Some(reason)
    {
        tell(false, "Cancelled", reason.clone());
    }
    for said in &new.conditions {
        let before = condition::find(&old.conditions, &said.type_);
        let news = before.is_none_or(|before| before.message != said.message);
        if said.status == "False" && said.reason == "Refused" && news {
            tell(true, &said.type_, said.message.clone());
        }
    }
    if ended {
        let took = new.duration.as_deref();
        let took = took.map(|took| format!(" in {took}")).unwrap_or_default();
        let asked = asked.map(|asked| format!("{asked}: ")).unwrap_or_default();
        tell(false, "Complete", format!("{asked}{}{took}", new.summary));
    }
    story
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{admission::guard::tests::build, context::now};

    fn status(phase: BuildPhase, change: impl FnOnce(&mut PrBuildStatus)) -> PrBuildStatus {
        let mut status = PrBuildStatus {
            phase,
            summary: "1 passed".to_owned(),
            ..PrBuildStatus::default()
        };
        let all = &mut status.conditions;
        condition::set(all, kind::DISPATCHED, true, "RunsExist", "", now());
        change(&mut status);
        status
    }

    fn reasons(old: &PrBuildStatus, new: &PrBuildStatus) -> Vec<String> {
        let story = story(&build(), old, new);
        story.into_iter().map(|told| told.reason).collect()
    }

    fn admitted(reason: &'static str, message: &'static str) -> impl FnOnce(&mut PrBuildStatus) {
        let holds = reason == held::OPEN;
        move |status| {
            let all = &mut status.conditions;
            condition::set(all, kind::ADMITTED, holds, reason, message, now());
        }
    }

    #[test]
    fn the_ordinary_build_has_two_events() {
        let running = status(BuildPhase::Running, |_| {});
        let complete = status(BuildPhase::Complete, |_| {});
        assert_eq!(reasons(&PrBuildStatus::default(), &running), ["Dispatched"]);
        assert_eq!(reasons(&running, &complete), ["Complete"]);
    }

    #[test]
    fn a_build_that_is_over_before_it_was_written_has_one_event() {
        let complete = status(BuildPhase::Complete, |new| {
            "abc".clone_into(&mut new.short_sha)
        });
        let told = story(&build(), &PrBuildStatus::default(), &complete);
        let [told] = &told[..] else {
            panic!("{told:?}");
        };
        assert_eq!(told.reason, "Complete");
        assert!(told.note.contains(" on abc: 1 passed"), "{told:?}");
    }

    #[test]
    fn what_keeps_a_build_is_told_once_however_its_sentence_changes() {
        let running = status(BuildPhase::Running, |_| {});
        let waits = status(BuildPhase::Running, admitted(held::CHECKS, "two checks"));
        let still = status(BuildPhase::Running, admitted(held::CHECKS, "one check"));
        let open = status(
            BuildPhase::Running,
            admitted(held::OPEN, "its runs may start"),
        );
        assert_eq!(reasons(&running, &waits), [held::CHECKS]);
        assert_eq!(reasons(&waits, &still), [""; 0]);
        assert_eq!(reasons(&still, &open), [held::OPEN]);
    }

    #[test]
    fn a_cancellation_says_who_and_a_build_that_is_dropped_says_why() {
        let running = status(BuildPhase::Running, |_| {});
        let by_ada = |status: &mut PrBuildStatus| {
            status.reason = Some("cancelled by ada: not needed".to_owned());
        };
        let cancelled = status(BuildPhase::Complete, by_ada);
        assert_eq!(reasons(&running, &cancelled), ["Cancelled", "Complete"]);
        let dropped = status(BuildPhase::Complete, |status| {
            admitted(held::DROPPED, "`CI` failed")(status);
            status.reason = Some("cancelled: `CI` failed".to_owned());
        });
        assert_eq!(reasons(&running, &dropped), [held::DROPPED, "Complete"]);
    }
}
