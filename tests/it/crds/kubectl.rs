//! What a person sees who types `kubectl get` and `kubectl explain`.

use std::path::PathBuf;

use serde_json::json;
use tests::parts;

use super::samples::{self, KINDS, sha};
use super::{Desk, with};

impl Desk {
    /// What the real kubectl prints.
    async fn kubectl(&self, args: &[&str]) -> String {
        let kubectl: PathBuf = parts::existing(&parts::KUBECTL).unwrap();
        let mut command = tokio::process::Command::new(kubectl);
        command
            .arg("--kubeconfig")
            .arg(self.install.access().kubeconfig());
        // Its own memory of the kinds: another cluster may have had this address.
        command
            .arg("--cache-dir")
            .arg(self.install.dir().unwrap().join("kubectl"));
        command
            .args(["--namespace", self.install.namespace()])
            .args(args);
        let output = command.output().await.unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success(),
            "{args:?}: {printed}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        printed
    }

    /// One object of each kind, in the middle of what it is for.
    async fn furnish(&self) {
        for kind in KINDS {
            self.make(kind, samples::name(kind), &samples::spec(kind))
                .await;
        }
        let status = json!({
            "phase": "Running", "shortSha": &sha()[..10], "summary": "93 passed, 2 failed",
            "counts": { "total": 100, "running": 2, "queued": 3 },
        });
        self.patch_status("PrBuild", "app-7-l1", status)
            .await
            .unwrap();
        let status = json!({
            "phase": "Queued",
            "waiting": { "reason": "3 ahead on s390x", "ahead": 3, "since": "2026-01-31T12:00:00Z" },
        });
        self.patch_status("BuilderRun", "app-7-l1-debian-1", status)
            .await
            .unwrap();
        let ready = json!([{
            "type": "Ready", "status": "False", "reason": "NoConnection", "message": "there is no connection github",
            "lastTransitionTime": "2026-01-31T12:00:00Z",
        }]);
        let status = json!({ "fullName": "Octo/App", "id": 5, "conditions": ready });
        self.patch_status("Repository", "app", status)
            .await
            .unwrap();
        let ready = json!([{
            "type": "Ready", "status": "False", "reason": "Offline", "message": "offline since 14:05 UTC",
            "lastTransitionTime": "2026-01-31T12:00:00Z",
        }]);
        let status = json!({ "busy": 1, "version": "0.3.1", "conditions": ready });
        self.patch_status("Worker", "app", status).await.unwrap();
        self.patch_status(
            "Answer",
            "app-7-l1",
            json!({ "given": "Comment", "sentence": "It is closed." }),
        )
        .await
        .unwrap();
    }
}

/// The cells of one line; columns are two or more spaces apart.
fn cells(line: &str) -> Vec<&str> {
    line.split("  ")
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
        .collect()
}

/// The heads and the first row of what `kubectl get` prints.
fn table(printed: &str) -> (Vec<&str>, Vec<&str>) {
    let mut lines = printed.lines();
    (
        cells(lines.next().unwrap_or_default()),
        cells(lines.next().unwrap_or_default()),
    )
}

#[tokio::test]
async fn kubectl_get_workers_says_who_is_there_since_when_how_busy_and_why_not() {
    let desk = Desk::open("kubectl-workers").await;
    desk.furnish().await;
    let narrow = [
        "NAME", "READY", "WHY", "SINCE", "BUSY", "SLOTS", "VERSION", "AGE",
    ];
    for words in ["workers", "wrk"] {
        let printed = desk.kubectl(&["get", words]).await;
        let (heads, row) = table(&printed);
        assert_eq!(heads, narrow);
        assert_eq!(row[..3], ["app", "False", "Offline"]);
        assert_eq!(row[4..7], ["1", "1", "0.3.1"]);
    }
    let wide = desk.kubectl(&["get", "workers", "-o", "wide"]).await;
    assert!(wide.contains("offline since 14:05 UTC"), "{wide}");
    assert!(wide.contains("Ada <ada@example.org>"), "{wide}");
    desk.close().await;
}

#[tokio::test]
async fn kubectl_get_prbuilds_says_what_is_going_on() {
    let desk = Desk::open("kubectl-builds").await;
    desk.furnish().await;
    let narrow = [
        "NAME", "PR", "SHA", "FLAVOUR", "BY", "PHASE", "RESULT", "RUNNING", "QUEUED", "AGE",
    ];
    let row = [
        "app-7-l1",
        "7",
        "0123456789",
        "default",
        "ada",
        "Running",
        "93 passed, 2 failed",
        "2",
        "3",
    ];
    for words in ["prbuilds", "prb"] {
        let printed = desk.kubectl(&["get", words]).await;
        let (heads, cells) = table(&printed);
        assert_eq!(heads, narrow);
        assert_eq!(cells[..9], row, "{printed}");
    }
    let printed = desk.kubectl(&["get", "prbuilds", "-o", "wide"]).await;
    let (heads, cells) = table(&printed);
    assert_eq!(heads[..10], narrow);
    assert_eq!(
        heads[10..],
        ["REPO", "BASE", "TRIGGER", "DURATION", "REASON"]
    );
    assert_eq!(cells[10..], ["octo/app", "main", "Label"], "{printed}");
    desk.close().await;
}

#[tokio::test]
async fn the_other_kinds_say_it_too() {
    let desk = Desk::open("kubectl-others").await;
    desk.furnish().await;
    let expected: [(&str, &[&str], &[&str], &str); 4] = [
        (
            "ghrepo",
            &["NAME", "GITHUB", "CONNECTION", "READY", "REASON", "AGE"],
            &["MESSAGE"],
            "there is no connection github",
        ),
        (
            "bld",
            &[
                "NAME",
                "TIER",
                "STABILITY",
                "LIMIT",
                "READY",
                "PAUSED",
                "AGE",
            ],
            &["DISPLAY NAME", "IMAGE", "EVIDENCE", "MESSAGE"],
            "debian:13",
        ),
        (
            "run",
            &[
                "NAME", "BUILDER", "PR", "ATTEMPT", "PHASE", "WAITING", "AHEAD", "EXIT", "TOLD",
                "AGE",
            ],
            &["BUILD", "WORKER", "REASON"],
            "3 ahead on s390x",
        ),
        (
            "ans",
            &["NAME", "PR", "BY", "TRIGGER", "REASON", "GIVEN", "AGE"],
            &["REPO", "SENTENCE"],
            "It is closed.",
        ),
    ];
    for (words, narrow, wide, seen) in expected {
        let printed = desk.kubectl(&["get", words]).await;
        assert_eq!(table(&printed).0, narrow);
        let printed = desk.kubectl(&["get", words, "-o", "wide"]).await;
        assert_eq!(table(&printed).0, [narrow, wide].concat());
        assert!(printed.contains(seen), "{printed}");
    }
    desk.close().await;
}

#[tokio::test]
async fn the_category_shows_all_kinds_and_one_build_has_names_of_its_own() {
    let desk = Desk::open("kubectl-category").await;
    desk.furnish().await;
    for args in [&["get", "prbuild"][..], &["get", "prbuild", "-A"]] {
        let printed = desk.kubectl(args).await;
        for resource in ["answer", "builder", "builderrun", "prbuild", "repository"] {
            assert!(
                printed.contains(&format!("{resource}.prbuild.dev/")),
                "{args:?}: {printed}"
            );
        }
    }
    for words in ["prb", "prbuilds", "prbuild.prbuild.dev"] {
        let printed = desk
            .kubectl(&["get", words, "app-7-l1", "-o", "name"])
            .await;
        assert_eq!(printed.trim(), "prbuild.prbuild.dev/app-7-l1", "{words}");
    }
    let found = desk
        .kubectl(&[
            "get",
            "prb",
            "--field-selector",
            "spec.request.number=7",
            "-o",
            "name",
        ])
        .await;
    assert_eq!(found.lines().count(), 1, "{found}");
    let none = desk
        .kubectl(&[
            "get",
            "prb",
            "--field-selector",
            "spec.request.number=8",
            "-o",
            "name",
        ])
        .await;
    assert_eq!(none, "");
    desk.close().await;
}

#[tokio::test]
async fn kubectl_explain_tells_what_each_field_of_a_request_is() {
    let desk = Desk::open("kubectl-explain").await;
    let printed = desk.kubectl(&["explain", "prbuild.spec.request"]).await;
    let text = printed.split_whitespace().collect::<Vec<_>>().join(" ");
    for sentence in [
        "What was authorized: which code, on which builders, on whose request. Immutable.",
        "headSha <string> -required- The labelled head of the pull request, in full. Results are told on this commit.",
        "mergeSha <string> The commit that is built: GitHub's test merge of exactly that head into the base branch.",
        "number <integer> -required- Number of the pull request.",
        "trigger <Object> -required- The label or command that asked, when, and by whom.",
    ] {
        assert!(text.contains(sentence), "{sentence}\n{printed}");
    }
    let printed = desk.kubectl(&["explain", "builder.spec.evidence"]).await;
    let words: Vec<&str> = printed.split_whitespace().collect();
    assert!(
        words
            .windows(4)
            .any(|four| four == ["ENUM:", "Label", "ExactSha", "Review"]),
        "{printed}"
    );
    desk.close().await;
}

#[tokio::test]
async fn the_patch_that_kubectl_explain_tells_cancels_a_build() {
    let desk = Desk::open("kubectl-cancel").await;
    desk.make("PrBuild", "app-7-l1", &samples::spec("PrBuild"))
        .await;
    let cancel = json!({ "by": "me", "reason": "why", "at": "2026-01-31T12:00:00Z" });
    let told = format!("'{{\"spec\": {{\"cancel\": {}}}}}'", spaced(&cancel));
    let printed = desk.kubectl(&["explain", "prbuild.spec.cancel"]).await;
    let text = printed.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(&told), "{told}\n{printed}");
    let patch = told.trim_matches('\'');
    desk.kubectl(&["patch", "prb", "app-7-l1", "--type", "merge", "-p", patch])
        .await;
    let build = desk.objects("PrBuild").get("app-7-l1").await.unwrap();
    assert_eq!(
        build.data["spec"],
        with(build.data["spec"].clone(), json!({ "cancel": cancel }))
    );
    desk.close().await;
}

/// A flat object with spaces as people write them, in the order in which the sentence has the fields.
fn spaced(object: &serde_json::Value) -> String {
    let field = |name: &str| format!("\"{name}\": {}", object[name]);
    format!("{{{}}}", ["by", "reason", "at"].map(field).join(", "))
}
