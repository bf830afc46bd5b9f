//! Histories in memory, as the store answers or does not.

use protocol::record::RunResult;

use super::*;

const PATH: &str = "v1/builders/debian/history";
const SECOND: Duration = Duration::from_secs(1);

fn entry(id: i64) -> HistoryRun {
    HistoryRun {
        run: format!("run-{id}"),
        repository: "app".to_owned(),
        number: 7,
        head_sha: String::new(),
        base_ref: "main".to_owned(),
        result: RunResult::Passed,
        warning: false,
        finished_ms: id,
        seconds: Some(1.0),
        failures: Vec::new(),
    }
}

fn history(ids: impl IntoIterator<Item = i64>) -> BuilderHistory {
    let mut history = BuilderHistory {
        builder: "debian".to_owned(),
        display_name: "Debian".to_owned(),
        runs: Vec::new(),
    };
    for id in ids {
        history.add(entry(id));
    }
    history
}

fn ids(history: &BuilderHistory) -> Vec<i64> {
    history.runs.iter().map(|run| run.finished_ms).collect()
}

/// A shelf with one file that was read and says this.
fn read(stored: BuilderHistory, now: Instant) -> Shelf<BuilderHistory> {
    let mut shelf = Shelf::default();
    shelf.want(PATH, now);
    assert_eq!(shelf.next(now), Ok(Errand::Load(PATH.to_owned())));
    shelf.loaded(PATH, Some((stored, 100)), now);
    shelf
}

fn written(shelf: &mut Shelf<BuilderHistory>, now: Instant) -> Vec<i64> {
    match shelf.next(now) {
        Ok(Errand::Store(_, history)) => ids(&history),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_happens_before_a_file_is_read_is_added_to_what_it_says() {
    let (mut shelf, now) = (Shelf::default(), Instant::now());
    shelf.put(PATH, history([3]), now);
    shelf.put(PATH, history([4]), now);
    assert_eq!(shelf.next(now), Ok(Errand::Load(PATH.to_owned())));
    shelf.put(PATH, history([5]), now);
    assert_eq!(shelf.next(now), Err(None), "one thing at a time");
    shelf.loaded(PATH, Some((history([1, 2, 3]), 100)), now);
    assert_eq!(written(&mut shelf, now), [5, 4, 3, 2, 1]);
}

#[test]
fn a_file_is_written_at_once_and_then_at_most_every_two_seconds() {
    let now = Instant::now();
    let mut shelf = read(history([1]), now);
    assert!(shelf.put(PATH, history([2]), now));
    assert_eq!(written(&mut shelf, now), [2, 1]);
    shelf.put(PATH, history([3]), now);
    shelf.stored(PATH, Some(200), now);
    shelf.put(PATH, history([4]), now + SECOND);
    assert_eq!(shelf.next(now + SECOND), Err(Some(now + 2 * SECOND)));
    assert_eq!(written(&mut shelf, now + 2 * SECOND), [4, 3, 2, 1]);
    shelf.stored(PATH, Some(300), now + 2 * SECOND);
    assert_eq!(shelf.next(now + 60 * SECOND), Err(None));
}

#[test]
fn what_a_file_says_already_is_not_written_again() {
    let now = Instant::now();
    let mut shelf = read(history([1, 2]), now);
    assert!(!shelf.put(PATH, history([2]), now));
    assert_eq!(shelf.next(now), Err(None));

    let most = i64::try_from(BUILDER_HISTORY).unwrap();
    let mut full = read(history(10..10 + most), now);
    assert!(
        !full.put(PATH, history([1]), now),
        "it is too old to be kept"
    );
}

#[test]
fn a_file_that_cannot_be_written_is_written_later_and_nothing_is_lost() {
    let now = Instant::now();
    let mut shelf = read(history([1]), now);
    shelf.put(PATH, history([2]), now);
    written(&mut shelf, now);
    shelf.put(PATH, history([3]), now);
    shelf.stored(PATH, None, now);
    assert_eq!(shelf.next(now), Err(Some(now + SECOND)));
    assert_eq!(written(&mut shelf, now + SECOND), [3, 2, 1]);
    shelf.stored(PATH, None, now + SECOND);
    assert_eq!(shelf.next(now + SECOND), Err(Some(now + 3 * SECOND)));
}

#[test]
fn a_file_that_cannot_be_read_is_not_overwritten() {
    let (mut shelf, now) = (Shelf::default(), Instant::now());
    shelf.put(PATH, history([3]), now);
    shelf.next(now).unwrap();
    shelf.loaded(PATH, None, now);
    assert_eq!(shelf.peek(PATH), None);
    assert_eq!(shelf.next(now + SECOND), Ok(Errand::Load(PATH.to_owned())));
}

#[test]
fn what_nobody_used_for_longest_makes_room_and_what_is_unwritten_stays() {
    let (mut shelf, now) = (Shelf::default(), Instant::now());
    let paths = ["a", "b", "c", "d"];
    for path in paths {
        shelf.want(path, now);
    }
    for path in paths {
        shelf.next(now).unwrap();
        if path == "a" {
            shelf.put(path, history([2]), now);
        }
    }
    for path in paths {
        shelf.loaded(path, Some((history([1]), ROOM / 3)), now);
    }
    let known = paths.map(|path| shelf.peek(path).is_some());
    assert_eq!(known, [true, false, true, true]);
}

#[test]
fn a_history_of_very_long_names_is_shortened_until_it_is_taken() {
    let mut long = history(0..200);
    for run in &mut long.runs {
        run.failures = vec!["\u{1b}".repeat(256); 20];
    }
    let sent = body(&long).unwrap();
    assert!(sent.len() <= BODY_LIMIT);
    let sent: BuilderHistory = serde_json::from_slice(&sent).unwrap();
    assert!(sent.runs.len() > 10);
    assert_eq!(sent.runs[0].finished_ms, 199, "the newest stay");
    let ordinary = body(&history(0..200)).unwrap();
    let ordinary: BuilderHistory = serde_json::from_slice(&ordinary).unwrap();
    assert_eq!(ordinary.runs.len(), 200);
}
