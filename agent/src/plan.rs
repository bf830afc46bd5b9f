//! Which step runs, and what all their ends mean together. Pure.

use std::time::Duration;

use protocol::{
    ExecReport, ExitCode, ExitMeaning, RunIf, Step, StepReport, StepResult, Timeouts, Verdict,
};

use crate::{
    os::Ended,
    process::Stop,
    text::{duration, one_line},
};

/// How a step came to its end.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// Its process ended.
    Ended(Ended),
    /// It was stopped.
    Stopped(Stop),
    /// It could not begin, for a reason that is in the code or the recipe, as a sentence's end.
    Refused(String),
}

impl End {
    /// The exit code, where a process ended by itself.
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            Self::Ended(Ended::Exit(code)) => Some(*code),
            _ => None,
        }
    }
}

/// The results so far.
#[derive(Clone, Debug)]
pub struct Tally {
    exit_codes: Vec<ExitCode>,
    timeouts: Timeouts,
    report: ExecReport,
    over: bool,
}

impl Tally {
    /// No step was looked at.
    pub fn new(exit_codes: Vec<ExitCode>, timeouts: Timeouts) -> Self {
        Self {
            exit_codes,
            timeouts,
            report: ExecReport::new(Verdict::Passed, 0),
            over: false,
        }
    }

    /// Whether a step runs, after what happened so far.
    pub fn runs(&self, step: &Step) -> bool {
        let so_far = self.report.verdict == Verdict::Passed;
        !self.over
            && match step.run_if.unwrap_or_default() {
                RunIf::Success => so_far,
                RunIf::Failure => !so_far,
                RunIf::Always => true,
            }
    }

    /// Notes a step that does not run.
    pub fn skip(&mut self, step: &Step) {
        self.note(step, StepResult::Skipped, None, Duration::ZERO);
    }

    /// Notes a step that the executor could not run, or not to its end; answers how it stands in the log.
    pub fn broke(&mut self, step: &Step) -> (StepResult, Option<i32>) {
        self.note(step, StepResult::Failed, None, Duration::ZERO);
        (StepResult::Failed, None)
    }

    /// Notes how a step ended; answers its result.
    pub fn end(&mut self, step: &Step, end: &End, took: Duration) -> StepResult {
        let mut result = self.result(end);
        let is_tolerable = !matches!(end, End::Stopped(Stop::TotalTime | Stop::Cancelled));
        let is_bad = !matches!(result, StepResult::Passed | StepResult::Warning);
        if is_bad && is_tolerable && step.continue_on_error {
            result = StepResult::Tolerated;
        }
        match result {
            StepResult::Passed | StepResult::Skipped | StepResult::Tolerated => {}
            StepResult::Warning => self.report.warning = true,
            StepResult::Failed => self.decide(Verdict::Failed, failure_code(end), step, end),
            StepResult::TimedOut => self.decide(Verdict::TimedOut, 124, step, end),
            StepResult::Cancelled => self.cancel(&self.sentence(step, end)),
        }
        // A step that took too long has failed, as on GitHub Actions; there is time for `always()`.
        self.over |= matches!(end, End::Stopped(Stop::TotalTime | Stop::Cancelled));
        self.note(step, result, end.exit_code(), took);
        result
    }

    /// Whether nothing runs any more, whatever its `if`.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Notes that the run was cancelled: that rules over what happened before.
    pub fn cancel(&mut self, reason: &str) {
        self.over = true;
        self.report.verdict = Verdict::Cancelled;
        self.report.exit_code = 143;
        self.report.reason = Some(reason.into());
    }

    /// The report over all that was noted.
    pub fn into_report(self) -> ExecReport {
        self.report
    }

    fn result(&self, end: &End) -> StepResult {
        match end {
            End::Ended(Ended::Exit(0)) => StepResult::Passed,
            End::Ended(Ended::Exit(code)) => {
                let mapped = self.exit_codes.iter().find(|mapped| mapped.code == *code);
                match mapped.map(|mapped| mapped.means) {
                    Some(ExitMeaning::Warning) => StepResult::Warning,
                    None => StepResult::Failed,
                }
            }
            End::Ended(Ended::Signal(_)) | End::Refused(_) => StepResult::Failed,
            End::Stopped(Stop::Cancelled) => StepResult::Cancelled,
            End::Stopped(_) => StepResult::TimedOut,
        }
    }

    /// The first step that does not pass decides.
    fn decide(&mut self, verdict: Verdict, code: i32, step: &Step, end: &End) {
        if self.report.verdict == Verdict::Passed {
            self.report.verdict = verdict;
            self.report.exit_code = code;
            self.report.reason = Some(self.sentence(step, end));
        }
    }

    fn note(&mut self, step: &Step, result: StepResult, exit_code: Option<i32>, took: Duration) {
        // Milliseconds are enough, and shorter in a message that is capped.
        let seconds = took.as_millis() as f64 / 1000.0;
        self.report.steps.push(StepReport {
            name: title(step),
            result,
            exit_code,
            seconds,
        });
    }

    fn sentence(&self, step: &Step, end: &End) -> String {
        let name = title(step);
        let seconds = |seconds: i64| duration(Duration::from_secs(seconds.unsigned_abs()));
        match end {
            End::Ended(Ended::Exit(code)) => {
                format!(
                    "the step `{name}` ended with exit code {code}{}",
                    hint(code.wrapping_sub(128))
                )
            }
            End::Ended(Ended::Signal(signal)) => {
                format!(
                    "the step `{name}` was killed by signal {signal}{}",
                    hint(*signal)
                )
            }
            End::Stopped(Stop::OwnTime) => {
                let limit = own_limit(step).unwrap_or_default();
                format!(
                    "the step `{name}` took longer than its limit of {}",
                    duration(limit)
                )
            }
            End::Stopped(Stop::Silence) => {
                let limit = seconds(self.timeouts.no_output_seconds);
                format!("the step `{name}` printed nothing for {limit}")
            }
            End::Stopped(Stop::TotalTime) => {
                let limit = seconds(self.timeouts.run_seconds);
                format!("all steps together took longer than {limit}; stopped in the step `{name}`")
            }
            End::Stopped(Stop::Cancelled) => format!("cancelled in the step `{name}`"),
            End::Refused(why) => format!("the step `{name}` could not begin: {why}"),
        }
    }
}

/// A step's name, on one line.
pub fn title(step: &Step) -> String {
    one_line(step.title(), 80)
}

/// The step's own limit in time.
pub fn own_limit(step: &Step) -> Option<Duration> {
    let minutes = step.timeout_minutes?;
    // A negative or endless number is no limit; the API server admits neither.
    Duration::try_from_secs_f64(minutes * 60.0).ok()
}

/// Exit code of a report: what `exec` itself ends with.
pub fn exit_code(report: &ExecReport) -> u8 {
    match report.verdict {
        Verdict::Passed => 0,
        Verdict::Failed => u8::try_from(report.exit_code)
            .ok()
            .filter(|code| *code != 0)
            .unwrap_or(1),
        Verdict::TimedOut => 124,
        Verdict::Error => 125,
        Verdict::Cancelled => 143,
    }
}

/// A report for when the executor itself could not go on.
pub fn error(reason: &str, steps: Vec<StepReport>) -> ExecReport {
    ExecReport {
        reason: Some(reason.into()),
        steps,
        ..ExecReport::new(Verdict::Error, 125)
    }
}

fn failure_code(end: &End) -> i32 {
    match end {
        End::Ended(Ended::Exit(code)) => *code,
        End::Ended(Ended::Signal(signal)) => 128 + signal,
        End::Stopped(_) | End::Refused(_) => 1,
    }
}

/// What people should think of when they see a signal; numbers as on Linux.
fn hint(signal: i32) -> &'static str {
    match signal {
        6 => " (abort)",
        9 => " (killed; often because the memory limit was reached)",
        11 => " (segmentation fault)",
        _ => "",
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
