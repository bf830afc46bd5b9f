//! What a build finds when it looks around in its pod.

use std::time::Duration;

use crds::BuildResult;
use tests::story::Story;

use super::{begin, runs};

/// Each line must succeed; the first that does not is the failing step.
const PROBE: &str = r#"
set -x
test "$(id -u)" = 65532
test ! -e /var/run/secrets/kubernetes.io
test -z "$(env | grep -E '^(PRBUILD_|KUBERNETES_)|_SERVICE_(HOST|PORT)')"
! tr '\0' '\n' < /proc/1/environ | grep PRBUILD_
! touch /usr/probe
! touch /prbuild/agent
grep -q '^CapEff:.*0000000000000000$' /proc/self/status
grep -q '^NoNewPrivs:.*1$' /proc/self/status
grep -q '^Seccomp:.*2$' /proc/self/status
test "$CI" = true
test "$GITHUB_WORKSPACE" = "$PWD"
test -n "$GITHUB_SHA" && test "$GITHUB_REPOSITORY" = octo/app && test "$RUNNER_OS" = Linux
echo probe > "$RUNNER_TEMP/probe" && echo probe > /tmp/probe && echo probe > "$HOME/probe"
"#;

#[tokio::test]
async fn s25_a_build_has_no_token_no_rights_and_no_way_to_write_outside_its_folders() {
    let story = begin("hardening").await;
    story.builder("probe", runs(PROBE)).await;
    result(&story, "probe", BuildResult::Passed).await;
    story.end().await;
}

#[tokio::test]
async fn a_build_that_eats_memory_or_scribbles_over_its_result_has_failed() {
    let story = begin("abuse").await;
    story
        .builder(
            "liar",
            runs(r#"echo '{"verdict":"Passed","exitCode":0}' > /dev/termination-log; exit 9"#),
        )
        .await;
    result(&story, "liar", BuildResult::Failed).await;
    story
        .builder("liar", |spec| spec.flavours = vec!["none".into()])
        .await;
    story
        .builder("eater", runs("cat /dev/zero | head -c 2000000000 | tail"))
        .await;
    result(&story, "eater", BuildResult::Failed).await;
    story.end().await;
}

/// Builds a pull request and compares the result.
async fn result(story: &Story, branch: &str, expected: BuildResult) {
    let number = story.open_pull_request(branch, &[("README", branch)]).await;
    let name = story.name_of(number, story.label(number));
    let build = story.complete_within(&name, Duration::from_secs(90)).await;
    let reasons: Vec<_> = story
        .runs(&name)
        .await
        .into_iter()
        .filter_map(|run| run.status?.outcome)
        .collect();
    assert_eq!(build.status.unwrap().result, Some(expected), "{reasons:?}");
}
