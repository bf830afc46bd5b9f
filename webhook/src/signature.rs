//! Delivery → Verified. The only place that makes a [`Verified`], and it does so before a byte of
//! the body is parsed, logged or used: because a secret of ours signed it, or because GitHub's API
//! told it to our own App.

use aws_lc_rs::{digest, hmac};
use bytes::Bytes;
use github::Connection;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

/// What arrived. The headers are not signed: they choose nothing that the body does not confirm.
pub struct Delivery {
    /// `X-GitHub-Event`.
    pub event: String,
    /// `X-GitHub-Delivery`, for the log.
    pub id: String,
    /// `X-Hub-Signature-256`.
    pub signature: String,
    /// The raw body.
    pub body: Bytes,
}

/// A delivery whose body was signed with a secret of the connections that it names, or that GitHub
/// itself tells of.
pub struct Verified {
    event: String,
    id: String,
    body: Bytes,
    connections: Vec<String>,
    secret: Option<usize>,
    told_at: Option<Timestamp>,
}

/// The body is not signed with any secret.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the signature fits no webhook secret")]
pub struct Unsigned;

impl Verified {
    /// Kind of event, as the unsigned header says.
    pub fn event(&self) -> &str {
        &self.event
    }

    /// Id of the delivery, for the log.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The body, byte for byte as it was signed.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// SHA-256 of the body in hexadecimal, for the log: it tells whether two deliveries were the same,
    /// which their ids do not, and shows nothing of what was in them.
    pub fn digest(&self) -> String {
        hex::encode(digest::digest(&digest::SHA256, &self.body))
    }

    /// Whether the body was signed with a secret of this connection.
    pub fn is_by(&self, connection: &str) -> bool {
        self.connections.iter().any(|name| name == connection)
    }

    /// Which of the connection's secrets it was: 0 is the newest. None: it came from the API.
    pub fn secret(&self) -> Option<usize> {
        self.secret
    }

    /// When GitHub delivered it, as its API says. None: it was delivered just now.
    pub fn told_at(&self) -> Option<Timestamp> {
        self.told_at
    }

    /// What GitHub's API says that it delivered to the App of this connection. It needs no signature:
    /// we asked GitHub for it, with the App's own key.
    pub(crate) fn told_by(
        connection: &Connection,
        delivered: &github::Delivered,
        at: Timestamp,
    ) -> Self {
        Self {
            event: delivered.event().to_owned(),
            id: delivered.guid().chars().take(64).collect(),
            body: Bytes::copy_from_slice(delivered.body()),
            connections: vec![connection.name().to_owned()],
            secret: None,
            told_at: Some(at),
        }
    }
}

/// Verifies a delivery against the secrets of all connections. Each is tried, whatever the others
/// say, so that the time tells nothing.
///
/// # Errors
/// [`Unsigned`]; it does not say why.
pub fn verify<'a>(
    delivery: Delivery,
    connections: impl IntoIterator<Item = &'a Connection>,
) -> Result<Verified, Unsigned> {
    let candidates = connections
        .into_iter()
        .map(|connection| (connection.name(), connection.webhook_secrets()));
    verify_candidates(delivery, candidates)
}

fn verify_candidates<'a>(
    delivery: Delivery,
    candidates: impl IntoIterator<Item = (&'a str, &'a [SecretString])>,
) -> Result<Verified, Unsigned> {
    let signature = decoded(&delivery.signature).ok_or(Unsigned)?;
    let mut matched = Vec::new();
    let mut which = 0;
    for (name, secrets) in candidates {
        for (index, secret) in secrets.iter().enumerate() {
            if is_signed(secret, &delivery.body, &signature) {
                which = index;
                matched.push(name.to_owned());
            }
        }
    }
    if matched.is_empty() {
        return Err(Unsigned);
    }
    Ok(Verified {
        event: delivery.event,
        id: delivery.id,
        body: delivery.body,
        connections: matched,
        secret: Some(which),
        told_at: None,
    })
}

/// The 32 bytes of `sha256=<64 lower-case hex digits>`; nothing else is a signature.
fn decoded(header: &str) -> Option<[u8; 32]> {
    let hex = header.strip_prefix("sha256=")?;
    let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if hex.len() != 64 || !hex.bytes().all(lower) {
        return None;
    }
    let mut bytes = [0; 32];
    hex::decode_to_slice(hex, &mut bytes).ok()?;
    Some(bytes)
}

fn is_signed(secret: &SecretString, body: &[u8], signature: &[u8; 32]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    // In constant time, and by the machine's own instructions: deliveries have 30 KB.
    hmac::verify(&key, body, signature).is_ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A delivery that is verified, for tests of what follows.
    pub(crate) fn verified(event: &str, body: &str) -> Verified {
        Verified {
            event: event.to_owned(),
            id: "test".to_owned(),
            body: Bytes::from(body.to_owned()),
            connections: vec!["main".to_owned()],
            secret: Some(0),
            told_at: None,
        }
    }

    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &str = "Hello, World!";
    const SIGNATURE: &str =
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn try_with(signature: &str, body: &[u8], secrets: &[&str]) -> Result<Verified, Unsigned> {
        let delivery = Delivery {
            event: "ping".to_owned(),
            id: "1".to_owned(),
            signature: signature.to_owned(),
            body: Bytes::copy_from_slice(body),
        };
        let secrets = secrets.iter().map(|secret| SecretString::from(*secret));
        let secrets: Vec<SecretString> = secrets.collect();
        verify_candidates(delivery, [("main", secrets.as_slice())])
    }

    #[test]
    fn s01_githubs_own_example_is_verified_and_every_flipped_bit_is_not() {
        assert!(try_with(SIGNATURE, BODY.as_bytes(), &[SECRET]).is_ok());
        for at in 0..BODY.len() {
            for bit in 0..8 {
                let mut body = BODY.as_bytes().to_vec();
                body[at] ^= 1 << bit;
                assert!(try_with(SIGNATURE, &body, &[SECRET]).is_err());
            }
        }
        for at in 7..SIGNATURE.len() {
            let mut signature = SIGNATURE.as_bytes().to_vec();
            signature[at] = if signature[at] == b'0' { b'1' } else { b'0' };
            let signature = String::from_utf8(signature).expect("ASCII");
            assert!(try_with(&signature, BODY.as_bytes(), &[SECRET]).is_err());
        }
    }

    #[test]
    fn s03_only_the_one_spelling_of_a_signature_is_one() {
        let hex = &SIGNATURE[7..];
        for signature in [
            String::new(),
            "sha256=".to_owned(),
            format!("sha256={}", &hex[1..]),
            format!("sha256={hex}0"),
            format!("SHA256={hex}"),
            format!("sha256={}", hex.to_uppercase()),
            format!("aaaaaaa{hex}"),
            format!("sha1={hex}"),
            format!(" {SIGNATURE}"),
            format!("{SIGNATURE},{SIGNATURE}"),
            hex.to_owned(),
        ] {
            assert!(
                try_with(&signature, BODY.as_bytes(), &[SECRET]).is_err(),
                "{signature}"
            );
        }
    }

    #[test]
    fn s10_the_old_and_the_new_secret_are_both_accepted() {
        let newest_first = try_with(SIGNATURE, BODY.as_bytes(), &[SECRET, "another"]);
        assert_eq!(newest_first.map(|v| v.secret()), Ok(Some(0)));
        let oldest = try_with(SIGNATURE, BODY.as_bytes(), &["another", SECRET]);
        assert_eq!(oldest.map(|v| v.secret()), Ok(Some(1)));
        assert!(try_with(SIGNATURE, BODY.as_bytes(), &["another"]).is_err());
        assert!(try_with(SIGNATURE, BODY.as_bytes(), &[]).is_err());
    }

    #[test]
    fn only_the_connection_whose_secret_it_was_is_named() {
        let delivery = Delivery {
            event: "ping".to_owned(),
            id: "1".to_owned(),
            signature: SIGNATURE.to_owned(),
            body: Bytes::from_static(BODY.as_bytes()),
        };
        let (other, secret) = ([SecretString::from("other")], [SecretString::from(SECRET)]);
        let candidates = [("a", other.as_slice()), ("b", secret.as_slice())];
        let found = verify_candidates(delivery, candidates).expect("verified");
        assert!(found.is_by("b") && !found.is_by("a"));
    }
}
