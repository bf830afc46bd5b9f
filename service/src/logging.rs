//! Logs on standard error, one JSON object a line, whose level can be changed while the program runs.

use std::path::PathBuf;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

/// Environment variable with a file that holds the filter: a ConfigMap that is mounted, say.
pub const FILE: &str = "PRBUILD_LOG_FILTER_FILE";
/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Begins to log. The filter is the content of the file that [`FILE`] names, else `RUST_LOG`, else
/// `default`; the file is followed. Needs a Tokio runtime.
pub fn start(default: &'static str) {
    let begins = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(std::io::stderr)
        .with_env_filter(begins)
        .with_filter_reloading();
    let handle = subscriber.reload_handle();
    subscriber.init();
    let Some(file) = std::env::var_os(FILE).map(PathBuf::from) else {
        return;
    };
    tokio::spawn(async move {
        let mut last = None;
        loop {
            let text = tokio::fs::read_to_string(&file).await.ok();
            if text != last {
                match filter(text.as_deref(), default) {
                    Ok(filter) => {
                        let words = filter.to_string();
                        // It fails only when nobody logs any more.
                        let _ = handle.reload(filter);
                        tracing::info!(filter = words, "log level");
                    }
                    Err(error) => tracing::error!(
                        error,
                        "the log level stays as it was; write for example `info` or `info,operator=debug`"
                    ),
                }
                last = text;
            }
            tokio::time::sleep(LOOK).await;
        }
    });
}

/// What a file says; nothing, and an empty one, mean the default.
fn filter(text: Option<&str>, default: &str) -> Result<EnvFilter, String> {
    let text = text.unwrap_or_default().trim();
    if text.is_empty() {
        return Ok(EnvFilter::new(default));
    }
    EnvFilter::try_new(text).map_err(|error| format!("`{text}` is no filter of logs: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_taken_from_the_file_and_a_wrong_one_is_named() {
        let read = |text| filter(text, "info").map(|filter| filter.to_string());
        assert_eq!(read(None).unwrap(), "info");
        assert_eq!(read(Some(" \n")).unwrap(), "info");
        assert_eq!(read(Some("debug\n")).unwrap(), "debug");
        assert!(
            read(Some("operator=loud"))
                .unwrap_err()
                .contains("operator=loud")
        );
    }
}
