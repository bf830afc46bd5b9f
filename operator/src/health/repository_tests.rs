//! Repositories that cannot be built, and what their conditions say.

use serde_json::json;

use super::*;

fn repository(name: &str, second: i64) -> Repository {
    let json = json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "Repository",
        "metadata": { "name": name, "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z") },
        "spec": { "owner": "o", "name": "n", "connection": "main", "labels": [{ "name": "test" }] },
    });
    serde_json::from_value(json).unwrap()
}

const NONE: &[Repository] = &[];

fn builder(name: &str) -> Builder {
    let json = json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "Builder", "metadata": { "name": name },
        "spec": { "displayName": name, "steps": [{ "run": "make" }] },
    });
    serde_json::from_value(json).unwrap()
}

fn info() -> RepositoryInfo {
    serde_json::from_value(json!({ "id": 1, "full_name": "o/n" })).unwrap()
}

fn found(change: impl FnOnce(&mut RepositoryInfo)) -> Seen {
    let mut info = info();
    change(&mut info);
    Seen::Found(Box::new(info))
}

/// With one builder, and nothing else in the install.
fn looked_over(repository: &Repository, seen: &Seen) -> Option<Change<RepositoryStatus>> {
    check(repository, seen, None, None, NONE, &[builder("a")], &now())
}

fn now() -> Time {
    Time(jiff::Timestamp::UNIX_EPOCH)
}

fn ready(status: &RepositoryStatus) -> (bool, String, String) {
    let ready = condition::find(&status.conditions, condition::kind::READY).unwrap();
    (
        ready.status == "True",
        ready.reason.clone(),
        ready.message.clone(),
    )
}

#[test]
fn a_repository_that_can_be_built_is_ready_and_its_id_is_recorded() {
    let mut repository = repository("n", 1);
    let change = looked_over(&repository, &found(|_| {})).unwrap();
    assert_eq!(
        (change.status.id, change.status.full_name.as_deref()),
        (Some(1), Some("o/n"))
    );
    assert_eq!(ready(&change.status).1, "Valid");
    repository.status = Some(change.status);
    assert_eq!(
        looked_over(&repository, &found(|_| {})),
        None,
        "written once"
    );
}

#[test]
fn what_keeps_a_repository_from_being_built_is_named() {
    let call = || "GET /repos/o/n".to_owned();
    let forbidden = GithubError::Forbidden {
        call: call(),
        message: "Resource not accessible".into(),
    };
    let missing = Seen::Lacks(vec!["statuses: write".to_owned()]);
    let table = [
        (Seen::NoConnection, "NoConnection", "`main`"),
        (found(|info| info.private = true), "Private", "private"),
        (found(|info| info.archived = true), "Archived", "archived"),
        (missing, "PermissionMissing", "statuses: write"),
        (Seen::NoStatuses, "PermissionMissing", "`repo:status`"),
        (
            Seen::Failed(GithubError::NotFound { call: call() }),
            "NotFound",
            "`o/n`",
        ),
        (
            Seen::Failed(GithubError::Unauthorized {
                call: call(),
                date: None,
            }),
            "CredentialRefused",
            "renew",
        ),
        (
            Seen::Failed(forbidden),
            "PermissionMissing",
            "Resource not accessible",
        ),
        (
            Seen::Failed(GithubError::Unprocessable {
                call: "POST /app/installations/1/access_tokens".into(),
                message: "There is at least one repository that is not accessible".to_owned(),
            }),
            "PermissionMissing",
            "`installation-id`",
        ),
        (
            Seen::Failed(GithubError::Unavailable {
                call: call(),
                reason: "502".into(),
            }),
            "GitHubUnreachable",
            "502",
        ),
    ];
    for (seen, reason, words) in table {
        let change = looked_over(&repository("n", 1), &seen).unwrap();
        let (holds, found, message) = ready(&change.status);
        assert!(!holds && found == reason, "{found}: {message}");
        assert!(message.contains(words), "{message}");
        assert_eq!(
            change.status.id, None,
            "{reason}: nothing is recorded of what is not usable"
        );
        assert!(
            change
                .news
                .iter()
                .any(|news| news.warning && news.reason == reason)
        );
    }
}

#[test]
fn another_repository_under_the_same_name_is_refused_and_the_id_stays() {
    let mut repository = repository("n", 1);
    repository.status = Some(RepositoryStatus {
        id: Some(1),
        ..RepositoryStatus::default()
    });
    let change = looked_over(&repository, &found(|info| info.id = 2)).unwrap();
    assert_eq!(ready(&change.status).1, "Replaced");
    assert_eq!(change.status.id, Some(1));
}

#[test]
fn of_two_that_stand_for_one_repository_the_older_wins() {
    let (mut old, mut young) = (repository("z", 1), repository("a", 2));
    for repository in [&mut old, &mut young] {
        repository.status = Some(RepositoryStatus {
            id: Some(1),
            ..RepositoryStatus::default()
        });
    }
    let all = [old.clone(), young.clone()];
    let change = check(
        &old,
        &found(|_| {}),
        None,
        None,
        &all,
        &[builder("a")],
        &now(),
    )
    .unwrap();
    assert!(ready(&change.status).0);
    let change = check(
        &young,
        &found(|_| {}),
        None,
        None,
        &all,
        &[builder("a")],
        &now(),
    )
    .unwrap();
    let (_, reason, message) = ready(&change.status);
    assert!(
        reason == "Duplicate" && message.contains("`z`"),
        "{message}"
    );
}

#[test]
fn a_github_that_is_away_changes_nothing_that_was_known() {
    let mut repository = repository("n", 1);
    let change = looked_over(&repository, &found(|_| {})).unwrap();
    repository.status = Some(change.status);
    let away = GithubError::Unavailable {
        call: "GET /".into(),
        reason: "502".into(),
    };
    let away = Seen::Failed(away);
    assert_eq!(looked_over(&repository, &away), None);
    // Nor is said that another spec was looked at: what is known is of the one before.
    repository.metadata.generation = Some(2);
    assert_eq!(looked_over(&repository, &away), None);
    let change = looked_over(&repository, &found(|_| {})).unwrap();
    assert_eq!(change.status.observed_generation, Some(2));
}

#[test]
fn a_label_that_selects_nothing_says_why() {
    let rule = |change: fn(&mut LabelRule)| {
        let mut rule = repository("n", 1).spec.labels[0].clone();
        change(&mut rule);
        rule
    };
    let mut unstable = builder("u");
    unstable.spec.flavours = vec!["slow".to_owned()];
    unstable.spec.stability = Stability::Unstable;
    let builders = [builder("a"), unstable];
    let table = [
        (
            rule(|rule| rule.flavour = "refleak".into()),
            "none has the flavour `refleak`",
        ),
        (
            rule(|rule| rule.tags = vec!["arm".into()]),
            "has one of the tags `arm`",
        ),
        (
            rule(|rule| rule.builders = vec!["b".into()]),
            "is called `b`",
        ),
        (rule(|rule| rule.flavour = "slow".into()), "unstable"),
    ];
    for (rule, words) in table {
        let mut repository = repository("n", 1);
        repository.spec.labels = vec![rule];
        let change = check(
            &repository,
            &found(|_| {}),
            None,
            None,
            NONE,
            &builders,
            &now(),
        )
        .unwrap();
        let (holds, reason, message) = ready(&change.status);
        assert!(
            !holds && reason == "ImpossibleSelector" && message.contains(words),
            "{message}"
        );
    }
}

#[test]
fn one_impossible_label_does_not_stop_the_others() {
    let mut repository = repository("n", 1);
    let mut impossible = repository.spec.labels[0].clone();
    impossible.name = "other".to_owned();
    impossible.flavour = "none".to_owned();
    repository.spec.labels.push(impossible);
    let change = looked_over(&repository, &found(|_| {})).unwrap();
    assert!(ready(&change.status).0);
    let labels = condition::find(&change.status.conditions, LABELS_SELECT).unwrap();
    assert!(
        labels.status == "False" && labels.message.contains("`other`"),
        "{labels:?}"
    );
}

#[test]
fn a_repository_that_was_renamed_says_so_and_works() {
    let seen = found(|info| info.full_name = "p/m".to_owned());
    let change = looked_over(&repository("n", 1), &seen).unwrap();
    let (holds, _, message) = ready(&change.status);
    assert!(holds && message.contains("`p/m`"), "{message}");
    assert_eq!(change.status.full_name.as_deref(), Some("p/m"));
}

#[test]
fn two_spellings_of_one_label_are_named_and_do_not_stop_the_others() {
    for (first, second) in [
        (":hammer: test", "🔨 test"),
        ("🔨 test", ":HAMMER:  Test"),
        ("ärger", "ÄRGER"),
    ] {
        let mut repository = repository("n", 1);
        let rule = repository.spec.labels[0].clone();
        let called = |name: &str| LabelRule {
            name: name.to_owned(),
            ..rule.clone()
        };
        repository.spec.labels = vec![called(first), called("other"), called(second)];
        let change = looked_over(&repository, &found(|_| {})).unwrap();
        let (holds, reason, message) = ready(&change.status);
        assert_eq!((holds, reason.as_str()), (false, "SameLabel"));
        assert!(
            condition::builds(&change.status.conditions),
            "the first one counts"
        );
        for name in [first, second] {
            assert!(message.contains(&code(name, 100)), "{message}");
        }
        assert!(!message.contains("`other`"), "{message}");
        assert!(
            change
                .news
                .iter()
                .any(|news| news.warning && news.reason == "SameLabel")
        );
    }
}

#[test]
fn a_label_that_is_there_twice_and_selects_nothing_says_both() {
    let mut repository = repository("n", 1);
    let mut twice = repository.spec.labels[0].clone();
    twice.name = "TEST".to_owned();
    twice.flavour = "none".to_owned();
    repository.spec.labels.push(twice);
    let change = looked_over(&repository, &found(|_| {})).unwrap();
    assert_eq!(ready(&change.status).1, "SameLabel");
    let labels = condition::find(&change.status.conditions, LABELS_SELECT).unwrap();
    assert!(labels.message.contains("flavour `none`"), "{labels:?}");
}

#[test]
fn a_fault_that_keeps_it_from_building_is_named_before_one_that_does_not() {
    let mut repository = repository("n", 1);
    repository.spec.reporting.mode = ReportMode::Checks;
    repository.spec.reporting.result = Some("{usr}".to_owned());
    let said = |repository: &Repository, is_app| {
        let change = check(
            repository,
            &found(|_| {}),
            Some(is_app),
            None,
            NONE,
            &[builder("a")],
            &now(),
        );
        let conditions = change.unwrap().status;
        let (_, reason, message) = ready(&conditions);
        (reason, message, condition::builds(&conditions.conditions))
    };
    let (reason, message, builds) = said(&repository, false);
    assert_eq!((reason.as_str(), builds), ("ChecksNeedApp", false));
    assert!(message.contains("`{usr}`"), "both are said: {message}");
    let (reason, _, builds) = said(&repository, true);
    assert_eq!((reason.as_str(), builds), ("InvalidTemplate", true));
}

#[test]
fn the_page_about_kinds_has_every_reason_and_says_which_do_not_keep_from_building() {
    let page = include_str!("../../../docs/kinds.md");
    let start = page.find("| `Ready` | `NoConnection`").unwrap();
    let table = &page[start..page[start..].find("\n\n").unwrap() + start];
    let marked: Vec<&str> = table
        .lines()
        .filter_map(|line| line.split_once("` \\* |")?.0.rsplit('`').next())
        .collect();
    let mut expected = condition::BUILDS_ALL_THE_SAME.to_vec();
    expected.sort_unstable();
    let mut found = marked.clone();
    found.sort_unstable();
    assert_eq!(found, expected);
    for reason in [
        "PermissionMissing",
        "ChecksNeedApp",
        "WaitsForItself",
        "Unreadable",
        "NoFork",
        "NotVisible",
    ] {
        assert!(
            table.contains(&format!("`{reason}`")),
            "{reason} is missing"
        );
    }
}

#[test]
fn what_kept_the_operator_from_working_is_taken_back_by_who_looks() {
    let mut repository = repository("n", 1);
    let mut status = looked_over(&repository, &found(|_| {})).unwrap().status;
    let (operator, reason) = (condition::kind::OPERATOR_READY, "KubernetesDoesNotFit");
    assert!(condition::find(&status.conditions, operator).is_none());
    condition::set(&mut status.conditions, operator, false, reason, "", now());
    assert!(condition::builds(&status.conditions), "labels are taken");
    repository.status = Some(status);
    let status = looked_over(&repository, &found(|_| {})).unwrap().status;
    assert!(condition::is_true(&status.conditions, operator));
}
