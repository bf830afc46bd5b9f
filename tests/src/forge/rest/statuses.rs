//! Commit statuses.

use serde_json::json;

use super::call::linked;
use super::{Answer, Call, Reply};
use crate::forge::model::{Repository, Status, World};

/// So many statuses a commit and context takes.
const MOST: usize = 1000;

/// `POST …/statuses/{sha}`
pub fn create(call: &Call<'_>) -> Reply {
    let (by, _) = call.writer()?;
    let sha = call.param("sha").to_owned();
    let status = new_status(call, by)?;
    call.forge.edit(|world| {
        let network = call.repository(world)?.network;
        if !world.commits.contains(&(network, sha.clone())) {
            let message = format!("No commit found for SHA: {sha}");
            return Err(Answer::error(422, &message));
        }
        let known = call.repository(world)?.statuses.get(&sha);
        let same = known.into_iter().flatten();
        if same.filter(|one| one.context == status.context).count() >= MOST {
            let message = "This SHA and context has reached the maximum number of statuses.";
            return Err(Answer::invalid("Status", "context", message));
        }
        let id = call.repository(world)?.id;
        let status = call.forge.write_status(world, id, &sha, status);
        let repository = call.repository(world)?;
        Ok(Answer::json(
            201,
            call.wire(world).status(repository, &sha, &status),
        ))
    })
}

fn new_status(call: &Call<'_>, by: u64) -> Result<Status, Answer> {
    let state = call.text("state").unwrap_or_default();
    if !["error", "failure", "pending", "success"].contains(&state.as_str()) {
        return Err(Answer::invalid(
            "Status",
            "state",
            "state is not included in the list",
        ));
    }
    let description = call.text("description");
    if description
        .as_ref()
        .is_some_and(|text| text.chars().count() > 140)
    {
        return Err(Answer::invalid(
            "Status",
            "description",
            "description is too long (maximum is 140 characters)",
        ));
    }
    let has_emoji = |text: &String| text.chars().any(|character| character.len_utf8() == 4);
    if description.as_ref().is_some_and(has_emoji) {
        return Err(Answer::invalid(
            "Status",
            "description",
            "description doesn't accept 4-byte Unicode",
        ));
    }
    let target_url = call.text("target_url").filter(|url| !url.is_empty());
    if target_url
        .as_ref()
        .is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://"))
    {
        return Err(Answer::invalid(
            "Status",
            "target_url",
            "target_url must use http(s) scheme",
        ));
    }
    let context = call.text("context").unwrap_or_else(|| "default".to_owned());
    if context.chars().count() > 255 {
        return Err(Answer::invalid(
            "Status",
            "context",
            "context is too long (maximum is 255 characters)",
        ));
    }
    Ok(Status {
        id: 0,
        state,
        context,
        description,
        target_url,
        creator: by,
        created_at: call.forge.clock.now(),
    })
}

/// `GET …/commits/{ref}/statuses`: newest first.
pub fn list(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let repository = call.repository(&world)?;
    let sha = commit(call, repository);
    let mut all: Vec<&Status> = repository
        .statuses
        .get(&sha)
        .into_iter()
        .flatten()
        .collect();
    all.reverse();
    let wire = call.wire(&world);
    Ok(call.page(&all, |status| wire.status(repository, &sha, status)))
}

/// `GET …/commits/{ref}/status`: the newest of each context, and what they come to.
pub fn combined(call: &Call<'_>) -> Reply {
    let world: &World = &call.forge.lock();
    let repository = call.repository(world)?;
    let sha = commit(call, repository);
    let mut latest: Vec<&Status> = Vec::new();
    for status in repository.statuses.get(&sha).into_iter().flatten().rev() {
        if !latest.iter().any(|seen| seen.context == status.context) {
            latest.push(status);
        }
    }
    let any = |state: &str| latest.iter().any(|status| status.state == state);
    let state = match () {
        () if any("failure") || any("error") => "failure",
        () if latest.is_empty() || any("pending") => "pending",
        () => "success",
    };
    let wire = call.wire(world);
    let url = wire.repository_url(repository);
    let (shown, link) = call.cut(&latest);
    let shown = shown
        .iter()
        .map(|status| wire.simple_status(repository, &sha, status));
    let answer = Answer::ok(json!({
        "state": state,
        "statuses": shown.collect::<Vec<_>>(),
        "sha": sha,
        "total_count": latest.len(),
        "repository": wire.minimal_repository(repository),
        "commit_url": format!("{url}/commits/{sha}"),
        "url": format!("{url}/commits/{sha}/status"),
    }));
    Ok(linked(answer, link))
}

/// The commit that a ref of the path names.
pub fn commit(call: &Call<'_>, repository: &Repository) -> String {
    let reference = call.param("ref");
    let branch = reference
        .trim_start_matches("refs/")
        .trim_start_matches("heads/");
    repository
        .branches
        .get(branch)
        .cloned()
        .unwrap_or_else(|| reference.to_owned())
}
