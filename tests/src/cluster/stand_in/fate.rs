//! What a script can let happen to a pod.

use std::time::Duration;

use protocol::{ExecReport, Verdict};

/// What becomes of one pod.
#[derive(Clone, Debug)]
pub struct Fate {
    /// How long it waits for a node.
    pub schedule_after: Duration,
    /// How long the container `checkout` runs. Zero: nobody sees it running.
    pub checkout_takes: Duration,
    /// How long the container `build` runs. Zero: nobody sees it running.
    pub build_takes: Duration,
    /// How long a sidecar, where the pod has one, goes on when the build has ended.
    pub ship_takes: Duration,
    /// Bind it to a node, as a scheduler does, which costs one request more. A pod that is bound is
    /// deleted as a kubelet does it: its containers end first. One that is not is gone at once.
    pub bind: bool,
    /// How it ends.
    pub ending: Ending,
}

/// How a pod ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// The checkout succeeds with the commit that was asked for; the build exits.
    Exit {
        /// Exit code of the build container.
        code: i32,
        /// Its termination message.
        message: String,
    },
    /// The checkout succeeds, but its report is this text; the build passes.
    CheckoutSays {
        /// Termination message of the container `checkout`.
        message: String,
    },
    /// The checkout fails.
    CheckoutFails {
        /// Exit code of the container `checkout`.
        code: i32,
        /// Its termination message.
        message: String,
    },
    /// The kernel kills the build for its memory.
    OutOfMemory,
    /// The kubelet evicts the pod.
    Evicted {
        /// The kubelet's words.
        message: String,
    },
    /// The scheduler gives the pod's place to another one, between checkout and build.
    Preempted,
    /// The image of the build cannot be pulled. The pod stays pending.
    ImagePullBackOff {
        /// The kubelet's words.
        message: String,
    },
    /// No node takes the pod. It stays pending.
    Unschedulable {
        /// The scheduler's words.
        message: String,
    },
    /// The node is not heard of any more: the pod stays as it is, and is not let go when deleted.
    NodeLost,
    /// The node restarts: its runtime finds the container gone, and nobody saw how it ended.
    NodeRestarts,
    /// The build runs until somebody deletes the pod.
    Never,
}

impl Fate {
    /// A pod that ends like this, at once.
    pub fn ends(ending: Ending) -> Self {
        let bind = ending == Ending::NodeLost;
        let zero = Duration::ZERO;
        Self {
            schedule_after: zero,
            checkout_takes: zero,
            build_takes: zero,
            ship_takes: zero,
            bind,
            ending,
        }
    }

    /// A pod that passes at once.
    pub fn passes() -> Self {
        Self::reports(&ExecReport::new(Verdict::Passed, 0))
    }

    /// A pod whose build reports this, at once, with the exit code that goes with it.
    pub fn reports(report: &ExecReport) -> Self {
        let code = match report.verdict {
            Verdict::Passed => 0,
            _ if report.exit_code != 0 => report.exit_code,
            _ => 1,
        };
        Self::ends(Ending::Exit {
            code,
            message: report.to_message(),
        })
    }

    /// The same, but the build runs so long.
    pub fn after(mut self, build_takes: Duration) -> Self {
        self.build_takes = build_takes;
        self
    }

    /// The same, but its sidecar sends for so long after the build ended.
    pub fn shipping_for(mut self, ship_takes: Duration) -> Self {
        self.ship_takes = ship_takes;
        self
    }

    pub(super) fn reaches_the_build(&self) -> bool {
        !matches!(
            self.ending,
            Ending::CheckoutFails { .. } | Ending::Preempted | Ending::ImagePullBackOff { .. }
        )
    }
}
