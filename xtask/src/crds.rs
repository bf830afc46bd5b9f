//! `cargo xtask crds`: the chart's CustomResourceDefinitions, the table of its values and their schema are
//! generated, and a test notices when they were not.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{Result, schema, values};

/// Arguments of `cargo xtask crds`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only say whether the files are up to date; exit code 1 when they are not
    #[arg(long)]
    check: bool,
}

impl Args {
    /// Only a look at whether the files are up to date.
    pub fn check() -> Self {
        Self { check: true }
    }
}

/// Writes the custom resource definitions into the chart, the table of its values, and their schema.
pub fn run(args: Args) -> Result {
    let stale = stale(&folder())?;
    for (path, _) in &stale {
        let word = if args.check { "out of date" } else { "written" };
        println!("{word}: {}", path.display());
    }
    if args.check && !stale.is_empty() {
        return Err("generated files are out of date; try: cargo xtask crds".into());
    }
    for (path, text) in stale {
        fs::write(path, text)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Files that differ from what the types say, with what should stand in them.
fn stale(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let mut stale = Vec::new();
    for crd in crds::all() {
        let path = folder.join(format!("{}.yaml", crd.spec.names.plural));
        let text = template(crd)?;
        if fs::read_to_string(&path).ok().as_ref() != Some(&text) {
            stale.push((path, text));
        }
    }
    let chart = folder.join("../..");
    let page = chart.join("../../docs/values.md");
    let text = values::page(&fs::read_to_string(chart.join("values.yaml"))?);
    if fs::read_to_string(&page).ok().as_ref() != Some(&text) {
        stale.push((page, text));
    }
    let path = chart.join("values.schema.json");
    let source = fs::read_to_string(chart.join("files/values.schema.json"))?;
    let text = schema::of_what_somebody_wrote(&source)?;
    if fs::read_to_string(&path).ok().as_ref() != Some(&text) {
        stale.push((path, text));
    }
    Ok(stale)
}

/// One definition as a template of the chart: installed if wanted, kept on uninstall.
fn template(
    crd: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
) -> Result<String> {
    let mut crd = crd;
    let annotations = crd.metadata.annotations.get_or_insert_default();
    annotations.insert("helm.sh/resource-policy".to_owned(), "keep".to_owned());
    let yaml = serde_saphyr::to_string(&crd)?;
    Ok(format!(
        "# Generated from crds/src by `cargo xtask crds`.\n{{{{- if .Values.crds.install }}}}\n{}\n{{{{- end }}}}\n",
        yaml.trim_end()
    ))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/prbuild/templates/crds")
}

#[cfg(test)]
mod tests_of_drift {
    use super::*;

    #[test]
    fn the_charts_crds_are_what_the_types_say() {
        let stale = stale(&folder()).unwrap();
        let names: Vec<_> = stale
            .iter()
            .map(|(path, _)| path.display().to_string())
            .collect();
        assert!(
            names.is_empty(),
            "out of date: {names:?}; run `cargo xtask crds`"
        );
    }

    #[test]
    fn nothing_in_a_definition_is_taken_for_a_template() {
        for crd in crds::all() {
            let yaml = serde_saphyr::to_string(&crd).unwrap();
            assert!(
                !yaml.contains("{{"),
                "{} holds braces",
                crd.spec.names.plural
            );
        }
    }
}
