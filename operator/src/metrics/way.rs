//! How long it takes from the label to the Job and from there to the result on GitHub.

use std::time::Duration;

use crds::BuilderRun;
use jiff::Timestamp;
use kube::ResourceExt;
use prometheus_client::{
    metrics::{family::Family, histogram::Histogram},
    registry::Registry,
};

use super::OfBuilder;

/// Seconds that runs wait: from one round trip to a night.
const WAITS: [f64; 11] = [
    0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0, 14_400.0, 43_200.0,
];
/// Seconds that builds take.
const TAKES: [f64; 11] = [
    1.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0, 3600.0, 7200.0, 14_400.0, 43_200.0,
];

/// The stages of a run, in seconds.
pub(super) struct Way {
    start: Family<OfBuilder, Histogram>,
    label_to_job: Histogram,
    job_to_status: Histogram,
    label_to_status: Histogram,
}

impl Default for Way {
    fn default() -> Self {
        Self {
            start: Family::new_with_constructor(|| Histogram::new(WAITS)),
            label_to_job: Histogram::new(WAITS),
            job_to_status: Histogram::new(TAKES),
            label_to_status: Histogram::new(TAKES),
        }
    }
}

impl Way {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "run_start_seconds",
            "Seconds from a run's creation to its Job or Assignment, by builder",
            self.start.clone(),
        );
        registry.register(
            "label_to_job_seconds",
            "Seconds from the label, command or button to the Job or Assignment of a first attempt",
            self.label_to_job.clone(),
        );
        registry.register(
            "job_to_status_seconds",
            "Seconds from the Job or Assignment of a run to GitHub taking its result",
            self.job_to_status.clone(),
        );
        registry.register(
            "label_to_status_seconds",
            "Seconds from the label, command or button to GitHub taking a result of it",
            self.label_to_status.clone(),
        );
    }

    /// A run got its Job. `asked` is when somebody wanted its build.
    pub(super) fn started(&self, run: &BuilderRun, asked: Option<Timestamp>, now: Timestamp) {
        if let Some(created) = run.creation_timestamp() {
            let builder = run.spec.task.builder.clone();
            self.start
                .get_or_create(&OfBuilder { builder })
                .observe(seconds(created.0, now));
        }
        // A later attempt began when the one before had failed.
        if let Some(asked) = asked.filter(|_| run.spec.attempt == 1) {
            self.label_to_job.observe(seconds(asked, now));
        }
    }

    /// GitHub took a result, so long after its run got a Job.
    pub(super) fn told(&self, asked: Option<Timestamp>, job: Option<Duration>, now: Timestamp) {
        if let Some(job) = job {
            self.job_to_status.observe(job.as_secs_f64());
        }
        if let Some(asked) = asked {
            self.label_to_status.observe(seconds(asked, now));
        }
    }
}

/// Two clocks may differ by more than it took.
fn seconds(since: Timestamp, now: Timestamp) -> f64 {
    now.duration_since(since).as_secs_f64().max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_ahead_makes_no_time_that_is_less_than_none() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert!((seconds(at(10), at(12)) - 2.0).abs() < 1e-9);
        assert!(seconds(at(12), at(10)).abs() < 1e-9);
    }

    #[test]
    fn what_github_was_told_counts_from_the_label_and_from_the_job_as_far_as_they_are_known() {
        let way = Way::default();
        let now = Timestamp::from_second(100).unwrap();
        let asked = Timestamp::from_second(40).ok();
        way.told(asked, Some(Duration::from_secs(50)), now);
        way.told(asked, None, now);
        way.told(None, None, now);
        let mut registry = Registry::default();
        way.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "job_to_status_seconds_count 1",
            "job_to_status_seconds_sum 50.0",
            "label_to_status_seconds_count 2",
            "label_to_status_seconds_sum 120.0",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
