//! T12: disks that run full. Small ones are mounted for that, which needs root.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use protocol::worker::{assignment::digest_of, completion::RunEnd};

use crate::{
    bench::{Bench, OPEN, verdict},
    git::Origin,
};

/// A small disk, mounted over a directory whose files it takes over. Dropped, it is gone.
struct Disk(PathBuf);

impl Disk {
    fn over(dir: &Path, megabytes: u32) -> Self {
        let kept = dir.with_extension("kept");
        done("cp", &["-a".as_ref(), dir.as_ref(), kept.as_ref()]);
        let size = format!("size={megabytes}m,mode=0755");
        done(
            "mount",
            &[
                "-t".as_ref(),
                "tmpfs".as_ref(),
                "-o".as_ref(),
                size.as_ref(),
                "prbuild-test".as_ref(),
                dir.as_ref(),
            ],
        );
        let disk = Self(dir.to_owned());
        done(
            "cp",
            &["-a".as_ref(), kept.join(".").as_ref(), dir.as_ref()],
        );
        disk
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Also while the agent works on it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn done(program: &str, arguments: &[&OsStr]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}");
}

/// A worker on a small disk, whose owner wants so much of it free.
fn on_a_small_disk(megabytes: u32, free: &str) -> (Bench, Disk) {
    let limits = format!("[limits]\nmin_free_disk = \"{free}\"\ngrace_seconds = 1\n");
    let bench = Bench::new(&format!("{OPEN}\n{limits}"));
    let disk = Disk::over(&bench.root.join("state"), megabytes);
    (bench, disk)
}

/// Bytes that no program makes smaller.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state: u64 = 88_172_645_463_325_252;
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend_from_slice(&state.to_le_bytes());
    }
    noise
}

#[test]
fn t12_a_build_that_fills_the_disk_is_stopped_and_the_next_one_finds_room() {
    let (mut bench, disk) = on_a_small_disk(48, "16MiB");
    bench.start();
    let id = bench.offer(&bench.assignment("head -c 44000000 /dev/zero > fill; sleep 600"));
    let RunEnd::Broken { reason } = bench.completion(&id).result else {
        panic!("it was not stopped");
    };
    assert_eq!(reason, "its disk ran full");
    assert_eq!(verdict(&bench.run("true")), "Passed");
    drop(disk);
}

#[test]
fn t12_a_checkout_that_does_not_fit_on_the_disk_is_the_machines_failure_and_not_the_codes() {
    let (mut bench, disk) = on_a_small_disk(32, "8MiB");
    let origin = Origin {
        path: bench.root.join("origin.git"),
    };
    let blob = origin.git_with(&["hash-object", "-w", "--stdin"], &noise(40_000_000));
    let tree = origin.tree(&[("100644", &blob, "large")]);
    let mut large = bench.assignment("true");
    large.work.source.commit = origin.commit(&tree, &[]);
    large.work_digest = digest_of(&large.work).unwrap();
    bench.start();
    let result = bench.completion(&bench.offer(&large)).result;
    let RunEnd::NotRun { reason, machine } = result else {
        panic!("{result:?}");
    };
    assert!(machine && reason.contains("disk"), "{reason}");
    let left = fs::read_dir(bench.root.join("state/builds/0")).unwrap();
    assert_eq!(left.count(), 0, "what was checked out is removed");
    assert_eq!(verdict(&bench.run("true")), "Passed");
    drop(disk);
}
