//! Series of metrics: what programs answer to Prometheus, and what docs/kinds.md says of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What the table says of a metric.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// Names of its labels.
    pub labels: BTreeSet<String>,
    /// Words that it names, values of labels among them.
    pub words: BTreeSet<String>,
}

/// A name without what a histogram, a counter or an info puts behind it.
pub(crate) fn plain(name: &str) -> &str {
    let endings = ["_total", "_bucket", "_count", "_sum", "_info"];
    let mut plain = endings
        .iter()
        .filter_map(|ending| name.strip_suffix(*ending));
    plain.next().unwrap_or(name)
}

fn quoted(cell: &str) -> BTreeSet<String> {
    let words = cell.split('`').skip(1).step_by(2);
    words.map(str::to_owned).collect()
}

/// The table, by plain names.
pub(crate) fn table() -> BTreeMap<String, Row> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/kinds.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("\n## Metrics\n").unwrap();
    let mut table = BTreeMap::new();
    let rows = section
        .lines()
        .filter(|line| line.starts_with("| `prbuild_"));
    for row in rows {
        let cells: Vec<&str> = row.split('|').collect();
        let row = Row {
            labels: quoted(cells[2]),
            words: quoted(&cells[3..].join("|")),
        };
        for name in quoted(cells[1]) {
            table.insert(plain(&name).to_owned(), row.clone());
        }
    }
    // A sentence below the tables tells of these.
    for program in ["prbuild_webhook", "prbuild", "prbuild_gateway"] {
        let labels = BTreeSet::from(["version".to_owned()]);
        let row = Row {
            labels,
            ..Row::default()
        };
        table.insert(format!("{program}_build"), row);
    }
    table
}

/// The names of all series with their labels, without values.
pub(crate) fn series(metrics: &str) -> BTreeSet<String> {
    let lines = metrics.lines().filter(|line| line.starts_with("prbuild_"));
    let names = lines.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned()));
    names.collect()
}

/// Every series is of a metric in the table, with no other labels than stand there.
#[track_caller]
pub(crate) fn assert_in_the_table(all: &BTreeSet<String>) {
    let table = table();
    for one in all {
        let (name, labels) = one.split_once('{').unwrap_or((one, ""));
        let row = table.get(plain(name));
        let row = row.unwrap_or_else(|| panic!("the table has no {name}"));
        // Values of ours have neither commas nor quotes.
        let names = labels.split(',').filter_map(|label| label.split_once('='));
        for (label, _) in names.filter(|(label, _)| *label != "le") {
            assert!(row.labels.contains(label), "{one}: {row:?}");
        }
    }
}
