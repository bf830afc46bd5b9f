//! The gate as a table: one request that passes, what is changed, and what the gate says then.

mod approvals;
mod commands;
mod comments;
mod relabelled;
mod repeating;
mod rules;
mod stopping;
mod table;

use std::sync::Arc;

use crds::{
    AnswerReason, Builder, Cancel, Evidence, Manner, Movement, Permission, PrBuild, Repository,
    RunPhase,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::facts::{Entry, Facts, Heard, MovementList, Question, Refusal, Seen};
use super::people::Right;
use super::verdict::{OLDEST, Step, judge};
use super::{Comment, Refused, Verdict};
use crate::command;
use crate::event::Button;
use crate::request::{Ask, Press, Request, Told};

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

fn all_of(reviews: Vec<github::Review>) -> github::Reviews {
    github::Reviews {
        reviews,
        complete: true,
    }
}

fn seen(entries: Vec<Entry>) -> Option<Seen> {
    Some(Seen {
        of: (2, "topic".to_owned()),
        list: MovementList {
            entries,
            full: false,
        },
    })
}

/// A build that somebody asked for so many seconds before the label or command, and how its builders
/// stand.
fn build(name: &str, before: i64, by: i64, results: &[(&str, RunPhase)]) -> PrBuild {
    let ended = results.iter().all(|(_, phase)| phase.is_terminal());
    let results_json: Vec<Value> = results
        .iter()
        .map(|(builder, phase)| json!({ "builder": builder, "attempt": 1, "phase": phase }))
        .collect();
    let object = json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "PrBuild", "metadata": { "name": name },
        "spec": { "request": {
            "repository": { "name": "app", "id": 1, "fullName": "o/r" }, "number": 7,
            "headSha": HEAD, "mergeSha": MERGE, "mergeTree": TREE, "baseSha": BASE, "baseRef": "main",
            "flavour": "default",
            "builders": results.iter().map(|(builder, _)| *builder).collect::<Vec<_>>(),
            "leftOut": [{ "builder": "lan", "reason": "It needs an approval." }],
            "trigger": { "kind": "Label", "eventId": 1000 - before, "time": at(LABEL - before),
                "label": "test", "user": { "id": by, "login": format!("u{by}") },
                "permission": "write", "evidence": "Label" },
        }},
        "status": { "phase": if ended { "Complete" } else { "Running" }, "results": results_json },
    });
    serde_json::from_value(object).expect("a build")
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
                delivery: "d".to_owned(),
                sender: user(CORE),
                head_sha: Some(HEAD.to_owned()),
                updated_at: Some(at(LABEL)),
                head: Some((2, "topic".to_owned())),
                at: None,
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
            reviews: Some(all_of(Vec::new())),
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
            builds: Some(Vec::new()),
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
        let prefixes = (&scene.request.repository.spec.commands).into();
        let said = command::find(text, prefixes);
        let found = said.first().cloned().expect("a command");
        scene.request.ask = Ask::Command {
            comment: 55,
            command: found,
        };
        if let Some(told) = &mut scene.request.told {
            (told.head_sha, told.updated_at, told.head) = (None, None, None);
        }
        let comment = serde_json::from_value(json!({
            "id": 55, "body": text, "user": { "id": CORE, "login": "u10", "type": "User" },
            "created_at": at(LABEL), "updated_at": at(LABEL),
            "issue_url": "https://api.github.com/repos/o/r/issues/7",
            "html_url": "https://github.com/o/r/pull/7#issuecomment-55",
        }));
        let comment = comment.expect("a comment");
        scene.facts.comment = Some(Heard { comment, said });
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

    /// Somebody pressed a button of this build's run on `linux`.
    fn pressed(button: Button, build: &str) -> Self {
        let mut scene = Self::good();
        scene.request.ask = Ask::Button(Press {
            id: 99,
            button,
            build: build.to_owned(),
            builder: match button {
                Button::RerunAll => String::new(),
                _ => "linux".to_owned(),
            },
            head_sha: HEAD.to_owned(),
            changed_at: at(LABEL - 30),
        });
        if let Some(told) = &mut scene.request.told {
            (told.head_sha, told.updated_at, told.head) = (None, None, None);
        }
        scene.facts.answered = Some(("app-7-b99".to_owned(), false));
        scene
    }

    /// These builds are there.
    fn builds(self, builds: &[PrBuild]) -> Self {
        self.with(|scene| scene.facts.builds = Some(builds.to_vec()))
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
            let review = serde_json::from_value(review).expect("a review");
            scene.facts.reviews = Some(all_of(vec![review]));
        })
    }

    /// There are more reviews than were read.
    fn much_reviewed(self) -> Self {
        self.with(|scene| {
            let reviews = scene.facts.reviews.as_mut().expect("reviews");
            reviews.complete = false;
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
            Step::Decided(Verdict::Stop(stopping)) => {
                let (targets, _, answer) = stopping.into_parts();
                format!("{:?} {targets:?}", answer.reason())
            }
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

    /// What stops: builds, and builders of them.
    fn stops(&self) -> (Vec<(String, Vec<String>)>, Cancel, Refused) {
        match self.judged() {
            Step::Decided(Verdict::Stop(stopping)) => stopping.into_parts(),
            other => panic!("nothing stops: {other:?}"),
        }
    }

    fn refused(&self) -> Refused {
        match self.judged() {
            Step::Decided(Verdict::Refused(refused)) => *refused,
            other => panic!("not refused: {other:?}"),
        }
    }
}
