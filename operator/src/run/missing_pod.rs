//! A run that should have a pod and has none. No event tells why: its Job is asked, and the Events of
//! that Job.

use std::{sync::Arc, time::Duration};

use crds::{BuilderRun, RunPhase, Waiting, names};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{api::batch::v1::Job, apimachinery::pkg::apis::meta::v1::Time};
use kube::api::ListParams;

use super::{
    end::end,
    outcome::{DELETED, Ending, LATE, Progress, one_line},
    patience::{queue_time_left, why_forbidden},
    reconcile::{POD_EXPECTED_AFTER, RunError, failed, follow},
};
use crate::{build::summary::phase_of, context::Context, queue::Next};

/// A Job whose pod does not come is looked at less and less often, at least this often.
const POD_LOOKED_FOR_EVERY: Duration = Duration::from_secs(60);

/// A run that should have a pod and has none: its Job is asked, and the Job's own Events.
pub(super) async fn without_pod(
    ctx: &Arc<Context>,
    run: &BuilderRun,
    uid: &str,
) -> Result<Next, RunError> {
    let live = ctx.live.get(uid);
    if let Some(since) = live.job_since
        && !live.pod_seen
        && let left = expected_after(ctx).saturating_sub(since.elapsed())
        && !left.is_zero()
    {
        return Ok(Next::After(left));
    }
    let job = ctx.api.jobs.get_opt(&names::job_name(uid)).await;
    let job = job.map_err(failed("looking at its Job", run))?;
    let Some(job) = job.filter(|job| job.metadata.deletion_timestamp.is_none()) else {
        let ending = Ending::infrastructure("its Job was deleted");
        return end(ctx, run, uid, ending).await;
    };
    if let Some(ending) = job_is_over(&job) {
        return end(ctx, run, uid, ending).await;
    }
    if live.pod_seen || phase_of(run) == RunPhase::Running {
        if is_suspended(&job) {
            let ending = Ending::infrastructure("somebody suspended its Job").stopping();
            return end(ctx, run, uid, ending).await;
        }
        // Its pod is gone; the Job controller is about to say so.
        return Ok(Next::After(Duration::from_secs(1)));
    }
    let why = match refused_pod(ctx, run, uid).await? {
        Some(Refused::ForGood(why)) => {
            return end(ctx, run, uid, Ending::new(RunPhase::Error, why).stopping()).await;
        }
        Some(Refused::ForNow(why)) => Some(why),
        None => None,
    };
    let waited = live
        .job_since
        .map(|since| since.elapsed())
        .unwrap_or_default();
    if let Some(reason) = why.clone() {
        note_waiting(ctx, uid, reason, waited);
    }
    let again = Next::After((waited / 2).clamp(POD_EXPECTED_AFTER, POD_LOOKED_FOR_EVERY));
    follow(ctx, run, uid, Progress::Starting(why))
        .await
        .map(|_| again.or(queue_time_left(ctx, run)))
}

/// How long after its Job a pod is expected. Where all pods come late, nothing is wrong with this one.
fn expected_after(ctx: &Context) -> Duration {
    POD_EXPECTED_AFTER + ctx.pressure.lateness()
}

/// Whether somebody suspended a Job: its pod is taken away, no other comes, and its deadline stands still.
fn is_suspended(job: &Job) -> bool {
    let spec = job.spec.as_ref();
    spec.and_then(|spec| spec.suspend).unwrap_or_default()
}

/// How a run ended whose Job is over and whose pod is gone.
fn job_is_over(job: &Job) -> Option<Ending> {
    let conditions = job.status.as_ref()?.conditions.iter().flatten();
    // FailureTarget comes first, Failed when the last pod is gone (KEP-3329).
    let over = ["FailureTarget", "Failed", "Complete"];
    let over = conditions
        .filter(|found| found.status == "True")
        .find(|found| over.contains(&found.type_.as_str()))?;
    Some(match (over.type_.as_str(), over.reason.as_deref()) {
        ("Complete", _) => Ending::infrastructure("its pod is gone, and its result with it"),
        (_, Some("DeadlineExceeded")) => Ending::new(RunPhase::TimedOut, LATE),
        _ => Ending::infrastructure(DELETED),
    })
}

/// Notes what a pod that does not come waits for. It has waited since its Job was made, so this may
/// be written down at once.
fn note_waiting(ctx: &Context, uid: &str, reason: String, waited: Duration) {
    let since = Time(Timestamp::now() - SignedDuration::try_from(waited).unwrap_or_default());
    ctx.live.update(uid, |live| {
        let known = live.waiting.take().filter(|known| known.reason == reason);
        live.waiting = known.or(Some(Waiting {
            reason,
            ahead: 0,
            since,
        }));
    });
}

/// Why the Job controller cannot make the pod, which it tries again and again.
#[derive(Debug, PartialEq)]
enum Refused {
    /// It will not succeed: Pod Security, an admission policy, a limit.
    ForGood(String),
    /// It may: a quota frees itself, and a server or webhook that does not answer comes back.
    ForNow(String),
}

impl Refused {
    /// Sorts by the words of the API server. What it neither forbids nor finds invalid went wrong on the way.
    fn of(message: &str) -> Self {
        let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
        let refused = says(&["is forbidden: ", "is invalid: ", "denied the request"]);
        let why = message.strip_prefix("Error creating: ").unwrap_or(message);
        let why = one_line(why_forbidden(why));
        match refused {
            true if says(&["exceeded quota", "status unknown for quota"]) => {
                Self::ForNow(format!("the cluster refuses its pod: {why}"))
            }
            true => Self::ForGood(format!("the cluster refuses its pod: {why}")),
            false => Self::ForNow(format!("the cluster cannot make its pod yet: {why}")),
        }
    }
}

async fn refused_pod(
    ctx: &Context,
    run: &BuilderRun,
    uid: &str,
) -> Result<Option<Refused>, RunError> {
    let job = names::job_name(uid);
    let about = format!("involvedObject.kind=Job,involvedObject.name={job},reason=FailedCreate");
    let about = ListParams::default().fields(&about);
    let events = ctx
        .api
        .events
        .list(&about)
        .await
        .map_err(failed("looking at its Job's Events", run))?;
    let newest = events
        .items
        .into_iter()
        .max_by_key(|event| event.last_timestamp.clone());
    let message = newest.and_then(|event| event.message);
    Ok(message.map(|message| Refused::of(&message)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn over(kind: &str, status: &str, reason: &str) -> Option<(RunPhase, bool)> {
        let condition = json!({ "type": kind, "status": status, "reason": reason });
        let job = json!({ "status": { "conditions": [condition] } });
        let job: Job = serde_json::from_value(job).expect("a Job");
        job_is_over(&job).map(|ending| (ending.phase, ending.outcome.retryable))
    }

    #[test]
    fn a_job_tells_how_a_run_ended_whose_pod_is_gone() {
        let again = Some((RunPhase::Error, true));
        let late = Some((RunPhase::TimedOut, false));
        assert_eq!(over("Complete", "True", ""), again);
        assert_eq!(over("FailureTarget", "True", "DeadlineExceeded"), late);
        assert_eq!(over("Failed", "True", "DeadlineExceeded"), late);
        assert_eq!(over("Failed", "True", "BackoffLimitExceeded"), again);
        assert_eq!(over("FailureTarget", "False", "DeadlineExceeded"), None);
        assert_eq!(over("Suspended", "True", ""), None);
        assert_eq!(job_is_over(&Job::default()), None);
    }

    #[test]
    fn what_may_pass_is_waited_for_and_what_refuses_a_pod_for_good_ends_its_run() {
        let forbidden = |why: &str| format!("Error creating: pods \"run-1-x\" is forbidden: {why}");
        for message in [
            forbidden("violates PodSecurity \"restricted:latest\": runAsNonRoot != true"),
            forbidden("maximum cpu usage per Container is 2, but limit is 4"),
            forbidden("failed quota: builds: must specify limits.cpu"),
            "Error creating: Pod \"run-1-x\" is invalid: spec.containers[0]: Required".to_owned(),
            "Error creating: admission webhook \"a.b\" denied the request: no".to_owned(),
        ] {
            let refused = Refused::of(&message);
            assert!(matches!(refused, Refused::ForGood(_)), "{message}");
        }
        for message in [
            forbidden("exceeded quota: builds, requested: pods=1, used: pods=5, limited: pods=5"),
            forbidden("status unknown for quota: builds, resources: pods"),
            "Error creating: Internal error occurred: failed calling webhook \"a.b\": connect: refused"
                .to_owned(),
            "Error creating: Internal error occurred: resource quota evaluation timed out".to_owned(),
            "Error creating: etcdserver: request timed out".to_owned(),
            "Error creating: Post \"https://10.0.0.1/api/v1/pods\": EOF".to_owned(),
        ] {
            let refused = Refused::of(&message);
            assert!(matches!(refused, Refused::ForNow(_)), "{message}");
        }
        assert_eq!(
            Refused::of(&forbidden("exceeded quota: builds")),
            Refused::ForNow("the cluster refuses its pod: exceeded quota: builds".to_owned())
        );
        assert_eq!(
            Refused::of("Error creating: etcdserver: request timed out"),
            Refused::ForNow(
                "the cluster cannot make its pod yet: etcdserver: request timed out".to_owned()
            )
        );
    }

    #[test]
    fn a_job_that_somebody_suspended_will_have_no_pod() {
        let suspended = |suspend: serde_json::Value| {
            let job = json!({ "spec": { "suspend": suspend, "template": {} } });
            is_suspended(&serde_json::from_value(job).expect("a Job"))
        };
        assert!(suspended(true.into()));
        assert!(!suspended(false.into()));
        assert!(!suspended(serde_json::Value::Null));
        assert!(!is_suspended(&Job::default()));
    }
}
