//! Bodies of messages: what the servers send, and how they receive within bounds.
//!
//! A body is never read without a limit on its bytes and a minimum rate: a length that a peer announces is only believed
//! when it is refused.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::channel::Channel;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncSeekExt, ReadBuf};
use tokio::time::Instant;

/// The body of every message that the servers send.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Bytes read from a file at a time.
const FILE_CHUNK_BYTES: usize = 128 * 1024;

/// A body without bytes.
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body of bytes at hand.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body that a peer sends, from whatever it comes.
pub fn received<B>(body: B) -> Body
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    body.map_err(io::Error::other).boxed_unsync()
}

/// A body that another task fills; at most `frames_max` frames wait in between.
pub fn channel(frames_max: usize) -> (Sender, Body) {
    let (sender, channel) = Channel::new(frames_max.max(1));
    (Sender { inner: sender }, channel.boxed_unsync())
}

/// The filling end of a [`channel`] body. Dropping it ends the body; [`abort`](Self::abort) breaks it.
#[derive(Debug)]
pub struct Sender {
    inner: http_body_util::channel::Sender<Bytes, io::Error>,
}

/// The receiver went away: nobody wants the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the receiver of the body went away")]
pub struct ReceiverGone;

impl Sender {
    /// Sends bytes; waits while the receiver is behind.
    ///
    /// # Errors
    /// When the receiver went away.
    pub async fn send(&mut self, bytes: Bytes) -> Result<(), ReceiverGone> {
        self.inner.send_data(bytes).await.map_err(|_| ReceiverGone)
    }

    /// Sends the fields that follow the body (RFC 9110 §6.5); then nothing more may be sent.
    ///
    /// # Errors
    /// When the receiver went away.
    pub async fn trailers(&mut self, fields: http::HeaderMap) -> Result<(), ReceiverGone> {
        self.inner.send_trailers(fields).await.map_err(|_| ReceiverGone)
    }

    /// Breaks the body, so that the receiver cannot take it for complete.
    pub fn abort(self, error: io::Error) {
        self.inner.abort(error);
    }
}

/// A body of `length` bytes of a file from `start`. The file must not shrink meanwhile: a short file breaks the body.
///
/// # Errors
/// When the file cannot be opened or positioned.
pub async fn from_file(path: &Path, start: u64, length: u64) -> io::Result<Body> {
    let mut file = tokio::fs::File::open(path).await?;
    file.set_max_buf_size(FILE_CHUNK_BYTES);
    if start > 0 {
        file.seek(io::SeekFrom::Start(start)).await?;
    }
    Ok(FileBody {
        file,
        remaining: length,
    }
    .boxed_unsync())
}

struct FileBody {
    file: tokio::fs::File,
    remaining: u64,
}

impl HttpBody for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if this.remaining == 0 {
            return Poll::Ready(None);
        }
        let size = usize::try_from(this.remaining)
            .unwrap_or(FILE_CHUNK_BYTES)
            .min(FILE_CHUNK_BYTES);
        let mut chunk = vec![0; size];
        let mut buffer = ReadBuf::new(&mut chunk);
        if let Err(error) = ready!(Pin::new(&mut this.file).poll_read(context, &mut buffer)) {
            return Poll::Ready(Some(Err(error)));
        }
        let filled = buffer.filled().len();
        if filled == 0 {
            let error = io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than announced");
            return Poll::Ready(Some(Err(error)));
        }
        chunk.truncate(filled);
        this.remaining -= filled as u64;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(chunk)))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

/// Bounds on receiving one body.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadLimits {
    /// Most bytes of a body.
    pub body_bytes_max: u64,
    /// Least average rate after the grace time. Low on purpose: slow lines are honest, silence is not (T51).
    pub rate_bytes_per_second_min: u32,
    /// Time before the rate counts, seconds.
    pub rate_grace_seconds: u32,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            body_bytes_max: 16 * 1024 * 1024,
            rate_bytes_per_second_min: 128,
            rate_grace_seconds: 30,
        }
    }
}

/// Why a body was not received.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// More bytes than allowed, announced or received.
    #[error("the body is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// The sender is slower than the least rate.
    #[error("the body arrives slower than {bytes_per_second_min} bytes per second")]
    TooSlow {
        /// The limit.
        bytes_per_second_min: u32,
    },
    /// The connection broke before the end of the body.
    #[error("the body broke off: {0}")]
    Broken(Box<dyn std::error::Error + Send + Sync>),
}

/// Receives a body chunk by chunk within [`ReadLimits`].
#[derive(Debug)]
pub struct Reader<B> {
    body: B,
    limits: ReadLimits,
    received: u64,
    started: Instant,
}

impl<B> Reader<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Starts to receive.
    ///
    /// # Errors
    /// When the announced length is over the limit: nothing was read then, and no `100 Continue` was sent (T52).
    pub fn new(body: B, limits: ReadLimits) -> Result<Self, ReadError> {
        if body.size_hint().lower() > limits.body_bytes_max {
            return Err(ReadError::TooLarge {
                bytes_max: limits.body_bytes_max,
            });
        }
        Ok(Self {
            body,
            limits,
            received: 0,
            started: Instant::now(),
        })
    }

    /// Bytes received until now.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The next chunk; `None` at the end.
    ///
    /// # Errors
    /// When the body grows over the limit, comes too slowly or breaks off.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ReadError> {
        let rate = u64::from(self.limits.rate_bytes_per_second_min.max(1));
        loop {
            let earned = u64::from(self.limits.rate_grace_seconds).saturating_add(self.received / rate);
            let deadline = self.started + Duration::from_secs(earned.min(365 * 86_400));
            let frame = match tokio::time::timeout_at(deadline, self.body.frame()).await {
                Err(_) => {
                    return Err(ReadError::TooSlow {
                        bytes_per_second_min: self.limits.rate_bytes_per_second_min,
                    });
                }
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(ReadError::Broken(error.into())),
                Ok(Some(Ok(frame))) => frame,
            };
            let Ok(data) = frame.into_data() else { continue };
            self.received = self.received.saturating_add(data.len() as u64);
            if self.received > self.limits.body_bytes_max {
                return Err(ReadError::TooLarge {
                    bytes_max: self.limits.body_bytes_max,
                });
            }
            if !data.is_empty() {
                return Ok(Some(data));
            }
        }
    }

    /// All bytes until the end.
    ///
    /// # Errors
    /// As [`chunk`](Self::chunk).
    pub async fn all(mut self) -> Result<Bytes, ReadError> {
        let Some(first) = self.chunk().await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.chunk().await? else {
            return Ok(first);
        };
        let mut all = BytesMut::with_capacity(first.len() + second.len());
        all.extend_from_slice(&first);
        all.extend_from_slice(&second);
        while let Some(chunk) = self.chunk().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn limits(body_bytes_max: u64) -> ReadLimits {
        ReadLimits {
            body_bytes_max,
            rate_bytes_per_second_min: 100,
            rate_grace_seconds: 1,
        }
    }

    #[tokio::test]
    async fn a_part_of_a_file_is_sent_exactly() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("blob");
        let bytes: Vec<u8> = (0..400_000_u32).map(|n| (n % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let body = from_file(&path, 1_000, 300_000).await.unwrap();
        assert_eq!(body.size_hint().exact(), Some(300_000));
        assert_eq!(
            body.collect().await.unwrap().to_bytes(),
            bytes.get(1_000..301_000).unwrap()
        );
        let short = from_file(&path, 399_999, 10).await.unwrap();
        assert!(
            short.collect().await.is_err(),
            "a short file must not pass for a complete body"
        );
    }

    #[tokio::test]
    async fn limits_hold_for_announced_and_for_streamed_bytes() {
        assert!(matches!(
            Reader::new(full("12345"), limits(4)),
            Err(ReadError::TooLarge { bytes_max: 4 })
        ));
        let (mut sender, body) = channel(2);
        tokio::spawn(async move { while sender.send(Bytes::from_static(b"abc")).await.is_ok() {} });
        let read = Reader::new(body, limits(10)).unwrap().all().await;
        assert!(matches!(read, Err(ReadError::TooLarge { .. })));
        assert_eq!(
            Reader::new(full("12345"), limits(5)).unwrap().all().await.unwrap(),
            "12345"
        );
    }

    #[tokio::test]
    async fn t51_silence_is_cut_and_a_slow_line_is_not() {
        let (_silent, body) = channel(1);
        let read = Reader::new(body, limits(100)).unwrap().all().await;
        assert!(matches!(read, Err(ReadError::TooSlow { .. })));
        let (mut slow, body) = channel(1);
        tokio::spawn(async move {
            for _ in 0..12 {
                tokio::time::sleep(Duration::from_millis(150)).await;
                let _ = slow.send(Bytes::from_static(&[b'x'; 100])).await;
            }
        });
        assert_eq!(
            Reader::new(body, limits(10_000)).unwrap().all().await.unwrap().len(),
            1_200
        );
    }

    #[tokio::test]
    async fn an_aborted_body_is_an_error() {
        let (mut sender, body) = channel(2);
        sender.send(Bytes::from_static(b"part")).await.unwrap();
        sender.abort(io::Error::other("gone"));
        assert!(body.collect().await.is_err());
    }
}
