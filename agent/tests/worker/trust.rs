//! A gateway in an attacker's hands: it runs nothing here that the operator did not sign for this
//! worker, and gets no other result than the true one.

use protocol::{
    token::Signer,
    worker::{
        assignment::{Assignment, Audience},
        envelope::Envelope,
        keys::KeyChain,
        wire::DeclineCode,
    },
};

use crate::bench::{Bench, OPEN, key_set, verdict};

/// A worker that asked for an assignment, and was killed before it heard the answer; the assignment's id.
fn killed_while_it_asks(assignment: impl FnOnce(&Bench) -> Assignment) -> (Bench, String) {
    let mut bench = Bench::running(OPEN);
    bench
        .gateway
        .change(|has| has.lose = vec![("/accept", usize::MAX)]);
    let id = bench.offer(&assignment(&bench));
    bench
        .gateway
        .wait("accept", |has| has.accepted.contains(&id).then_some(()));
    bench.kill();
    bench.gateway.change(|has| has.lose.clear());
    (bench, id)
}

#[test]
fn s28_what_is_not_signed_for_this_worker_does_not_run() {
    let bench = Bench::running(OPEN);
    let canary = bench.root.join("canary");
    let good = bench.assignment(&format!("touch {}", canary.display()));
    let change = |change: fn(&mut Assignment)| {
        let mut changed = good.clone();
        change(&mut changed);
        Envelope::seal(&changed, &bench.operator).unwrap()
    };
    let signed = Envelope::seal(&good, &bench.operator).unwrap();
    let mut altered = signed.clone();
    altered.payload.replace_range(
        8..9,
        if &altered.payload[8..9] == "A" {
            "B"
        } else {
            "A"
        },
    );
    let mut unsigned = signed.clone();
    unsigned.signature = String::new();
    let other = Signer::from_seed(&[9; 32]);
    let mut renamed = Envelope::seal(&good, &other).unwrap();
    renamed.key.clone_from(&signed.key);
    let attacks = [
        ("altered", altered),
        ("unsigned", unsigned),
        ("by-another-key", Envelope::seal(&good, &other).unwrap()),
        ("by-another-key-that-calls-itself-ours", renamed),
        (
            "for-somebody-else",
            change(|one| one.to = Audience::Worker("mac-2".into())),
        ),
        ("expired", change(|one| one.expires = 1)),
        (
            "other-steps",
            change(|one| one.work.recipe.steps[0].run.push_str("; echo more")),
        ),
        (
            "another-commit",
            change(|one| one.work.source.commit = "f".repeat(40)),
        ),
    ];
    for (name, envelope) in attacks {
        bench.offer_signed(name, envelope);
        assert_eq!(bench.decline(name).code, DeclineCode::Invalid, "{name}");
    }
    let logs = String::from_utf8(bench.owner(&["logs"]).stdout).unwrap();
    let noted: Vec<&str> = logs.lines().collect();
    assert!(noted.len() < 4, "one a minute: {logs}");
    assert!(noted[0].contains("○ declined  altered  "), "{logs}");
    bench.offer_signed("../../elsewhere", signed);
    assert!(bench.gateway.has().accepted.is_empty());
    assert!(!canary.exists());
    bench.gateway.has().offers.clear();
    bench.completion(&bench.offer(&good));
    assert!(canary.exists());
}

#[test]
fn keys_that_the_owner_did_not_pin_are_not_taken_and_the_owner_is_told() {
    let mut bench = Bench::new(OPEN);
    let evil = Signer::from_seed(&[9; 32]);
    bench.gateway.change(|has| {
        has.chain = KeyChain {
            first: key_set(1, &evil),
            next: Vec::new(),
        };
    });
    bench.start();
    let signed = Envelope::seal(&bench.assignment("true"), &evil).unwrap();
    bench.offer_signed("evil", signed);
    assert_eq!(bench.decline("evil").code, DeclineCode::Invalid);
    let poll = bench.gateway.wait("closed", |has| {
        has.polls.iter().find_map(|poll| poll.closed.clone())
    });
    assert!(
        poll.contains("ask the infrastructure team which is right"),
        "{poll}"
    );
}

#[test]
fn keys_change_hands_only_by_the_signature_of_a_pinned_key() {
    let bench = Bench::running(OPEN);
    assert_eq!(verdict(&bench.run("true")), "Passed");
    let (next, evil) = (Signer::from_seed(&[8; 32]), Signer::from_seed(&[9; 32]));
    let forged = Envelope::seal(&key_set(2, &evil), &evil).unwrap();
    bench.gateway.change(|has| {
        has.chain.next = vec![forged];
        has.keys = 2;
    });
    bench.offer_signed(
        "forged",
        Envelope::seal(&bench.assignment("true"), &evil).unwrap(),
    );
    assert_eq!(bench.decline("forged").code, DeclineCode::Invalid);
    let signed = Envelope::seal(&key_set(2, &next), &bench.operator).unwrap();
    bench.gateway.change(|has| has.chain.next = vec![signed]);
    bench.gateway.wait("keys", |_| {
        bench.log().contains("trusts version 2").then_some(())
    });
    let mut assignment = bench.assignment("true");
    assignment.run.uid.push('n');
    let id = bench.offer_signed("new", Envelope::seal(&assignment, &next).unwrap());
    assert_eq!(verdict(&bench.completion(&id)), "Passed");
    // The old key is no key any more.
    bench.offer(&bench.assignment("true"));
    bench.gateway.wait("decline", |has| {
        has.declined
            .iter()
            .find(|(id, _)| id.ends_with(".fence"))
            .map(drop)
    });
}

#[test]
fn s28_what_was_asked_for_before_a_restart_is_answered_with_no_other_run() {
    let mut asked = None;
    let (mut bench, id) = killed_while_it_asks(|bench| {
        let assignment = bench.assignment("true");
        asked.insert(assignment).clone()
    });
    let canary = bench.root.join("canary");
    let other = bench.assignment(&format!("touch {}", canary.display()));
    let signed = Envelope::seal(&other, &bench.operator).unwrap();
    bench.gateway.has().offers.clear();
    bench.offer_signed(&id, signed);
    bench.start();
    bench.gateway.wait("refusal", |_| {
        bench
            .log()
            .contains("another run than it had offered")
            .then_some(())
    });
    // What it had asked for has not begun here, and may.
    let signed = Envelope::seal(&asked.unwrap(), &bench.operator).unwrap();
    bench.offer_signed("again", signed);
    assert_eq!(verdict(&bench.completion("again")), "Passed");
    assert!(!canary.exists());
}

#[test]
fn what_was_asked_for_before_a_restart_is_judged_by_the_rules_of_today() {
    let (mut bench, id) = killed_while_it_asks(|bench| bench.assignment("true"));
    bench.write_policy(&format!("{OPEN}\nrepositories = [\"octo/other\"]"));
    bench.start();
    bench.gateway.wait("refusal", |_| {
        bench
            .log()
            .contains("does not run what it accepted: its owner does not take runs of `octo/demo`")
            .then_some(())
    });
    // The cluster hears at once that it does not have it: the run may go elsewhere, and says why it waits.
    bench.gateway.wait("session without it", |has| {
        let last = has.sessions.last()?;
        last.running.is_empty().then_some(())
    });
    assert!(!bench.gateway.has().completed.contains_key(&id));
}
