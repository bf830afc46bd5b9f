//! What a build user does to itself after a build: it kills all of its processes and removes all of its
//! files. The system lets it touch nobody else's.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use rustix::process::{Pid, Signal, geteuid, kill_process_group};

use crate::worker::builder::wipe;

/// Where every user may leave files.
const COMMON: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

/// Kills every process of the user that calls this but itself, and removes what is in a directory and
/// what it left in the places that everybody may write to.
pub fn sweep(dir: Option<&Path>) -> io::Result<()> {
    let uid = geteuid();
    if uid.is_root() {
        return Err(io::Error::other(
            "root sweeps nothing: it would be everything",
        ));
    }
    // kill(2) with -1: every process that this user may signal, in one moment.
    let _ = kill_process_group(Pid::INIT, Signal::KILL);
    let Some(dir) = dir else {
        return Ok(());
    };
    for place in COMMON {
        let Ok(entries) = fs::read_dir(place) else {
            continue;
        };
        for entry in entries.filter_map(Result::ok) {
            let is_own = entry
                .path()
                .symlink_metadata()
                .is_ok_and(|meta| meta.uid() == uid.as_raw());
            if is_own {
                remove(&entry.path())?;
            }
        }
    }
    // The build may have taken its own rights away.
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(dir)? {
        remove(&entry?.path())?;
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match path.symlink_metadata()?.is_dir() {
        true => wipe(path),
        false => fs::remove_file(path),
    }
}
