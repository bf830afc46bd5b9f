//! The machine that a worker is: its clock, disk, load and places.

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Where the configuration is, unless said otherwise.
pub fn configuration_file() -> PathBuf {
    PathBuf::from(match std::env::consts::OS {
        "linux" => "/etc/prbuild/agent.toml",
        "windows" => r"C:\ProgramData\prbuild\agent.toml",
        _ => "/usr/local/etc/prbuild/agent.toml",
    })
}

/// Where the state is, unless said otherwise.
pub fn state_directory() -> PathBuf {
    PathBuf::from(match std::env::consts::OS {
        "linux" => "/var/lib/prbuild",
        "windows" => r"C:\ProgramData\prbuild\state",
        "macos" => "/usr/local/var/prbuild",
        _ => "/var/db/prbuild",
    })
}

/// Time by a clock that nobody sets and that goes on while the machine sleeps.
#[cfg(unix)]
pub fn since_boot() -> Duration {
    #[cfg(target_os = "linux")]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
    let now = rustix::time::clock_gettime(CLOCK);
    let seconds = Duration::from_secs(now.tv_sec.try_into().unwrap_or_default());
    seconds + Duration::from_nanos(now.tv_nsec.try_into().unwrap_or_default())
}

/// Time by a clock that nobody sets and that goes on while the machine sleeps.
#[cfg(windows)]
pub fn since_boot() -> Duration {
    use std::{sync::LazyLock, time::Instant};
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    BEGIN.elapsed()
}

/// What tells this boot of the machine from others; empty where the system does not tell. On the BSDs it is
/// when the machine was booted, which moves with a clock that is set by seconds: then it looks like another
/// boot to the next start of the agent, which waits a minute to be let in.
pub fn boot_id() -> String {
    let sysctl = |name| said(Command::new("sysctl").args(["-n", name]));
    match std::env::consts::OS {
        "linux" => std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default(),
        "windows" => String::new(),
        "macos" => sysctl("kern.bootsessionuuid"),
        _ => boot_second(&sysctl("kern.boottime")),
    }
    .trim()
    .to_owned()
}

/// The second of the boot in what `sysctl kern.boottime` says. What stands around it changes with the time zone
/// and the language of whoever asks, and with each small correction of the clock.
fn boot_second(said: &str) -> String {
    let Some((_, rest)) = said.split_once("sec = ") else {
        return said.to_owned();
    };
    rest.chars().take_while(char::is_ascii_digit).collect()
}

/// The system's own version: `Debian GNU/Linux 12`, `14.1-RELEASE`.
pub fn version() -> String {
    match std::env::consts::OS {
        "linux" => {
            let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
            let name = text
                .lines()
                .find_map(|line| line.strip_prefix("PRETTY_NAME="));
            name.unwrap_or_default().trim_matches('"').to_owned()
        }
        "windows" => said(Command::new("cmd").args(["/c", "ver"])),
        "macos" => said(Command::new("sw_vers").arg("-productVersion")),
        _ => said(Command::new("uname").arg("-r")),
    }
}

/// The load average of the last minute, where the system has one.
pub fn load() -> Option<f64> {
    let text = match std::env::consts::OS {
        "linux" => std::fs::read_to_string("/proc/loadavg").ok()?,
        "windows" => return None,
        _ => said(Command::new("sysctl").args(["-n", "vm.loadavg"])),
    };
    let mut numbers = text.split_ascii_whitespace().filter(|word| *word != "{");
    numbers.next()?.parse().ok()
}

/// Bytes on the disk of a directory that are free for this user.
#[cfg(unix)]
pub fn free_disk(path: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(path)?;
    // Without inodes there is no room either. Some file systems do not count them.
    let has_files = disk.f_files == 0 || disk.f_favail > 0;
    Ok(if has_files {
        disk.f_bavail * disk.f_frsize
    } else {
        0
    })
}

/// Bytes on the disk of a directory that are free for this user.
#[cfg(windows)]
pub fn free_disk(path: &Path) -> io::Result<u64> {
    fs4::available_space(path)
}

/// Whether this user may make users and services.
#[cfg(unix)]
pub fn may_administer() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether this user may make users and services: here only trying tells.
#[cfg(windows)]
pub fn may_administer() -> bool {
    true
}

/// What a program of the system says, in one line.
fn said(command: &mut Command) -> String {
    let output = command.stdin(std::process::Stdio::null()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_is_told_by_its_second_alone() {
        for said in [
            "{ sec = 1764400000, usec = 123456 } Sat Nov 29 07:06:40 2025",
            "{ sec = 1764400000, usec = 99 } sam. 29 nov. 08:06:40 2025",
        ] {
            assert_eq!(boot_second(said), "1764400000");
        }
        assert_eq!(
            boot_second("Sat Nov 29 07:06:40 2025"),
            "Sat Nov 29 07:06:40 2025"
        );
        assert_eq!(boot_second(""), "");
    }
}
