//! Tokens that the operator signs and the gateway checks: who may write the log of one run, and who
//! may write records. Their text is `<claims>.<signature>`, both in URL-safe base64; the claims are
//! JSON, the signature is ed25519 over a fixed prefix and the claims as they stand in the text.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{
    Signature, Signer as _, SigningKey, VerifyingKey,
    pkcs8::{
        DecodePrivateKey as _, DecodePublicKey as _, EncodePublicKey as _,
        spki::der::pem::LineEnding,
    },
};
use serde::{Deserialize, Serialize};

/// What is signed begins with this, so that a signature for one purpose is none for another.
const PREFIX: &str = "prbuild token v1\n";
/// Bytes of a token's text. What is longer is not looked at.
const TOKEN_LIMIT: usize = 1024;

/// What a token allows, until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claims {
    /// What it allows.
    #[serde(flatten)]
    pub scope: Scope,
    /// When it stops being valid, in seconds since 1970.
    pub expires: i64,
}

/// What a token allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "scope")]
pub enum Scope {
    /// To write the log of one run, and nothing else: the only token that a build pod holds.
    Log(LogScope),
    /// To write and read records: the operator's own.
    Records,
}

/// One run whose log may be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogScope {
    /// Name of the Repository object.
    pub repository: String,
    /// The BuilderRun's uid. An attempt is a BuilderRun of its own.
    pub run: String,
    /// Number of the attempt.
    pub attempt: i64,
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not a private key.
    #[error(
        "the signing key is no ed25519 private key in PEM ({0}); make one with `openssl genpkey -algorithm ed25519`"
    )]
    Private(String),
    /// Not public keys.
    #[error(
        "the operator's public keys are no ed25519 public keys in PEM ({0}); make one with `openssl pkey -in KEY -pubout`"
    )]
    Public(String),
}

/// Why a token allows nothing. Whoever sent it is told no more than that.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token, or not signed by any of the keys.
    #[error("the token is not signed by the operator")]
    Invalid,
    /// It was valid once.
    #[error("the token expired {0} s ago")]
    Expired(i64),
}

/// The operator's private key.
pub struct Signer(SigningKey);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(…)")
    }
}

impl Signer {
    /// Reads a private key in PKCS#8 PEM, as `openssl genpkey -algorithm ed25519` writes it.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        SigningKey::from_pkcs8_pem(pem.trim())
            .map(Self)
            .map_err(|error| KeyError::Private(error.to_string()))
    }

    /// A key of these 32 random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The key itself, for what else this crate lets an operator sign.
    pub(crate) fn key(&self) -> &SigningKey {
        &self.0
    }

    /// The public half, in PEM.
    pub fn public_pem(&self) -> Result<String, KeyError> {
        let public = self.0.verifying_key();
        public
            .to_public_key_pem(LineEnding::LF)
            .map_err(|error| KeyError::Public(error.to_string()))
    }

    /// The text of a token with these claims.
    pub fn token(&self, claims: &Claims) -> Result<String, serde_json::Error> {
        let claims = URL_SAFE_NO_PAD.encode(serde_json::to_vec(claims)?);
        let signature = self.0.sign(signed(&claims).as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(signature.to_bytes());
        Ok(format!("{claims}.{signature}"))
    }
}

/// The public keys of operators whose tokens are valid: one, or two while a new one is brought in.
#[derive(Clone, Debug)]
pub struct PublicKeys(Vec<VerifyingKey>);

impl PublicKeys {
    /// Reads one or more public keys in PEM, one after the other.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        const END: &str = "-----END PUBLIC KEY-----";
        let pems = text.split_inclusive(END).filter(|part| part.contains(END));
        let keys = pems
            .map(|pem| {
                VerifyingKey::from_public_key_pem(pem.trim())
                    .map_err(|error| KeyError::Public(error.to_string()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        match keys.is_empty() {
            true => Err(KeyError::Public("there is none".to_owned())),
            false => Ok(Self(keys)),
        }
    }

    /// Each of them.
    pub(crate) fn each(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.0.iter()
    }

    /// The claims of a token that one of these keys signed and that is still valid at `now`, in
    /// seconds since 1970.
    pub fn check(&self, token: &str, now: i64) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_LIMIT {
            return Err(TokenError::Invalid);
        }
        let (text, signature) = token.split_once('.').ok_or(TokenError::Invalid)?;
        let decoded = |part: &str| {
            URL_SAFE_NO_PAD
                .decode(part)
                .map_err(|_| TokenError::Invalid)
        };
        let signature =
            Signature::from_slice(&decoded(signature)?).map_err(|_| TokenError::Invalid)?;
        let message = signed(text);
        let mut keys = self.0.iter();
        if !keys.any(|key| key.verify_strict(message.as_bytes(), &signature).is_ok()) {
            return Err(TokenError::Invalid);
        }
        let claims: Claims =
            serde_json::from_slice(&decoded(text)?).map_err(|_| TokenError::Invalid)?;
        match now - claims.expires {
            ago if ago >= 0 => Err(TokenError::Expired(ago)),
            _ => Ok(claims),
        }
    }
}

fn signed(claims: &str) -> String {
    format!("{PREFIX}{claims}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(expires: i64) -> Claims {
        let scope = LogScope {
            repository: "app".to_owned(),
            run: "0b1c".to_owned(),
            attempt: 1,
        };
        Claims {
            scope: Scope::Log(scope),
            expires,
        }
    }

    fn keys(of: &[&Signer]) -> PublicKeys {
        let pems: Vec<_> = of
            .iter()
            .map(|signer| signer.public_pem().unwrap())
            .collect();
        PublicKeys::from_pem(&pems.concat()).unwrap()
    }

    #[test]
    fn a_token_says_what_was_signed_until_it_expires() {
        let (old, new) = (Signer::from_seed(&[1; 32]), Signer::from_seed(&[2; 32]));
        let both = keys(&[&old, &new]);
        for claims in [
            claims(100),
            Claims {
                scope: Scope::Records,
                expires: 100,
            },
        ] {
            for signer in [&old, &new] {
                let token = signer.token(&claims).unwrap();
                assert_eq!(both.check(&token, 99), Ok(claims.clone()));
                assert_eq!(both.check(&token, 100), Err(TokenError::Expired(0)));
            }
        }
    }

    #[test]
    fn what_is_signed_otherwise_or_changed_allows_nothing() {
        let (ours, theirs) = (Signer::from_seed(&[1; 32]), Signer::from_seed(&[2; 32]));
        let keys = keys(&[&ours]);
        let token = ours.token(&claims(100)).unwrap();
        let (text, signature) = token.split_once('.').unwrap();
        let other = ours.token(&claims(1000)).unwrap();
        let (longer, _) = other.split_once('.').unwrap();
        for bad in [
            String::new(),
            ".".to_owned(),
            text.to_owned(),
            format!("{longer}.{signature}"),
            format!("{text}.{}", "A".repeat(86)),
            format!("{token}="),
            theirs.token(&claims(100)).unwrap(),
            "x".repeat(2000),
        ] {
            assert_eq!(keys.check(&bad, 0), Err(TokenError::Invalid), "{bad}");
        }
    }

    #[test]
    fn keys_that_are_none_say_how_to_make_one() {
        let error = Signer::from_pem("no key").unwrap_err().to_string();
        assert!(
            error.contains("openssl genpkey -algorithm ed25519"),
            "{error}"
        );
        for text in [
            "",
            "no key",
            "-----BEGIN PUBLIC KEY-----\nAA\n-----END PUBLIC KEY-----",
        ] {
            let error = PublicKeys::from_pem(text).unwrap_err().to_string();
            assert!(error.contains("openssl pkey"), "{error}");
        }
    }
}
