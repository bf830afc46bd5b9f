//! From the end of a leader to the moment at which the next one has read everything and acts.

use tests::story::Story;
use tokio::time::Instant;

use super::says;
use crate::Result;

/// What an operator logs when it could lead, and when it acts.
const COULD_LEAD: &str = "the signing key: there";
const ACTS: &str = "everything is read";

/// How a leader goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaves {
    /// It is asked to stop, as by an upgrade.
    Stopped,
    /// It is gone at once, as with its node.
    Killed,
}

impl Leaves {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Killed => "killed",
        }
    }
}

/// Two operators, by their index in the install.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    pub(super) leader: usize,
    pub(super) follower: usize,
}

impl Pair {
    /// The leader goes. Returns seconds until the follower acts, which has a follower of its own then.
    pub(super) async fn hands_over(&mut self, story: &mut Story, leaves: Leaves) -> Result<f64> {
        says(story, self.leader, ACTS).await?;
        let leader = story.install.program(self.leader);
        let leader = leader.ok_or("the leader was not started")?;
        let began = Instant::now();
        match leaves {
            Leaves::Stopped => leader.terminate(),
            Leaves::Killed => leader.kill(),
        }
        let acts = says(story, self.follower, ACTS).await?;
        self.leader = self.follower;
        self.follower = follower(story).await?;
        Ok((acts - began).as_secs_f64())
    }
}

/// One more operator, which waits for its turn.
pub(super) async fn follower(story: &mut Story) -> Result<usize> {
    let follower = story.start_another_operator().await?;
    says(story, follower, COULD_LEAD).await?;
    Ok(follower)
}
