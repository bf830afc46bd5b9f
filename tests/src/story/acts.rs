//! What people do in a story.

use std::collections::BTreeMap;

use super::*;

impl Story {
    /// Mallory pushes to a branch of the fork and opens a pull request. Then the quiet period passes.
    pub async fn open_pull_request(&self, branch: &str, files: &[(&str, &str)]) -> u64 {
        let fork = format!("{MALLORY}/app");
        let push = Push {
            repository: &fork,
            branch,
            files,
            by: MALLORY,
            ..Push::default()
        };
        self.forge.push_with(push).await;
        let head = format!("{MALLORY}:{branch}");
        let new = PullRequest {
            title: "A change",
            author: MALLORY,
            head: &head,
            ..PullRequest::default()
        };
        let number = self.forge.open_pull_request(REPO, new).await;
        self.quiet();
        number
    }

    /// The quiet period passes on GitHub's clock.
    pub fn quiet(&self) {
        self.forge.clock().advance(Duration::from_secs(120));
    }

    /// Ada labels a pull request. Returns the event's id.
    pub fn label(&self, number: u64) -> Id {
        self.forge.add_label(REPO, number, LABEL, ADA)
    }

    /// Name of the object that a labelling becomes.
    pub fn name_of(&self, number: u64, event: Id) -> String {
        format!("app-{number}-l{event}")
    }

    /// Makes a build of a pull request as the gate would, for stories that begin after it.
    pub async fn authorized(&self, number: u64, builders: &[&str]) -> PrBuild {
        self.authorized_with(number, builders, |_| {}).await
    }

    /// The same, with a change.
    pub async fn authorized_with(
        &self,
        number: u64,
        builders: &[&str],
        change: impl FnOnce(&mut PrBuildSpec),
    ) -> PrBuild {
        let event = self.label(number);
        let pull = self.forge.pull_request(REPO, number);
        let now = Time(self.forge.clock().now());
        let request = Request {
            repository: RepositoryRef {
                name: "app".to_owned(),
                id: signed(self.forge.repository_id(REPO)),
                full_name: REPO.to_owned(),
            },
            number: signed(number),
            head_sha: pull.head_sha.clone(),
            merge_sha: None,
            merge_tree: None,
            base_sha: None,
            base_ref: "main".to_owned(),
            flavour: "default".to_owned(),
            builders: builders.iter().map(|name| (*name).to_owned()).collect(),
            left_out: Vec::new(),
            trigger: Trigger {
                kind: TriggerKind::Label,
                event_id: signed(event),
                time: now,
                label: Some(LABEL.to_owned()),
                command: None,
                user: crds::Person {
                    id: signed(self.forge.user_id(ADA)),
                    login: ADA.to_owned(),
                },
                permission: "write".to_owned(),
                evidence: Evidence::Label,
            },
            after_checks: Vec::new(),
            rerun_of: None,
        };
        let mut spec = PrBuildSpec {
            request,
            cancel: None,
            cancel_builders: BTreeMap::new(),
        };
        change(&mut spec);
        let request = &spec.request;
        let name = names::event_name(&request.repository.name, request.number, &request.trigger);
        let build = PrBuild {
            metadata: ObjectMeta {
                name: Some(name),
                ..ObjectMeta::default()
            },
            spec,
            status: None,
        };
        let builds = self.gate().await;
        match builds.create(&PostParams::default(), &build).await {
            Ok(build) => build,
            Err(error) => panic!("the build was not taken: {error}"),
        }
    }

    /// Cancels a build as a person would.
    pub async fn cancel(&self, build: &str) {
        let patch = Patch::Merge(json!({ "spec": { "cancel": cancellation() } }));
        let patched = self
            .api::<PrBuild>()
            .patch(build, &PatchParams::default(), &patch)
            .await;
        if let Err(error) = patched {
            panic!("{build} cannot be cancelled: {error}");
        }
    }
}

/// What a person writes who stops a build.
pub fn cancellation() -> Cancel {
    Cancel {
        by: "infra".to_owned(),
        reason: "not needed any more".to_owned(),
        at: Time(jiff::Timestamp::now()),
        waiting_only: false,
    }
}

/// GitHub's numbers are positive and far below 2^63.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
