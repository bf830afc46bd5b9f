//! Repositories, what moved their branches, and who may do what.

use super::{Answer, Call, Reply};
use crate::forge::ForkActivity;
use crate::forge::auth::Caller;
use crate::forge::model::{Activity, Role, UserType};

use jiff::SignedDuration;

/// `GET /repos/{owner}/{repo}`
pub fn get(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let repository = call.repository(&world)?;
    Ok(Answer::ok(call.wire(&world).full_repository(repository)))
}

/// `GET …/collaborators/{username}/permission`
pub fn permission(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let repository = call.repository(&world)?;
    match call.caller {
        Caller::Anonymous => return Err(Answer::error(401, "Requires authentication")),
        Caller::Person { id, .. } if world.role(repository, *id).0 < Role::Write => {
            return Err(Answer::error(
                403,
                "Must have push access to view collaborator permission.",
            ));
        }
        Caller::Installation { repositories, .. } if !repositories.contains(&repository.id) => {
            return Err(Answer::error(403, "Resource not accessible by integration"));
        }
        _ => {}
    }
    let user = world
        .user(call.param("username"))
        .ok_or_else(Answer::not_found)?;
    if user.kind == UserType::Organization {
        return Err(Answer::not_found());
    }
    let (role, name) = world.role(repository, user.id);
    Ok(Answer::ok(
        call.wire(&world).collaborator(user.id, role, &name),
    ))
}

/// `GET …/activity`: pages by cursor, newest first.
pub fn activity(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let repository = call.repository(&world)?;
    match (call.caller, call.forge.switches()) {
        (Caller::Anonymous, switches) if !switches.anonymous_activity => {
            return Err(Answer::error(401, "Requires authentication"));
        }
        (Caller::Installation { .. } | Caller::Person { .. }, switches)
            if repository.fork_of.is_some() && !owns(call, repository) =>
        {
            match switches.fork_activity {
                ForkActivity::Visible => {}
                ForkActivity::Empty => return Ok(Answer::ok(serde_json::json!([]))),
                ForkActivity::NotFound => return Err(Answer::not_found()),
            }
        }
        _ => {}
    }
    let mut entries: Vec<&Activity> = repository
        .activity
        .iter()
        .filter(|entry| wanted(call, &world, entry))
        .collect();
    if call.query.get("direction").map(String::as_str) != Some("asc") {
        entries.reverse();
    }
    let number = |name: &str| {
        call.query
            .get(name)
            .and_then(|value| value.parse::<usize>().ok())
    };
    let size = number("per_page").unwrap_or(30).clamp(1, 100);
    let after = call
        .query
        .get("after")
        .and_then(|cursor| cursor.parse::<u64>().ok());
    let from = after
        .and_then(|id| entries.iter().position(|entry| entry.id == id))
        .map_or(0, |index| index + 1);
    let page = &entries[from..(from + size).min(entries.len())];
    let wire = call.wire(&world);
    let mut answer = Answer::ok(page.iter().map(|entry| wire.activity(entry)).collect());
    if let (true, Some(last)) = (from + size < entries.len(), page.last()) {
        let query = call.uri.query().unwrap_or_default();
        let kept = query
            .split('&')
            .filter(|pair| !pair.is_empty() && !pair.starts_with("after="));
        let cursor = format!("after={}", last.id);
        let query: Vec<&str> = kept.chain([cursor.as_str()]).collect();
        let link = format!(
            "<{}{}?{}>; rel=\"next\"",
            call.host,
            call.uri.path(),
            query.join("&")
        );
        answer.headers.push(("link", link));
    }
    Ok(answer)
}

fn owns(call: &Call<'_>, repository: &crate::forge::model::Repository) -> bool {
    match call.caller {
        Caller::Person { id, .. } => repository.owner == *id,
        Caller::Installation { repositories, .. } => repositories.contains(&repository.id),
        _ => false,
    }
}

/// Whether a movement fits the query: ref, actor, kind and age.
fn wanted(call: &Call<'_>, world: &crate::forge::model::World, entry: &Activity) -> bool {
    let is = |name: &str, value: &str| call.query.get(name).is_none_or(|wanted| wanted == value);
    let reference = call.query.get("ref").is_none_or(|wanted| {
        *wanted == entry.reference || format!("refs/heads/{wanted}") == entry.reference
    });
    let age = call
        .query
        .get("time_period")
        .map(|period| match period.as_str() {
            "day" => 1,
            "week" => 7,
            "month" => 30,
            "quarter" => 91,
            _ => 366,
        });
    let recent = age.is_none_or(|days| {
        entry.timestamp > call.forge.clock.now() - SignedDuration::from_hours(24 * days)
    });
    reference
        && recent
        && is("activity_type", entry.kind.name())
        && is("actor", entry.actor.map_or("", |id| world.login(id)))
}
