//! What is folded, and what is not: a page folds what is done while it is followed, and nothing that its
//! reader opened.

use serde_json::json;
use tests::{cluster::shared_node, story::Story};

use super::{FOLLOWS, Gate, PATIENCE, build_of, page_of, sees, step};
use crate::browser::{Browser, Look};

/// Two groups, and a line behind them. Each part waits for its door.
const GROUPS: &str = r#"
echo "::group::of the reader"
echo inside of the first group
until DOOR1; do sleep 0.1; done
echo "::endgroup::"
echo "::group::of nobody"
echo inside of the second group
until DOOR2; do sleep 0.1; done
echo "::endgroup::"
echo behind the groups
until DOOR3; do sleep 0.1; done"#;

/// The groups are those of [`GROUPS`].
const FIRST_GROUP: &str = "document.querySelectorAll('#step-1 details.group')[0].open";
const SECOND_GROUP: &str = "document.querySelectorAll('#step-1 details.group')[1].open";

/// One step with groups and three that print a line and wait for their doors.
fn steps(gate: &Gate) -> Vec<protocol::Step> {
    let groups = with_doors(GROUPS, gate);
    let waits = |name: &str, door: usize| {
        let open = gate.is_open(door);
        step(
            name,
            &format!("echo in the {name} step; until {open}; do sleep 0.1; done"),
        )
    };
    vec![
        step("first", &groups),
        waits("second", 4),
        waits("third", 5),
        waits("fourth", 6),
    ]
}

/// A group of more lines than a page keeps that is followed.
const ENDLESS: &str = r#"
echo before the group
echo "::group::that does not end"
until DOOR1; do sleep 0.1; done
seq 10001 13000
until DOOR2; do sleep 0.1; done
seq 13001 16000
until DOOR3; do sleep 0.1; done"#;

/// Puts questions to a gate in the place of `DOOR1` and so on.
fn with_doors(script: &str, gate: &Gate) -> String {
    let open = |script: String, door: usize| {
        let name = format!("DOOR{door}");
        script.replace(&name, &gate.is_open(door))
    };
    (1..=3).fold(script.to_owned(), open)
}

/// What an expression is in the page now.
async fn is(browser: &Browser, expression: &str) -> bool {
    browser.run(&format!("return {expression}")).await == json!(true)
}

fn step_is_open(step: usize) -> String {
    format!("document.getElementById('step-{step}').open")
}

/// The reader folds what is open, and opens it again.
async fn fold_and_open(browser: &Browser, summary: &str, is_open: &str) {
    browser.click(summary).await;
    let folded = format!("!{is_open}");
    browser.until("the reader has folded it", &folded).await;
    browser.click(summary).await;
    browser.until("the reader has opened it", is_open).await;
}

#[tokio::test]
async fn what_is_done_is_folded_while_a_log_grows_and_what_the_reader_opened_stays_open() {
    let gate = Gate::shut().await;
    let (story, build, run) = build_of("folded", steps(&gate)).await;
    let browser = Browser::start(&shared_node().0).await;
    browser.look(Look::ALL[0]).await;
    let page = page_of(&story, &run);
    browser.open(&page).await;
    sees(&browser, "inside of the first group").await;
    browser.until("it is followed", FOLLOWS).await;
    groups_fold_unless_the_reader_opened_them(&browser, &gate).await;
    steps_fold_unless_the_reader_opened_them(&browser, &gate).await;
    ends_as_its_reader_left_it(&browser, &gate, &story, &build).await;
    reads_folded_afterwards(&browser, &page).await;
    browser.close().await;
    story.end().await;
}

async fn groups_fold_unless_the_reader_opened_them(browser: &Browser, gate: &Gate) {
    fold_and_open(browser, "#step-1 details.group > summary", FIRST_GROUP).await;
    gate.open(1);
    sees(browser, "inside of the second group").await;
    assert!(is(browser, FIRST_GROUP).await, "the reader opened it");
    assert!(is(browser, SECOND_GROUP).await, "it goes on");
    gate.open(2);
    let folded = format!("!{SECOND_GROUP}");
    browser.until("a group that ended is folded", &folded).await;
    sees(browser, "behind the groups").await;
    assert!(is(browser, FIRST_GROUP).await, "the reader opened it");
}

async fn steps_fold_unless_the_reader_opened_them(browser: &Browser, gate: &Gate) {
    let [first, second, third] = [1, 2, 3].map(step_is_open);
    fold_and_open(browser, "#step-1 > summary", &first).await;
    gate.open(3);
    sees(browser, "in the second step").await;
    assert!(is(browser, &first).await, "the reader opened it");
    gate.open(4);
    sees(browser, "in the third step").await;
    let folded = format!("!{second}");
    browser.until("a step that ended is folded", &folded).await;
    assert!(is(browser, &first).await, "the reader opened it");
    // Who does not follow reads, and nothing goes from under their eyes.
    browser.run("document.activeElement.blur()").await;
    browser.press("f").await;
    let reads = format!("!({FOLLOWS})");
    browser.until("it is not followed", &reads).await;
    gate.open(5);
    sees(browser, "in the fourth step").await;
    assert!(is(browser, &third).await, "it is being read");
}

async fn ends_as_its_reader_left_it(browser: &Browser, gate: &Gate, story: &Story, build: &str) {
    gate.open(6);
    story.complete_within(build, PATIENCE).await;
    browser
        .until("the end is seen", "document.title.startsWith('●')")
        .await;
    for (step, open) in [(1, true), (2, false), (3, true), (4, true)] {
        assert_eq!(is(browser, &step_is_open(step)).await, open, "step {step}");
    }
    assert!(is(browser, FIRST_GROUP).await && !is(browser, SECOND_GROUP).await);
    let summary = "document.querySelector('#step-4 > summary').innerText";
    browser
        .until(
            "no step runs any more",
            &format!("!{summary}.includes('running')"),
        )
        .await;
}

/// A page that is opened later has what passed folded, its groups, too; a step that is opened before the
/// page's script runs, as an impatient reader does, has its lines all the same.
async fn reads_folded_afterwards(browser: &Browser, page: &str) {
    browser.open(page).await;
    assert!(!is(browser, &step_is_open(1)).await, "it passed");
    browser
        .before_pages(
            "addEventListener('toggle', (event) => event.stopImmediatePropagation(), true);
            addEventListener('readystatechange', () => document.getElementById('step-1')?.setAttribute('open', ''), true);",
        )
        .await;
    browser.open(page).await;
    sees(browser, "behind the groups").await;
    assert!(!is(browser, FIRST_GROUP).await && !is(browser, SECOND_GROUP).await);
    browser.is_sound("a page whose step was opened early").await;
}

#[tokio::test]
async fn of_a_group_that_does_not_end_a_page_keeps_the_last_lines_and_gets_the_others_again() {
    const LINES: &str = "document.querySelectorAll('#step-1 .line').length";
    const EARLIER: &str = "document.querySelector('#step-1 .group > .earlier')";
    let gate = Gate::shut().await;
    let endless = with_doors(ENDLESS, &gate);
    let (story, build, run) = build_of("endless", vec![step("test", &endless)]).await;
    let browser = Browser::start(&shared_node().0).await;
    browser.look(Look::ALL[0]).await;
    browser.open(&page_of(&story, &run)).await;
    sees(&browser, "that does not end").await;
    browser.until("it is followed", FOLLOWS).await;
    gate.open(1);
    sees(&browser, "13000").await;
    gate.open(2);
    sees(&browser, "16000").await;
    browser
        .until("earlier lines are a link", &format!("{EARLIER} !== null"))
        .await;
    assert!(
        is(&browser, &format!("{LINES} < 5600")).await,
        "too many stay"
    );
    sees(&browser, "that does not end").await;
    browser.press("f").await;
    // As who scrolls up does, page by page.
    browser
        .until(
            "every line is there again",
            &format!("({EARLIER}?.click(), {EARLIER} === null)"),
        )
        .await;
    let printed = "return [...document.querySelectorAll('#step-1 .group > .line > span')].map(line => line.textContent)";
    let printed: Vec<String> = serde_json::from_value(browser.run(printed).await).unwrap();
    let expected: Vec<_> = (10001..=16000).map(|n: u32| n.to_string()).collect();
    let differs = printed
        .iter()
        .zip(&expected)
        .find(|(one, other)| one != other);
    assert_eq!((differs, printed.len()), (None, expected.len()));
    let groups = "document.querySelectorAll('#step-1 details').length === 1";
    assert!(is(&browser, groups).await, "no group is in itself");
    gate.open(3);
    story.complete_within(&build, PATIENCE).await;
    browser.close().await;
    story.end().await;
}
