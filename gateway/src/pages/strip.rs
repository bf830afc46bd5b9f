//! The last runs of a builder as a strip: height is duration, colour is result, a line is the median.

use maud::{Markup, html};
use protocol::record::HistoryRun;
use serde::Serialize;

use super::{state::State, text::Foreign, words};

/// Runs that a strip shows.
pub const RUNS: usize = 40;
/// Height of the tallest bar, in times of the median: one run that hung shall not make all others flat.
const TALLEST: f64 = 2.0;

/// A run, for strips and tables.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Past {
    /// Uid of the run.
    pub run: String,
    /// Name of the Repository object.
    pub repository: String,
    /// Number of the pull request.
    pub number: i64,
    /// How it ended.
    pub state: State,
    /// Passed, with a warning.
    pub warning: bool,
    /// When it ended.
    pub finished: words::Moment,
    /// Seconds that its steps took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

impl Past {
    /// Of a builder's history.
    pub fn of(run: &HistoryRun) -> Self {
        Self {
            run: run.run.clone(),
            repository: run.repository.clone(),
            number: run.number,
            state: run.result.into(),
            warning: run.warning,
            finished: words::Moment(words::of_ms(run.finished_ms)),
            seconds: run.seconds,
        }
    }
}

/// How large a strip is, in pixels.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// From one bar to the next.
    pub step: u32,
    /// Of the tallest bar.
    pub height: u32,
}

impl Size {
    /// Of the signs below the bars.
    fn sign(self) -> u32 {
        self.step.min(10)
    }
}

/// In a table.
pub const SMALL: Size = Size {
    step: 6,
    height: 22,
};
/// On a page of its own.
pub const LARGE: Size = Size {
    step: 16,
    height: 96,
};

/// The median of these; none where there are none.
pub fn median(seconds: impl IntoIterator<Item = f64>) -> Option<f64> {
    quantile(seconds, 0.5)
}

/// The value that this part of all values does not exceed.
pub fn quantile(values: impl IntoIterator<Item = f64>, part: f64) -> Option<f64> {
    let mut values: Vec<f64> = values
        .into_iter()
        .filter(|value| value.is_finite())
        .collect();
    values.sort_by(f64::total_cmp);
    let place = (values.len() as f64 * part) as usize;
    values.get(place.min(values.len().checked_sub(1)?)).copied()
}

/// Seconds of runs that passed.
pub fn passed_seconds(runs: &[Past]) -> impl Iterator<Item = f64> {
    runs.iter()
        .filter(|run| run.state == State::Passed)
        .filter_map(|run| run.seconds)
}

/// The strip of runs that come newest first; the newest is drawn at the right.
pub fn svg(runs: &[Past], size: Size) -> Markup {
    let runs = &runs[..runs.len().min(RUNS)];
    let median = median(passed_seconds(runs));
    let longest = runs
        .iter()
        .filter_map(|run| run.seconds)
        .fold(0.0, f64::max);
    let full = median.map_or(longest, |median| longest.min(median * TALLEST));
    let scale = Scale { size, full };
    let (width, height) = (size.step * RUNS as u32, size.height + size.sign());
    html! {
        svg class="strip" role="img" aria-label=(told(runs, median)) width=(width) height=(height)
            viewBox={ "0 0 " (width) " " (height) } {
            @for state in State::ALL {
                @let bars = runs.iter().enumerate().filter(|(_, run)| run.state == state);
                @let bars: Vec<(usize, &Past)> = bars.collect();
                @if !bars.is_empty() { (scale.bars(state, &bars)) }
            }
            @if let Some(median) = median {
                @let y = number(f64::from(size.height) - scale.up(median));
                line class="median" x1="0" x2=(width) y1=(y) y2=(y) {}
            }
        }
    }
}

/// How runs become bars.
struct Scale {
    size: Size,
    /// Seconds of the tallest bar.
    full: f64,
}

impl Scale {
    /// Height of so many seconds.
    fn up(&self, seconds: f64) -> f64 {
        let part = (seconds / self.full.max(0.001)).clamp(0.0, 1.0);
        part * f64::from(self.size.height)
    }

    /// Bars of one state as one path, which is short; below them the signs, unless they passed. Where there is
    /// room for a pointer, each says what it is.
    fn bars(&self, state: State, bars: &[(usize, &Past)]) -> Markup {
        let Size { step, height } = self.size;
        let middle = |place: usize| {
            let from_left = f64::from(step) * (RUNS - 1 - place) as f64;
            number(from_left + f64::from(step - 1) / 2.0)
        };
        let tall = |run: &Past| self.up(run.seconds.unwrap_or_default()).max(2.0);
        let path = |(place, run): &(usize, &Past)| {
            format!("M{} {height}v-{}", middle(*place), number(tall(run)))
        };
        let is_large = step >= LARGE.step;
        html! {
            g class={ "bar " (state.class()) } stroke-width=(step - 1) {
                @if is_large {
                    @for bar in bars { path d=(path(bar)) { title { (label(bar.1)) } } }
                } @else {
                    path d=(bars.iter().map(path).collect::<String>()) {}
                }
                @if state != State::Passed {
                    @for (place, _) in bars {
                        text x=(middle(*place)) y=(height + self.size.sign() - 1) font-size=(self.size.sign()) {
                            (state.sign())
                        }
                    }
                }
            }
        }
    }
}

fn number(pixels: f64) -> String {
    format!("{pixels:.1}")
}

fn label(run: &Past) -> Foreign {
    let took = run
        .seconds
        .map(|seconds| format!(" in {}", words::duration(seconds)));
    format!(
        "#{}: {}{}",
        run.number,
        run.state.word(),
        took.unwrap_or_default()
    )
    .into()
}

/// What the strip shows, in words: `The last 40 runs: 36 passed, 3 failed, 1 error. Median 12 min`.
fn told(runs: &[Past], median: Option<f64>) -> String {
    if runs.is_empty() {
        return "No runs yet".to_owned();
    }
    let counts = State::ALL.iter().rev().filter_map(|state| {
        let n = runs.iter().filter(|run| run.state == *state).count();
        (n > 0).then(|| format!("{n} {}", state.word()))
    });
    let counts: Vec<String> = counts.collect();
    let median = median.map(|median| format!(". Median {}", words::duration(median)));
    format!(
        "The last {}: {}{}",
        words::count(runs.len(), "run"),
        counts.join(", "),
        median.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(number: i64, state: State, seconds: Option<f64>) -> Past {
        Past {
            run: format!("run-{number}"),
            repository: "app".to_owned(),
            number,
            state,
            warning: false,
            finished: words::Moment(words::of_ms(number)),
            seconds,
        }
    }

    #[test]
    fn a_strip_says_in_words_what_it_shows() {
        let runs = [
            past(4, State::Passed, Some(60.0)),
            past(3, State::Error, None),
            past(2, State::Failed, Some(1e9)),
            past(1, State::Passed, Some(120.0)),
        ];
        let svg = svg(&runs, SMALL).into_string();
        let said = "aria-label=\"The last 4 runs: 2 passed, 1 error, 1 failed. Median 2 min\"";
        assert!(svg.contains(said), "{svg}");
        assert!(
            svg.contains("v-22.0"),
            "the longest is as tall as there is room"
        );
        assert_eq!(svg.matches("✕").count(), 1, "no colour alone");
    }

    #[test]
    fn a_strip_of_nothing_and_of_nonsense_can_be_drawn() {
        assert!(svg(&[], LARGE).into_string().contains("No runs yet"));
        let odd = [f64::NAN, f64::INFINITY, -1.0, 0.0];
        let runs: Vec<Past> = odd
            .iter()
            .map(|s| past(1, State::Passed, Some(*s)))
            .collect();
        let svg = svg(&runs, LARGE).into_string();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn a_strip_has_forty_runs_and_no_more() {
        let runs: Vec<Past> = (0..200)
            .map(|n| past(n, State::Failed, Some(1.0)))
            .collect();
        let svg = svg(&runs, SMALL).into_string();
        assert_eq!(svg.matches('M').count(), RUNS);
        assert!(svg.len() < 3_000, "{}", svg.len());
    }

    #[test]
    fn medians_are_of_what_is_a_number() {
        assert_eq!(median([]), None);
        assert_eq!(median([3.0, f64::NAN, 1.0, 2.0]), Some(2.0));
        assert_eq!(quantile((1..=10).map(f64::from), 0.9), Some(10.0));
    }
}
