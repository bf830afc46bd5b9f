//! Assignment: a run handed to a worker.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use protocol::worker::{envelope::Envelope, wire::DeclineCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{BuildRef, Cancel};

/// A run handed to a worker: to it what a Job is to the cluster. Its uid is the fence: a run that is handed out anew has another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "prbuild.dev",
    version = "v1alpha1",
    kind = "Assignment",
    namespaced,
    status = "AssignmentStatus",
    shortname = "asg",
    category = "prbuild",
    derive = "PartialEq",
    doc = "A run handed to a worker: to it what a Job is to the cluster.",
    printcolumn(name = "Builder", type_ = "string", json_path = ".spec.builder"),
    printcolumn(name = "To", type_ = "string", json_path = ".spec.to"),
    printcolumn(name = "Worker", type_ = "string", json_path = ".status.worker"),
    printcolumn(name = "Accepted", type_ = "date", json_path = ".status.acceptedAt"),
    printcolumn(name = "Ended", type_ = "date", json_path = ".status.endedAt"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Run",
        type_ = "string",
        json_path = ".spec.run.name",
        priority = 1
    ),
    printcolumn(
        name = "Lease until",
        type_ = "string",
        json_path = ".status.leaseExpiresAt",
        priority = 1
    ),
    printcolumn(
        name = "Cancelled",
        type_ = "string",
        json_path = ".spec.cancel.reason",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.run == oldSelf.run && self.to == oldSelf.to && self.signed == oldSelf.signed && self.pool == oldSelf.pool").message("an assignment is what was signed; only spec.cancel may be set"),
    validation = Rule::new("!has(oldSelf.cancel) || (has(self.cancel) && self.cancel == oldSelf.cancel)").message("spec.cancel is set once and stays"),
    validation = Rule::new("self.pool || size(self.to) == 1").message("an assignment that is no pool's is for one worker")
)]
pub struct AssignmentSpec {
    /// The BuilderRun that it executes.
    pub run: BuildRef,
    /// Name of the Builder, for people.
    #[schemars(length(max = 253))]
    pub builder: String,
    /// Names of the Workers that may take it.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 63)))]
    pub to: Vec<String>,
    /// Whoever of them takes it first has it, for as long as its lease lasts. Else it is one worker's for good.
    #[serde(default)]
    pub pool: bool,
    /// What the operator signed. Only this counts for an agent.
    pub signed: Envelope,
    /// Lets its bearer write the log of this run, and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub log_token: Option<String>,
    /// Stops it. May be set once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<Cancel>,
}

/// How far an assignment is. Written by the gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AssignmentStatus {
    /// The Worker that took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Time>,
    /// Until when it is certainly that worker's. Renewed while the worker is heard of, and written seldom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_expires_at: Option<Time>,
    /// Workers that did not want it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub declined: Vec<Declined>,
    /// Its worker was heard of and knows nothing of it any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forgotten: Option<Time>,
    /// How it ended, signed by the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Envelope>,
    /// When it was heard that its processes are gone: with the result, or before, where that waits for the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
}

/// A worker that did not want an assignment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Declined {
    /// Name of the Worker.
    pub worker: String,
    /// Why, for programs.
    pub code: DeclineCode,
    /// Why, as a sentence.
    #[schemars(length(max = 300))]
    pub reason: String,
    /// When.
    pub at: Time,
}
