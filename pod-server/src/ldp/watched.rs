//! A long answer that ends when the right to it does (T21; ARCHITECTURE invariant 8).
//!
//! Each piece is handed on only if no access rule has changed since the decision, or if the decision, made anew, permits.
//! What is on its way to the receiver already cannot be called back.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use policies::request::Subject;
use server_kit::body::Body;

use super::operation::Operation;
use super::service::LdpService;
use super::situation::Situation;
use super::target::Target;
use crate::authz::{Caller, Pep, Requirement, Verdict};
use crate::error::Error;

/// Bytes that leave in one piece anyway.
const SHORT_BYTES: u64 = 64 << 10;

struct Watched {
    content: Body,
    pep: Arc<Pep>,
    subject: Subject,
    requirements: Vec<Requirement>,
    /// The number of changes of access rules at the last decision.
    epoch: u64,
    asking: Option<BoxFuture<'static, Result<Verdict, Error>>>,
}

impl LdpService {
    /// The same answer to a read, for as long as the caller may read.
    pub(super) fn watched(
        &self,
        response: Response<Body>,
        target: &Target,
        caller: &Caller,
        verdict: &Verdict,
    ) -> Response<Body> {
        let length = response.body().size_hint().exact();
        if length.is_some_and(|bytes| bytes <= SHORT_BYTES) {
            return response;
        }
        response.map(|content| {
            let watched = Watched {
                content,
                pep: Arc::clone(&self.pep),
                subject: caller.subject.clone(),
                requirements: Operation::Read.requirements(target, &Situation::unseen()),
                epoch: verdict.epoch(),
                asking: None,
            };
            watched.boxed_unsync()
        })
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if this.asking.is_none() && this.pep.pip().epoch().now() != this.epoch {
            let (pep, subject, requirements) = (Arc::clone(&this.pep), this.subject.clone(), this.requirements.clone());
            this.asking = Some(Box::pin(async move { pep.consider(&subject, &requirements).await }));
        }
        if let Some(asking) = &mut this.asking {
            let decided = ready!(asking.as_mut().poll(context));
            this.asking = None;
            match decided {
                Ok(verdict) if verdict.permitted => this.epoch = verdict.epoch(),
                _ => {
                    tracing::info!("an answer was broken off because the right to it ended");
                    let ended = io::Error::new(io::ErrorKind::PermissionDenied, "the right to the resource ended");
                    return Poll::Ready(Some(Err(ended)));
                }
            }
        }
        Pin::new(&mut this.content).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}
