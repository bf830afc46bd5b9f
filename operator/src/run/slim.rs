//! A pod as it comes over the watch, read only as far as a run needs it. Most of a pod's text is who
//! wrote which field; it is skipped, not parsed.

use std::borrow::Cow;

use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{ContainerState, ContainerStatus, Pod, PodCondition, PodStatus},
};
use kube::{Resource, api::ObjectMeta};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cache::{FromText, lean_metadata};

/// A pod without most of it.
#[derive(Clone, Debug, Deserialize)]
pub struct SlimPod {
    #[serde(deserialize_with = "lean_metadata")]
    metadata: ObjectMeta,
    #[serde(default)]
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: Option<String>,
    reason: Option<String>,
    message: Option<String>,
    conditions: Option<Vec<PodCondition>>,
    init_container_statuses: Option<Vec<Container>>,
    container_statuses: Option<Vec<Container>>,
}

/// Of a container only where it stands: its resources and mounts are those that we asked for.
#[derive(Clone, Debug, Deserialize)]
struct Container {
    name: String,
    state: Option<ContainerState>,
    #[serde(default, rename = "imageID")]
    image_id: String,
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

impl From<Container> for ContainerStatus {
    fn from(slim: Container) -> Self {
        Self {
            name: slim.name,
            state: slim.state,
            image_id: slim.image_id,
            ..Self::default()
        }
    }
}

impl From<SlimPod> for Pod {
    fn from(slim: SlimPod) -> Self {
        let statuses = |read: Option<Vec<Container>>| {
            read.map(|all| all.into_iter().map(ContainerStatus::from).collect())
        };
        Self {
            metadata: slim.metadata,
            status: Some(PodStatus {
                phase: slim.status.phase,
                reason: slim.status.reason,
                message: slim.status.message,
                conditions: slim.status.conditions,
                init_container_statuses: statuses(slim.status.init_container_statuses),
                container_statuses: statuses(slim.status.container_statuses),
                ..PodStatus::default()
            }),
            ..Self::default()
        }
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
