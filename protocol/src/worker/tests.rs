//! What a signature proves, and what it does not.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    assignment::{Assignment, Audience, EventKind, Evidence, Unfit},
    completion::{Completion, RunEnd},
    envelope::{Envelope, Payload, SealError},
    key::{AgentKey, PublicKey, Sign as _, sha256},
    keys::{ChainError, KeyChain, KeySet},
    session::SessionRequest,
    testing::{agent, assignment, operator},
};

fn set(version: u64, of: &[u8]) -> KeySet {
    let keys = of.iter().map(|n| operator(*n).public().to_string());
    KeySet {
        version,
        keys: keys.collect(),
    }
}

#[test]
fn a_signed_assignment_is_read_as_it_was_written_and_says_whom_it_is_for() {
    let ordered = assignment(Audience::Worker("mac".to_owned()));
    let sealed = Envelope::seal(&ordered, &operator(1)).unwrap();
    let keys = [operator(2).public(), operator(1).public()];
    let read: Assignment = sealed.open(&keys).unwrap();
    assert_eq!(read, ordered);
    assert_eq!(read.fits("mac", 1_999), Ok(()));
    assert_eq!(read.fits("mac", 2_000), Err(Unfit::Expired(0)));
    assert_eq!(read.fits("pi", 1_000), Err(Unfit::Worker("pi".to_owned())));
    let mut other = read;
    other.work.recipe.steps[0].run = "rm -rf /".to_owned();
    let sealed = Envelope::seal(&other, &operator(1)).unwrap();
    let error = sealed.open::<Assignment>(&keys).unwrap_err();
    assert!(error.to_string().contains("its digest is not"), "{error}");
}

/// An assignment of an operator that knows more than this one.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Newer(Value);

impl Payload for Newer {
    const PURPOSE: &'static str = Assignment::PURPOSE;
    const LIMIT: usize = Assignment::LIMIT;
}

#[test]
fn an_agent_takes_work_with_a_field_that_it_does_not_know_by_the_digest_of_the_text() {
    let ordered = assignment(Audience::Worker("mac".to_owned()));
    let keys = [operator(1).public()];
    let mut newer = serde_json::to_value(&ordered).unwrap();
    newer["work"]["recipe"]["novelty"] = json!({ "of": 1.5 });
    newer["workDigest"] = json!(sha256(newer["work"].to_string().as_bytes()));
    let sealed = Envelope::seal(&Newer(newer.clone()), &operator(1)).unwrap();
    let read: Assignment = sealed.open(&keys).unwrap();
    assert_eq!(read.work, ordered.work);
    assert_eq!(read.fits("mac", 1_000), Ok(()));
    newer["work"]["recipe"]["novelty"] = json!({ "of": 2.5 });
    let sealed = Envelope::seal(&Newer(newer), &operator(1)).unwrap();
    assert!(sealed.open::<Assignment>(&keys).is_err());
}

#[test]
fn whatever_is_changed_of_an_envelope_it_opens_no_more() {
    let ordered = assignment(Audience::Worker("mac".to_owned()));
    let sealed = Envelope::seal(&ordered, &operator(1)).unwrap();
    let keys = [operator(1).public()];
    let flip = |text: &str, at: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    for at in (0..sealed.payload.len()).step_by(61) {
        let mut altered = sealed.clone();
        altered.payload = flip(&sealed.payload, at);
        assert!(altered.open::<Assignment>(&keys).is_err(), "byte {at}");
    }
    for at in (0..sealed.signature.len() - 2).step_by(5) {
        let mut altered = sealed.clone();
        altered.signature = flip(&sealed.signature, at);
        assert!(altered.open::<Assignment>(&keys).is_err(), "byte {at}");
    }
    let theirs = Envelope::seal(&ordered, &operator(9)).unwrap();
    let error = theirs.open::<Assignment>(&keys).unwrap_err();
    assert!(matches!(error, SealError::UnknownKey(_)), "{error}");
    let renamed = Envelope {
        key: sealed.key.clone(),
        ..theirs
    };
    let error = renamed.open::<Assignment>(&keys).unwrap_err();
    assert!(matches!(error, SealError::Signature), "{error}");
}

#[test]
fn a_signature_for_one_purpose_is_none_for_another() {
    let key = agent(1);
    let request = SessionRequest::default();
    let sealed = Envelope::seal(&request, &key).unwrap();
    assert!(sealed.open::<SessionRequest>(&[key.public()]).is_ok());
    let purposes = [
        SessionRequest::PURPOSE,
        Completion::PURPOSE,
        Assignment::PURPOSE,
        KeySet::PURPOSE,
    ];
    for (n, purpose) in purposes.iter().enumerate() {
        assert!(purpose.ends_with(" v1\n"), "{purpose}");
        assert!(!purposes[n + 1..].contains(purpose));
    }
    let error = sealed.open::<Completion>(&[key.public()]).unwrap_err();
    assert!(matches!(error, SealError::Signature), "{error}");
}

#[test]
fn what_is_too_long_is_neither_signed_nor_read() {
    let result = RunEnd::NotRun {
        reason: "x".repeat(Completion::LIMIT),
        machine: true,
    };
    let long = Completion {
        assignment: "a".to_owned(),
        run: "r".to_owned(),
        attempt: 1,
        worker: "mac".to_owned(),
        result,
        logs: Vec::new(),
        prepared_ms: None,
        ran_ms: 0,
    };
    let error = Envelope::seal(&long, &agent(1)).unwrap_err();
    assert!(matches!(error, SealError::Long(_)), "{error}");
    let sealed = Envelope {
        payload: "A".repeat(1 << 20),
        ..Envelope::default()
    };
    let error = sealed.open::<Completion>(&[]).unwrap_err();
    assert!(matches!(error, SealError::Long(_)), "{error}");
}

#[test]
fn a_key_is_read_as_it_is_written_and_has_a_fingerprint_for_people() {
    let key = agent(1);
    let public = key.public();
    assert_eq!(PublicKey::parse(&public.to_string()).unwrap(), public);
    let again = AgentKey::from_pem(&key.to_pem().unwrap()).unwrap();
    assert_eq!(again.public(), public);
    assert_eq!(public.id().len(), 16);
    assert_eq!(public.fingerprint().len(), 39);
    assert_ne!(public.fingerprint(), agent(2).public().fingerprint());
    // The neutral point signs anything: a library that takes it lets everybody in.
    let weak = "ed25519:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for bad in ["", "ed25519:", "ssh-ed25519 AAAA", "ed25519:AAAA", weak] {
        assert!(PublicKey::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_key_set_takes_the_place_of_another_only_if_a_pinned_key_signed_it_and_it_is_newer() {
    let (one, two, three) = (set(1, &[1]), set(2, &[1, 2]), set(3, &[2]));
    let chain = KeyChain {
        first: one.clone(),
        next: vec![
            Envelope::seal(&two, &operator(1)).unwrap(),
            Envelope::seal(&three, &operator(2)).unwrap(),
        ],
    };
    for (given, name) in [(&one, "first"), (&two, "second"), (&three, "newest")] {
        assert_eq!(chain.pin(&given.fingerprint()).unwrap(), three, "{name}");
        assert_eq!(chain.advance(given).unwrap(), three, "{name}");
    }
    let error = chain.pin(&set(1, &[9]).fingerprint()).unwrap_err();
    assert!(matches!(error, ChainError::Fingerprint { .. }), "{error}");
    let forged = KeyChain {
        first: one.clone(),
        next: vec![Envelope::seal(&set(9, &[9]), &operator(9)).unwrap()],
    };
    assert!(forged.pin(&one.fingerprint()).is_err());
    assert!(forged.advance(&one).is_err());
    let older = KeyChain {
        first: one.clone(),
        next: vec![Envelope::seal(&set(1, &[9]), &operator(1)).unwrap()],
    };
    assert!(older.pin(&one.fingerprint()).is_err());
    let replaced = KeyChain {
        first: set(3, &[9]),
        next: Vec::new(),
    };
    assert_eq!(replaced.advance(&three).unwrap(), three, "nothing is newer");
    assert!(set(1, &[]).public_keys().is_err());
}

#[test]
fn what_only_a_newer_version_knows_is_allowed_by_no_owner() {
    let event: EventKind = serde_json::from_str(r#""merge_queue""#).unwrap();
    assert_eq!(event, EventKind::Unknown);
    let evidence: Evidence = serde_json::from_str(r#""signed_tag""#).unwrap();
    assert!(!evidence.meets(Evidence::Label) && !evidence.meets(Evidence::Unknown));
    assert!(Evidence::Review.meets(Evidence::ExactSha));
    assert!(!Evidence::Label.meets(Evidence::ExactSha));
}
