//! Who may do what while a hook of the chart runs; and that no account of it is forgotten in these tests.

use std::path::Path;
use std::process::Command;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, ResourceExt};
use serde_json::json;
use tests::cluster::{Binary, Release};
use tests::parts;

use super::Desk;
use super::accounts::{GATEWAY, OPERATOR, WEBHOOK, holds};

const BUILD: &str = "prbuild-build";
const MAKE_KEYS: &str = "prbuild-make-keys";
const SELF_TEST: &str = "prbuild-self-test";
const KEY: &str = "prbuild-signing-key";

/// Everything that the chart renders for a desk, hooks too.
fn rendered(desk: &Desk) -> Vec<DynamicObject> {
    let values = format!(
        "builds.namespace={},host=prbuild.test,image.registry=prbuild.test",
        desk.install.builds()
    );
    let mut helm = Command::new(parts::existing(&parts::HELM_CLI).unwrap());
    helm.args(["template", "prbuild"]).arg(Release::chart());
    helm.args(["--namespace", desk.install.namespace(), "--set", &values]);
    let output = helm.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    let all: Vec<Option<DynamicObject>> = serde_saphyr::from_multiple(&text).unwrap();
    all.into_iter().flatten().collect()
}

fn kind_of(object: &DynamicObject) -> &str {
    let types = object.types.as_ref();
    types.map(|types| types.kind.as_str()).unwrap_or_default()
}

/// Makes the accounts of hooks with their roles, which are there only while a hook runs.
async fn make_hooks_accounts(desk: &Desk) {
    let of_account = |object: &DynamicObject| {
        let kinds = ["ServiceAccount", "Role", "RoleBinding"];
        let is_hook = object.annotations().contains_key("helm.sh/hook");
        is_hook && kinds.contains(&kind_of(object))
    };
    for object in rendered(desk).into_iter().filter(of_account) {
        let types = object.types.clone().unwrap();
        let kind = ApiResource::from_gvk(&GroupVersionKind::try_from(&types).unwrap());
        let namespace = object.namespace().unwrap();
        let api: Api<DynamicObject> =
            Api::namespaced_with(desk.install.client(), &namespace, &kind);
        api.create(&PostParams::default(), &object).await.unwrap();
    }
}

#[tokio::test]
async fn the_accounts_of_hooks_reach_the_secret_that_they_are_for_and_nothing_else() {
    let desk = Desk::open("rights-hooks").await;
    make_hooks_accounts(&desk).await;
    let of_install = [
        "get prbuild.dev/prbuilds",
        "list prbuild.dev/prbuilds",
        "create prbuild.dev/prbuilds",
        "authorize prbuild.dev/prbuilds",
        "patch prbuild.dev/prbuilds",
        "delete prbuild.dev/prbuilds",
        "create prbuild.dev/answers",
        "create prbuild.dev/builderruns",
        "delete prbuild.dev/builderruns",
        "patch prbuild.dev/builderruns/status",
        "delete prbuild.dev/repositories prbuild-self-test",
        "create batch/jobs",
        "get /pods",
        "create events.k8s.io/events",
        "create coordination.k8s.io/leases",
        "delete /secrets",
        "patch /secrets",
        "update /secrets",
        "get /secrets prbuild-github",
        "patch /secrets prbuild-github",
        "patch /secrets prbuild-signing-key",
        "delete /secrets prbuild-signing-key",
    ];
    for (account, may_do, may_not) in [
        (
            MAKE_KEYS,
            &["create /secrets", "get /secrets prbuild-signing-key"][..],
            &[
                "get prbuild.dev/repositories",
                "patch /secrets prbuild-self-test",
            ][..],
        ),
        (
            SELF_TEST,
            &[
                "patch /secrets prbuild-self-test",
                "get prbuild.dev/repositories prbuild-self-test",
                "get prbuild.dev/prbuilds prbuild-self-test-1-l1",
                "delete prbuild.dev/prbuilds prbuild-self-test-1-l1",
            ],
            &[
                "get /secrets prbuild-self-test",
                "get /secrets prbuild-signing-key",
                "get prbuild.dev/repositories app",
                "delete prbuild.dev/prbuilds app-7-l1",
            ],
        ),
    ] {
        let client = desk.client_of(account).await;
        let may_not = [may_not, &of_install].concat();
        holds(&client, desk.install.namespace(), may_do, &may_not).await;
        for elsewhere in [desk.install.builds(), "default"] {
            let all = [may_do, &may_not].concat();
            holds(&client, elsewhere, &[], &all).await;
        }
    }
    desk.close().await;
}

/// Runs the program of the hook, as its account: whether it was content, and what it said.
async fn make_keys(kubeconfig: &Path, namespace: &str) -> (bool, String) {
    let mut program = tokio::process::Command::new(Binary::Operator.path().unwrap());
    program.env("KUBECONFIG", kubeconfig);
    program.args(["make-keys", "--secret", KEY, "--namespace", namespace]);
    let output = program.output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.success(), said)
}

#[tokio::test]
async fn the_hook_makes_the_key_once_and_leaves_the_one_that_is_there_however_often_it_runs() {
    let desk = Desk::open("hook-key").await;
    make_hooks_accounts(&desk).await;
    let namespace = desk.install.namespace();
    let rights = ["create /secrets", "get /secrets prbuild-signing-key"];
    let client = desk.client_of(MAKE_KEYS).await;
    holds(&client, namespace, &rights, &[]).await;
    let kubeconfig = desk.install.kubeconfig_for(MAKE_KEYS).await.unwrap();

    // Two syncs at once: one makes it, and the other one finds it.
    let both = tokio::join!(
        make_keys(&kubeconfig, namespace),
        make_keys(&kubeconfig, namespace)
    );
    let stays = format!("the signing key {KEY} is there and stays\n");
    let mut said = [both.0, both.1];
    said.sort();
    let made = format!("made the signing key {KEY}\n");
    assert_eq!(said, [(true, made), (true, stays.clone())]);
    let secrets: Api<Secret> = Api::namespaced(desk.install.client(), namespace);
    let key = secrets.get(KEY).await.unwrap();
    let files: Vec<&str> = key.data.iter().flatten().map(|(file, _)| &**file).collect();
    assert_eq!(files, ["private.pem", "public.pem", "session.key"]);
    // Nobody's: what belongs to a release, or bears a tool's label, goes with it.
    assert_eq!(key.metadata.labels, None);
    assert_eq!(key.metadata.annotations, None);
    assert_eq!(key.metadata.owner_references, None);

    let again = make_keys(&kubeconfig, namespace).await;
    assert_eq!(again, (true, stays));
    let same = secrets.get(KEY).await.unwrap();
    assert_eq!(
        same.metadata.resource_version,
        key.metadata.resource_version
    );

    // A half of one is mended by a person, and not replaced.
    let half = json!({ "data": { "session.key": null } });
    let how = PatchParams::default();
    secrets.patch(KEY, &how, &Patch::Merge(half)).await.unwrap();
    let (content, said) = make_keys(&kubeconfig, namespace).await;
    let says =
        format!("error: the Secret {KEY} has not all of private.pem, public.pem and session.key");
    assert!(!content && said.starts_with(&says), "{said}");
    let half = secrets.get(KEY).await.unwrap();
    let private = |secret: &Secret| secret.data.as_ref().map(|data| data["private.pem"].clone());
    assert_eq!(private(&half), private(&key));
    desk.close().await;
}

#[tokio::test]
async fn every_account_of_the_chart_is_one_whose_rights_are_tried_here() {
    let desk = Desk::open("rights-all").await;
    let all = rendered(&desk);
    let accounts = all.iter().filter(|one| kind_of(one) == "ServiceAccount");
    let mut names: Vec<String> = accounts.map(ResourceExt::name_any).collect();
    names.sort();
    let mut tried = [WEBHOOK, OPERATOR, GATEWAY, BUILD, MAKE_KEYS, SELF_TEST];
    tried.sort_unstable();
    assert_eq!(names, tried);
    desk.close().await;
}
