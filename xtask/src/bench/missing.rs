//! A label whose result did not come: what became of it, from the delivery to the status.

use std::fmt::Write;

use crds::{BuilderRun, PrBuild};
use kube::ResourceExt;
use kube::api::ListParams;
use tests::story::{REPO, Story};

use super::load::{PATIENCE, labeled};

/// Lines of each program's log that are printed.
const LINES: usize = 30;

/// A label without a result.
#[derive(Clone, Debug)]
pub struct Missing {
    /// The pull request.
    pub number: u64,
    /// Its labelled commit.
    pub head: String,
    /// Deliveries before the load began.
    pub since: usize,
}

impl Missing {
    /// Says where it was lost: the answers to its delivery, its build, its runs, what GitHub was told,
    /// and the lines of the logs that name it. The whole logs are kept.
    pub async fn explain(self, story: &mut Story) -> String {
        let mut text = format!(
            "pull request {} has no result after {PATIENCE:?}\n",
            self.number
        );
        self.deliveries(story, &mut text);
        let builds = self.builds(story, &mut text).await;
        self.statuses(story, &mut text);
        self.logs(story, &builds, &mut text);
        text
    }

    fn deliveries(&self, story: &Story, text: &mut String) {
        let all = story.forge.deliveries();
        let mine = all.iter().skip(self.since);
        let mut mine = mine
            .filter(|one| labeled(one) == Some(self.number))
            .peekable();
        if mine.peek().is_none() {
            let _ = writeln!(text, "  no delivery told of its label");
        }
        for one in mine {
            let _ = writeln!(
                text,
                "  delivery {} at {}: {:?} after {:?}",
                one.guid, one.delivered_at, one.outcome, one.took
            );
        }
    }

    /// Names of its builds.
    async fn builds(&self, story: &Story, text: &mut String) -> Vec<String> {
        let builds = story.api::<PrBuild>().list(&ListParams::default()).await;
        let runs = story.api::<BuilderRun>().list(&ListParams::default()).await;
        let (Ok(builds), Ok(runs)) = (builds, runs) else {
            let _ = writeln!(text, "  the API server does not list its builds");
            return Vec::new();
        };
        let number = i64::try_from(self.number).unwrap_or_default();
        let mine = builds.items.iter();
        let mine: Vec<&PrBuild> = mine
            .filter(|build| build.spec.request.number == number)
            .collect();
        if mine.is_empty() {
            let _ = writeln!(text, "  no build: the webhook stored nothing");
        }
        for build in &mine {
            let status = build.status.clone().unwrap_or_default();
            let _ = writeln!(
                text,
                "  build {}: {:?}, {}; {:?}",
                build.name_any(),
                status.phase,
                status.summary,
                status.conditions
            );
            for run in &runs.items {
                if Some(&run.spec.pr_build.uid) == build.uid().as_ref() {
                    let status = run.status.clone().unwrap_or_default();
                    let _ = writeln!(
                        text,
                        "  run {}: {:?}, waiting {:?}, report {:?}",
                        run.name_any(),
                        status.phase,
                        status.waiting,
                        status.report
                    );
                }
            }
        }
        mine.iter().map(|build| build.name_any()).collect()
    }

    fn statuses(&self, story: &Story, text: &mut String) {
        for one in story.forge.statuses(REPO, &self.head) {
            let description = one.description.as_deref().unwrap_or_default();
            let _ = writeln!(
                text,
                "  status {}: {}, {description}",
                one.context, one.state
            );
        }
    }

    fn logs(&self, story: &mut Story, builds: &[String], text: &mut String) {
        let kept = std::env::temp_dir().join(format!("prbuild-bench-{}", std::process::id()));
        let is_kept = std::fs::create_dir_all(&kept).is_ok();
        let number = format!("\"pull_request\":{},", self.number);
        for (name, log) in story.logs() {
            let file = kept.join(format!("{name}.log"));
            if is_kept && std::fs::write(&file, &log).is_ok() {
                let _ = writeln!(text, "  {name} wrote {}", file.display());
            }
            let names_it = |line: &&str| {
                line.contains(&number) || builds.iter().any(|build| line.contains(build.as_str()))
            };
            for line in log.lines().filter(names_it).take(LINES) {
                let _ = writeln!(text, "    {line}");
            }
        }
    }
}
