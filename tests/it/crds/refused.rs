//! Objects that the API server does not take, and what it says.

use serde_json::{Value, json};

use super::samples::{self, KINDS, sha};
use super::{Desk, with, without};

/// An object that is refused.
pub struct Case {
    name: String,
    spec: Value,
    /// The field that the answer names; empty where it is the object.
    at: &'static str,
    /// What the answer says.
    pub says: &'static str,
}

const PATTERN: &str = "in body should match";
const TOO_LONG: &str = "Too long";
const TOO_MANY: &str = "Too many";
const TOO_FEW: &str = "in body should have at least";
const EMPTY: &str = "in body should be at least 1 chars long";
const TOO_SMALL: &str = "in body should be greater than or equal to";
const TOO_LARGE: &str = "in body should be less than or equal to";
const NO_SUCH_VALUE: &str = "Unsupported value";
const MISSING: &str = "Required value";
const NOTHING: &str =
    "resources.cpu, memory and disk are more than 0: Kubernetes takes a limit of 0 for no limit";
const TWICE: &str = "Duplicate value";

fn case(kind: &str, change: Value, at: &'static str, says: &'static str) -> Case {
    Case {
        name: samples::name(kind).to_owned(),
        spec: with(samples::spec(kind), change),
        at,
        says,
    }
}

fn missing(kind: &str, path: &str, at: &'static str) -> Case {
    let spec = without(samples::spec(kind), path);
    Case {
        name: samples::name(kind).to_owned(),
        spec,
        at,
        says: MISSING,
    }
}

fn exactly(kind: &str, spec: Value, at: &'static str, says: &'static str) -> Case {
    Case {
        name: samples::name(kind).to_owned(),
        spec,
        at,
        says,
    }
}

fn named(kind: &str, length: usize, says: &'static str) -> Case {
    Case {
        name: "n".repeat(length),
        spec: samples::spec(kind),
        at: "",
        says,
    }
}

/// Rows of `change => field, words;`: the sample with the change, put where `$place` says, is refused
/// with these words about this field.
macro_rules! refused {
    ($kind:literal, $place:expr; $($change:tt => $at:literal, $says:expr;)*) => {
        vec![$(case($kind, ($place)(json!($change)), $at, $says)),*]
    };
}

/// Every object of a kind that is shown being refused.
pub fn cases(kind: &str) -> Vec<Case> {
    match kind {
        "Repository" => repository(),
        "Builder" => builder(),
        "PrBuild" => pr_build(),
        "BuilderRun" => builder_run(),
        _ => answer(),
    }
}

fn repository() -> Vec<Case> {
    const NAME: &str = "name is the repository's name as GitHub shows it, without .git";
    let mut all = vec![
        named(
            "Repository",
            31,
            "the name of a Repository has at most 30 characters: the names of its builds begin with it",
        ),
        missing("Repository", "owner", "spec.owner"),
        missing("Repository", "name", "spec.name"),
        missing("Repository", "connection", "spec.connection"),
        missing("Repository", "labels", "spec.labels"),
    ];
    let spec = |change| change;
    all.extend(refused!("Repository", spec;
        { "owner": "-octo" } => "spec.owner", PATTERN;
        { "owner": "octo/app" } => "spec.owner", PATTERN;
        { "owner": "o".repeat(40) } => "spec.owner", PATTERN;
        { "name": "a/b" } => "spec.name", PATTERN;
        { "name": ".." } => "spec.name", NAME;
        { "name": "." } => "spec.name", NAME;
        { "name": "app.git" } => "spec.name", NAME;
        { "connection": "../github" } => "spec.connection", PATTERN;
        { "labels": [] } => "spec.labels", TOO_FEW;
        { "labels": many(33, |n| json!({ "name": n.to_string() })) } => "spec.labels", TOO_MANY;
        { "labels": [{ "name": "Test" }, { "name": "tesT" }] } => "spec.labels", "two labels have the same name; GitHub does not tell upper from lower case";
        { "authorization": { "minimum": "Triage" } } => "spec.authorization", "authorization.minimum is Write, Maintain or Admin; open a single label to triagers with its own minimum";
        { "authorization": { "team": "core-devs" } } => "spec.authorization.team", PATTERN;
        { "authorization": { "deniedUserIds": [0] } } => "spec.authorization.deniedUserIds[0]", TOO_SMALL;
        { "guards": { "quietPeriodSeconds": 9 } } => "spec.guards.quietPeriodSeconds", TOO_SMALL;
        { "guards": { "quietPeriodSeconds": 86401 } } => "spec.guards.quietPeriodSeconds", TOO_LARGE;
        { "guards": { "baseBranches": [""] } } => "spec.guards.baseBranches[0]", EMPTY;
        { "checkout": "Branch" } => "spec.checkout", NO_SUCH_VALUE;
        { "commands": { "prefix": "prbuild" } } => "spec.commands.prefix", PATTERN;
        { "commands": { "prefix": "/pr build" } } => "spec.commands.prefix", PATTERN;
        { "reporting": { "context": "prbuild" } } => "spec.reporting", "reporting.context contains {builder}: two builders with one context would overwrite each other's status";
        { "reporting": { "context": format!("{{builder}}{}", "x".repeat(200)) } } => "spec.reporting.context", TOO_LONG;
    ));
    let label = |change| json!({ "labels": [with(json!({ "name": "a" }), change)] });
    all.extend(refused!("Repository", label;
        { "name": "" } => "spec.labels[0].name", EMPTY;
        { "name": "a".repeat(101) } => "spec.labels[0].name", TOO_LONG;
        { "flavour": "Ref leak" } => "spec.labels[0].flavour", PATTERN;
        { "minimum": "Read" } => "spec.labels[0].minimum", NO_SUCH_VALUE;
        { "builders": ["no such/name"] } => "spec.labels[0].builders[0]", PATTERN;
        { "tags": [""] } => "spec.labels[0].tags[0]", EMPTY;
    ));
    all
}

fn builder() -> Vec<Case> {
    const AWAY: &str =
        "the working-directory of a step leaves the checkout: write a path inside it";
    let homeless = without(samples::spec("Builder"), "kubernetes");
    let mut all = vec![
        named(
            "Builder",
            41,
            "the name of a Builder has at most 40 characters: the names of its runs contain it",
        ),
        missing("Builder", "displayName", "spec.displayName"),
        missing("Builder", "steps", "spec.steps"),
        missing("Builder", "kubernetes.image", "spec.kubernetes.image"),
        exactly(
            "Builder",
            homeless,
            "spec",
            "a Builder has exactly one backend: set spec.kubernetes",
        ),
    ];
    let spec = |change| change;
    all.extend(refused!("Builder", spec;
        { "displayName": "a\nb" } => "spec.displayName", PATTERN;
        { "displayName": "@everybody" } => "spec.displayName", PATTERN;
        { "displayName": "d".repeat(81) } => "spec.displayName", PATTERN;
        { "tags": many(33, |n| json!(n.to_string())) } => "spec.tags", TOO_MANY;
        { "flavours": [] } => "spec.flavours", TOO_FEW;
        { "flavours": ["Ref leak"] } => "spec.flavours[0]", PATTERN;
        { "stability": "Flaky" } => "spec.stability", NO_SUCH_VALUE;
        { "evidence": "None" } => "spec.evidence", NO_SUCH_VALUE;
        { "steps": [] } => "spec.steps", TOO_FEW;
        { "steps": many(51, |_| json!({ "run": "true" })) } => "spec.steps", TOO_MANY;
        { "steps": [{ "run": "a", "if": "failure()" }, { "run": "b", "if": "failure()" }] } => "spec", "every step has `if: failure()`: nothing would run";
        { "steps": [{ "run": "a", "continue-on-error": true }, { "run": "b", "continue-on-error": true }] } => "spec", "every step has `continue-on-error`: this builder could never fail";
        { "steps": [{ "run": "a".repeat(9000) }, { "run": "b".repeat(9000) }] } => "spec", "the scripts of all steps together have at most 16,384 characters; put longer ones into the image";
        { "exitCodes": [{ "code": 0, "means": "Warning" }] } => "spec.exitCodes[0].code", TOO_SMALL;
        { "exitCodes": [{ "code": 256, "means": "Warning" }] } => "spec.exitCodes[0].code", TOO_LARGE;
        { "exitCodes": [{ "code": 5, "means": "Success" }] } => "spec.exitCodes[0].means", NO_SUCH_VALUE;
        { "exitCodes": [{ "code": 5, "means": "Warning" }, { "code": 5, "means": "Warning" }] } => "spec.exitCodes", "an exit code is mapped twice";
        { "maxConcurrent": 0 } => "spec.maxConcurrent", TOO_SMALL;
        { "infraRetries": 6 } => "spec.infraRetries", TOO_LARGE;
        { "infraRetries": -1 } => "spec.infraRetries", TOO_SMALL;
        { "timeouts": { "runSeconds": 0 } } => "spec.timeouts.runSeconds", TOO_SMALL;
        { "timeouts": { "queueSeconds": 604801 } } => "spec.timeouts.queueSeconds", TOO_LARGE;
        { "timeouts": { "runSeconds": 600, "noOutputSeconds": 601 } } => "spec", "timeouts.noOutputSeconds is longer than timeouts.runSeconds and would never be reached";
    ));
    let step = |change| json!({ "steps": [with(json!({ "run": "true" }), change)] });
    all.extend(refused!("Builder", step;
        { "run": "" } => "spec.steps[0].run", EMPTY;
        { "shell": "perl" } => "spec.steps[0].shell", NO_SUCH_VALUE;
        { "if": "github.ref == 'main'" } => "spec.steps[0].if", NO_SUCH_VALUE;
        { "timeout-minutes": 0 } => "spec", "the timeout-minutes of a step are more than 0";
        { "timeout-minutes": 0.0005 } => "spec.steps[0].timeout-minutes", TOO_SMALL;
        { "timeout-minutes": 10081 } => "spec.steps[0].timeout-minutes", TOO_LARGE;
        { "timeout-minutes": 300 } => "spec", "the timeout-minutes of a step are longer than timeouts.runSeconds and would never be reached";
        { "working-directory": "/etc" } => "spec", AWAY;
        { "working-directory": "a/../../b" } => "spec", AWAY;
        { "working-directory": ".." } => "spec", AWAY;
    ));
    let machine = |change: Value| json!({ "kubernetes": change });
    all.extend(refused!("Builder", machine;
        { "image": "" } => "spec.kubernetes.image", EMPTY;
        { "imagePullPolicy": "Sometimes" } => "spec.kubernetes.imagePullPolicy", NO_SUCH_VALUE;
        { "runtimeClass": "gVisor" } => "spec.kubernetes.runtimeClass", PATTERN;
        { "resources": { "cpu": "two" } } => "spec.kubernetes.resources.cpu", PATTERN;
        { "resources": { "memory": "4GB" } } => "spec.kubernetes.resources.memory", PATTERN;
        { "resources": { "disk": "-1Gi" } } => "spec.kubernetes.resources.disk", PATTERN;
    ));
    all
}

const LABEL: &str = "a trigger of kind Label names its label";
const COMMAND: &str = "a trigger of kind Comment names its command";

fn pr_build() -> Vec<Case> {
    const TOGETHER: &str =
        "mergeSha, mergeTree and baseSha come together: they are the pinned test merge";
    const IDS: &str = "repository.id and trigger.user.id are GitHub's numeric ids, from 1: names can change hands";
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

fn builder_run() -> Vec<Case> {
    const WHY: &str = "spec.task has recipe and kubernetes, or says in `invalid` why it cannot run";
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
    ));
    all
}

fn answer() -> Vec<Case> {
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

fn many(count: usize, item: impl Fn(usize) -> Value) -> Vec<Value> {
    (0..count).map(item).collect()
}

/// Offers every case of a kind, and the unchanged sample, which must be taken.
async fn refuses(kind: &str) {
    let desk = Desk::open(&format!("refused-{}", kind.to_lowercase())).await;
    desk.offer(kind, samples::name(kind), &samples::spec(kind))
        .await
        .unwrap();
    let mut wrong = Vec::new();
    for Case {
        name,
        spec,
        at,
        says,
    } in cases(kind)
    {
        let answer = desk.offer(kind, &name, &spec).await;
        let place = if at.is_empty() {
            String::new()
        } else {
            format!("{at}: ")
        };
        let said = answer
            .as_ref()
            .err()
            .map(String::as_str)
            .unwrap_or("it was taken");
        if !said.contains(&place) || !said.contains(says) {
            wrong.push(format!("{place}{says}\n    but: {said}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{kind}: {} of the cases:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    desk.close().await;
}

#[tokio::test]
async fn a_repository_that_contradicts_itself_is_refused_with_a_sentence() {
    refuses("Repository").await;
}

#[tokio::test]
async fn a_builder_that_contradicts_itself_is_refused_with_a_sentence() {
    refuses("Builder").await;
}

#[tokio::test]
async fn s23_a_build_of_anything_but_full_shas_by_a_known_person_is_refused() {
    refuses("PrBuild").await;
}

#[tokio::test]
async fn a_run_without_exact_code_and_a_machine_is_refused() {
    refuses("BuilderRun").await;
}

#[tokio::test]
async fn an_answer_without_a_reason_and_a_person_is_refused() {
    refuses("Answer").await;
}

#[tokio::test]
async fn an_object_without_a_spec_is_refused() {
    let desk = Desk::open("no-spec").await;
    for kind in KINDS {
        let said = desk
            .offer(kind, samples::name(kind), &Value::Null)
            .await
            .unwrap_err();
        assert!(said.contains("spec: Required value"), "{kind}: {said}");
    }
    desk.close().await;
}

#[tokio::test]
async fn a_field_that_does_not_exist_is_not_kept() {
    let desk = Desk::open("pruned").await;
    let spec = with(
        samples::spec("Builder"),
        json!({ "dangerous": { "privileged": true } }),
    );
    let kept = desk.offer("Builder", "app", &spec).await.unwrap();
    assert!(kept.get("dangerous").is_none(), "{kept}");
    desk.close().await;
}
