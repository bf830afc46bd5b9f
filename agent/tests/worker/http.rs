//! As much of HTTP as the gateway of these tests needs.

use std::io::BufRead;

use protocol::worker::fault::{Fault, FaultCode};
use serde::{Serialize, de::DeserializeOwned};

/// An answer that carries this.
pub fn ok(body: &impl Serialize) -> (u16, String) {
    (200, serde_json::to_string(body).unwrap())
}

/// A fault.
pub fn fault(code: FaultCode) -> (u16, String) {
    let fault = Fault::new(code, "no");
    (code.status(), serde_json::to_string(&fault).unwrap())
}

/// A request.
pub struct Request {
    pub path: String,
    pub session: String,
    pub body: Vec<u8>,
}

impl Request {
    /// Reads the next one; nothing when there is none.
    pub fn read(reader: &mut impl BufRead) -> Option<Self> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let header = |name: &str| {
            let value = lines.iter().find_map(|line| {
                let (found, value) = line.split_once(':')?;
                found.eq_ignore_ascii_case(name).then(|| value.trim())
            });
            value.unwrap_or_default().to_owned()
        };
        let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
        reader.read_exact(&mut body).ok()?;
        Some(Self {
            path: lines[0].split(' ').nth(1).unwrap().to_owned(),
            session: header("prbuild-session"),
            body,
        })
    }

    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap()
    }
}
