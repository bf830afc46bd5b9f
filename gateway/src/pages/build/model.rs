//! What the page of a build says, of objects or of its record. Pure.

use std::sync::Arc;

use crds::{BuilderRun, PrBuild, Trigger, TriggerKind};
use protocol::record::BuildRecord;
use serde::Serialize;

use crate::pages::{
    line::{Line, Pull},
    matrix::Shelves,
    parts::{self, Part},
    text::Foreign,
    words::{self, Moment},
};

/// What the page of a build says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Build {
    /// What a list says of it.
    #[serde(flatten)]
    pub line: Line,
    /// What started it, in words: the label `test`, the command `/prbuild run`.
    pub trigger: Foreign,
    /// The commit that is built: the test merge, or the bare head.
    pub commit: String,
    /// The base branch.
    pub base_ref: Foreign,
    /// Tip of the base branch that the head is merged into; absent where the bare head is built, and in a
    /// record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_sha: Option<String>,
    /// Its builders, what needs a look first.
    pub builders: Vec<Part>,
    /// Builders that were asked for and do not run.
    pub left_out: Vec<LeftOut>,
    /// Name of the build that this one repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerun_of: Option<String>,
    /// Why what is said of a build that goes on may be wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A builder that was asked for and does not run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// Name of the Builder object.
    pub builder: Foreign,
    /// Why, and what would include it.
    pub reason: Foreign,
}

impl Build {
    /// Its title: `refleaks build of #1234`.
    pub fn title(&self) -> Foreign {
        let number = self.line.pull.number;
        match self.line.flavour.0.as_str() {
            "default" | "" => format!("Build of #{number}").into(),
            flavour => format!("{flavour} build of #{number}").into(),
        }
    }

    /// Whether the head was merged into its base branch.
    pub fn is_merge(&self) -> bool {
        self.commit != self.line.head_sha
    }
}

/// A build that is an object.
pub fn of_objects(
    build: &PrBuild,
    runs: &[Arc<BuilderRun>],
    pull: Pull,
    shelves: &Shelves,
) -> Build {
    let request = &build.spec.request;
    let commit = request.merge_sha.as_ref().unwrap_or(&request.head_sha);
    let left_out = request.left_out.iter().map(|left| LeftOut {
        builder: left.builder.as_str().into(),
        reason: left.reason.as_str().into(),
    });
    Build {
        line: Line::of_build(build, runs, pull, shelves),
        trigger: trigger(&request.trigger).into(),
        commit: commit.clone(),
        base_ref: request.base_ref.as_str().into(),
        base_sha: request.base_sha.clone(),
        builders: parts::of_objects(build, runs),
        left_out: left_out.collect(),
        rerun_of: request.rerun_of.clone(),
        note: None,
    }
}

/// A build of which the record is left.
pub fn of_record(record: &BuildRecord, web: &str, shelves: &Shelves) -> Build {
    let builders = parts::ordered(record.runs.iter().map(Part::of_record).collect());
    let left_out = record.left_out.iter().map(|(builder, reason)| LeftOut {
        builder: builder.as_str().into(),
        reason: reason.as_str().into(),
    });
    Build {
        line: Line {
            name: record.name.clone(),
            pull: Pull::of_record(&record.pull, web),
            state: record.result.into(),
            summary: record.summary.as_str().into(),
            reason: Foreign::default(),
            flavour: record.flavour.as_str().into(),
            requester: record.requester.as_str().into(),
            head_sha: record.head_sha.clone(),
            created: Moment(words::of_ms(record.created_ms)),
            finished: record.finished_ms.map(|ms| Moment(words::of_ms(ms))),
            matrix: shelves.group(builders.iter().map(Part::cell).collect()),
        },
        trigger: record.trigger.as_str().into(),
        commit: record.commit.clone(),
        base_ref: record.base_ref.as_str().into(),
        base_sha: None,
        builders,
        left_out: left_out.collect(),
        rerun_of: record.rerun_of.clone(),
        note: None,
    }
}

/// What started a build, in words.
fn trigger(trigger: &Trigger) -> String {
    let code = |name: &str| format!("`{}`", name.replace('`', "'"));
    match (trigger.kind, &trigger.label, &trigger.command) {
        (TriggerKind::Label, Some(label), _) => format!("the label {}", code(label)),
        (TriggerKind::Comment, _, Some(command)) => format!("the command {}", code(command)),
        (TriggerKind::Button, ..) => "a button".to_owned(),
        (TriggerKind::Manual, ..) => "an object made by hand".to_owned(),
        _ => "an event on GitHub".to_owned(),
    }
}
