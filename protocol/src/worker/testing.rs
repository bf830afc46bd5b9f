//! What tests of this protocol share.

use super::{
    assignment::{Assignment, Audience, EventKind, Evidence, Requester, RunId, digest_of},
    key::AgentKey,
};
use crate::{Recipe, Source, Step, Work, token::Signer};

/// The operator's key number `n`.
pub fn operator(n: u8) -> Signer {
    Signer::from_seed(&[n; 32])
}

/// The key of agent number `n`.
pub fn agent(n: u8) -> AgentKey {
    AgentKey::from_seed(&[100 + n; 32])
}

/// A run that is ordered of somebody, good from 1,000 to 2,000.
pub fn assignment(to: Audience) -> Assignment {
    let step = Step {
        run: "make test".to_owned(),
        ..Step::default()
    };
    let work = Work {
        source: Source {
            repository_id: 7,
            repository: "octo/app".to_owned(),
            clone_url: "https://github.test/octo/app".to_owned(),
            pull_request: 12,
            commit: "c".repeat(40),
            parents: vec!["b".repeat(40), "a".repeat(40)],
            tree: Some("d".repeat(40)),
            head_sha: "a".repeat(40),
            base_ref: "main".to_owned(),
        },
        recipe: Recipe {
            steps: vec![step],
            ..Recipe::default()
        },
    };
    Assignment {
        run: RunId {
            name: "app-12-l1-mac-1".to_owned(),
            uid: "0b1c".to_owned(),
            attempt: 1,
        },
        to,
        repository: "app".to_owned(),
        builder: "mac".to_owned(),
        display_name: "macOS".to_owned(),
        event: EventKind::PullRequest,
        evidence: Evidence::Label,
        requester: Requester {
            id: 4,
            login: "ada".to_owned(),
        },
        work_digest: digest_of(&work).unwrap(),
        work,
        log_limit: 1 << 20,
        issued: 1_000,
        expires: 2_000,
    }
}
