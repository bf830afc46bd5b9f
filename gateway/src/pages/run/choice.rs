//! Which section of a log a page opens, and which of its lines: what the address asks for, else what is most
//! interesting.

use std::ops::Range;

use super::{
    Wish,
    extent::Extent,
    line::Frame,
    marks::{Marks, Section},
    number, steps,
    window::{self, Wanted, Window},
};
use crate::store::StoreError;

/// Lines that are shown before one that is pointed at, of the same step.
const LINES_BEFORE: u64 = 20;

/// A section, and what of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The section, by its place.
    pub open: usize,
    /// Its summary is asked for, however long it is.
    pub summary: bool,
    lines: Wanted,
}

impl Choice {
    /// What is asked for of a log with these sections.
    pub async fn of(
        extent: &Extent,
        sections: &[Section],
        wish: &Wish,
    ) -> Result<Self, StoreError> {
        let named = |key: &String| {
            sections
                .iter()
                .position(|section| steps::key(section) == *key)
        };
        let (from, before) = (number(wish.from.as_ref()), number(wish.before.as_ref()));
        let line = number(wish.line.as_ref()).map(|line| line.saturating_sub(1));
        let summary = wish.summary.as_ref().and_then(named);
        let step = summary.or(wish.step.as_ref().and_then(named));
        let (open, lines) = match (line, from, before, step) {
            (Some(line), ..) => (
                extent.section_of(sections, line).await?,
                Wanted::From(line.saturating_sub(LINES_BEFORE)),
            ),
            (None, Some(from), ..) => {
                let line = from.saturating_sub(1);
                (extent.section_of(sections, line).await?, Wanted::From(line))
            }
            (None, None, Some(before), _) => {
                let last = before.saturating_sub(2);
                (
                    extent.section_of(sections, last).await?,
                    Wanted::Before(last + 1),
                )
            }
            (None, None, None, Some(step)) => (step, Wanted::Before(u64::MAX)),
            (None, None, None, None) if extent.view.ended => {
                (steps::interesting(sections), Wanted::Before(u64::MAX))
            }
            (None, None, None, None) => (steps::interesting(sections), Wanted::Newest),
        };
        Ok(Self {
            open,
            summary: summary == Some(open),
            lines,
        })
    }

    /// The lines, as many as fit into so many bytes of HTML. `plain` is the address of the plain text.
    pub async fn window(
        self,
        extent: &Extent,
        marks: &Marks,
        sections: &[Section],
        plain: &str,
        room: usize,
    ) -> Result<Window, StoreError> {
        let lines: Range<u64> = match sections.get(self.open) {
            Some(section) => extent.lines_of(section).await?,
            None => 0..extent.lines,
        };
        let frame = Frame { plain };
        window::window(extent, marks, lines, self.lines, frame, room).await
    }
}
