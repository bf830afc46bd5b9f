//! How often GitHub is asked, in made-up time.

use std::cell::Cell;

use jiff::Timestamp;

use super::{super::entrance::Forks, *};

fn repository(generation: i64) -> Repository {
    let json = serde_json::json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "Repository",
        "metadata": { "name": "n", "generation": generation },
        "spec": { "owner": "o", "name": "n", "connection": "main", "labels": [{ "name": "test" }] },
    });
    serde_json::from_value(json).unwrap()
}

fn probe() -> Probe {
    Probe {
        at: Timestamp::UNIX_EPOCH,
        webhooks: Webhooks::Hidden,
        last_change: None,
        forks: Forks::None,
        etag: None,
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How often a Repository is looked at in a day.
fn looks(standing: Standing) -> u32 {
    let (probed, start) = (Probed::default(), Instant::now());
    let (mut now, mut looks) = (start, 0);
    while now - start < DAY {
        now += probed.next_look(&repository(1), standing, now);
        looks += 1;
    }
    looks
}

/// How often its webhook is looked at in a day, where each look of the other kind asks for it.
fn probes(is_well: bool) -> u32 {
    let (probed, start) = (Probed::default(), Instant::now());
    let (mut now, mut probes) = (start, 0);
    while now - start < DAY {
        if matches!(probed.due(&repository(1), now), Due::Now { .. }) {
            probed.learn(&repository(1), probe(), is_well, now);
            probes += 1;
        }
        now += Duration::from_secs(60);
    }
    probes
}

#[test]
fn what_builds_go_on_with_is_asked_about_as_seldom_as_what_is_well() {
    assert_eq!(looks(Standing::Builds), 144);
    assert_eq!(probes(true), 24);
    assert!(probes(false) <= 30, "{}", probes(false));
}

#[test]
fn what_keeps_a_repository_from_building_is_asked_about_soon_and_then_ever_more_seldom() {
    let (probed, start) = (Probed::default(), Instant::now());
    let after = |minutes: u64, generation: i64| {
        let now = start + Duration::from_secs(60 * minutes);
        let next = probed.next_look(&repository(generation), Standing::Faulty, now);
        next.as_secs() / 60
    };
    assert_eq!([after(0, 1), after(1, 1), after(2, 1)], [1, 1, 2]);
    assert_eq!([after(30, 1), after(600, 1)], [30, 60]);
    // Who changes the spec wants to see what comes of it.
    assert_eq!(after(600, 2), 1);
    assert!(looks(Standing::Faulty) < 35);
    assert!(looks(Standing::Away) < 300);
}

#[test]
fn a_changed_spec_has_the_webhook_looked_at_at_once() {
    let (probed, now) = (Probed::default(), Instant::now());
    probed.learn(&repository(1), probe(), true, now);
    assert!(matches!(probed.due(&repository(1), now), Due::Known(_)));
    assert!(matches!(
        probed.due(&repository(2), now),
        Due::Now { before: None, .. }
    ));
}

#[tokio::test]
async fn twenty_repositories_of_an_app_look_at_its_webhook_once() {
    let (probed, asked) = (Probed::default(), Cell::new(0));
    let look = || async {
        asked.set(asked.get() + 1);
        tokio::task::yield_now().await;
        Webhooks::App(None)
    };
    let all = (0..20).map(|_| probed.of_app("main", FRESH, look()));
    futures::future::join_all(all).await;
    assert_eq!(asked.get(), 1);
    probed.of_app("main", Duration::ZERO, look()).await;
    probed.of_app("other", FRESH, look()).await;
    assert_eq!(asked.get(), 3);
}
