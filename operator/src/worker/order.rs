//! Pure: what is signed for a worker. A function of the run, and of who may take it.

use crds::{AssignmentSpec, BuildRef, BuilderRun};
use jiff::Timestamp;
use kube::ResourceExt;
use protocol::Work;
use protocol::worker::assignment::{
    Assignment, Audience, EventKind, Evidence, Requester, RunId, digest_of,
};
use protocol::worker::envelope::Envelope;

use super::fleet::Choice;

/// Seconds after which an assignment that nobody accepted is taken back.
pub const ACCEPTED_WITHIN: i64 = 600;
/// Seconds that an assignment may be started after it was signed: longer than it is offered.
const EXPIRES_AFTER: i64 = ACCEPTED_WITHIN + 600;
/// Seconds that a log may still be sent after the longest that its run may take: its worker may have been away.
const LOG_SLACK: i64 = 7 * 24 * 3600;

/// What an agent is ordered to do.
///
/// # Errors
/// A number in the task that JSON does not know.
pub fn assignment(
    run: &BuilderRun,
    choice: &Choice,
    log_limit: u64,
    now: Timestamp,
) -> Result<Assignment, serde_json::Error> {
    let task = &run.spec.task;
    let work = Work {
        source: task.source.clone(),
        recipe: task.recipe.clone().unwrap_or_default(),
    };
    let to = match choice.pool {
        true => Audience::Pool(choice.to.clone()),
        false => Audience::Worker(choice.to.first().cloned().unwrap_or_default()),
    };
    Ok(Assignment {
        run: RunId {
            name: run.name_any(),
            uid: run.uid().unwrap_or_default(),
            attempt: run.spec.attempt,
        },
        to,
        repository: task.repository.clone(),
        builder: task.builder.clone(),
        display_name: task.display_name.clone(),
        event: EventKind::PullRequest,
        evidence: evidence(task.evidence),
        requester: Requester {
            id: task.requester_id,
            login: task.requester.clone(),
        },
        work_digest: digest_of(&work)?,
        work,
        log_limit,
        issued: now.as_second(),
        expires: now.as_second() + EXPIRES_AFTER,
    })
}

/// The object that carries it.
pub fn object(
    run: &BuilderRun,
    choice: &Choice,
    signed: Envelope,
    log_token: String,
) -> crds::Assignment {
    let uid = run.uid().unwrap_or_default();
    let spec = AssignmentSpec {
        run: BuildRef {
            name: run.name_any(),
            uid: uid.clone(),
        },
        builder: run.spec.task.builder.clone(),
        to: choice.to.clone(),
        pool: choice.pool,
        signed,
        log_token: Some(log_token),
        cancel: None,
    };
    let mut object = crds::Assignment::new(&crds::names::assignment_name(&uid), spec);
    object.metadata.namespace = run.namespace();
    object
}

/// Until when the log of a run may be sent, in seconds since 1970.
pub fn log_until(run: &BuilderRun, now: Timestamp) -> i64 {
    let recipe = run.spec.task.recipe.as_ref();
    let longest = recipe.map_or(0, |recipe| recipe.timeouts.run_seconds);
    now.as_second() + EXPIRES_AFTER + longest + LOG_SLACK
}

fn evidence(found: crds::Evidence) -> Evidence {
    match found {
        crds::Evidence::Label => Evidence::Label,
        crds::Evidence::ExactSha => Evidence::ExactSha,
        crds::Evidence::Review => Evidence::Review,
        crds::Evidence::Unknown => Evidence::Unknown,
    }
}
