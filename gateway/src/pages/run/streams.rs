//! The streams of a run, read as they grow, into a [`Renderer`].

use std::time::Duration;

use tokio::time::timeout;

use super::{
    extent::Extent,
    render::{Renderer, too_far},
};
use crate::{logs::LogReader, store::StoreError};

/// Bytes of a log that are rendered at once.
const READ: u64 = 64 * 1024;
/// Lines that are rendered at once.
const LINES: usize = 1000;
/// Lines that a reader may be behind.
const LINES_BEHIND: u64 = 5000;
/// Lines before the end at which it goes on.
const LINES_AGAIN: u64 = 500;

/// The two streams of a run.
#[derive(Clone)]
pub struct Streams {
    /// What was printed.
    pub log: LogReader,
    /// What it means.
    pub marks: LogReader,
    /// Address of the plain text, relative to the page.
    pub plain: String,
}

impl Streams {
    /// Waits until one of the streams has more or ended, at most that long.
    pub async fn grown(&self, log: u64, marks: u64, wait: Duration) {
        let either = async {
            tokio::select! {
                () = self.log.grown(log) => {}
                () = self.marks_grown(marks) => {}
            }
        };
        // That it took too long is for whoever waits to see.
        let _ = timeout(wait, either).await;
    }

    /// Waits until there are more marks. That there will be none is nothing to wake up for.
    async fn marks_grown(&self, marks: u64) {
        self.marks.grown(marks).await;
        if self.marks.view().size <= marks {
            std::future::pending::<()>().await;
        }
    }

    /// Renders what has come, marks first; `marks` is how much of them was. Whether the log has ended and
    /// all of it is rendered.
    pub async fn render(
        &self,
        renderer: &mut Renderer,
        marks: &mut u64,
    ) -> Result<bool, StoreError> {
        let view = self.log.view();
        self.push_marks(renderer, marks).await?;
        let lines_behind = view.lines.saturating_sub(renderer.line());
        if lines_behind > LINES_BEHIND || too_far(renderer.done(), view.size).is_some() {
            self.jump(renderer).await?;
        }
        let from = renderer.offset();
        let bytes = self.log.read(from..view.size.min(from + READ)).await?;
        renderer.push(few_lines(&bytes));
        let is_end = view.ended && renderer.offset() >= view.size;
        if is_end {
            renderer.finish();
        }
        Ok(is_end)
    }

    /// Hands on the marks that have come.
    pub async fn push_marks(
        &self,
        renderer: &mut Renderer,
        marks: &mut u64,
    ) -> Result<(), StoreError> {
        let size = self.marks.view().size;
        while *marks < size {
            let bytes = self.marks.read(*marks..size).await?;
            if bytes.is_empty() {
                break;
            }
            *marks += bytes.len() as u64;
            renderer.push_marks(&bytes);
        }
        Ok(())
    }

    /// Goes on near the end of a log where so much was missed that nobody would read it.
    pub async fn jump(&self, renderer: &mut Renderer) -> Result<(), StoreError> {
        let extent = Extent::of(self.log.clone()).await?;
        let left_out = too_far(renderer.done(), extent.size);
        let mut line = match &left_out {
            Some(left_out) => extent.first_line(left_out.end).await?,
            None => renderer.line(),
        };
        if extent.lines.saturating_sub(line) > LINES_BEHIND {
            line = extent.lines - LINES_AGAIN;
        }
        if line > renderer.line() {
            renderer.jump(extent.offset_of(line).await?, line);
        }
        Ok(())
    }
}

/// As much of some bytes as has no more than [`LINES`] lines: empty ones make a hundred times their size.
pub(super) fn few_lines(bytes: &[u8]) -> &[u8] {
    let mut ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    match ends.nth(LINES - 1) {
        Some((last, _)) => &bytes[..=last],
        None => bytes,
    }
}
