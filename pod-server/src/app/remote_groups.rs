//! Group documents of other servers, fetched through the egress guard (invariant 11, T18).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderValue, header};
use server_kit::egress::{Egress, EgressRequest, Redirects};

use crate::authz::RemoteGroups;

/// Redirects that are followed for one group.
const REDIRECTS_MAX: u8 = 2;

/// Fetches groups through the guard, without credentials.
pub struct GuardedGroups(pub Arc<Egress>);

impl RemoteGroups for GuardedGroups {
    fn fetch<'f>(
        &'f self,
        document: &'f str,
        bytes_max: u64,
        time_max: Duration,
    ) -> BoxFuture<'f, Result<(Bytes, String), String>> {
        Box::pin(async move {
            let mut request = EgressRequest::get(document)
                .header(
                    header::ACCEPT,
                    HeaderValue::from_static("text/turtle, application/ld+json;q=0.8"),
                )
                .redirects(Redirects::Any(REDIRECTS_MAX));
            request.response_bytes_max = Some(bytes_max);
            request.time_max = Some(time_max);
            let response = self.0.fetch(request).await.map_err(|error| error.to_string())?;
            if !response.status.is_success() {
                return Err(format!("the server answers {}", response.status));
            }
            let media_type = response.headers.get(header::CONTENT_TYPE);
            let media_type = media_type
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned();
            Ok((response.body, media_type))
        })
    }
}
