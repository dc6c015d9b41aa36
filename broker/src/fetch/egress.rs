//! The way to the sources in service: the egress guard.

use super::{FetchError, Stream, SubRequest, Transport};
use futures_util::future::{BoxFuture, FutureExt};
use http::{HeaderMap, StatusCode};
use server_kit::egress::{Egress, EgressError, EgressFailure, EgressRequest};

impl Transport for Egress {
    fn send(&self, request: SubRequest) -> BoxFuture<'_, Result<(StatusCode, HeaderMap, Stream), FetchError>> {
        let (time_max, bytes_max) = (request.time_max, request.bytes_max);
        let mut outgoing = EgressRequest::new(request.method, request.url)
            .bytes_max(bytes_max)
            .time_max(time_max);
        outgoing.headers = request.headers;
        outgoing.body = request.body;
        async move { self.stream(outgoing).await.map_err(|error| failure(&error, bytes_max)) }.boxed()
    }
}

fn failure(error: &EgressError, bytes_max: u64) -> FetchError {
    match error.failure() {
        EgressFailure::Refused | EgressFailure::Unreachable => FetchError::Unreachable,
        EgressFailure::TimedOut => FetchError::TimedOut(0),
        EgressFailure::TooLarge => FetchError::TooManyBytes(bytes_max),
        EgressFailure::Redirected => FetchError::Broken("it redirects, which is not followed".to_owned()),
        EgressFailure::Broken => FetchError::Broken("the connection ended before the answer did".to_owned()),
    }
}
