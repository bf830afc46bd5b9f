//! What people do in front of the webhook, and what came of it.

use crds::{BuilderResult, RunPhase};
use tests::forge::{DeliveryFault, Push};
use tests::story::MALLORY;

use super::*;

/// Mallory's fork.
pub const FORK: &str = "mallory/app";

impl Town {
    /// Mallory pushes to the branch of the pull request. Returns the SHA.
    pub async fn push(&self, text: &str) -> String {
        let files = [("a.txt", text)];
        let push = Push {
            repository: FORK,
            branch: "topic",
            files: &files,
            by: MALLORY,
            ..Push::default()
        };
        self.story.forge.push_with(push).await
    }

    /// Ada adds the label, and this happens to its delivery. Id of the event.
    pub fn label_meets(&self, number: u64, fault: DeliveryFault) -> Id {
        let forge = &self.story.forge;
        forge.faults().deliveries(1, Some("pull_request"), fault);
        forge.add_label(REPO, number, LABEL, ADA)
    }

    /// Time passes on GitHub's clock.
    pub fn advance(&self, seconds: u64) {
        let by = Duration::from_secs(seconds);
        self.story.forge.clock().advance(by);
    }

    /// The head of a pull request.
    pub fn head(&self, number: u64) -> String {
        self.story.forge.pull_request(REPO, number).head_sha
    }

    /// Ada takes the label away, if it is on, and sets it: it builds.
    pub async fn label_builds(&self, number: u64) -> PrBuild {
        let (name, code) = self.relabel(number, ADA).await;
        assert_eq!(code, 202);
        self.build(&name).await
    }

    /// Ada takes the label away, if it is on, and sets it: it is refused for this reason.
    pub async fn label_is_refused(&self, number: u64, expected: AnswerReason) -> Answer {
        self.label_by_is_refused(number, ADA, expected).await
    }

    /// The same by somebody else.
    pub async fn label_by_is_refused(
        &self,
        number: u64,
        by: &str,
        expected: AnswerReason,
    ) -> Answer {
        let (name, code) = self.relabel(number, by).await;
        assert_eq!(code, 202);
        let answer = self.refused(&name).await;
        assert_eq!(answer.spec.reason, expected);
        answer
    }

    async fn relabel(&self, number: u64, by: &str) -> (String, u16) {
        let pull = self.story.forge.pull_request(REPO, number);
        if pull.labels.iter().any(|label| label == LABEL) {
            self.story.forge.remove_label(REPO, number, LABEL, by);
        }
        self.labelled_by(number, by).await
    }

    /// Somebody comments. Returns the object's name and the status that GitHub got.
    pub async fn said(&self, number: u64, by: &str, text: &str) -> (String, u16) {
        let comment = self.story.forge.comment(REPO, number, by, text);
        (format!("app-{number}-c{comment}"), self.last_code().await)
    }

    /// Ada's command builds.
    pub async fn command_builds(&self, number: u64, text: &str) -> PrBuild {
        let (name, code) = self.said(number, ADA, text).await;
        assert_eq!(code, 202, "{text}");
        self.build(&name).await
    }

    /// Ada's command makes an answer of this reason, and no build.
    pub async fn command_is_answered(
        &self,
        number: u64,
        text: &str,
        expected: AnswerReason,
    ) -> Answer {
        let (name, code) = self.said(number, ADA, text).await;
        assert_eq!(code, 202, "{text}");
        let answer = self.refused(&name).await;
        assert_eq!(answer.spec.reason, expected, "{text}");
        answer
    }

    /// The operator wrote how a build's builders stand.
    pub async fn stands(&self, build: &str, results: &[(&str, RunPhase)]) {
        let ended = results.iter().all(|(_, phase)| phase.is_terminal());
        let results: Vec<BuilderResult> = results
            .iter()
            .map(|(builder, phase)| BuilderResult {
                builder: (*builder).to_owned(),
                attempt: 1,
                phase: *phase,
                url: None,
                report_mode: None,
                context: None,
            })
            .collect();
        let phase = if ended { "Complete" } else { "Running" };
        let status = json!({ "status": { "phase": phase, "results": results } });
        let api = self.story.api::<PrBuild>();
        api.patch_status(build, &PatchParams::default(), &Patch::Merge(status))
            .await
            .unwrap();
    }

    /// The names of all builds, sorted.
    pub async fn names_of_builds(&self) -> Vec<String> {
        let builds = self.builds().await;
        let mut names: Vec<String> = builds.iter().map(ResourceExt::name_any).collect();
        names.sort();
        names
    }
}

/// A story whose Repository and builders are these, each by name and flavours.
pub async fn fleet(name: &str, change: impl FnOnce(&mut RepositorySpec)) -> Town {
    let story = Town::before(name, change).await;
    for (builder, display, flavour) in [
        ("windows", "Windows 11", "default"),
        ("z13", "s390x Debian", "default"),
        ("leaks", "AMD64 Refleaks", "refleak"),
    ] {
        story
            .builder(builder, |spec| {
                spec.display_name = display.to_owned();
                spec.flavours = vec![flavour.to_owned()];
            })
            .await;
    }
    story
        .builder("ios", |spec| {
            spec.display_name = "iOS Simulator".to_owned();
            spec.stability = crds::Stability::Unstable;
        })
        .await;
    Town::open(story, &["--no-sweep"]).await
}
