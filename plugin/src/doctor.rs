//! `doctor`: looks at an install from outside, and says what wants mending.

use crds::{Builder, Repository, condition};
use http::Request;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::Event;
use kube::api::{ListParams, PostParams};
use kube::{Api, ResourceExt};
use service::{kinds, kubernetes};

use crate::{Desk, PluginError, accounts, out};

/// Seconds by which two clocks may differ.
const CLOCKS: i64 = 30;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub what: String,
    /// What is wrong, and what to do; nothing where all is well.
    pub wrong: Option<String>,
    /// Why it cannot be said how it is.
    pub unknown: Option<String>,
}

impl Finding {
    pub(crate) fn new(what: impl Into<String>, wrong: Option<String>) -> Self {
        Self {
            what: what.into(),
            wrong,
            unknown: None,
        }
    }

    /// Something of which nobody knows how it is.
    pub(crate) fn unknown(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            unknown: Some(why.into()),
            ..Self::new(what, None)
        }
    }

    /// As it is printed: with a sign that says how it is.
    fn line(&self) -> String {
        match (&self.wrong, &self.unknown) {
            (Some(wrong), _) => format!("✕ {}\n    {wrong}", self.what),
            (None, Some(why)) => format!("○ {}\n    {why}", self.what),
            (None, None) => format!("● {}", self.what),
        }
    }
}

/// Looks, prints a line for each thing, and fails if something is wrong.
pub(crate) async fn run(desk: &Desk) -> Result<(), PluginError> {
    let mut found = vec![version(desk).await, clock(desk).await, served(desk).await];
    found.extend(programs(desk).await);
    found.extend(repositories(desk).await);
    found.extend(builders(desk).await);
    found.push(accounts::look(desk).await);
    found.extend(rights(desk).await);
    for finding in &found {
        out::line(&finding.line())?;
    }
    match found
        .iter()
        .filter(|finding| finding.wrong.is_some())
        .count()
    {
        0 => Ok(()),
        wrong => Err(PluginError::Unwell(wrong)),
    }
}

async fn version(desk: &Desk) -> Finding {
    let enough = kubernetes::new_enough(&desk.client).await;
    let wrong = enough.err().map(|error| error.to_string());
    Finding::new("Kubernetes is new enough", wrong)
}

/// The clock of the API server, which dates objects, beside ours.
async fn clock(desk: &Desk) -> Finding {
    let what = "clocks agree";
    let request = Request::get("/version").body(kube::client::Body::empty());
    let Ok(request) = request else {
        return Finding::new(what, None);
    };
    let date = match desk.client.send(request).await {
        Ok(answer) => answer.headers().get(http::header::DATE).cloned(),
        Err(error) => return Finding::new(what, Some(error.to_string())),
    };
    let text = date.as_ref().and_then(|date| date.to_str().ok());
    let theirs = text.and_then(|text| jiff::fmt::rfc2822::parse(text).ok());
    let wrong = theirs.and_then(|theirs| differ(theirs.timestamp(), Timestamp::now()));
    Finding::new(what, wrong)
}

/// What to do about two clocks, if they differ by more than they may.
fn differ(theirs: Timestamp, ours: Timestamp) -> Option<String> {
    let apart = theirs.duration_since(ours).as_secs();
    let wrong = format!("the API server's is {apart} s off ours; synchronize them by NTP");
    (apart.abs() > CLOCKS).then_some(wrong)
}

async fn served(desk: &Desk) -> Finding {
    let fits = kinds::fit(&desk.client).await;
    let what = "the kinds are those of this version";
    Finding::new(what, fits.err().map(|error| error.to_string()))
}

/// What of PrBuild runs, and why something does not.
async fn programs(desk: &Desk) -> Vec<Finding> {
    let deployments: Api<Deployment> = desk.api();
    let mut found = Vec::new();
    for name in ["prbuild-webhook", "prbuild-operator", "prbuild-gateway"] {
        let what = format!("{name} runs");
        let wrong = match deployments.get_opt(name).await {
            Err(error) => Some(error.to_string()),
            Ok(None) => Some(format!(
                "there is none in {}; name the namespace of the release with -n",
                desk.namespace
            )),
            Ok(Some(deployment)) => not_ready(&deployment),
        };
        let wrong = match wrong {
            Some(wrong) => Some(with_event(desk, name, wrong).await),
            None => None,
        };
        found.push(Finding::new(what, wrong));
    }
    found
}

fn not_ready(deployment: &Deployment) -> Option<String> {
    let wanted = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1);
    let status = deployment.status.clone().unwrap_or_default();
    let ready = status.ready_replicas.unwrap_or_default();
    let name = deployment.name_any();
    if wanted == 0 {
        return Some(format!(
            "it is scaled down to none; kubectl scale deployment/{name} --replicas=1 brings it back"
        ));
    }
    (ready < wanted).then(|| {
        format!(
            "{ready} of {wanted} pods are ready; kubectl logs deployment/{name} --tail=3 says why"
        )
    })
}

/// Adds the newest warning about a program's pods.
async fn with_event(desk: &Desk, name: &str, wrong: String) -> String {
    let events: Api<Event> = desk.api();
    let Ok(all) = events
        .list(&ListParams::default().fields("type=Warning"))
        .await
    else {
        return wrong;
    };
    let about = |event: &&Event| {
        let object = event.involved_object.name.as_deref();
        object.is_some_and(|object| object.starts_with(name))
    };
    // Our own Event says why; the kubelet's say that a probe failed.
    let weight = |event: &&Event| {
        let last = event.last_timestamp.as_ref().map(|time| time.0);
        let when = last.or(event.event_time.as_ref().map(|time| time.0));
        (event.reason.as_deref() == Some("NotReady"), when)
    };
    let newest = all.items.iter().filter(about).max_by_key(weight);
    match newest.and_then(|event| event.message.as_deref()) {
        Some(message) => format!("{wrong}\n    {message}"),
        None => wrong,
    }
}

/// What the operator says of each Repository: permissions of the App, and whether deliveries arrive.
async fn repositories(desk: &Desk) -> Vec<Finding> {
    match desk.api::<Repository>().list(&ListParams::default()).await {
        Err(error) => vec![Finding::new("Repositories", Some(error.to_string()))],
        Ok(all) if all.items.is_empty() => vec![Finding::new(
            "Repositories",
            Some("there is none; docs/kinds.md shows one".to_owned()),
        )],
        Ok(all) => all.items.iter().flat_map(of_repository).collect(),
    }
}

fn of_repository(repository: &Repository) -> Vec<Finding> {
    let name = repository.name_any();
    let conditions = repository.status.clone().unwrap_or_default().conditions;
    if conditions.is_empty() {
        let wrong = "the operator has not looked at it; does one lead?".to_owned();
        return vec![Finding::new(format!("Repository {name}"), Some(wrong))];
    }
    let finding = |condition: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
        let what = format!("Repository {name}: {}", condition.type_);
        match condition.status.as_str() {
            "True" => Finding::new(what, None),
            "False" => Finding::new(what, Some(condition.message.clone())),
            _ => Finding::unknown(what, condition.message.clone()),
        }
    };
    conditions.iter().map(finding).collect()
}

async fn builders(desk: &Desk) -> Vec<Finding> {
    let all = match desk.api::<Builder>().list(&ListParams::default()).await {
        Ok(all) => all,
        Err(error) => return vec![Finding::new("Builders", Some(error.to_string()))],
    };
    let wrong = |builder: &Builder| {
        let conditions = builder.status.clone().unwrap_or_default().conditions;
        let ready = conditions
            .into_iter()
            .find(|found| found.type_ == condition::kind::READY)?;
        let what = format!("Builder {}", builder.name_any());
        (ready.status == "False").then(|| Finding::new(what, Some(ready.message)))
    };
    let mut found: Vec<Finding> = all.items.iter().filter_map(wrong).collect();
    if found.is_empty() && !all.items.is_empty() {
        found.push(Finding::new(format!("{} Builders", all.items.len()), None));
    }
    found
}

/// What the person who asks may do. Not being allowed is no fault of the install.
async fn rights(desk: &Desk) -> Vec<Finding> {
    let mut found = Vec::new();
    for (verb, resource, means) in [
        ("patch", "prbuilds", "stop builds"),
        ("patch", "builders", "pause builders"),
        ("authorize", "prbuilds", "repeat builds by hand"),
    ] {
        let may = may(desk, verb, resource).await;
        let word = if may { "may" } else { "may not" };
        found.push(Finding::new(format!("you {word} {means}"), None));
    }
    found
}

async fn may(desk: &Desk, verb: &str, resource: &str) -> bool {
    let attributes = ResourceAttributes {
        verb: Some(verb.to_owned()),
        group: Some(crds::GROUP.to_owned()),
        resource: Some(resource.to_owned()),
        namespace: Some(desk.namespace.clone()),
        ..ResourceAttributes::default()
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..Default::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(desk.client.clone());
    let made = reviews.create(&PostParams::default(), &review).await;
    made.is_ok_and(|review| review.status.is_some_and(|status| status.allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_can_say_of_a_repository_is_neither_well_nor_wrong() {
        let condition = |kind: &str, status: &str, message: &str| {
            serde_json::json!({ "type": kind, "status": status, "reason": "R", "message": message,
                "lastTransitionTime": "2026-01-01T00:00:00Z" })
        };
        let repository = serde_json::json!({
            "apiVersion": "prbuild.dev/v1alpha1", "kind": "Repository", "metadata": { "name": "app" },
            "spec": { "owner": "octo", "name": "app", "connection": "github", "labels": [{ "name": "test" }] },
            "status": { "conditions": [
                condition("Ready", "True", "builds can start"),
                condition("Webhook", "Unknown", "the token may not see webhooks"),
                condition("OperatorReady", "False", "no operator works"),
            ] },
        });
        let found = of_repository(&serde_json::from_value(repository).unwrap());
        let lines: Vec<String> = found.iter().map(Finding::line).collect();
        assert_eq!(
            lines,
            [
                "● Repository app: Ready",
                "○ Repository app: Webhook\n    the token may not see webhooks",
                "✕ Repository app: OperatorReady\n    no operator works",
            ]
        );
        let wrong = found.iter().filter(|finding| finding.wrong.is_some());
        assert_eq!(wrong.count(), 1);
    }

    #[test]
    fn a_program_of_which_no_pod_is_wanted_does_not_run() {
        let said = |wanted: i32, ready: i32| {
            let deployment = serde_json::json!({
                "metadata": { "name": "prbuild-operator" },
                "spec": { "replicas": wanted, "selector": {}, "template": {} },
                "status": { "readyReplicas": ready },
            });
            not_ready(&serde_json::from_value(deployment).unwrap())
        };
        assert_eq!(said(2, 2), None);
        assert!(said(2, 1).unwrap().starts_with("1 of 2 pods are ready"));
        assert!(said(0, 0).unwrap().starts_with("it is scaled down to none"));
    }

    #[test]
    fn clocks_that_differ_by_more_than_half_a_minute_are_named_either_way() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        assert_eq!(differ(at(1000), at(1030)), None);
        for (theirs, says) in [(1031, "is 31 s off"), (969, "is -31 s off")] {
            let said = differ(at(theirs), at(1000)).expect("they differ");
            assert!(said.contains(says), "{said}");
        }
    }
}
