//! Who this worker is: a key that never leaves the machine, and a random id that tells this
//! installation from a copy of it.

use std::path::Path;

use protocol::{
    token::KeyError,
    worker::key::{AgentKey, PublicKey, Sign},
};

use super::{
    files::{self, FileError},
    layout::Layout,
};
use crate::os;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// There is none yet.
    #[error("there is no key in `{0}`")]
    None(String),
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file holds something else.
    #[error("the key in `{path}` is not usable: {source}")]
    Key {
        /// The file.
        path: String,
        /// Why.
        source: KeyError,
    },
    /// The system gives no randomness.
    #[error("the system gives no random numbers: {0}")]
    Random(std::io::Error),
}

/// Reads the key.
pub fn load_key(layout: &Layout) -> Result<AgentKey, IdentityError> {
    let path = layout.key();
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(IdentityError::None(path.display().to_string()));
        }
        read => read.map_err(|source| FileError::new(&path, "read", source))?,
    };
    AgentKey::from_pem(&text).map_err(|source| unusable(&path, source))
}

/// Reads the key, or makes one; and whether it is new.
pub fn make_key(layout: &Layout) -> Result<(PublicKey, bool), IdentityError> {
    match load_key(layout) {
        Err(IdentityError::None(_)) => {}
        loaded => return Ok((loaded?.public(), false)),
    }
    let mut seed = [0; 32];
    os::random(&mut seed).map_err(IdentityError::Random)?;
    let (key, path) = (AgentKey::from_seed(&seed), layout.key());
    let pem = key.to_pem().map_err(|source| unusable(&path, source))?;
    files::write(&path, pem.as_bytes())?;
    Ok((key.public(), true))
}

/// The random id of this installation, made at the first start.
pub fn instance(layout: &Layout) -> Result<String, IdentityError> {
    let path = layout.own("instance.json");
    if let Some(id) = files::read_json::<String>(&path)? {
        return Ok(id);
    }
    let mut bytes = [0; 16];
    os::random(&mut bytes).map_err(IdentityError::Random)?;
    let id = format!("{:032x}", u128::from_le_bytes(bytes));
    files::write_json(&path, &id)?;
    Ok(id)
}

fn unusable(path: &Path, source: KeyError) -> IdentityError {
    let path = path.display().to_string();
    IdentityError::Key { path, source }
}
