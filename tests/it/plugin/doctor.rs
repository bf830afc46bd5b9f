//! `kubectl prbuild doctor`: what it finds wrong with an install.

use crds::Repository;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use tests::cluster::{ControlPlane, ControlPlaneOptions, eventually};
use tests::story::{PATIENCE, REPO};

use super::{begin, kubectl, prbuild};

#[tokio::test]
async fn the_doctor_names_what_is_missing_and_what_everybody_may_do() {
    let mut story = begin("plugin-doctor").await;
    story.start_webhook().await.unwrap();
    story.builder("linux", |_| {}).await;
    let webhook = |repository: &Repository| {
        let conditions = repository.status.clone().unwrap_or_default().conditions;
        let found = conditions.iter().any(|found| found.type_ == "Webhook");
        found.then_some(()).ok_or_else(|| format!("{conditions:?}"))
    };
    story
        .eventually_in("its webhook was looked at", "app", webhook)
        .await;
    let said = prbuild(&story, &["doctor"]).await;
    // Here the programs run outside of the cluster, which is the only thing that is wrong.
    said.refuses(&["of these want mending"]);
    for line in [
        "● Kubernetes is new enough",
        "● clocks agree",
        "● the kinds are those of this version",
        "✕ prbuild-operator runs",
        "there is none in",
        "● Repository app: Ready",
        "Repository app: Webhook",
        "● 1 Builders",
        "● the accounts of webhook, operator and gateway may do what they have to",
        "● you may stop builds",
        "● you may repeat builds by hand",
    ] {
        assert!(said.out.contains(line), "{line}:\n{}", said.out);
    }
    // A right that somebody took away is named.
    let roles = story.api::<k8s_openapi::api::rbac::v1::RoleBinding>();
    roles
        .delete("prbuild-gateway", &Default::default())
        .await
        .unwrap();
    eventually("the doctor sees it", PATIENCE, async || {
        let said = prbuild(&story, &["doctor"]).await;
        let line = "prbuild-gateway may not patch workers/status";
        said.out.contains(line).then_some(()).ok_or(said.out)
    })
    .await;
    // The App that lacks a permission is named with it.
    let app = story.forge.app_on(REPO).unwrap();
    let installation = story.forge.installation_on(REPO, app).unwrap();
    story.forge.take_permission(installation, "statuses");
    story
        .repository(|spec| spec.cancel_on.draft = !spec.cancel_on.draft)
        .await;
    eventually("the doctor says what the App lacks", PATIENCE, async || {
        let said = prbuild(&story, &["doctor"]).await;
        let told = said.out.contains("✕ Repository app: Ready") && said.out.contains("statuses");
        told.then_some(()).ok_or(said.out)
    })
    .await;
    story.end().await;
}

#[tokio::test]
async fn the_doctor_says_when_the_kinds_are_missing_or_of_another_version() {
    let options = ControlPlaneOptions {
        controllers: false,
        crds: false,
        ..ControlPlaneOptions::default()
    };
    let plane = ControlPlane::start(options).await.unwrap();
    let doctor = ["doctor", "--namespace", "default"];
    let said = kubectl(plane.kubeconfig(), &doctor).await;
    said.refuses(&["of these want mending"]);
    let line = "✕ the kinds are those of this version";
    assert!(said.out.contains(line), "{said:?}");
    assert!(said.out.contains("are not installed"), "{said:?}");

    // As a version had them that knew nothing of pauses.
    let kinds: Api<CustomResourceDefinition> = Api::all(plane.client().await.unwrap());
    for mut kind in crds::all() {
        if kind.spec.names.kind == "Worker" {
            let schema = kind.spec.versions[0].schema.as_mut();
            let schema = schema.and_then(|schema| schema.open_api_v3_schema.as_mut());
            let fields = schema
                .and_then(|schema| schema.properties.as_mut())
                .unwrap();
            let spec = fields.get_mut("spec").unwrap().properties.as_mut().unwrap();
            spec.remove("paused").unwrap();
        }
        kinds.create(&Default::default(), &kind).await.unwrap();
    }
    eventually("the doctor names the field", PATIENCE, async || {
        let said = kubectl(plane.kubeconfig(), &doctor).await;
        let named = said.out.contains("of another version: Worker.spec.paused");
        named.then_some(()).ok_or(said.out)
    })
    .await;
    plane.stop().await.unwrap();
}
