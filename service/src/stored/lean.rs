//! An object read without who wrote which field: four fifths of its text, which nobody here reads
//! and which are skipped instead of parsed.

use crds::{
    Answer, AnswerSpec, AnswerStatus, Assignment, AssignmentSpec, AssignmentStatus, Builder,
    BuilderRun, BuilderRunSpec, BuilderRunStatus, BuilderSpec, BuilderStatus, PrBuild, PrBuildSpec,
    PrBuildStatus, Repository, RepositorySpec, RepositoryStatus, Worker, WorkerSpec, WorkerStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use kube::{Resource, api::ObjectMeta};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::value::RawValue;

use super::FromText;

/// A kind of ours, made of its parts.
pub trait Parts: Resource<DynamicType = ()> + Clone {
    /// What is wanted.
    type Spec: DeserializeOwned;
    /// What is.
    type Status: DeserializeOwned;

    /// The object of these parts.
    fn of(metadata: ObjectMeta, spec: Self::Spec, status: Option<Self::Status>) -> Self;
}

macro_rules! parts {
    ($($kind:ident: $spec:ident, $status:ident;)*) => {$(
        impl Parts for $kind {
            type Spec = $spec;
            type Status = $status;

            fn of(metadata: ObjectMeta, spec: $spec, status: Option<$status>) -> Self {
                Self { metadata, spec, status }
            }
        }
    )*};
}

parts! {
    Repository: RepositorySpec, RepositoryStatus;
    Builder: BuilderSpec, BuilderStatus;
    PrBuild: PrBuildSpec, PrBuildStatus;
    BuilderRun: BuilderRunSpec, BuilderRunStatus;
    Answer: AnswerSpec, AnswerStatus;
    Worker: WorkerSpec, WorkerStatus;
    Assignment: AssignmentSpec, AssignmentStatus;
}

/// An object without its field managers.
#[derive(Clone, Debug)]
pub struct Lean<K>(pub K);

#[derive(Deserialize)]
#[serde(bound(deserialize = "S: Deserialize<'de>, T: Deserialize<'de>"))]
struct Read<S, T> {
    #[serde(deserialize_with = "lean_metadata")]
    metadata: ObjectMeta,
    spec: S,
    #[serde(default = "Option::default")]
    status: Option<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    deletion_grace_period_seconds: Option<i64>,
    owner_references: Option<Vec<OwnerReference>>,
}

/// Metadata as far as anything is decided by it: no labels, annotations or field managers.
pub fn lean_metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let read = Metadata::deserialize(deserializer)?;
    Ok(ObjectMeta {
        name: read.name,
        namespace: read.namespace,
        uid: read.uid,
        resource_version: read.resource_version,
        generation: read.generation,
        creation_timestamp: read.creation_timestamp,
        deletion_timestamp: read.deletion_timestamp,
        deletion_grace_period_seconds: read.deletion_grace_period_seconds,
        owner_references: read.owner_references,
        ..ObjectMeta::default()
    })
}

impl<'de, K: Parts> Deserialize<'de> for Lean<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Read::<K::Spec, K::Status>::deserialize(deserializer)?;
        Ok(Self(K::of(read.metadata, read.spec, read.status)))
    }
}

impl<K: Parts> FromText for Lean<K> {
    fn from_text(
        metadata: &mut ObjectMeta,
        spec: Option<&RawValue>,
        status: Option<&RawValue>,
    ) -> serde_json::Result<Self> {
        let spec = spec.ok_or_else(|| serde_json::Error::missing_field("spec"))?;
        let spec = serde_json::from_str(spec.get())?;
        let status = status.map(|status| serde_json::from_str(status.get()));
        let status = status.transpose()?;
        Ok(Self(K::of(std::mem::take(metadata), spec, status)))
    }
}

impl<K: Resource> Resource for Lean<K> {
    named_as!(K);

    fn meta(&self) -> &ObjectMeta {
        self.0.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.meta_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_comes_with_all_that_decides_and_without_its_field_managers() {
        let stored = r#"{"apiVersion":"prbuild.dev/v1alpha1","kind":"Builder","metadata":{
            "name":"a","uid":"u","resourceVersion":"7","generation":2,"labels":{"x":"y"},
            "managedFields":[{"manager":"m","fieldsV1":{"f:spec":{}}}]},
            "spec":{"displayName":"A","steps":[{"run":"true"}]}}"#;
        let Lean(builder): Lean<Builder> = serde_json::from_str(stored).unwrap();
        assert_eq!(builder.spec.display_name, "A");
        assert_eq!(builder.metadata.resource_version.as_deref(), Some("7"));
        assert_eq!(builder.metadata.generation, Some(2));
        assert!(builder.metadata.managed_fields.is_none());
        assert!(builder.status.is_none());
    }
}
