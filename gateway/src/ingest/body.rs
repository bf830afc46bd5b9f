//! Bodies: bounded in size, in time, and together.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Time for a body.
const TIME: Duration = Duration::from_secs(30);
/// Bytes of all bodies that are being read, or are held until they are answered.
const TOGETHER: usize = 16 << 20;

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// It is longer than it may be.
    Long,
    /// It took too long, or ended early.
    Cut,
    /// Others are being read or held, and there is no room for one more.
    Busy,
}

/// The room that all bodies share, and the time that each may take.
#[derive(Clone)]
pub struct Room {
    free: Arc<Semaphore>,
    time: Duration,
}

impl Default for Room {
    fn default() -> Self {
        Self::new(TOGETHER, TIME)
    }
}

/// A body that was read. Its bytes count as long as this lives.
pub struct Read {
    /// The bytes.
    pub bytes: Bytes,
    _held: Option<OwnedSemaphorePermit>,
}

impl Room {
    fn new(together: usize, time: Duration) -> Self {
        Self {
            free: Arc::new(Semaphore::new(together)),
            time,
        }
    }

    /// Reads a body of at most so many bytes. Only bytes that are here take room, so who promises many
    /// and sends few keeps nobody out.
    pub async fn read<B>(&self, mut body: B, limit: usize) -> Result<Read, BodyError>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        if body.size_hint().lower() > limit as u64 {
            return Err(BodyError::Long);
        }
        let end = Instant::now() + self.time;
        let (mut first, mut read) = (Bytes::new(), BytesMut::new());
        let mut held: Option<OwnedSemaphorePermit> = None;
        loop {
            let frame = tokio::time::timeout_at(end, body.frame()).await;
            let data = match frame.map_err(|_| BodyError::Cut)? {
                Some(frame) => frame.map_err(|_| BodyError::Cut)?.into_data(),
                None => break,
            };
            let Ok(data) = data else { continue };
            let length = first.len() + read.len() + data.len();
            if length > limit {
                return Err(BodyError::Long);
            }
            let bytes = u32::try_from(data.len()).map_err(|_| BodyError::Long)?;
            let permit = self.free.clone().try_acquire_many_owned(bytes);
            let permit = permit.map_err(|_| BodyError::Busy)?;
            match &mut held {
                Some(held) => held.merge(permit),
                None => held = Some(permit),
            }
            // Most bodies are one piece and are not copied.
            match first.is_empty() && read.is_empty() {
                true => first = data,
                false => {
                    read.extend_from_slice(&std::mem::take(&mut first));
                    read.extend_from_slice(&data);
                }
            }
        }
        let bytes = match read.is_empty() {
            true => first,
            false => read.freeze(),
        };
        Ok(Read { bytes, _held: held })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::{StreamExt as _, stream};
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;

    use super::*;

    fn pieces(pieces: Vec<&'static [u8]>) -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
        let frames = pieces
            .into_iter()
            .map(|piece| Ok(Frame::data(piece.into())));
        StreamBody::new(stream::iter(frames))
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_given_up_in_time_and_its_room_is_free_again() {
        let room = Room::new(TOGETHER, Duration::from_millis(20));
        let first = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x")))]);
        let endless = StreamBody::new(first.chain(stream::pending()));
        let read = room.read(endless, 10).await.map(|read| read.bytes);
        assert_eq!(read, Err(BodyError::Cut));
        assert_eq!(room.free.available_permits(), TOGETHER);
    }

    #[tokio::test]
    async fn a_body_is_read_whole_up_to_its_limit_however_it_comes() {
        let room = Room::default();
        for (sent, limit, expected) in [
            (vec![b"one".as_slice()], 3, Ok("one")),
            (vec![b"on", b"e"], 3, Ok("one")),
            (vec![], 3, Ok("")),
            (vec![b"one", b"!"], 3, Err(BodyError::Long)),
        ] {
            let read = room.read(pieces(sent), limit).await;
            let bytes = read.map(|read| read.bytes);
            assert_eq!(
                bytes,
                expected.map(|text| Bytes::from_static(text.as_bytes()))
            );
        }
        // Who promises too much is not read at all.
        let long = room.read(Full::new(Bytes::from_static(b"four")), 3).await;
        assert_eq!(long.map(|read| read.bytes), Err(BodyError::Long));
    }

    #[tokio::test]
    async fn who_finds_no_room_is_told_so_and_finds_it_when_others_are_done() {
        let room = Room::new(3, TIME);
        let first = room.read(pieces(vec![b"abc"]), 3).await;
        let second = room.read(pieces(vec![b"d"]), 3).await;
        assert_eq!(second.map(|read| read.bytes), Err(BodyError::Busy));
        drop(first);
        assert!(room.read(pieces(vec![b"d"]), 3).await.is_ok());
    }
}
