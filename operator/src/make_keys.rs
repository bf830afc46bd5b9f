//! `prbuild-operator make-keys`: makes the signing key of an install, once.
//!
//! The chart runs it before the first start, under an account of its own that is gone when it has ended:
//! no program of PrBuild may read or write Secrets. A key that is there stays: everything that was
//! signed with it would be worth nothing.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, Client, api::PostParams};
use protocol::token::Signer;

/// The word that stands before its arguments.
pub const COMMAND: &str = "make-keys";
/// The private half in the Secret; the operator's.
pub const PRIVATE: &str = "private.pem";
/// The public half in the Secret; the gateway's.
pub const PUBLIC: &str = "public.pem";
/// Random bytes by which all replicas of the gateway know the sessions of workers; the gateway's.
pub const SESSION: &str = "session.key";

/// Arguments of `make-keys`.
#[derive(clap::Parser, Debug)]
#[command(name = "prbuild-operator make-keys", version)]
pub struct Args {
    /// Namespace of the Secret.
    #[arg(long, env = "PRBUILD_NAMESPACE")]
    pub namespace: String,
    /// Name of the Secret.
    #[arg(long)]
    pub secret: String,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// No cluster.
    #[error("there is no Kubernetes configuration: {0}; run inside the cluster, or set KUBECONFIG")]
    Config(#[from] kube::config::InferConfigError),
    /// The Secret cannot be read or made.
    #[error(
        "the Secret {secret} cannot be read or made: {source}; the account needs `get` and `create` on secrets"
    )]
    Secret {
        /// Its name.
        secret: String,
        /// Why.
        source: Box<kube::Error>,
    },
    /// The Secret is there without a key.
    #[error(
        "the Secret {secret} has not all of {PRIVATE}, {PUBLIC} and {SESSION}; put them in, or remove it and upgrade the release"
    )]
    Incomplete {
        /// Its name.
        secret: String,
    },
    /// The kernel has no random numbers, or the key cannot be written down.
    #[error("no key can be made: {0}")]
    Key(String),
}

/// Makes the Secret unless it is there, and says what was done.
///
/// # Errors
/// When there is no usable key in the end.
pub async fn run(args: Args) -> Result<String, KeysError> {
    let client = Client::try_from(kube::Config::infer().await?).map_err(failed(&args.secret))?;
    let secrets: Api<Secret> = Api::namespaced(client, &args.namespace);
    let name = &args.secret;
    if let Some(found) = secrets.get_opt(name).await.map_err(failed(name))? {
        return kept(&found, name);
    }
    let mut secret = Secret {
        data: Some(pair()?),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    };
    secret.metadata.name = Some(name.clone());
    match secrets.create(&PostParams::default(), &secret).await {
        Ok(_) => Ok(format!("made the signing key {name}")),
        // Another one was quicker, and its key is as good.
        Err(kube::Error::Api(status)) if status.code == 409 => {
            kept(&secrets.get(name).await.map_err(failed(name))?, name)
        }
        Err(error) => Err(failed(name)(error)),
    }
}

fn failed(secret: &str) -> impl FnOnce(kube::Error) -> KeysError {
    let secret = secret.to_owned();
    move |source| KeysError::Secret {
        secret,
        source: Box::new(source),
    }
}

fn kept(secret: &Secret, name: &str) -> Result<String, KeysError> {
    let has = |key: &str| {
        secret
            .data
            .as_ref()
            .is_some_and(|data| data.contains_key(key))
    };
    match [PRIVATE, PUBLIC, SESSION].into_iter().all(has) {
        true => Ok(format!("the signing key {name} is there and stays")),
        false => Err(KeysError::Incomplete {
            secret: name.to_owned(),
        }),
    }
}

/// A fresh key, both halves in PEM, and what sessions are known by.
fn pair() -> Result<BTreeMap<String, ByteString>, KeysError> {
    let (seed, session) = (random()?, random()?);
    let public = Signer::from_seed(&seed).public_pem();
    let public = public.map_err(|error| KeysError::Key(error.to_string()))?;
    let private = private_pem(&seed).into_bytes();
    let all = [
        (PRIVATE, private),
        (PUBLIC, public.into_bytes()),
        (SESSION, session.to_vec()),
    ];
    Ok(all
        .map(|(name, bytes)| (name.to_owned(), ByteString(bytes)))
        .into())
}

fn random() -> Result<[u8; 32], KeysError> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| KeysError::Key("the kernel has no random numbers".to_owned()))?;
    Ok(bytes)
}

/// What `openssl genpkey -algorithm ed25519` writes: PKCS#8 of an ed25519 key is this prefix and its 32
/// bytes (RFC 8410, section 7).
fn private_pem(seed: &[u8; 32]) -> String {
    const PREFIX: [u8; 16] = [
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ];
    let der = [&PREFIX[..], seed].concat();
    format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(der)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_halves_are_of_one_key_and_no_two_keys_are_the_same() {
        let pair = pair().unwrap();
        let text = |name: &str| String::from_utf8(pair[name].0.clone()).unwrap();
        let signer = Signer::from_pem(&text(PRIVATE)).unwrap();
        assert_eq!(signer.public_pem().unwrap(), text(PUBLIC));
        let other = super::pair().unwrap();
        assert_ne!(other[PUBLIC].0, pair[PUBLIC].0);
        assert_ne!(other[SESSION].0, pair[SESSION].0);
        assert_eq!(pair[SESSION].0.len(), 32);
    }
}
