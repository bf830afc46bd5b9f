//! Apps, installations, tokens, users and teams.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{Answer, Call, Reply};
use crate::forge::auth::Caller;
use crate::forge::iso;
use crate::forge::model::{Id, Installation, Permissions, Token, World};

/// `GET /app`
pub fn app(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let app = world
        .apps
        .get(&app_id(call)?)
        .ok_or_else(Answer::not_found)?;
    let mut value = call.wire(&world).app(app);
    value["installations_count"] = json!(
        world
            .installations
            .values()
            .filter(|one| one.app == app.id)
            .count()
    );
    Ok(Answer::ok(value))
}

/// `GET /app/installations`
pub fn installations(call: &Call<'_>) -> Reply {
    let (world, app) = (call.forge.lock(), app_id(call)?);
    let all: Vec<&Installation> = world
        .installations
        .values()
        .filter(|one| one.app == app)
        .collect();
    let wire = call.wire(&world);
    Ok(call.page(&all, |one| wire.installation(one)))
}

/// `GET /app/installations/{installation_id}`
pub fn installation(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let one = own_installation(call, &world)?;
    Ok(Answer::ok(call.wire(&world).installation(one)))
}

/// `GET /repos/{owner}/{repo}/installation`
pub fn repository_installation(call: &Call<'_>) -> Reply {
    let (world, app) = (call.forge.lock(), app_id(call)?);
    let id = call.repository(&world)?.id;
    let found = world
        .installations
        .values()
        .find(|one| one.app == app && one.repositories.contains(&id));
    Ok(Answer::ok(
        call.wire(&world)
            .installation(found.ok_or_else(Answer::not_found)?),
    ))
}

/// `POST /app/installations/{installation_id}/access_tokens`: for one hour, narrowed as asked.
pub fn create_token(call: &Call<'_>) -> Reply {
    call.forge.edit(|world| {
        let one = own_installation(call, world)?.clone();
        if one.suspended {
            return Err(Answer::error(403, "This installation has been suspended"));
        }
        let permissions = narrowed_permissions(call, &one)?;
        let repositories = narrowed_repositories(call, world, &one)?;
        let number = world.id("token");
        let secret = format!("ghs_{number:036}");
        let expires_at = call.forge.clock.now() + SignedDuration::from_hours(1);
        let narrowed = repositories != one.repositories;
        let wire = call.wire(world);
        let mut value = json!({
            "token": secret,
            "expires_at": iso(expires_at),
            "permissions": permissions,
            "repository_selection": "selected",
        });
        if narrowed {
            let named = repositories
                .iter()
                .filter_map(|id| world.repositories.get(id));
            value["repositories"] = named
                .map(|repository| wire.repository(repository))
                .collect();
        }
        world.tokens.insert(
            secret,
            Token::Installation {
                installation: one.id,
                permissions,
                repositories,
                expires_at,
            },
        );
        Ok(Answer::json(201, value))
    })
}

/// The permissions that were asked for, all by default, never more than were granted.
fn narrowed_permissions(call: &Call<'_>, one: &Installation) -> Result<Permissions, Answer> {
    let Some(asked) = call.body["permissions"].as_object() else {
        return Ok(one.permissions.clone());
    };
    let mut permissions = Permissions::new();
    for (name, level) in asked {
        let level = level.as_str().unwrap_or_default();
        let granted = one.permissions.get(name).map(String::as_str);
        let enough = name == "metadata" && level == "read"
            || matches!(
                (granted, level),
                (Some("write"), "read" | "write") | (Some("read"), "read")
            );
        if !enough {
            let message = "The permissions requested are not granted to this installation.";
            return Err(Answer::error(422, message));
        }
        permissions.insert(name.clone(), level.to_owned());
    }
    permissions.insert("metadata".to_owned(), "read".to_owned());
    Ok(permissions)
}

/// The repositories that were asked for by id or name, all by default.
fn narrowed_repositories(
    call: &Call<'_>,
    world: &World,
    one: &Installation,
) -> Result<Vec<Id>, Answer> {
    let mut asked: Vec<Id> = Vec::new();
    for id in call.body["repository_ids"].as_array().into_iter().flatten() {
        asked.push(id.as_u64().unwrap_or_default());
    }
    for name in call.body["repositories"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        let found = one.repositories.iter().find(|id| {
            world
                .repositories
                .get(id)
                .is_some_and(|repository| repository.name == name)
        });
        asked.push(found.copied().unwrap_or_default());
    }
    if asked.is_empty() {
        return Ok(one.repositories.clone());
    }
    if asked.iter().all(|id| one.repositories.contains(id)) {
        return Ok(asked);
    }
    let message = "There is at least one repository that does not exist or is not accessible to the parent installation.";
    Err(Answer::error(422, message))
}

/// `GET /installation/repositories`
pub fn repositories(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let Caller::Installation { repositories, .. } = call.caller else {
        return Err(Answer::error(
            403,
            "You must authenticate with an installation access token in order to list repositories for an installation.",
        ));
    };
    let wire = call.wire(&world);
    let named = repositories
        .iter()
        .filter_map(|id| world.repositories.get(id));
    let list: Vec<Value> = named
        .map(|repository| wire.repository(repository))
        .collect();
    Ok(Answer::ok(
        json!({"total_count": list.len(), "repository_selection": "selected", "repositories": list}),
    ))
}

/// `GET /orgs/{org}/teams/{team_slug}/memberships/{username}`
pub fn membership(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    if matches!(call.caller, Caller::Anonymous) {
        return Err(Answer::error(401, "Requires authentication"));
    }
    let organization = world
        .user(call.param("org"))
        .ok_or_else(Answer::not_found)?
        .id;
    let user = world
        .user(call.param("username"))
        .ok_or_else(Answer::not_found)?
        .id;
    let team = world
        .teams
        .iter()
        .find(|team| team.organization == organization && team.slug == call.param("team_slug"));
    let team = team.ok_or_else(Answer::not_found)?;
    let (_, active) = team
        .members
        .iter()
        .find(|(member, _)| *member == user)
        .ok_or_else(Answer::not_found)?;
    Ok(Answer::ok(
        call.wire(&world).membership(team, user, *active),
    ))
}

/// `GET /user`
pub fn user(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    match call.caller {
        Caller::Person { id, .. } => {
            let user = world.users.get(id).ok_or_else(Answer::not_found)?;
            Ok(Answer::ok(call.wire(&world).public_user(user)))
        }
        Caller::Anonymous => Err(Answer::error(401, "Requires authentication")),
        _ => Err(Answer::error(403, "Resource not accessible by integration")),
    }
}

/// `GET /user/{account_id}`
pub fn user_by_id(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let id = call.param("account_id").parse().ok();
    let user = id.and_then(|id| world.users.get(&id));
    let user = user.ok_or_else(Answer::not_found)?;
    Ok(Answer::ok(call.wire(&world).public_user(user)))
}

/// `GET /users/{username}`
pub fn user_by_name(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let user = world
        .user(call.param("username"))
        .ok_or_else(Answer::not_found)?;
    Ok(Answer::ok(call.wire(&world).public_user(user)))
}

/// `GET /rate_limit`: costs nothing, and tells of the budget.
pub fn rate_limit(call: &Call<'_>) -> Reply {
    let key = call.caller.budget();
    let now = call.forge.clock.now();
    let resource = |name| {
        let budget = call.forge.limits.look(&key, name, now);
        json!({"limit": budget.limit, "used": budget.used, "remaining": budget.limit.saturating_sub(budget.used), "reset": budget.reset})
    };
    let core = resource("core");
    Ok(Answer::ok(json!({
        "resources": {"core": core, "graphql": resource("graphql"), "search": resource("search")},
        "rate": core,
    })))
}

fn app_id(call: &Call<'_>) -> Result<Id, Answer> {
    match call.caller {
        Caller::App(id) => Ok(*id),
        _ => Err(Answer::error(401, "A JSON web token could not be decoded")),
    }
}

fn own_installation<'w>(call: &Call<'_>, world: &'w World) -> Result<&'w Installation, Answer> {
    let (app, id) = (app_id(call)?, call.number("installation_id")?);
    world
        .installations
        .get(&id)
        .filter(|one| one.app == app)
        .ok_or_else(Answer::not_found)
}
