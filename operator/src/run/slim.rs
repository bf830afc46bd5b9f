//! A pod as it comes over the watch, read only as far as a run needs it. Most of a pod's text is who
//! wrote which field; it is skipped, not parsed.

use std::borrow::Cow;

use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{ContainerState, Pod},
};
use kube::{Resource, api::ObjectMeta};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cache::{FromText, lean_metadata};

/// A pod without most of it.
#[derive(Clone, Debug, Deserialize)]
pub struct SlimPod {
    #[serde(deserialize_with = "lean_metadata")]
    pub(super) metadata: ObjectMeta,
    #[serde(default)]
    pub(super) status: Status,
}

/// How a pod stands.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Status {
    pub(super) phase: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) message: Option<String>,
    pub(super) conditions: Option<Vec<Condition>>,
    pub(super) init_container_statuses: Option<Vec<Container>>,
    pub(super) container_statuses: Option<Vec<Container>>,
}

/// What is said of a pod as a whole.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) status: String,
    pub(super) reason: Option<String>,
    pub(super) message: Option<String>,
}

/// Of a container only where it stands: its resources and mounts are those that we asked for.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) state: Option<ContainerState>,
    #[serde(default, rename = "imageID")]
    pub(super) image_id: String,
}

impl FromText for SlimPod {
    fn from_text(
        metadata: &mut ObjectMeta,
        _spec: Option<&RawValue>,
        status: Option<&RawValue>,
    ) -> serde_json::Result<Self> {
        let status = status.map(|status| serde_json::from_str(status.get()));
        Ok(Self {
            status: status.transpose()?.unwrap_or_default(),
            metadata: std::mem::take(metadata),
        })
    }
}

impl Resource for SlimPod {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        Pod::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        Pod::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        Pod::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        Pod::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
