//! Builders that cannot run, and what their conditions say.

use serde_json::json;

use super::*;

fn builder(name: &str, second: i64) -> Builder {
    let json = json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "Builder",
        "metadata": { "name": name, "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z") },
        "spec": {
            "displayName": format!("Builder {name}"),
            "steps": [{ "run": "make test" }],
            "kubernetes": { "image": "debian:13" },
        },
    });
    serde_json::from_value(json).unwrap()
}

const NONE: &[Builder] = &[];

fn machine(builder: &mut Builder) -> &mut Kubernetes {
    builder.spec.kubernetes.as_mut().unwrap()
}

#[test]
fn a_builder_as_large_as_it_may_be_makes_runs() {
    let mut largest = builder("a", 1);
    let filled = |b: &mut Builder, bytes: usize| {
        b.spec.steps[0].env = [("A".to_owned(), "x".repeat(bytes))].into();
    };
    let fits = |b: &Builder| validate(b, NONE).is_ok();
    let most = (0..RECIPE_LIMIT).rev().find(|bytes| {
        filled(&mut largest, *bytes);
        fits(&largest)
    });
    assert!(most.is_some_and(|most| most > RECIPE_LIMIT / 2));
    let build = crate::admission::guard::tests::build();
    let from = crate::build::dispatch::Materials {
        build: &build,
        repository: None,
        clone_url: "https://github.com/o/r.git",
        writes_checks: false,
    };
    let run = crate::build::dispatch::first_attempt(&from, "a", Ok(&largest));
    assert_eq!(run.spec.task.invalid, None);
}

#[test]
fn a_builder_that_cannot_run_says_why() {
    type Change = fn(&mut Builder);
    let table: [(&str, Change); 11] = [
        ("InvalidImage", |b| {
            machine(b).image = "Not An Image".to_owned()
        }),
        ("InvalidResources", |b| {
            machine(b).resources.cpu = "0m".to_owned()
        }),
        ("InvalidResources", |b| {
            machine(b).resources.memory = "much".to_owned()
        }),
        ("InvalidNodeSelector", |b| {
            machine(b)
                .node_selector
                .insert("a b".to_owned(), String::new());
        }),
        ("InvalidStep", |b| b.spec.steps[0].run = " \n".to_owned()),
        ("InvalidStep", |b| {
            b.spec.steps[0].working_directory = Some("a/../../etc".to_owned())
        }),
        ("InvalidStep", |b| {
            b.spec.steps[0].env.insert("A=B".to_owned(), String::new());
        }),
        ("InvalidStep", |b| {
            let name = "GITHUB_TOKEN".to_owned();
            b.spec.steps[0].env.insert(name, "x".to_owned());
        }),
        ("InvalidStep", |b| {
            b.spec.steps[0].timeout_minutes = Some(f64::NAN)
        }),
        ("TooLarge", |b| {
            b.spec.steps[0]
                .env
                .insert("A".to_owned(), "x".repeat(40_000));
        }),
        ("NoBackend", |b| b.spec.kubernetes = None),
    ];
    assert_eq!(validate(&builder("a", 1), NONE), Ok(()));
    for (reason, change) in table {
        let mut builder = builder("a", 1);
        change(&mut builder);
        let invalid = validate(&builder, NONE).unwrap_err();
        assert_eq!(invalid.reason, reason, "{invalid}");
        assert!(
            invalid.message.len() > 20 && invalid.message.len() < 500,
            "{invalid}"
        );
    }
}

#[test]
fn of_two_builders_with_one_display_name_the_older_keeps_it() {
    let (old, mut young) = (builder("z", 1), builder("a", 2));
    young.spec.display_name = "BUILDER z".to_owned();
    let all = [old.clone(), young.clone()];
    assert_eq!(validate(&old, &all), Ok(()));
    let invalid = validate(&young, &all).unwrap_err();
    assert_eq!(invalid.reason, "DuplicateDisplayName");
    assert!(invalid.message.contains("`z`"), "{invalid}");
    let mut going = old.clone();
    going.metadata.deletion_timestamp = going.metadata.creation_timestamp.clone();
    assert_eq!(
        validate(&young, &[going]),
        Ok(()),
        "a Builder that is being deleted has no name"
    );
}

#[test]
fn a_condition_is_written_once_and_told_once() {
    let now = Time(jiff::Timestamp::UNIX_EPOCH);
    let mut builder = builder("a", 1);
    let change = check(&builder, NONE, &now).unwrap();
    assert_eq!((change.news.len(), change.news[0].warning), (1, false));
    builder.status = Some(change.status);
    assert_eq!(check(&builder, NONE, &now), None);
    machine(&mut builder).image = "x y".to_owned();
    let change = check(&builder, NONE, &now).unwrap();
    assert_eq!(
        (change.news[0].warning, change.news[0].reason),
        (true, "InvalidImage")
    );
    assert!(!condition::is_true(
        &change.status.conditions,
        condition::kind::READY
    ));
    builder.status = Some(change.status);
    machine(&mut builder).image = "y x".to_owned();
    let change = check(&builder, NONE, &now).unwrap();
    assert_eq!(
        change.news,
        [],
        "another message for the same reason is no Event"
    );
}

#[test]
fn a_status_says_which_spec_it_is_about() {
    let now = Time(jiff::Timestamp::UNIX_EPOCH);
    let mut builder = builder("a", 1);
    builder.metadata.generation = Some(1);
    builder.status = Some(check(&builder, NONE, &now).unwrap().status);
    assert_eq!(check(&builder, NONE, &now), None);
    // Another spec with the same verdict: health checks wait until it was looked at.
    builder.metadata.generation = Some(2);
    let change = check(&builder, NONE, &now).unwrap();
    assert_eq!(change.status.observed_generation, Some(2));
    assert_eq!(change.news, [], "nothing that anybody should be told of");
}
