//! Who may watch a Lease: the right to one is by its name, and a watch has to ask for that.

use futures::TryStreamExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use serde_json::json;
use tests::cluster::eventually;

use super::Desk;
use super::accounts::{OPERATOR, PATIENCE, WEBHOOK};

#[tokio::test]
async fn the_operator_watches_the_lease_that_it_waits_for_and_no_other() {
    let desk = Desk::open("rights-lease").await;
    let client = desk.client_of(OPERATOR).await;
    let leases: Api<Lease> = Api::namespaced(client, desk.install.namespace());
    let lease: Lease = serde_json::from_value(json!({ "metadata": { "name": OPERATOR } })).unwrap();
    let made = eventually("the operator makes its lease", PATIENCE, async || {
        let made = leases.create(&PostParams::default(), &lease).await;
        made.map_err(|error| error.to_string())
    })
    .await;
    let version = made.metadata.resource_version.unwrap();
    let named = |name: &str| WatchParams::default().fields(&format!("metadata.name={name}"));
    let events = leases.watch(&named(OPERATOR), &version).await.unwrap();
    let mut events = std::pin::pin!(events);
    let held = Patch::Merge(json!({ "spec": { "holderIdentity": "somebody" } }));
    let how = PatchParams::default();
    leases.patch(OPERATOR, &how, &held).await.unwrap();
    let told = tokio::time::timeout(PATIENCE, events.try_next()).await;
    let told = told.expect("the watch tells of it").unwrap();
    let Some(WatchEvent::Modified(now)) = &told else {
        panic!("{told:?}");
    };
    let spec = now.spec.as_ref().unwrap();
    assert_eq!(spec.holder_identity.as_deref(), Some("somebody"));
    for others in [
        named(WEBHOOK),
        named("prbuild-sweep"),
        WatchParams::default(),
    ] {
        let Err(refused) = leases.watch(&others, &version).await else {
            panic!("{others:?} was allowed");
        };
        let said = refused.to_string();
        assert!(said.contains("cannot watch resource \"leases\""), "{said}");
    }
    desk.close().await;
}
