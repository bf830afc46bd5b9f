//! What the chart renders, as it stood when somebody looked at it last.
//!
//! `snapshots/minimal.yaml` is everything, without comments and without the kinds, which are generated. Of
//! the other values files beside it only what they change is kept: lines of objects that differ, objects that
//! are new, and names of those that are gone.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use tests::cluster::Release;
use tests::parts;

/// The variable that makes the test write what it would compare.
const UPDATE: &str = "PRBUILD_UPDATE_SNAPSHOTS";
/// The values that nobody can leave out. All others are compared with these.
const MINIMAL: &str = "minimal";
const VALUES: &str = ".values.yaml";

/// An object as lines, with its kind, namespace and name before it.
type Object = (String, Vec<String>);

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("it/chart/snapshots")
}

/// Names of all values files.
fn names() -> Vec<String> {
    let files = std::fs::read_dir(folder()).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names
        .filter_map(|name| name.strip_suffix(VALUES).map(str::to_owned))
        .collect();
    names.sort();
    names
}

/// The objects that helm makes of a values file, in its order.
fn rendered(name: &str) -> Vec<Object> {
    let mut helm = Command::new(parts::existing(&parts::HELM_CLI).unwrap());
    helm.args(["template", "prbuild"]).arg(Release::chart());
    helm.args(["--namespace", "prbuild", "--set", "crds.install=false"]);
    helm.arg("--values")
        .arg(folder().join(format!("{name}{VALUES}")));
    let output = helm.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    let text = String::from_utf8(output.stdout).unwrap();
    // Chart and programs have one version; a release is no change of what is rendered.
    let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    let documents = text.split("---\n").map(|document| {
        let lines = document.lines().map(str::trim_end);
        let told = |line: &&str| !line.is_empty() && !line.trim_start().starts_with('#');
        lines.filter(told).map(str::to_owned).collect::<Vec<_>>()
    });
    let documents = documents.filter(|lines| !lines.is_empty());
    documents.map(|lines| (called(&lines), lines)).collect()
}

/// Kind, namespace and name of an object.
fn called(lines: &[String]) -> String {
    let field = |field: &str| lines.iter().find_map(|line| line.strip_prefix(field));
    let kind = field("kind: ").unwrap();
    let name = field("  name: ").unwrap();
    match field("  namespace: ") {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}

fn by_name(objects: &[Object]) -> BTreeMap<&str, &[String]> {
    let named = objects
        .iter()
        .map(|(name, lines)| (name.as_str(), lines.as_slice()));
    let named: BTreeMap<&str, &[String]> = named.collect();
    assert_eq!(named.len(), objects.len(), "two objects of one name");
    named
}

/// All objects, as YAML.
fn whole(objects: &[Object]) -> Vec<String> {
    let marked = objects.iter().flat_map(|(_, lines)| {
        let mark = std::iter::once("---".to_owned());
        mark.chain(lines.iter().cloned())
    });
    marked.collect()
}

/// What differs from the minimal objects.
fn difference(minimal: &[Object], objects: &[Object]) -> Vec<String> {
    let (before, after) = (by_name(minimal), by_name(objects));
    let gone = minimal
        .iter()
        .filter(|(name, _)| !after.contains_key(name.as_str()));
    let mut told: Vec<String> = gone.map(|(name, _)| format!("# gone: {name}")).collect();
    for (name, lines) in objects {
        match before.get(name.as_str()) {
            None => {
                told.push(format!("# new: {name}"));
                told.extend(lines.iter().map(|line| format!("+{line}")));
            }
            Some(old) if *old != lines.as_slice() => {
                told.push(format!("# changed: {name}"));
                told.extend(changed(old, lines));
            }
            Some(_) => {}
        }
    }
    told
}

/// Lines that went and came, by the longest sequence that both have.
fn changed(old: &[String], new: &[String]) -> Vec<String> {
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = match old[i] == new[j] {
                true => common[i + 1][j + 1] + 1,
                false => common[i + 1][j].max(common[i][j + 1]),
            };
        }
    }
    let (mut i, mut j, mut told) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            told.push(format!("-{}", old[i]));
            i += 1;
        } else {
            told.push(format!("+{}", new[j]));
            j += 1;
        }
    }
    told
}

/// The first lines that differ.
fn first_difference(kept: &str, now: &[String]) -> String {
    let kept: Vec<String> = kept.lines().map(str::to_owned).collect();
    let mut differs = kept.iter().zip(now).take_while(|(a, b)| a == b).count();
    // With what stands before it, so that one knows where it is.
    differs = differs.saturating_sub(3);
    let some = |lines: &[String]| {
        let lines = lines.iter().skip(differs).take(12).cloned();
        lines.collect::<Vec<_>>().join("\n")
    };
    format!("it was:\n{}\nit is:\n{}", some(&kept), some(now))
}

#[test]
fn each_values_file_renders_what_its_snapshot_shows() {
    let minimal = rendered(MINIMAL);
    let mut wrong = Vec::new();
    let mut files = 0;
    for name in names() {
        let (file, now) = match name == MINIMAL {
            true => (format!("{name}.yaml"), whole(&minimal)),
            false => (
                format!("{name}.diff"),
                difference(&minimal, &rendered(&name)),
            ),
        };
        files += 1;
        let path = folder().join(&file);
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(&path, now.join("\n") + "\n").unwrap();
            continue;
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        if !kept.lines().eq(now.iter().map(String::as_str)) {
            wrong.push(format!("{file}: {}", first_difference(&kept, &now)));
        }
    }
    assert!(files > 5, "{files} values files");
    assert!(
        wrong.is_empty(),
        "the chart renders something else than tests/it/chart/snapshots shows. If it should, write that \
         down, and look at the difference in git:\n  {UPDATE}=1 cargo test -p tests --test it snapshot\n{}",
        wrong.join("\n\n")
    );
}

#[test]
fn a_snapshot_tells_what_went_what_came_and_what_changed() {
    let object = |name: &str, lines: &[&str]| -> Object {
        let lines = lines.iter().map(|&line| line.to_owned());
        (name.to_owned(), lines.collect())
    };
    let before = [
        object("Role a", &["one", "two", "three"]),
        object("Role b", &["x"]),
        object("Role same", &["y"]),
    ];
    let after = [
        object("Role same", &["y"]),
        object("Role a", &["one", "2", "three", "four"]),
        object("Role c", &["z"]),
    ];
    assert_eq!(
        difference(&before, &after),
        [
            "# gone: Role b",
            "# changed: Role a",
            "-two",
            "+2",
            "+four",
            "# new: Role c",
            "+z"
        ]
    );
}
