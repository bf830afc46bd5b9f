//! The operator's keys as a set with a version.
//!
//! An owner gets the fingerprint of a set from the infrastructure team, not through the gateway, and the
//! agent pins that set. Another set takes its place only if a pinned key signed it and its version is
//! higher. The gateway serves the whole chain, so that an agent that was away for several rotations
//! follows them one by one.

use serde::{Deserialize, Serialize};

use super::{
    envelope::{Envelope, Payload, SealError},
    key::{BadKey, PublicKey, fingerprint},
};

/// Keys of one set.
pub const KEYS_LIMIT: usize = 8;
/// Sets of one chain.
pub const CHAIN_LIMIT: usize = 64;

/// Public keys that sign assignments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeySet {
    /// Its version, from 1.
    pub version: u64,
    /// The keys, `ed25519:…`.
    pub keys: Vec<String>,
}

impl Payload for KeySet {
    const PURPOSE: &'static str = "prbuild key set v1\n";
    const LIMIT: usize = 4 << 10;
}

/// What the gateway answers to `GET /worker/v1/keys`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyChain {
    /// The oldest set that is served. An agent that pins none yet takes it, or one after it, by its
    /// fingerprint.
    pub first: KeySet,
    /// Those that took its place, oldest first, each signed with a key of the set before it.
    #[serde(default)]
    pub next: Vec<Envelope>,
}

/// Why a chain leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// No set in it has the fingerprint that the owner was given.
    #[error(
        "the gateway's key set has the fingerprint {found}, not {expected}; ask the infrastructure team which is right, and not over this gateway"
    )]
    Fingerprint {
        /// What the owner was given.
        expected: String,
        /// That of the newest set.
        found: String,
    },
    /// A set is not signed by the one before it.
    #[error(
        "the key set of version {version} is not signed by a key of the one before it: {source}"
    )]
    Unsigned {
        /// Version that was reached.
        version: u64,
        /// Why.
        source: SealError,
    },
    /// A set has no usable keys, or too many.
    #[error("the key set of version {0} has no keys, too many, or one that is none")]
    Keys(u64),
    /// Too many sets.
    #[error("the gateway's chain of key sets is too long")]
    Long,
}

impl KeySet {
    /// Its keys, read: one to as many as a set may have.
    pub fn public_keys(&self) -> Result<Vec<PublicKey>, ChainError> {
        let bad = |_: BadKey| ChainError::Keys(self.version);
        let keys = self.keys.iter().map(|key| PublicKey::parse(key));
        let keys = keys.collect::<Result<Vec<_>, _>>().map_err(bad)?;
        match keys.is_empty() || keys.len() > KEYS_LIMIT {
            true => Err(ChainError::Keys(self.version)),
            false => Ok(keys),
        }
    }

    /// Its fingerprint, over version and keys: what an owner is given, out of band.
    pub fn fingerprint(&self) -> String {
        let text = format!(
            "prbuild key set v1\n{}\n{}\n",
            self.version,
            self.keys.join("\n")
        );
        fingerprint(text.as_bytes())
    }
}

impl KeyChain {
    /// The newest set that the fingerprint leads to: some set of the chain has it, and each one after that
    /// is signed by the one before it.
    pub fn pin(&self, fingerprint: &str) -> Result<KeySet, ChainError> {
        let (mut at, mut rest) = (self.first.clone(), self.next.as_slice());
        while at.fingerprint() != fingerprint {
            let Some((next, later)) = rest.split_first() else {
                return Err(ChainError::Fingerprint {
                    expected: fingerprint.to_owned(),
                    found: at.fingerprint(),
                });
            };
            (at, rest) = (successor(&at, next)?, later);
        }
        follow(at, rest)
    }

    /// The newest set that a pinned one leads to. A chain that does not contain the pinned set, or only
    /// older ones, changes nothing: versions never go back.
    pub fn advance(&self, pinned: &KeySet) -> Result<KeySet, ChainError> {
        if self.first == *pinned {
            return follow(pinned.clone(), &self.next);
        }
        let newer = self.next.iter().position(|next| {
            next.peek::<KeySet>()
                .is_ok_and(|set| set.version > pinned.version)
        });
        match newer {
            Some(at) => follow(pinned.clone(), &self.next[at..]),
            None => Ok(pinned.clone()),
        }
    }
}

fn follow(mut at: KeySet, rest: &[Envelope]) -> Result<KeySet, ChainError> {
    if rest.len() > CHAIN_LIMIT {
        return Err(ChainError::Long);
    }
    for next in rest {
        at = successor(&at, next)?;
    }
    at.public_keys()?;
    Ok(at)
}

/// The set in this envelope, if a key of the one before signed it and its version is higher.
fn successor(before: &KeySet, next: &Envelope) -> Result<KeySet, ChainError> {
    let unsigned = |source| ChainError::Unsigned {
        version: before.version + 1,
        source,
    };
    let set: KeySet = next.open(&before.public_keys()?).map_err(unsigned)?;
    set.public_keys()?;
    match set.version > before.version {
        true => Ok(set),
        false => Err(ChainError::Keys(set.version)),
    }
}
