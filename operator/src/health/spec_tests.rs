//! Mistakes in the spec of a Repository, each named with its field.

use serde_json::{Value, json};

use super::*;

fn repository(change: impl FnOnce(&mut Value)) -> Repository {
    let mut json = json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "Repository", "metadata": { "name": "n" },
        "spec": { "owner": "o", "name": "n", "connection": "main", "labels": [{ "name": "test" }],
            "guards": {}, "reporting": {} },
    });
    change(&mut json["spec"]);
    serde_json::from_value(json).unwrap()
}

fn builder(name: &str) -> Builder {
    let json = json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "Builder", "metadata": { "name": "b" },
        "spec": { "displayName": name, "steps": [{ "run": "make" }] },
    });
    serde_json::from_value(json).unwrap()
}

/// The reasons, and all messages.
fn said(change: impl FnOnce(&mut Value)) -> (Vec<&'static str>, String) {
    let faults = faults(
        &repository(change),
        &[&builder("s390x Debian")],
        Some(false),
    );
    let messages: Vec<String> = faults.iter().map(|fault| fault.message.clone()).collect();
    let reasons = faults.iter().map(|fault| fault.reason).collect();
    (reasons, messages.join("\n"))
}

#[test]
fn a_spec_without_mistakes_says_nothing() {
    let (reasons, _) = said(|spec| {
        spec["labels"] = json!([
            { "name": ":hammer: test", "aliases": ["🔨 test"], "pattern": "^(ios|android)" },
            { "name": "refleaks" },
        ]);
        spec["guards"]["afterChecks"] = json!(["CI / tests"]);
        spec["reporting"] =
            json!({ "announcement": "{user} {table}", "result": "{{done}} {next}" });
    });
    assert_eq!(reasons, [""; 0]);
}

#[test]
fn a_label_that_is_named_twice_is_found_in_every_spelling_and_by_alias() {
    for (labels, fields) in [
        (
            json!([{ "name": ":hammer: test" }, { "name": "🔨 Test" }]),
            ["spec.labels[0].name", "spec.labels[1].name"],
        ),
        (
            json!([{ "name": "a", "aliases": ["x", "old"] }, { "name": "OLD" }]),
            ["spec.labels[0].aliases[1]", "spec.labels[1].name"],
        ),
        (
            json!([{ "name": "a" }, { "name": "b", "aliases": ["A"] }]),
            ["spec.labels[0].name", "spec.labels[1].aliases[0]"],
        ),
    ] {
        let (reasons, message) = said(|spec| spec["labels"] = labels);
        assert_eq!(reasons, ["SameLabel"], "{message}");
        assert!(
            fields.iter().all(|field| message.contains(field)),
            "{message}"
        );
    }
}

#[test]
fn a_pattern_that_does_not_compile_is_named_with_its_field_and_what_is_wrong() {
    for (pattern, words) in [
        ("(a", "unclosed group"),
        ("((((a{99}){99}){99}){99})", "too large"),
    ] {
        let (reasons, message) = said(|spec| {
            spec["labels"] = json!([{ "name": "x" }, { "name": "y", "pattern": pattern }])
        });
        assert_eq!(reasons, ["InvalidPattern"]);
        assert!(
            message.contains("spec.labels[1].pattern")
                && message.contains(words)
                && message.contains("`y`"),
            "{message}"
        );
    }
}

#[test]
fn a_placeholder_that_there_is_not_is_named_with_its_template() {
    let (reasons, message) = said(|spec| spec["reporting"]["result"] = json!("Bye {usr}"));
    assert_eq!(reasons, ["InvalidTemplate"]);
    assert!(
        message.contains("spec.reporting.result: there is no placeholder `{usr}`"),
        "{message}"
    );
}

#[test]
fn checks_with_a_personal_token_are_refused_and_with_an_app_are_not() {
    let (reasons, message) = said(|spec| spec["reporting"]["mode"] = json!("Checks"));
    assert_eq!(reasons, ["ChecksNeedApp"]);
    assert!(message.contains("spec.reporting.mode"), "{message}");
    let checks = repository(|spec| spec["reporting"]["mode"] = json!("Checks"));
    for known in [Some(true), None] {
        assert_eq!(faults(&checks, &[], known), []);
    }
}

#[test]
fn a_build_that_would_wait_for_its_own_result_is_found() {
    for (context, awaited, found) in [
        ("prbuild/{builder}", "prbuild/anything", true),
        ("buildbot/{builder} PR", "buildbot/s390x Debian PR", true),
        ("buildbot/{builder} PR", "buildbot/s390x Debian", false),
        ("{builder}", "s390x Debian", true),
        ("{builder}", "CI / tests", false),
        ("prbuild/{builder}", "prbuild/", false),
    ] {
        let (reasons, message) = said(|spec| {
            spec["guards"]["afterChecks"] = json!(["lint", awaited]);
            spec["reporting"]["context"] = json!(context);
        });
        assert_eq!(
            reasons.contains(&"WaitsForItself"),
            found,
            "{awaited}: {message}"
        );
        assert!(
            !found || message.contains(&format!("`{awaited}`")),
            "{message}"
        );
    }
}
