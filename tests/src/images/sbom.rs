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
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
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

    /// Ids of all that is linked into a package's program: no tests, and nothing that only builds, which macros and
    /// all that they need do, too.
    fn linked(&self, id: &str) -> BTreeSet<&str> {
        let macros = self.packages.iter().filter(|found| found.is_macro());
        let macros: BTreeSet<&str> = macros.map(|found| found.id.as_str()).collect();
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
            let ids = normal.map(|dep| dep.pkg.as_str());
            next.extend(ids.filter(|id| !macros.contains(id)));
        }
        linked
    }
}

impl Crate {
    fn is_macro(&self) -> bool {
        let mut kinds = self.targets.iter().flat_map(|target| &target.kind);
        kinds.any(|kind| kind == "proc-macro")
    }

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
        let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        let of = distribution(&release);
        let components = packages.iter().map(|package| {
            json!({
                "type": "library", "name": package.name, "version": package.version,
                "purl": format!("pkg:deb/{of}/{}@{}", package.name, package.version),
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

/// Whose packages those of this machine are, by what `/etc/os-release` says. Pure.
fn distribution(release: &str) -> &str {
    let ids = release.lines().filter_map(|line| line.strip_prefix("ID="));
    let id = ids.map(|id| id.trim_matches('"')).next();
    id.unwrap_or("debian")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_builds_is_no_part_of_a_program() {
        let package = |name: &str, kind: &str| {
            json!({
                "id": name, "name": name, "version": "1.0.0", "license": null, "source": null,
                "targets": [{ "kind": [kind] }],
            })
        };
        let node = |id: &str, deps: &[(&str, Option<&str>)]| {
            let dep = |(id, kind): &(&str, Option<&str>)| json!({ "pkg": id, "dep_kinds": [{ "kind": kind }] });
            json!({ "id": id, "deps": deps.iter().map(dep).collect::<Vec<Value>>() })
        };
        let needs = [
            ("serde", None),
            ("derive", None),
            ("cc", Some("build")),
            ("insta", Some("dev")),
        ];
        let metadata = json!({
            "packages": [
                package("agent", "bin"), package("serde", "lib"), package("derive", "proc-macro"),
                package("syn", "lib"), package("cc", "lib"), package("insta", "lib"),
            ],
            "resolve": { "nodes": [
                node("agent", &needs), node("serde", &[("derive", None)]),
                node("derive", &[("syn", None)]), node("syn", &[]), node("cc", &[]), node("insta", &[]),
            ] },
        });
        let metadata: Metadata = serde_json::from_value(metadata).unwrap();
        let linked: Vec<&str> = metadata.linked("agent").into_iter().collect();
        assert_eq!(linked, ["agent", "serde"]);
    }

    #[test]
    fn packages_are_those_of_the_distribution_that_they_come_from() {
        let ubuntu = "NAME=\"Ubuntu\"\nVERSION_ID=\"24.04\"\nID=ubuntu\nID_LIKE=debian\n";
        assert_eq!(distribution(ubuntu), "ubuntu");
        assert_eq!(distribution("ID=\"linuxmint\"\n"), "linuxmint");
        assert_eq!(distribution(""), "debian");
    }
}
