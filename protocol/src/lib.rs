//! What crosses from the operator to the executor and back.
//!
//! The operator writes a [`Work`] into a Job or an Assignment; `prbuild-agent` carries it
//! out and answers with a [`CheckoutReport`] and an [`ExecReport`]. [`log`] says how the log of a run
//! travels to the gateway, [`record`] what is kept of it, `token` who may write, `worker` how a physical
//! machine gets its runs. This crate knows neither Kubernetes nor GitHub: it also runs on a Raspberry Pi.

mod findings;
pub mod log;
mod message;
pub mod record;
mod report;
#[cfg(feature = "keys")]
pub mod token;
mod work;
#[cfg(feature = "keys")]
pub mod worker;

pub use findings::{
    ANNOTATIONS_LIMIT, Annotation, FAILURES_COUNTED, FAILURES_LIMIT, LINE_LIMIT, Level, NAME_LIMIT,
    PATH_LIMIT, Pattern, TEXT_LIMIT, TITLE_LIMIT, Tests,
};
pub use message::truncate;
pub use report::{
    CheckoutReport, ExecReport, MESSAGE_LIMIT, Parse, ReportError, StepReport, StepResult, Verdict,
};
pub use work::{
    ExitCode, ExitMeaning, Recipe, RunIf, Shell, Source, Step, Timeouts, Work, is_reserved_variable,
};
