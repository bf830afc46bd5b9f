//! One small valid object of each kind.

use serde_json::{Value, json};

/// All kinds.
pub const KINDS: [&str; 7] = [
    "Repository",
    "Builder",
    "PrBuild",
    "BuilderRun",
    "Answer",
    "Worker",
    "Assignment",
];

/// A SHA that is as good as any.
pub fn sha() -> String {
    "0123456789".repeat(4)
}

/// A name that an object of the kind could have.
pub fn name(kind: &str) -> &'static str {
    match kind {
        "PrBuild" | "Answer" => "app-7-l1",
        "BuilderRun" => "app-7-l1-debian-1",
        "Assignment" => "run-0b1c",
        _ => "app",
    }
}

/// The smallest spec that the API server takes.
pub fn spec(kind: &str) -> Value {
    match kind {
        "Repository" => json!({
            "owner": "octo", "name": "app", "connection": "github", "labels": [{ "name": "test" }],
        }),
        "Builder" => json!({
            "displayName": "Debian", "steps": [{ "run": "make test" }], "kubernetes": { "image": "debian:13" },
        }),
        "PrBuild" => json!({ "request": request() }),
        "BuilderRun" => json!({
            "prBuild": { "name": "app-7-l1", "uid": "u" }, "attempt": 1, "task": task(),
        }),
        "Answer" => json!({
            "repository": repository(), "number": 7, "trigger": trigger(), "reason": "Permission",
        }),
        "Worker" => json!({ "contact": "Ada <ada@example.org>", "publicKeys": [key()] }),
        "Assignment" => json!({
            "run": { "name": "app-7-l1-debian-1", "uid": "u" }, "builder": "debian", "to": ["mac"],
            "signed": { "payload": "e30=", "key": "k", "signature": "s" },
        }),
        _ => unreachable!("{kind} is no kind of ours"),
    }
}

/// A public key that is as good as any.
pub fn key() -> String {
    format!("ed25519:{}", "A".repeat(43))
}

fn request() -> Value {
    json!({
        "repository": repository(), "number": 7, "headSha": sha(), "baseRef": "main",
        "flavour": "default", "builders": ["debian"], "trigger": trigger(),
    })
}

fn repository() -> Value {
    json!({ "name": "app", "id": 5, "fullName": "octo/app" })
}

fn trigger() -> Value {
    json!({
        "kind": "Label", "eventId": 1, "time": "2026-01-31T12:00:00Z", "label": "test",
        "user": { "id": 3, "login": "ada" }, "permission": "write",
    })
}

fn task() -> Value {
    json!({
        "builder": "debian", "displayName": "Debian", "context": "prbuild/Debian", "repository": "app",
        "requester": "ada", "requesterId": 3,
        "source": {
            "repositoryId": 5, "repository": "octo/app", "cloneUrl": "https://github.com/octo/app.git",
            "pullRequest": 7, "commit": sha(), "headSha": sha(), "baseRef": "main",
        },
        "recipe": { "steps": [{ "run": "make test" }] },
        "kubernetes": { "image": "debian:13" },
    })
}

/// A wish to stop.
pub fn cancel() -> Value {
    json!({ "by": "ada", "reason": "not needed any more", "at": "2026-01-31T12:00:00Z" })
}
