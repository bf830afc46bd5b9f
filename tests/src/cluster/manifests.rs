//! Applying manifests: our kinds, and what the chart renders.

use std::process::Command;
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client, ResourceExt};
use serde_json::Value;

use super::ClusterError;
use super::eventually::until;
use crate::parts;

const MANAGER: &str = "prbuild-tests";

/// Applies definitions of custom resources and waits until the API server serves them.
pub(super) async fn apply_crds(
    client: &Client,
    crds: &[CustomResourceDefinition],
) -> Result<(), ClusterError> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for crd in crds {
        let what = format!("cannot apply the definition {}", crd.name_any());
        let params = PatchParams::apply(MANAGER).force();
        api.patch(&crd.name_any(), &params, &Patch::Apply(crd))
            .await
            .map_err(ClusterError::api(&what))?;
    }
    for crd in crds {
        until(Duration::from_secs(30), async || served(client, crd).await)
            .await
            .map_err(|last| ClusterError::NotReady {
                what: format!("the kind {}", crd.spec.names.kind),
                seconds: 30,
                last,
                log: String::new(),
            })?;
    }
    Ok(())
}

/// `Established` comes a moment before the first list succeeds, so the list is what is asked for.
async fn served(client: &Client, crd: &CustomResourceDefinition) -> Result<(), String> {
    let version = crd
        .spec
        .versions
        .first()
        .map(|version| version.name.clone())
        .unwrap_or_default();
    let path = format!(
        "/apis/{}/{version}/{}?limit=1",
        crd.spec.group, crd.spec.names.plural
    );
    let request = http::Request::get(path)
        .body(Vec::new())
        .map_err(|error| error.to_string())?;
    client
        .request_text(request)
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}

/// What `helm template` makes of the chart for these two namespaces: the objects that tests do not leave
/// out, as a list in JSON. YAML is read once here, and not for every install.
pub(super) fn render(namespace: &str, builds: &str) -> Result<String, ClusterError> {
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/prbuild");
    let mut helm = Command::new(parts::existing(&parts::HELM_CLI)?);
    helm.args(["template", "prbuild", chart, "--namespace", namespace]);
    let values = format!(
        "builds.namespace={builds},crds.install=false,host=prbuild.test,image.registry=prbuild.test"
    );
    helm.args(["--no-hooks", "--set", &values]);
    let output = helm.output().map_err(ClusterError::start("helm"))?;
    if !output.status.success() {
        return Err(ClusterError::Command {
            what: "helm cannot render charts/prbuild".to_owned(),
            because: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    let all: Vec<Option<Value>> =
        serde_saphyr::from_multiple(&String::from_utf8_lossy(&output.stdout)).map_err(not_read)?;
    let wanted = all.into_iter().flatten().filter(|object| {
        let kind = object["kind"].as_str();
        kind.is_none_or(|kind| !LEFT_OUT.contains(&kind))
    });
    Ok(Value::from_iter(wanted).to_string())
}

fn not_read(error: impl std::fmt::Display) -> ClusterError {
    ClusterError::Command {
        what: "what helm rendered from charts/prbuild is not YAML of objects".to_owned(),
        because: error.to_string(),
    }
}

/// Kinds of the chart that tests leave out: our programs run as child processes, under the same
/// accounts.
///
/// Quotas and limits are left out with them: a stand-in's thousands of pods are beyond any.
const LEFT_OUT: [&str; 11] = [
    "ConfigMap",
    "CustomResourceDefinition",
    "Deployment",
    "Ingress",
    "LimitRange",
    "NetworkPolicy",
    "PersistentVolumeClaim",
    "PodDisruptionBudget",
    "PriorityClass",
    "ResourceQuota",
    "Service",
];

/// An object that lies in no namespace, and so does not go with one.
#[derive(Clone, Debug)]
pub(super) struct ClusterWide {
    resource: ApiResource,
    name: String,
}

impl ClusterWide {
    /// Deletes it. One that is gone is as it should be.
    pub(super) async fn delete(&self, client: &Client) -> Result<(), ClusterError> {
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &self.resource);
        match api.delete(&self.name, &DeleteParams::background()).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => {
                let what = format!("cannot delete {} {}", self.resource.kind, self.name);
                Err(ClusterError::api(what)(error))
            }
            Ok(_) => Ok(()),
        }
    }
}

/// Makes the objects of what [`render`] made, in its order. Notes what does not go with a namespace.
pub(super) async fn apply(
    client: &Client,
    objects: &str,
    cluster_wide: &mut Vec<ClusterWide>,
) -> Result<(), ClusterError> {
    let objects: Vec<DynamicObject> = serde_json::from_str(objects).map_err(not_read)?;
    for object in objects {
        let types = object.types.clone().unwrap_or_default();
        let name = object.name_any();
        let what = format!("cannot apply {} {name} of charts/prbuild", types.kind);
        let gvk = GroupVersionKind::try_from(&types).map_err(|error| ClusterError::Command {
            what: what.clone(),
            because: error.to_string(),
        })?;
        let resource = ApiResource::from_gvk(&gvk);
        let api: Api<DynamicObject> = match &object.metadata.namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        make(&api, &object)
            .await
            .map_err(ClusterError::api(&what))?;
        if object.metadata.namespace.is_none() && types.kind != "Namespace" {
            cluster_wide.push(ClusterWide { resource, name });
        }
    }
    Ok(())
}

/// Creates an object, or applies it where there is one: nearly all are new, and a server-side apply costs the API
/// server several times what a create does.
async fn make(api: &Api<DynamicObject>, object: &DynamicObject) -> kube::Result<()> {
    let params = PostParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PostParams::default()
    };
    match api.create(&params, object).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            let params = PatchParams::apply(MANAGER).force();
            api.patch(&object.name_any(), &params, &Patch::Apply(object))
                .await
                .map(drop)
        }
        created => created.map(drop),
    }
}
