//! Pages as people see them, in a real browser, of builds that run in real pods.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crds::{BuilderRun, RunPhase};
use kube::ResourceExt;
use protocol::Step;
use serde_json::json;
use tests::{
    cluster::{eventually, shared_node},
    images::GCC,
    story::Story,
};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{runs, with_pages};
use crate::browser::{Browser, Look};

const PATIENCE: Duration = Duration::from_secs(120);

fn step(name: &str, run: &str) -> Step {
    Step {
        name: Some(name.to_owned()),
        run: run.to_owned(),
        ..Step::default()
    }
}

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
until [ "$(cat </dev/tcp/GATE)" = go ]; do
    i=$((i + 1))
    printf '\033[32mok\033[0m %d - slow test <b>%d</b>\n' $i $i
    sleep 0.15
done
echo 'FAIL: test_needle (test_app.Needle.test_needle)'
exit 2"#;

/// Leaves a summary with a table and a list of tasks.
const CONFIGURE: &str = r#"
echo checking for a compiler
printf '## Configured\n\n| what | how |\n|-|-|\n| cc | gcc |\n\n- [x] found\n- [ ] fast\n' >> "$GITHUB_STEP_SUMMARY""#;

/// Tells a build that asks whether to go on.
struct Gate {
    address: SocketAddr,
    open: Arc<AtomicBool>,
    asked: JoinHandle<()>,
}

impl Gate {
    async fn shut() -> Self {
        let host = shared_node().1.host_address;
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::new(AtomicBool::new(false));
        let is_open = open.clone();
        let asked = tokio::spawn(async move {
            while let Ok((mut who, _)) = listener.accept().await {
                let go = is_open.load(Ordering::Relaxed);
                // Who does not listen asks again.
                let _ = who.write_all(if go { b"go" } else { b"wait" }).await;
            }
        });
        Self {
            address,
            open,
            asked,
        }
    }

    fn open(&self) {
        self.open.store(true, Ordering::Relaxed);
    }

    /// As bash names a connection.
    fn name(&self) -> String {
        format!("{}/{}", self.address.ip(), self.address.port())
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.asked.abort();
    }
}

/// A story with a builder of three steps, and the run of its first build, which goes on behind the gate.
async fn slow_build(name: &str, gate: &Gate) -> (Story, String, BuilderRun) {
    let story = with_pages(name).await;
    let slowly = SLOWLY.replace("GATE", &gate.name());
    story
        .builder("slow-debian", |spec| {
            spec.display_name = "Slow Debian".to_owned();
            spec.steps = vec![
                step("configure", CONFIGURE),
                step("test", &slowly),
                step("never", "echo this is not run"),
            ];
            if let Some(machine) = &mut spec.kubernetes {
                machine.image = GCC.to_owned();
            }
        })
        .await;
    let number = story
        .open_pull_request("change", &[("README", "x\n")])
        .await;
    let build = story.name_of(number, story.label(number));
    let run = eventually("the build has its run", PATIENCE, async || {
        story.runs(&build).await.pop().ok_or("none yet".to_owned())
    })
    .await;
    (story, build, run)
}

fn page_of(story: &Story, run: &BuilderRun) -> String {
    let uid = run.uid().unwrap();
    format!("{}/r/app/runs/{uid}", story.gateway().pages_url())
}

#[tokio::test]
async fn the_log_of_a_pod_is_followed_as_it_is_written_and_reads_well_afterwards() {
    let gate = Gate::shut().await;
    let (mut story, build, run) = slow_build("followed", &gate).await;
    let browser = Browser::start(&shared_node().0).await;
    let page = page_of(&story, &run);
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
    browser.screenshot("run-live").await;
    browser.is_sound("the page of a run that goes on").await;
    scrolls_as_its_reader_wants(&browser).await;
    story.kill_gateway();
    story.restart_gateway().await.unwrap();
    gate.open();
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

async fn sees(browser: &Browser, text: &str) {
    let seen = format!("document.body.innerText.includes({})", json!(text));
    browser.until(text, &seen).await;
}

/// The end is in sight until the reader goes up. Then nothing moves until the reader wants it again.
async fn scrolls_as_its_reader_wants(browser: &Browser) {
    const FOLLOWS: &str = "document.getElementById('follow').ariaPressed === 'true'";
    const LINES: &str = "document.querySelectorAll('.line').length";
    browser.until("it is followed", FOLLOWS).await;
    browser
        .until("the end is in sight", "scrollY > 0 && [...document.querySelectorAll('.line')].pop().getBoundingClientRect().bottom <= innerHeight")
        .await;
    browser.run("scrollBy(0, -200)").await;
    browser
        .until("it is not followed", &format!("!({FOLLOWS})"))
        .await;
    browser
        .run(&format!("window.was = [scrollY, {LINES}]"))
        .await;
    browser
        .until("more lines have come", &format!("{LINES} > was[1]"))
        .await;
    let moved = browser.run("return scrollY - was[0]").await;
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
    let group = "return document.querySelector('details.group').open";
    assert_eq!(browser.run(group).await, json!(false), "a group is folded");
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

#[tokio::test]
async fn every_page_is_sound_wide_and_narrow_light_and_dark() {
    let story = with_pages("pages").await;
    for (builder, script) in [
        ("passes", "echo fine"),
        ("fails", "echo no; exit 1"),
        ("sleeps", "sleep 600"),
    ] {
        story.builder(builder, runs(script)).await;
    }
    let number = story
        .open_pull_request("change", &[("README", "x\n")])
        .await;
    let build = story.name_of(number, story.label(number));
    let over = async |builder: &str| {
        let name = crds::names::run_name(&build, builder, 1);
        story
            .eventually_in("it ended", &name, |run: &BuilderRun| {
                let phase = run.status.clone().unwrap_or_default().phase;
                phase
                    .is_terminal()
                    .then_some(())
                    .ok_or(format!("{phase:?}"))
            })
            .await;
    };
    over("passes").await;
    over("fails").await;
    story
        .eventually_in(
            "it runs",
            &crds::names::run_name(&build, "sleeps", 1),
            |run: &BuilderRun| {
                let phase = run.status.clone().unwrap_or_default().phase;
                (phase == RunPhase::Running)
                    .then_some(())
                    .ok_or(format!("{phase:?}"))
            },
        )
        .await;
    let browser = Browser::start(&shared_node().0).await;
    let at = |path: &str| format!("{}{path}", story.gateway().pages_url());
    let pages = [
        ("overview", "/".to_owned(), "octo/app"),
        (
            "pull-request",
            format!("/r/app/pull/{number}"),
            "octo/app#1",
        ),
        ("build", format!("/r/app/builds/{build}"), "fails"),
        ("builders", "/builders".to_owned(), "passes"),
        ("builder", "/builders/fails".to_owned(), "fails"),
        (
            "nothing",
            "/r/app/runs/00000000-0000-4000-8000-000000000000".to_owned(),
            "kept for",
        ),
    ];
    for look in Look::ALL {
        browser.look(look).await;
        for (name, path, expected) in &pages {
            browser.open(&at(path)).await;
            let text = browser.text().await;
            assert!(text.contains(expected), "{path} lacks {expected}: {text}");
            browser.screenshot(&named(name, look)).await;
            match *name {
                "nothing" => {
                    browser.is_open_to_all(path).await;
                    // A browser complains of every page that is not there.
                    browser.errors().await;
                }
                _ => browser.is_sound(&format!("{path} {look:?}")).await,
            }
        }
    }
    story.cancel(&build).await;
    story.complete_within(&build, PATIENCE).await;
    browser.open(&at(&format!("/r/app/builds/{build}"))).await;
    let text = browser.text().await;
    assert!(text.contains("cancelled"), "{text}");
    browser.close().await;
    story.end().await;
}

fn named(page: &str, look: Look) -> String {
    let theme = if look.dark { "dark" } else { "light" };
    format!("{page}-{}-{theme}", look.width)
}
