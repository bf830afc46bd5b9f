//! `prbuild-operator keys`: the key sets that agents pin, for the infrastructure team.
//!
//! Without a chain it prints the first set. With one it adds a set, signed with a key of the newest one. The chain
//! is a file for the gateway, its fingerprint for owners of workers: by another way than the gateway.

use std::path::{Path, PathBuf};

use clap::Parser;
use protocol::token::{PublicKeys, Signer};
use protocol::worker::envelope::Envelope;
use protocol::worker::key::{Sign as _, from_pem};
use protocol::worker::keys::{KeyChain, KeySet};

/// Prints the key sets that agents of workers pin, as JSON for the gateway's --key-chain, and their fingerprint.
#[derive(Parser, Debug)]
#[command(name = "prbuild-operator keys", version)]
pub struct Args {
    /// The operator's private key in PEM. It signs the new set, so it is a key of the newest one in --chain.
    #[arg(long, value_name = "FILE")]
    pub signing_key: PathBuf,
    /// Public keys in PEM of the set, one after the other. Without it: that of --signing-key.
    #[arg(long, value_name = "FILE")]
    pub public_keys: Option<PathBuf>,
    /// The chain so far, to which a set is added.
    #[arg(long, value_name = "FILE")]
    pub chain: Option<PathBuf>,
}

/// What is printed.
#[derive(Debug, PartialEq, Eq)]
pub struct Printed {
    /// The chain as JSON.
    pub chain: String,
    /// For people: version and fingerprint of the newest set.
    pub note: String,
}

/// Makes a chain, or the next link of one.
///
/// # Errors
/// What cannot be read, or does not fit, and what to do.
pub fn run(args: &Args) -> Result<Printed, String> {
    let signer = Signer::from_pem(&read(&args.signing_key)?)
        .map_err(|error| format!("{}: {error}", args.signing_key.display()))?;
    let keys = match &args.public_keys {
        None => vec![signer.public()],
        Some(file) => {
            let keys = PublicKeys::from_pem(&read(file)?);
            from_pem(&keys.map_err(|error| format!("{}: {error}", file.display()))?)
        }
    };
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let chain = match &args.chain {
        None => KeyChain {
            first: KeySet { version: 1, keys },
            next: Vec::new(),
        },
        Some(file) => {
            let chain = serde_json::from_str(&read(file)?);
            let chain =
                chain.map_err(|error| format!("{} is no chain: {error}", file.display()))?;
            added(chain, keys, &signer)?
        }
    };
    let newest = newest(&chain)?;
    let text = serde_json::to_string_pretty(&chain).map_err(|error| error.to_string())?;
    let (version, fingerprint) = (newest.version, newest.fingerprint());
    Ok(Printed {
        chain: text,
        note: format!("fingerprint of key set {version}: {fingerprint}"),
    })
}

fn added(mut chain: KeyChain, keys: Vec<String>, signer: &Signer) -> Result<KeyChain, String> {
    let before = newest(&chain)?;
    let own = signer.public().to_string();
    if !before.keys.contains(&own) {
        return Err(format!(
            "--signing-key is no key of key set {}, so no agent would follow; sign with one that is",
            before.version
        ));
    }
    let set = KeySet {
        version: before.version + 1,
        keys,
    };
    let signed = Envelope::seal(&set, signer).map_err(|error| error.to_string())?;
    chain.next.push(signed);
    Ok(chain)
}

/// The newest set of a chain of which every link holds.
fn newest(chain: &KeyChain) -> Result<KeySet, String> {
    let newest = chain.pin(&chain.first.fingerprint());
    newest.map_err(|error| error.to_string())
}

fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file)
        .map_err(|error| format!("{} cannot be read: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(seed: u8) -> String {
        use protocol::worker::key::AgentKey;
        AgentKey::from_seed(&[seed; 32]).to_pem().unwrap()
    }

    #[test]
    fn a_chain_grows_by_sets_that_a_key_of_the_one_before_signed() {
        let dir = std::env::temp_dir().join(format!("prbuild-keys-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (old, new) = (file("old.pem", &pem(1)), file("new.pem", &pem(2)));
        let public = Signer::from_pem(&pem(2)).unwrap().public_pem().unwrap();
        let args = |key: &PathBuf, public: Option<PathBuf>, chain: Option<PathBuf>| Args {
            signing_key: key.clone(),
            public_keys: public,
            chain,
        };
        let first = run(&args(&old, None, None)).unwrap();
        assert!(
            first.note.starts_with("fingerprint of key set 1: "),
            "{}",
            first.note
        );
        let chain = file("chain.json", &first.chain);
        let public = file("new.pub", &public);
        let second = args(&old, Some(public.clone()), Some(chain.clone()));
        let second = run(&second).unwrap();
        assert!(
            second.note.starts_with("fingerprint of key set 2: "),
            "{}",
            second.note
        );
        let whole: KeyChain = serde_json::from_str(&second.chain).unwrap();
        let pinned = first.note.rsplit(' ').next().unwrap();
        assert_eq!(whole.pin(pinned).unwrap().version, 2);
        let stranger = run(&args(&new, Some(public), Some(chain))).unwrap_err();
        assert!(stranger.contains("no agent would follow"), "{stranger}");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
