//! `init`: a key, a configuration, and the manifest for the project's people.

use std::{io, path::Path};

use protocol::worker::key::PublicKey;

use super::{
    config::{is_fingerprint, is_name, is_server},
    files::{self, FileError},
    identity::{self, IdentityError},
    layout::Layout,
};
use crate::os;

/// The configuration, with its fields explained.
const TEMPLATE: &str = include_str!("template.toml");
/// What stands for a fingerprint that nobody has told yet; it leads to no key.
const UNKNOWN: &str = "0000-0000-0000-0000-0000-0000-0000-0000";

/// What is known when a worker is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The gateway.
    pub server: String,
    /// The worker's name.
    pub name: String,
    /// Fingerprint of the operator's keys, if it was told already.
    pub operator: Option<String>,
}

/// What was made.
#[derive(Debug)]
pub struct Made {
    /// The public half of the key.
    pub public: PublicKey,
    /// The key was not there before.
    pub new_key: bool,
    /// The configuration was not there before.
    pub new_configuration: bool,
}

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// No name of a Worker.
    #[error("`{0}` is no name of a worker: lower case letters, digits and hyphens, at most 63")]
    Name(String),
    /// No address.
    #[error(
        "`{0}` is no address of a gateway: it is https:// and a host; http:// is only for this very machine"
    )]
    Server(String),
    /// No fingerprint.
    #[error("`{0}` is no fingerprint: eight groups of four hexadecimal digits")]
    Fingerprint(String),
    /// The key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A file or directory.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Makes what is not there yet; changes nothing that is.
pub fn init(configuration: &Path, state: &Path, setup: &Setup) -> Result<Made, InitError> {
    if !is_name(&setup.name) {
        return Err(InitError::Name(setup.name.clone()));
    }
    // Quotes or lines, which would become something else in the file, are in no address.
    if !is_server(&setup.server) {
        return Err(InitError::Server(setup.server.clone()));
    }
    let operator = setup.operator.as_deref().unwrap_or(UNKNOWN);
    if !is_fingerprint(operator) {
        return Err(InitError::Fingerprint(operator.to_owned()));
    }
    let layout = Layout::new(state);
    layout.make_own()?;
    let (public, new_key) = identity::make_key(&layout)?;
    let new_configuration = !configuration.exists();
    if new_configuration {
        let state = state.display().to_string().replace('\\', "\\\\");
        let text = TEMPLATE
            .replace("@SERVER@", &setup.server)
            .replace("@NAME@", &setup.name)
            .replace("@OPERATOR@", operator)
            .replace("@STATE@", &state);
        if let Some(parent) = configuration.parent() {
            let made = std::fs::create_dir_all(parent);
            made.map_err(|source| FileError::new(parent, "made", source))?;
        }
        files::write_open(configuration, text.as_bytes())?;
    }
    Ok(Made {
        public,
        new_key,
        new_configuration,
    })
}

/// The Worker object that the project's people apply.
pub fn manifest(name: &str, contact: Option<&str>, public: &PublicKey) -> String {
    let contact = match contact {
        // A string of JSON is one of YAML.
        Some(contact) => serde_json::Value::from(contact).to_string(),
        None => "\"\" # who you are and how to reach you: Ada Lovelace <ada@example.org>".into(),
    };
    format!(
        "apiVersion: prbuild.dev/v1alpha1\n\
         kind: Worker\n\
         metadata:\n  name: {name}\n\
         spec:\n  \
           contact: {contact}\n  \
           labels:\n    os: {}\n    arch: {}\n  \
           slots: 1\n  \
           publicKeys:\n    - {public}\n",
        os::RUNNER_OS.to_ascii_lowercase(),
        std::env::consts::ARCH,
    )
}

/// What the key's fingerprint is compared by, over another way than the manifest.
pub fn fingerprint(public: &PublicKey) -> String {
    public.fingerprint()
}

/// The machine's own name, as a name of a worker.
pub fn default_name() -> io::Result<String> {
    let output = std::process::Command::new("hostname").output()?;
    let text = String::from_utf8_lossy(&output.stdout).to_ascii_lowercase();
    let first = text.trim().split('.').next().unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = first.chars().map(plain).take(40).collect();
    Ok(name.trim_matches('-').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{testing::Scratch, worker::config::Config};

    fn setup() -> Setup {
        Setup {
            server: "https://builds.example.org".into(),
            name: "mac-1".into(),
            operator: None,
        }
    }

    #[test]
    fn init_makes_a_key_that_nobody_else_reads_and_a_configuration_that_takes_nothing() {
        let scratch = Scratch::new();
        let (file, state) = (scratch.path("etc/agent.toml"), scratch.path("state"));
        let made = init(&file, &state, &setup()).unwrap();
        assert!(made.new_key && made.new_configuration);
        let config = Config::load(&file).unwrap();
        assert!(config.policy.events.is_empty());
        assert_eq!(config.state_dir, state);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            let layout = Layout::new(&state);
            assert_eq!((mode(layout.key()), mode(layout.agent())), (0o600, 0o700));
        }
        let text = manifest("mac-1", None, &made.public);
        assert!(text.contains(&made.public.to_string()), "{text}");
        let text = manifest("mac-1", Some("\"Ada\" <a@b.c>: #1"), &made.public);
        assert!(
            text.contains(r##"contact: "\"Ada\" <a@b.c>: #1""##),
            "{text}"
        );
    }

    #[test]
    fn init_again_changes_nothing() {
        let scratch = Scratch::new();
        let (file, state) = (scratch.path("agent.toml"), scratch.path("state"));
        let first = init(&file, &state, &setup()).unwrap();
        std::fs::write(&file, "mine").unwrap();
        let second = init(&file, &state, &setup()).unwrap();
        assert_eq!(first.public, second.public);
        assert!(!second.new_key && !second.new_configuration);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    }

    #[test]
    fn what_would_become_something_else_in_the_file_is_refused() {
        let scratch = Scratch::new();
        for (name, server) in [
            ("Mac 1", "https://x"),
            ("", "https://x"),
            ("mac-1", "x"),
            ("mac-1", "http://builds.example.org"),
            ("mac-1", "https://x\"\nslots = 9"),
        ] {
            let setup = Setup {
                name: name.into(),
                server: server.into(),
                operator: None,
            };
            let made = init(&scratch.path("agent.toml"), &scratch.path("state"), &setup);
            assert!(made.is_err(), "{name} {server}");
        }
        assert!(!scratch.path("agent.toml").exists());
    }
}
