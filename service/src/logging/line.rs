//! An event as a line of JSON: what `tracing-subscriber` writes of it, to the letter, but in one piece of
//! memory. Its own way leads each field, and each part of a field, through several writers.

use std::fmt::{self, Write as _};

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Json, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Bytes of a usual line.
const USUAL: usize = 512;

/// Writes each event as a line.
pub(super) struct Lines {
    /// Writes what happens within a span, of which libraries tell that are asked for every detail.
    within_spans: Format<Json>,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            within_spans: Format::default().json().flatten_event(true),
        }
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if context.lookup_current().is_some() || event.parent().is_some() {
            return self.within_spans.format_event(context, writer, event);
        }
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let about = event.metadata();
        let mut line = Line(Vec::with_capacity(USUAL));
        line.add("timestamp", &time);
        line.add("level", about.level().as_str());
        event.record(&mut line);
        line.add("target", about.target());
        line.0.extend_from_slice(b"}\n");
        let text = std::str::from_utf8(&line.0).map_err(|_| fmt::Error)?;
        writer.write_str(text)
    }
}

/// A line that is being written.
struct Line(Vec<u8>);

impl Line {
    fn add<V: Serialize + ?Sized>(&mut self, name: &str, value: &V) {
        let first = self.0.is_empty();
        self.0.push(if first { b'{' } else { b',' });
        self.write(name);
        self.0.push(b':');
        self.write(value);
    }

    fn write<V: Serialize + ?Sized>(&mut self, value: &V) {
        // No text, number or word fails on its way into memory.
        let _ = serde_json::to_writer(&mut self.0, value);
    }
}

impl Visit for Line {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name(), &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name(), &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field.name(), &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field.name(), &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing::Dispatch;
    use tracing_subscriber::fmt::format::JsonFields;

    use super::*;

    /// What was written.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn tell() {
        let nothing: Option<&str> = None;
        tracing::info!(
            delivery = "a \"b\" \\ \n \u{1b}[1m ü",
            count = 7_u64,
            below = -7_i64,
            took_ms = 0.35,
            swept = false,
            reason = nothing,
            "{} of {:?}",
            1,
            "two"
        );
        let error = io::Error::other("it\tbroke");
        tracing::warn!(%error, kind = ?Some(1), none = f64::NAN, "");
        tracing::error!(name = "no message");
        let span = tracing::info_span!("within", id = 3);
        let _within = span.enter();
        tracing::info!(deep = true, "told of");
    }

    /// What is written by this subscriber, without the times.
    fn written(by: impl FnOnce(Paper) -> Dispatch) -> Vec<String> {
        let paper = Paper::default();
        tracing::dispatcher::with_default(&by(paper.clone()), tell);
        let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(|line| {
            let (time, rest) = line.split_once(',').unwrap();
            assert!(
                time.starts_with("{\"timestamp\":\"20") && time.ends_with("Z\""),
                "{line}"
            );
            rest.to_owned()
        });
        lines.collect()
    }

    #[test]
    fn a_line_is_to_the_letter_what_tracing_would_write() {
        let theirs = written(|paper| {
            let lines = tracing_subscriber::fmt().json().flatten_event(true);
            Dispatch::new(lines.with_writer(move || paper.clone()).finish())
        });
        let ours = written(|paper| {
            let lines = tracing_subscriber::fmt()
                .with_ansi(false)
                .fmt_fields(JsonFields::new())
                .event_format(Lines::default());
            Dispatch::new(lines.with_writer(move || paper.clone()).finish())
        });
        assert_eq!(theirs.len(), 4);
        assert_eq!(ours, theirs);
    }
}
