//! A streamed answer within bounds.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::Permit;
use crate::body::Body;

/// Bounds of one stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamLimits {
    pub(super) bytes_max: u64,
    pub(super) idle_max: Duration,
    pub(super) deadline: Instant,
}

/// A body that keeps the bounds; the permit is held until its end.
pub(super) fn bounded(body: Incoming, limits: StreamLimits, permit: Permit) -> Body {
    let first = limits.deadline.min(Instant::now() + limits.idle_max);
    let timer = Box::pin(tokio::time::sleep_until(first));
    Bounded {
        body,
        limits,
        received: 0,
        timer,
        _permit: permit,
    }
    .boxed_unsync()
}

struct Bounded {
    body: Incoming,
    limits: StreamLimits,
    received: u64,
    timer: Pin<Box<Sleep>>,
    _permit: Permit,
}

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(context);
        if polled.is_pending() {
            ready!(this.timer.as_mut().poll(context));
            return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
        }
        let Some(frame) = ready!(polled) else {
            return Poll::Ready(None);
        };
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return Poll::Ready(Some(Err(io::Error::other(error)))),
        };
        let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
        this.received = this.received.saturating_add(bytes);
        if this.received > this.limits.bytes_max {
            return Poll::Ready(Some(Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "the answer is too large",
            ))));
        }
        let now = Instant::now();
        if now >= this.limits.deadline {
            return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
        }
        // Empty frames are no progress: they must not keep a stream alive (T49).
        if bytes > 0 {
            let next = this.limits.deadline.min(now + this.limits.idle_max);
            this.timer.as_mut().reset(next);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
