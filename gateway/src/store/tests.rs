//! Directories and buckets, and what is said of those that cannot be.

use std::path::PathBuf;

use super::*;
use crate::testing::{Gateway, faulty::Faulty};
use protocol::log::{LogEnd, Stream};

/// A directory that is removed with this.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let name = format!("prbuild-gateway-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn store(&self) -> (Store, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::default());
        (
            Store::open(self.0.to_str().unwrap(), None, metrics.clone()).unwrap(),
            metrics,
        )
    }

    fn files(&self) -> usize {
        let mut found = 0;
        let mut open = vec![self.0.clone()];
        while let Some(directory) = open.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let entry = entry.unwrap();
                match entry.file_type().unwrap().is_dir() {
                    true => open.push(entry.path()),
                    false => found += 1,
                }
            }
        }
        found
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn a_directory_keeps_what_a_gateway_stored_for_the_next_one() {
    let directory = Directory::new("keeps");
    for (offset, text) in [(0, "one\n"), (4, "two\n")] {
        let (store, metrics) = directory.store();
        let gateway = Gateway::with(store, metrics);
        gateway.put(Stream::Log, offset, text.as_bytes()).await;
        gateway.app.logs.stop().await;
    }
    let (store, metrics) = directory.store();
    let gateway = Gateway::with(store, metrics);
    assert_eq!(gateway.text(Stream::Log).await, b"one\ntwo\n");
    gateway
        .end(LogEnd {
            log: 8,
            marks: 0,
            left_out: 0,
            unfinished: false,
        })
        .await;
    gateway.archived().await;
    gateway
        .app
        .logs
        .repair(&crate::testing::key())
        .await
        .unwrap();
    assert_eq!(gateway.text(Stream::Log).await, b"one\ntwo\n");
    assert_eq!(directory.files(), 6, "segments are gone");
}

#[tokio::test]
async fn an_object_is_created_once_replaced_as_often_as_one_likes_and_read_in_parts() {
    let directory = Directory::new("objects");
    let (store, _) = directory.store();
    assert_eq!(store.get("a/b").await.unwrap(), None);
    assert!(store.create("a/b", "one".into()).await.unwrap());
    assert!(!store.create("a/b", "two".into()).await.unwrap());
    assert_eq!(store.get("a/b").await.unwrap().unwrap(), "one");
    store.put("a/b", "three".into()).await.unwrap();
    assert_eq!(store.range("a/b", 1..3).await.unwrap().unwrap(), "hr");
    let mut upload = store.upload("a/c").await.unwrap();
    upload.part("four".into()).await.unwrap();
    upload.part("five".into()).await.unwrap();
    assert!(!store.has("a/c").await.unwrap(), "the half is not there");
    upload.complete().await.unwrap();
    assert_eq!(store.get("a/c").await.unwrap().unwrap(), "fourfive");
    assert_eq!(store.below("").await.unwrap(), ["a"]);
    store.delete("a/b").await.unwrap();
    store.delete("a/b").await.unwrap();
    let found: Vec<Found> = store.list("a").try_collect().await.unwrap();
    assert_eq!(found.len(), 1);
    assert!(!store.is_down());
}

#[tokio::test]
async fn a_store_that_cannot_be_says_what_it_should_be() {
    let metrics = Arc::new(Metrics::default());
    for place in ["ftp://host/x", "/dev/null/x"] {
        let error = Store::open(place, None, metrics.clone())
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains(place) && error.contains("s3://"), "{error}");
    }
}

#[tokio::test]
async fn a_bucket_of_each_cloud_is_named_by_its_address() {
    for scheme in ["s3", "gs", "az"] {
        let opened = Store::open(&format!("{scheme}://bucket/prefix"), None, Arc::default());
        // Where only access is missing, that is what is said.
        let said = opened.err().map(|error| error.to_string());
        let said = said.unwrap_or_default();
        assert!(!said.contains("is none of"), "{said}");
    }
}

#[tokio::test]
async fn a_store_that_takes_nothing_is_told_of_when_a_gateway_begins() {
    let objects = Faulty::default();
    let store = Store::around(Arc::new(objects.clone()), Arc::default());
    objects.refuse_writes();
    let begins = begin(&store, Duration::from_millis(1));
    store.refused().await;
    assert!(store.is_down());
    objects.heal();
    begins.await.unwrap();
    assert!(!store.is_down());
    let begun = store.get("begun").await.unwrap().unwrap();
    assert_eq!(begun, "2026-01-31T12:00:00Z\n");
}

/// Longer than any of these takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A gateway that begins on this store.
fn begin(store: &Store, pause: Duration) -> tokio::task::JoinHandle<()> {
    let store = store.clone();
    tokio::spawn(async move { store.begin("2026-01-31T12:00:00Z", pause).await })
}

#[tokio::test]
async fn a_store_that_took_something_else_is_not_asked_again_at_the_start() {
    let objects = Faulty::default();
    let store = Store::around(Arc::new(objects.clone()), Arc::default());
    objects.refuse_writes();
    let begins = begin(&store, Duration::from_millis(50));
    store.refused().await;
    objects.heal();
    store.put("other", Bytes::from("text")).await.unwrap();
    begins.await.unwrap();
    assert_eq!(store.get("begun").await.unwrap(), None);
}

#[tokio::test]
async fn a_bucket_that_lets_nothing_be_replaced_is_told_of_a_start_beside_the_last_one() {
    let objects = Faulty::default();
    let store = Store::around(Arc::new(objects.clone()), Arc::default());
    store.put("begun", Bytes::from("earlier\n")).await.unwrap();
    objects.refuse_replacing();
    begin(&store, PATIENCE).await.unwrap();
    assert!(!store.is_down(), "it takes what is new");
    assert_eq!(
        objects.keys().await,
        ["begun", "begun-2026-01-31T12:00:00Z"]
    );
    let earlier = store.get("begun").await.unwrap().unwrap();
    assert_eq!(earlier, "earlier\n");
}

#[tokio::test]
async fn a_store_that_takes_nothing_is_told_of_although_an_earlier_start_is_noted_there() {
    let objects = Faulty::default();
    let store = Store::around(Arc::new(objects.clone()), Arc::default());
    store.put("begun", Bytes::from("earlier\n")).await.unwrap();
    objects.refuse_replacing();
    objects.refuse_writes();
    let begins = begin(&store, Duration::from_millis(1));
    store.refused().await;
    assert!(store.is_down());
    objects.heal();
    begins.await.unwrap();
    assert!(!store.is_down());
}
