//! Keys as people and manifests write them, and what they are called.
//!
//! A public key is written `ed25519:<32 bytes in URL-safe base64>`. Its *id* is the first 16 hexadecimal
//! digits of the SHA-256 of its bytes, which only finds it among others. Its *fingerprint* is the first
//! 128 bits of the same in groups of four, for people to compare.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{
    Signature, Signer as _, SigningKey, VerifyingKey,
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, spki::der::pem::LineEnding},
};
use sha2::{Digest as _, Sha256};

use crate::token::{KeyError, PublicKeys, Signer};

/// What a public key's text begins with.
const KIND: &str = "ed25519:";

/// Why a text is no public key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no public key; `prbuild-agent init` prints one, `ed25519:` and 43 characters behind it"
)]
pub struct BadKey(pub String);

/// A public key: an agent's or an operator's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads a key in the form `ed25519:…`. A key that would accept anybody's signature (one of low
    /// order) is none.
    pub fn parse(text: &str) -> Result<Self, BadKey> {
        let bad = || BadKey(text.chars().take(80).collect());
        let encoded = text.strip_prefix(KIND).ok_or_else(bad)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| bad())?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| bad())?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| bad())?;
        match key.is_weak() {
            true => Err(bad()),
            false => Ok(Self(key)),
        }
    }

    /// The id by which envelopes name it.
    pub fn id(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes())[..8])
    }

    /// The fingerprint by which people compare it.
    pub fn fingerprint(&self) -> String {
        fingerprint(self.0.as_bytes())
    }

    /// Whether this key signed the message. A signature that only lax libraries take is none.
    pub(super) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify_strict(message, &signature).is_ok())
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{KIND}{}", URL_SAFE_NO_PAD.encode(self.0.as_bytes()))
    }
}

/// The keys of a PEM file of operators' public keys.
pub fn from_pem(keys: &PublicKeys) -> Vec<PublicKey> {
    keys.each().copied().map(PublicKey).collect()
}

/// Whoever can sign: an agent or an operator.
pub trait Sign {
    /// The public half.
    fn public(&self) -> PublicKey;
    /// The 64 bytes of a signature over the message.
    fn sign(&self, message: &[u8]) -> [u8; 64];
}

impl Sign for Signer {
    fn public(&self) -> PublicKey {
        PublicKey(self.key().verifying_key())
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key().sign(message).to_bytes()
    }
}

/// An agent's private key. It opens sessions and signs results, and never leaves its machine.
pub struct AgentKey(SigningKey);

impl std::fmt::Debug for AgentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AgentKey(…)")
    }
}

impl AgentKey {
    /// A key of these 32 random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Reads a private key in PKCS#8 PEM.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        SigningKey::from_pkcs8_pem(pem.trim())
            .map(Self)
            .map_err(|error| KeyError::Private(error.to_string()))
    }

    /// The key in PKCS#8 PEM, for a file that only the agent may read.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        self.0
            .to_pkcs8_pem(LineEnding::LF)
            .map(|pem| pem.to_string())
            .map_err(|error| KeyError::Private(error.to_string()))
    }
}

impl Sign for AgentKey {
    fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// The first 128 bits of the SHA-256 of these bytes, as people compare them: eight groups of four
/// hexadecimal digits.
pub fn fingerprint(bytes: &[u8]) -> String {
    let digits = hex(&Sha256::digest(bytes)[..16]);
    let groups: Vec<&str> = (0..8).map(|n| &digits[n * 4..n * 4 + 4]).collect();
    groups.join("-")
}

/// SHA-256 of these bytes in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
