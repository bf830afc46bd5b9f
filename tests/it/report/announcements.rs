//! The announcement and the label: once, whatever crashes and whatever answer is lost.

use std::collections::BTreeMap;

use crds::{
    Evidence, LeftOut, Person, PrBuild, PrBuildSpec, RepositoryRef, Request, Trigger, TriggerKind,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use operator::report::announce::{self, Draft, Opened, Opening};
use operator::report::comment::marker;
use operator::report::{LabelOutcome, Retry, TalkError, settle_label};
use tests::forge::Fault;

use super::{APP, Scene, signed};

const GRAPHQL: &str = "POST /graphql";
const LABEL: &str = ":hammer: test";

impl Scene {
    /// A build of the pull request that ada asked for with a label.
    fn build(&self, event: i64) -> PrBuild {
        let trigger = Trigger {
            kind: TriggerKind::Label,
            event_id: event,
            time: Time(self.forge.clock().now()),
            label: Some(LABEL.to_owned()),
            command: None,
            user: Person {
                id: 1,
                login: "ada".to_owned(),
            },
            permission: "write".to_owned(),
            evidence: Evidence::Label,
        };
        let left_out = LeftOut {
            builder: "lan".to_owned(),
            reason: "needs an approval, ask @octo/core".to_owned(),
        };
        let request = Request {
            repository: RepositoryRef {
                name: "app".into(),
                id: 1,
                full_name: APP.into(),
            },
            number: self.number(),
            head_sha: self.head.clone(),
            merge_sha: None,
            merge_tree: None,
            base_sha: None,
            base_ref: "main".to_owned(),
            flavour: "default".to_owned(),
            builders: vec!["debian".to_owned()],
            left_out: vec![left_out],
            trigger,
            after_checks: Vec::new(),
            rerun_of: None,
        };
        let mut build = PrBuild::new(
            &format!("app-{}-l{event}", self.number),
            PrBuildSpec {
                request,
                cancel: None,
                cancel_builders: BTreeMap::new(),
            },
        );
        build.metadata.uid = Some(format!("11111111-2222-3333-4444-{event:012}"));
        build
    }
}

/// Says what is to be said when a build begins.
async fn say(scene: &Scene, build: &PrBuild, maybe_posted: bool) -> Opened {
    say_of(scene, build, maybe_posted, None).await
}

/// The same, with a label that comes off.
async fn say_of(scene: &Scene, build: &PrBuild, maybe_posted: bool, label: Option<&str>) -> Opened {
    let trigger = &build.spec.request.trigger;
    let marker = marker(build.metadata.uid.as_deref().unwrap_or_default());
    let text = format!("{marker}\nA build.\n");
    let draft = Draft {
        marker: &marker,
        text: &text,
        maybe_posted: maybe_posted.then_some(trigger.time.0),
    };
    let opening = Opening {
        number: scene.number(),
        comment: Some(draft),
        label: label.map(|label| (trigger, label)),
    };
    let asked = trigger.event_id;
    announce::open(&scene.repo(), &opening, |event| event == asked).await
}

fn posted(opened: Opened) -> Result<i64, TalkError> {
    opened.comment.unwrap()
}

impl Scene {
    fn comment_ids(&self) -> Vec<i64> {
        let all = self.forge.comments(APP, self.number).into_iter();
        all.map(|one| signed(one.id)).collect()
    }

    /// REST calls so far, but for those that get a token.
    fn rest(&self) -> Vec<String> {
        let all = self.forge.log().all().into_iter();
        let calls = all.filter(|one| one.path != "/graphql" && !one.path.contains("/app/"));
        calls
            .map(|one| format!("{} {}", one.method, one.path))
            .collect()
    }

    /// Ada labels at this moment of GitHub's clock. Returns the build that it becomes.
    fn labelled(&self) -> PrBuild {
        self.build(signed(self.forge.add_label(APP, self.number, LABEL, "ada")))
    }
}

#[tokio::test]
async fn a_build_begins_with_a_look_and_one_request_that_comments_and_takes_the_label_off() {
    let scene = Scene::new().await;
    scene.forge.clock().stop();
    let build = scene.labelled();
    let opened = say_of(&scene, &build, false, Some(LABEL)).await;
    assert_eq!(opened.label.unwrap().unwrap(), LabelOutcome::Removed);
    assert_eq!(scene.comment_ids(), [opened.comment.unwrap().unwrap()]);
    assert!(scene.forge.labels(APP, scene.number).is_empty());
    assert_eq!(scene.forge.log().count(GRAPHQL), 2);
    assert_eq!(scene.rest(), Vec::<String>::new());
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_build_that_no_label_asked_for_is_only_commented_on() {
    let scene = Scene::new().await;
    let id = posted(say(&scene, &scene.build(1), false).await).unwrap();
    assert_eq!(scene.comment_ids(), [id]);
    assert_eq!(scene.rest(), Vec::<String>::new());
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_comment_whose_answer_was_lost_is_found_and_not_repeated() {
    for fault in [Fault::AnswerLost(502), Fault::Cut, Fault::Malformed] {
        let scene = Scene::new().await;
        scene.forge.clock().stop();
        let build = scene.labelled();
        scene.forge.faults().next(1, "mutation addComment", fault);
        let opened = say_of(&scene, &build, false, Some(LABEL)).await;
        let error = opened.comment.unwrap().unwrap_err();
        assert!(
            error.is_uncertain() && error.retry() == Retry::Soon,
            "{error}"
        );
        assert!(opened.label.unwrap().is_err(), "nobody knows");
        let again = say_of(&scene, &build, true, Some(LABEL)).await;
        assert_eq!(scene.comment_ids(), [again.comment.unwrap().unwrap()]);
        assert_eq!(again.label.unwrap().unwrap(), LabelOutcome::Removed);
        scene.forge.finish().await;
    }
}

#[tokio::test]
async fn one_half_that_fails_does_not_undo_the_other() {
    for (mutation, commented, unlabelled) in [
        ("addComment", false, true),
        ("removeLabelsFromLabelable", true, false),
    ] {
        let scene = Scene::new().await;
        scene.forge.clock().stop();
        let build = scene.labelled();
        scene.forge.faults().mutations(1, mutation, "FORBIDDEN");
        let opened = say_of(&scene, &build, false, Some(LABEL)).await;
        let (comment, label) = (opened.comment.unwrap(), opened.label.unwrap());
        assert_eq!((comment.is_ok(), label.is_ok()), (commented, unlabelled));
        let error = comment.err().or(label.err()).unwrap();
        assert_eq!(
            (error.retry(), error.reason(), error.is_uncertain()),
            (Retry::Slowly, "PermissionMissing", false)
        );
        assert_eq!(scene.said().len(), usize::from(commented));
        assert_eq!(scene.forge.labels(APP, scene.number).is_empty(), unlabelled);
        scene.forge.finish().await;
    }
}

#[tokio::test]
async fn a_crash_between_the_comment_and_its_record_makes_no_second_one() {
    let scene = Scene::new().await;
    let build = scene.build(1);
    let id = posted(say(&scene, &build, false).await).unwrap();
    // Somebody quotes the comment, marker and all; another build is announced besides.
    let quoted = scene.said().remove(0);
    scene.forge.comment(APP, scene.number, "mallory", &quoted);
    let other = posted(say(&scene, &scene.build(2), true).await).unwrap();
    assert_eq!(posted(say(&scene, &build, true).await).unwrap(), id);
    assert_ne!(other, id);
    assert_eq!(scene.said().len(), 2);
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_limit_of_graphql_is_told_with_the_time_when_it_ends() {
    let scene = Scene::new().await;
    scene.forge.limits().set_hourly(Some(1));
    assert!(posted(say(&scene, &scene.build(1), false).await).is_err());
    let error = posted(say(&scene, &scene.build(1), false).await).unwrap_err();
    assert!(
        matches!(error.retry(), Retry::After(wait) if wait.as_secs() > 3000),
        "{error}"
    );
}

#[tokio::test]
async fn a_comment_is_edited_in_place() {
    let scene = Scene::new().await;
    let id = posted(say(&scene, &scene.build(1), false).await).unwrap();
    announce::edit(&scene.repo(), scene.number(), id, "The result.")
        .await
        .unwrap();
    assert_eq!(scene.said(), ["The result."]);
    scene.forge.finish().await;
}

#[tokio::test]
async fn labels_that_were_set_within_one_second_are_told_apart_by_their_events() {
    let scene = Scene::new().await;
    scene.forge.clock().stop();
    let build = scene.labelled();
    scene.forge.remove_label(APP, scene.number, LABEL, "ada");
    let second = signed(scene.forge.add_label(APP, scene.number, LABEL, "ada"));
    let opened = say_of(&scene, &build, false, Some(LABEL)).await;
    assert_eq!(
        opened.label.unwrap().unwrap(),
        LabelOutcome::LeftFor(second)
    );
    assert!(opened.comment.unwrap().is_ok());
    assert_eq!(scene.forge.labels(APP, scene.number), [LABEL]);
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_label_that_was_added_again_stays_while_the_build_is_announced() {
    let scene = Scene::new().await;
    scene.forge.clock().stop();
    let build = scene.labelled();
    scene.forge.remove_label(APP, scene.number, LABEL, "ada");
    scene
        .forge
        .clock()
        .advance(std::time::Duration::from_secs(5));
    let second = signed(scene.forge.add_label(APP, scene.number, LABEL, "ada"));
    let opened = say_of(&scene, &build, false, Some(LABEL)).await;
    assert_eq!(
        opened.label.unwrap().unwrap(),
        LabelOutcome::LeftFor(second)
    );
    assert_eq!(scene.forge.labels(APP, scene.number), [LABEL]);
    assert_eq!(scene.said().len(), 1);
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_label_comes_off_once_its_event_has_an_object() {
    let scene = Scene::new().await;
    let event = signed(scene.forge.add_label(APP, scene.number, LABEL, "ada"));
    let handled = |found| found == event;
    for _ in 0..2 {
        // The second time it is off already, which is success.
        let outcome = settle_label(&scene.repo(), scene.number(), LABEL, handled)
            .await
            .unwrap();
        assert_eq!(outcome, LabelOutcome::Removed);
        assert!(scene.forge.labels(APP, scene.number).is_empty());
    }
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_label_that_was_added_again_stays_for_the_gate() {
    let scene = Scene::new().await;
    let first = signed(scene.forge.add_label(APP, scene.number, LABEL, "ada"));
    scene.forge.remove_label(APP, scene.number, LABEL, "ada");
    let second = signed(scene.forge.add_label(APP, scene.number, LABEL, "ada"));
    let outcome = settle_label(&scene.repo(), scene.number(), LABEL, |event| event == first)
        .await
        .unwrap();
    assert_eq!(outcome, LabelOutcome::LeftFor(second));
    assert_eq!(scene.forge.labels(APP, scene.number), [LABEL]);
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_label_that_may_not_be_removed_names_the_call_and_is_tried_slowly() {
    let scene = Scene::new().await;
    scene.forge.add_label(APP, scene.number, LABEL, "ada");
    scene.forge.faults().next(
        1,
        "DELETE /repos/octo/app/issues/*/labels/*",
        Fault::Status(403),
    );
    let error = settle_label(&scene.repo(), scene.number(), LABEL, |_| true)
        .await
        .unwrap_err();
    assert_eq!(
        (error.retry(), error.reason()),
        (Retry::Slowly, "PermissionMissing")
    );
    assert!(
        error
            .to_string()
            .contains(&format!("{APP}#{}", scene.number)),
        "{error}"
    );
    assert_eq!(scene.forge.labels(APP, scene.number), [LABEL]);
    scene.forge.finish().await;
}

#[tokio::test]
async fn an_app_that_may_not_comment_says_so() {
    let scene = Scene::granted("pull_requests", "read").await;
    let error = posted(say(&scene, &scene.build(1), false).await).unwrap_err();
    assert_eq!(
        (error.retry(), error.reason(), error.is_uncertain()),
        (Retry::Slowly, "PermissionMissing", false)
    );
    assert!(scene.said().is_empty());
}
