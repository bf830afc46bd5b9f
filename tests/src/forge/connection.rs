//! A connection's directory, as PrBuild mounts it from a Secret.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::Forge;
use super::stories::App;

/// How a connection authenticates.
#[derive(Clone, Debug)]
pub enum ConnectionKind {
    /// As a GitHub App.
    App(App),
    /// With a personal token.
    Token(String),
}

impl Forge {
    /// Writes the directory of a connection to this forge: `dir/name` with `api-url`, `git-url`, the
    /// credentials, `webhook-secret` and, with a second secret, `webhook-secret-next`. `git_host` is the
    /// address of the machine by which builds fetch. Returns the connection's own directory.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn write_connection(
        &self,
        dir: &Path,
        name: &str,
        kind: &ConnectionKind,
        secrets: &[&str],
        git_host: IpAddr,
    ) -> io::Result<PathBuf> {
        let dir = dir.join(name);
        std::fs::create_dir_all(&dir)?;
        let write = |file: &str, text: &str| std::fs::write(dir.join(file), format!("{text}\n"));
        write("api-url", &self.api_url())?;
        write("git-url", &self.git_url(git_host))?;
        match kind {
            ConnectionKind::App(app) => {
                write("app-id", &app.id.to_string())?;
                write("private-key.pem", app.private_key_pem.trim_end())?;
                write("installation-id", &app.installation_id.to_string())?;
            }
            ConnectionKind::Token(token) => write("token", token)?,
        }
        for (file, secret) in ["webhook-secret", "webhook-secret-next"]
            .into_iter()
            .zip(secrets)
        {
            write(file, secret)?;
        }
        Ok(dir)
    }
}
