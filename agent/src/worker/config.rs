//! The configuration of a worker: a TOML file that its owner writes. What stands in it always wins:
//! the project can ask for less of this machine, never for more.

use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
};

use jiff::{civil, tz::TimeZone};
use serde::{Deserialize, Deserializer, de};

use crate::os;

/// The configuration of a worker.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The gateway: `https://host[:port]`, or `http://` on the loopback.
    pub server: String,
    /// Name of the Worker object.
    pub name: String,
    /// Fingerprint of the operator's key set, as the project's people told it.
    pub operator: String,
    /// Where key, journal, mirrors, logs and builds are.
    #[serde(default = "os::state_directory")]
    pub state_dir: PathBuf,
    /// Runs at a time, 1 to 64.
    #[serde(default = "one")]
    pub slots: u32,
    /// What the owner allows.
    #[serde(default)]
    pub policy: Policy,
    /// What the machine bears.
    #[serde(default)]
    pub limits: Limits,
}

fn one() -> u32 {
    1
}

/// What the owner allows. The default takes nothing.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// What is built; nothing where empty.
    pub events: BTreeSet<Event>,
    /// `owner/name`; every repository of the project where empty.
    pub repositories: BTreeSet<String>,
    /// Numeric ids of people; everybody whom the project trusts where empty.
    pub requesters: BTreeSet<i64>,
    /// The least that somebody must have done for a build.
    pub evidence: Evidence,
    /// When no build begins. What runs goes on.
    pub quiet_hours: Vec<QuietHours>,
    /// No build begins while the load average of one minute is higher.
    pub max_load: Option<f64>,
    /// Builds in 24 hours.
    pub max_builds_per_day: Option<u32>,
    /// Minutes that the steps of one build may take, whatever the project allows.
    pub max_build_minutes: Option<u32>,
    /// A program with its arguments; while it exits with anything but 0, no build begins.
    pub busy_command: Vec<String>,
}

/// What a build is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Somebody labelled a pull request, which is code of strangers.
    PullRequest,
}

/// What proves that somebody looked at the code, from weak to strong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// A label, a command, a button.
    #[default]
    Label,
    /// The full SHA was typed.
    ExactSha,
    /// A second person approved exactly that commit.
    Review,
}

/// Hours of a day when no build begins.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// Begin, `22:00`.
    #[serde(deserialize_with = "time_of_day")]
    pub from: civil::Time,
    /// End; on the next day where it is not later than the begin.
    #[serde(deserialize_with = "time_of_day")]
    pub to: civil::Time,
    /// Days on which they begin, `["mon-fri", "sun"]`; every day where empty.
    #[serde(default, deserialize_with = "days")]
    pub days: BTreeSet<i8>,
    /// A time zone such as `Europe/Paris`; the machine's own where absent.
    #[serde(default = "TimeZone::system", deserialize_with = "time_zone")]
    pub tz: TimeZone,
}

/// What the machine bears.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Free bytes below which no build begins, on the disk of `state_dir`.
    pub min_free_disk: Bytes,
    /// Bytes of one build's log that are kept.
    pub log: Bytes,
    /// Seconds from asking a build's processes to end to killing them; at most 60 of a run that another
    /// worker may get when this one is not heard of any more.
    pub grace_seconds: u64,
}

impl Default for Limits {
    /// 10 GiB of disk, 128 MiB of log, 30 s of grace.
    fn default() -> Self {
        Self {
            min_free_disk: Bytes(10 << 30),
            log: Bytes(128 << 20),
            grace_seconds: 30,
        }
    }
}

/// A number of bytes, `512MiB`, `15GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes >= 1 << 30 => write!(f, "{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
            bytes => write!(f, "{} MiB", bytes >> 20),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
        let found = units.iter().find_map(|(unit, shift)| {
            let number: u64 = text.strip_suffix(unit)?.trim().parse().ok()?;
            number.checked_mul(1 << shift)
        });
        let words = || de::Error::custom(format!("`{text}` is no size such as \"15GiB\""));
        found.map(Self).ok_or_else(words)
    }
}

fn time_of_day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<civil::Time, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time = civil::Time::strptime("%H:%M", &text);
    time.map_err(|_| de::Error::custom(format!("`{text}` is no time of day such as \"22:00\"")))
}

fn time_zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TimeZone, D::Error> {
    let text = String::deserialize(deserializer)?;
    let zone = TimeZone::get(&text);
    zone.map_err(|_| {
        de::Error::custom(format!(
            "this machine knows no time zone `{text}`; one is called \"Europe/Paris\""
        ))
    })
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Days as numbers from Monday, 1, to Sunday, 7.
fn days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<i8>, D::Error> {
    let number = |name: &str| (1..).zip(DAYS).find(|(_, day)| *day == name);
    let mut all = BTreeSet::new();
    for text in Vec::<String>::deserialize(deserializer)? {
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        let wrong = || {
            de::Error::custom(format!(
                "`{text}` is no day or range of days such as \"mon-fri\""
            ))
        };
        let (first, _) = number(first).ok_or_else(wrong)?;
        let (last, _) = number(last).ok_or_else(wrong)?;
        let mut day: i8 = first;
        all.insert(day);
        while day != last {
            day = day % 7 + 1;
            all.insert(day);
        }
    }
    Ok(all)
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there or not ours to read.
    #[error("the configuration `{}` cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is not TOML, or has a field that means nothing.
    #[error("the configuration `{}` is not valid:\n{words}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        words: String,
    },
    /// A field says what cannot be.
    #[error("`{field}` in the configuration {why}")]
    Field {
        /// The field.
        field: &'static str,
        /// Why not.
        why: String,
    },
}

impl Config {
    /// Reads a configuration file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.into(),
            source,
        })?;
        let config: Self = toml::from_str(&text).map_err(|error| ConfigError::Malformed {
            path: path.into(),
            words: error.to_string(),
        })?;
        config.check()?;
        Ok(config)
    }

    /// Whether every field says something that can be.
    fn check(&self) -> Result<(), ConfigError> {
        let field = |field, why: &str| {
            let why = why.to_owned();
            Err(ConfigError::Field { field, why })
        };
        if !is_server(&self.server) {
            return field(
                "server",
                "is no https:// address without a path; http:// is only for this very machine",
            );
        }
        if !is_name(&self.name) {
            return field(
                "name",
                "is no name of a Worker: lower case letters, digits and hyphens, at most 63",
            );
        }
        if !is_fingerprint(&self.operator) {
            return field(
                "operator",
                "is no fingerprint; the project's people tell it: eight groups of four hexadecimal digits",
            );
        }
        if !(1..=64).contains(&self.slots) {
            return field("slots", "is not between 1 and 64");
        }
        if !self.state_dir.is_absolute() {
            return field("state_dir", "is no absolute path");
        }
        if self.limits.grace_seconds > 600 {
            return field("limits.grace_seconds", "is more than 600");
        }
        if self.limits.log < Bytes(1 << 20) {
            return field("limits.log", "is less than 1MiB");
        }
        Ok(())
    }
}

/// `https://host[:port]`, or `http://` on the loopback.
pub fn is_server(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else {
        return false;
    };
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host);
    let is_here = matches!(host, "127.0.0.1" | "localhost" | "[::1]");
    let is_good = !authority.is_empty() && authority.bytes().all(is_plain);
    is_good && (scheme == "https" || (scheme == "http" && is_here))
}

/// A name of a Worker object.
pub fn is_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(is_plain)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Eight groups of four hexadecimal digits.
pub fn is_fingerprint(text: &str) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_group = |group: &str| group.len() == 4 && group.bytes().all(is_hex);
    text.split('-').count() == 8 && text.split('-').all(is_group)
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
