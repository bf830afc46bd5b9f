//! What an executor says to the agent that started it, over one pipe: its log, its marks, its reports.
//! The code of a pull request runs as the executor's user, but holds no end of this pipe, so it can
//! neither read nor forge what goes through.

use std::io::{self, ErrorKind, Read};

use protocol::{CheckoutReport, ExecReport, log::MarkKind};
use serde::de::DeserializeOwned;

/// Bytes of one frame.
const LIMIT: usize = 1 << 20;
/// Bytes before each: its kind, and its length.
const HEAD: usize = 5;

/// One thing that is said.
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// What was printed.
    Log(Vec<u8>),
    /// What is at this place of the log.
    Mark(MarkKind),
    /// What was checked out.
    Checkout(CheckoutReport),
    /// No machine could check it out, as the report that comes next says.
    Nowhere,
    /// How the steps ended; nothing comes after it.
    Report(ExecReport),
}

/// The bytes of a frame of the log.
pub fn log(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    bytes.chunks(LIMIT).map(|chunk| frame(b'l', chunk))
}

/// The bytes of a mark.
pub fn mark(what: &MarkKind) -> Vec<u8> {
    frame(b'm', &serde_json::to_vec(what).unwrap_or_default())
}

/// The bytes of a checkout's report.
pub fn checkout(report: &CheckoutReport) -> Vec<u8> {
    frame(b'c', &serde_json::to_vec(report).unwrap_or_default())
}

/// The bytes that say that no machine could check it out.
pub fn nowhere() -> Vec<u8> {
    frame(b'n', &[])
}

/// The bytes of a report.
pub fn report(report: &ExecReport) -> Vec<u8> {
    frame(b'r', report.to_message().as_bytes())
}

fn frame(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or_default();
    [&[kind], &length.to_be_bytes()[..], bytes].concat()
}

/// Reads the next frame; nothing at the end of the pipe.
pub fn read(from: &mut impl Read) -> io::Result<Option<Frame>> {
    let mut head = [0; HEAD];
    let mut got = 0;
    while got < HEAD {
        match from.read(&mut head[got..]) {
            Ok(0) if got == 0 => return Ok(None),
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => got += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let [kind, length @ ..] = head;
    let length = u32::from_be_bytes(length) as usize;
    if length > LIMIT {
        return Err(io::Error::new(
            ErrorKind::InvalidData,
            "a frame is too long",
        ));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    Ok(Some(match kind {
        b'l' => Frame::Log(bytes),
        b'm' => Frame::Mark(json(&bytes)?),
        b'c' => Frame::Checkout(json(&bytes)?),
        b'n' => Frame::Nowhere,
        b'r' => Frame::Report(json(&bytes)?),
        _ => {
            return Err(io::Error::new(
                ErrorKind::InvalidData,
                "a frame is of no known kind",
            ));
        }
    }))
}

fn json<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    serde_json::from_slice(bytes).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Verdict;

    #[test]
    fn frames_are_read_as_they_were_written() {
        let checked_out = CheckoutReport {
            commit: "c".into(),
            parents: Vec::new(),
            tree: "t".into(),
            error: None,
        };
        let passed = ExecReport::new(Verdict::Passed, 0);
        let step = MarkKind::Step {
            n: 1,
            name: "Test".into(),
        };
        let mut pipe: Vec<u8> = log(b"one\n").flatten().collect();
        pipe.extend(mark(&step));
        pipe.extend(nowhere());
        pipe.extend(checkout(&checked_out));
        pipe.extend(report(&passed));
        let mut from = &pipe[..];
        for expected in [
            Frame::Log(b"one\n".to_vec()),
            Frame::Mark(step),
            Frame::Nowhere,
            Frame::Checkout(checked_out),
            Frame::Report(passed),
        ] {
            assert_eq!(read(&mut from).unwrap(), Some(expected));
        }
        assert_eq!(read(&mut from).unwrap(), None);
    }

    #[test]
    fn what_is_no_frame_is_an_error_and_not_a_result() {
        for bad in [
            &b"l"[..],
            b"l\0\0\0\x05ab",
            b"x\0\0\0\0",
            b"l\xff\xff\xff\xff",
            b"r\0\0\0\x02{}",
        ] {
            assert!(read(&mut &bad[..]).is_err(), "{bad:?}");
        }
    }
}
