//! What pages show of an object, and nothing else of it: a cache of ten thousand runs is to be small.

use crds::{BuildPhase, Builder, BuilderRun, PrBuild, Repository, Worker};
use kube::{Resource, api::ObjectMeta};

use super::phase_of;

/// A Repository with its name on GitHub.
pub fn repository(object: &mut Repository) {
    lean(object);
    object.spec.labels.clear();
    object.spec.reporting = Default::default();
}

/// A Builder whole: there are few.
pub fn builder(object: &mut Builder) {
    lean(object);
}

/// A Worker with what Builders select it by and how it stands. Who lends it, and what its machine is like, is no
/// business of who reads pages.
pub fn worker(object: &mut Worker) {
    lean(object);
    let spec = &mut object.spec;
    spec.contact = String::new();
    spec.public_keys = Vec::new();
    spec.windows = Vec::new();
    if let Some(status) = object.status.as_mut() {
        status.facts.clear();
        status.policy = None;
        status.session = None;
        status.running = Vec::new();
    }
}

/// A build. A complete one is told from its record, or from its runs as long as these exist.
pub fn build(object: &mut PrBuild) {
    lean(object);
    let Some(status) = object.status.as_mut() else {
        return;
    };
    status.conditions = Vec::new();
    if status.phase == BuildPhase::Complete {
        status.results = Vec::new();
        object.spec.request.builders = Vec::new();
    }
}

/// A run with the titles of its steps, without their scripts; an ended one without steps of its own, for it
/// reported them.
pub fn run(object: &mut BuilderRun) {
    lean(object);
    let is_over = phase_of(object).is_terminal();
    if let Some(status) = object.status.as_mut() {
        status.report = None;
        if let Some(outcome) = status.outcome.as_mut() {
            outcome.annotations = Vec::new();
        }
    }
    let task = &mut object.spec.task;
    if is_over {
        task.recipe = None;
    }
    if let Some(recipe) = task.recipe.as_mut() {
        recipe.tests = Default::default();
        for step in &mut recipe.steps {
            step.name = Some(step.title().to_owned());
            step.run = String::new();
            step.env.clear();
        }
    }
    if let Some(kubernetes) = task.kubernetes.as_mut() {
        kubernetes.node_selector.clear();
    }
}

/// Name, uid and time of creation: labels, annotations and field managers are nobody's business here.
fn lean<K: Resource>(object: &mut K) {
    let metadata = std::mem::take(object.meta_mut());
    *object.meta_mut() = ObjectMeta {
        name: metadata.name,
        uid: metadata.uid,
        creation_timestamp: metadata.creation_timestamp,
        ..ObjectMeta::default()
    };
}
