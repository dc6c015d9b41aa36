//! A connection that ends when nothing moves on it (T51).
//!
//! One timer per connection, checked when a read or a write has to wait: a busy connection pays nothing for it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::network::Place;

/// A stream with a bound on silence in either direction. It keeps its place among those of its network to its end, also when
/// it became a WebSocket.
pub(super) struct IdleBound<S> {
    stream: S,
    _place: Option<Place>,
    timer: Pin<Box<Sleep>>,
    period: Duration,
    read: bool,
    written: bool,
    write_waits: bool,
}

impl<S> IdleBound<S> {
    /// The first byte must come within `first`; after that no period of `period` may pass without movement.
    pub(super) fn new((stream, place): (S, Option<Place>), first: Duration, period: Duration) -> Self {
        Self {
            stream,
            _place: place,
            timer: Box::pin(tokio::time::sleep(first)),
            period,
            read: false,
            written: false,
            write_waits: false,
        }
    }

    /// Called when the stream has to wait: looks whether the last period passed in silence.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while self.timer.as_mut().poll(context).is_ready() {
            let stalled = self.write_waits && !self.written;
            let silent = !self.read && !self.written;
            if stalled || silent {
                return Err(io::ErrorKind::TimedOut.into());
            }
            (self.read, self.written) = (false, false);
            let next = Instant::now() + self.period;
            self.timer.as_mut().reset(next);
        }
        Ok(())
    }

    fn after_write(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match polled {
            Poll::Ready(result) => {
                self.written = true;
                self.write_waits = false;
                Poll::Ready(result)
            }
            Poll::Pending => {
                self.write_waits = true;
                match self.check(context) {
                    Ok(()) => Poll::Pending,
                    Err(error) => Poll::Ready(Err(error)),
                }
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for IdleBound<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Ready(result) => {
                this.read = true;
                Poll::Ready(result)
            }
            Poll::Pending => match this.check(context) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for IdleBound<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.after_write(context, polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.after_write(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
