//! Who may do what: the accounts of the chart, and somebody who was let in by mistake.

use std::time::Duration;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tests::cluster::{Access, eventually};

use super::samples::{self, cancel};
use super::{Desk, create, objects};

pub(super) const WEBHOOK: &str = "prbuild-webhook";
pub(super) const OPERATOR: &str = "prbuild-operator";
pub(super) const GATEWAY: &str = "prbuild-gateway";
const POLICY: &str = "Only the webhook creates builds and answers: they record what the gate decided. Add the label on GitHub instead, or ask your administrator for the verb \"authorize\" on prbuilds.";
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Asks the API server whether this client may; `what` is `verb group/resource[/subresource] [name]`.
async fn may(client: &Client, namespace: &str, what: &str) -> bool {
    let (verb, what) = what.split_once(' ').unwrap();
    let (resource, name) = match what.split_once(' ') {
        Some((resource, name)) => (resource, Some(name.to_owned())),
        None => (what, None),
    };
    let mut parts = resource.split('/').map(str::to_owned);
    let attributes = ResourceAttributes {
        verb: Some(verb.to_owned()),
        group: parts.next(),
        resource: parts.next(),
        subresource: parts.next(),
        name,
        namespace: Some(namespace.to_owned()),
        ..ResourceAttributes::default()
    };
    let spec = SelfSubjectAccessReviewSpec {
        resource_attributes: Some(attributes),
        ..Default::default()
    };
    let review = SelfSubjectAccessReview {
        spec,
        ..SelfSubjectAccessReview::default()
    };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let review = reviews
        .create(&PostParams::default(), &review)
        .await
        .unwrap();
    review.status.is_some_and(|status| status.allowed)
}

/// What no account of ours may do, in no namespace.
const NOBODY: [&str; 24] = [
    "get /secrets",
    "list /secrets",
    "watch /secrets",
    "create /secrets",
    "get /configmaps",
    "create /pods",
    "delete /pods",
    "create /pods/exec",
    "get /pods/log",
    "create /pods/attach",
    "create /pods/portforward",
    "create /pods/eviction",
    "create /serviceaccounts/token",
    "impersonate /serviceaccounts",
    "create rbac.authorization.k8s.io/roles",
    "escalate rbac.authorization.k8s.io/roles",
    "bind rbac.authorization.k8s.io/roles",
    "create rbac.authorization.k8s.io/rolebindings",
    "patch batch/jobs",
    "create prbuild.dev/builders",
    "patch prbuild.dev/builders",
    "create prbuild.dev/repositories",
    "patch prbuild.dev/repositories",
    "deletecollection prbuild.dev/prbuilds",
];

/// Waits until an account has its rights, so that a refusal is no matter of time; then asks. What nobody may
/// do it may only where that is among what it may.
pub(super) async fn holds(client: &Client, namespace: &str, may_do: &[&str], may_not: &[&str]) {
    for what in may_do {
        eventually(format!("{what} in {namespace}"), PATIENCE, async || {
            if may(client, namespace, what).await {
                Ok(())
            } else {
                Err("no".to_owned())
            }
        })
        .await;
    }
    let nobody = NOBODY.iter().filter(|what| !may_do.contains(*what));
    for what in may_not.iter().chain(nobody) {
        assert!(!may(client, namespace, what).await, "{what} in {namespace}");
    }
}

#[tokio::test]
async fn the_webhook_records_requests_and_touches_nothing_else() {
    let desk = Desk::open("rights-webhook").await;
    let client = desk.client_of(WEBHOOK).await;
    let may_do = [
        "create prbuild.dev/prbuilds",
        "authorize prbuild.dev/prbuilds",
        "list prbuild.dev/prbuilds",
        "patch prbuild.dev/prbuilds",
        "create prbuild.dev/answers",
        "create events.k8s.io/events",
    ];
    let may_not = [
        "update prbuild.dev/prbuilds",
        "delete prbuild.dev/prbuilds",
        "patch prbuild.dev/prbuilds/status",
        "update prbuild.dev/prbuilds/status",
        "patch prbuild.dev/answers",
        "patch prbuild.dev/answers/status",
        "delete prbuild.dev/answers",
        "patch prbuild.dev/builders/status",
        "patch prbuild.dev/repositories/status",
        "get prbuild.dev/builderruns",
        "create prbuild.dev/builderruns",
        "patch prbuild.dev/builderruns",
        "patch prbuild.dev/builderruns/status",
        "create batch/jobs",
        "get /pods",
        "delete coordination.k8s.io/leases",
        "patch events.k8s.io/events",
        "list events.k8s.io/events",
        "list /events",
    ];
    holds(&client, desk.install.namespace(), &may_do, &may_not).await;
    let nothing = [
        "get /pods",
        "get batch/jobs",
        "create batch/jobs",
        "create prbuild.dev/prbuilds",
    ];
    holds(&client, desk.install.builds(), &[], &nothing).await;
    holds(&client, "default", &[], &may_do).await;
    desk.close().await;
}

#[tokio::test]
async fn the_operator_runs_what_was_authorized_and_authorizes_nothing() {
    let desk = Desk::open("rights-operator").await;
    let client = desk.client_of(OPERATOR).await;
    let may_do = [
        "create prbuild.dev/builderruns",
        "patch prbuild.dev/prbuilds/status",
        "create prbuild.dev/assignments",
        "delete prbuild.dev/assignments",
        "watch prbuild.dev/workers",
        "watch coordination.k8s.io/leases prbuild-operator",
    ];
    let may_not = [
        "watch coordination.k8s.io/leases",
        "list coordination.k8s.io/leases",
        "watch coordination.k8s.io/leases prbuild-sweep",
        "create prbuild.dev/prbuilds",
        "authorize prbuild.dev/prbuilds",
        "patch prbuild.dev/prbuilds",
        "update prbuild.dev/prbuilds",
        "create prbuild.dev/answers",
        "patch prbuild.dev/answers",
        "patch prbuild.dev/workers",
        "patch prbuild.dev/workers/status",
        "patch prbuild.dev/assignments/status",
        "delete prbuild.dev/builders",
        "delete prbuild.dev/repositories",
        "create batch/jobs",
        "get /pods",
        "delete coordination.k8s.io/leases",
    ];
    holds(&client, desk.install.namespace(), &may_do, &may_not).await;
    let jobs = ["create batch/jobs", "delete batch/jobs", "list /pods"];
    let nothing = [
        "patch /pods",
        "create prbuild.dev/builderruns",
        "create prbuild.dev/prbuilds",
    ];
    holds(&client, desk.install.builds(), &jobs, &nothing).await;
    holds(
        &client,
        "default",
        &[],
        &[
            "create batch/jobs",
            "get /pods",
            "list prbuild.dev/prbuilds",
        ],
    )
    .await;
    desk.close().await;
}

#[tokio::test]
async fn the_gateway_reads_what_pages_show_and_writes_what_workers_say() {
    let desk = Desk::open("rights-gateway").await;
    let client = desk.client_of(GATEWAY).await;
    let may_do = [
        "list prbuild.dev/repositories",
        "watch prbuild.dev/builders",
        "watch prbuild.dev/prbuilds",
        "watch prbuild.dev/builderruns",
        "watch prbuild.dev/workers",
        "patch prbuild.dev/workers/status",
        "patch prbuild.dev/assignments/status",
        "create events.k8s.io/events",
    ];
    let may_not = [
        "get prbuild.dev/answers",
        "list prbuild.dev/answers",
        "watch prbuild.dev/answers",
        "create prbuild.dev/prbuilds",
        "authorize prbuild.dev/prbuilds",
        "patch prbuild.dev/prbuilds",
        "update prbuild.dev/prbuilds",
        "delete prbuild.dev/prbuilds",
        "patch prbuild.dev/prbuilds/status",
        "create prbuild.dev/builderruns",
        "patch prbuild.dev/builderruns",
        "delete prbuild.dev/builderruns",
        "patch prbuild.dev/builderruns/status",
        "patch prbuild.dev/builders/status",
        "patch prbuild.dev/repositories/status",
        "create prbuild.dev/workers",
        "patch prbuild.dev/workers",
        "create prbuild.dev/assignments",
        "patch prbuild.dev/assignments",
        "delete prbuild.dev/assignments",
        "create batch/jobs",
        "get batch/jobs",
        "get /pods",
        "patch events.k8s.io/events",
        "list events.k8s.io/events",
        "list /events",
        "create coordination.k8s.io/leases",
        "get coordination.k8s.io/leases",
    ];
    holds(&client, desk.install.namespace(), &may_do, &may_not).await;
    let nothing = ["get /pods", "get batch/jobs", "create batch/jobs"];
    holds(&client, desk.install.builds(), &[], &nothing).await;
    holds(&client, "default", &[], &may_do).await;
    desk.close().await;
}

#[tokio::test]
async fn the_account_of_builds_may_nothing() {
    let desk = Desk::open("rights-build").await;
    let kubeconfig = desk
        .install
        .access()
        .kubeconfig_for(desk.install.builds(), "prbuild-build")
        .await
        .unwrap();
    let client = Access::by(kubeconfig).client().await.unwrap();
    let nothing = [
        "get /pods",
        "list /pods",
        "get batch/jobs",
        "create batch/jobs",
        "get prbuild.dev/prbuilds",
        "create prbuild.dev/prbuilds",
        "authorize prbuild.dev/prbuilds",
        "create prbuild.dev/builderruns",
        "patch prbuild.dev/builderruns/status",
        "get coordination.k8s.io/leases",
    ];
    for namespace in [
        desk.install.namespace(),
        desk.install.builds(),
        "default",
        "kube-system",
    ] {
        holds(&client, namespace, &[], &nothing).await;
    }
    let accounts: Api<ServiceAccount> =
        Api::namespaced(desk.install.client(), desk.install.builds());
    let account = accounts.get("prbuild-build").await.unwrap();
    assert_eq!(account.automount_service_account_token, Some(false));
    desk.close().await;
}

#[tokio::test]
async fn s23_the_webhook_writes_no_status_and_changes_of_a_build_only_that_it_stops() {
    let desk = Desk::open("s23-webhook").await;
    let client = desk.client_of(WEBHOOK).await;
    let builds = objects(client, desk.install.namespace(), "PrBuild");
    eventually("the webhook may create builds", PATIENCE, async || {
        create(
            &builds,
            "PrBuild",
            "app-7-l1",
            &samples::spec("PrBuild"),
            false,
        )
        .await
    })
    .await;
    let how = PatchParams::default();
    let green = Patch::Merge(json!({ "status": { "phase": "Complete", "result": "Passed" } }));
    let said = builds
        .patch_status("app-7-l1", &how, &green)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("cannot patch resource \"prbuilds/status\""),
        "{said}"
    );
    let other = Patch::Merge(json!({ "spec": { "request": { "headSha": "f".repeat(40) } } }));
    let said = builds
        .patch("app-7-l1", &how, &other)
        .await
        .unwrap_err()
        .to_string();
    assert!(said.contains("spec.request is immutable"), "{said}");
    let stop = Patch::Merge(json!({ "spec": { "cancel": cancel() } }));
    builds.patch("app-7-l1", &how, &stop).await.unwrap();
    let said = builds
        .delete("app-7-l1", &Default::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("cannot delete resource \"prbuilds\""),
        "{said}"
    );
    desk.close().await;
}

#[tokio::test]
async fn s23_who_may_create_and_not_authorize_makes_no_build_and_is_told_what_to_do() {
    let desk = Desk::open("s23-stranger").await;
    let namespace = desk.install.namespace();
    let rules = json!([{
        "apiGroups": ["prbuild.dev"], "resources": ["prbuilds", "answers"], "verbs": ["create"],
    }]);
    let client = desk.let_in("stranger", &[(namespace, rules)]).await;
    for kind in ["PrBuild", "Answer"] {
        let mine = objects(client.clone(), namespace, kind);
        let (name, spec) = (samples::name(kind), samples::spec(kind));
        eventually("the policy's sentence", PATIENCE, async || {
            match create(&mine, kind, name, &spec, true).await {
                Err(said) if said.contains(POLICY) => Ok(()),
                Err(said) => Err(said),
                Ok(_) => Err("it was taken".to_owned()),
            }
        })
        .await;
    }
    desk.close().await;
}

#[tokio::test]
async fn s23_an_account_without_rights_is_refused_before_anything_is_looked_at() {
    let desk = Desk::open("s23-nobody").await;
    let client = desk.client_of("default").await;
    for kind in samples::KINDS {
        let theirs = objects(client.clone(), desk.install.namespace(), kind);
        let said = create(
            &theirs,
            kind,
            samples::name(kind),
            &samples::spec(kind),
            false,
        )
        .await
        .unwrap_err();
        assert!(
            said.contains("is forbidden") && said.contains("cannot create resource"),
            "{kind}: {said}"
        );
    }
    desk.close().await;
}
