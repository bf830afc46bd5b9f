//! A theme that the address names holds on every page that one gets to from there, without a script.

use serde_json::json;

use super::{run::testing::Writer, samples::*};
use crate::records::RecordKey;

/// The addresses of all links of a page that lead to pages of ours, as a browser reads them.
fn links(page: &str) -> Vec<String> {
    let tags = page.split("<a ").skip(1).filter_map(|rest| {
        let (tag, _) = rest.split_once('>')?;
        let (_, address) = tag.split_once("href=\"")?;
        let (address, _) = address.split_once('"')?;
        // A choice of another theme is no link.
        (!tag.contains("data-choose=")).then(|| address.replace("&amp;", "&"))
    });
    let is_page = |address: &String| {
        let path = address.split(['?', '#']).next().unwrap_or_default();
        let is_ours = address.starts_with(['/', '?']);
        is_ours && !path.ends_with(".json")
    };
    tags.filter(is_page).collect()
}

#[tokio::test]
async fn every_link_of_a_page_with_a_theme_keeps_it_and_leads_where_it_led() {
    let site = site(&[
        builder("s390x", "s390x Debian", Some("tier-2")),
        build("app-7-l2", &["s390x"], json!({ "phase": "Running" })),
        run("app-7-l2", "s390x", 1, json!({ "phase": "Queued" })),
    ]);
    let record = build_record("app-7-l1");
    keep(&site, RecordKey::build("app", "app-7-l1"), &record).await;
    let history = builder_history("s390x", 40);
    keep(&site, RecordKey::builder("s390x"), &history).await;
    let pull = pull_history(&["app-7-l1"]);
    keep(&site, RecordKey::pull("app", "7"), &pull).await;
    keep(&site, RecordKey::run("app", "r1"), &run_record("r1")).await;
    let writer = Writer::new(site.app.clone(), "r1");
    let step = |n: usize, at: usize| {
        format!("{{\"at\":{at},\"ms\":1,\"mark\":\"step\",\"n\":{n},\"name\":\"x\"}}\n")
    };
    writer.marks(&(step(1, 0) + &step(2, 20_000))).await;
    writer.log(&"a line\n".repeat(5000)).await;
    writer.end().await;
    let mut seen = 0;
    for path in [
        "/",
        "/r/app/pull/7",
        "/r/app/builds/app-7-l1",
        "/r/app/builds/app-7-l2",
        "/builders",
        "/builders/s390x",
        "/r/app/runs/r1",
        "/r/app/runs/r1?q=line",
        "/r/app/runs/run-s390x-1",
        "/r/app/runs/unknown",
        "/nothing",
    ] {
        let with = if path.contains('?') { '&' } else { '?' };
        let (_, plain) = get(&site, path).await;
        let (_, dark) = get(&site, &format!("{path}{with}theme=dark")).await;
        assert!(dark.contains("data-theme=\"dark\""), "{path}");
        let (before, after) = (links(&plain), links(&dark));
        assert_eq!(before.len(), after.len(), "{path}");
        for (before, after) in before.iter().zip(&after) {
            let kept = after.replacen("theme=dark", "", 1);
            assert_ne!(kept, *after, "{path}: {after} does not keep the theme");
            let bare = |address: &str| address.replace(['?', '&'], "");
            assert_eq!(bare(&kept), bare(before), "{path}");
            if after.starts_with('/') {
                let (status, page) = get(&site, after).await;
                assert_eq!(status, get(&site, before).await.0, "{path}: {after}");
                assert!(page.contains("data-theme=\"dark\""), "{path}: {after}");
            }
        }
        seen += after.len();
    }
    assert!(seen > 250, "{seen} links");
    let (_, run) = get(&site, "/r/app/runs/r1?theme=dark").await;
    let field = "<input type=\"hidden\" name=\"theme\" value=\"dark\">";
    assert_eq!(run.matches(field).count(), 1, "{run}");
}
