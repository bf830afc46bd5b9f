//! The chart in the hands of tools, on a real API server: what is applied again changes nothing, and the
//! kinds are upgraded with a release and outlive it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crds::{Builder, Repository, condition};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{ListParams, ObjectMeta};
use kube::{Api, Client};
use serde_json::Value;
use tests::cluster::{
    Access, ControlPlane, ControlPlaneOptions, Release, eventually, shared_control_plane,
};
use tests::parts::{self, Part};
use tests::story::{PATIENCE, Setting, Story};

use super::NEEDED;
use super::older::{GONE, older_chart};
use super::values::sentences;
use crate::terminal::{self, Terminal};

const BARE: ControlPlaneOptions = ControlPlaneOptions {
    controllers: false,
    fast_controllers: false,
    crds: false,
    pods: false,
};
/// There is no node, so hooks would never end; and nobody empties a namespace that is deleted.
const AS_IT_IS: [&str; 4] = [
    "--no-hooks",
    "--set",
    NEEDED,
    "--set=builds.createNamespace=false",
];

/// What a program prints; else what it says went wrong.
async fn run(part: &'static Part, args: &[&str]) -> Result<String, String> {
    let program = parts::existing(part).unwrap();
    let output = tokio::process::Command::new(program).args(args).output();
    let output = output.await.map_err(|error| error.to_string())?;
    let printed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match output.status.success() {
        true => Ok(printed),
        false => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(format!("{args:?}: {printed}\n{said}"))
        }
    }
}

async fn kubectl(access: &Access, namespace: &str, args: &[&str]) -> Result<String, String> {
    let (kubeconfig, cache) = (
        access.kubeconfig(),
        access.dir().join("kubectl").join(namespace),
    );
    let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
    let cache = format!("--cache-dir={}", cache.display());
    let own = [kubeconfig.as_str(), cache.as_str()];
    // Objects of several namespaces say themselves where they belong.
    let place: &[&str] = match namespace {
        "" => &[],
        _ => &["--namespace", namespace],
    };
    let all = [&own[..], place, args].concat();
    run(&parts::KUBECTL, &all).await
}

async fn helm(access: &Access, args: &[&str]) -> String {
    let kubeconfig = format!("--kubeconfig={}", access.kubeconfig().display());
    let own = [kubeconfig.as_str(), "--namespace", "prbuild"];
    let all = [&own[..], args].concat();
    run(&parts::HELM_CLI, &all).await.unwrap()
}

/// Applies files as a GitOps tool does, as the manager of these fields.
async fn apply(access: &Access, namespace: &str, files: &str) {
    let args = [
        "apply",
        "--server-side",
        "--field-manager=gitops",
        "--filename",
        files,
    ];
    kubectl(access, namespace, &args).await.unwrap();
}

/// What would change if they were applied again.
async fn drift(access: &Access, namespace: &str, files: &str) -> Result<String, String> {
    let args = [
        "diff",
        "--server-side",
        "--field-manager=gitops",
        "--filename",
        files,
    ];
    kubectl(access, namespace, &args).await
}

/// What helm renders of the chart.
fn template() -> String {
    let mut helm = Command::new(parts::existing(&parts::HELM_CLI).unwrap());
    helm.args(["template", "prbuild"]).arg(Release::chart());
    let output = helm
        .args(["--namespace", "prbuild"])
        .args(AS_IT_IS)
        .output();
    let output = output.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// What helm is told to do with a chart.
fn with<'a>(verb: &'a str, chart: &'a str) -> Vec<&'a str> {
    [&[verb, "prbuild", chart][..], &AS_IT_IS].concat()
}

async fn namespaces(access: &Access) {
    for name in ["prbuild", "prbuild-builds"] {
        let made = kubectl(access, "default", &["create", "namespace", name]).await;
        made.unwrap();
    }
}

#[tokio::test]
async fn what_a_gitops_tool_applies_again_differs_in_nothing() {
    let plane = ControlPlane::start(BARE).await.unwrap();
    let access = plane.access().clone();
    namespaces(&access).await;
    let file = access.dir().join("chart.yaml");
    std::fs::write(&file, template()).unwrap();
    assert_eq!(
        template(),
        std::fs::read_to_string(&file).unwrap(),
        "rendered twice"
    );
    let file = file.display().to_string();
    for _ in 0..2 {
        apply(&access, "", &file).await;
        assert_eq!(drift(&access, "", &file).await.as_deref(), Ok(""));
    }
    plane.stop().await.unwrap();
}

/// The directory with the examples of CPython.
fn examples() -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/cpython");
    dir.display().to_string()
}

/// Whether health checks take an object for looked at: its `Ready` is about the spec that it has.
fn looked_at(object: &ObjectMeta, observed: Option<i64>, conditions: &[Condition]) -> bool {
    let ready = condition::find(conditions, condition::kind::READY);
    ready.is_some() && observed.is_some() && observed == object.generation
}

#[tokio::test]
async fn the_operator_writes_nothing_that_a_gitops_tool_applied_and_says_what_it_has_looked_at() {
    let access = shared_control_plane();
    let begun = Story::begin(&access, "gitops", Setting::default()).await;
    let mut story = begun.unwrap();
    story.start_operator().await.unwrap();
    let namespace = story.install.namespace().to_owned();
    apply(&access, &namespace, &examples()).await;
    eventually(
        "the operator has looked at all of them",
        PATIENCE,
        async || {
            let builders = story.api::<Builder>().list(&ListParams::default()).await;
            let builders = builders.map_err(|error| error.to_string())?.items;
            let repository = story.api::<Repository>().get("cpython").await;
            let repository = repository.map_err(|error| error.to_string())?;
            let status = repository.status.clone().unwrap_or_default();
            let known = looked_at(
                &repository.metadata,
                status.observed_generation,
                &status.conditions,
            );
            let unknown = builders.iter().filter(|builder| {
                let status = builder.status.clone().unwrap_or_default();
                !looked_at(
                    &builder.metadata,
                    status.observed_generation,
                    &status.conditions,
                )
            });
            match (known, builders.len() >= 150, unknown.count()) {
                (true, true, 0) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        },
    )
    .await;
    assert_eq!(
        drift(&access, &namespace, &examples()).await.as_deref(),
        Ok("")
    );
    story.end().await;
}

/// Whether the API server's Builders have the field that the older ones lack.
async fn has_field(client: &Client) -> bool {
    let kinds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let kind = kinds.get("builders.prbuild.dev").await.unwrap();
    let kind: Value = serde_json::to_value(kind).unwrap();
    let status = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";
    !kind.pointer(status).unwrap()["observedGeneration"].is_null()
}

/// All our kinds are there, and a Builder that somebody wrote.
async fn all_is_kept(client: &Client) {
    let kinds: Api<CustomResourceDefinition> = Api::all(client.clone());
    for kind in crds::all() {
        let name = kind.metadata.name.unwrap();
        let kind = kinds.get(&name).await.unwrap();
        assert!(kind.metadata.deletion_timestamp.is_none(), "{name}");
    }
    let builders: Api<Builder> = Api::namespaced(client.clone(), "prbuild");
    builders.get("debian").await.unwrap();
}

#[tokio::test]
async fn kinds_are_upgraded_with_a_release_and_outlive_it_with_all_their_objects() {
    let plane = ControlPlane::start(BARE).await.unwrap();
    let (access, client) = (plane.access().clone(), plane.client().await.unwrap());
    namespaces(&access).await;
    let older = older_chart(access.dir()).display().to_string();
    let chart = Release::chart().display().to_string();
    helm(&access, &with("install", &older)).await;
    assert!(!has_field(&client).await);
    let builder = access.dir().join("debian.yaml");
    let text = "apiVersion: prbuild.dev/v1alpha1\nkind: Builder\nmetadata: {name: debian}\nspec:\n  \
                displayName: Debian\n  steps: [{run: make test}]\n  kubernetes: {image: debian}\n";
    std::fs::write(&builder, text).unwrap();
    let file = builder.display().to_string();
    let made = async || kubectl(&access, "prbuild", &["create", "--filename", &file]).await;
    eventually("a Builder can be made", PATIENCE, made).await;

    let configs: Api<ConfigMap> = Api::namespaced(client.clone(), "prbuild");
    assert!(configs.get_opt(GONE).await.unwrap().is_some());

    helm(&access, &with("upgrade", &chart)).await;
    assert!(has_field(&client).await, "upgraded with the release");
    assert!(configs.get_opt(GONE).await.unwrap().is_none());
    all_is_kept(&client).await;

    helm(&access, &["uninstall", "prbuild", "--no-hooks"]).await;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "prbuild");
    let left = deployments.list(&ListParams::default()).await.unwrap();
    assert!(left.items.is_empty(), "the release is gone");
    all_is_kept(&client).await;

    helm(&access, &with("install", &chart)).await;
    all_is_kept(&client).await;
    plane.stop().await.unwrap();
}

#[tokio::test]
async fn what_another_release_has_is_refused_by_the_name_of_its_value_until_it_is_handed_over() {
    let plane = ControlPlane::start(BARE).await.unwrap();
    let access = plane.access().clone();
    namespaces(&access).await;
    let chart = Release::chart().display().to_string();
    helm(&access, &with("install", &chart)).await;
    for name in ["staging", "staging-builds"] {
        let made = kubectl(&access, "default", &["create", "namespace", name]).await;
        made.unwrap();
    }
    let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: prbuild-store}\nspec:\n  \
                 accessModes: [ReadWriteOnce]\n  resources: {requests: {storage: 1Gi}}\n";
    let file = access.dir().join("claim.yaml");
    std::fs::write(&file, claim).unwrap();
    let file = file.display().to_string();
    let made = kubectl(&access, "staging", &["create", "--filename", &file]).await;
    made.unwrap();
    let kubeconfig = format!("--kubeconfig={}", access.kubeconfig().display());
    let install = async |set: &[&str]| {
        let words = ["--namespace=staging", "install", "prbuild", chart.as_str()];
        let own = [kubeconfig.as_str(), "--no-hooks", "--set", NEEDED];
        run(&parts::HELM_CLI, &[&words[..], &own, set].concat()).await
    };
    let said = install(&[]).await.unwrap_err();
    assert_eq!(
        sentences(&said),
        [
            "crds.install: this cluster has the kinds already, by the release prbuild in prbuild; one release brings them for all. docs/install.md says how to hand them over if that one is gone. For example: --set crds.install=false",
            "builds.createNamespace: the namespace staging-builds is there already, and not by this release. Label it with pod-security.kubernetes.io/enforce=restricted, and take it as it is. For example: --set builds.createNamespace=false",
            "gateway.store.existingClaim: the claim prbuild-store is there already, and not by this release. Name it, and what is in it stays. For example: --set gateway.store.existingClaim=prbuild-store",
        ]
    );
    let examples = "--set=builds.createNamespace=false,gateway.store.existingClaim=prbuild-store";
    let [second, hand_over] = terminal::commands("install.md", "A second install")
        .try_into()
        .unwrap();
    let mut terminal = Terminal::within(access.dir().join("terminal"), &access);
    // There is no node on which it could become ready.
    let here = format!("--no-hooks {examples}");
    terminal.says("--create-namespace --wait", &here);
    let said = terminal.run(&second).await;
    assert!(said.contains("is installed in staging"), "{said}");
    for namespace in ["staging", "prbuild"] {
        let away = [
            "--namespace",
            namespace,
            "uninstall",
            "prbuild",
            "--no-hooks",
        ];
        helm(&access, &away).await;
    }
    assert!(
        install(&[examples]).await.is_err(),
        "the kinds are of another"
    );
    let said = terminal.run(&hand_over).await;
    assert_eq!(said.matches(" annotated\n").count(), crds::all().len());
    install(&[examples]).await.unwrap();
    plane.stop().await.unwrap();
}

/// Versions that the changelog tells of, the newest first.
fn versions() -> Vec<String> {
    let changelog = include_str!("../../../CHANGELOG.md");
    let headings = changelog
        .lines()
        .filter_map(|line| line.strip_prefix("## ")?.split_whitespace().next());
    let versions = headings.filter(|heading| heading.starts_with(|c: char| c.is_ascii_digit()));
    versions.map(str::to_owned).collect()
}

/// The chart of a version, as its tag has it.
fn chart_of(version: &str, dir: &Path) -> PathBuf {
    let archive = dir.join("before.tar");
    let mut git = Command::new("git");
    git.arg("-C")
        .arg(Release::chart())
        .args(["archive", "--format=tar"]);
    git.arg(format!("--output={}", archive.display()));
    let output = git
        .args([format!("v{version}").as_str(), "."])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git fetch --tags: {said}");
    let chart = dir.join("before");
    std::fs::create_dir_all(&chart).unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-xf").arg(&archive).arg("-C").arg(&chart);
    assert!(tar.status().unwrap().success());
    chart
}

#[tokio::test]
async fn a_release_of_the_version_before_becomes_one_of_this_version() {
    let versions = versions();
    assert_eq!(versions[0], env!("CARGO_PKG_VERSION"), "CHANGELOG.md");
    let Some(before) = versions.get(1) else {
        // Nobody has an earlier one. From the second version on there is one to begin with.
        assert_eq!(versions.len(), 1);
        return;
    };
    let plane = ControlPlane::start(BARE).await.unwrap();
    let (access, client) = (plane.access().clone(), plane.client().await.unwrap());
    namespaces(&access).await;
    let before = chart_of(before, access.dir()).display().to_string();
    let chart = Release::chart().display().to_string();
    for (verb, chart) in [("install", &before), ("upgrade", &chart)] {
        helm(&access, &with(verb, chart)).await;
    }
    assert!(has_field(&client).await, "upgraded with the release");
    plane.stop().await.unwrap();
}
