//! Our programs, and where they lie.

use std::path::PathBuf;

use super::ClusterError;

/// Environment variable with the directory of the programs that stories start.
pub const PROGRAMS_VARIABLE: &str = "PRBUILD_BIN_DIR";

/// One of our programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// `prbuild-webhook`
    Webhook,
    /// `prbuild-operator`
    Operator,
    /// `prbuild-gateway`
    Gateway,
    /// `prbuild-agent`, which has no account: it speaks with the gateway only.
    Agent,
}

impl Binary {
    /// Name of the program, and of its service account.
    pub fn name(self) -> &'static str {
        match self {
            Self::Webhook => "prbuild-webhook",
            Self::Operator => "prbuild-operator",
            Self::Gateway => "prbuild-gateway",
            Self::Agent => "prbuild-agent",
        }
    }

    /// Where the program lies: in the directory of [`PROGRAMS_VARIABLE`], else beside the running test or task.
    pub fn path(self) -> Result<PathBuf, ClusterError> {
        let given = std::env::var_os(PROGRAMS_VARIABLE).map(PathBuf::from);
        let path = given.or_else(beside).unwrap_or_default().join(self.name());
        if path.is_file() {
            return Ok(path);
        }
        Err(ClusterError::Command {
            what: format!("there is no {}", path.display()),
            because: "it was not built: run `cargo xtask test`, or `cargo build --bins`".to_owned(),
        })
    }
}

/// Where cargo put the programs that it built with the running test or task.
fn beside() -> Option<PathBuf> {
    let exe = std::env::current_exe().ok()?;
    let dir = exe.parent()?;
    let dir = match dir.ends_with("deps") {
        true => dir.parent()?,
        false => dir,
    };
    Some(dir.to_owned())
}
