//! The comment follows the build: it is edited when that is worth it, and at the end.

use std::time::Duration;

use crds::condition::kind;
use kube::ResourceExt;
use tokio::time::Instant;

use super::{SLOWLY, Speaker, Told, announced, hash, is_over, news, say};
use crate::{
    context::of_build,
    queue::Next,
    report::{
        Retry, TalkError, announce,
        comment_due::{Due, due},
        pace::Cost,
    },
};

/// The comment says which tests fail elsewhere, too, if that is known this soon.
const LOOK_UP_PATIENCE: Duration = Duration::from_millis(500);

/// Who gets a turn this soon has the same to say as before.
const AT_ONCE: Duration = Duration::from_millis(20);

impl Speaker<'_> {
    /// Edits the comment when that is due.
    pub(super) async fn keep_up(&self) -> Result<Next, TalkError> {
        let status = self.build.status.as_ref();
        let shown = self.ctx.live_builds.update(self.uid, |live| live.comment);
        let Some(id) = shown.id.or(status.and_then(|status| status.comment_id)) else {
            return Ok(Next::Wait);
        };
        if status.is_some_and(is_over) {
            return Ok(Next::Wait);
        }
        match due(&shown, news(&self.sum()), Instant::now()) {
            Due::Not => return Ok(Next::Wait),
            Due::After(wait) => return Ok(Next::After(wait)),
            Due::Now => {}
        }
        self.look_up().await;
        let (text, news) = self.text();
        if shown.text != Some(hash(&text)) {
            let asked = Instant::now();
            let mut turn = self.ctx.reporter.turn(&self.connection, Cost::Edit).await;
            // While it waited for its turn, there may be more to say.
            let (text, news) = match asked.elapsed() < AT_ONCE {
                true => (text, news),
                false => self.text(),
            };
            let number = self.build.spec.request.number;
            let edited = announce::edit(&self.repo, number, id, &text).await;
            if let Err(error) = &edited {
                turn.heard(&error.source);
            }
            drop(turn);
            self.ctx.live_builds.update(self.uid, |live| {
                live.comment.edited = Some(Instant::now());
            });
            let said = edited.map(|()| Some(self.shows(id, &text, news)));
            return self.edited(id, said);
        }
        let said = self.shows(id, &text, news);
        self.edited(id, Ok(Some(said)))
    }

    /// Waits a moment until it is known which tests fail elsewhere, too.
    async fn look_up(&self) {
        let Some(recorder) = &self.ctx.recorder else {
            return;
        };
        let runs = self.ctx.cache.runs.group(&of_build(self.uid));
        let asked = runs
            .iter()
            .map(|run| recorder.look_up(run, LOOK_UP_PATIENCE));
        futures::future::join_all(asked).await;
    }

    /// Notes what became of an edit.
    fn edited(&self, id: i64, edited: Told) -> Result<Next, TalkError> {
        let live = &self.ctx.live_builds;
        let next = match edited {
            Err(error) if error.retry() == Retry::Never => {
                let message = format!("comment {id} was deleted, and shows no result");
                live.update(self.uid, |live| live.comment.result = true);
                let gone = announced::GONE;
                say(self.ctx, self.uid, kind::ANNOUNCED, true, gone, message);
                Next::Wait
            }
            Err(error) if error.retry() == Retry::Slowly => {
                let build = self.build.name_any();
                tracing::warn!(build, %error, "the comment of a build cannot be edited; somebody has to look");
                Next::After(SLOWLY)
            }
            edited => self.outcome(kind::ANNOUNCED, edited)?,
        };
        if let Next::After(wait) = next {
            live.update(self.uid, |live| {
                live.comment.not_before = Some(Instant::now() + wait);
            });
            return Ok(next);
        }
        self.ctx.queues.builds.add(&self.build.name_any());
        // There may be more by now.
        let shown = live.update(self.uid, |live| live.comment);
        Ok(match due(&shown, news(&self.sum()), Instant::now()) {
            Due::Now => Next::After(Duration::ZERO),
            Due::After(wait) => Next::After(wait),
            Due::Not => Next::Wait,
        })
    }
}
