//! What one build costs at GitHub, besides what the gate asks: counted by the forge.

use crds::ReportMode;

use super::*;
use crate::forge::Usage;

/// How long a build step runs here: long enough that GitHub is told that it waits.
const BUILD_TAKES: Duration = Duration::from_secs(2);

/// Calls of a build in which all builders pass.
#[derive(Clone, Debug)]
pub struct Calls {
    /// How many builders.
    pub builders: usize,
    /// Statuses or check runs.
    pub mode: ReportMode,
    /// What was asked of GitHub.
    pub usage: Usage,
}

impl Calls {
    /// Runs a build on a GitHub of its own and counts, from the label on to the last edit of the
    /// comment.
    ///
    /// # Errors
    /// The install could not be made.
    pub async fn count(
        access: &Access,
        name: &str,
        builders: usize,
        mode: ReportMode,
    ) -> Result<Self, ClusterError> {
        let setting = Setting {
            checks: true,
            validate: builders <= 10,
            ..Setting::default()
        };
        let mut story = Story::begin(access, name, setting).await?;
        // Otherwise a hundred builders wait for the next minute, as they would on github.com.
        story.forge.limits().turn_off();
        let names: Vec<String> = (0..builders).map(|n| format!("b{n}")).collect();
        for name in &names {
            story.builder(name, |_| {}).await;
        }
        story.repository(|spec| spec.reporting.mode = mode).await;
        story.pods_go(|_| Fate::passes().after(BUILD_TAKES));
        story.start_operator().await?;
        let number = story
            .open_pull_request("change", &[("new.c", "int x;")])
            .await;
        // The build is to bear the very second of the label.
        story.forge.clock().stop();
        let before = story.forge.age();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let build = story.authorized(number, &names).await;
        let name = build.name_any();
        let patience = PATIENCE * 4;
        story.complete_within(&name, patience).await;
        let shown = "the comment shows the result";
        story
            .eventually_in(shown, &name, |build: &PrBuild| {
                let status = build.status.clone().unwrap_or_default();
                let said = condition::find(&status.conditions, condition::kind::ANNOUNCED);
                let shows = said.is_some_and(|said| said.reason == "ResultStands");
                if shows {
                    Ok(())
                } else {
                    Err(format!("{:?}", status.conditions))
                }
            })
            .await;
        let usage = story.forge.log().usage(before..story.forge.age());
        story.end().await;
        Ok(Self {
            builders,
            mode,
            usage,
        })
    }

    /// REST calls that Prow makes for the same: one for the commit, and for each builder a look at the
    /// comments and three statuses.
    pub fn of_prow(&self) -> usize {
        1 + 4 * self.builders
    }

    /// REST calls that are allowed.
    pub fn goal(&self) -> usize {
        match self.mode {
            ReportMode::Checks => 3 + 2 * self.builders,
            _ => 1 + 2 * self.builders,
        }
    }
}
