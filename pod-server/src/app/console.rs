//! The way of a request on the console origin.

use std::sync::Arc;

use http::Request;
use http::Response;
use hyper::body::Incoming;
use server_kit::body::Body;
use server_kit::serve::Peer;

use super::App;
use crate::error::Error;

impl App {
    /// Answers a request on the console origin.
    pub async fn console(self: Arc<Self>, _request: Request<Incoming>, _peer: Peer) -> Response<Body> {
        Error::NotFound.into_response(&self.challenge)
    }
}
