//! Nonces and sessions: texts that the gateway recognizes as its own, so that it has to remember none.
//!
//! Their text is `<claims>.<code>`, both in URL-safe base64: JSON, and a HMAC-SHA256 over a purpose and the
//! claims. Whoever steals the key can pass for a worker towards the gateway, and still sign no result.

use aws_lc_rs::{hmac, rand};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Bytes that a key has at least.
const KEY_LEAST: usize = 32;
/// Bytes of a text. What is longer is not looked at.
const LIMIT: usize = 1024;

/// Makes and recognizes them.
pub struct Tickets(hmac::Key);

/// What is in a nonce.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NonceClaims {
    /// Name of the Worker.
    pub worker: String,
    /// When it was made, in milliseconds since 1970.
    pub at: i64,
    /// Makes it unlike every other one.
    pub random: String,
}

/// What is in the text of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SessionClaims {
    /// Name of the Worker.
    pub worker: String,
    /// Uid of the Worker: one of the same name that was made anew is another one.
    pub uid: String,
    /// Which session of this worker.
    pub epoch: i64,
    /// Id of the key that opened it.
    pub key: String,
    /// Installation and start of the machine.
    pub who: String,
    /// When it ends, in seconds since 1970.
    pub expires: i64,
}

/// What a text is for.
pub(super) trait Claims: Serialize + DeserializeOwned {
    const PURPOSE: &'static str;
}

impl Claims for NonceClaims {
    const PURPOSE: &'static str = "prbuild nonce v1\n";
}

impl Claims for SessionClaims {
    const PURPOSE: &'static str = "prbuild open session v1\n";
}

impl Tickets {
    /// With a key that every gateway of this install has.
    pub fn of(key: &[u8]) -> Result<Self, String> {
        match key.len() < KEY_LEAST {
            true => Err(format!(
                "the session key has {} bytes and needs {KEY_LEAST}; make one with `openssl rand -out FILE 32`",
                key.len()
            )),
            false => Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, key))),
        }
    }

    /// With a key that only this process has: agents open new sessions after a restart.
    pub fn fresh() -> Result<Self, String> {
        let mut key = [0; KEY_LEAST];
        rand::fill(&mut key).map_err(|_| "this machine has no random numbers".to_owned())?;
        Self::of(&key)
    }

    /// The text with these claims.
    pub(super) fn issue<T: Claims>(&self, claims: &T) -> String {
        let claims = serde_json::to_vec(claims).unwrap_or_default();
        let claims = URL_SAFE_NO_PAD.encode(claims);
        let code = hmac::sign(&self.0, message::<T>(&claims).as_bytes());
        format!("{claims}.{}", URL_SAFE_NO_PAD.encode(code))
    }

    /// The claims of a text that a gateway with this key made for this purpose.
    pub(super) fn read<T: Claims>(&self, text: &str) -> Option<T> {
        let (claims, code) = text.split_once('.').filter(|_| text.len() <= LIMIT)?;
        let code = URL_SAFE_NO_PAD.decode(code).ok()?;
        hmac::verify(&self.0, message::<T>(claims).as_bytes(), &code).ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }
}

/// 128 random bits in hexadecimal.
pub(super) fn random() -> String {
    let mut bytes = [0; 16];
    // Without random numbers a nonce is still new by its time, and the process could not have started.
    let _ = rand::fill(&mut bytes);
    hex::encode(bytes)
}

fn message<T: Claims>(claims: &str) -> String {
    format!("{}{claims}", T::PURPOSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonce() -> NonceClaims {
        NonceClaims {
            worker: "mac".to_owned(),
            at: 7,
            random: random(),
        }
    }

    #[test]
    fn a_text_is_recognized_by_every_gateway_with_the_key_and_by_no_other() {
        let (ours, too, other) = (
            Tickets::of(&[1; 32]),
            Tickets::of(&[1; 32]),
            Tickets::fresh(),
        );
        let nonce = nonce();
        let text = ours.unwrap().issue(&nonce);
        assert_eq!(too.unwrap().read(&text), Some(nonce));
        assert_eq!(other.unwrap().read::<NonceClaims>(&text), None);
        assert!(Tickets::of(&[1; 31]).is_err());
    }

    #[test]
    fn a_nonce_is_no_session_and_what_is_changed_is_nothing() {
        let tickets = Tickets::of(&[1; 32]).unwrap();
        let text = tickets.issue(&nonce());
        assert_eq!(tickets.read::<SessionClaims>(&text), None);
        let (claims, code) = text.split_once('.').unwrap();
        for bad in [
            String::new(),
            ".".to_owned(),
            format!("{claims}."),
            format!("{claims}A.{code}"),
            format!("{claims}.{}", "A".repeat(43)),
            "a".repeat(2000),
        ] {
            assert_eq!(tickets.read::<NonceClaims>(&bad), None, "{bad}");
        }
    }
}
