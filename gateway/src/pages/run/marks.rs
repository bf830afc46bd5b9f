//! Marks of a log become what the page needs: its sections, one for each step, and a clock that says
//! when a byte was printed. A pull request's code can write marks, so they are read with suspicion: what
//! makes no sense is left out, and everything is bounded.

use protocol::{
    StepReport, StepResult,
    log::{Mark, MarkKind, SUMMARY_LIMIT},
};

use crate::pages::text;

/// Sections of one page.
pub const SECTIONS: usize = 64;
/// Characters of a step's name.
const NAME: usize = 120;

/// A part of the log: a step, or what is outside of every step.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// The step's number; none for what comes before the first one, and for a log without marks.
    pub step: Option<u32>,
    /// Its name.
    pub name: String,
    /// Offset of its first byte.
    pub from: u64,
    /// Offset behind its last byte; absent where that is the end of the log.
    pub to: Option<u64>,
    /// When it began.
    pub began_ms: Option<i64>,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// How it ended.
    pub result: Option<StepResult>,
    /// Its exit code.
    pub exit: Option<i32>,
    /// Its summary, Markdown.
    pub summary: Option<String>,
    /// Seconds that it took, where the record says so.
    pub reported_seconds: Option<f64>,
}

impl Section {
    fn new(step: Option<u32>, name: String, from: u64) -> Self {
        Self {
            step,
            name,
            from,
            to: None,
            began_ms: None,
            ended_ms: None,
            result: None,
            exit: None,
            summary: None,
            reported_seconds: None,
        }
    }

    /// Seconds that it took, where it has ended.
    pub fn seconds(&self) -> Option<f64> {
        let marked = self.ended_ms.zip(self.began_ms);
        let marked = marked.map(|(end, begin)| end.saturating_sub(begin).max(0) as f64 / 1000.0);
        marked.or(self.reported_seconds)
    }

    /// Whether it began and has not ended.
    pub fn is_open(&self) -> bool {
        self.step.is_some() && self.began_ms.is_some() && self.result.is_none()
    }

    /// Whether it ended as it should not.
    pub fn is_bad(&self) -> bool {
        use StepResult::{Cancelled, Failed, TimedOut};
        matches!(self.result, Some(Failed | TimedOut | Cancelled))
    }
}

/// All marks of a log that make sense.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    sections: Vec<Section>,
    /// Offset and time of each mark, both growing.
    times: Vec<(u64, i64)>,
    last: u64,
    /// The beginning of a line that has not arrived whole.
    rest: Vec<u8>,
}

/// A mark that changed what the page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A section began; its place among the sections.
    Began(usize),
    /// A section ended, or has a summary now.
    Changed(usize),
}

impl Marks {
    /// Reads the whole stream.
    #[cfg(test)]
    pub fn read(bytes: &[u8]) -> Self {
        let mut marks = Self::default();
        marks.push(bytes, |_, _| ());
        marks
    }

    /// Takes the bytes that follow; says what changed, and at which offset of the log.
    pub fn push(&mut self, bytes: &[u8], mut changed: impl FnMut(u64, Change)) {
        self.rest.extend_from_slice(bytes);
        let rest = std::mem::take(&mut self.rest);
        let mut lines = rest.split(|byte| *byte == b'\n');
        let last = lines.next_back().unwrap_or_default();
        for mark in lines.filter_map(|line| serde_json::from_slice(line).ok()) {
            if let Some(change) = self.take(mark) {
                changed(self.last, change);
            }
        }
        self.rest = last.to_vec();
    }

    fn take(&mut self, mark: Mark) -> Option<Change> {
        // Nothing goes back: not the offset, and not the clock.
        self.last = self.last.max(mark.at);
        let ms = self
            .times
            .last()
            .map_or(mark.ms, |(_, ms)| mark.ms.max(*ms));
        self.times.push((self.last, ms));
        match mark.what {
            MarkKind::Time => None,
            MarkKind::Step { n, name } => self.begin(n, &name, ms),
            MarkKind::End { n, result, exit } => {
                let place = self.place(n)?;
                let section = &mut self.sections[place];
                if section.result.is_some() {
                    return None;
                }
                (section.result, section.exit) = (Some(result), exit);
                section.ended_ms = Some(ms);
                Some(Change::Changed(place))
            }
            MarkKind::Summary { n, text } => {
                let place = self.place(n)?;
                if text.len() > SUMMARY_LIMIT {
                    return None;
                }
                self.sections[place].summary = Some(text);
                Some(Change::Changed(place))
            }
        }
    }

    fn begin(&mut self, n: u32, name: &str, ms: i64) -> Option<Change> {
        let newest = self
            .sections
            .iter()
            .filter_map(|section| section.step)
            .max();
        if newest.is_some_and(|newest| n <= newest) || self.sections.len() >= SECTIONS {
            return None;
        }
        if self.sections.is_empty() && self.last > 0 {
            let before = Section::new(None, "Before the first step".to_owned(), 0);
            self.sections.push(before);
        }
        if let Some(before) = self.sections.last_mut() {
            before.to = Some(self.last);
        }
        let mut section = Section::new(Some(n), text::plain(name, NAME), self.last);
        section.began_ms = Some(ms);
        self.sections.push(section);
        Some(Change::Began(self.sections.len() - 1))
    }

    fn place(&self, n: u32) -> Option<usize> {
        self.sections
            .iter()
            .position(|section| section.step == Some(n))
    }

    /// Sections in their order, at least one: a log without marks is one plain section.
    pub fn sections(&self) -> Vec<Section> {
        match self.sections.is_empty() {
            true => vec![Section::new(None, "Log".to_owned(), 0)],
            false => self.sections.clone(),
        }
    }

    /// A section by its place, as [`Change`] names it.
    pub fn section(&self, place: usize) -> Option<&Section> {
        self.sections.get(place)
    }

    /// When a byte was printed, in milliseconds since 1970.
    pub fn time_at(&self, offset: u64) -> Option<i64> {
        let after = self.times.partition_point(|(at, _)| *at <= offset);
        Some(self.times.get(after.checked_sub(1)?)?.1)
    }
}

/// Adds what the record knows of the steps: those that were skipped have no marks, and those whose marks
/// are lost have a result all the same.
pub fn with_reports(mut sections: Vec<Section>, reports: &[StepReport]) -> Vec<Section> {
    for (n, report) in (1u32..).zip(reports.iter().take(SECTIONS)) {
        match sections.iter_mut().find(|section| section.step == Some(n)) {
            Some(section) => {
                section.result = section.result.or(Some(report.result));
                section.exit = section.exit.or(report.exit_code);
                section.reported_seconds = Some(report.seconds);
            }
            None => insert(&mut sections, n, report),
        }
    }
    sections
}

/// A step without lines, in its place among the others. Without any marks the log is one section, and
/// the steps stand before it.
fn insert(sections: &mut Vec<Section>, n: u32, report: &StepReport) {
    let unmarked = sections.iter().all(|section| section.began_ms.is_none());
    let comes_before = |section: &&Section| match section.step {
        Some(step) => step < n,
        None => !unmarked,
    };
    let place = sections.iter().take_while(comes_before).count();
    let mut section = Section::new(Some(n), text::plain(&report.name, NAME), 0);
    section.to = Some(0);
    section.result = Some(report.result);
    section.exit = report.exit_code;
    section.reported_seconds = Some(report.seconds);
    sections.insert(place, section);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(lines: &[&str]) -> Marks {
        Marks::read((lines.join("\n") + "\n").as_bytes())
    }

    const TWO: [&str; 6] = [
        r#"{"at":0,"ms":1000,"mark":"step","n":0,"name":"Check out"}"#,
        r#"{"at":50,"ms":3500,"mark":"end","n":0,"result":"Passed","exit":0}"#,
        r#"{"at":50,"ms":4000,"mark":"step","n":1,"name":"Test"}"#,
        r#"{"at":80,"ms":5000,"mark":"time"}"#,
        r##"{"at":90,"ms":6000,"mark":"summary","n":1,"text":"# Sum"}"##,
        r#"{"at":90,"ms":6000,"mark":"end","n":1,"result":"Failed","exit":2}"#,
    ];

    #[test]
    fn steps_become_sections_that_follow_one_another() {
        let sections = marks(&TWO).sections();
        let ranges: Vec<_> = sections.iter().map(|s| (s.step, s.from, s.to)).collect();
        assert_eq!(ranges, [(Some(0), 0, Some(50)), (Some(1), 50, None)]);
        assert_eq!(sections[0].seconds(), Some(2.5));
        assert!(!sections[0].is_bad() && sections[1].is_bad());
        assert_eq!(sections[1].summary.as_deref(), Some("# Sum"));
    }

    #[test]
    fn the_clock_tells_when_a_byte_was_printed() {
        let marks = marks(&TWO);
        let times: Vec<_> = [0, 49, 50, 79, 80, 1000].map(|at| marks.time_at(at)).into();
        let expected = [1000, 1000, 4000, 4000, 5000, 6000].map(Some);
        assert_eq!(times, expected);
        assert_eq!(Marks::default().time_at(5), None);
    }

    #[test]
    fn marks_that_arrive_in_pieces_say_what_changed_once() {
        let text = TWO.join("\n") + "\n";
        let (mut marks, mut changes) = (Marks::default(), Vec::new());
        for piece in text.as_bytes().chunks(7) {
            marks.push(piece, |at, change| changes.push((at, change)));
        }
        let expected = [
            (0, Change::Began(0)),
            (50, Change::Changed(0)),
            (50, Change::Began(1)),
            (90, Change::Changed(1)),
            (90, Change::Changed(1)),
        ];
        assert_eq!(changes, expected);
    }

    #[test]
    fn marks_that_make_no_sense_do_no_harm() {
        let marks = marks(&[
            "",
            "no JSON",
            "{}",
            "[1]",
            r#"{"at":90,"ms":9223372036854775807,"mark":"step","n":3,"name":"\u202e<b>"}"#,
            r#"{"at":10,"ms":-9223372036854775808,"mark":"end","n":3,"result":"Passed"}"#,
            r#"{"at":10,"ms":1,"mark":"end","n":3,"result":"Failed"}"#,
            r#"{"at":10,"ms":1,"mark":"step","n":3,"name":"again"}"#,
            r#"{"at":10,"ms":1,"mark":"step","n":1,"name":"back"}"#,
            r#"{"at":10,"ms":1,"mark":"end","n":9,"result":"Passed"}"#,
            r#"{"at":10,"ms":1,"mark":"newer","n":9}"#,
            r#"{"at":18446744073709551615,"ms":1,"mark":"step","n":4,"name":"x"}"#,
        ]);
        let sections = marks.sections();
        let found: Vec<_> = sections.iter().map(|s| (s.step, s.from, s.to)).collect();
        let expected = [
            (None, 0, Some(90)),
            (Some(3), 90, Some(u64::MAX)),
            (Some(4), u64::MAX, None),
        ];
        assert_eq!(found, expected);
        assert_eq!(sections[1].name, "‹U+202E›<b>");
        assert_eq!(sections[1].result, Some(StepResult::Passed));
        assert_eq!(sections[1].seconds(), Some(0.0));
    }

    #[test]
    fn steps_without_end_are_no_more_than_a_page_holds() {
        let line = |n: u32| {
            format!(
                r#"{{"at":{n},"ms":1,"mark":"step","n":{n},"name":"{}"}}"#,
                "x".repeat(500)
            )
        };
        let lines: Vec<String> = (1..5000).map(line).collect();
        let marks = Marks::read((lines.join("\n") + "\n").as_bytes());
        assert_eq!(marks.sections().len(), SECTIONS);
        assert_eq!(marks.sections()[5].name.chars().count(), NAME + 1);
    }

    #[test]
    fn a_log_without_marks_is_one_plain_section() {
        let sections = Marks::read(b"garbage").sections();
        assert_eq!(
            (sections.len(), sections[0].step, sections[0].to),
            (1, None, None)
        );
        assert_eq!(sections[0].name, "Log");
    }

    fn report(name: &str, result: StepResult) -> StepReport {
        StepReport {
            name: name.to_owned(),
            result,
            exit_code: None,
            seconds: 1.0,
        }
    }

    #[test]
    fn a_skipped_step_stands_in_its_place() {
        let reports = [
            report("Test", StepResult::Failed),
            report("Upload", StepResult::Skipped),
        ];
        let sections = with_reports(marks(&TWO).sections(), &reports);
        let found: Vec<_> = sections.iter().map(|s| (s.step, s.result)).collect();
        use StepResult::{Failed, Passed, Skipped};
        let expected = [
            (Some(0), Some(Passed)),
            (Some(1), Some(Failed)),
            (Some(2), Some(Skipped)),
        ];
        assert_eq!(found, expected);
        assert_eq!(sections[2].from, sections[2].to.unwrap());
    }

    #[test]
    fn a_log_without_marks_has_the_reported_steps_before_it() {
        let reports = [report("Test", StepResult::Passed)];
        let sections = with_reports(Marks::default().sections(), &reports);
        let steps: Vec<_> = sections.iter().map(|s| s.step).collect();
        assert_eq!(steps, [Some(1), None]);
        assert_eq!((sections[0].from, sections[0].to), (0, Some(0)));
    }
}
