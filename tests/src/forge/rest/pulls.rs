//! Pull requests, their reviews, events and timeline.

use serde_json::Value;

use super::{Answer, Call, Reply};
use crate::forge::model::{PullRequest, PullState, TimelineEvent};

/// The version from which `merge_commit_sha` is no more.
const WITHOUT_MERGE_COMMIT: &str = "2026-03-10";

/// `GET …/pulls/{pull_number}`
pub fn get(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let (repository, pull) = call.pull(&world)?;
    Ok(Answer::ok(versioned(
        call,
        call.wire(&world).pull(repository, pull),
    )))
}

/// `GET …/pulls`
pub fn list(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let repository = call.repository(&world)?;
    let query = |name: &str| call.query.get(name).map(String::as_str);
    let state = query("state").unwrap_or("open");
    let fits = |pull: &&PullRequest| {
        let head = query("head").is_none_or(|head| {
            format!("{}:{}", world.login(pull.head_owner), pull.head_ref) == head
        });
        let open = pull.state == PullState::Open;
        head && query("base").is_none_or(|base| base == pull.base_ref)
            && (state == "all" || (state == "open") == open)
    };
    let mut pulls: Vec<&PullRequest> = repository.pulls.values().filter(fits).collect();
    let sort = query("sort").unwrap_or("created");
    match sort {
        "updated" => pulls.sort_by_key(|pull| (pull.updated_at, pull.number)),
        "popularity" => pulls.sort_by_key(|pull| (pull.timeline.len(), pull.number)),
        _ => {}
    }
    // GitHub: descending by default when sorted by creation, else ascending.
    if query("direction").unwrap_or(if sort == "created" { "desc" } else { "asc" }) == "desc" {
        pulls.reverse();
    }
    let wire = call.wire(&world);
    Ok(call.page(&pulls, |pull| {
        versioned(call, wire.simple_pull(repository, pull))
    }))
}

/// `GET …/pulls/{pull_number}/reviews`
pub fn reviews(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let (repository, pull) = call.pull(&world)?;
    let wire = call.wire(&world);
    Ok(call.page(&pull.reviews, |review| {
        wire.review(repository, pull.number, review)
    }))
}

/// `GET …/issues/{issue_number}/events`
pub fn events(call: &Call<'_>) -> Reply {
    let shown = lagging(call)?;
    let world = call.forge.lock();
    let (repository, pull) = call.pull(&world)?;
    let events: Vec<&TimelineEvent> = pull.timeline[..shown.min(pull.timeline.len())]
        .iter()
        .filter(|event| event.kind.is_issue_event())
        .collect();
    let wire = call.wire(&world);
    Ok(call.page(&events, |event| wire.issue_event(repository, event)))
}

/// `GET …/issues/{issue_number}/timeline`
pub fn timeline(call: &Call<'_>) -> Reply {
    let shown = lagging(call)?;
    let world = call.forge.lock();
    let (repository, pull) = call.pull(&world)?;
    let wire = call.wire(&world);
    let entries: Vec<Value> = pull.timeline[..shown.min(pull.timeline.len())]
        .iter()
        .filter_map(|event| wire.timeline_event(repository, pull, event))
        .collect();
    Ok(call.page(&entries, Value::clone))
}

/// How many entries of the timeline this answer shows: all, or all but the newest while it lags.
fn lagging(call: &Call<'_>) -> Result<usize, Answer> {
    let mut world = call.forge.lock();
    let number = call.number("issue_number")?;
    let found = world
        .repository_mut(&call.full_name())
        .and_then(|repository| repository.pulls.get_mut(&number));
    let pull = found.ok_or_else(Answer::not_found)?;
    if pull.timeline_lag == 0 {
        return Ok(pull.timeline.len());
    }
    pull.timeline_lag -= 1;
    Ok(pull.timeline.len().saturating_sub(1))
}

/// Leaves out what the version that was asked for no longer has.
fn versioned(call: &Call<'_>, mut value: Value) -> Value {
    if let (Some(WITHOUT_MERGE_COMMIT), Value::Object(fields)) = (call.version, &mut value) {
        fields.remove("merge_commit_sha");
    }
    value
}
