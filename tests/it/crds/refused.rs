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
const TWICE: &str = "Duplicate value";

fn case(kind: &str, change: Value, at: &'static str, says: &'static str) -> Case {
    Case { name: samples::name(kind).to_owned(), spec: with(samples::spec(kind), change), at, says }
}

fn missing(kind: &str, path: &str, at: &'static str) -> Case {
    let spec = without(samples::spec(kind), path);
    Case { name: samples::name(kind).to_owned(), spec, at, says: MISSING }
}

fn named(kind: &str, length: usize, says: &'static str) -> Case {
    Case { name: "n".repeat(length), spec: samples::spec(kind), at: "", says }
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
    let c = |change, at, says| case("Repository", change, at, says);
    let label = |change: Value, at, says| c(json!({ "labels": [with(json!({ "name": "a" }), change)] }), at, says);
    const NAME: &str = "name is the repository's name as GitHub shows it, without .git";
    vec![
        named("Repository", 31, "the name of a Repository has at most 30 characters: the names of its builds begin with it"),
        missing("Repository", "owner", "spec.owner"),
        missing("Repository", "name", "spec.name"),
        missing("Repository", "connection", "spec.connection"),
        missing("Repository", "labels", "spec.labels"),
        c(json!({ "owner": "-octo" }), "spec.owner", PATTERN),
        c(json!({ "owner": "octo/app" }), "spec.owner", PATTERN),
        c(json!({ "owner": "o".repeat(40) }), "spec.owner", PATTERN),
        c(json!({ "name": "a/b" }), "spec.name", PATTERN),
        c(json!({ "name": ".." }), "spec.name", NAME),
        c(json!({ "name": "." }), "spec.name", NAME),
        c(json!({ "name": "app.git" }), "spec.name", NAME),
        c(json!({ "connection": "../github" }), "spec.connection", PATTERN),
        c(json!({ "labels": [] }), "spec.labels", TOO_FEW),
        c(json!({ "labels": many(33, |n| json!({ "name": n.to_string() })) }), "spec.labels", TOO_MANY),
        c(json!({ "labels": [{ "name": "Test" }, { "name": "tesT" }] }), "spec.labels", "two labels have the same name; GitHub does not tell upper from lower case"),
        label(json!({ "name": "" }), "spec.labels[0].name", EMPTY),
        label(json!({ "name": "a".repeat(101) }), "spec.labels[0].name", TOO_LONG),
        label(json!({ "flavour": "Ref leak" }), "spec.labels[0].flavour", PATTERN),
        label(json!({ "minimum": "Read" }), "spec.labels[0].minimum", NO_SUCH_VALUE),
        label(json!({ "builders": ["no such/name"] }), "spec.labels[0].builders[0]", PATTERN),
        label(json!({ "tags": [""] }), "spec.labels[0].tags[0]", EMPTY),
        c(json!({ "authorization": { "minimum": "Triage" } }), "spec.authorization", "authorization.minimum is Write, Maintain or Admin; open a single label to triagers with its own minimum"),
        c(json!({ "authorization": { "team": "core-devs" } }), "spec.authorization.team", PATTERN),
        c(json!({ "authorization": { "deniedUserIds": [0] } }), "spec.authorization.deniedUserIds[0]", TOO_SMALL),
        c(json!({ "guards": { "quietPeriodSeconds": 9 } }), "spec.guards.quietPeriodSeconds", TOO_SMALL),
        c(json!({ "guards": { "quietPeriodSeconds": 86401 } }), "spec.guards.quietPeriodSeconds", TOO_LARGE),
        c(json!({ "guards": { "baseBranches": [""] } }), "spec.guards.baseBranches[0]", EMPTY),
        c(json!({ "checkout": "Branch" }), "spec.checkout", NO_SUCH_VALUE),
        c(json!({ "commands": { "prefix": "prbuild" } }), "spec.commands.prefix", PATTERN),
        c(json!({ "commands": { "prefix": "/pr build" } }), "spec.commands.prefix", PATTERN),
        c(json!({ "reporting": { "context": "prbuild" } }), "spec.reporting", "reporting.context contains {builder}: two builders with one context would overwrite each other's status"),
        c(json!({ "reporting": { "context": format!("{{builder}}{}", "x".repeat(200)) } }), "spec.reporting.context", TOO_LONG),
    ]
}

fn builder() -> Vec<Case> {
    let c = |change, at, says| case("Builder", change, at, says);
    let step = |change: Value, at, says| c(json!({ "steps": [with(json!({ "run": "true" }), change)] }), at, says);
    let machine = |change: Value, at, says| c(json!({ "kubernetes": change }), at, says);
    const AWAY: &str = "the working-directory of a step leaves the checkout: write a path inside it";
    const NOTHING: &str = "resources.cpu, memory and disk are more than 0: Kubernetes takes a limit of 0 for no limit";
    const RESOURCES: &str = "spec.kubernetes.resources";
    vec![
        named("Builder", 41, "the name of a Builder has at most 40 characters: the names of its runs contain it"),
        missing("Builder", "displayName", "spec.displayName"),
        missing("Builder", "steps", "spec.steps"),
        missing("Builder", "kubernetes.image", "spec.kubernetes.image"),
        Case { spec: without(samples::spec("Builder"), "kubernetes"), ..c(json!({}), "spec", "a Builder has exactly one backend: set spec.kubernetes") },
        c(json!({ "displayName": "a\nb" }), "spec.displayName", PATTERN),
        c(json!({ "displayName": "@everybody" }), "spec.displayName", PATTERN),
        c(json!({ "displayName": "d".repeat(81) }), "spec.displayName", PATTERN),
        c(json!({ "tags": many(33, |n| json!(n.to_string())) }), "spec.tags", TOO_MANY),
        c(json!({ "flavours": [] }), "spec.flavours", TOO_FEW),
        c(json!({ "flavours": ["Ref leak"] }), "spec.flavours[0]", PATTERN),
        c(json!({ "stability": "Flaky" }), "spec.stability", NO_SUCH_VALUE),
        c(json!({ "evidence": "None" }), "spec.evidence", NO_SUCH_VALUE),
        c(json!({ "steps": [] }), "spec.steps", TOO_FEW),
        c(json!({ "steps": many(51, |_| json!({ "run": "true" })) }), "spec.steps", TOO_MANY),
        c(json!({ "steps": [{ "run": "a", "if": "failure()" }, { "run": "b", "if": "failure()" }] }), "spec", "every step has `if: failure()`: nothing would run"),
        c(json!({ "steps": [{ "run": "a", "continue-on-error": true }, { "run": "b", "continue-on-error": true }] }), "spec", "every step has `continue-on-error`: this builder could never fail"),
        c(json!({ "steps": [{ "run": "a".repeat(9000) }, { "run": "b".repeat(9000) }] }), "spec", "the scripts of all steps together have at most 16,384 characters; put longer ones into the image"),
        step(json!({ "run": "" }), "spec.steps[0].run", EMPTY),
        step(json!({ "shell": "perl" }), "spec.steps[0].shell", NO_SUCH_VALUE),
        step(json!({ "if": "github.ref == 'main'" }), "spec.steps[0].if", NO_SUCH_VALUE),
        step(json!({ "timeout-minutes": 0 }), "spec", "the timeout-minutes of a step are more than 0"),
        step(json!({ "timeout-minutes": 0.0005 }), "spec.steps[0].timeout-minutes", TOO_SMALL),
        step(json!({ "timeout-minutes": 10081 }), "spec.steps[0].timeout-minutes", TOO_LARGE),
        step(json!({ "timeout-minutes": 300 }), "spec", "the timeout-minutes of a step are longer than timeouts.runSeconds and would never be reached"),
        step(json!({ "working-directory": "/etc" }), "spec", AWAY),
        step(json!({ "working-directory": "a/../../b" }), "spec", AWAY),
        step(json!({ "working-directory": ".." }), "spec", AWAY),
        c(json!({ "exitCodes": [{ "code": 0, "means": "Warning" }] }), "spec.exitCodes[0].code", TOO_SMALL),
        c(json!({ "exitCodes": [{ "code": 256, "means": "Warning" }] }), "spec.exitCodes[0].code", TOO_LARGE),
        c(json!({ "exitCodes": [{ "code": 5, "means": "Success" }] }), "spec.exitCodes[0].means", NO_SUCH_VALUE),
        c(json!({ "exitCodes": [{ "code": 5, "means": "Warning" }, { "code": 5, "means": "Warning" }] }), "spec.exitCodes", "an exit code is mapped twice"),
        c(json!({ "maxConcurrent": 0 }), "spec.maxConcurrent", TOO_SMALL),
        c(json!({ "infraRetries": 6 }), "spec.infraRetries", TOO_LARGE),
        c(json!({ "infraRetries": -1 }), "spec.infraRetries", TOO_SMALL),
        c(json!({ "timeouts": { "runSeconds": 0 } }), "spec.timeouts.runSeconds", TOO_SMALL),
        c(json!({ "timeouts": { "queueSeconds": 604801 } }), "spec.timeouts.queueSeconds", TOO_LARGE),
        c(json!({ "timeouts": { "runSeconds": 600, "noOutputSeconds": 601 } }), "spec", "timeouts.noOutputSeconds is longer than timeouts.runSeconds and would never be reached"),
        machine(json!({ "image": "" }), "spec.kubernetes.image", EMPTY),
        machine(json!({ "imagePullPolicy": "Sometimes" }), "spec.kubernetes.imagePullPolicy", NO_SUCH_VALUE),
        machine(json!({ "runtimeClass": "gVisor" }), "spec.kubernetes.runtimeClass", PATTERN),
        machine(json!({ "resources": { "cpu": "two" } }), "spec.kubernetes.resources.cpu", PATTERN),
        machine(json!({ "resources": { "memory": "4GB" } }), "spec.kubernetes.resources.memory", PATTERN),
        machine(json!({ "resources": { "disk": "-1Gi" } }), "spec.kubernetes.resources.disk", PATTERN),
        machine(json!({ "resources": { "cpu": "0.0" } }), RESOURCES, NOTHING),
        machine(json!({ "resources": { "memory": "0Gi" } }), RESOURCES, NOTHING),
        machine(json!({ "resources": { "disk": "0" } }), RESOURCES, NOTHING),
    ]
}

const LABEL: &str = "a trigger of kind Label names its label";
const COMMAND: &str = "a trigger of kind Comment names its command";

fn pr_build() -> Vec<Case> {
    let c = |change: Value, at, says| case("PrBuild", json!({ "request": change }), at, says);
    let unlabelled = without(samples::spec("PrBuild"), "request.trigger.label");
    const TOGETHER: &str = "mergeSha, mergeTree and baseSha come together: they are the pinned test merge";
    const IDS: &str = "repository.id and trigger.user.id are GitHub's numeric ids, from 1: names can change hands";
    let mut all = vec![
        missing("PrBuild", "request", "spec.request"),
        missing("PrBuild", "request.headSha", "spec.request.headSha"),
        missing("PrBuild", "request.builders", "spec.request.builders"),
        missing("PrBuild", "request.trigger", "spec.request.trigger"),
        missing("PrBuild", "request.trigger.user", "spec.request.trigger.user"),
        missing("PrBuild", "request.repository.id", "spec.request.repository.id"),
        c(json!({ "number": 0 }), "spec.request.number", TOO_SMALL),
        c(json!({ "mergeSha": sha() }), "spec.request", TOGETHER),
        c(json!({ "mergeSha": sha(), "baseSha": sha() }), "spec.request", TOGETHER),
        c(json!({ "mergeTree": sha() }), "spec.request", TOGETHER),
        c(json!({ "repository": { "id": 0 } }), "spec.request", IDS),
        c(json!({ "trigger": { "user": { "id": 0 } } }), "spec.request", IDS),
        c(json!({ "builders": [] }), "spec.request.builders", TOO_FEW),
        c(json!({ "builders": many(257, |n| json!(n.to_string())) }), "spec.request.builders", TOO_MANY),
        c(json!({ "builders": ["a", "a"] }), "spec.request.builders[1]", TWICE),
        c(json!({ "builders": ["../a"] }), "spec.request.builders[0]", PATTERN),
        c(json!({ "baseRef": "" }), "spec.request.baseRef", EMPTY),
        c(json!({ "flavour": "" }), "spec.request.flavour", EMPTY),
        c(json!({ "trigger": { "eventId": 0 } }), "spec.request.trigger.eventId", TOO_SMALL),
        c(json!({ "trigger": { "time": "yesterday" } }), "spec.request.trigger.time", "must be of type date-time"),
        c(json!({ "trigger": { "kind": "Push" } }), "spec.request.trigger.kind", NO_SUCH_VALUE),
        c(json!({ "trigger": { "kind": "Comment" } }), "spec.request.trigger", COMMAND),
        Case { spec: unlabelled, ..c(json!({}), "spec.request.trigger", LABEL) },
        case("PrBuild", json!({ "cancel": { "by": "", "reason": "r", "at": "2026-01-31T12:00:00Z" } }), "spec.cancel.by", EMPTY),
        case("PrBuild", json!({ "cancel": { "by": "ada", "at": "2026-01-31T12:00:00Z" } }), "spec.cancel.reason", MISSING),
    ];
    for field in ["headSha", "mergeSha", "mergeTree", "baseSha"] {
        let at = match field {
            "headSha" => "spec.request.headSha",
            "mergeSha" => "spec.request.mergeSha",
            "mergeTree" => "spec.request.mergeTree",
            _ => "spec.request.baseSha",
        };
        all.extend(not_shas().into_iter().map(|bad| c(json!({ field: bad }), at, PATTERN)));
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
    let c = |change, at, says| case("BuilderRun", change, at, says);
    let task = |change: Value, at, says| c(json!({ "task": change }), at, says);
    const WHY: &str = "spec.task has recipe and kubernetes, or says in `invalid` why it cannot run";
    let lacks = |path: &str| Case { spec: without(samples::spec("BuilderRun"), path), ..c(json!({}), "spec.task", WHY) };
    vec![
        missing("BuilderRun", "task", "spec.task"),
        missing("BuilderRun", "prBuild", "spec.prBuild"),
        lacks("task.recipe"),
        lacks("task.kubernetes"),
        c(json!({ "attempt": 0 }), "spec.attempt", TOO_SMALL),
        c(json!({ "attempt": 11 }), "spec.attempt", TOO_LARGE),
        c(json!({ "prBuild": { "uid": "" } }), "spec.prBuild.uid", EMPTY),
        task(json!({ "builder": "a/b" }), "spec.task.builder", PATTERN),
        task(json!({ "source": { "commit": "main" } }), "spec.task.source.commit", PATTERN),
        task(json!({ "source": { "headSha": "$(id)" } }), "spec.task.source.headSha", PATTERN),
        task(json!({ "source": { "pullRequest": 0 } }), "spec.task.source.pullRequest", TOO_SMALL),
        task(json!({ "source": { "parents": [sha(), sha(), sha()] } }), "spec.task.source.parents", TOO_MANY),
        task(json!({ "recipe": { "steps": [] } }), "spec.task.recipe.steps", TOO_FEW),
        task(json!({ "kubernetes": { "resources": { "memory": "0" } } }), "spec.task.kubernetes.resources", "resources.cpu, memory and disk are more than 0: Kubernetes takes a limit of 0 for no limit"),
    ]
}

fn answer() -> Vec<Case> {
    let c = |change, at, says| case("Answer", change, at, says);
    let unlabelled = without(samples::spec("Answer"), "trigger.label");
    vec![
        missing("Answer", "reason", "spec.reason"),
        missing("Answer", "trigger", "spec.trigger"),
        c(json!({ "number": 0 }), "spec.number", TOO_SMALL),
        c(json!({ "reason": "Because" }), "spec.reason", NO_SUCH_VALUE),
        c(json!({ "reason": "Unknown" }), "spec.reason", NO_SUCH_VALUE),
        c(json!({ "manner": "Mail" }), "spec.manner", NO_SUCH_VALUE),
        c(json!({ "trigger": { "kind": "Comment" } }), "spec.trigger", COMMAND),
        Case { spec: unlabelled, ..c(json!({}), "spec.trigger", LABEL) },
        c(json!({ "facts": { "subject": "s".repeat(301) } }), "spec.facts.subject", TOO_LONG),
        c(json!({ "facts": { "detail": "d".repeat(1001) } }), "spec.facts.detail", TOO_LONG),
    ]
}

fn many(count: usize, item: impl Fn(usize) -> Value) -> Vec<Value> {
    (0..count).map(item).collect()
}

/// Offers every case of a kind, and the unchanged sample, which must be taken.
async fn refuses(kind: &str) {
    let desk = Desk::open(&format!("refused-{}", kind.to_lowercase())).await;
    desk.offer(kind, samples::name(kind), &samples::spec(kind)).await.unwrap();
    let mut wrong = Vec::new();
    for Case { name, spec, at, says } in cases(kind) {
        let answer = desk.offer(kind, &name, &spec).await;
        let place = if at.is_empty() { String::new() } else { format!("{at}: ") };
        let said = answer.as_ref().err().map(String::as_str).unwrap_or("it was taken");
        if !said.contains(&place) || !said.contains(says) {
            wrong.push(format!("{place}{says}\n    but: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{kind}: {} of the cases:\n{}", wrong.len(), wrong.join("\n"));
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
        let said = desk.offer(kind, samples::name(kind), &Value::Null).await.unwrap_err();
        assert!(said.contains("spec: Required value"), "{kind}: {said}");
    }
    desk.close().await;
}

#[tokio::test]
async fn a_field_that_does_not_exist_is_not_kept() {
    let desk = Desk::open("pruned").await;
    let spec = with(samples::spec("Builder"), json!({ "dangerous": { "privileged": true } }));
    let kept = desk.offer("Builder", "app", &spec).await.unwrap();
    assert!(kept.get("dangerous").is_none(), "{kept}");
    desk.close().await;
}
