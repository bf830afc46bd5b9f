//! The table of the chart's values, made of `values.yaml` and its comments. Pure.

/// One value: where it is, what it is by itself, and what it is for.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    path: String,
    default: String,
    comment: String,
}

/// The page with all values.
pub fn page(values: &str) -> String {
    let mut page = String::from(
        "<!-- Generated from charts/prbuild/values.yaml by `cargo xtask crds`. -->\n\n# Values of the chart\n\n| value | default | what it is |\n|---|---|---|\n",
    );
    for row in rows(values) {
        let default = match row.default.as_str() {
            "" => String::new(),
            default => format!("`{default}`"),
        };
        page.push_str(&format!(
            "| `{}` | {default} | {} |\n",
            row.path, row.comment
        ));
    }
    page
}

/// Reads mappings in block style: two spaces a level, comments above what they are about.
fn rows(values: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut path: Vec<&str> = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    let mut list: Option<usize> = None;
    let mut lines = values.lines().peekable();
    while let Some(line) = lines.next() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if let Some(words) = text.strip_prefix('#') {
            comment.push(words.trim());
            continue;
        }
        // What lies in an entry of a list is no value of its own.
        list = list.filter(|at| indent > *at);
        if text.starts_with('-') && list.is_none() {
            list = Some(indent);
        }
        let Some((key, value)) = text.split_once(':').filter(|_| list.is_none()) else {
            comment.clear();
            continue;
        };
        path.truncate(indent / 2);
        path.push(key);
        let below = lines.peek().is_some_and(|next| {
            let deeper = next.len() - next.trim_start().len() > indent;
            deeper && !next.trim().is_empty()
        });
        let value = value.trim();
        // What only holds others and has nothing to say of itself is no row.
        if !below || !comment.is_empty() {
            rows.push(Row {
                path: path.join("."),
                default: value.replace('|', "\\|"),
                comment: comment.join(" ").replace('|', "\\|"),
            });
        }
        comment.clear();
    }
    rows
}

#[cfg(test)]
mod tests_of_values {
    use super::*;

    #[test]
    fn each_value_is_a_row_with_its_path_default_and_comment() {
        let yaml = "# Where.\nhost: \"\"\n\nwebhook:\n  # How\n  # many.\n  replicas: 2\n  resources:\n    requests: {cpu: 1m}\nlist:\n  - a: b\n    c: d\nafter: 1\n";
        let row = |path: &str, default: &str, comment: &str| Row {
            path: path.to_owned(),
            default: default.to_owned(),
            comment: comment.to_owned(),
        };
        assert_eq!(
            rows(yaml),
            [
                row("host", "\"\"", "Where."),
                row("webhook.replicas", "2", "How many."),
                row("webhook.resources.requests", "{cpu: 1m}", ""),
                row("after", "1", ""),
            ]
        );
    }
}
