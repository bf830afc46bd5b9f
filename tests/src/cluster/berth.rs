//! A berth: a numbered place on this machine for one cluster, with a directory, ports, a bridge and a
//! subnet of its own, and a reaper that takes everything down when its holder is gone.
//!
//! A berth is held by a file lock, which holder and reaper share: the kernel releases it when both are gone.
//! The reaper is a shell script on the other end of a pipe: closing the pipe, by `drop`, by a panic, by
//! Ctrl-C or by `kill -9`, is what takes the cluster down. There is no other way down, so it is the one that
//! works.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::ClusterError;
use super::process::MARK;

/// How many clusters can run on a machine at a time.
const BERTHS: u16 = 100;
/// The first port of berth 0. Below the range from which the kernel takes ports by itself (32768).
const FIRST_PORT: u16 = 21_000;
const PORTS: u16 = 20;
const REAPER: &str = include_str!("reaper.sh");

/// A place for one cluster. Dropping it takes down everything that was started in it, and waits.
#[derive(Debug)]
pub struct Berth {
    number: u16,
    dir: PathBuf,
    /// Held as long as the berth is.
    lock: File,
    reaper: Option<Child>,
}

impl Berth {
    /// Takes the first free berth, after cleaning up what dead programs left behind.
    pub fn take() -> Result<Self, ClusterError> {
        let base = base(&std::env::temp_dir())?;
        let mut taken = None;
        for number in 0..BERTHS {
            let dir = base.join(number.to_string());
            if taken.is_some() && !dir.exists() {
                continue;
            }
            let Some(lock) = lock(&base.join(format!("{number}.lock")))? else {
                continue;
            };
            if dir.exists() {
                reap(&dir, &bridge_name(number), &lock)?.wait_to_end(&dir)?;
            }
            if taken.is_none() && is_free(number) {
                taken = Some((number, dir, lock));
            }
        }
        let (number, dir, lock) = taken.ok_or(ClusterError::NoBerth)?;
        fs::create_dir_all(dir.join("pids")).map_err(ClusterError::io(&dir))?;
        fs::create_dir_all(dir.join("logs")).map_err(ClusterError::io(&dir))?;
        let reaper = Some(reap(&dir, &bridge_name(number), &lock)?.0);
        Ok(Self {
            number,
            dir,
            lock,
            reaper,
        })
    }

    /// Its directory: short, because sockets lie in it, whose paths have at most 107 bytes.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its n-th port on 127.0.0.1.
    pub(super) fn port(&self, n: u16) -> u16 {
        debug_assert!(n < PORTS, "a berth has {PORTS} ports");
        FIRST_PORT + self.number * PORTS + n
    }

    /// Name of its bridge.
    pub fn bridge(&self) -> String {
        bridge_name(self.number)
    }

    /// Its subnet without the last number, `10.210.3`: the bridge has `.1`, pods have the rest.
    pub(super) fn subnet(&self) -> String {
        format!("10.210.{}", self.number)
    }

    /// Takes everything down and waits until it is gone.
    pub fn clear(mut self) -> Result<(), ClusterError> {
        self.take_down()
    }

    fn take_down(&mut self) -> Result<(), ClusterError> {
        match self.reaper.take() {
            Some(reaper) => Reaper(reaper).wait_to_end(&self.dir),
            None => Ok(()),
        }
    }
}

impl Drop for Berth {
    fn drop(&mut self) {
        if let Err(error) = self.take_down() {
            eprintln!("{error}");
        }
        // Others may have the berth from here on.
        let _ = self.lock.unlock();
    }
}

struct Reaper(Child);

impl Reaper {
    /// Closes its pipe and waits until it has done its work.
    fn wait_to_end(mut self, dir: &Path) -> Result<(), ClusterError> {
        drop(self.0.stdin.take());
        let status = self.0.wait().map_err(ClusterError::io(dir))?;
        if status.success() {
            Ok(())
        } else {
            Err(ClusterError::Leftovers {
                dir: dir.to_owned(),
            })
        }
    }
}

/// Starts the reaper of a berth. It has the lock, too: who takes the berth of a holder that was killed must not
/// start anything there before its reaper is done, which would end that as well.
fn reap(dir: &Path, bridge: &str, lock: &File) -> Result<Reaper, ClusterError> {
    let lock = lock.try_clone().map_err(ClusterError::io(dir))?;
    let mut reaper = Command::new("sh");
    reaper
        .arg("-c")
        .arg(REAPER)
        .arg("prbuild-reaper")
        .arg(dir)
        .arg(bridge);
    reaper.env_remove(MARK);
    // A process group of its own: Ctrl-C on the terminal is not for it.
    reaper
        .process_group(0)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(lock);
    reaper
        .spawn()
        .map(Reaper)
        .map_err(ClusterError::start("sh"))
}

/// `/tmp/prbuild-UID`, ours alone: who could write there could have us run a program. Without links on the way,
/// for the kernel lists mounts by where they really are.
fn base(temporary: &Path) -> Result<PathBuf, ClusterError> {
    let uid = rustix::process::geteuid().as_raw();
    let temporary = fs::canonicalize(temporary).map_err(ClusterError::io(temporary))?;
    let base = temporary.join(format!("prbuild-{uid}"));
    match fs::DirBuilder::new().mode(0o700).create(&base) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(ClusterError::io(&base)(error));
        }
        _ => {}
    }
    let meta = fs::symlink_metadata(&base).map_err(ClusterError::io(&base))?;
    if !meta.is_dir() || meta.uid() != uid || meta.mode() & 0o022 != 0 {
        return Err(ClusterError::ForeignDirectory { dir: base });
    }
    Ok(base)
}

/// The lock, or nothing if somebody alive holds it.
fn lock(path: &Path) -> Result<Option<File>, ClusterError> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path);
    let file = file.map_err(ClusterError::io(path))?;
    Ok(file.try_lock().is_ok().then_some(file))
}

fn bridge_name(number: u16) -> String {
    format!("prbuild{number}")
}

fn device_exists(name: &str) -> bool {
    Path::new("/sys/class/net").join(name).exists()
}

/// Nobody else's ports or network are in the way.
fn is_free(number: u16) -> bool {
    let bridge = bridge_name(number);
    ports_are_free(number) && !device_exists(&bridge) && !super::network::namespace_exists(&bridge)
}

fn ports_are_free(number: u16) -> bool {
    let first = FIRST_PORT + number * PORTS;
    (first..first + PORTS).all(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_berth_whose_holder_was_killed_is_nobody_elses_before_its_reaper_is_done() {
        let mut berth = Berth::take().unwrap();
        let held = berth.dir.with_extension("lock");
        let mut reaper = berth.reaper.take().unwrap();
        // What the kernel closes of a holder that is killed; first the lock.
        let another = held.with_extension("tried");
        berth.lock = File::create(&another).unwrap();
        assert!(lock(&held).unwrap().is_none(), "its reaper waits");
        drop(reaper.stdin.take());
        assert!(reaper.wait().unwrap().success());
        fs::remove_file(another).unwrap();
    }

    #[test]
    fn berths_lie_where_the_kernel_lists_their_mounts() {
        let dir = std::env::temp_dir().join(format!("prbuild-base-{}", std::process::id()));
        let (real, link) = (dir.join("real"), dir.join("link"));
        fs::create_dir_all(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let found = base(&link).unwrap();
        assert_eq!(found.parent(), Some(real.canonicalize().unwrap().as_path()));
        fs::remove_dir_all(&dir).unwrap();
    }
}
