//! `kubectl prbuild`: see the crate's documentation.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use plugin::cli::{Cli, Command};
use plugin::completion;
use plugin::run;

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
        completion::print(shell, Cli::command());
        return ExitCode::SUCCESS;
    }
    match run(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
