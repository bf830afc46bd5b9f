//! The announcement and the label: once, whatever crashes and whatever answer is lost.

use std::collections::BTreeMap;

use crds::{
    Evidence, LeftOut, Person, PrBuild, PrBuildSpec, RepositoryRef, Request, Trigger, TriggerKind,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use operator::report::{LabelOutcome, Retry, announce, settle_label};
use tests::forge::Fault;

use super::{APP, Scene, signed};

const COMMENTS: &str = "POST /repos/octo/app/issues/*/comments";
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

fn builders() -> Vec<(String, String)> {
    vec![("debian".to_owned(), "Debian".to_owned())]
}

#[tokio::test]
async fn a_build_is_announced_by_one_comment_without_looking_first() {
    let scene = Scene::new().await;
    let id = announce(&scene.repo(), &scene.build(1), &builders(), false)
        .await
        .unwrap();
    let comments = scene.forge.comments(APP, scene.number);
    assert_eq!(
        comments
            .iter()
            .map(|one| signed(one.id))
            .collect::<Vec<_>>(),
        [id]
    );
    assert!(comments[0].body.contains("**1 builder tests**") && comments[0].body.contains("`ada`"));
    assert!(
        !comments[0].body.contains("@octo"),
        "nobody is mentioned: {}",
        comments[0].body
    );
    assert_eq!(
        scene
            .forge
            .log()
            .count("GET /repos/octo/app/issues/*/comments"),
        0
    );
    scene.forge.finish().await;
}

#[tokio::test]
async fn an_announcement_whose_answer_was_lost_is_found_and_not_repeated() {
    for fault in [Fault::AnswerLost(502), Fault::Cut, Fault::Malformed] {
        let scene = Scene::new().await;
        let build = scene.build(1);
        scene.forge.faults().next(1, COMMENTS, fault);
        let error = announce(&scene.repo(), &build, &builders(), false)
            .await
            .unwrap_err();
        assert!(
            error.is_uncertain() && error.retry() == Retry::Soon,
            "{error}"
        );
        let id = announce(&scene.repo(), &build, &builders(), error.is_uncertain())
            .await
            .unwrap();
        let comments = scene.forge.comments(APP, scene.number);
        assert_eq!(
            comments
                .iter()
                .map(|one| signed(one.id))
                .collect::<Vec<_>>(),
            [id]
        );
        scene.forge.finish().await;
    }
}

#[tokio::test]
async fn a_crash_between_the_comment_and_its_record_makes_no_second_one() {
    let scene = Scene::new().await;
    let build = scene.build(1);
    let id = announce(&scene.repo(), &build, &builders(), false)
        .await
        .unwrap();
    // Somebody quotes the comment, marker and all; another build is announced besides.
    let quoted = scene.said().remove(0);
    scene.forge.comment(APP, scene.number, "mallory", &quoted);
    let other = announce(&scene.repo(), &scene.build(2), &builders(), true)
        .await
        .unwrap();
    assert_eq!(
        announce(&scene.repo(), &build, &builders(), true)
            .await
            .unwrap(),
        id
    );
    assert_ne!(other, id);
    assert_eq!(scene.said().len(), 2);
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
    let error = announce(&scene.repo(), &scene.build(1), &builders(), false)
        .await
        .unwrap_err();
    assert_eq!(
        (error.retry(), error.reason(), error.is_uncertain()),
        (Retry::Slowly, "PermissionMissing", false)
    );
    assert!(scene.said().is_empty());
}
