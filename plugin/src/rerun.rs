//! `rerun`: the same commits again, as a build of its own.

use crds::{PrBuild, PrBuildSpec, TriggerKind, names};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use kube::api::PostParams;

use crate::{Desk, PluginError, failed, out};

/// Label of builds that are made by hand: the chart's policies ask for it.
const BY_HAND: &str = "prbuild.dev/by-hand";

/// Repeats a build in the name of who asks.
pub(crate) async fn rerun(desk: &Desk, name: &str, builders: &[String]) -> Result<(), PluginError> {
    let named = find(desk, name).await?;
    let named = named.ok_or_else(|| PluginError::Nothing {
        what: format!("build {name}"),
        remedy: "kubectl prbuild status".to_owned(),
    })?;
    let first = match &named.spec.request.rerun_of {
        Some(first) => find(desk, first).await?,
        None => None,
    };
    let origin = origin(&named, first.as_ref())?;
    let again = repetition(
        origin,
        &named,
        builders,
        &desk.user().await?,
        Timestamp::now(),
    )?;
    let made = desk
        .api::<PrBuild>()
        .create(&PostParams::default(), &again)
        .await;
    let made = made.map_err(failed(format!("{name} cannot be repeated")))?;
    out::line(&format!(
        "{} builds the same commits again",
        made.name_any()
    ))
}

async fn find(desk: &Desk, name: &str) -> Result<Option<PrBuild>, PluginError> {
    let found = desk.api::<PrBuild>().get_opt(name).await;
    found.map_err(failed(format!("{name} cannot be read")))
}

/// The build whose commits are repeated: a repetition of a repetition repeats the first one, or what is
/// left of it that was asked for on GitHub. A build that was made by hand is taken for no origin. Pure.
fn origin<'a>(named: &'a PrBuild, first: Option<&'a PrBuild>) -> Result<&'a PrBuild, PluginError> {
    let mut left = first.into_iter().chain([named]);
    let origin = left.find(|build| build.spec.request.trigger.kind != TriggerKind::Manual);
    origin.ok_or_else(|| PluginError::Nothing {
        what: format!("build any more that {} repeats", named.name_any()),
        remedy: format!("the label on #{} again", named.spec.request.number),
    })
}

/// A build of the commits of `origin` on the builders of the one that was named. Pure.
fn repetition(
    origin: &PrBuild,
    named: &PrBuild,
    builders: &[String],
    user: &str,
    now: Timestamp,
) -> Result<PrBuild, PluginError> {
    let last = &named.spec.request;
    let unknown = builders
        .iter()
        .find(|builder| !last.builders.contains(builder));
    if let Some(builder) = unknown {
        return Err(crate::stop::unknown_builder(named, builder));
    }
    // Who asked first stays by the id, for the limits; the name is of somebody in the cluster.
    let mut request = origin.spec.request.clone();
    request.builders = match builders.is_empty() {
        true => last.builders.clone(),
        false => builders.to_vec(),
    };
    request.left_out.clear();
    request.after_checks.clone_from(&last.after_checks);
    request.rerun_of = Some(origin.name_any());
    request.trigger.kind = TriggerKind::Manual;
    request.trigger.event_id = now.as_millisecond();
    request.trigger.time = Time(now);
    request.trigger.label = None;
    request.trigger.command = None;
    user.clone_into(&mut request.trigger.user.login);
    request.trigger.evidence = last.trigger.evidence;
    let name = names::event_name(&request.repository.name, request.number, &request.trigger);
    let mut again = PrBuild::new(
        &name,
        PrBuildSpec {
            request,
            cancel: None,
            cancel_builders: Default::default(),
        },
    );
    again
        .labels_mut()
        .insert(BY_HAND.to_owned(), "true".to_owned());
    Ok(again)
}

#[cfg(test)]
mod tests {
    use crds::Evidence;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn build(name: &str, kind: &str, builders: &[&str], of: Option<&str>) -> PrBuild {
        let mut spec = json!({ "request": {
            "repository": { "name": "app", "id": 5, "fullName": "octo/app" }, "number": 7,
            "headSha": "c".repeat(40), "baseRef": "main", "flavour": "default", "builders": builders,
            "trigger": {
                "kind": kind, "eventId": 1, "time": "2026-01-31T12:00:00Z", "label": "test",
                "user": { "id": 3, "login": "ada" }, "permission": "write", "evidence": "Review",
            },
        }});
        if let Some(of) = of {
            spec["request"]["rerunOf"] = of.into();
        }
        PrBuild::new(name, serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn a_build_is_repeated_in_the_name_of_who_asks() {
        let first = build("app-7-l1", "Label", &["linux", "mac"], None);
        let origin = origin(&first, None).unwrap();
        let again = repetition(origin, &first, &[], "system:admin", NOW).unwrap();
        assert_eq!(again.labels()["prbuild.dev/by-hand"], "true");
        let request = again.spec.request;
        assert_eq!(request.rerun_of.as_deref(), Some("app-7-l1"));
        assert_eq!(request.builders, ["linux", "mac"]);
        assert_eq!(request.trigger.kind, TriggerKind::Manual);
        assert_eq!(request.trigger.user.login, "system:admin");
        assert_eq!((request.trigger.user.id, request.trigger.label), (3, None));
    }

    #[test]
    fn a_repetition_is_repeated_as_the_first_build_on_its_own_builders_with_its_own_evidence() {
        let first = build("app-7-l1", "Label", &["linux", "mac"], None);
        for kind in ["Manual", "Button"] {
            let mut second = build("app-7-x2", kind, &["mac"], Some("app-7-l1"));
            second.spec.request.trigger.user.id = 4;
            second.spec.request.trigger.evidence = Evidence::Label;
            let origin = origin(&second, Some(&first)).unwrap();
            let again = repetition(origin, &second, &[], "admin", NOW).unwrap();
            let request = again.spec.request;
            assert_eq!(request.rerun_of.as_deref(), Some("app-7-l1"), "{kind}");
            assert_eq!(request.builders, ["mac"], "{kind}");
            assert_eq!(request.trigger.user.id, 3, "{kind}");
            assert_eq!(request.trigger.evidence, Evidence::Label, "{kind}");
            let all = ["linux".to_owned()];
            assert!(repetition(origin, &second, &all, "admin", NOW).is_err());
        }
    }

    #[test]
    fn when_the_first_build_is_gone_only_what_the_webhook_made_is_repeated() {
        let pressed = build("app-7-b2", "Button", &["mac"], Some("app-7-l1"));
        let again = repetition(origin(&pressed, None).unwrap(), &pressed, &[], "admin", NOW);
        let request = again.unwrap().spec.request;
        assert_eq!(request.rerun_of.as_deref(), Some("app-7-b2"));
        let by_hand = build("app-7-m3", "Manual", &["mac"], Some("app-7-l1"));
        let said = origin(&by_hand, None).unwrap_err().to_string();
        let expected =
            "there is no build any more that app-7-m3 repeats\n  try: the label on #7 again";
        assert_eq!(said, expected);
    }
}
