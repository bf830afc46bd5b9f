//! Repositories, forks, pushes, activity, and git over HTTP.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use tests::forge::{ForkActivity, Push, TokenOptions};

use super::client::Client;
use super::{APP, forge, mallory_opens};

fn git(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("git");
    command
        .args(arguments)
        .current_dir(dir)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.env("GIT_TERMINAL_PROMPT", "0").output().unwrap()
}

/// A folder that goes when the story ends.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let dir =
            std::env::temp_dir().join(format!("prbuild-forge-story-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Fetches one commit, shallow, and returns what `git cat-file commit` says of it.
async fn fetch(
    forge: &tests::forge::Forge,
    repository: &str,
    sha: &str,
    name: &str,
) -> Result<String, String> {
    fetch_from(&forge.api_url(), repository, sha, name).await
}

/// The same from a forge at this URL.
pub async fn fetch_from(
    forge: &str,
    repository: &str,
    sha: &str,
    name: &str,
) -> Result<String, String> {
    let (url, sha) = (format!("{forge}/{repository}.git"), sha.to_owned());
    let folder = Folder::new(name);
    tokio::task::spawn_blocking(move || {
        git(&folder.0, &["init", "--quiet"]);
        let fetched = git(
            &folder.0,
            &["fetch", "--quiet", "--no-tags", "--depth=1", &url, &sha],
        );
        if !fetched.status.success() {
            return Err(String::from_utf8_lossy(&fetched.stderr).into_owned());
        }
        let depth = git(&folder.0, &["rev-list", "--count", "FETCH_HEAD"]);
        assert_eq!(
            String::from_utf8_lossy(&depth.stdout).trim(),
            "1",
            "the fetch is shallow"
        );
        Ok(
            String::from_utf8_lossy(&git(&folder.0, &["cat-file", "commit", "FETCH_HEAD"]).stdout)
                .into_owned(),
        )
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_commit_of_a_fork_is_fetched_by_its_sha_from_the_base() {
    let forge = forge().await;
    let (_, head) = mallory_opens(&forge).await;
    let commit = fetch(&forge, APP, &head, "fork-commit").await.unwrap();
    assert!(commit.contains("author mallory"), "{commit}");
    forge.delete_fork("mallory/app");
    assert!(
        fetch(&forge, APP, &head, "deleted-fork").await.is_ok(),
        "it stays when the fork goes"
    );
    forge.finish().await;
}

#[tokio::test]
async fn the_test_merge_is_fetched_by_its_sha_and_shows_both_parents() {
    let forge = forge().await;
    let (number, head) = mallory_opens(&forge).await;
    let merge = forge.pull_request(APP, number).test_merge.current.unwrap();
    let commit = fetch(&forge, APP, &merge.oid, "test-merge").await.unwrap();
    let base = forge.branch(APP, "main").unwrap();
    assert!(
        commit.starts_with(&format!(
            "tree {}\nparent {base}\nparent {head}\n",
            merge.tree
        )),
        "{commit}"
    );
    forge.finish().await;
}

#[tokio::test]
async fn a_commit_that_nobody_pushed_cannot_be_fetched() {
    let forge = forge().await;
    let refused = fetch(
        &forge,
        APP,
        "1234567890123456789012345678901234567890",
        "unknown",
    )
    .await
    .unwrap_err();
    assert!(refused.contains("not our ref"), "{refused}");
    let nowhere = fetch(
        &forge,
        "octo/none",
        "1234567890123456789012345678901234567890",
        "nowhere",
    )
    .await
    .unwrap_err();
    assert!(nowhere.contains("not found"), "{nowhere}");
}

#[tokio::test]
async fn a_repository_can_be_cloned_and_its_scripts_are_executable() {
    let forge = forge().await;
    let (url, folder) = (
        format!("{}/octo/app.git", forge.api_url()),
        Folder::new("clone"),
    );
    let dir = folder.0.clone();
    let cloned = tokio::task::spawn_blocking(move || git(&dir, &["clone", "--quiet", &url, "app"]))
        .await
        .unwrap();
    assert!(
        cloned.status.success(),
        "{}",
        String::from_utf8_lossy(&cloned.stderr)
    );
    assert_eq!(
        std::fs::read_to_string(folder.0.join("app/README")).unwrap(),
        "An app.\n"
    );
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(
        std::fs::metadata(folder.0.join("app/test.sh"))
            .unwrap()
            .permissions()
            .mode()
            & 0o111,
        0o111
    );
}

#[tokio::test]
async fn every_movement_of_a_branch_is_on_record() {
    let forge = forge().await;
    forge.fork(APP, "mallory").await;
    let first = forge.push("mallory/app", "change", &[("a", "1\n")]).await;
    let second = forge.push("mallory/app", "change", &[("a", "2\n")]).await;
    let third = forge
        .force_push("mallory/app", "change", &[("a", "3\n")])
        .await;
    forge
        .move_branch("mallory/app", "change", &first, "mallory")
        .await;
    forge
        .delete_branch("mallory/app", "change", "mallory")
        .await;
    let zeros = "0".repeat(40);
    let told = Client::anonymous(&forge)
        .get("/repos/mallory/app/activity?ref=refs/heads/change&per_page=10")
        .await
        .json();
    let seen: Vec<(&str, &str, &str)> = told
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["activity_type"].as_str().unwrap(),
                one["before"].as_str().unwrap(),
                one["after"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("branch_deletion", first.as_str(), zeros.as_str()),
        ("force_push", &third, &first),
        ("force_push", &second, &third),
        ("push", &first, &second),
        ("branch_creation", &zeros, &first),
    ];
    assert_eq!(seen, expected, "newest first");
    assert!(
        told.as_array()
            .unwrap()
            .iter()
            .all(|one| one["actor"]["login"] == "mallory")
    );
    forge.finish().await;
}

#[tokio::test]
async fn activity_pages_by_cursor_and_filters_by_ref_and_age() {
    let forge = forge().await;
    forge.push(APP, "old", &[("a", "1\n")]).await;
    forge.clock().advance(Duration::from_secs(8 * 86_400));
    forge.push(APP, "new", &[("a", "2\n")]).await;
    let anybody = Client::anonymous(&forge);
    let first = anybody.get("/repos/octo/app/activity?per_page=2").await;
    assert_eq!(first.json()[1]["ref"], "refs/heads/old");
    let second = anybody.get(&first.link("next").unwrap()).await;
    assert_eq!(second.json()[0]["ref"], "refs/heads/main");
    assert_eq!(second.link("next"), None);
    let week = anybody
        .get("/repos/octo/app/activity?time_period=week")
        .await
        .json();
    assert_eq!(week.as_array().unwrap().len(), 1);
    assert_eq!(
        anybody
            .get("/repos/octo/app/activity?ref=new")
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
    forge.finish().await;
}

#[tokio::test]
async fn a_token_of_the_base_may_be_kept_from_a_forks_activity() {
    let forge = forge().await;
    mallory_opens(&forge).await;
    let ada = Client::with_token(&forge, &forge.add_token("ada", TokenOptions::default()));
    let path = "/repos/mallory/app/activity";
    assert_eq!(ada.get(path).await.json().as_array().unwrap().len(), 1);
    forge.show_fork_activity(ForkActivity::NotFound, true);
    assert_eq!(ada.get(path).await.status, 404);
    assert_eq!(
        Client::anonymous(&forge).get(path).await.status,
        200,
        "anybody may still look"
    );
    forge.show_fork_activity(ForkActivity::Empty, false);
    assert_eq!(ada.get(path).await.json(), serde_json::json!([]));
    assert_eq!(Client::anonymous(&forge).get(path).await.status, 401);
    assert_eq!(
        ada.get("/repos/octo/app/activity").await.status,
        200,
        "the base is always seen"
    );
    forge.finish().await;
}

#[tokio::test]
async fn who_pushed_may_be_somebody_else_or_unknown() {
    let forge = forge().await;
    let by_ada = Push {
        repository: APP,
        branch: "a",
        files: &[("a", "1\n")],
        by: "ada",
        ..Push::default()
    };
    forge.push_with(by_ada).await;
    forge
        .push_with(Push {
            branch: "b",
            anonymous: true,
            ..by_ada
        })
        .await;
    let told = Client::anonymous(&forge)
        .get("/repos/octo/app/activity")
        .await
        .json();
    assert_eq!(told[0]["actor"], serde_json::Value::Null);
    assert_eq!(told[1]["actor"]["login"], "ada");
    forge.finish().await;
}

#[tokio::test]
async fn a_commit_may_lie_about_its_age() {
    let forge = forge().await;
    let commit_time = Some("2001-01-01T00:00:00Z".parse().unwrap());
    let push = Push {
        repository: APP,
        branch: "old",
        files: &[("a", "1\n")],
        commit_time,
        ..Push::default()
    };
    let sha = forge.push_with(push).await;
    assert!(
        fetch(&forge, APP, &sha, "age")
            .await
            .unwrap()
            .contains("978307200 +0000")
    );
    let told = Client::anonymous(&forge)
        .get("/repos/octo/app/activity?per_page=1")
        .await
        .json();
    assert!(
        told[0]["timestamp"].as_str().unwrap() > "2025",
        "activity tells the truth"
    );
}
