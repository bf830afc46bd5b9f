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

mod policy;
mod records;
mod workers;

/// Every object of a kind that is shown being refused.
pub fn cases(kind: &str) -> Vec<Case> {
    match kind {
        "Repository" => policy::repository(),
        "Builder" => policy::builder(),
        "PrBuild" => records::pr_build(),
        "BuilderRun" => records::builder_run(),
        "Worker" => workers::worker(),
        "Assignment" => workers::assignment(),
        _ => records::answer(),
    }
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
async fn a_worker_that_contradicts_itself_is_refused_with_a_sentence() {
    refuses("Worker").await;
}

#[tokio::test]
async fn an_assignment_that_is_for_nobody_or_unsigned_is_refused() {
    refuses("Assignment").await;
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
