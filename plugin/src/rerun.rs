//! `rerun`: the same commits again, as a build of its own.

use crds::{PrBuild, PrBuildSpec, TriggerKind, names};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use kube::api::PostParams;

use crate::{Desk, PluginError, failed};

/// Repeats a build in the name of who asks.
pub(crate) async fn rerun(desk: &Desk, name: &str, builders: &[String]) -> Result<(), PluginError> {
    let origin = desk.api::<PrBuild>().get_opt(name).await;
    let origin = origin.map_err(failed(format!("{name} cannot be read")))?;
    let origin = origin.ok_or_else(|| PluginError::Nothing {
        what: format!("build {name}"),
        remedy: "kubectl prbuild status".to_owned(),
    })?;
    let again = repetition(&origin, builders, &desk.user().await?, Timestamp::now())?;
    let made = desk
        .api::<PrBuild>()
        .create(&PostParams::default(), &again)
        .await;
    let made = made.map_err(failed(format!("{name} cannot be repeated")))?;
    println!("{} builds the same commits again", made.name_any());
    Ok(())
}

/// A build of the commits of another one. Pure.
fn repetition(
    origin: &PrBuild,
    builders: &[String],
    user: &str,
    now: Timestamp,
) -> Result<PrBuild, PluginError> {
    let mut request = origin.spec.request.clone();
    let unknown = builders
        .iter()
        .find(|builder| !request.builders.contains(builder));
    if let Some(builder) = unknown {
        return Err(crate::stop::unknown_builder(origin, builder));
    }
    if !builders.is_empty() {
        request.builders = builders.to_vec();
    }
    // A repetition of a repetition repeats the first one.
    request.rerun_of = request.rerun_of.or_else(|| Some(origin.name_any()));
    request.trigger.kind = TriggerKind::Manual;
    request.trigger.event_id = now.as_millisecond();
    request.trigger.time = Time(now);
    request.trigger.label = None;
    request.trigger.command = None;
    // By name: somebody in the cluster. The id stays, for the limits of who asked first.
    user.clone_into(&mut request.trigger.user.login);
    request.left_out.clear();
    let name = names::event_name(&request.repository.name, request.number, &request.trigger);
    Ok(PrBuild::new(
        &name,
        PrBuildSpec {
            request,
            cancel: None,
            cancel_builders: Default::default(),
        },
    ))
}
