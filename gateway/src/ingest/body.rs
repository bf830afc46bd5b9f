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
/// Bytes of all bodies that are being read.
const TOGETHER: usize = 16 << 20;

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// It is longer than it may be.
    Long,
    /// It took too long, or ended early.
    Cut,
    /// Others are being read, and there is no room for one more.
    Busy,
}

/// The room that all bodies share.
#[derive(Clone)]
pub struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(TOGETHER)))
    }
}

/// A body that was read. Its bytes count as long as this lives.
pub struct Read {
    /// The bytes.
    pub bytes: Bytes,
    _held: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Reads a body of at most so many bytes. Only bytes that are here take room, so who promises many
    /// and sends few keeps nobody out.
    pub async fn read<B>(&self, mut body: B, limit: usize) -> Result<Read, BodyError>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        if body.size_hint().lower() > limit as u64 {
            return Err(BodyError::Long);
        }
        let end = Instant::now() + TIME;
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
            let permit = self.0.clone().try_acquire_many_owned(bytes);
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
