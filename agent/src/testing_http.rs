//! As much of HTTP as the gateways of tests need.

use std::io::BufRead;

/// A request.
pub struct Request {
    pub path: String,
    pub body: Vec<u8>,
    head: Vec<String>,
}

impl Request {
    /// Reads the next one; nothing when there is none.
    pub fn read(reader: &mut impl BufRead) -> Option<Self> {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        let mut request = Self {
            path: head[0].split(' ').nth(1).unwrap().to_owned(),
            body: Vec::new(),
            head,
        };
        let length = request.header("content-length").parse().unwrap_or(0);
        request.body.resize(length, 0);
        reader.read_exact(&mut request.body).ok()?;
        Some(request)
    }

    /// A header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        let value = self.head.iter().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        });
        value.unwrap_or_default()
    }
}
