//! Objects in memory that go wrong.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::Barrier;

/// Objects in memory, and what goes wrong. A clone is the same.
#[derive(Debug, Clone, Default)]
pub struct Faulty {
    objects: Arc<InMemory>,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    /// Operations that still work; below 0: all do.
    left: AtomicI64,
    /// The operation that is the last is done, and its answer is lost.
    done: AtomicI64,
    operations: AtomicU64,
    lists: AtomicU64,
    /// What is below this cannot be listed.
    refused: Mutex<Option<String>>,
    /// Nothing is answered any more.
    hangs: AtomicBool,
    /// Nothing is taken any more.
    is_full: AtomicBool,
    /// What is there is not replaced.
    keeps: AtomicBool,
    /// Pieces of logs are read and removed when so many are asked for at once.
    company: Mutex<Option<Arc<Barrier>>>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            left: AtomicI64::new(-1),
            done: AtomicI64::new(0),
            operations: AtomicU64::new(0),
            lists: AtomicU64::new(0),
            refused: Mutex::default(),
            hangs: AtomicBool::new(false),
            is_full: AtomicBool::new(false),
            keeps: AtomicBool::new(false),
            company: Mutex::default(),
        }
    }
}

/// What happens to an operation.
#[derive(PartialEq)]
enum Fate {
    Works,
    AnswerIsLost,
    Fails,
}

fn lost() -> Error {
    Error::Generic {
        store: "Faulty",
        source: "the test says so".into(),
    }
}

impl Faulty {
    /// After so many operations everything fails. The first that does may have been done all the same.
    pub fn fail_after(&self, operations: u64, done: bool) {
        self.state.done.store(i64::from(done), Ordering::SeqCst);
        self.state.left.store(operations as i64, Ordering::SeqCst);
    }

    /// Everything works again.
    pub fn heal(&self) {
        self.state.left.store(-1, Ordering::SeqCst);
        self.state.hangs.store(false, Ordering::SeqCst);
        self.state.is_full.store(false, Ordering::SeqCst);
    }

    /// Nothing is taken any more, and all that is there can be read and removed: a disk that is full.
    pub fn refuse_writes(&self) {
        self.state.is_full.store(true, Ordering::SeqCst);
    }

    /// Nothing that is there is replaced any more: a bucket with a retention policy.
    pub fn refuse_replacing(&self) {
        self.state.keeps.store(true, Ordering::SeqCst);
    }

    /// A piece of a log is read or removed only together with others, so many at once.
    pub fn answer_together(&self, pieces: usize) {
        *self.state.company.lock().unwrap() = Some(Arc::new(Barrier::new(pieces)));
    }

    async fn wait_for_company(&self, at: &Path) {
        let company = self.state.company.lock().unwrap().clone();
        let is_piece = at.as_ref().contains("/log/") && at.as_ref().ends_with(".zst");
        if let Some(company) = company.filter(|_| is_piece)
            && self.has(at).await
        {
            company.wait().await;
        }
    }

    /// What is below this cannot be listed any more.
    pub fn refuse_below(&self, prefix: &str) {
        *self.state.refused.lock().unwrap() = Some(prefix.to_owned());
    }

    /// Nothing is answered any more.
    pub fn hang(&self) {
        self.state.hangs.store(true, Ordering::SeqCst);
    }

    /// Bytes of all objects.
    pub async fn bytes(&self) -> u64 {
        let sizes = self.objects.list(None).map_ok(|meta| meta.size);
        sizes
            .try_fold(0, |sum, size| async move { Ok(sum + size) })
            .await
            .unwrap()
    }

    /// Operations so far.
    pub fn operations(&self) -> u64 {
        self.state.operations.load(Ordering::SeqCst)
    }

    /// Listings so far.
    pub fn lists(&self) -> u64 {
        self.state.lists.load(Ordering::SeqCst)
    }

    /// All keys.
    pub async fn keys(&self) -> Vec<String> {
        let list = self
            .objects
            .list(None)
            .map_ok(|meta| meta.location.to_string());
        let mut keys: Vec<String> = list.try_collect().await.unwrap();
        keys.sort();
        keys
    }

    async fn has(&self, at: &Path) -> bool {
        let head = GetOptions::new().with_head(true);
        self.objects.get_opts(at, head).await.is_ok()
    }

    fn fate(&self) -> Fate {
        self.state.operations.fetch_add(1, Ordering::SeqCst);
        let left = self.state.left.load(Ordering::SeqCst);
        match left {
            ..0 => Fate::Works,
            0 if self.state.done.swap(0, Ordering::SeqCst) == 1 => Fate::AnswerIsLost,
            0 => Fate::Fails,
            _ => {
                self.state.left.store(left - 1, Ordering::SeqCst);
                Fate::Works
            }
        }
    }

    async fn written<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        match self.state.is_full.load(Ordering::SeqCst) {
            true => Err(lost()),
            false => self.through(work).await,
        }
    }

    async fn through<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        if self.state.hangs.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
        match self.fate() {
            Fate::Works => work.await,
            Fate::AnswerIsLost => {
                let _ = work.await;
                Err(lost())
            }
            Fate::Fails => Err(lost()),
        }
    }
}

impl std::fmt::Display for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Faulty")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        at: &Path,
        bytes: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        if self.state.keeps.load(Ordering::SeqCst) && self.has(at).await {
            return Err(Error::PermissionDenied {
                path: at.to_string(),
                source: "retentionPolicyNotMet".into(),
            });
        }
        self.written(self.objects.put_opts(at, bytes, options))
            .await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.written(self.objects.put_multipart_opts(at, options))
            .await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.wait_for_company(at).await;
        self.through(self.objects.get_opts(at, options)).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let objects = self.clone();
        let locations = locations.and_then(move |at| {
            let objects = objects.clone();
            async move {
                objects.wait_for_company(&at).await;
                Ok(at)
            }
        });
        let locations = locations.boxed();
        match self.fate() {
            Fate::Works => self.objects.delete_stream(locations),
            Fate::AnswerIsLost => {
                let done = self.objects.delete_stream(locations);
                done.map(|_| Err(lost())).boxed()
            }
            Fate::Fails => stream::once(async { Err(lost()) }).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.state.lists.fetch_add(1, Ordering::SeqCst);
        let refused = self.state.refused.lock().unwrap().clone();
        let asked = prefix.map(Path::to_string).unwrap_or_default();
        match self.fate() {
            _ if refused.is_some_and(|refused| asked.starts_with(&refused)) => {
                stream::once(async { Err(lost()) }).boxed()
            }
            Fate::Works => self.objects.list(prefix),
            _ => stream::once(async { Err(lost()) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.state.lists.fetch_add(1, Ordering::SeqCst);
        self.through(self.objects.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.written(self.objects.copy_opts(from, to, options))
            .await
    }
}
