//! What is signed, with who signed it.
//!
//! The payload is JSON, and the signature is over its bytes as they travel, so nobody has to agree on a
//! canonical form: what was signed is what is read. Before them the purpose is signed, so that a
//! signature for one purpose is none for another.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::key::{PublicKey, Sign, sha256};

/// A signed payload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// The JSON that is signed, in base64.
    #[cfg_attr(feature = "schema", schemars(length(max = 262_144)))]
    pub payload: String,
    /// Id of the key that signed it.
    #[cfg_attr(feature = "schema", schemars(length(max = 64)))]
    pub key: String,
    /// Its ed25519 signature, in base64.
    #[cfg_attr(feature = "schema", schemars(length(max = 128)))]
    pub signature: String,
}

/// What can be signed.
pub trait Payload: Serialize + DeserializeOwned {
    /// What is signed before the payload: its purpose and version, with a line feed.
    const PURPOSE: &'static str;
    /// Bytes of JSON that it has at most.
    const LIMIT: usize;

    /// Reads it from its JSON, of which somebody is known to have signed every byte.
    fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

/// Why an envelope is worth nothing.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// None of the keys signed it.
    #[error("its signature is not valid: it was altered, or another key made it")]
    Signature,
    /// The key that it names is not known.
    #[error("it is signed with the key `{0}`, which is not known here")]
    UnknownKey(String),
    /// Longer than its kind may be.
    #[error("it has {0} bytes, more than it may have")]
    Long(usize),
    /// It is signed, and cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
}

impl Envelope {
    /// Signs a payload.
    pub fn seal<T: Payload>(payload: &T, key: &impl Sign) -> Result<Self, SealError> {
        let bytes = serde_json::to_vec(payload)?;
        if bytes.len() > T::LIMIT {
            return Err(SealError::Long(bytes.len()));
        }
        let signature = key.sign(&message(T::PURPOSE, &bytes));
        Ok(Self {
            payload: STANDARD.encode(&bytes),
            key: key.public().id(),
            signature: STANDARD.encode(signature),
        })
    }

    /// The payload, if one of these keys signed it for this purpose. Nothing of it is read before that
    /// is certain.
    pub fn open<T: Payload>(&self, keys: &[PublicKey]) -> Result<T, SealError> {
        // Four characters of base64 are three bytes.
        if self.payload.len() > T::LIMIT.div_ceil(3) * 4 {
            return Err(SealError::Long(self.payload.len() / 4 * 3));
        }
        let bytes = self.bytes()?;
        let signature = STANDARD.decode(&self.signature);
        let signature = signature.map_err(|_| SealError::Signature)?;
        let mut named = keys.iter().filter(|key| key.id() == self.key).peekable();
        if named.peek().is_none() {
            return Err(SealError::UnknownKey(self.key.chars().take(64).collect()));
        }
        let message = message(T::PURPOSE, &bytes);
        match named.any(|key| key.signed(&message, &signature)) {
            true => Ok(T::read(&bytes)?),
            false => Err(SealError::Signature),
        }
    }

    /// What it says, whoever signed it: for who passes it on and decides nothing by it.
    pub fn peek<T: Payload>(&self) -> Result<T, SealError> {
        Ok(serde_json::from_slice(&self.bytes()?)?)
    }

    /// SHA-256 of the payload in hexadecimal: whether two envelopes say the same.
    pub fn digest(&self) -> String {
        sha256(self.payload.as_bytes())
    }

    fn bytes(&self) -> Result<Vec<u8>, SealError> {
        let bytes = STANDARD.decode(&self.payload);
        bytes.map_err(|_| SealError::Signature)
    }
}

fn message(purpose: &str, bytes: &[u8]) -> Vec<u8> {
    [purpose.as_bytes(), bytes].concat()
}
