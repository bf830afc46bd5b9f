//! The gate as a table: one request that passes, what is changed, and what the gate says then.

use std::sync::Arc;

use crds::{AnswerReason, Builder, Evidence, Manner, Movement, Permission, Repository};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::facts::{Entry, Facts, MovementList, Question, Refusal, Seen};
use super::people::Right;
use super::verdict::{Step, judge};
use super::{Refused, Verdict};
use crate::command;
use crate::request::{Ask, Request, Told};

const HEAD: &str = "1111111111111111111111111111111111111111";
const OTHER: &str = "2222222222222222222222222222222222222222";
const BASE: &str = "3333333333333333333333333333333333333333";
const MERGE: &str = "4444444444444444444444444444444444444444";
const TREE: &str = "5555555555555555555555555555555555555555";
/// The label, in seconds.
const LABEL: i64 = 1_000_000;
const CORE: i64 = 10;
const AUTHOR: i64 = 20;
const REVIEWER: i64 = 30;
const EVENT: i64 = 777;

/// Everything that the gate looks at.
#[derive(Clone)]
struct Scene {
    request: Request,
    builders: Vec<Arc<Builder>>,
    facts: Facts,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn user(id: i64) -> github::User {
    github::User {
        id,
        login: format!("u{id}"),
        kind: "User".to_owned(),
    }
}

fn right(permission: &str, role: &str) -> Right {
    Right {
        permission: permission.to_owned(),
        role: role.to_owned(),
        no_push: false,
    }
}

fn repository(change: Value) -> Arc<Repository> {
    let mut spec = json!({
        "owner": "o", "name": "r", "connection": "main", "labels": [{ "name": "test" }],
    });
    merge(&mut spec, change);
    let object = json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "Repository",
        "metadata": { "name": "app" }, "spec": spec,
        "status": { "id": 1, "fullName": "o/r" },
    });
    Arc::new(serde_json::from_value(object).expect("a repository"))
}

fn builder(name: &str, change: Value) -> Arc<Builder> {
    let mut spec = json!({
        "displayName": name, "steps": [{ "run": "true" }], "kubernetes": { "image": "x" },
    });
    merge(&mut spec, change);
    let object = json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "Builder",
        "metadata": { "name": name }, "spec": spec,
    });
    Arc::new(serde_json::from_value(object).expect("a builder"))
}

fn merge(into: &mut Value, change: Value) {
    let (Some(into), Value::Object(change)) = (into.as_object_mut(), change) else {
        return;
    };
    into.extend(change);
}

fn pull() -> github::PullRequest {
    serde_json::from_value(json!({
        "number": 7, "state": "open", "user": { "id": AUTHOR, "login": "author", "type": "User" },
        "updated_at": at(LABEL), "labels": [{ "name": "test" }, { "name": "docs" }],
        "head": { "sha": HEAD, "ref": "topic",
            "repo": { "id": 2, "full_name": "author/r", "pushed_at": at(LABEL - 3600) } },
        "base": { "ref": "main", "repo": { "id": 1, "full_name": "o/r" } },
    }))
    .expect("a pull request")
}

fn event(kind: &str, label: &str, id: i64, second: i64) -> github::IssueEvent {
    serde_json::from_value(json!({
        "id": id, "event": kind, "actor": { "id": CORE, "login": "u10", "type": "User" },
        "created_at": at(second), "label": { "name": label }, "performed_via_github_app": null,
    }))
    .expect("an event")
}

fn movement(second: i64, by: i64) -> Entry {
    Entry {
        after: HEAD.to_owned(),
        at: at(second),
        by: Some(user(by)),
    }
}

fn seen(entries: Vec<Entry>) -> Option<Seen> {
    Some(Seen {
        of: ("author/r".to_owned(), "topic".to_owned()),
        list: MovementList {
            entries,
            full: false,
        },
    })
}

impl Scene {
    /// A core developer set the label, and all is well.
    fn good() -> Self {
        let repository = repository(json!({}));
        let request = Request {
            ask: Ask::Label {
                label: "test".to_owned(),
                rule: repository.spec.labels[0].clone(),
            },
            repository,
            repository_id: 1,
            number: 7,
            told: Some(Told {
                sender: user(CORE),
                head_sha: Some(HEAD.to_owned()),
                updated_at: Some(at(LABEL)),
                head: Some(("author/r".to_owned(), "topic".to_owned())),
            }),
        };
        let facts = Facts {
            now: Some(at(LABEL + 1)),
            pull: Some(pull()),
            events: Some(github::LabelEvents {
                events: vec![event("labeled", "test", EVENT, LABEL)],
                complete: true,
            }),
            events_asked: 1,
            rights: [
                (CORE, right("write", "write")),
                (AUTHOR, right("read", "read")),
                (REVIEWER, right("admin", "admin")),
            ]
            .into(),
            movements: seen(vec![movement(LABEL - 3600, AUTHOR)]),
            anonymous: seen(Vec::new()),
            reviews: Some(Vec::new()),
            merge: Some(github::TestMerge {
                head_sha: HEAD.to_owned(),
                base_ref: "main".to_owned(),
                mergeable: github::Mergeable::Mergeable,
                commit: Some(github::MergeCommit {
                    sha: MERGE.to_owned(),
                    tree: TREE.to_owned(),
                    parents: vec![BASE.to_owned(), HEAD.to_owned()],
                }),
            }),
            merge_asked: 1,
            refusals: Some(Vec::new()),
            answered: Some(("app-7-l777".to_owned(), false)),
            ..Facts::default()
        };
        Self {
            request,
            builders: vec![builder("linux", json!({}))],
            facts,
        }
    }

    /// A core developer wrote this command.
    fn command(text: &str) -> Self {
        let mut scene = Self::good();
        let found = command::find(text, "/prbuild").expect("a command");
        scene.request.ask = Ask::Command {
            comment: 55,
            command: found,
        };
        if let Some(told) = &mut scene.request.told {
            (told.head_sha, told.updated_at, told.head) = (None, None, None);
        }
        scene.facts.comment = serde_json::from_value(json!({
            "id": 55, "body": text, "user": { "id": CORE, "login": "u10", "type": "User" },
            "created_at": at(LABEL), "updated_at": at(LABEL),
            "issue_url": "https://api.github.com/repos/o/r/issues/7",
        }))
        .ok();
        scene.facts.answered = Some(("app-7-c55".to_owned(), false));
        scene
    }

    /// The same, found by the sweep.
    fn swept() -> Self {
        let mut scene = Self::good();
        scene.request.told = None;
        scene.facts.now = Some(at(LABEL + 60));
        scene
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn policy(self, change: Value) -> Self {
        self.with(|scene| {
            scene.request.repository = repository(change);
            if let Ask::Label { rule, .. } = &mut scene.request.ask {
                *rule = scene.request.repository.spec.labels[0].clone();
            }
        })
    }

    fn pull(self, change: impl FnOnce(&mut github::PullRequest)) -> Self {
        self.with(|scene| change(scene.facts.pull.as_mut().expect("a pull request")))
    }

    fn event(self, change: impl FnOnce(&mut github::IssueEvent)) -> Self {
        self.with(|scene| {
            let events = scene.facts.events.as_mut().expect("events");
            change(events.events.last_mut().expect("an event"));
        })
    }

    fn moved(self, second: i64, by: i64) -> Self {
        self.with(|scene| {
            scene.facts.movements =
                seen(vec![movement(second, by), movement(LABEL - 7200, AUTHOR)]);
        })
    }

    fn approved(self, by: i64, sha: &str) -> Self {
        let review = json!({
            "id": 1, "user": { "id": by, "login": format!("u{by}"), "type": "User" },
            "state": "APPROVED", "commit_id": sha, "submitted_at": at(LABEL - 10),
        });
        self.with(|scene| {
            scene.facts.reviews = Some(vec![serde_json::from_value(review).expect("a review")]);
        })
    }

    fn judged(&self) -> Step {
        judge(&self.request, &self.builders, &self.facts)
    }

    fn said(&self) -> String {
        match self.judged() {
            Step::Ask(question) => format!("ask {question:?}"),
            Step::Decided(Verdict::Authorized(_)) => "build".to_owned(),
            Step::Decided(Verdict::Refused(refused)) => format!("{:?}", refused.reason()),
            Step::Decided(Verdict::Nothing(why)) => format!("nothing: {why}"),
            Step::Decided(Verdict::Retry(why)) => format!("retry: {why}"),
        }
    }

    fn built(&self) -> crds::Request {
        match self.judged() {
            Step::Decided(Verdict::Authorized(authorized)) => authorized.into_object().spec.request,
            other => panic!("not built: {other:?}"),
        }
    }

    fn refused(&self) -> Refused {
        match self.judged() {
            Step::Decided(Verdict::Refused(refused)) => *refused,
            other => panic!("not refused: {other:?}"),
        }
    }
}

#[test]
fn a_label_by_a_core_developer_builds_exactly_the_labelled_head_and_its_test_merge() {
    let request = Scene::good().built();
    assert_eq!(request.head_sha, HEAD);
    assert_eq!(request.merge_sha.as_deref(), Some(MERGE));
    assert_eq!(request.merge_tree.as_deref(), Some(TREE));
    assert_eq!(request.base_sha.as_deref(), Some(BASE));
    assert_eq!(
        (request.base_ref.as_str(), request.flavour.as_str()),
        ("main", "default")
    );
    assert_eq!(request.builders, ["linux"]);
    assert_eq!(request.repository.full_name, "o/r");
    assert_eq!(request.trigger.event_id, EVENT);
    assert_eq!(request.trigger.user.id, CORE);
    assert_eq!(request.trigger.permission, "write");
    assert_eq!(request.trigger.evidence, Evidence::Label);
}

/// Every reason why something builds nothing, each by one change of what passes.
#[test]
fn every_refusal_has_its_reason() {
    let good = Scene::good;
    let cases: Vec<(&str, Scene, &str)> = vec![
        ("as it is", good(), "build"),
        ("found by the sweep", Scene::swept(), "build"),
        ("drafts and all", good().pull(|p| p.user = None), "build"),
        // The event.
        (
            "the label is gone",
            good().pull(|p| p.labels.clear()),
            "nothing: label_gone",
        ),
        (
            "answered before",
            good().with(|s| s.facts.answered = Some(("app-7-l777".to_owned(), true))),
            "nothing: answered",
        ),
        (
            "s22: never in the timeline",
            good().with(|s| {
                s.facts.events = Some(github::LabelEvents::default());
                s.facts.events_asked = 8;
            }),
            "retry: the label event is not in the timeline",
        ),
        (
            "the newest event is not there yet",
            good().with(|s| {
                let events = s.facts.events.as_mut().expect("events");
                events
                    .events
                    .push(event("unlabeled", "test", 778, LABEL + 5));
                s.facts.events_asked = 8;
            }),
            "retry: the label event is not in the timeline",
        ),
        (
            "older than a day",
            good().with(|s| s.facts.now = Some(at(LABEL + 86_401))),
            "TooOld",
        ),
        (
            "a day old to the second",
            good().with(|s| s.facts.now = Some(at(LABEL + 86_400))),
            "build",
        ),
        (
            "swept too early",
            Scene::swept().with(|s| s.facts.now = Some(at(LABEL + 14))),
            "retry: a delivery may still tell of it",
        ),
        // The person.
        (
            "s22: told by another",
            good().with(|s| s.request.told.as_mut().expect("told").sender = user(99)),
            "ActorMismatch",
        ),
        (
            "told of an earlier event",
            good().with(|s| {
                let told = s.request.told.as_mut().expect("told");
                told.sender = user(99);
                told.updated_at = Some(at(LABEL - 1));
            }),
            "nothing: superseded",
        ),
        (
            "s13: through an App",
            good().event(|e| {
                e.performed_via_github_app = Some(github::AppRef {
                    name: "Helper".to_owned(),
                    slug: None,
                });
            }),
            "ThroughApp",
        ),
        (
            "s13: by a bot",
            good().event(|e| e.actor.as_mut().expect("an actor").kind = "Bot".to_owned()),
            "Bot",
        ),
        (
            "s13: by an organization",
            good().event(|e| e.actor.as_mut().expect("an actor").kind = "Organization".to_owned()),
            "Bot",
        ),
        (
            "by a deleted account",
            Scene::swept().event(|e| e.actor = None),
            "Permission",
        ),
        (
            "denied",
            good().policy(json!({ "authorization": { "deniedUserIds": [CORE] } })),
            "Denied",
        ),
        (
            "s11: may only triage",
            good().with(|s| drop(s.facts.rights.insert(CORE, right("read", "triage")))),
            "Permission",
        ),
        (
            "s12: the login belongs to somebody else now",
            good().with(|s| drop(s.facts.rights.insert(CORE, Right::default()))),
            "Permission",
        ),
        (
            "may write where admins are asked for",
            good().policy(json!({ "authorization": { "minimum": "Admin" } })),
            "Permission",
        ),
        (
            "s14: not in the team",
            good()
                .policy(json!({ "authorization": { "team": "o/core" } }))
                .with(|s| s.facts.team = Some(("u10".to_owned(), false))),
            "Team",
        ),
        (
            "s14: in the team",
            good()
                .policy(json!({ "authorization": { "team": "o/core" } }))
                .with(|s| s.facts.team = Some(("u10".to_owned(), true))),
            "build",
        ),
        // The pull request.
        (
            "closed",
            good().pull(|p| p.state = "closed".to_owned()),
            "Closed",
        ),
        (
            "s21: the fork is gone",
            good().pull(|p| p.head.repo = None),
            "ForkDeleted",
        ),
        (
            "another base branch",
            good().policy(json!({ "guards": { "baseBranches": ["3.*"] } })),
            "BaseBranch",
        ),
        (
            "one of the base branches",
            good().policy(json!({ "guards": { "baseBranches": ["3.*", "main"] } })),
            "build",
        ),
        // The head.
        (
            "s15: another head than labelled",
            good().with(|s| {
                s.request.told.as_mut().expect("told").head_sha = Some(OTHER.to_owned());
            }),
            "HeadMovedAfter",
        ),
        (
            "s15: the delivery is about an earlier label",
            good().with(|s| {
                let told = s.request.told.as_mut().expect("told");
                told.head_sha = Some(OTHER.to_owned());
                told.updated_at = Some(at(LABEL - 1));
            }),
            "nothing: superseded",
        ),
        (
            "the API is behind the delivery",
            good().pull(|p| p.updated_at = at(LABEL - 5)).with(|s| {
                s.request.told.as_mut().expect("told").head_sha = Some(OTHER.to_owned());
            }),
            "retry: GitHub shows the pull request as it was before the label",
        ),
        (
            "s16: moved in the first second of the window",
            good().moved(LABEL - 60, AUTHOR),
            "HeadMovedBefore",
        ),
        (
            "s16: moved a second before it",
            good().moved(LABEL - 61, AUTHOR),
            "build",
        ),
        (
            "moved in the second of the label",
            good().moved(LABEL, AUTHOR),
            "HeadMovedBefore",
        ),
        (
            "moved after the label, and back",
            good().moved(LABEL + 1, AUTHOR),
            "HeadMovedAfter",
        ),
        (
            "moved by a core developer",
            good().moved(LABEL - 5, CORE),
            "build",
        ),
        (
            "moved by a denied one",
            good()
                .moved(LABEL - 5, REVIEWER)
                .policy(json!({ "authorization": { "deniedUserIds": [REVIEWER] } })),
            "HeadMovedBefore",
        ),
        (
            "swept, moved since by a core developer",
            Scene::swept().moved(LABEL, CORE),
            "HeadMovedBefore",
        ),
        (
            "swept, moved after",
            Scene::swept().moved(LABEL + 9, CORE),
            "HeadMovedAfter",
        ),
        (
            "a longer quiet period",
            good()
                .moved(LABEL - 61, AUTHOR)
                .policy(json!({ "guards": { "quietPeriodSeconds": 600 } })),
            "HeadMovedBefore",
        ),
        (
            "s21: GitHub does not tell, and branches moved",
            good()
                .with(|s| s.facts.movements = seen(Vec::new()))
                .pull(|p| p.head.repo.as_mut().expect("a fork").pushed_at = Some(at(LABEL - 60))),
            "MovementUnknown",
        ),
        (
            "s21: GitHub does not tell, and no branch moved",
            good().with(|s| s.facts.movements = seen(Vec::new())),
            "build",
        ),
        (
            "only strangers are told",
            good().with(|s| {
                s.facts.movements = seen(Vec::new());
                s.facts.anonymous = seen(vec![movement(LABEL - 5, AUTHOR)]);
            }),
            "HeadMovedBefore",
        ),
        (
            "moved, but approved by another",
            good().moved(LABEL - 5, AUTHOR).approved(REVIEWER, HEAD),
            "build",
        ),
        (
            "moved, and another commit approved",
            good().moved(LABEL - 5, AUTHOR).approved(REVIEWER, OTHER),
            "HeadMovedBefore",
        ),
        (
            "moved, and approved by its author",
            good().moved(LABEL - 5, AUTHOR).approved(AUTHOR, HEAD),
            "HeadMovedBefore",
        ),
        (
            "unknown, but approved",
            good()
                .with(|s| s.facts.movements = seen(Vec::new()))
                .pull(|p| p.head.repo.as_mut().expect("a fork").pushed_at = None)
                .approved(REVIEWER, HEAD),
            "build",
        ),
        // The builders.
        (
            "no builder",
            good().with(|s| s.builders.clear()),
            "NoBuilder",
        ),
        (
            "the only builder asks for a review",
            good().with(|s| s.builders = vec![builder("lan", json!({ "evidence": "Review" }))]),
            "NoBuilder",
        ),
        // The test merge.
        (
            "conflicts",
            good().with(|s| {
                s.facts.merge.as_mut().expect("a merge").mergeable = github::Mergeable::Conflicting;
            }),
            "Conflict",
        ),
        (
            "conflicted with an older head",
            good().with(|s| {
                let merge = s.facts.merge.as_mut().expect("a merge");
                merge.mergeable = github::Mergeable::Conflicting;
                merge.head_sha = OTHER.to_owned();
            }),
            "ask MergeAgain",
        ),
        (
            "a merge of an older head",
            good().with(|s| {
                let merge = s.facts.merge.as_mut().expect("a merge");
                merge.commit.as_mut().expect("a commit").parents[1] = OTHER.to_owned();
            }),
            "ask MergeAgain",
        ),
        (
            "a merge that is never computed",
            good().with(|s| {
                s.facts.merge.as_mut().expect("a merge").mergeable = github::Mergeable::Unknown;
                s.facts.merge_asked = 8;
            }),
            "retry: GitHub has no test merge of this head yet",
        ),
    ];
    for (what, scene, expected) in cases {
        assert_eq!(scene.said(), expected, "{what}");
    }
}

#[test]
fn the_bare_head_is_built_where_that_is_asked_for() {
    let request = Scene::good()
        .policy(json!({ "checkout": "Head" }))
        .with(|scene| scene.facts.merge = None)
        .built();
    assert_eq!(request.head_sha, HEAD);
    assert_eq!(
        (request.merge_sha, request.merge_tree, request.base_sha),
        (None, None, None)
    );
}

#[test]
fn what_is_not_known_is_asked_for_and_never_assumed() {
    let without = |change: fn(&mut Facts)| Scene::good().with(|s| change(&mut s.facts)).said();
    assert_eq!(without(|f| f.pull = None), "ask Pull");
    assert_eq!(without(|f| f.events = None), "ask Events");
    assert_eq!(
        without(|f| f.answered = None),
        "ask Answered(\"app-7-l777\")"
    );
    assert_eq!(without(|f| f.merge = None), "ask Merge");
    assert!(without(|f| drop(f.rights.remove(&CORE))).starts_with("ask Right([User { id: 10"));
    assert!(without(|f| f.movements = None).starts_with("ask Movements"));
    let lagging = Scene::good().with(|s| s.facts.events = Some(github::LabelEvents::default()));
    assert_eq!(lagging.said(), "ask EventsAgain");
    let team = Scene::good().policy(json!({ "authorization": { "team": "o/core" } }));
    let question = format!(
        "{:?}",
        Question::Team {
            organization: "o".to_owned(),
            slug: "core".to_owned(),
            login: "u10".to_owned(),
        }
    );
    assert_eq!(team.said(), format!("ask {question}"));
    let somebody_else = team.with(|s| s.facts.team = Some(("other".to_owned(), true)));
    assert_eq!(somebody_else.said(), format!("ask {question}"));
    let mover = Scene::good().moved(LABEL - 5, 40);
    assert!(mover.said().starts_with("ask Right([User { id: 40"));
    let unreviewed = Scene::good().moved(LABEL - 5, AUTHOR);
    assert_eq!(
        unreviewed.clone().with(|s| s.facts.reviews = None).said(),
        "ask Reviews"
    );
    assert_eq!(
        unreviewed.with(|s| s.facts.refusals = None).said(),
        "ask Refusals"
    );
    let hint = Scene::good().with(|s| {
        s.facts.movements.as_mut().expect("movements").of.1 = "another-branch".to_owned();
    });
    assert!(
        hint.said().starts_with("ask Movements"),
        "a wrong hint is no fact"
    );
}

fn refusal(user: i64, given: i64, moved: i64) -> Refusal {
    Refusal {
        reason: AnswerReason::HeadMovedBefore,
        user,
        given_at: at(given),
        movement: Movement {
            by: None,
            at: Time(at(moved)),
        },
    }
}

#[test]
fn the_same_persons_next_label_confirms_a_movement_that_they_were_told_of() {
    let moved = Scene::good().moved(LABEL - 30, AUTHOR);
    let told = refusal(CORE, LABEL - 20, LABEL - 30);
    for (what, refusal, expected) in [
        ("told, and set again", told.clone(), "build"),
        (
            "told somebody else",
            Refusal {
                user: 99,
                ..told.clone()
            },
            "HeadMovedBefore",
        ),
        (
            "told after the label",
            refusal(CORE, LABEL, LABEL - 30),
            "HeadMovedBefore",
        ),
        (
            "told of an older movement",
            refusal(CORE, LABEL - 20, LABEL - 31),
            "HeadMovedBefore",
        ),
        (
            "told in the same second",
            refusal(CORE, LABEL - 30, LABEL - 30),
            "HeadMovedBefore",
        ),
        (
            "told of something else",
            Refusal {
                reason: AnswerReason::Conflict,
                ..told
            },
            "HeadMovedBefore",
        ),
    ] {
        let scene = moved
            .clone()
            .with(|s| s.facts.refusals = Some(vec![refusal]));
        assert_eq!(scene.said(), expected, "{what}");
    }
}

#[test]
fn a_refusal_names_the_movement_and_never_a_sha() {
    let refused = Scene::good()
        .moved(LABEL - 28, AUTHOR)
        .refused()
        .into_object();
    let movement = refused.spec.facts.movement.clone().expect("a movement");
    assert_eq!(movement.at.0, at(LABEL - 28));
    assert_eq!(movement.by.map(|by| by.id), Some(AUTHOR));
    let text = serde_json::to_string(&refused).expect("JSON");
    for sha in [HEAD, OTHER, BASE, MERGE] {
        assert!(!text.contains(sha), "{text}");
    }
}

#[test]
fn a_typed_sha_makes_movements_irrelevant() {
    let scene = Scene::command(&format!("/prbuild run {HEAD}")).moved(LABEL, AUTHOR);
    let request = scene.built();
    assert_eq!(request.trigger.evidence, Evidence::ExactSha);
    assert_eq!(request.flavour, "custom");
    assert_eq!(
        request.trigger.command,
        Some(format!("/prbuild run {HEAD}"))
    );
}

#[test]
fn s20_a_command_is_only_good_for_exactly_the_head() {
    let run = format!("/prbuild run {HEAD}");
    let cases: Vec<(&str, Scene, &str)> = vec![
        ("the head", Scene::command(&run), "build"),
        (
            "another commit",
            Scene::command(&format!("/prbuild run {OTHER}")),
            "WrongSha",
        ),
        (
            "a prefix",
            Scene::command(&format!("/prbuild run {}", &HEAD[..12])),
            "WrongSha",
        ),
        (
            "other words",
            Scene::command("/prbuild dance"),
            "UnknownCommand",
        ),
        (
            "edited since",
            Scene::command(&run).with(|s| {
                s.facts.comment.as_mut().expect("a comment").updated_at = at(LABEL + 1);
            }),
            "nothing: comment_changed",
        ),
        (
            "another text than delivered",
            Scene::command(&run).with(|s| {
                let comment = s.facts.comment.as_mut().expect("a comment");
                comment.body = format!("> {run}");
            }),
            "nothing: comment_changed",
        ),
        (
            "on another pull request",
            Scene::command(&run).with(|s| {
                s.facts.comment.as_mut().expect("a comment").number = Some(8);
            }),
            "nothing: comment_changed",
        ),
        (
            "forged: written by another",
            Scene::command(&run).with(|s| {
                s.facts.comment.as_mut().expect("a comment").user = Some(user(AUTHOR));
            }),
            "ActorMismatch",
        ),
        (
            "closed",
            Scene::command(&run).pull(|p| p.state = "closed".to_owned()),
            "Closed",
        ),
    ];
    for (what, scene, expected) in cases {
        assert_eq!(scene.said(), expected, "{what}");
    }
}

#[test]
fn strangers_commands_get_a_reaction_and_people_a_sentence() {
    let run = format!("/prbuild run {HEAD}");
    let manner = |scene: Scene| scene.refused().into_object().spec.manner;
    let stranger = |s: &mut Scene| drop(s.facts.rights.insert(CORE, right("read", "read")));
    assert_eq!(
        manner(Scene::command(&run).with(stranger)),
        Manner::Reaction
    );
    assert_eq!(manner(Scene::good().with(stranger)), Manner::Comment);
    assert_eq!(manner(Scene::command("/prbuild dance")), Manner::Comment);
    let old = |s: &mut Scene| s.facts.now = Some(at(LABEL + 90_000));
    assert_eq!(manner(Scene::good().with(old)), Manner::Silent);
    let forged = |s: &mut Scene| s.request.told.as_mut().expect("told").sender = user(99);
    assert_eq!(manner(Scene::good().with(forged)), Manner::Silent);
}

#[test]
fn a_label_for_triagers_takes_triagers_and_a_command_does_not() {
    let rules = json!({ "labels": [{ "name": "test", "minimum": "Triage" }] });
    let triager = |s: &mut Scene| drop(s.facts.rights.insert(CORE, right("read", "triage")));
    let label = Scene::good().policy(rules.clone()).with(triager);
    assert_eq!(label.built().trigger.permission, "triage");
    let command = Scene::command(&format!("/prbuild run {HEAD}"))
        .policy(rules)
        .with(triager);
    let refused = command.refused().into_object();
    assert_eq!(refused.spec.reason, AnswerReason::Permission);
    assert_eq!(
        refused.spec.facts.needed.as_deref(),
        Some(Permission::Write.word())
    );
    assert_eq!(refused.spec.trigger.permission, "triage");
}

#[test]
fn the_strongest_evidence_decides_who_runs() {
    let builders = vec![
        builder("anybody", json!({})),
        builder("lan", json!({ "evidence": "Review" })),
        builder("sha", json!({ "evidence": "ExactSha" })),
    ];
    let with = |scene: Scene| scene.with(|s| s.builders = builders.clone()).built();
    let label = with(Scene::good());
    assert_eq!(label.builders, ["anybody"]);
    assert_eq!(label.left_out.len(), 2);
    let command = with(Scene::command(&format!("/prbuild run {HEAD}")));
    assert_eq!(command.builders, ["anybody", "sha"]);
    let approved = with(Scene::good().approved(REVIEWER, HEAD));
    assert_eq!(approved.builders, ["anybody", "lan", "sha"]);
    assert_eq!(approved.trigger.evidence, Evidence::Review);
}
