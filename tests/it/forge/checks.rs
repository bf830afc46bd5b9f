//! Check runs: only Apps write them, people press their buttons, and webhooks tell.

use serde_json::{Value, json};
use tests::forge::{App, AppOptions, Elsewhere, Forge, PullRequest, TokenOptions};

use super::apps::token_of;
use super::client::Client;
use super::webhooks::{Listener, SECRET};
use super::{APP, forge, lenient, mallory_opens};

const RUNS: &str = "/repos/octo/app/check-runs";

/// An App that may write checks, and whoever hears its webhook.
async fn with_checks(forge: &Forge) -> (App, Client, Listener) {
    let (listener, url) = Listener::new().await;
    let options = AppOptions {
        repositories: vec![APP.to_owned()],
        hook: Some((url, SECRET.to_owned())),
        ..AppOptions::default().with("checks", "write")
    };
    let app = forge.add_app(options);
    let client = token_of(forge, &app).await;
    (app, client, listener)
}

async fn complete(client: &Client, head: &str, name: &str) -> u64 {
    let body = json!({"name": name, "head_sha": head, "conclusion": "failure", "actions": [
        {"label": "Re-run failed", "description": "Runs what failed again", "identifier": "rerun-failed"}
    ]});
    client.post(RUNS, body).await.json()["id"].as_u64().unwrap()
}

#[tokio::test]
async fn a_check_run_goes_from_queued_to_its_conclusion_and_back_to_the_app() {
    let forge = forge().await;
    let (_, head) = mallory_opens(&forge).await;
    let (app, client, listener) = with_checks(&forge).await;
    let body = json!({"name": "debian", "head_sha": head, "external_id": "run-1"});
    let created = client.post(RUNS, body).await;
    assert_eq!(created.status, 201);
    let run = created.json();
    assert_eq!(
        (&run["status"], &run["conclusion"], &run["app"]["id"]),
        (&json!("queued"), &Value::Null, &json!(app.id))
    );
    let path = format!("{RUNS}/{}", run["id"]);
    let started = client.patch(&path, json!({"status": "in_progress"})).await;
    assert_eq!(started.json()["status"], "in_progress");
    let output = json!({"title": "2 tests failed", "summary": "`test_ssl`", "annotations": [
        {"path": "a.c", "start_line": 3, "end_line": 3, "annotation_level": "failure", "message": "x"}
    ]});
    let body = json!({"status": "completed", "conclusion": "failure", "output": output});
    let ended = client.patch(&path, body).await.json();
    assert!(ended["completed_at"].is_string());
    assert_eq!(ended["output"]["annotations_count"], 1);
    forge.deliveries_settled().await;
    let expected = [
        "check_run created",
        "check_run completed",
        "check_suite completed",
    ];
    assert_eq!(listener.actions(), expected);
    let told = &listener.heard()[1].1["check_run"];
    assert_eq!(
        (&told["external_id"], &told["check_suite"]["conclusion"]),
        (&json!("run-1"), &json!("failure"))
    );
    assert_eq!(
        told["pull_requests"],
        json!([]),
        "checks do not look into forks"
    );
    let kept = forge.check_run(APP, &head, "debian").unwrap();
    assert_eq!(kept.output.title.as_deref(), Some("2 tests failed"));
    forge.finish().await;
}

#[tokio::test]
async fn a_personal_token_writes_no_check_run_and_reads_all() {
    let forge = forge().await;
    let (_, head) = mallory_opens(&forge).await;
    let (_, app, _) = with_checks(&forge).await;
    complete(&app, &head, "debian").await;
    let ada = Client::with_token(&forge, &forge.add_token("ada", TokenOptions::default()));
    let refused = ada.post(RUNS, json!({"name": "x", "head_sha": head})).await;
    assert_eq!(
        (refused.status, refused.json()["message"].clone()),
        (403, json!("You must authenticate via a GitHub App."))
    );
    let listed = ada
        .get(&format!("/repos/octo/app/commits/{head}/check-runs"))
        .await;
    assert_eq!(listed.json()["total_count"], 1);
    forge.finish().await;
}

#[tokio::test]
async fn an_app_without_the_permission_neither_reads_nor_writes_checks() {
    let forge = forge().await;
    let (_, head) = mallory_opens(&forge).await;
    let app = forge.add_app(AppOptions {
        repositories: vec![APP.to_owned()],
        ..AppOptions::default()
    });
    let client = token_of(&forge, &app).await;
    let list = format!("/repos/octo/app/commits/{head}/check-runs");
    for refused in [
        client
            .post(RUNS, json!({"name": "x", "head_sha": head}))
            .await,
        client.get(&list).await,
    ] {
        assert_eq!(
            (refused.status, refused.json()["message"].clone()),
            (403, json!("Resource not accessible by integration"))
        );
    }
    forge.finish().await;
}

#[tokio::test]
async fn an_app_changes_only_its_own_check_runs() {
    let forge = forge().await;
    let (_, head) = mallory_opens(&forge).await;
    let (_, client, _) = with_checks(&forge).await;
    let other = forge.other_check(APP, &head, "ci", "CI / tests", Elsewhere::Pending);
    let refused = client
        .patch(&format!("{RUNS}/{other}"), json!({"conclusion": "success"}))
        .await;
    assert_eq!(refused.status, 403);
    assert!(
        refused.json()["message"]
            .as_str()
            .unwrap()
            .contains("app_id")
    );
    forge.finish().await;
}

#[tokio::test]
async fn too_much_in_a_check_run_is_refused_in_githubs_words() {
    let forge = lenient().await;
    let (_, head) = mallory_opens(&forge).await;
    let (_, client, _) = with_checks(&forge).await;
    let note = json!({"path": "a", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "x"});
    let action = |label: &str| json!({"label": label, "description": "d", "identifier": "i"});
    let output = |more: Value| {
        let mut output = json!({"title": "t", "summary": "s"});
        output
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"output": output})
    };
    let bodies = [
        (
            output(json!({"annotations": vec![note; 51]})),
            "No more than 50 items are allowed; 51 were supplied.",
        ),
        (
            output(json!({"summary": "x".repeat(65_536)})),
            "Only 65535 characters are allowed; 65536 were supplied.",
        ),
        (
            json!({"actions": vec![action("l"); 4]}),
            "No more than 3 items are allowed; 4 were supplied.",
        ),
        (
            json!({"actions": [action(&"l".repeat(21))]}),
            "Only 20 characters are allowed; 21 were supplied.",
        ),
        (
            json!({"status": "completed"}),
            "\"conclusion\" wasn't supplied.",
        ),
    ];
    for (mut body, complaint) in bodies {
        body["name"] = json!("debian");
        body["head_sha"] = json!(head);
        let refused = client.post(RUNS, body).await;
        assert_eq!(
            (refused.status, refused.json()["message"].clone()),
            (422, json!(format!("Invalid request.\n\n{complaint}")))
        );
    }
    let unknown = client
        .post(RUNS, json!({"name": "x", "head_sha": "1".repeat(40)}))
        .await;
    assert_eq!(unknown.status, 422);
    assert!(forge.check_runs(APP, &head).is_empty());
}

#[tokio::test]
async fn annotations_add_up_over_updates() {
    let forge = forge().await;
    let (_, head) = mallory_opens(&forge).await;
    let (_, client, _) = with_checks(&forge).await;
    let path = format!("{RUNS}/{}", complete(&client, &head, "debian").await);
    let note = json!({"path": "a", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "x"});
    for expected in [50, 60] {
        let notes = vec![note.clone(); if expected == 50 { 50 } else { 10 }];
        let output = json!({"title": "t", "summary": "s", "annotations": notes});
        let written = client.patch(&path, json!({"output": output})).await.json();
        assert_eq!(written["output"]["annotations_count"], expected);
    }
    let page = client
        .get(&format!("{path}/annotations?per_page=50&page=2"))
        .await;
    assert_eq!(page.json().as_array().unwrap().len(), 10);
    forge.finish().await;
}

#[tokio::test]
async fn only_the_newest_run_of_a_name_counts_unless_all_are_asked_for() {
    let forge = forge().await;
    let (_, head) = mallory_opens(&forge).await;
    let (_, client, _) = with_checks(&forge).await;
    complete(&client, &head, "debian").await;
    let newer = complete(&client, &head, "debian").await;
    let other = forge.other_check(APP, &head, "ci", "CI / tests", Elsewhere::Passes);
    let list = format!("/repos/octo/app/commits/{head}/check-runs");
    let ids = |reply: Value| -> Vec<u64> {
        let runs = reply["check_runs"].as_array().unwrap().clone();
        runs.iter().map(|run| run["id"].as_u64().unwrap()).collect()
    };
    assert_eq!(ids(client.get(&list).await.json()), [other, newer]);
    let all = client.get(&format!("{list}?filter=all")).await;
    assert_eq!(all.json()["total_count"], 3);
    let named = client
        .get(&format!("{list}?check_name=CI%20%2F%20tests"))
        .await;
    assert_eq!(ids(named.json()), [other]);
    let first = client.get(&format!("{list}?filter=all&per_page=2")).await;
    let second = client.get(&first.link("next").unwrap()).await;
    assert_eq!(ids(second.json()).len(), 1);
    let again = client
        .clone()
        .header("if-none-match", first.header("etag"))
        .get(&format!("{list}?filter=all&per_page=2"))
        .await;
    assert_eq!(again.status, 304);
    forge.finish().await;
}

#[tokio::test]
async fn a_run_that_somebody_asks_for_again_stays_as_it_is_until_the_app_makes_a_new_one() {
    let forge = forge().await;
    let (_, head) = mallory_opens(&forge).await;
    let (app, client, listener) = with_checks(&forge).await;
    let run = complete(&client, &head, "debian").await;
    forge.deliveries_settled().await;
    let seen = listener.heard().len();
    forge.press_rerun(APP, run, "ada");
    forge.deliveries_settled().await;
    let (event, told) = listener.heard()[seen].clone();
    assert_eq!(
        (event.as_str(), &told["action"]),
        ("check_run", &json!("rerequested"))
    );
    assert_eq!(
        (&told["check_run"]["id"], &told["sender"]["login"]),
        (&json!(run), &json!("ada"))
    );
    assert_eq!(told["installation"]["id"], json!(app.installation_id));
    assert_eq!(forge.check_runs(APP, &head)[0].status, "completed");
    let suites = format!("/repos/octo/app/commits/{head}/check-suites");
    let suite = client.get(&suites).await.json()["check_suites"][0].clone();
    assert_eq!(
        (&suite["status"], &suite["conclusion"]),
        (&json!("queued"), &Value::Null)
    );
    complete(&client, &head, "debian").await;
    assert_eq!(
        client.get(&suites).await.json()["check_suites"][0]["status"],
        "completed"
    );
    forge.finish().await;
}

#[tokio::test]
async fn all_checks_of_an_app_are_asked_for_again_at_once() {
    let forge = forge().await;
    let (_, head) = mallory_opens(&forge).await;
    let (app, client, listener) = with_checks(&forge).await;
    complete(&client, &head, "debian").await;
    complete(&client, &head, "fedora").await;
    forge.press_rerun_all(APP, &head, app.id, "ada");
    forge.deliveries_settled().await;
    let (event, told) = listener.heard().pop().unwrap();
    assert_eq!(
        (
            event.as_str(),
            &told["action"],
            &told["check_suite"]["head_sha"]
        ),
        ("check_suite", &json!("rerequested"), &json!(head))
    );
    assert_eq!(told["check_suite"]["latest_check_runs_count"], 2);
    forge.finish().await;
}

#[tokio::test]
async fn a_button_tells_only_the_app_that_put_it_there_which_one_was_pressed() {
    let forge = forge().await;
    let (_, head) = mallory_opens(&forge).await;
    let hook = Listener::of(&forge).await;
    let (_, client, listener) = with_checks(&forge).await;
    let run = complete(&client, &head, "debian").await;
    forge.press_button(APP, run, "rerun-failed", "ada");
    forge.deliveries_settled().await;
    let (_, told) = listener.heard().pop().unwrap();
    assert_eq!(
        (&told["action"], &told["requested_action"]["identifier"]),
        (&json!("requested_action"), &json!("rerun-failed"))
    );
    assert!(
        hook.heard().is_empty(),
        "a repository's webhook is not told"
    );
    forge.finish().await;
}

#[tokio::test]
async fn a_push_to_the_repository_itself_makes_a_suite_and_a_pull_request_of_it_is_named() {
    let forge = forge().await;
    let (_, client, listener) = with_checks(&forge).await;
    let head = forge.push(APP, "topic", &[("x", "1\n")]).await;
    let pull = PullRequest {
        author: "ada",
        head: "topic",
        ..PullRequest::default()
    };
    let number = forge.open_pull_request(APP, pull).await;
    complete(&client, &head, "debian").await;
    forge.deliveries_settled().await;
    let heard = listener.heard();
    assert_eq!(listener.actions()[0], "check_suite requested");
    assert_eq!(heard[0].1["check_suite"]["head_branch"], "topic");
    let told = heard
        .iter()
        .find(|(event, _)| event == "check_run")
        .unwrap();
    assert_eq!(
        told.1["check_run"]["pull_requests"][0]["number"],
        json!(number)
    );
    forge.finish().await;
}

#[tokio::test]
async fn checks_and_statuses_of_other_systems_are_seen_and_change() {
    let forge = forge().await;
    let (_, head) = mallory_opens(&forge).await;
    let first = forge.other_check(APP, &head, "ci", "CI / tests", Elsewhere::Pending);
    let again = forge.other_check(APP, &head, "ci", "CI / tests", Elsewhere::Fails);
    assert_eq!(first, again);
    forge.other_status(APP, &head, "azure", "azure/build", Elsewhere::Passes);
    let anybody = Client::anonymous(&forge);
    let runs = anybody
        .get(&format!("/repos/octo/app/commits/{head}/check-runs"))
        .await;
    assert_eq!(runs.json()["check_runs"][0]["conclusion"], "failure");
    let status = anybody
        .get(&format!("/repos/octo/app/commits/{head}/status"))
        .await;
    assert_eq!(status.json()["state"], "success");
    forge.finish().await;
}

#[tokio::test]
async fn who_subscribes_to_statuses_hears_of_those_of_other_systems() {
    let forge = forge().await;
    let listener = Listener::of(&forge).await;
    forge.set_hook_events(forge.hooks(APP)[0], &["status", "check_run"]);
    let (_, head) = mallory_opens(&forge).await;
    forge.other_status(APP, &head, "azure", "azure/build", Elsewhere::Fails);
    forge.deliveries_settled().await;
    let (event, told) = listener.heard().pop().unwrap();
    assert_eq!(
        (event.as_str(), &told["sha"], &told["state"]),
        ("status", &json!(head), &json!("failure"))
    );
    forge.other_check(APP, &head, "ci", "CI / tests", Elsewhere::Pending);
    forge.deliveries_settled().await;
    assert_eq!(listener.actions()[1], "check_run created");
    forge.finish().await;
}
