//! Secrets of one cluster, made at its start and gone with it.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::ClusterError;

/// A random token of 128 bits in hexadecimal.
pub(super) fn token() -> String {
    let mut bytes = [0; 16];
    // It fails only where the kernel has no random numbers; then a token of zeros would be wrong.
    aws_lc_rs::rand::fill(&mut bytes)
        .unwrap_or_else(|_| panic!("the kernel has no random numbers"));
    hex::encode(bytes)
}

/// Writes a fresh RSA key, with which the API server signs the tokens of service accounts.
pub(super) fn write_signing_key(path: &Path) -> Result<(), ClusterError> {
    let failed = |_| ClusterError::Command {
        what: "cannot make a key for service accounts".to_owned(),
        because: "the cryptographic library refused".to_owned(),
    };
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
    let der: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
    write_private(path, private_pem(der.as_ref()).as_bytes())
}

/// A fresh ed25519 key in PEM, with which an operator signs: what `openssl genpkey -algorithm
/// ed25519` makes.
pub fn signing_key() -> String {
    // PKCS#8 of an ed25519 key is this and its 32 bytes (RFC 8410, section 7).
    const PREFIX: &str = "302e020100300506032b657004220420";
    let mut seed = [0; 32];
    aws_lc_rs::rand::fill(&mut seed).unwrap_or_else(|_| panic!("the kernel has no random numbers"));
    let der = hex::decode(format!("{PREFIX}{}", hex::encode(seed)));
    private_pem(&der.unwrap_or_default())
}

fn private_pem(der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
    for line in body.as_bytes().chunks(64) {
        pem.extend(line.iter().copied().map(char::from));
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    pem
}

/// Writes a file that only we can read.
pub(super) fn write_private(path: &Path, content: &[u8]) -> Result<(), ClusterError> {
    let mut options = OpenOptions::new();
    let file = options
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path);
    file.and_then(|mut file| file.write_all(content))
        .map_err(ClusterError::io(path))
}
