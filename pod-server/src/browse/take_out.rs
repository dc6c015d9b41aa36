//! A whole storage as one archive, for its owner to take along.

use std::sync::Arc;

use http::{HeaderValue, Response, StatusCode, header};
use server_kit::body::Body;

use crate::archive::{self, Source};
use crate::error::Error;
use crate::ui::response::protect;

use super::{DataBrowser, Fault, Turn};

impl DataBrowser {
    /// Streams the archive of one of the person's own storages. It is decided and recorded as one read of its root, before
    /// the first byte.
    pub(super) async fn take_out(&self, turn: &Turn<'_>) -> Result<Response<Body>, Fault> {
        let own = turn.session.storages.iter().any(|root| root == turn.name.as_str());
        if !own {
            return Err(Fault::Interface(Error::NotFound));
        }
        let permit = self.parts.ldp.take_out(&turn.name, &turn.caller).await?;
        let now = self.parts.clock.now();
        let source = Source {
            root: turn.name.clone(),
            origins: self.parts.origins.clone(),
            issuer: self.parts.issuer.clone(),
            now,
        };
        let archive = self.exports.stream(Arc::clone(&self.parts.store), permit, source);
        let archive = archive.map_err(|_| Fault::Said(StatusCode::SERVICE_UNAVAILABLE, "leave-along-many"))?;
        let mut response = Response::new(archive);
        let headers = response.headers_mut();
        protect(headers, None);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/gzip"));
        let name = archive::file_name(&turn.name, now);
        if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
            headers.insert(header::CONTENT_DISPOSITION, value);
        }
        Ok(response)
    }
}
