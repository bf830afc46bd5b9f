//! What a worker, and a run that is handed to one, have to say.

use serde_json::json;

use super::*;

pub fn worker() -> Vec<Case> {
    const SAME: &str =
        "a window begins and ends at the same time: for the whole day write from 00:00 to 24:00";
    const KEYS: &str = "a public key stands in publicKeys twice";
    let spec = |change: Value| change;
    let window = |change: Value| json!({ "windows": [with(json!({ "from": "22:00", "to": "08:00" }), change)] });
    let mut all = vec![
        missing("Worker", "contact", "spec.contact"),
        named(
            "Worker",
            64,
            "the name of a Worker has at most 63 characters",
        ),
    ];
    all.extend(refused!("Worker", spec;
        { "contact": "" } => "spec.contact", EMPTY;
        { "labels": { "os": "o".repeat(64) } } => "spec.labels.os", TOO_LONG;
        { "slots": 0 } => "spec.slots", TOO_SMALL;
        { "slots": 65 } => "spec.slots", TOO_LARGE;
        { "publicKeys": ["ssh-ed25519 AAAA"] } => "spec.publicKeys[0]", PATTERN;
        { "publicKeys": [samples::key(), samples::key()] } => "spec.publicKeys", KEYS;
        { "publicKeys": many(3, |n| json!(format!("ed25519:{n}{}", "A".repeat(42)))) } => "spec.publicKeys", TOO_MANY;
        { "repositories": [""] } => "spec.repositories[0]", EMPTY;
    ));
    all.extend(refused!("Worker", window;
        { "from": "24:00" } => "spec.windows[0].from", PATTERN;
        { "to": "8:00" } => "spec.windows[0].to", PATTERN;
        { "from": "08:00" } => "spec.windows[0]", SAME;
        { "days": ["Today"] } => "spec.windows[0].days[0]", NO_SUCH_VALUE;
        { "timeZone": "../etc" } => "spec.windows[0].timeZone", PATTERN;
    ));
    all
}

pub fn assignment() -> Vec<Case> {
    const ONE: &str = "an assignment that is no pool's is for one worker";
    let spec = |change: Value| change;
    let mut all = vec![
        missing("Assignment", "run", "spec.run"),
        missing("Assignment", "signed", "spec.signed"),
        missing("Assignment", "to", "spec.to"),
    ];
    all.extend(refused!("Assignment", spec;
        { "to": [] } => "spec.to", TOO_FEW;
        { "to": ["mac", "pi"] } => "spec", ONE;
        { "signed": { "payload": "A".repeat(262_145) } } => "spec.signed.payload", "Too long";
    ));
    all
}
