//! How much of a log is shown, and which of its lines belong to which section.

use std::ops::Range;

use super::marks::Section;
use crate::{
    logs::{LogReader, View},
    store::StoreError,
};

/// A log as it is at one moment. While it grows, a line that has not ended is not counted: it comes with
/// what follows.
#[derive(Clone)]
pub struct Extent {
    reader: LogReader,
    /// What the reader said.
    pub view: View,
    /// Bytes that are shown.
    pub size: u64,
    /// Lines that are shown.
    pub lines: u64,
}

impl Extent {
    /// The extent of a log now.
    pub async fn of(reader: LogReader) -> Result<Self, StoreError> {
        let view = reader.view();
        let (mut size, mut lines) = (view.size, view.lines);
        if !view.ended && size > 0 && *reader.read(size - 1..size).await? != *b"\n" {
            lines = reader.line_at(size).await?;
            size = reader.offset_of_line(lines).await?.unwrap_or(0).min(size);
        }
        Ok(Self {
            reader,
            view,
            size,
            lines,
        })
    }

    /// Where the bytes are.
    pub fn reader(&self) -> &LogReader {
        &self.reader
    }

    /// Number of the first line, from 0, that begins at an offset or behind it.
    pub async fn first_line(&self, offset: u64) -> Result<u64, StoreError> {
        if offset == 0 || offset >= self.size {
            return Ok(if offset == 0 { 0 } else { self.lines });
        }
        let line = self.reader.line_at(offset).await?;
        let begins = self.reader.offset_of_line(line).await? == Some(offset);
        Ok((line + u64::from(!begins)).min(self.lines))
    }

    /// Numbers of the lines of a section, from 0.
    pub async fn lines_of(&self, section: &Section) -> Result<Range<u64>, StoreError> {
        let first = self.first_line(section.from).await?;
        let next = match section.to {
            Some(to) => self.first_line(to).await?,
            None => self.lines,
        };
        Ok(first..next.max(first))
    }

    /// Offset at which a line begins; the end where there is no such line.
    pub async fn offset_of(&self, line: u64) -> Result<u64, StoreError> {
        if line >= self.lines {
            return Ok(self.size);
        }
        let offset = self.reader.offset_of_line(line).await?;
        Ok(offset.unwrap_or(self.size).min(self.size))
    }

    /// The section that a line is in, by its place.
    pub async fn section_of(&self, sections: &[Section], line: u64) -> Result<usize, StoreError> {
        let offset = self
            .offset_of(line.min(self.lines.saturating_sub(1)))
            .await?;
        let holds =
            |section: &Section| section.from <= offset && section.to.is_none_or(|to| offset < to);
        Ok(sections
            .iter()
            .position(holds)
            .unwrap_or(sections.len().saturating_sub(1)))
    }
}
