//! What operating systems do differently, and no other module knows: signals, the process tree,
//! files that an attacker may have prepared, clocks, users. One body for each kind of system beneath
//! the same functions; what no test has run is said in `docs/workers.md`.

use std::io::{self, Read, Write};

#[cfg(unix)]
mod beneath;
#[cfg(all(unix, not(target_os = "linux")))]
mod group;
#[cfg(feature = "worker")]
mod machine;
#[cfg(target_os = "linux")]
mod tree;
#[cfg(unix)]
mod unix;
#[cfg(all(feature = "worker", unix))]
mod users;
#[cfg(windows)]
mod windows;
#[cfg(any(windows, test))]
mod wishes;

#[cfg(unix)]
pub use beneath::{Directory, Kind};
#[cfg(all(unix, not(target_os = "linux")))]
pub use group::{
    Tree, adopt_orphans, ask_to_end, descendants, hide_memory, kill, left_in, process, subtree,
};
#[cfg(feature = "worker")]
pub use machine::{
    boot_id, configuration_file, free_disk, load, may_administer, since_boot, state_directory,
    version,
};
#[cfg(target_os = "linux")]
pub use tree::{
    Tree, adopt_orphans, ask_to_end, descendants, hide_memory, kill, left_in, process, subtree,
};
#[cfg(unix)]
pub use unix::{
    BASE_VARS, DEFAULT_PATH, Leash, NULL_FILE, Output, RUNNER_OS, Room, Signals, Stopper,
    WRITE_AT_ONCE, find_program, install_self, open_overwrite, open_regular, random, read_at,
    standard_output, wait,
};
#[cfg(all(feature = "worker", unix))]
pub use users::{user_ids, users_processes};
#[cfg(windows)]
pub use windows::{
    BASE_VARS, DEFAULT_PATH, Directory, Kind, Leash, NULL_FILE, Output, RUNNER_OS, Room, Signals,
    Stopper, Tree, WRITE_AT_ONCE, adopt_orphans, ask_to_end, descendants, find_program,
    hide_memory, install_self, kill, left_in, open_overwrite, open_regular, process, random,
    read_at, standard_output, subtree, wait,
};

/// Reads an order: its length in four bytes, then itself.
fn read_order(from: &mut impl Read, limit: u32) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > limit {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the order is too long",
        ));
    }
    let mut order = vec![0; length as usize];
    from.read_exact(&mut order)?;
    Ok(order)
}

/// Writes an order for [`read_order`].
fn write_order(to: &mut impl Write, order: &[u8]) -> io::Result<()> {
    let length = u32::try_from(order.len()).map_err(io::Error::other)?;
    to.write_all(&length.to_be_bytes())?;
    to.write_all(order)
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Exit(i32),
    /// Killed by this signal.
    Signal(i32),
}

/// A process that was seen, told apart from a later one with the same id by when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Process {
    /// Its id.
    pub id: u32,
    /// When it began, as a number that only this system understands; 0 where it does not tell.
    pub began: u64,
}
