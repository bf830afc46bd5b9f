//! `kubectl prbuild`: see the crate's documentation.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use plugin::cli::{Cli, Command};
use plugin::{PluginError, completion, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // Only a second provider could be in the way, and there is none.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    if let Some(words) = completion::asked(std::env::args_os()) {
        print!("{}", completion::answer(&words).await);
        // A name server that does not answer would be waited for, and somebody is typing.
        std::process::exit(0);
    }
    let cli = Cli::parse();
    if let Command::Completion { shell } = cli.command {
        return ended(completion::print(shell, Cli::command()));
    }
    ended(run(cli).await)
}

/// Says what went wrong, if anything did.
fn ended(done: Result<(), PluginError>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is_read_enough() {
                eprintln!("error: {error}");
            }
            ExitCode::FAILURE
        }
    }
}
