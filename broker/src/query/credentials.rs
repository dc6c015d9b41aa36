//! Credentials for sub-queries: the agreement's token, a fresh proof by the broker's key, and the consumer's delegation.

use super::delegation::Proofs;
use crate::agreement::Deposit;
use crate::app::Broker;
use crate::fetch::{Credentials, FetchError};
use crate::source::Source;
use http::{HeaderMap, Method};
use server_kit::authn::client::DELEGATION;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a query's requests are sent with.
pub(crate) struct Delegated {
    pub(crate) broker: Arc<Broker>,
    pub(crate) deposits: BTreeMap<String, Arc<Deposit>>,
    pub(crate) proofs: Proofs,
    pub(crate) purpose: Option<String>,
}

impl Credentials for Delegated {
    fn headers(&self, source: &Source, url: &str) -> Result<HeaderMap, FetchError> {
        let mut headers = HeaderMap::new();
        let Some(agreement) = &source.agreement else {
            return Ok(headers);
        };
        let deposit = self
            .deposits
            .get(agreement)
            .ok_or_else(|| FetchError::NoToken("none was deposited".to_owned()))?;
        let delegation = self
            .proofs
            .get(agreement)
            .cloned()
            .ok_or_else(|| FetchError::NoToken("no delegation names it".to_owned()))?;
        let now = self.broker.clock.unix();
        self.broker
            .key
            .authorize(
                &mut headers,
                &Method::POST,
                url,
                &deposit.token,
                now,
                &*self.broker.random,
            )
            .map_err(|_| FetchError::NoToken("no proof could be made".to_owned()))?;
        headers.insert(DELEGATION, delegation);
        Ok(headers)
    }

    fn purpose(&self) -> Option<&str> {
        self.purpose.as_deref()
    }
}
