//! Files that a write into a directory begins with, and that a process which was killed leaves there:
//! `object_store` names them as the object with `#` and a number behind, and lists them never.

use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// Removes all that were written last before this moment, in seconds since 1970.
pub fn remove(directory: &Path, before: i64) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if metadata.is_dir() {
            remove(&entry.path(), before);
            continue;
        }
        let modified = metadata.modified().ok();
        let age = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let is_old = age.is_some_and(|age| (age.as_secs() as i64) < before);
        if is_old && entry.file_name().to_str().is_some_and(is_staged) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether this is the name of such a file: no key of ours has a `#`.
fn is_staged(name: &str) -> bool {
    name.rsplit_once('#').is_some_and(|(_, number)| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_write_left_goes_and_nothing_else() {
        let directory = std::env::temp_dir().join(format!("prbuild-staged-{}", std::process::id()));
        let below = directory.join("repositories/app/runs");
        fs::create_dir_all(&below).unwrap();
        for name in ["log.zst", "log.zst#1", "log.zst#12", "odd#", "odd#1a"] {
            fs::write(below.join(name), "x").unwrap();
        }
        let names = || {
            let mut names: Vec<_> = fs::read_dir(&below)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        remove(&directory, 1000);
        assert_eq!(names().len(), 5, "nothing is that old");
        remove(&directory, i64::MAX);
        assert_eq!(names(), ["log.zst", "odd#", "odd#1a"]);
        fs::remove_dir_all(&directory).unwrap();
    }
}
