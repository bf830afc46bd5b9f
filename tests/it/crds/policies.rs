//! The chart's admission policies: what they refuse whatever a role says, with which words, and what they
//! let through.

use std::fmt::Display;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tests::cluster::eventually;

use super::samples::{self, cancel, sha};
use super::{Desk, create, objects, with, without, words};

const PATIENCE: Duration = Duration::from_secs(30);
/// The build that is repeated, and one that is made by hand.
const ORIGIN: &str = "app-7-l1";
const BY_HAND: &str = "app-7-m9";

const STOP: &str = "Of a build only spec.cancel and spec.cancelBuilders can be set: it records what was authorized.";
const WEBHOOK: &str = "Only the webhook records what was asked for on GitHub. A build that is made by hand has spec.request.trigger.kind Manual, and repeats another one. Try kubectl prbuild rerun.";
const NO_ORIGIN: &str =
    "A build that is made by hand repeats another one: name it in spec.request.rerunOf.";
const COMMITS: &str = "A build that is made by hand is of the same repository, pull request and commits as the one that spec.request.rerunOf names. Try kubectl prbuild rerun.";
const BUILDERS: &str = "A build that is made by hand has no builder that the one does not have which spec.request.rerunOf names. Try kubectl prbuild rerun.";
const PERSON: &str = "A build that is made by hand counts as asked for by whoever asked for the one that spec.request.rerunOf names, with no more evidence: spec.request.trigger has its user.id and evidence. Try kubectl prbuild rerun.";
const UNLABELLED: &str = "A build that is made by hand says so in metadata.labels, with prbuild.dev/by-hand \"true\". Try kubectl prbuild rerun.";
const LENT: &str = "A build that was made by hand is no origin: name the build that it repeats itself in spec.request.rerunOf. Try kubectl prbuild rerun.";
const JOBS: &str =
    "Only the operator makes Jobs here: this namespace runs builds of pull requests.";
const SECRETS: &str =
    "A build has no account token, and no volume with a secret or a part of a node.";
const VARIABLES: &str = "A build has no variable of a Secret.";
const PODS: &str = "Pods of builds run what a pull request says and nothing else. An administrator may look into one with the verb \"authorize\" on prbuilds.";

/// Tries until it is refused with these words: rights and policies take a moment to hold. Nothing of it
/// is kept meanwhile.
pub(super) async fn refused(
    what: impl Display,
    says: &str,
    mut attempt: impl AsyncFnMut() -> Result<(), String>,
) {
    let what = format!("{what} is refused: {says}");
    eventually(what, PATIENCE, async || match attempt().await {
        Err(said) if said.contains(says) => Ok(()),
        Err(said) => Err(said),
        Ok(()) => Err("it was taken".to_owned()),
    })
    .await;
}

/// A JSON merge patch of the first build.
async fn patch(builds: &Api<DynamicObject>, change: &Value, dry_run: bool) -> Result<(), String> {
    let how = PatchParams {
        dry_run,
        ..PatchParams::default()
    };
    let patched = builds.patch(ORIGIN, &how, &Patch::Merge(change)).await;
    patched.map(drop).map_err(words)
}

#[tokio::test]
async fn s23_who_may_patch_a_build_may_stop_it_and_change_nothing_else_of_it() {
    let desk = Desk::open("policy-stop").await;
    desk.make("PrBuild", ORIGIN, &samples::spec("PrBuild"))
        .await;
    let namespace = desk.install.namespace();
    let rules = json!([{
        "apiGroups": ["prbuild.dev"], "resources": ["prbuilds"], "verbs": ["patch"],
    }]);
    let client = desk.let_in("infra", &[(namespace, rules)]).await;
    let builds = objects(client, namespace, "PrBuild");
    let owner = json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "u" });
    let changes = [
        json!({ "metadata": { "labels": { "a": "b" } } }),
        json!({ "metadata": { "annotations": { "a": "b" } } }),
        json!({ "metadata": { "finalizers": ["example.org/stays"] } }),
        json!({ "metadata": { "ownerReferences": [owner] } }),
        json!({ "metadata": { "labels": { "a": "b" } }, "spec": { "cancel": cancel() } }),
    ];
    for change in &changes {
        refused(change, STOP, async || patch(&builds, change, true).await).await;
    }
    let other = json!({ "spec": { "request": { "headSha": "f".repeat(40) } } });
    let said = patch(&builds, &other, false).await.unwrap_err();
    assert!(said.contains("spec.request is immutable"), "{said}");
    for stop in [
        json!({ "cancelBuilders": { "debian": cancel() } }),
        json!({ "cancel": cancel() }),
    ] {
        let stop = json!({ "spec": stop });
        patch(&builds, &stop, false).await.unwrap();
    }
    let build = desk.objects("PrBuild").get(ORIGIN).await.unwrap();
    assert_eq!(build.data["spec"]["cancel"], cancel());
    assert_eq!(
        build.data["spec"]["cancelBuilders"],
        json!({ "debian": cancel() })
    );
    assert_eq!(build.metadata.labels, None);
    desk.close().await;
}

/// What the webhook recorded: a pinned test merge on two builders.
fn origin() -> Value {
    let change = json!({ "request": {
        "mergeSha": "d".repeat(40), "mergeTree": "e".repeat(40), "baseSha": "f".repeat(40),
        "builders": ["debian", "windows"], "trigger": { "evidence": "ExactSha" },
    }});
    with(samples::spec("PrBuild"), change)
}

/// The same once more, by somebody in the cluster.
fn repetition(user: &str) -> Value {
    let change = json!({ "request": {
        "rerunOf": ORIGIN, "trigger": { "kind": "Manual", "eventId": 9, "user": { "login": user } },
    }});
    with(origin(), change)
}

/// Makes a build that says that it is made by hand.
async fn by_hand(
    builds: &Api<DynamicObject>,
    name: &str,
    spec: &Value,
    dry_run: bool,
) -> Result<(), String> {
    let build = json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "PrBuild",
        "metadata": { "name": name, "labels": { "prbuild.dev/by-hand": "true" } }, "spec": spec,
    });
    let build = serde_json::from_value(build).unwrap();
    let how = PostParams {
        dry_run,
        ..PostParams::default()
    };
    builds.create(&how, &build).await.map(drop).map_err(words)
}

#[tokio::test]
async fn s23_who_may_authorize_repeats_a_build_in_their_own_name_and_makes_no_other() {
    let desk = Desk::open("policy-by-hand").await;
    let namespace = desk.install.namespace();
    let rules = json!([{
        "apiGroups": ["prbuild.dev"], "resources": ["prbuilds"], "verbs": ["create", "authorize"],
    }]);
    let client = desk.let_in("ada", &[(namespace, rules)]).await;
    let builds = objects(client, namespace, "PrBuild");
    let user = format!("system:serviceaccount:{namespace}:ada");
    let again = repetition(&user);
    let but = |change: Value| with(again.clone(), json!({ "request": change }));
    let refuses = async |spec: Value, says: &str| {
        refused(&spec, says, async || {
            by_hand(&builds, BY_HAND, &spec, true).await
        })
        .await;
    };

    // These hold where there is no build at all, too.
    for kind in ["Label", "Button"] {
        refuses(but(json!({ "trigger": { "kind": kind } })), WEBHOOK).await;
    }
    let own_name = format!("spec.request.trigger.user.login must be {user}");
    let other_name = json!({ "trigger": { "user": { "login": "ada" } } });
    refuses(but(other_name), &own_name).await;
    let alone = without(again.clone(), "request.rerunOf");
    refuses(alone, NO_ORIGIN).await;
    refused("one without its label", UNLABELLED, async || {
        let made = create(&builds, "PrBuild", BY_HAND, &again, true).await;
        made.map(drop)
    })
    .await;

    desk.make("PrBuild", ORIGIN, &origin()).await;
    let bare = ["mergeSha", "mergeTree", "baseSha"]
        .into_iter()
        .fold(again.clone(), |spec, field| {
            without(spec, &format!("request.{field}"))
        });
    refuses(bare, COMMITS).await;
    for other in [
        json!({ "repository": { "id": 6 } }),
        json!({ "repository": { "fullName": "octo/other" } }),
        json!({ "number": 8 }),
        json!({ "headSha": "a".repeat(40) }),
        json!({ "mergeSha": sha() }),
        json!({ "mergeTree": sha() }),
        json!({ "baseSha": sha() }),
        json!({ "baseRef": "3.14" }),
    ] {
        refuses(but(other), COMMITS).await;
    }
    for more in [json!(["debian", "solaris"]), json!(["solaris"])] {
        refuses(but(json!({ "builders": more })), BUILDERS).await;
    }
    for other in [
        json!({ "user": { "id": 4 } }),
        json!({ "evidence": "Review" }),
    ] {
        refuses(but(json!({ "trigger": other })), PERSON).await;
    }

    for taken in [json!({}), json!({ "trigger": { "evidence": "Label" } })] {
        let made = by_hand(&builds, BY_HAND, &but(taken), true).await;
        made.unwrap();
    }
    let fewer = but(json!({ "builders": ["windows"] }));
    let made = by_hand(&builds, BY_HAND, &fewer, false).await;
    made.unwrap();
    refuses(but(json!({ "rerunOf": BY_HAND })), LENT).await;
    desk.close().await;
}

#[tokio::test]
async fn an_administrator_makes_a_build_by_hand_and_says_nothing_in_the_webhooks_name() {
    let desk = Desk::open("policy-admin").await;
    desk.make("PrBuild", ORIGIN, &origin()).await;
    let builds = objects(desk.install.client(), desk.install.namespace(), "PrBuild");
    refused("a label", WEBHOOK, async || {
        let made = create(&builds, "PrBuild", "app-7-l2", &origin(), true).await;
        made.map(drop)
    })
    .await;
    eventually("a repetition is taken", PATIENCE, async || {
        by_hand(&builds, BY_HAND, &repetition("admin"), true).await
    })
    .await;
    desk.close().await;
}

/// The smallest pod that the build namespace takes.
pub(super) fn pod() -> Value {
    json!({
        "restartPolicy": "Never", "automountServiceAccountToken": false,
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": { "type": "RuntimeDefault" },
        },
        "containers": [container("build")],
    })
}

pub(super) fn container(name: &str) -> Value {
    json!({
        "name": name, "image": "local/gcc:1",
        "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
    })
}

/// Offers a Job of such a pod; nothing of it is kept.
async fn offer_job(jobs: &Api<Job>, pod: &Value) -> Result<(), String> {
    let job = json!({ "metadata": { "name": "a" }, "spec": { "template": { "spec": pod } } });
    let job: Job = serde_json::from_value(job).unwrap();
    let how = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    jobs.create(&how, &job).await.map(drop).map_err(words)
}

#[tokio::test]
async fn a_job_of_anybody_but_the_operator_is_refused_and_so_is_one_with_a_token_or_a_secret() {
    let desk = Desk::open("policy-jobs").await;
    let builds = desk.install.builds();
    let rules = json!([{ "apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"] }]);
    let client = desk.let_in("stranger", &[(builds, rules)]).await;
    let jobs = Api::namespaced(client, builds);
    refused("a stranger's Job", JOBS, async || {
        offer_job(&jobs, &pod()).await
    })
    .await;

    let client = desk.client_of("prbuild-operator").await;
    let jobs = Api::namespaced(client, builds);
    let volume = |kind: Value| {
        let volume = with(json!({ "name": "v" }), kind);
        with(pod(), json!({ "volumes": [volume] }))
    };
    let token = json!({ "sources": [{ "serviceAccountToken": { "path": "token" } }] });
    for wrong in [
        without(pod(), "automountServiceAccountToken"),
        with(pod(), json!({ "automountServiceAccountToken": true })),
        volume(json!({ "secret": { "secretName": "s" } })),
        volume(json!({ "projected": token })),
        volume(json!({ "hostPath": { "path": "/" } })),
        volume(json!({ "csi": { "driver": "example.org" } })),
    ] {
        refused(&wrong, SECRETS, async || offer_job(&jobs, &wrong).await).await;
    }
    let key = json!({ "secretKeyRef": { "name": "s", "key": "k" } });
    for variables in [
        json!({ "env": [{ "name": "A", "valueFrom": key }] }),
        json!({ "envFrom": [{ "secretRef": { "name": "s" } }] }),
    ] {
        let container = |name: &str| with(container(name), variables.clone());
        for wrong in [
            with(pod(), json!({ "containers": [container("build")] })),
            with(pod(), json!({ "initContainers": [container("checkout")] })),
        ] {
            refused(&wrong, VARIABLES, async || offer_job(&jobs, &wrong).await).await;
        }
    }
    let plain = json!({ "env": [{ "name": "A", "value": "b" }] });
    let plain = with(container("build"), plain);
    for right in [
        pod(),
        volume(json!({ "emptyDir": {} })),
        with(pod(), json!({ "containers": [plain] })),
    ] {
        offer_job(&jobs, &right).await.unwrap();
    }
    desk.close().await;
}

/// Looks into the pod `a`.
async fn look(client: &Client, namespace: &str, how: &str) -> Result<(), String> {
    let path = format!("/api/v1/namespaces/{namespace}/pods/a/{how}");
    let request = http::Request::post(path).body(Vec::new()).unwrap();
    client.request_text(request).await.map(drop).map_err(words)
}

/// Offers the pod `a` one more container, as `kubectl debug` does; nothing of it is kept.
async fn look_with_a_container(client: &Client, namespace: &str) -> Result<(), String> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let change = json!({ "spec": { "ephemeralContainers": [container("debugger")] } });
    let how = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    let patched = pods
        .patch_subresource("ephemeralcontainers", "a", &how, &Patch::Strategic(change))
        .await;
    patched.map(drop).map_err(words)
}

const LOOKS: [&str; 3] = [
    "exec?command=true&stdout=true",
    "attach?stdout=true",
    "portforward?ports=80",
];

#[tokio::test]
async fn nobody_looks_into_the_pod_of_a_build_without_authorize_whatever_a_role_says() {
    let desk = Desk::open("policy-pods").await;
    let (own, builds) = (desk.install.namespace(), desk.install.builds());
    let pods: Api<Pod> = Api::namespaced(desk.install.client(), builds);
    let made = json!({ "metadata": { "name": "a" }, "spec": pod() });
    let made: Pod = serde_json::from_value(made).unwrap();
    pods.create(&PostParams::default(), &made).await.unwrap();

    let all = json!([{ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] }]);
    let broad = desk.let_in("broad", &[(builds, all.clone())]).await;
    for how in LOOKS {
        refused(how, PODS, async || look(&broad, builds, how).await).await;
    }
    refused("a debugger", PODS, async || {
        look_with_a_container(&broad, builds).await
    })
    .await;

    let authorize = json!([{
        "apiGroups": ["prbuild.dev"], "resources": ["prbuilds"], "verbs": ["authorize"],
    }]);
    let rights = [(builds, all), (own, authorize)];
    let trusted = desk.let_in("trusted", &rights).await;
    // As far as a pod goes that no node has.
    for how in LOOKS {
        refused(how, "does not have a host assigned", async || {
            look(&trusted, builds, how).await
        })
        .await;
    }
    look_with_a_container(&trusted, builds).await.unwrap();
    desk.close().await;
}
