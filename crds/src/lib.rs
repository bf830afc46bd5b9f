//! The nouns: PrBuild's custom resources in `prbuild.dev/v1alpha1`.
//!
//! Types, defaults and CEL rules, and names that are derived from them. Nothing here does I/O or
//! decides anything. Doc comments become `kubectl explain`.

#![allow(
    clippy::duplicated_attributes,
    reason = "columns of one kind share types and priorities"
)]

mod answer;
mod assignment;
mod builder;
mod builder_run;
mod common;
pub mod condition;
mod definition;
pub mod names;
mod prbuild;
mod repository;
mod window;
mod worker;

pub use answer::*;
pub use assignment::*;
pub use builder::*;
pub use builder_run::*;
pub use common::*;
pub use prbuild::*;
pub use repository::*;
pub use window::*;
pub use worker::*;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

/// API group of every kind.
pub const GROUP: &str = "prbuild.dev";

/// Every CustomResourceDefinition, as the chart installs them.
pub fn all() -> Vec<CustomResourceDefinition> {
    let derived = [
        Repository::crd(),
        Builder::crd(),
        PrBuild::crd(),
        BuilderRun::crd(),
        Answer::crd(),
        Worker::crd(),
        Assignment::crd(),
    ];
    derived.map(definition::polished).into()
}

#[cfg(test)]
mod tests;
