//! The marks of the runs that were looked at last, as they were read: a page that is loaded again, or lines
//! of it, need only those that have come since.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::marks::Marks;
use crate::{logs::LogReader, names::RunKey, store::StoreError};

/// Runs whose marks are kept: each has at most a few megabytes, and nearly all have a few kilobytes.
const RUNS: usize = 8;

/// Marks of some runs.
#[derive(Default)]
pub struct Shelf {
    runs: Mutex<VecDeque<Read>>,
}

/// The marks of a run, as far as they were read.
#[derive(Clone)]
struct Read {
    run: RunKey,
    size: u64,
    marks: Arc<Marks>,
}

impl Shelf {
    /// All marks of a run that can be read now.
    pub async fn marks(&self, run: &RunKey, reader: &LogReader) -> Result<Arc<Marks>, StoreError> {
        let size = reader.view().size;
        let known = self.known(run).filter(|read| read.size <= size);
        if let Some(read) = known.as_ref().filter(|read| read.size == size) {
            return Ok(read.marks.clone());
        }
        let (mut at, mut marks) = known
            .map(|read| (read.size, Marks::clone(&read.marks)))
            .unwrap_or_default();
        while at < size {
            let more = reader.read(at..size).await?;
            if more.is_empty() {
                break;
            }
            marks.push(&more, |_, _| ());
            at += more.len() as u64;
        }
        let marks = Arc::new(marks);
        self.keep(Read {
            run: run.clone(),
            size: at,
            marks: marks.clone(),
        });
        Ok(marks)
    }

    fn known(&self, run: &RunKey) -> Option<Read> {
        self.lock().iter().find(|read| read.run == *run).cloned()
    }

    /// Keeps what was read last, and of each run only the newest.
    fn keep(&self, read: Read) {
        let mut runs = self.lock();
        runs.retain(|other| other.run != read.run);
        runs.push_front(read);
        runs.truncate(RUNS);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Read>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::run::testing::log;

    const STEP: &str = r#"{"at":0,"ms":1000,"mark":"step","n":1,"name":"Build"}"#;

    fn run(n: usize) -> RunKey {
        RunKey::new("app", &format!("00000000-0000-4000-8000-{n:012x}")).unwrap()
    }

    #[tokio::test]
    async fn marks_are_read_once_and_those_that_came_since_are_added() {
        let (shelf, whole) = (Shelf::default(), format!("{STEP}\n"));
        let begun = log(&whole.as_bytes()[..20], false).await;
        let first = shelf.marks(&run(1), &begun).await.unwrap();
        assert_eq!(first.sections()[0].step, None);
        let again = shelf.marks(&run(1), &begun).await.unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        let more = shelf
            .marks(&run(1), &log(whole.as_bytes(), true).await)
            .await
            .unwrap();
        assert_eq!(more.sections()[0].name, "Build");
    }

    #[tokio::test]
    async fn a_run_does_not_see_the_marks_of_another_one_and_few_are_kept() {
        let shelf = Shelf::default();
        let (some, none) = (
            log(format!("{STEP}\n").as_bytes(), true).await,
            log(b"", true).await,
        );
        shelf.marks(&run(0), &some).await.unwrap();
        for n in 1..20 {
            let marks = shelf.marks(&run(n), &none).await.unwrap();
            assert_eq!(marks.sections()[0].step, None);
        }
        assert_eq!(shelf.lock().len(), RUNS);
        assert!(shelf.known(&run(0)).is_none());
    }
}
