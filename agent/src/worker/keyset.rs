//! The operator's keys that this worker trusts: the set whose fingerprint its owner wrote into the
//! configuration, or one that a key of that set, or of one after it, signed.

use protocol::worker::keys::{ChainError, KeyChain, KeySet};
use serde::{Deserialize, Serialize};

use super::{
    files::{self, FileError},
    layout::Layout,
};

/// The pinned set, with the fingerprint that led to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pinned {
    fingerprint: String,
    /// The newest set that it led to.
    pub set: KeySet,
}

/// Why no other set is pinned.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// What the gateway serves leads nowhere.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// It could not be kept.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What was pinned by this fingerprint before. An owner who writes another one down begins anew.
pub fn load(layout: &Layout, fingerprint: &str) -> Result<Option<Pinned>, FileError> {
    let pinned: Option<Pinned> = files::read_json(&layout.own("keys.json"))?;
    Ok(pinned.filter(|pinned| pinned.fingerprint == fingerprint))
}

/// Follows a chain that the gateway served, from what is pinned or from the fingerprint, and keeps
/// where it leads.
pub fn follow(
    layout: &Layout,
    fingerprint: &str,
    pinned: Option<&Pinned>,
    chain: &KeyChain,
) -> Result<Pinned, PinError> {
    let set = match pinned {
        Some(pinned) => chain.advance(&pinned.set)?,
        None => chain.pin(fingerprint)?,
    };
    let fingerprint = fingerprint.to_owned();
    let now = Pinned { fingerprint, set };
    if pinned != Some(&now) {
        files::write_json(&layout.own("keys.json"), &now)?;
    }
    Ok(now)
}
