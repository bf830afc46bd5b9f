//! Answers: one a cause and pull request, to the person who asked.

use crds::{
    Answer, AnswerReason, AnswerSpec, AnswerStatus, Evidence, Facts, Manner, Movement, Person,
    RepositoryRef,
};
use crds::{Trigger, TriggerKind};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use operator::report::{
    answer::give,
    restraint::{Voice, voice},
    sentence::House,
    talk::TalkError,
};
use tests::forge::Fault;

use super::{APP, Scene};

const COMMENTS: &str = "POST /repos/octo/app/issues/*/comments";

/// A comment that replaces none.
const NEW: Voice = Voice::Comment(None);

impl Scene {
    async fn give(
        &self,
        answer: &Answer,
        voice: Voice,
        maybe_given: bool,
    ) -> Result<AnswerStatus, TalkError> {
        give(&self.repo(), answer, &House::default(), voice, maybe_given).await
    }

    /// Ada labelled 28 seconds after mallory pushed.
    fn answer(&self, event: i64) -> Answer {
        let now = self.forge.clock().now();
        let by = Some(Person {
            id: 2,
            login: "mallory".to_owned(),
        });
        let spec = AnswerSpec {
            repository: RepositoryRef {
                name: "app".into(),
                id: 1,
                full_name: APP.into(),
            },
            number: self.number(),
            trigger: Trigger {
                kind: TriggerKind::Label,
                event_id: event,
                time: Time(now),
                label: Some("test".to_owned()),
                command: None,
                user: Person {
                    id: 1,
                    login: "ada".to_owned(),
                },
                permission: "write".to_owned(),
                evidence: Evidence::Label,
            },
            reason: AnswerReason::HeadMovedBefore,
            manner: Manner::Comment,
            facts: Facts {
                movement: Some(Movement {
                    by,
                    at: Time(now - SignedDuration::from_secs(28)),
                }),
                ..Facts::default()
            },
        };
        let mut answer = Answer::new(&format!("app-{}-l{event}", self.number), spec);
        answer.metadata.uid = Some(format!("11111111-2222-3333-4444-{event:012}"));
        answer
    }
}

fn given(status: &AnswerStatus) -> &str {
    status.given.as_deref().unwrap_or("nothing")
}

#[tokio::test]
async fn the_person_who_asked_is_told_what_happened_and_what_to_do() {
    let scene = Scene::new().await;
    let status = scene.give(&scene.answer(1), NEW, false).await.unwrap();
    let sentence = "`@mallory` pushed 28 s before your label. Look at the changes, then add the label again to build them.";
    assert_eq!(
        (given(&status), status.sentence.as_deref()),
        ("Comment", Some(sentence))
    );
    assert!(status.given_at.is_some() && status.comment_id.is_some() && !status.label_settled);
    let said = scene.said();
    assert!(
        said.len() == 1 && said[0].ends_with(&format!("\n@ada: {sentence}\n")),
        "{said:?}"
    );
    assert!(!said[0].contains(&scene.head[..7]));
    scene.forge.finish().await;
}

#[tokio::test]
async fn the_next_answer_of_that_kind_replaces_the_last_one() {
    let scene = Scene::new().await;
    let mut first = scene.answer(1);
    first.status = Some(scene.give(&first, NEW, false).await.unwrap());
    scene
        .forge
        .clock()
        .advance(std::time::Duration::from_secs(600));
    let second = scene.answer(2);
    let replacing = voice(&second, [&first]);
    let status = scene.give(&second, replacing, true).await.unwrap();
    assert_eq!(status.comment_id, first.status.unwrap().comment_id);
    let comments = scene.forge.comments(APP, scene.number);
    assert!(comments.len() == 1 && comments[0].edited, "{comments:?}");
    scene.forge.finish().await;
}

#[tokio::test]
async fn an_answer_that_somebody_deleted_is_written_anew() {
    let scene = Scene::new().await;
    let gone = scene
        .give(&scene.answer(1), NEW, false)
        .await
        .unwrap()
        .comment_id
        .unwrap();
    scene.repo().delete_comment(gone).await.unwrap();
    let status = scene
        .give(&scene.answer(2), Voice::Comment(Some(gone)), true)
        .await
        .unwrap();
    assert_ne!(status.comment_id, Some(gone));
    assert_eq!(scene.said().len(), 1);
    scene.forge.finish().await;
}

#[tokio::test]
async fn an_answer_is_given_once_although_the_first_try_was_lost() {
    let scene = Scene::new().await;
    let answer = scene.answer(1);
    scene
        .forge
        .faults()
        .next(1, COMMENTS, Fault::AnswerLost(502));
    let error = scene.give(&answer, NEW, false).await.unwrap_err();
    assert!(error.is_uncertain(), "{error}");
    let status = scene.give(&answer, NEW, true).await.unwrap();
    assert_eq!((given(&status), scene.said().len()), ("Comment", 1));
    // After a crash the record may be there already.
    let mut recorded = answer.clone();
    recorded.status = Some(status.clone());
    assert_eq!(scene.give(&recorded, NEW, true).await.unwrap(), status);
    assert_eq!(scene.said().len(), 1);
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_comment_of_somebody_else_is_never_taken_for_an_answer_of_ours() {
    let scene = Scene::new().await;
    scene.forge.comment(
        APP,
        scene.number,
        "mallory",
        "<!-- prbuild-answer:head-moved-before -->\nall is well",
    );
    let status = scene.give(&scene.answer(1), NEW, true).await.unwrap();
    assert_eq!(given(&status), "Comment");
    let comments = scene.forge.comments(APP, scene.number);
    assert!(comments.len() == 2 && !comments[0].edited, "{comments:?}");
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_strangers_command_gets_a_reaction_and_no_words() {
    let scene = Scene::new().await;
    let comment = scene
        .forge
        .comment(APP, scene.number, "mallory", "/prbuild run everything");
    let mut answer = scene.answer(super::signed(comment));
    answer.spec.trigger.kind = TriggerKind::Comment;
    answer.spec.manner = Manner::Reaction;
    let reaction = voice(&answer, []);
    for _ in 0..2 {
        let status = scene.give(&answer, reaction, true).await.unwrap();
        assert_eq!(given(&status), "Reaction");
    }
    assert_eq!(
        scene.forge.reactions(APP, comment),
        [format!("{} confused", scene.bot)]
    );
    assert!(scene.said().is_empty());
    scene.forge.finish().await;
}

#[tokio::test]
async fn an_answer_that_github_does_not_take_is_recorded_as_failed() {
    let scene = Scene::new().await;
    scene.forge.faults().next(1, COMMENTS, Fault::Status(403));
    let status = scene.give(&scene.answer(1), NEW, false).await.unwrap();
    assert_eq!((given(&status), status.comment_id), ("Failed", None));
    assert!(
        status.sentence.is_some(),
        "the audit knows what would have been said"
    );
    scene.forge.finish().await;
}
