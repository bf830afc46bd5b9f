//! What people write: Repository and Builder.

use serde_json::{Value, json};

use super::*;

pub fn repository() -> Vec<Case> {
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
        { "reporting": { "context": "prbuild" } } => "spec.reporting", "reporting.context contains {builder} once: two builders with one context would overwrite each other's status";
        { "reporting": { "context": "{builder} {builder}" } } => "spec.reporting", "reporting.context contains {builder} once: two builders with one context would overwrite each other's status";
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

pub fn builder() -> Vec<Case> {
    const NEVER_FAILS: &str = "every step has `continue-on-error`, or runs only after a failure: this builder could never fail";
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
            "a Builder has exactly one backend: set spec.kubernetes or spec.worker",
        ),
    ];
    const BACKEND: &str = "a Builder has exactly one backend: set spec.kubernetes or spec.worker";
    const WORKER: &str = "spec.worker names one worker, or selects several by labels: set exactly one of name and selector";
    let spec = |change| change;
    all.extend(refused!("Builder", spec;
        { "worker": { "name": "mac" } } => "spec", BACKEND;
        { "kubernetes": null, "worker": {} } => "spec.worker", WORKER;
        { "kubernetes": null, "worker": { "name": "mac", "selector": { "os": "mac" } } } => "spec.worker", WORKER;
        { "kubernetes": null, "worker": { "name": "Mac" } } => "spec.worker.name", PATTERN;
        { "kubernetes": null, "worker": { "selector": { "os": "o".repeat(64) } } } => "spec.worker.selector.os", TOO_LONG;
        { "kubernetes": { "nodeSelector": { "disk": "d".repeat(64) } } } => "spec.kubernetes.nodeSelector.disk", TOO_LONG;
        { "steps": [{ "run": "true", "env": { "A": "a".repeat(8193) } }] } => "spec.steps[0].env.A", TOO_LONG;
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
        { "steps": [{ "run": "a", "continue-on-error": true }, { "run": "b", "continue-on-error": true }] } => "spec", NEVER_FAILS;
        { "steps": [{ "run": "a", "continue-on-error": true }, { "run": "b", "if": "failure()" }] } => "spec", NEVER_FAILS;
        { "steps": [{ "run": "a".repeat(9000) }, { "run": "b".repeat(9000) }] } => "spec", "the scripts of all steps together have at most 16,384 characters; put longer ones into the image";
        { "exitCodes": [{ "code": 0, "means": "Warning" }] } => "spec.exitCodes[0].code", TOO_SMALL;
        { "exitCodes": [{ "code": 256, "means": "Warning" }] } => "spec.exitCodes[0].code", TOO_LARGE;
        { "exitCodes": [{ "code": 5, "means": "Success" }] } => "spec.exitCodes[0].means", NO_SUCH_VALUE;
        { "exitCodes": [{ "code": 5, "means": "Warning" }, { "code": 5, "means": "Warning" }] } => "spec.exitCodes", "an exit code is mapped twice";
        { "tests": { "junit": ["/tmp/*.xml"] } } => "spec.tests", "a path in tests.junit leaves the checkout: write a path inside it";
        { "tests": { "junit": ["a/../../*.xml"] } } => "spec.tests", "a path in tests.junit leaves the checkout: write a path inside it";
        { "tests": { "junit": many(9, |n| json!(format!("{n}.xml"))) } } => "spec.tests.junit", TOO_MANY;
        { "tests": { "patterns": ["Nose"] } } => "spec.tests.patterns[0]", NO_SUCH_VALUE;
        { "tests": { "patterns": ["Unknown"] } } => "spec.tests.patterns[0]", NO_SUCH_VALUE;
        { "tests": { "patterns": ["Go", "Go"] } } => "spec.tests", "a pattern stands in tests.patterns twice";
        { "maxConcurrent": 0 } => "spec.maxConcurrent", TOO_SMALL;
        { "infraRetries": 6 } => "spec.infraRetries", TOO_LARGE;
        { "infraRetries": -1 } => "spec.infraRetries", TOO_SMALL;
        { "timeouts": { "runSeconds": 0 } } => "spec.timeouts.runSeconds", TOO_SMALL;
        { "timeouts": { "queueSeconds": 604801 } } => "spec.timeouts.queueSeconds", TOO_LARGE;
        { "timeouts": { "checkoutSeconds": 0 } } => "spec.timeouts.checkoutSeconds", TOO_SMALL;
        { "timeouts": { "checkoutSeconds": 3601 } } => "spec.timeouts.checkoutSeconds", TOO_LARGE;
        { "timeouts": { "runSeconds": 600, "noOutputSeconds": 601 } } => "spec", "timeouts.noOutputSeconds, 1200 where it is not written, is longer than timeouts.runSeconds and would never be reached; set both";
        { "timeouts": { "runSeconds": 600 } } => "spec", "timeouts.noOutputSeconds, 1200 where it is not written, is longer than timeouts.runSeconds and would never be reached; set both";
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
        { "resources": { "cpu": "0.0" } } => "spec.kubernetes.resources", NOTHING;
        { "resources": { "memory": "0Gi" } } => "spec.kubernetes.resources", NOTHING;
        { "resources": { "disk": "0" } } => "spec.kubernetes.resources", NOTHING;
    ));
    all
}
