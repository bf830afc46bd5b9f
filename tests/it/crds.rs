//! The nouns on a real API server: what it refuses and with which words, what it fills in, who may do
//! what, and what kubectl shows.

mod accounts;
mod defaults;
mod examples;
mod hooks;
mod immutable;
mod kubectl;
mod leases;
mod page;
mod policies;
mod refused;
mod restricted;
mod samples;

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tests::cluster::{Access, Install, shared_control_plane};
use tests::story::as_webhook;

/// A namespace of one's own on the shared API server.
struct Desk {
    install: Install,
    /// The administrator in the webhook's name, who alone may say what was asked for on GitHub.
    gate: Client,
}

impl Desk {
    async fn open(name: &str) -> Self {
        let install = Install::new(&shared_control_plane(), name).await.unwrap();
        let gate = as_webhook(&install).await.unwrap();
        Self { install, gate }
    }

    async fn close(self) {
        self.install.cleanup().await.unwrap();
    }

    /// Objects of a kind as plain JSON: the types of `crds` could not even say what is wrong here.
    fn objects(&self, kind: &str) -> Api<DynamicObject> {
        let client = match kind {
            "PrBuild" => self.gate.clone(),
            _ => self.install.client(),
        };
        objects(client, self.install.namespace(), kind)
    }

    /// A client with the rights of a service account in the namespace of the objects.
    async fn client_of(&self, account: &str) -> Client {
        let kubeconfig = self.install.kubeconfig_for(account).await.unwrap();
        Access::by(kubeconfig).client().await.unwrap()
    }

    /// Makes an account in the namespace of the objects and lets it in, as a careless administrator would:
    /// rules of roles, each in a namespace. Answers a client with its rights, which take a moment to spread.
    async fn let_in(&self, account: &str, rights: &[(&str, Value)]) -> Client {
        let (client, own) = (self.install.client(), self.install.namespace());
        let params = PostParams::default();
        let made: ServiceAccount =
            serde_json::from_value(json!({ "metadata": { "name": account } })).unwrap();
        Api::namespaced(client.clone(), own)
            .create(&params, &made)
            .await
            .unwrap();
        for (namespace, rules) in rights {
            let role: Role = serde_json::from_value(json!({
                "metadata": { "name": account }, "rules": rules,
            }))
            .unwrap();
            Api::namespaced(client.clone(), namespace)
                .create(&params, &role)
                .await
                .unwrap();
            let binding: RoleBinding = serde_json::from_value(json!({
                "metadata": { "name": account },
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account },
                "subjects": [{ "kind": "ServiceAccount", "name": account, "namespace": own }],
            }))
            .unwrap();
            Api::namespaced(client.clone(), namespace)
                .create(&params, &binding)
                .await
                .unwrap();
        }
        self.client_of(account).await
    }

    /// Offers an object to the API server, which checks it and keeps nothing.
    async fn offer(&self, kind: &str, name: &str, spec: &Value) -> Result<Value, String> {
        create(&self.objects(kind), kind, name, spec, true).await
    }

    /// Makes an object.
    async fn make(&self, kind: &str, name: &str, spec: &Value) -> Value {
        create(&self.objects(kind), kind, name, spec, false)
            .await
            .unwrap()
    }

    /// A JSON merge patch, which the API server checks; it keeps nothing of it if `dry_run`.
    async fn patch(
        &self,
        kind: &str,
        name: &str,
        patch: &Value,
        dry_run: bool,
    ) -> Result<Value, String> {
        let how = PatchParams {
            dry_run,
            ..PatchParams::default()
        };
        let patched = self
            .objects(kind)
            .patch(name, &how, &Patch::Merge(patch))
            .await;
        patched
            .map(|object| object.data["spec"].clone())
            .map_err(words)
    }

    /// A JSON merge patch of the status.
    async fn patch_status(&self, kind: &str, name: &str, status: Value) -> Result<Value, String> {
        let patch = Patch::Merge(json!({ "status": status }));
        let patched = self
            .objects(kind)
            .patch_status(name, &PatchParams::default(), &patch)
            .await;
        patched
            .map(|object| object.data["status"].clone())
            .map_err(words)
    }
}

fn objects(client: Client, namespace: &str, kind: &str) -> Api<DynamicObject> {
    let crd = crds::all()
        .into_iter()
        .find(|crd| crd.spec.names.kind == kind)
        .unwrap();
    let version = crd.spec.versions[0].name.clone();
    let resource = ApiResource {
        api_version: format!("{}/{version}", crds::GROUP),
        group: crds::GROUP.to_owned(),
        version,
        kind: kind.to_owned(),
        plural: crd.spec.names.plural,
    };
    Api::namespaced_with(client, namespace, &resource)
}

/// What the API server says.
fn words(error: kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// Creates an object; answers its spec, or what the API server has against it.
async fn create(
    api: &Api<DynamicObject>,
    kind: &str,
    name: &str,
    spec: &Value,
    dry_run: bool,
) -> Result<Value, String> {
    let api_version = format!("{}/v1alpha1", crds::GROUP);
    let object = json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": name }, "spec": spec });
    let object = serde_json::from_value(object).unwrap();
    let params = PostParams {
        dry_run,
        ..PostParams::default()
    };
    let made: Result<DynamicObject, _> = api.create(&params, &object).await;
    made.map(|object| object.data["spec"].clone())
        .map_err(words)
}

/// A JSON merge patch (RFC 7396), but for `null`, which stays: some tests are about it.
fn with(mut base: Value, change: Value) -> Value {
    match (&mut base, change) {
        (Value::Object(fields), Value::Object(changes)) => {
            for (key, change) in changes {
                let old = fields.remove(&key).unwrap_or_default();
                fields.insert(key, with(old, change));
            }
            base
        }
        (_, change) => change,
    }
}

/// A spec without one of its fields, which a path like `request.headSha` names.
fn without(mut base: Value, path: &str) -> Value {
    let pointer = format!("/{}", path.replace('.', "/"));
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    base.pointer_mut(parent)
        .unwrap()
        .as_object_mut()
        .unwrap()
        .remove(field)
        .unwrap();
    base
}

/// The sentences of all rules of a kind.
fn sentences_of(kind: &str) -> Vec<String> {
    let crd = crds::all()
        .into_iter()
        .find(|crd| crd.spec.names.kind == kind)
        .unwrap();
    let schema = crd.spec.versions[0]
        .schema
        .clone()
        .unwrap()
        .open_api_v3_schema
        .unwrap();
    let mut sentences = Vec::new();
    collect(&schema, &mut sentences);
    sentences
}

fn collect(schema: &JSONSchemaProps, sentences: &mut Vec<String>) {
    let rules = schema.x_kubernetes_validations.iter().flatten();
    sentences.extend(rules.map(|rule| rule.message.clone().unwrap_or_default()));
    schema
        .properties
        .iter()
        .flatten()
        .for_each(|(_, field)| collect(field, sentences));
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        collect(items, sentences);
    }
}

#[test]
fn each_rule_is_shown_refusing() {
    for kind in samples::KINDS {
        let refused = refused::cases(kind).into_iter().map(|case| case.says);
        let kept = immutable::cases(kind).into_iter().map(|case| case.says);
        let shown: Vec<&str> = refused.chain(kept).collect();
        for sentence in sentences_of(kind) {
            assert!(!sentence.is_empty(), "a rule of {kind} has no sentence");
            assert!(
                shown.contains(&sentence.as_str()),
                "no test is refused by {kind}: {sentence}"
            );
        }
    }
}
