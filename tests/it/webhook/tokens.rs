//! Tokens, and the traps of the library underneath: none of them is ours.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use github::{Access, Connections, GithubError, Place, Repo, StatusState};
use jiff::Timestamp;
use serde_json::json;
use tests::forge::{
    AppOptions, ConnectionKind, Fault, Forge, ForgeOptions, PullRequest, Role, TokenKind, UserType,
};

const APP: &str = "octo/app";
const MINT: &str = "POST /app/installations/*/access_tokens";

/// A forge, and a connection to it as an App.
struct Scene {
    forge: Forge,
    number: u64,
    connections: Arc<Connections>,
    dir: PathBuf,
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Scene {
    async fn new(access: Access) -> Self {
        let forge = Forge::start(ForgeOptions::default()).await;
        forge.add_user("ada", UserType::User);
        forge.add_repository(APP, &[("README", "An app.\n")]).await;
        forge.set_permission(APP, "ada", Role::Write);
        forge.push(APP, "topic", &[("a.txt", "a\n")]).await;
        let new = PullRequest {
            title: "A change",
            author: "ada",
            head: "topic",
            ..PullRequest::default()
        };
        let number = forge.open_pull_request(APP, new).await;
        let options = AppOptions {
            repositories: vec![APP.to_owned()],
            ..AppOptions::default()
        };
        let app = forge.add_app(options);
        let dir = std::env::temp_dir().join(format!(
            "prbuild-tokens-{}-{}",
            std::process::id(),
            forge.address().port()
        ));
        let host = forge.address().ip();
        forge
            .write_connection(&dir, "github", &ConnectionKind::App(app), &[], host)
            .unwrap();
        let connections = Connections::load(&dir, access).unwrap();
        Self {
            forge,
            number,
            connections,
            dir,
        }
    }

    fn repo(&self) -> Repo {
        self.connections.get("github").unwrap().repo("octo", "app")
    }

    fn n(&self) -> i64 {
        i64::try_from(self.number).unwrap()
    }
}

#[tokio::test]
async fn twenty_callers_share_one_installation_token() {
    let scene = Scene::new(Access::Read).await;
    let repos: Vec<Repo> = (0..20).map(|_| scene.repo()).collect();
    let all = repos.iter().map(|repo| repo.pull_request(scene.n()));
    for found in futures::future::join_all(all).await {
        found.unwrap();
    }
    assert_eq!(scene.forge.log().count(MINT), 1);
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_token_that_github_takes_back_is_minted_anew_once() {
    let scene = Scene::new(Access::Read).await;
    scene.repo().pull_request(scene.n()).await.unwrap();
    scene.forge.revoke_installation_tokens();
    scene.repo().pull_request(scene.n()).await.unwrap();
    assert_eq!(scene.forge.log().count(MINT), 2);
    scene.forge.finish().await;
}

#[tokio::test]
async fn an_app_is_known_although_the_machines_clock_is_wrong_by_minutes() {
    let scene = Scene::new(Access::Read).await;
    let (forge, minutes) = (&scene.forge, |n: u64| Duration::from_secs(60 * n));
    let asked = || forge.log().count("GET /app/installations/*");
    forge.judge_jwts_by_its_own_clock();
    // Ours is fast: what it makes is from the future.
    forge.clock().set_back(minutes(10));
    scene.repo().pull_request(scene.n()).await.unwrap();
    assert_eq!(asked(), 2, "the first was refused");
    forge.revoke_installation_tokens();
    scene.repo().pull_request(scene.n()).await.unwrap();
    assert_eq!(asked(), 3, "the difference is known by now");
    // Ours is slow: what it makes is over already.
    forge.clock().advance(minutes(25));
    forge.revoke_installation_tokens();
    scene.repo().pull_request(scene.n()).await.unwrap();
    assert_eq!(asked(), 5);
    scene.forge.finish().await;
}

#[tokio::test]
async fn an_app_that_is_not_known_asks_once_each_time_although_the_clocks_differ() {
    let scene = Scene::new(Access::Read).await;
    let forge = &scene.forge;
    let asked = || forge.log().count("GET /app/installations/*");
    forge.judge_jwts_by_its_own_clock();
    forge.clock().set_back(Duration::from_secs(600));
    // As with a key that is another App's: neither our clock nor GitHub's helps.
    let refused = forge
        .faults()
        .on("GET /app/installations/*", Fault::Status(401));
    for times in 2..6 {
        let error = scene.repo().pull_request(scene.n()).await.unwrap_err();
        assert!(matches!(error, GithubError::Unauthorized { .. }), "{error}");
        assert_eq!(asked(), times, "only the first is asked by both clocks");
    }
    forge.faults().off(refused);
    scene.forge.finish().await;
}

#[tokio::test]
async fn twenty_callers_whose_token_ended_refresh_it_once() {
    let scene = Scene::new(Access::Read).await;
    scene.repo().pull_request(scene.n()).await.unwrap();
    assert_eq!(scene.forge.log().count(MINT), 1);
    // By GitHub's clock it ended; ours holds it for good, so all twenty are told at once.
    scene.forge.clock().advance(Duration::from_secs(2 * 3600));
    let repos: Vec<Repo> = (0..20).map(|_| scene.repo()).collect();
    let all = repos.iter().map(|repo| repo.pull_request(scene.n()));
    for found in futures::future::join_all(all).await {
        found.unwrap();
    }
    assert_eq!(scene.forge.log().count(MINT), 2);
    scene.forge.finish().await;
}

#[tokio::test]
async fn the_webhooks_token_cannot_write() {
    let scene = Scene::new(Access::Read).await;
    let head = scene.forge.pull_request(APP, scene.number).head_sha;
    let repo = scene.repo();
    let status = repo
        .create_status(&head, "x", StatusState::Success, "forged", None)
        .await;
    assert!(
        matches!(status, Err(GithubError::Forbidden { .. })),
        "{status:?}"
    );
    let comment = repo.create_comment(scene.n(), "forged").await;
    assert!(
        matches!(comment, Err(GithubError::Forbidden { .. })),
        "{comment:?}"
    );
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_write_that_fails_is_sent_once() {
    let scene = Scene::new(Access::Report).await;
    let head = scene.forge.pull_request(APP, scene.number).head_sha;
    let repo = scene.repo();
    for fault in [
        Fault::Status(502),
        Fault::AnswerLost(502),
        Fault::Cut,
        Fault::Status(500),
    ] {
        scene.forge.log().clear();
        let fault = scene.forge.faults().on("POST /repos/**", fault);
        let error = repo
            .create_status(&head, "x", StatusState::Pending, "d", None)
            .await
            .unwrap_err();
        assert!(error.is_transient(), "{error}");
        scene.forge.faults().off(fault);
        assert_eq!(
            scene.forge.log().count("POST /repos/*/*/statuses/*"),
            1,
            "{error}"
        );
    }
    scene.forge.finish().await;
}

#[tokio::test]
async fn every_page_is_asked_for_with_the_credential() {
    let scene = Scene::new(Access::Read).await;
    for _ in 0..130 {
        scene.forge.add_label(APP, scene.number, "docs", "ada");
        scene.forge.remove_label(APP, scene.number, "docs", "ada");
    }
    let newest = scene.forge.add_label(APP, scene.number, "last", "ada");
    let events = scene.repo().label_events(scene.n()).await.unwrap().value;
    assert!(!events.complete);
    assert_eq!(
        events.events.last().unwrap().id,
        i64::try_from(newest).unwrap()
    );
    let asked = scene.forge.log().matching("GET /repos/*/*/issues/*/events");
    assert_eq!(asked.len(), 3);
    assert!(
        asked.iter().all(|one| one.token == TokenKind::Installation),
        "{asked:?}"
    );
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_page_that_strangers_make_too_large_is_read_in_parts() {
    // The one that may wait longer: these are many bytes.
    let scene = Scene::new(Access::Report).await;
    let comment = |text: &str| {
        let comment = scene.forge.comment(APP, scene.number, "ada", text);
        i64::try_from(comment).unwrap()
    };
    // As long as GitHub takes them.
    let long = "🔨".repeat(65_536);
    let mut written: Vec<i64> = (0..66).map(|_| comment(&long)).collect();
    written.push(comment("/prbuild run"));
    let begin = Timestamp::UNIX_EPOCH;
    let found = scene.repo().changed_comments(Place::at(begin)).await;
    let mut found: Vec<i64> = found.unwrap().value.iter().map(|one| one.id).collect();
    found.sort_unstable();
    assert_eq!(found, written);
    let list = "GET /repos/*/*/issues/comments";
    let asked = scene.forge.log().matching(list);
    assert_eq!(asked.len(), 11, "{asked:?}");
    assert!(
        asked.iter().all(|one| one.token == TokenKind::Installation),
        "{asked:?}"
    );
    scene.forge.finish().await;
}

#[tokio::test]
async fn every_role_that_github_reports_is_understood() {
    let scene = Scene::new(Access::Read).await;
    for (login, role, permission) in [
        ("a", Role::Admin, "admin"),
        ("m", Role::Maintain, "write"),
        ("w", Role::Write, "write"),
        ("t", Role::Triage, "read"),
    ] {
        scene.forge.add_user(login, UserType::User);
        scene.forge.set_permission(APP, login, role);
        let found = scene.repo().permission(login).await.unwrap().value;
        assert_eq!(found.permission, permission, "{login}");
    }
    scene.forge.add_user("stranger", UserType::User);
    assert_eq!(
        scene
            .repo()
            .permission("stranger")
            .await
            .unwrap()
            .value
            .permission,
        "read"
    );
    scene.forge.finish().await;
}

#[tokio::test]
async fn no_error_shows_a_token() {
    let scene = Scene::new(Access::Read).await;
    let mut errors = Vec::new();
    for fault in [
        Fault::Status(401),
        Fault::Status(500),
        Fault::Malformed,
        Fault::Cut,
    ] {
        let fault = scene.forge.faults().on("* /**", fault);
        errors.push(scene.repo().pull_request(scene.n()).await.unwrap_err());
        scene.forge.faults().off(fault);
    }
    let malformed = scene.forge.faults().on(MINT, Fault::Malformed);
    scene.forge.revoke_installation_tokens();
    errors.push(scene.repo().pull_request(scene.n()).await.unwrap_err());
    scene.forge.faults().off(malformed);
    for error in errors {
        let text = format!("{error} {error:?} {:?}", scene.repo());
        assert!(!text.contains("ghs_") && !text.contains("eyJ"), "{text}");
    }
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_rate_limit_is_kept_until_it_is_over() {
    let scene = Scene::new(Access::Read).await;
    let repo = scene.repo();
    repo.pull_request(scene.n()).await.unwrap();
    let limited = Fault::RateLimited {
        status: 403,
        retry_after: Some(60),
    };
    scene
        .forge
        .faults()
        .next(1, "GET /repos/*/*/pulls/*", limited);
    let error = repo.pull_request(scene.n()).await.unwrap_err();
    assert!(matches!(error, GithubError::RateLimited { .. }), "{error}");
    scene.forge.log().clear();
    let error = repo.pull_request(scene.n()).await.unwrap_err();
    assert!(matches!(error, GithubError::RateLimited { .. }), "{error}");
    assert!(
        scene.forge.log().all().is_empty(),
        "nothing is sent while limited"
    );
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_limit_that_graphql_tells_with_status_200_is_kept_whatever_it_is_called() {
    let scene = Scene::new(Access::Read).await;
    let primary = "API rate limit already exceeded for installation ID 7.";
    for problem in [
        json!({ "type": "RATE_LIMIT", "code": "graphql_rate_limit", "message": primary }),
        json!({ "message": "You have exceeded a secondary rate limit." }),
        json!({ "type": "UNPROCESSABLE", "message": "was submitted too quickly" }),
    ] {
        // Each has limits of its own.
        let connections = Connections::load(&scene.dir, Access::Read).unwrap();
        let repo = connections.get("github").unwrap().repo("octo", "app");
        let told = Fault::Answer(200, json!({ "errors": [problem] }));
        scene.forge.faults().next(1, "POST /graphql", told);
        for _ in 0..3 {
            let error = repo.test_merge(scene.n()).await.unwrap_err();
            assert!(matches!(error, GithubError::RateLimited { .. }), "{error}");
        }
        assert_eq!(scene.forge.log().count("POST /graphql"), 1, "{problem}");
        repo.pull_request(scene.n()).await.unwrap();
        scene.forge.log().clear();
    }
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_connection_without_the_app_on_the_repository_says_so() {
    let scene = Scene::new(Access::Report).await;
    assert_eq!(
        scene.repo().missing_permissions().await.unwrap(),
        Vec::<String>::new()
    );
    scene.forge.add_repository("octo/other", &[]).await;
    let other = scene
        .connections
        .get("github")
        .unwrap()
        .repo("octo", "other");
    assert!(other.repository().await.is_err());
    scene.forge.finish().await;
}
