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
        if too_far(renderer.done(), view.size).is_some() {
            self.jump(renderer).await?;
        }
        let from = renderer.offset();
        let bytes = self.log.read(from..view.size.min(from + READ)).await?;
        renderer.push(&bytes);
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

    /// Goes on near the end of a log that grows faster than anybody reads.
    pub async fn jump(&self, renderer: &mut Renderer) -> Result<(), StoreError> {
        let extent = Extent::of(self.log.clone()).await?;
        let Some(left_out) = too_far(renderer.done(), extent.size) else {
            return Ok(());
        };
        let line = extent.first_line(left_out.end).await?;
        if line > renderer.line() {
            renderer.jump(extent.offset_of(line).await?, line);
        }
        Ok(())
    }
}
