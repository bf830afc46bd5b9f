//! Webhooks of Apps and repositories, and the deliveries that GitHub keeps for three days.

use jiff::SignedDuration;

use super::call::linked;
use super::{Answer, Call, Reply};
use crate::forge::auth::Caller;
use crate::forge::hooks::Delivery;
use crate::forge::model::{Hook, Id, World};

/// GitHub keeps deliveries so long.
const KEPT: SignedDuration = SignedDuration::from_hours(72);

/// `GET /app/hook/config`
pub fn config(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let hook = hook(call, &world)?;
    Ok(Answer::ok(call.wire(&world).hook_config(hook)))
}

/// `GET …/hooks`
pub fn hooks(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let id = call.repository(&world)?.id;
    let own = world.hooks.iter();
    let own: Vec<&Hook> = own.filter(|hook| hook.repository == Some(id)).collect();
    let wire = call.wire(&world);
    Ok(call.page(&own, |hook| wire.repository_hook(hook)))
}

/// `GET …/hooks/{hook_id}`
pub fn get_hook(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let hook = hook(call, &world)?;
    Ok(Answer::ok(call.wire(&world).repository_hook(hook)))
}

/// `GET …/deliveries`: newest first, in pages by cursor.
pub fn list(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let hook = hook(call, &world)?.id;
    let query = |name: &str| call.query.get(name).map(String::as_str);
    let before = match query("cursor") {
        None => None,
        Some(cursor) => {
            let id = cursor.strip_prefix("v1_").and_then(|id| id.parse().ok());
            Some(id.ok_or_else(|| Answer::error(400, "Invalid cursor"))?)
        }
    };
    let wanted = |one: &&Delivery| {
        let code = one.outcome.code();
        let fits = match query("status") {
            Some("success") => (200..400).contains(&code),
            Some(_) => (400..600).contains(&code),
            None => true,
        };
        fits && before.is_none_or(|before: Id| one.id < before)
    };
    let mut own: Vec<&Delivery> = kept(call, &world, hook).filter(wanted).collect();
    own.sort_by_key(|one| std::cmp::Reverse(one.id));
    let size = query("per_page")
        .and_then(|size| size.parse().ok())
        .unwrap_or(30)
        .clamp(1, 100);
    let shown = &own[..own.len().min(size)];
    let wire = call.wire(&world);
    let answer = Answer::ok(shown.iter().map(|one| wire.delivery_item(one)).collect());
    let link = match shown.last() {
        Some(last) if own.len() > size => {
            let mut query = format!("per_page={size}&cursor=v1_{}", last.id);
            if let Some(status) = call.query.get("status") {
                query.push_str(&format!("&status={status}"));
            }
            Some(format!(
                "<{}{}?{query}>; rel=\"next\"",
                call.host,
                call.uri.path()
            ))
        }
        _ => None,
    };
    Ok(linked(answer, link))
}

/// `GET …/deliveries/{delivery_id}`
pub fn get(call: &Call<'_>) -> Reply {
    let world = call.forge.lock();
    let hook = hook(call, &world)?;
    let one = find(call, &world, hook.id)?;
    Ok(Answer::ok(call.wire(&world).delivery(hook, one)))
}

/// `POST …/deliveries/{delivery_id}/attempts`: the same GUID and payload again.
pub fn redeliver(call: &Call<'_>) -> Reply {
    let id = {
        let world = call.forge.lock();
        find(call, &world, hook(call, &world)?.id)?.id
    };
    match call.forge.redeliver(id) {
        Some(_) => Ok(Answer::json(202, serde_json::json!({}))),
        None => Err(Answer::not_found()),
    }
}

/// The webhook that the path means: one of the repository, or that of the App that asks.
fn hook<'w>(call: &Call<'_>, world: &'w World) -> Result<&'w Hook, Answer> {
    let found = if call.params.contains_key("hook_id") {
        let (repository, id) = (call.repository(world)?.id, call.number("hook_id")?);
        let own = |hook: &&Hook| hook.id == id && hook.repository == Some(repository);
        world.hooks.iter().find(own)
    } else if let Caller::App(app) = call.caller {
        world.hooks.iter().find(|hook| hook.app == Some(*app))
    } else {
        None
    };
    found.ok_or_else(Answer::not_found)
}

fn kept<'w>(
    call: &Call<'_>,
    world: &'w World,
    hook: Id,
) -> impl Iterator<Item = &'w Delivery> + use<'w> {
    let oldest = call.forge.clock.now() - KEPT;
    let all = world.deliveries.iter();
    all.filter(move |one| one.hook == hook && one.delivered_at > oldest)
}

fn find<'w>(call: &Call<'_>, world: &'w World, hook: Id) -> Result<&'w Delivery, Answer> {
    let id = call.number("delivery_id")?;
    let found = kept(call, world, hook).find(|one| one.id == id);
    found.ok_or_else(Answer::not_found)
}
