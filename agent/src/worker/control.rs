//! How the owner's commands reach the daemon, and how its state reaches them: two small files. Who may
//! write into the agent's directory may command it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    clock,
    files::{self, FileError},
    layout::Layout,
};

/// What the owner wants now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Wish {
    /// Nothing begins.
    pub paused: bool,
    /// Until then, in seconds since 1970; without it until the owner says otherwise.
    pub until: Option<i64>,
    /// What runs is finished, then the daemon ends.
    pub drain: bool,
}

impl Wish {
    /// Reads it. What cannot be read is no wish for more work.
    pub fn load(layout: &Layout) -> Self {
        files::read_json(&layout.own("control.json")).map_or_else(
            |_| Self {
                paused: true,
                ..Self::default()
            },
            Option::unwrap_or_default,
        )
    }

    /// Writes it.
    pub fn save(&self, layout: &Layout) -> Result<(), FileError> {
        let text = serde_json::to_vec(self).unwrap_or_default();
        files::write_open(&layout.own("control.json"), &text)
    }

    /// Why nothing begins, if so.
    pub fn closed(&self) -> Option<String> {
        match self.until {
            _ if self.drain => Some("its owner stops it".into()),
            None if self.paused => Some("its owner paused it".into()),
            Some(until) if self.paused && clock::own() < until => {
                let until = Timestamp::from_second(until).unwrap_or(Timestamp::MAX);
                Some(format!(
                    "its owner paused it until {}",
                    until.strftime("%Y-%m-%d %H:%M UTC")
                ))
            }
            _ => None,
        }
    }
}

/// What the daemon says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct State {
    /// Its process.
    pub pid: u32,
    /// When it wrote this, in seconds since 1970.
    pub at: i64,
    /// When the gateway last answered; 0 for never.
    pub answered: i64,
    /// What is wrong with the connection, if anything.
    pub trouble: Option<String>,
    /// Why it takes nothing, if so.
    pub closed: Option<String>,
    /// Runs that it holds: name, and how far.
    pub runs: Vec<(String, String)>,
    /// Builds run as another user.
    pub isolated: bool,
}

impl State {
    /// What the daemon said last.
    pub fn load(layout: &Layout) -> Result<Option<Self>, FileError> {
        files::read_json(&layout.own("status.json"))
    }

    /// Writes it. It is for people: nothing depends on it.
    pub fn save(&self, layout: &Layout) -> std::io::Result<()> {
        let path = layout.own("status.json");
        let new = path.with_extension("new");
        std::fs::write(&new, serde_json::to_vec(self)?)?;
        std::fs::rename(new, path)
    }
}
