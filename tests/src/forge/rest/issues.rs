//! Labels, comments and reactions.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Answer, Call, Reply};
use crate::forge::model::{Comment, Reaction, Repository, World};

/// `GET …/issues/{issue_number}/labels`
pub fn labels(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let (repository, pull) = call.pull(&world)?;
    let wire = call.wire(&world);
    Ok(call.page(&pull.labels, |name| wire.label(repository, name)))
}

fn all_labels(call: &Call<'_>, world: &World) -> Reply {
    let (repository, pull) = call.pull(world)?;
    let wire = call.wire(world);
    Ok(Answer::ok(
        pull.labels
            .iter()
            .map(|name| wire.label(repository, name))
            .collect(),
    ))
}

/// `POST …/issues/{issue_number}/labels`
pub fn add_labels(call: &Call<'_>) -> Reply {
    let (by, app) = call.writer()?;
    let list = if call.body.is_array() {
        &call.body
    } else {
        &call.body["labels"]
    };
    let names: Vec<String> = list
        .as_array()
        .map(|all| {
            all.iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        })
        .unwrap_or_default();
    if names.is_empty() {
        return Err(Answer::invalid("Label", "labels", "labels wasn't supplied"));
    }
    call.forge.edit(|world| {
        call.pull(world)?;
        for name in &names {
            call.forge.set_label(
                world,
                &call.full_name(),
                call.number("issue_number")?,
                name,
                by,
                app,
            );
        }
        all_labels(call, world)
    })
}

/// `DELETE …/issues/{issue_number}/labels/{name}`
pub fn remove_label(call: &Call<'_>) -> Reply {
    let (by, app) = call.writer()?;
    call.forge.edit(|world| {
        call.pull(world)?;
        let (name, number) = (call.param("name"), call.number("issue_number")?);
        let removed = call
            .forge
            .take_label(world, &call.full_name(), number, name, by, app);
        if removed.is_none() {
            return Err(Answer::error(404, "Label does not exist"));
        }
        all_labels(call, world)
    })
}

/// `GET …/issues/{issue_number}/comments`
pub fn comments(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let (repository, number) = call.issue(&world)?;
    let since = since(call)?;
    let of_pull: Vec<&Comment> = repository
        .comments
        .values()
        .filter(|comment| comment.number == number && is_since(comment, since))
        .collect();
    let wire = call.wire(&world);
    Ok(call.page(&of_pull, |comment| wire.read_comment(repository, comment)))
}

/// `GET …/issues/comments`: of the whole repository, by id or as it was asked for.
pub fn all_comments(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let repository = call.repository(&world)?;
    let query = |name: &str| call.query.get(name).map(String::as_str);
    let since = since(call)?;
    let comments = repository.comments.values();
    let mut all: Vec<&Comment> = comments.filter(|one| is_since(one, since)).collect();
    if query("sort") == Some("updated") {
        all.sort_by_key(|one| (one.updated_at, one.id));
    }
    // Without `sort`, the direction is ignored.
    if query("sort").is_some() && query("direction") != Some("asc") {
        all.reverse();
    }
    let wire = call.wire(&world);
    Ok(call.page(&all, |one| wire.read_comment(repository, one)))
}

/// The time that a list is asked for from.
fn since(call: &Call<'_>) -> Result<Option<Timestamp>, Answer> {
    let since = call.query.get("since");
    let since = since.map(|since| since.parse::<Timestamp>()).transpose();
    since.map_err(|_| Answer::invalid("Issue", "since", "since is not a date"))
}

/// Whether a comment changed since then. GitHub compares whole seconds, as it writes them.
fn is_since(comment: &Comment, since: Option<Timestamp>) -> bool {
    since.is_none_or(|since| comment.updated_at.as_second() >= since.as_second())
}

/// `POST …/issues/{issue_number}/comments`
pub fn create_comment(call: &Call<'_>) -> Reply {
    let (by, app) = call.writer()?;
    let text = comment_text(call)?;
    call.forge.edit(|world| {
        let number = call.issue(world)?.1;
        let id = call
            .forge
            .write_comment(world, &call.full_name(), number, &text, by, app);
        let (repository, comment) = find(call, world, id)?;
        let url = format!(
            "{}/issues/comments/{id}",
            call.wire(world).repository_url(repository)
        );
        let mut answer = Answer::json(201, call.wire(world).read_comment(repository, comment));
        answer.headers.push(("location", url));
        Ok(answer)
    })
}

/// `GET …/issues/comments/{comment_id}`
pub fn comment(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let (repository, comment) = find(call, &world, call.number("comment_id")?)?;
    Ok(Answer::ok(
        call.wire(&world).read_comment(repository, comment),
    ))
}

/// `PATCH …/issues/comments/{comment_id}`
pub fn update_comment(call: &Call<'_>) -> Reply {
    let (by, _) = call.writer()?;
    let text = comment_text(call)?;
    call.forge.edit(|world| {
        let id = call.number("comment_id")?;
        if find(call, world, id)?.1.user != by {
            return Err(Answer::error(403, "Must be the author of the comment"));
        }
        call.forge
            .rewrite_comment(world, &call.full_name(), id, &text, by);
        let (repository, comment) = find(call, world, id)?;
        Ok(Answer::ok(
            call.wire(world).read_comment(repository, comment),
        ))
    })
}

/// `DELETE …/issues/comments/{comment_id}`
pub fn delete_comment(call: &Call<'_>) -> Reply {
    let (by, _) = call.writer()?;
    call.forge.edit(|world| {
        let id = call.number("comment_id")?;
        if find(call, world, id)?.1.user != by {
            return Err(Answer::error(403, "Must be the author of the comment"));
        }
        call.forge.erase_comment(world, &call.full_name(), id, by);
        Ok(Answer::empty(204))
    })
}

/// `GET …/issues/comments/{comment_id}/reactions`
pub fn reactions(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let (_, comment) = find(call, &world, call.number("comment_id")?)?;
    let wanted: Vec<&Reaction> = comment
        .reactions
        .iter()
        .filter(|one| {
            call.query
                .get("content")
                .is_none_or(|content| *content == one.content)
        })
        .collect();
    Ok(call.page(&wanted, |one| reaction(call, &world, one)))
}

/// `POST …/issues/comments/{comment_id}/reactions`: 200 if the caller has reacted so already.
pub fn react(call: &Call<'_>) -> Reply {
    let (by, _) = call.writer()?;
    let content = call.text("content").unwrap_or_default();
    if ![
        "+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes",
    ]
    .contains(&content.as_str())
    {
        return Err(Answer::invalid(
            "Reaction",
            "content",
            "content is not a reaction",
        ));
    }
    call.forge.edit(|world| {
        let id = call.number("comment_id")?;
        let (_, comment) = find(call, world, id)?;
        if let Some(old) = comment
            .reactions
            .iter()
            .find(|one| one.user == by && one.content == content)
        {
            return Ok(Answer::ok(reaction(call, world, old)));
        }
        let new = Reaction {
            id: world.id("reaction"),
            user: by,
            content: content.clone(),
            created_at: call.forge.clock.now(),
        };
        let written = reaction(call, world, &new);
        let comment = world
            .repository_mut(&call.full_name())
            .and_then(|repository| repository.comments.get_mut(&id));
        comment.ok_or_else(Answer::not_found)?.reactions.push(new);
        Ok(Answer::json(201, written))
    })
}

fn reaction(call: &Call<'_>, world: &World, one: &Reaction) -> Value {
    json!({
        "id": one.id,
        "node_id": format!("REA_{}", one.id),
        "user": call.wire(world).user(one.user),
        "content": one.content,
        "created_at": crate::forge::iso(one.created_at),
    })
}

fn find<'w>(
    call: &Call<'_>,
    world: &'w World,
    id: u64,
) -> Result<(&'w Repository, &'w Comment), Answer> {
    let repository = call.repository(world)?;
    Ok((
        repository,
        repository.comments.get(&id).ok_or_else(Answer::not_found)?,
    ))
}

/// The text of a comment; GitHub takes 65,536 characters.
fn comment_text(call: &Call<'_>) -> Result<String, Answer> {
    match call.text("body") {
        Some(text) if text.chars().count() > 65_536 => Err(Answer::invalid(
            "IssueComment",
            "body",
            "body is too long (maximum is 65536 characters)",
        )),
        Some(text) if !text.trim().is_empty() => Ok(text),
        _ => Err(Answer::invalid(
            "IssueComment",
            "body",
            "Body cannot be blank",
        )),
    }
}
