//! What agent and launcher say to each other: a word and a slot, in fixed numbers of bytes, and with a
//! start the two ends of a build's pipes.

use std::{
    io::{self, IoSlice, IoSliceMut, Read, Write},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// What a message asks for, or answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Agent: start the build of a slot.
    Start,
    /// Agent: remove what it left.
    Clean,
    /// Launcher: it has this process id.
    Started,
    /// Launcher: it did not start, with the system's number of the error.
    Failed,
    /// Launcher: it and all processes of its user are gone; 1 where some are not.
    Ended,
    /// Launcher: it is removed; 1 where it is not.
    Cleaned,
}

const WORDS: [(u8, Word); 6] = [
    (b's', Word::Start),
    (b'c', Word::Clean),
    (b'S', Word::Started),
    (b'F', Word::Failed),
    (b'E', Word::Ended),
    (b'C', Word::Cleaned),
];

fn byte(word: Word) -> u8 {
    let found = WORDS.iter().find(|(_, one)| *one == word);
    found.map_or(0, |(byte, _)| *byte)
}

fn word(byte: u8) -> io::Result<Word> {
    let found = WORDS.iter().find(|(one, _)| *one == byte);
    found
        .map(|(_, word)| *word)
        .ok_or(io::ErrorKind::InvalidData.into())
}

/// What the agent asks for.
#[derive(Debug)]
pub struct Request {
    /// The word.
    pub word: Word,
    /// The slot.
    pub slot: u32,
    /// Standard input and output of a build.
    pub ends: Vec<OwnedFd>,
}

/// What the launcher answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The word.
    pub word: Word,
    /// The slot.
    pub slot: u32,
    /// A process id, or a code.
    pub value: i32,
}

impl Reply {
    /// A reply about a slot.
    pub fn new(word: Word, slot: u32, value: i32) -> Self {
        Self { word, slot, value }
    }
}

/// Sends a request.
pub fn send(to: &UnixStream, request: &Request) -> io::Result<()> {
    let [a, b, c, d] = request.slot.to_be_bytes();
    let bytes = [byte(request.word), a, b, c, d];
    let ends: Vec<_> = request.ends.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !ends.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&ends)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let sent = sendmsg(
        to,
        &[IoSlice::new(&bytes)],
        &mut control,
        SendFlags::empty(),
    )?;
    match sent == bytes.len() {
        true => Ok(()),
        false => Err(io::ErrorKind::WriteZero.into()),
    }
}

/// Receives a request; nothing when the agent is gone.
pub fn receive(from: &UnixStream) -> io::Result<Option<Request>> {
    let mut bytes = [0; 5];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(
        from,
        &mut [IoSliceMut::new(&mut bytes)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    if got.bytes == 0 {
        return Ok(None);
    }
    let mut ends = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            ends.extend(fds);
        }
    }
    (&mut &*from).read_exact(&mut bytes[got.bytes..])?;
    let [first, slot @ ..] = bytes;
    Ok(Some(Request {
        word: word(first)?,
        slot: u32::from_be_bytes(slot),
        ends,
    }))
}

/// Sends a reply.
pub fn send_reply(mut to: &UnixStream, reply: Reply) -> io::Result<()> {
    let (slot, value) = (reply.slot.to_be_bytes(), reply.value.to_be_bytes());
    to.write_all(&[&[byte(reply.word)], &slot[..], &value[..]].concat())
}

/// Receives a reply; nothing when the launcher is gone.
pub fn receive_reply(mut from: &UnixStream) -> io::Result<Option<Reply>> {
    let mut bytes = [0; 9];
    match from.read_exact(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let [first, a, b, c, d, value @ ..] = bytes;
    let slot = u32::from_be_bytes([a, b, c, d]);
    Ok(Some(Reply::new(
        word(first)?,
        slot,
        i32::from_be_bytes(value),
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_brings_the_two_ends_of_the_pipes_with_it() {
        let (agent, launcher) = UnixStream::pair().unwrap();
        let (reader, mut writer) = io::pipe().unwrap();
        let request = Request {
            word: Word::Start,
            slot: 7,
            ends: vec![reader.into(), launcher.try_clone().unwrap().into()],
        };
        send(&agent, &request).unwrap();
        let got = receive(&launcher).unwrap().unwrap();
        assert_eq!((got.word, got.slot, got.ends.len()), (Word::Start, 7, 2));
        writer.write_all(b"x").unwrap();
        let mut byte = [0];
        std::fs::File::from(got.ends.into_iter().next().unwrap())
            .read_exact(&mut byte)
            .unwrap();
        assert_eq!(&byte, b"x");
        let reply = Reply::new(Word::Started, 7, 4711);
        send_reply(&launcher, reply).unwrap();
        assert_eq!(receive_reply(&agent).unwrap(), Some(reply));
        drop((agent, request));
        assert!(receive(&launcher).unwrap().is_none());
    }
}
