//! Delegations: a consumer lets this broker act under named agreements, for one purpose, for a few minutes. The broker checks that each
//! is this consumer's and meant for it; the owner of each agreement checks again.

use super::Asked;
use crate::app::Broker;
use crate::enforce::Asker;
use crate::error;
use crate::http::Call;
use http::Method;
use http::header::HeaderValue;
use policies::request::WebId;
use server_kit::authn::client::DELEGATION;
use server_kit::problem::Problem;
use std::collections::{BTreeMap, BTreeSet};

/// For each agreement, the delegation that names it.
pub(crate) type Proofs = BTreeMap<String, HeaderValue>;

/// Who asks, for what, and what they delegate.
///
/// # Errors
/// 401 and 403 for whoever says nothing, or shows what is not theirs; 400 for what cannot be read.
pub(crate) fn asker(broker: &Broker, call: &Call, asked: &Asked) -> Result<(Asker, Proofs), Problem> {
    let (web_id, jkt) = call.consumer()?;
    let web_id = WebId::parse(web_id).map_err(|cause| error::internal(&cause))?;
    let mut asker = Asker {
        web_id,
        purpose: asked.purpose.clone(),
        delegated: BTreeSet::new(),
        named: asked.agreements.iter().cloned().collect(),
    };
    let mut proofs = Proofs::new();
    for text in delegations(broker, call)? {
        let delegation = broker
            .authenticator
            .verify_delegation(text)
            .map_err(|rejection| rejection.to_problem())?;
        if delegation.consumer != asker.web_id || delegation.jkt != jkt {
            return Err(error::forbidden(
                "delegation-not-yours",
                "the delegation is by another consumer or another key",
            ));
        }
        let here = broker.config.server.base_url.as_str();
        if delegation.broker.trim_end_matches('/') != here.trim_end_matches('/')
            || delegation.broker_jkt != broker.key.thumbprint()
        {
            return Err(error::forbidden(
                "delegation-to-another",
                format!(
                    "the delegation is to `{}`; here `act.sub` is `{here}` and `cnf.jkt` is `{}`",
                    delegation.broker,
                    broker.key.thumbprint()
                ),
            ));
        }
        match &asker.purpose {
            Some(purpose) if *purpose != delegation.purpose => {
                return Err(error::forbidden(
                    "purpose-differs",
                    format!(
                        "the query states the purpose <{purpose}>, the delegation <{}>",
                        delegation.purpose
                    ),
                ));
            }
            _ => asker.purpose = Some(delegation.purpose.clone()),
        }
        let mut value = HeaderValue::from_str(text).map_err(|_| malformed_delegation())?;
        value.set_sensitive(true);
        for agreement in &delegation.agreements {
            asker.delegated.insert(agreement.clone());
            proofs.entry(agreement.clone()).or_insert_with(|| value.clone());
        }
    }
    Ok((asker, proofs))
}

/// The delegations of a request, in header fields or in its form: those of hundreds of agreements do not fit into a header, and when
/// each names a few, an owner learns of those few only.
fn delegations<'a>(broker: &Broker, call: &'a Call) -> Result<Vec<&'a str>, Problem> {
    let fields = call.headers.get_all(DELEGATION).iter();
    let mut found = fields
        .map(|value| value.to_str().map_err(|_| malformed_delegation()))
        .collect::<Result<Vec<_>, _>>()?;
    if call.method == Method::POST {
        found.extend(call.all("delegation"));
    }
    let most = broker.config.query.delegations_max;
    if found.len() > most {
        return Err(error::bad_request(
            "too-many-delegations",
            format!(
                "a query comes with {} delegations; at most {most} are read, each may name several agreements",
                found.len()
            ),
        ));
    }
    Ok(found)
}

fn malformed_delegation() -> Problem {
    error::bad_request("malformed-delegation", "the delegation is not text")
}
