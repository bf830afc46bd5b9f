//! Puts together what a page of a run shows: object or record, history, log and marks.

use std::{sync::Arc, time::Duration};

use crds::{BuilderRun, RunPhase};
use jiff::Timestamp;
use maud::{Markup, PreEscaped, html};
use protocol::log::Stream;
use tokio::{sync::Semaphore, time::timeout};

use super::{
    Wish,
    choice::Choice,
    extent::Extent,
    facts::{self, Facts},
    hub::{Hub, Viewer},
    marks::{self, Marks},
    model::{Held, Log, Missing, Model, Shown},
    reports::{self, Report},
    search::{self, Found},
    shelf::Shelf,
    signed, steps,
    streams::Streams,
    window::{self, Window},
};
use crate::{
    cluster::phase_of,
    logs::{Kept, LogReader},
    names::RunKey,
    pages::{
        Site,
        problem::Problem,
        site::{PATIENCE, kept},
    },
    store::StoreError,
};

/// Searches at the same time: each is a processor's work.
const SEARCHES: usize = 2;
/// Longer than a search takes with the wait for its turn.
const SEARCH: Duration = Duration::from_secs(8);
/// How long a search waits for its turn.
const TURN: Duration = Duration::from_secs(2);

/// What pages of runs are made from.
pub struct Runs {
    site: Arc<Site>,
    hub: Arc<Hub>,
    shelf: Shelf,
    searches: Semaphore,
}

/// Why nobody can watch.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// There is no room.
    #[error("too many people watch logs")]
    Full,
    /// The log cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A log with its marks.
struct Opened {
    extent: Extent,
    marks: Arc<Marks>,
    /// What log and marks are, once both are one file each.
    kept: Option<(Kept, Kept)>,
}

impl Runs {
    /// Pages of the runs of a site.
    pub fn new(site: Arc<Site>) -> Self {
        Self {
            site,
            hub: Arc::default(),
            shelf: Shelf::default(),
            searches: Semaphore::new(SEARCHES),
        }
    }

    /// What is said of a run that nobody knows.
    pub fn unknown(&self) -> Problem {
        self.site.unknown("run")
    }

    /// The page of a run.
    pub async fn model(&self, key: &RunKey, wish: &Wish) -> Result<Model, Problem> {
        let now = Timestamp::now();
        let opened = timeout(PATIENCE, self.opened(key));
        let (facts, opened) = tokio::join!(self.facts(key), opened);
        let facts = facts?.ok_or_else(|| self.unknown())?;
        let log = match opened {
            Ok(Ok(None)) => {
                let is_down = self.site.app.logs.store_is_down();
                Log::Missing(Missing::of(&facts, is_down, now))
            }
            Ok(Ok(Some(opened))) => {
                let shown = timeout(PATIENCE + SEARCH, self.shown(opened, &facts, wish));
                match shown.await {
                    Ok(Ok(shown)) => Log::Shown(Box::new(shown)),
                    Ok(Err(error)) => store_is_down(&error),
                    Err(_) => Log::Missing(Missing::StoreIsDown),
                }
            }
            Ok(Err(error)) => store_is_down(&error),
            Err(_) => Log::Missing(Missing::StoreIsDown),
        };
        Ok(Model {
            facts,
            log,
            held: self.held(key),
            now,
            keeps: self.site.keeps(),
        })
    }

    /// What is known of a run: the object while it lives, else the record, else what is left of the object.
    pub async fn known(&self, key: &RunKey) -> Result<Option<Facts>, Problem> {
        let object = self.object(key);
        let told = object
            .as_ref()
            .map(|run| Facts::of_run(run, &self.site.web));
        if object.is_some_and(|run| facts::is_live(&run)) {
            return Ok(told);
        }
        match kept(self.site.app.records.run(key.repository(), key.run())).await {
            Ok(Some(record)) => Ok(Some(Facts::of_record(record, &self.site.web))),
            Ok(None) => Ok(told),
            Err(_) if told.is_some() => Ok(told),
            Err(problem) => Err(problem),
        }
    }

    /// What keeps some of the log of a run away, as far as is known without asking the store.
    pub fn held(&self, key: &RunKey) -> Held {
        let logs = &self.site.app.logs;
        Held {
            store_is_down: logs.store_is_down(),
            end_later: logs.is_at_head(key),
        }
    }

    fn object(&self, key: &RunKey) -> Option<Arc<BuilderRun>> {
        let object = self.site.cluster.run(key.run());
        object.filter(|run| run.spec.task.repository == key.repository())
    }

    /// What is known of a run and of its builder. Without that history a page says less, and that is all.
    async fn facts(&self, key: &RunKey) -> Result<Option<Facts>, Problem> {
        let Some(facts) = self.known(key).await? else {
            return Ok(None);
        };
        let history = kept(self.site.app.records.builder(&facts.builder)).await;
        Ok(Some(match history.ok().flatten() {
            Some(history) => facts.with_history(&history),
            None => facts,
        }))
    }

    /// The log of a run.
    pub async fn log(&self, key: &RunKey) -> Result<Option<LogReader>, StoreError> {
        self.site
            .app
            .logs
            .open(key.repository(), key.run(), Stream::Log)
            .await
    }

    /// The log of a run, to be read as it is; else why there is none.
    pub async fn text(&self, key: &RunKey) -> Result<LogReader, Problem> {
        let log = self.log(key).await;
        if let Some(log) = log.map_err(|error| Problem::of_store(&error))? {
            return Ok(log);
        }
        let facts = self.known(key).await?.ok_or_else(|| self.unknown())?;
        let is_down = self.site.app.logs.store_is_down();
        Err(match Missing::of(&facts, is_down, Timestamp::now()) {
            Missing::StoreIsDown => Problem::StoreIsDown,
            missing => Problem::NoLog {
                why: missing.sentence(facts.state, &self.site.keeps()),
            },
        })
    }

    async fn streams(&self, key: &RunKey) -> Result<Option<Streams>, StoreError> {
        let marks = self
            .site
            .app
            .logs
            .open(key.repository(), key.run(), Stream::Marks);
        let (log, marks) = tokio::join!(self.log(key), marks);
        Ok(log?.zip(marks?).map(|(log, marks)| Streams {
            log,
            marks,
            plain: plain_text(key.run()),
        }))
    }

    async fn opened(&self, key: &RunKey) -> Result<Option<Opened>, StoreError> {
        // A run that waits has no log, and many may look at its page: nobody else is asked.
        let is_queued = |run: Arc<BuilderRun>| phase_of(&run) == RunPhase::Queued;
        if self.object(key).is_some_and(is_queued) {
            return Ok(None);
        }
        let Some(streams) = self.streams(key).await? else {
            return Ok(None);
        };
        let kept = (streams.log.kept(), streams.marks.kept());
        // Marks come before the bytes that they are about, so the log is looked at first.
        let extent = Extent::of(streams.log).await?;
        Ok(Some(Opened {
            extent,
            marks: self.shelf.marks(key, &streams.marks).await?,
            kept: kept.0.zip(kept.1),
        }))
    }

    async fn shown(&self, opened: Opened, facts: &Facts, wish: &Wish) -> Result<Shown, StoreError> {
        let Opened {
            extent,
            marks,
            kept,
        } = opened;
        let sections = match facts.is_over() {
            true => marks::with_reports(marks.sections(), &facts.reported),
            false => marks.sections(),
        };
        let choice = Choice::of(&extent, &sections, wish).await?;
        let open = choice.open;
        let room = |reports: &[Report]| {
            let none = Window::default();
            let around = steps::steps(&sections, reports, open, &none, facts.is_over());
            window::HTML.saturating_sub(around.into_string().len())
        };
        let bare = room(&vec![Report::None; sections.len()]);
        let reports = reports::reports(&sections, open, choice.summary, bare);
        let (room, plain) = (room(&reports).max(window::LEAST), plain_text(&facts.uid));
        let window = choice
            .window(&extent, &marks, &sections, &plain, room)
            .await?;
        let search = match wish.words() {
            Some(words) => Some((words.to_owned(), self.search(&extent, words).await?)),
            None => None,
        };
        Ok(Shown {
            live_from: (!extent.view.ended).then_some(extent.size),
            view: extent.view,
            signed: kept.and_then(|(log, marks)| signed::compare(facts, &log, &marks)),
            sections,
            reports,
            open,
            window,
            search,
        })
    }

    async fn search(&self, extent: &Extent, words: &str) -> Result<Found, StoreError> {
        match timeout(TURN, self.searches.acquire()).await {
            Ok(Ok(_turn)) => search::search(extent, words).await,
            _ => Ok(Found::busy()),
        }
    }

    /// Lines of a log, or the summary of a step, to be put into its page.
    pub async fn lines(&self, key: &RunKey, wish: &Wish) -> Result<Option<Markup>, StoreError> {
        let Some(Opened { extent, marks, .. }) = self.opened(key).await? else {
            return Ok(None);
        };
        let (sections, plain) = (marks.sections(), plain_text(key.run()));
        let choice = Choice::of(&extent, &sections, wish).await?;
        let section = sections.get(choice.open);
        if choice.summary {
            let report = section.map(|section| Report::of(section, usize::MAX));
            return Ok(match report {
                Some(Report::Whole(html)) => Some(PreEscaped(html)),
                _ => None,
            });
        }
        let window = choice
            .window(&extent, &marks, &sections, &plain, window::HTML)
            .await?;
        let step = section.map(steps::key).unwrap_or_default();
        let (is_earlier, is_later) = (wish.from.is_none(), wish.before.is_none());
        Ok(Some(html! {
            @if is_earlier { (steps::earlier(&window, &step)) }
            (PreEscaped(&window.html))
            @if is_later { (steps::later(&window, &step)) }
        }))
    }

    /// Begins to watch a log from an offset. None where there is no log yet.
    pub async fn watch(&self, key: &RunKey, from: u64) -> Result<Option<Viewer>, WatchError> {
        let Some(streams) = self.streams(key).await? else {
            return Ok(None);
        };
        let name = format!("{}/{}", key.repository(), key.run());
        let viewer = self.hub.watch(&name, streams, from).await?;
        viewer.map(Some).ok_or(WatchError::Full)
    }
}

fn store_is_down(error: &StoreError) -> Log {
    tracing::warn!(%error, "a log cannot be read");
    Log::Missing(Missing::StoreIsDown)
}

/// Address of the plain text of a run, relative to its page.
fn plain_text(uid: &str) -> String {
    format!("{uid}.txt")
}
