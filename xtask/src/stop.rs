//! Ending well when somebody presses Ctrl-C: what was started is dropped, and so taken down.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use crate::Result;

/// Runs a task on a runtime until it is done, or until SIGINT or SIGTERM: then it is dropped where it
/// waits, and the exit code is 130.
pub fn run_until_stopped(task: impl Future<Output = Result>) -> Result {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            result = task => result,
            _ = interrupt.recv() => Ok(stopped()),
            _ = terminate.recv() => Ok(stopped()),
        }
    })
}

fn stopped() -> ExitCode {
    eprintln!("stopping");
    ExitCode::from(130)
}
