//! The namespace of builds, as the chart makes it: what no pod there may be, whoever makes it.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::policies::{container, pod, refused};
use super::{Desk, with, words};

/// Offers a pod, as an administrator; nothing of it is kept.
async fn offer(pods: &Api<Pod>, spec: &Value) -> Result<(), String> {
    let made = json!({ "metadata": { "name": "a" }, "spec": spec });
    let made: Pod = serde_json::from_value(made).unwrap();
    let how = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    pods.create(&how, &made).await.map(drop).map_err(words)
}

#[tokio::test]
async fn s24_a_pod_that_takes_more_than_a_build_needs_is_refused_whoever_makes_it() {
    let desk = Desk::open("restricted").await;
    let pods: Api<Pod> = Api::namespaced(desk.install.client(), desk.install.builds());
    let of_node = json!({ "name": "v", "hostPath": { "path": "/" } });
    let bold = |security: Value| {
        let container = with(container("build"), json!({ "securityContext": security }));
        json!({ "containers": [container] })
    };
    for (more, says) in [
        (json!({ "hostNetwork": true }), "host namespaces"),
        (json!({ "hostPID": true }), "host namespaces"),
        (json!({ "volumes": [of_node] }), "hostPath"),
        (
            json!({ "securityContext": { "runAsUser": 0 } }),
            "runAsUser=0",
        ),
        (
            json!({ "securityContext": { "seccompProfile": { "type": "Unconfined" } } }),
            "seccompProfile",
        ),
        (
            bold(json!({ "privileged": true, "allowPrivilegeEscalation": true })),
            "privileged",
        ),
        (
            bold(json!({ "capabilities": { "add": ["NET_ADMIN"] } })),
            "capabilities",
        ),
    ] {
        let spec = with(pod(), more.clone());
        refused(
            &more,
            "violates PodSecurity \"restricted:v1.33\"",
            async || offer(&pods, &spec).await,
        )
        .await;
        let said = offer(&pods, &spec).await.unwrap_err();
        assert!(said.contains(says), "{more}: {said}");
    }
    offer(&pods, &pod()).await.unwrap();
    desk.close().await;
}
