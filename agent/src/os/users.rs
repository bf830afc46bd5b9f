//! Users of the system, and the processes that belong to one.

use std::{
    io,
    process::{Command, Stdio},
};

/// User and group id of a user, by name or number. A number alone is both.
pub fn user_ids(name: &str) -> io::Result<(u32, u32)> {
    if let Ok(number) = name.parse() {
        return Ok((number, number));
    }
    let ask = |option: &str| -> io::Result<u32> {
        let mut id = Command::new("id");
        let output = id
            .args([option, "--", name])
            .stdin(Stdio::null())
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim()
            .parse()
            .map_err(|_| io::Error::other(format!("there is no user `{name}`")))
    };
    Ok((ask("-u")?, ask("-g")?))
}

/// Ids of all processes that run as a user, in whatever way (real, effective, saved).
#[cfg(target_os = "linux")]
pub fn users_processes(uid: u32) -> io::Result<Vec<u32>> {
    let belongs = |id: u32| {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let is_dead = status.lines().any(|line| line.starts_with("State:\tZ"));
        let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
        let mut ids = line.unwrap_or_default().split_ascii_whitespace();
        !is_dead && ids.any(|id| id.parse() == Ok(uid))
    };
    let ids = std::fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(ids.filter(|id| belongs(*id)).collect())
}

/// Ids of all processes that run as a user.
#[cfg(not(target_os = "linux"))]
pub fn users_processes(uid: u32) -> io::Result<Vec<u32>> {
    let mut ps = Command::new("ps");
    let output = ps
        .args(["-U", &uid.to_string(), "-o", "pid="])
        .stdin(Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect())
}
