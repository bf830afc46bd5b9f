//! Cargo, as if a person had typed it.

use std::process::Command;

/// A cargo without what another cargo said to the program that it runs (`cargo xtask`). Build scripts ask for
/// some of these variables, and compile everything anew when they differ.
pub fn cargo() -> Command {
    let mut command = Command::new("cargo");
    let told = std::env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    });
    for name in told {
        command.env_remove(name);
    }
    command
}
