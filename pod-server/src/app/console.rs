//! The way of a request on the console origin: accounts, the issuer, and the pages of other parts.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use server_kit::body::{self, Body};
use server_kit::serve::Peer;

use super::App;
use crate::browse::DataBrowser;
use crate::dataspace::DataspaceService;

impl App {
    /// Answers a request on the console origin.
    pub async fn console(self: Arc<Self>, request: Request<Incoming>, peer: Peer) -> Response<Body> {
        if let Err(error) = self.console_hosts.check(request.uri(), request.headers()) {
            return error.into_response(&self.challenge);
        }
        if DataspaceService::owns_page(request.uri().path()) {
            let (parts, body) = request.into_parts();
            return match self.identity.visit(&parts) {
                Ok(visit) => self.dataspace.page(&visit, &parts, body).await,
                Err(error) => crate::error::Error::from(error).into_response(&self.challenge),
            };
        }
        if DataBrowser::owns_page(request.uri().path()) {
            let (parts, incoming) = request.into_parts();
            return match self.identity.visit(&parts) {
                Ok(visit) => self.browse.page(&visit, &parts, body::received(incoming)).await,
                Err(error) => crate::error::Error::from(error).into_response(&self.challenge),
            };
        }
        match self.identity.handle(request, peer.client).await {
            Ok(response) => response,
            Err(error) => crate::error::Error::from(error).into_response(&self.challenge),
        }
    }
}
