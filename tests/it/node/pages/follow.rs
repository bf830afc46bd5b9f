//! A log as it is written, and the page of it afterwards.

use crds::BuilderRun;
use kube::ResourceExt;
use serde_json::json;
use tests::cluster::shared_node;

use super::{FOLLOWS, Gate, PATIENCE, build_of, named, page_of, sees, step};
use crate::browser::{Browser, Look};

/// Prints more than a screen, and then slowly, in colours and groups, until it is let go, and fails.
const SLOWLY: &str = r#"
echo "::group::what is here"
uname -s
echo "::endgroup::"
i=0
while [ $i -lt 60 ]; do
    i=$((i + 1))
    echo "quick test $i"
done
i=0
until OPEN; do
    i=$((i + 1))
    printf '\033[32mok\033[0m %d - slow test <b>%d</b>\n' $i $i
    sleep 0.25
done
echo 'FAIL: test_needle (test_app.Needle.test_needle)'
exit 2"#;

/// Leaves a summary with a table and a list of tasks.
const CONFIGURE: &str = r#"
echo checking for a compiler
printf '## Configured\n\n| what | how |\n|-|-|\n| cc | gcc |\n\n- [x] found\n- [ ] fast\n' >> "$GITHUB_STEP_SUMMARY""#;

#[tokio::test]
async fn the_log_of_a_pod_is_followed_as_it_is_written_and_reads_well_afterwards() {
    let gate = Gate::shut().await;
    let slowly = SLOWLY.replace("OPEN", &gate.is_open(1));
    let steps = vec![
        step("configure", CONFIGURE),
        step("test", &slowly),
        step("never", "echo this is not run"),
    ];
    let (mut story, build, run) = build_of("followed", steps).await;
    let browser = Browser::start(&shared_node().0).await;
    let page = page_of(&story, &run);
    is_sound_while_it_goes_on(&browser, &page).await;
    browser.look(Look::ALL[0]).await;
    browser.open(&page).await;
    browser.run("window.sameDocument = true").await;
    // Which of them is in sight depends on how long the browser took to start.
    sees(&browser, "slow test <b>").await;
    let name = run.name_any();
    let now = story.api::<BuilderRun>().get(&name).await.unwrap();
    let now = now.status.unwrap_or_default();
    assert!(
        !now.phase.is_terminal(),
        "it is seen while the run goes on: {now:?}"
    );
    scrolls_as_its_reader_wants(&browser).await;
    story.kill_gateway();
    story.restart_gateway().await.unwrap();
    gate.open(1);
    story.complete_within(&build, PATIENCE).await;
    browser
        .until("the end is seen", "document.title.startsWith('✕')")
        .await;
    sees(&browser, "test_needle").await;
    assert_eq!(
        browser.run("return window.sameDocument").await,
        json!(true),
        "nothing was loaded anew"
    );
    let numbers =
        "return [...document.querySelectorAll('.line[id]')].map(line => Number(line.id.slice(1)))";
    let numbers: Vec<u64> = serde_json::from_value(browser.run(numbers).await).unwrap();
    // The lines that begin and end a group are none in the list.
    let numbers: Vec<u64> = numbers.into_iter().filter(|number| *number > 20).collect();
    let gaps = numbers.windows(2).filter(|two| two[0] + 1 != two[1]);
    assert_eq!(gaps.count(), 0, "lines are missing or twice: {numbers:?}");
    // The gateway was away for a moment, and a browser says so.
    browser.errors().await;
    reads_well(&browser, &page).await;
    keys_do_what_the_page_says(&browser, &page).await;
    looks_good(&browser, &page).await;
    browser.close().await;
    story.end().await;
}

/// In every look: lines come, times run and the end is followed.
async fn is_sound_while_it_goes_on(browser: &Browser, page: &str) {
    for look in Look::ALL {
        browser.look(look).await;
        browser.open(page).await;
        sees(browser, "slow test <b>").await;
        browser.until("it is followed", FOLLOWS).await;
        browser.screenshot(&named("run-live", look)).await;
        let what = format!("the page of a run that goes on, {look:?}");
        browser.is_sound(&what).await;
    }
}

/// The end is in sight until the reader goes up. Then nothing moves until the reader wants it again.
async fn scrolls_as_its_reader_wants(browser: &Browser) {
    const LINES: &str = "document.querySelectorAll('.line').length";
    const END: &str = "scrollY > 250 && [...document.querySelectorAll('.line')].pop().getBoundingClientRect().bottom <= innerHeight";
    browser.until("it is followed", FOLLOWS).await;
    browser.until("the end is in sight", END).await;
    // A phone that is turned goes on with it.
    for look in [Look::ALL[3], Look::ALL[0]] {
        browser.look(look).await;
        browser.run(&format!("window.lines = {LINES}")).await;
        browser
            .until("more lines have come", &format!("{LINES} > lines"))
            .await;
        browser.until("it is followed", FOLLOWS).await;
        browser.until("the end is in sight", END).await;
    }
    browser.run("scrollBy(0, -200)").await;
    browser
        .until("it is not followed", &format!("!({FOLLOWS})"))
        .await;
    // Where a line is in sight, and not how far it is from the top: earlier lines may come above it.
    const READ: &str = "[...document.querySelectorAll('.line')].find(line => line.getBoundingClientRect().top > 100)";
    const TOP: &str = "read.getBoundingClientRect().top";
    browser
        .run(&format!(
            "window.read = {READ}; window.was = [{TOP}, {LINES}]"
        ))
        .await;
    browser
        .until("more lines have come", &format!("{LINES} > was[1]"))
        .await;
    let moved = browser
        .run(&format!("return Math.round({TOP} - was[0])"))
        .await;
    assert_eq!(moved, json!(0), "what is read has moved");
    browser.press("f").await;
    browser.until("it is followed again", FOLLOWS).await;
}

/// Steps that passed are folded, what failed is open, and a search leads to its line.
async fn reads_well(browser: &Browser, page: &str) {
    browser.open(page).await;
    let text = browser.text().await;
    assert!(browser.title().await.contains("Slow Debian – PrBuild"));
    for expected in ["Slow Debian", "configure", "test_needle", "exit code 2"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(
        !text.contains("checking for a compiler"),
        "a step that passed is folded"
    );
    browser.click("#step-1 summary").await;
    sees(browser, "checking for a compiler").await;
    assert!(
        browser.text().await.contains("Configured"),
        "its summary is shown"
    );
    browser.type_in("input[name=q]", "compiler").await;
    browser.click("form[role=search] button").await;
    browser
        .until(
            "the line is found",
            "document.querySelector('.found')?.innerText.includes('checking for a compiler')",
        )
        .await;
    browser.click(".found ol a").await;
    browser
        .until(
            "the page is at the line",
            "document.querySelector(location.hash)?.getBoundingClientRect().top < innerHeight",
        )
        .await;
    browser.open(&format!("{page}?line=20#L20-L22")).await;
    let marked =
        "[...document.querySelectorAll('.line.on')].map(line => line.id).join() === 'L20,L21,L22'";
    browser.until("several lines are pointed at", marked).await;
}

/// Every key that the help names.
async fn keys_do_what_the_page_says(browser: &Browser, page: &str) {
    browser.open(page).await;
    let at =
        "return [...document.querySelectorAll('.step > summary')].indexOf(document.activeElement)";
    for (key, step) in [("j", 0), ("j", 1), ("k", 0), ("k", 0)] {
        browser.press(key).await;
        assert_eq!(browser.run(at).await, json!(step), "{key}");
    }
    browser.press("?").await;
    let open = "return document.getElementById('keys').open";
    assert_eq!(browser.run(open).await, json!(true));
    browser.press("?").await;
    assert_eq!(browser.run(open).await, json!(false));
    browser.press("/").await;
    browser.press("jk").await;
    let typed = "return document.querySelector('input[name=q]').value";
    assert_eq!(
        browser.run(typed).await,
        json!("jk"),
        "keys are words there"
    );
}

/// In every look, with a search and without, and without scripts, too.
async fn looks_good(browser: &Browser, page: &str) {
    const DARK: &str = "document.documentElement.dataset.theme === 'dark'";
    browser.open(page).await;
    browser.click("[data-choose=dark]").await;
    browser.until("it is dark", DARK).await;
    browser.open(page).await;
    browser.until("it stays dark", DARK).await;
    browser.click("[data-choose=system]").await;
    for look in Look::ALL {
        browser.look(look).await;
        for (name, address) in [
            ("run", page.to_owned()),
            ("run-search", format!("{page}?q=slow")),
            ("run-summary", format!("{page}?step=1")),
        ] {
            browser.open(&address).await;
            browser.screenshot(&named(name, look)).await;
            browser.is_sound(&format!("{address} {look:?}")).await;
        }
    }
    times_are_seen_on_a_phone_when_they_are_wanted(browser, page).await;
    browser.scripts(false).await;
    browser.open(page).await;
    let text = browser.text().await;
    assert!(text.contains("test_needle"), "without scripts: {text}");
}

async fn times_are_seen_on_a_phone_when_they_are_wanted(browser: &Browser, page: &str) {
    const SEEN: &str = "document.querySelector('.line > time').offsetHeight > 0";
    browser.look(Look::ALL[2]).await;
    browser.open(page).await;
    browser.click("#times").await;
    browser.until("times are seen", SEEN).await;
}
