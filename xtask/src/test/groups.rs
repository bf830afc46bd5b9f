//! Which tests run beside each other. Pure.

use std::collections::BTreeSet;

use serde::Deserialize;

/// What cargo is asked for, for each group: the tests that stand in sources, and each program of tests of its
/// own. Together they are what `cargo test --workspace` runs.
///
/// `metadata` is what `cargo metadata` prints.
pub(super) fn groups(metadata: &str) -> serde_json::Result<Vec<Vec<String>>> {
    let metadata: Metadata = serde_json::from_str(metadata)?;
    let targets = metadata.packages.into_iter().flat_map(|one| one.targets);
    let programs = targets.filter(|target| target.kind.iter().any(|kind| kind == "test"));
    // Cargo runs all programs of one name at once.
    let names: BTreeSet<String> = programs.map(|target| target.name).collect();
    let mut groups = vec![vec!["--lib".to_owned(), "--bins".to_owned()]];
    groups.extend(
        names
            .into_iter()
            .map(|name| vec!["--test".to_owned(), name]),
    );
    Ok(groups)
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_of_tests_is_a_group_beside_the_tests_in_sources() {
        let metadata = r#"{ "packages": [
            { "targets": [{ "kind": ["lib"], "name": "agent" }, { "kind": ["test"], "name": "worker" }] },
            { "targets": [{ "kind": ["bin"], "name": "xtask" }] },
            { "targets": [{ "kind": ["test"], "name": "it" }, { "kind": ["test"], "name": "worker" }] }
        ], "version": 1 }"#;
        let groups = groups(metadata).unwrap();
        let groups: Vec<String> = groups.iter().map(|group| group.join(" ")).collect();
        assert_eq!(groups, ["--lib --bins", "--test it", "--test worker"]);
    }
}
