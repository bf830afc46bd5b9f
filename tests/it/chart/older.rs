//! The chart as an earlier version might have been. Nobody has an earlier one as long as the first version is
//! the newest; from the second on, its own tag has it, too.

use std::path::{Path, PathBuf};

use tests::cluster::Release;

/// Its version.
pub(super) const OLDER: &str = "0.0.9";
/// A ConfigMap that it has, and this version has not.
pub(super) const GONE: &str = "prbuild-of-old";

/// Writes it below a directory: another version in the labels of all pods, one field less in its Builders, one
/// value less, no look at values, and an object that is gone today.
pub(super) fn older_chart(dir: &Path) -> PathBuf {
    let chart = dir.join("older-chart");
    copy(&Release::chart(), &chart);
    let version = env!("CARGO_PKG_VERSION");
    change(&chart.join("Chart.yaml"), |text| {
        text.replace(version, OLDER)
    });
    change(&chart.join("templates/crds/builders.yaml"), |text| {
        let field = "\n              observedGeneration:\n";
        let (before, after) = text.split_once(field).unwrap();
        let of_field = |line: &&str| line.starts_with("                ");
        let rest: Vec<&str> = after.lines().skip_while(of_field).collect();
        format!("{before}\n{}\n", rest.join("\n"))
    });
    change(&chart.join("values.yaml"), |text| {
        text.replace("  keyChain: false\n", "")
    });
    std::fs::remove_dir_all(chart.join("templates/before")).unwrap();
    let gone = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {GONE}\n  namespace: {{{{ .Release.Namespace }}}}\n"
    );
    std::fs::write(chart.join("templates/gone.yaml"), gone).unwrap();
    chart
}

/// Changes a file, which has to become another one.
fn change(file: &Path, to: impl FnOnce(&str) -> String) {
    let text = std::fs::read_to_string(file).unwrap();
    let changed = to(&text);
    assert_ne!(changed, text, "{}", file.display());
    std::fs::write(file, changed).unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => {
                std::fs::copy(entry.path(), to).unwrap();
            }
        }
    }
}
