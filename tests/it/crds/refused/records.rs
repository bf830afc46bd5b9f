//! What the webhook and the operator write: PrBuild, BuilderRun and Answer.

use serde_json::{Value, json};

use super::*;

const LABEL: &str = "a trigger of kind Label names its label";
const COMMAND: &str = "a trigger of kind Comment names its command";

pub fn pr_build() -> Vec<Case> {
    const TOGETHER: &str =
        "mergeSha, mergeTree and baseSha come together: they are the pinned test merge";
    const IDS: &str = "repository.id and trigger.user.id are GitHub's numeric ids, from 1: names can change hands";
    const NAMES: &str =
        "a key of spec.cancelBuilders is the name of a Builder, which has at most 40 characters";
    let unlabelled = without(samples::spec("PrBuild"), "request.trigger.label");
    let mut all = vec![
        missing("PrBuild", "request", "spec.request"),
        missing("PrBuild", "request.headSha", "spec.request.headSha"),
        missing("PrBuild", "request.builders", "spec.request.builders"),
        missing("PrBuild", "request.trigger", "spec.request.trigger"),
        missing(
            "PrBuild",
            "request.trigger.user",
            "spec.request.trigger.user",
        ),
        missing(
            "PrBuild",
            "request.repository.id",
            "spec.request.repository.id",
        ),
        exactly("PrBuild", unlabelled, "spec.request.trigger", LABEL),
    ];
    let request = |change: Value| json!({ "request": change });
    all.extend(refused!("PrBuild", request;
        { "number": 0 } => "spec.request.number", TOO_SMALL;
        { "mergeSha": sha() } => "spec.request", TOGETHER;
        { "mergeSha": sha(), "baseSha": sha() } => "spec.request", TOGETHER;
        { "mergeTree": sha() } => "spec.request", TOGETHER;
        { "repository": { "id": 0 } } => "spec.request", IDS;
        { "trigger": { "user": { "id": 0 } } } => "spec.request", IDS;
        { "builders": [] } => "spec.request.builders", TOO_FEW;
        { "builders": many(257, |n| json!(n.to_string())) } => "spec.request.builders", TOO_MANY;
        { "builders": ["a", "a"] } => "spec.request.builders[1]", TWICE;
        { "builders": ["../a"] } => "spec.request.builders[0]", PATTERN;
        { "baseRef": "" } => "spec.request.baseRef", EMPTY;
        { "flavour": "" } => "spec.request.flavour", EMPTY;
        { "trigger": { "eventId": 0 } } => "spec.request.trigger.eventId", TOO_SMALL;
        { "trigger": { "time": "yesterday" } } => "spec.request.trigger.time", "must be of type date-time";
        { "trigger": { "kind": "Push" } } => "spec.request.trigger.kind", NO_SUCH_VALUE;
        { "trigger": { "kind": "Comment" } } => "spec.request.trigger", COMMAND;
    ));
    let cancel = |change: Value| json!({ "cancel": change });
    all.extend(refused!("PrBuild", cancel;
        { "by": "", "reason": "r", "at": "2026-01-31T12:00:00Z" } => "spec.cancel.by", EMPTY;
        { "by": "ada", "at": "2026-01-31T12:00:00Z" } => "spec.cancel.reason", MISSING;
        { "by": "ada", "reason": "r", "at": "now" } => "spec.cancel.at", "must be of type date-time";
    ));
    let builders = |change: Value| json!({ "cancelBuilders": change });
    all.extend(refused!("PrBuild", builders;
        { ("b".repeat(41)): samples::cancel() } => "spec.cancelBuilders", NAMES;
    ));
    for bad in not_shas() {
        all.extend(refused!("PrBuild", request;
            { "headSha": bad } => "spec.request.headSha", PATTERN;
            { "mergeSha": bad } => "spec.request.mergeSha", PATTERN;
            { "mergeTree": bad } => "spec.request.mergeTree", PATTERN;
            { "baseSha": bad } => "spec.request.baseSha", PATTERN;
        ));
    }
    all
}

/// What is no full SHA, as S23 lists it, and what a shell or git could take for something else.
pub fn not_shas() -> [String; 9] {
    [
        sha()[1..].to_owned(),
        format!("{}0", sha()),
        sha().replace('0', "A"),
        "$(id)".to_owned(),
        String::new(),
        format!("{}\n", sha()),
        "--upload-pack=x".to_owned(),
        "refs/pull/7/head".to_owned(),
        "main".to_owned(),
    ]
}

pub fn builder_run() -> Vec<Case> {
    const WORKER: &str = "spec.worker names one worker, or selects several by labels: set exactly one of name and selector";
    const WHY: &str = "spec.task has recipe and one of kubernetes and worker, or says in `invalid` why it cannot run";
    let lacks = |path| {
        exactly(
            "BuilderRun",
            without(samples::spec("BuilderRun"), path),
            "spec.task",
            WHY,
        )
    };
    let mut all = vec![
        missing("BuilderRun", "task", "spec.task"),
        missing("BuilderRun", "prBuild", "spec.prBuild"),
        lacks("task.recipe"),
        lacks("task.kubernetes"),
    ];
    let spec = |change| change;
    all.extend(refused!("BuilderRun", spec;
        { "attempt": 0 } => "spec.attempt", TOO_SMALL;
        { "attempt": 11 } => "spec.attempt", TOO_LARGE;
        { "prBuild": { "uid": "" } } => "spec.prBuild.uid", EMPTY;
    ));
    let task = |change: Value| json!({ "task": change });
    all.extend(refused!("BuilderRun", task;
        { "builder": "a/b" } => "spec.task.builder", PATTERN;
        { "source": { "commit": "main" } } => "spec.task.source.commit", PATTERN;
        { "source": { "headSha": "$(id)" } } => "spec.task.source.headSha", PATTERN;
        { "source": { "pullRequest": 0 } } => "spec.task.source.pullRequest", TOO_SMALL;
        { "source": { "parents": [sha(), sha(), sha()] } } => "spec.task.source.parents", TOO_MANY;
        { "recipe": { "steps": [] } } => "spec.task.recipe.steps", TOO_FEW;
        { "kubernetes": { "resources": { "memory": "0" } } } => "spec.task.kubernetes.resources", NOTHING;
        { "kubernetes": null, "worker": {} } => "spec.task.worker", WORKER;
    ));
    all
}

pub fn answer() -> Vec<Case> {
    let unlabelled = without(samples::spec("Answer"), "trigger.label");
    let mut all = vec![
        missing("Answer", "reason", "spec.reason"),
        missing("Answer", "trigger", "spec.trigger"),
        exactly("Answer", unlabelled, "spec.trigger", LABEL),
    ];
    let spec = |change| change;
    all.extend(refused!("Answer", spec;
        { "number": 0 } => "spec.number", TOO_SMALL;
        { "reason": "Because" } => "spec.reason", NO_SUCH_VALUE;
        { "reason": "Unknown" } => "spec.reason", NO_SUCH_VALUE;
        { "manner": "Mail" } => "spec.manner", NO_SUCH_VALUE;
        { "trigger": { "kind": "Comment" } } => "spec.trigger", COMMAND;
        { "facts": { "subject": "s".repeat(301) } } => "spec.facts.subject", TOO_LONG;
        { "facts": { "detail": "d".repeat(1001) } } => "spec.facts.detail", TOO_LONG;
    ));
    all
}
