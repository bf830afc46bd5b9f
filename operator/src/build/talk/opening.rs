//! What is said once the build is there: its comment, and that its label comes off.

use crds::{TriggerKind, condition::kind};

use super::{Speaker, announced, say};
use crate::{
    build::place::has_object,
    queue::Next,
    report::{
        Draft, LabelOutcome, Opening, TalkError, announce, comment::marker, comment_due::News,
        pace::Cost,
    },
};

impl Speaker<'_> {
    /// Writes the comment and takes the label off.
    pub(super) async fn open(&self) -> Result<Next, TalkError> {
        let (ctx, request) = (self.ctx, &self.build.spec.request);
        let announced = self.is_said(kind::ANNOUNCED);
        let label = match (request.trigger.kind, &request.trigger.label) {
            (TriggerKind::Label, Some(label)) => Some(label.as_str()),
            _ => {
                let why = "no label asked for this build".to_owned();
                say(ctx, self.uid, kind::LABEL_REMOVED, false, "NotNeeded", why);
                None
            }
        };
        let label = label.filter(|_| !self.is_said(kind::LABEL_REMOVED));
        let cost = if announced {
            Cost::Label
        } else {
            Cost::Comment
        };
        let mut turn = ctx.reporter.turn(&self.connection, cost).await;
        let (text, news) = self.text();
        let maybe = ctx.live_builds.update(self.uid, |live| live.maybe_posted);
        let marker = marker(self.uid);
        let draft = Draft {
            marker: &marker,
            text: &text,
            maybe_posted: maybe.then_some(request.trigger.time.0),
        };
        let opening = Opening {
            number: request.number,
            comment: (!announced).then_some(draft),
            label: label.map(|label| (&request.trigger, label)),
        };
        let handled = |event| {
            let (repository, number) = (&request.repository.name, request.number);
            has_object(ctx, repository, number, &request.trigger, event)
        };
        let opened = announce::open(&self.repo, &opening, handled).await;
        for error in [
            opened.comment.as_ref().and_then(|it| it.as_ref().err()),
            opened.label.as_ref().and_then(|it| it.as_ref().err()),
        ]
        .into_iter()
        .flatten()
        {
            turn.heard(&error.source);
        }
        drop(turn);
        let comment = opened.comment.map_or(Ok(None), |posted| {
            self.posted(posted, &text, news).map(Some)
        });
        let label = match (opened.label, label) {
            (Some(outcome), Some(label)) => outcome.map(|outcome| {
                let (reason, message) = outcome.condition(label);
                Some((outcome == LabelOutcome::Removed, reason, message))
            }),
            _ => Ok(None),
        };
        // Both are noted before either is tried again.
        let comment = self.outcome(kind::ANNOUNCED, comment);
        let label = self.outcome(kind::LABEL_REMOVED, label);
        Ok(comment?.or(label?))
    }

    /// Notes that the comment stands and what it shows.
    fn posted(
        &self,
        posted: Result<i64, TalkError>,
        text: &str,
        news: News,
    ) -> Result<(bool, &'static str, String), TalkError> {
        let live = &self.ctx.live_builds;
        let id = posted.inspect_err(|error| {
            live.update(self.uid, |live| live.maybe_posted |= error.is_uncertain());
        })?;
        let found = live.update(self.uid, |live| {
            live.comment.id = Some(id);
            live.maybe_posted
        });
        if found {
            // It may be an older text that stands there.
            return Ok((true, announced::STANDS, format!("comment {id}")));
        }
        Ok(self.shows(id, text, news))
    }
}
