//! The second way to an access token: a DPoP-bound ID token is exchanged for one (UMA 2.0 grant §3.3 with the ID token
//! profile, Solid-OIDC §7; solid#93, solid#94, solid#96).
//!
//! A refused request to the pod carries a ticket. It is no permission: rights are decided at the resource, for every
//! request. It only ties the exchange to a request that was refused here a short time ago, and counts once. So it needs
//! no memory when it is made, which nobody can be made to fill, but only when it is used.

use std::collections::HashMap;

use http::HeaderValue;
use parking_lot::Mutex;
use serde_json::{Value, json};
use server_kit::authn::RejectionKind;
use server_kit::random::Random;

use crate::ui::Form;

use super::discovery::path;
use super::seal::{Purpose, Seal};
use super::site::Site;
use super::token::{Stop, fault};
use super::{Identity, claims};

/// The grant type (UMA 2.0 grant §3.3.1).
pub const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:uma-ticket";

/// The profile, and the format of its claim token (Solid-OIDC §7.2).
pub const ID_TOKEN_PROFILE: &str = "http://openid.net/specs/openid-connect-core-1_0.html#IDToken";

/// The used tickets: each counts once.
pub struct Tickets {
    seconds: i64,
    spent_max: usize,
    /// Random parts of the tickets that were used, and until when each would count.
    spent: Mutex<HashMap<[u8; 16], i64>>,
}

/// Why a ticket is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketFault {
    /// It is not ours, it has expired, or it was used before.
    Invalid,
    /// As many tickets are remembered as may be; to be tried again.
    Full,
}

impl Tickets {
    /// Tickets that count for some seconds; at most `spent_max` used ones are remembered.
    #[must_use]
    pub fn new(seconds: u32, spent_max: usize) -> Self {
        Self {
            seconds: i64::from(seconds),
            spent_max,
            spent: Mutex::default(),
        }
    }

    /// A new ticket: until when it counts, and something random, sealed.
    #[must_use]
    pub fn issue(&self, seal: &Seal, now: i64, random: &dyn Random) -> String {
        let mut nonce = [0; 16];
        random.fill(&mut nonce);
        let mut ticket = (now + self.seconds).to_be_bytes().to_vec();
        ticket.extend_from_slice(&nonce);
        seal.seal(Purpose::Ticket, &ticket)
    }

    /// Takes a ticket.
    ///
    /// # Errors
    /// [`TicketFault`].
    pub fn spend(&self, seal: &Seal, ticket: &str, now: i64) -> Result<(), TicketFault> {
        let ticket = seal.open(Purpose::Ticket, ticket).ok_or(TicketFault::Invalid)?;
        let (until, nonce) = ticket.split_at_checked(8).ok_or(TicketFault::Invalid)?;
        let until = i64::from_be_bytes(until.try_into().map_err(|_| TicketFault::Invalid)?);
        let nonce: [u8; 16] = nonce.try_into().map_err(|_| TicketFault::Invalid)?;
        if until <= now {
            return Err(TicketFault::Invalid);
        }
        let mut spent = self.spent.lock();
        if spent.len() >= self.spent_max {
            spent.retain(|_, until| *until > now);
            if spent.len() >= self.spent_max {
                return Err(TicketFault::Full);
            }
        }
        match spent.insert(nonce, until) {
            None => Ok(()),
            Some(_) => Err(TicketFault::Invalid),
        }
    }
}

/// The metadata document of the authorization server (UMA 2.0 grant §2).
#[must_use]
pub fn configuration(site: &Site, algorithms: &[&str]) -> Value {
    json!({
        "issuer": site.issuer(),
        "token_endpoint": site.console(path::TOKEN),
        "jwks_uri": site.console(path::JWKS),
        "grant_types_supported": [GRANT_TYPE],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["none"],
        "dpop_signing_alg_values_supported": algorithms,
        "uma_profiles_supported": [ID_TOKEN_PROFILE],
    })
}

impl Identity {
    /// A challenge for a request that was refused for want of good credentials (UMA 2.0 grant §3.2.1); none if the
    /// exchange is switched off.
    #[must_use]
    pub fn uma_challenge(&self) -> Option<HeaderValue> {
        if !self.config().uma {
            return None;
        }
        let ticket = self.tickets.issue(&self.seal, self.clock().unix(), self.random());
        let (realm, issuer) = (self.site().base_url(), self.site().issuer());
        HeaderValue::from_str(&format!(
            "UMA realm=\"{realm}\", as_uri=\"{issuer}\", ticket=\"{ticket}\""
        ))
        .ok()
    }

    /// Asks for what is missing, with a ticket for the next try (UMA 2.0 grant §3.3.6).
    fn need_info(&self, description: &str) -> Stop {
        let ticket = self.tickets.issue(&self.seal, self.clock().unix(), self.random());
        let claim = json!([{ "claim_token_format": [ID_TOKEN_PROFILE], "name": "webid", "friendly_name": "WebID" }]);
        fault("need_info", description)
            .with("ticket", json!(ticket))
            .with("required_claims", claim)
    }
}

/// Exchanges an ID token for an access token that is bound to the same key.
pub(super) async fn exchange(identity: &Identity, form: &Form, jkt: &str) -> Result<Value, Stop> {
    if !identity.config().uma {
        return Err(fault(
            "unsupported_grant_type",
            "this server does not exchange ID tokens",
        ));
    }
    let now = identity.clock().unix();
    let ticket = form
        .field("ticket")
        .ok_or_else(|| fault("invalid_request", "`ticket` is missing"))?;
    identity
        .tickets
        .spend(&identity.seal, ticket, now)
        .map_err(|ticket| match ticket {
            TicketFault::Invalid => fault(
                "invalid_grant",
                "the ticket is unknown, has expired or was used: ask for the resource again",
            ),
            TicketFault::Full => fault("temporarily_unavailable", "too many exchanges at one time"),
        })?;
    let Some(token) = form.field("claim_token") else {
        return Err(identity.need_info("send an ID token as `claim_token`"));
    };
    if form.field("claim_token_format") != Some(ID_TOKEN_PROFILE) {
        return Err(identity.need_info("`claim_token_format` must name the ID token profile"));
    }
    let id_token = identity
        .proofs()
        .verify_id_token(token, jkt)
        .await
        .map_err(|rejection| {
            let error = match rejection.kind {
                RejectionKind::InvalidProof => "invalid_dpop_proof",
                _ => "request_denied",
            };
            fault(error, rejection.description)
        })?;
    if form.field("client_id").is_some_and(|client| client != id_token.client) {
        return Err(fault("invalid_client", "the ID token was given to another client"));
    }
    let seconds = i64::from(identity.config().exchanged_token_seconds);
    let expires = (now + seconds).min(id_token.expires).max(now + 1);
    let site = identity.site();
    let jti = identity.random().uuid();
    let claims = claims::exchanged_token(&id_token, site.issuer(), site.base_url(), (now, expires), jkt, &jti);
    Ok(json!({
        "access_token": identity.sign_access_token(&claims)?,
        "token_type": "DPoP",
        "expires_in": expires - now,
    }))
}

#[cfg(test)]
mod tests {
    use server_kit::random::SystemRandom;

    use super::*;

    #[test]
    fn a_ticket_counts_once_for_its_time_and_only_here() {
        let (seal, other) = (Seal::new(&SystemRandom), Seal::new(&SystemRandom));
        let tickets = Tickets::new(300, 2);
        let issue = |seal: &Seal, now| tickets.issue(seal, now, &SystemRandom);
        let ticket = issue(&seal, 1_000);
        assert_eq!(
            tickets.spend(&seal, &ticket, 1_300),
            Err(TicketFault::Invalid),
            "expired"
        );
        assert_eq!(tickets.spend(&seal, &ticket, 1_299), Ok(()));
        assert_eq!(tickets.spend(&seal, &ticket, 1_299), Err(TicketFault::Invalid), "used");
        let short = seal.seal(Purpose::Ticket, b"short");
        for foreign in [issue(&other, 1_000).as_str(), &short, "", "x"] {
            assert_eq!(
                tickets.spend(&seal, foreign, 1_000),
                Err(TicketFault::Invalid),
                "{foreign}"
            );
        }
        assert_eq!(tickets.spend(&seal, &issue(&seal, 1_000), 1_000), Ok(()));
        assert_eq!(
            tickets.spend(&seal, &issue(&seal, 1_000), 1_000),
            Err(TicketFault::Full)
        );
        assert_eq!(
            tickets.spend(&seal, &issue(&seal, 1_400), 1_400),
            Ok(()),
            "old ones are forgotten"
        );
    }
}
