//! What an image is made of, as a bill of materials in CycloneDX 1.5: every crate that is linked into
//! its program, and every package of the distribution of which it has files. It names no time and no
//! machine, so that the same commit makes the same one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::git::Package;
use super::programs::Architecture;
use crate::parts::{PartError, make_run};

/// What cargo knows of the workspace and all that it depends on.
#[derive(Deserialize)]
pub(super) struct Metadata {
    packages: Vec<Crate>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Crate {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

impl Metadata {
    /// Asks cargo what programs for this kind of machine are made of.
    pub(super) fn read(workspace: &Path, machine: Architecture) -> Result<Self, PartError> {
        let what = "cannot list what the images are made of";
        let remedy = "cargo metadata --locked";
        let mut cargo = crate::cargo::cargo();
        cargo.args(["metadata", "--format-version", "1", "--locked"]);
        // What is for Windows only is no part of an image.
        cargo.args(["--filter-platform", machine.target()]);
        cargo.current_dir(workspace);
        let json = make_run(cargo, what, remedy)?;
        serde_json::from_slice(&json)
            .map_err(|error| PartError::new(what, error.to_string(), remedy))
    }

    /// The bill of one package's program.
    pub(super) fn of(&self, package: &str, machine: Architecture) -> Result<Bill, PartError> {
        let ours = self
            .packages
            .iter()
            .find(|found| found.name == package && found.source.is_none());
        let ours = ours.ok_or_else(|| {
            PartError::new(
                format!("cannot list what {package} is made of"),
                "the workspace has no such package",
                "cargo metadata",
            )
        })?;
        let linked = self.linked(&ours.id);
        let crates = self.packages.iter();
        let crates =
            crates.filter(|found| found.id != ours.id && linked.contains(found.id.as_str()));
        let components = crates.map(Crate::component).collect();
        let of = json!({
            "type": "application", "name": format!("prbuild-{package}"), "version": ours.version,
            "licenses": [{ "expression": "Apache-2.0" }],
            "properties": [{ "name": "architecture", "value": machine.name() }],
        });
        Ok(Bill { of, components })
    }

    /// Ids of all that is linked into a package's program: no tests, and nothing that only builds.
    fn linked(&self, id: &str) -> BTreeSet<&str> {
        let nodes: BTreeMap<&str, &Node> = self
            .resolve
            .nodes
            .iter()
            .map(|node| (node.id.as_str(), node))
            .collect();
        let mut linked = BTreeSet::new();
        let mut next: Vec<&str> = nodes
            .get(id)
            .map(|node| node.id.as_str())
            .into_iter()
            .collect();
        while let Some(id) = next.pop() {
            if !linked.insert(id) {
                continue;
            }
            let deps = nodes.get(id).into_iter().flat_map(|node| &node.deps);
            let normal = deps.filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind.is_none()));
            next.extend(normal.map(|dep| dep.pkg.as_str()));
        }
        linked
    }
}

impl Crate {
    fn component(&self) -> Value {
        let mut component = json!({
            "type": "library", "name": self.name, "version": self.version,
            "purl": format!("pkg:cargo/{}@{}", self.name, self.version),
        });
        if let Some(license) = &self.license {
            // Older crates separate alternatives by a slash.
            let expression = license.replace('/', " OR ");
            component["licenses"] = json!([{ "expression": expression }]);
        }
        component
    }
}

/// The bill of one image.
pub(super) struct Bill {
    of: Value,
    components: Vec<Value>,
}

impl Bill {
    /// Adds packages of the distribution.
    pub(super) fn add_packages(&mut self, packages: &[Package]) {
        let components = packages.iter().map(|package| {
            json!({
                "type": "library", "name": package.name, "version": package.version,
                "purl": format!("pkg:deb/debian/{}@{}", package.name, package.version),
            })
        });
        self.components.extend(components);
    }

    /// The document.
    pub(super) fn text(&self) -> String {
        let bill = json!({
            "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
            "metadata": { "component": self.of }, "components": self.components,
        });
        format!("{bill:#}\n")
    }
}
