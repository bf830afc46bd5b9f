//! Worker: one physical machine that is lent.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One physical machine that is lent. Written by the infrastructure team, from what `prbuild-agent init` prints; its owner's own policy on the machine always wins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "prbuild.dev",
    version = "v1alpha1",
    kind = "Worker",
    namespaced,
    status = "WorkerStatus",
    shortname = "wrk",
    category = "prbuild",
    derive = "PartialEq",
    doc = "One physical machine that is lent. Its owner's own policy on the machine always wins.",
    validation = Rule::new("size(self.metadata.name) <= 63").message("the name of a Worker has at most 63 characters"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Why", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Since", type_ = "date", json_path = ".status.conditions[?(@.type=='Ready')].lastTransitionTime"),
    printcolumn(name = "Busy", type_ = "integer", json_path = ".status.busy"),
    printcolumn(name = "Slots", type_ = "integer", json_path = ".spec.slots"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "OS", type_ = "string", json_path = ".status.facts.os", priority = 1),
    printcolumn(name = "Arch", type_ = "string", json_path = ".status.facts.arch", priority = 1),
    printcolumn(name = "Isolated", type_ = "string", json_path = ".status.conditions[?(@.type=='Isolated')].status", priority = 1),
    printcolumn(name = "Running", type_ = "string", json_path = ".status.running[*].run", priority = 1),
    printcolumn(name = "Contact", type_ = "string", json_path = ".spec.contact", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct WorkerSpec {
    /// Who lends the machine and how to reach them, for people: `Ada Lovelace <ada@example.org>`.
    #[schemars(length(min = 1, max = 200))]
    pub contact: String,
    /// Words that Builders select workers by: `os: freebsd`, `arch: s390x`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = 32,
        "additionalProperties" = { "type": "string", "maxLength": 63 }
    ))]
    pub labels: BTreeMap<String, String>,
    /// How many runs it takes at a time. The agent may take fewer.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 64))]
    pub slots: i64,
    /// While true, it gets no new runs; those that run go on.
    #[serde(default)]
    pub paused: bool,
    /// While true, it gets no new runs and is told so: for before an upgrade or a farewell.
    #[serde(default)]
    pub drain: bool,
    /// When it gets no new runs, by its owner's clock. What runs goes on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub windows: Vec<Window>,
    /// Names of the Repository objects whose builds it takes. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 30)))]
    pub repositories: Vec<String>,
    /// The agent's public keys, as `prbuild-agent init` prints them: one, or two while a new one comes
    /// in. Without any, nobody can speak for this worker.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2), inner(regex(pattern = "^ed25519:[A-Za-z0-9_-]{43}$")))]
    #[x_kube(validation = Rule::new("self.all(a, self.exists_one(b, b == a))").message("a public key stands in publicKeys twice"))]
    pub public_keys: Vec<String>,
}

fn one() -> i64 {
    1
}

/// A time of the week at which a worker gets no new runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.from != self.to").message("a window begins and ends at the same time: for the whole day write from 00:00 to 24:00"))]
pub struct Window {
    /// The days on which it begins. Empty: every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7))]
    pub days: Vec<Day>,
    /// When it begins, `22:00`.
    #[schemars(regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub from: String,
    /// When it ends, `08:00`: on the next day if that is before it begins. `24:00` is midnight.
    #[schemars(regex(pattern = "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"))]
    pub to: String,
    /// Whose time that is, by its name in the IANA database: `Europe/Paris`.
    #[serde(default = "utc")]
    #[schemars(regex(pattern = "^[A-Za-z][A-Za-z0-9_+/-]{0,63}$"))]
    pub time_zone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// What the gateway knows of a worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkerStatus {
    /// Generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`: it takes runs; else why not. `Isolated`: builds run as another user than the agent.
    /// `DiskPressure`, `Quarantined`, `DuplicateIdentity`, `KeyRefused`, `OfferRefused`: what somebody
    /// should look at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Version of its agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What its agent says of the machine.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
    /// What its owner's own policy takes, as the agent puts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// When it was heard of last, where that is a while ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offline_since: Option<Time>,
    /// Since when a gateway hears of it no more, where another one may: whichever does takes this away, and else it
    /// is off-line seconds later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missed: Option<Time>,
    /// The session that it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<WorkerSession>,
    /// How many runs it has.
    pub busy: i64,
    /// Which ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub running: Vec<crate::Slot>,
    /// Runs in a row that its machine, not the code, ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing: Option<Failing>,
}

/// The session of a worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkerSession {
    /// Counts sessions: only the newest one counts.
    pub epoch: i64,
    /// The agent's installation.
    pub instance: String,
    /// The start of its machine.
    pub boot: String,
    /// When its nonce was made, in milliseconds since 1970: no older nonce opens another.
    pub nonce: i64,
    /// Installation and start of the machine that it took the place of: one that comes back shows that there
    /// are two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

/// Runs in a row that a worker's machine, not the code, ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failing {
    /// How many.
    pub runs: i64,
    /// Why the last one.
    pub reason: String,
    /// Until when it gets no more, once there were three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}
