//! What is printed: to the end, or not at all.

use std::io::Write;

use crate::PluginError;

/// Prints a line, or several.
pub(crate) fn line(text: &str) -> Result<(), PluginError> {
    bytes(format!("{text}\n").as_bytes())
}

/// Puts something out at once, as it is.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), PluginError> {
    let mut out = std::io::stdout();
    let written = out.write_all(bytes).and_then(|()| out.flush());
    written.map_err(PluginError::Output)
}
