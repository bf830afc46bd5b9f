//! Builds that tests tell when to end, and waiting for what they do.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::bench::Bench;

/// A script that says that it began, and ends when it may: with the file that says the one, and the file that lets
/// it.
pub fn until_told(bench: &Bench) -> (String, PathBuf, PathBuf) {
    let (began, go) = (bench.root.join("began"), bench.root.join("go"));
    let script = format!(
        "echo $$ >> {}; until test -e {}; do sleep 0.1; done; echo over",
        began.display(),
        go.display()
    );
    (script, began, go)
}

/// Waits until the agent has heard that it is to stop.
pub fn is_draining(bench: &Bench) {
    wait(|| {
        let log = bench.log();
        log.contains("stops when what runs has ended").then_some(())
    });
}

/// Waits for something.
pub fn wait<T>(find: impl Fn() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(Instant::now() < end, "it does not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}
