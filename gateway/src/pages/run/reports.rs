//! Which summaries of steps a page shows at once: few enough that the page is small. The others are a link
//! away.

use super::{markdown, marks::Section};

/// Bytes of HTML of all summaries that are in a page at first, and of one that is sent to who follows a log.
pub const AT_FIRST: usize = 16 * 1024;

/// What a page has of the summary of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// There is none.
    None,
    /// All of it, as HTML.
    Whole(String),
    /// A link to it.
    Link,
}

impl Report {
    /// The summary of a step where it fits into so many bytes of HTML, else a link to it.
    pub fn of(section: &Section, room: usize) -> Self {
        let Some(text) = &section.summary else {
            return Self::None;
        };
        // HTML is hardly ever half as long as its Markdown, which then need not be read.
        if text.len() / 2 > room {
            return Self::Link;
        }
        let html = markdown::render(text);
        match html.len() <= room {
            true => Self::Whole(html),
            false => Self::Link,
        }
    }

    fn length(&self) -> usize {
        match self {
            Self::Whole(html) => html.len(),
            Self::None | Self::Link => 0,
        }
    }
}

/// The summaries of all steps of a page that has so much room, that of the open step first. It is there
/// whatever it takes where somebody asked for it.
pub fn reports(sections: &[Section], open: usize, is_asked: bool, room: usize) -> Vec<Report> {
    let mut room = room.min(AT_FIRST);
    let mut reports = vec![Report::None; sections.len()];
    let others = (0..sections.len()).filter(|place| *place != open);
    for place in std::iter::once(open).chain(others) {
        let Some(section) = sections.get(place) else {
            continue;
        };
        let limit = match is_asked && place == open {
            true => usize::MAX,
            false => room,
        };
        let report = Report::of(section, limit);
        room = room.saturating_sub(report.length());
        reports[place] = report;
    }
    reports
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::marks::Marks, *};

    fn sections(summaries: &[&str]) -> Vec<Section> {
        let mut lines = String::new();
        for (n, text) in (1..).zip(summaries) {
            for mark in [
                json!({ "at": n, "ms": n, "mark": "step", "n": n, "name": "x" }),
                json!({ "at": n, "ms": n, "mark": "summary", "n": n, "text": text }),
            ] {
                lines += &format!("{mark}\n");
            }
        }
        // What was printed before the first step is a section of its own.
        Marks::read(lines.as_bytes()).sections().split_off(1)
    }

    #[test]
    fn the_open_step_comes_first_and_then_as_many_as_fit() {
        let half = "a ".repeat(AT_FIRST / 4);
        let sections = sections(&[&half, "short", &half, &half, "short too"]);
        let reports = reports(&sections, 3, false, usize::MAX);
        let whole = |report: &Report| matches!(report, Report::Whole(_));
        let found: Vec<bool> = reports.iter().map(whole).collect();
        // The half of the first and that of the open one are more than all with what is around them.
        assert_eq!(found, [false, true, false, true, true]);
        let length: usize = reports.iter().map(Report::length).sum();
        assert!(length <= AT_FIRST, "{length}");
    }

    #[test]
    fn a_summary_that_somebody_asked_for_is_there_however_long_it_is() {
        let long = "a ".repeat(AT_FIRST);
        let sections = sections(&[&long, "short"]);
        assert_eq!(reports(&sections, 0, false, AT_FIRST)[0], Report::Link);
        let asked = reports(&sections, 0, true, AT_FIRST);
        assert!(asked[0].length() > AT_FIRST);
        assert_eq!(asked[1], Report::Link);
        assert_eq!(reports(&sections, 0, false, 9)[1], Report::Link);
        assert_eq!(
            Report::of(
                &Section {
                    summary: None,
                    ..sections[0].clone()
                },
                9
            ),
            Report::None
        );
    }
}
