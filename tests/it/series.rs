//! Series of metrics: what programs answer to Prometheus, what docs/kinds.md says of them, and that strangers
//! make none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Stands in every name that a test makes up; no series may have it.
pub(crate) const STRANGE: &str = "strange";
/// Series that a program may begin by itself meanwhile, by something that it does now and then.
const OWN: usize = 3;

/// What the table says of a metric.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// The whole name of its series; of a histogram that of its buckets.
    pub name: String,
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
        let is_histogram = cells[3].trim().starts_with("histogram:");
        for name in quoted(cells[1]) {
            let row = Row {
                name: if is_histogram {
                    format!("{name}_bucket")
                } else {
                    name.clone()
                },
                labels: quoted(cells[2]),
                words: quoted(&cells[3..].join("|")),
            };
            table.insert(plain(&name).to_owned(), row);
        }
    }
    // A sentence below the tables tells of these.
    for program in ["prbuild_webhook", "prbuild", "prbuild_gateway"] {
        let labels = BTreeSet::from(["version".to_owned()]);
        let row = Row {
            name: format!("{program}_build_info"),
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

/// Whatever was asked for meanwhile, under many names, there are as many series as before.
#[track_caller]
pub(crate) fn assert_bounded(before: &BTreeSet<String>, after: &BTreeSet<String>) {
    assert_in_the_table(after);
    let strange: Vec<_> = after.iter().filter(|one| one.contains(STRANGE)).collect();
    assert!(strange.is_empty(), "{strange:?}");
    let new: Vec<_> = after.difference(before).collect();
    assert!(new.len() <= OWN, "{new:?}");
}

/// Asks a program something, whatever it says to that.
pub(crate) async fn ask(method: &str, url: &str, headers: &[(&str, &str)]) {
    use http_body_util::Full;
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};

    let mut request = http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(bytes::Bytes::from_static(b"{}")));
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request.unwrap()).await;
    answer.unwrap_or_else(|error| panic!("{method} {url}: {error:?}"));
}
