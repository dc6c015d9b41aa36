//! What the members do before anyone asks a question: open their registers, describe their datasets, ask their citizens.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use super::ScenarioError;
use super::citizens::Citizen;
use super::datasets::{PURPOSE, descriptions};
use super::network::Network;
use super::party::Party;

/// Requests that are under way at one time.
const AT_ONCE: usize = 16;

/// The registers that anyone may read.
const PUBLIC: [(&str, &str); 2] = [("abb", "abb/register/"), ("statbel", "statbel/ongevallen/")];

/// Words that the citizens are shown.
const NOTICE: &str = "Het Mobiliteitsbedrijf vraagt om de fietstellingen van uw sensor te gebruiken voor onderzoek naar \
                      veilige fietsroutes. Alleen gemiddelden over minstens vijf sensoren worden getoond.";

/// Makes the registers of the agencies readable by anyone.
///
/// # Errors
/// What a server answered instead.
pub async fn open_registers(network: &Network) -> Result<(), ScenarioError> {
    for (member, container) in PUBLIC {
        if !network.pods.contains_key(member) {
            continue;
        }
        let owner = network.party(member)?;
        let url = format!("{}{container}.acl", network.pod(member)?.base_url);
        let acl = public_list(&owner.web_id);
        owner
            .send(Method::PUT, &url, &[("content-type", "text/turtle")], acl)
            .await?
            .success("opening a register")?;
    }
    Ok(())
}

/// An access list by which anyone may read a container and what is in it.
#[must_use]
pub fn public_list(owner: &str) -> String {
    format!(
        "@prefix acl: <http://www.w3.org/ns/auth/acl#> . @prefix foaf: <http://xmlns.com/foaf/0.1/> .
<#owner> a acl:Authorization ; acl:agent <{owner}> ; acl:accessTo <./> ; acl:default <./> ; acl:mode acl:Read, acl:Write, acl:Control .
<#public> a acl:Authorization ; acl:agentClass foaf:Agent ; acl:accessTo <./> ; acl:default <./> ; acl:mode acl:Read ."
    )
}

/// Publishes the description of a dataset of a storage.
///
/// # Errors
/// What the server answered instead.
pub async fn publish(
    network: &Network,
    base_url: &str,
    storage: &str,
    name: &str,
    turtle: String,
) -> Result<(), ScenarioError> {
    let url = format!("{base_url}{storage}/.dataspace/datasets/{name}");
    network
        .party(storage)?
        .send(Method::PUT, &url, &[("content-type", "text/turtle")], turtle)
        .await?
        .success(&format!("describing {name}"))?;
    Ok(())
}

/// Publishes the members' datasets with their offers.
///
/// # Errors
/// What a server answered instead.
pub async fn describe_datasets(network: &Network) -> Result<usize, ScenarioError> {
    let base_url = |name: &str| {
        network
            .pods
            .get(name)
            .map(|pod| pod.base_url.clone())
            .unwrap_or_default()
    };
    let mut descriptions = descriptions(&base_url);
    descriptions.retain(|description| network.pods.contains_key(description.member));
    for description in &descriptions {
        let (member, name) = (description.member, description.name);
        let base_url = &network.pod(member)?.base_url;
        publish(network, base_url, member, name, description.turtle.clone()).await?;
    }
    Ok(descriptions.len())
}

/// Kortrijk asks all its citizens; those who consent say yes themselves. Returns the storages that share.
///
/// # Errors
/// What a server answered instead.
pub async fn ask_citizens(network: &Network, citizens: &[Citizen]) -> Result<BTreeSet<String>, ScenarioError> {
    let base = &network.pod("kortrijk")?.base_url;
    let storages: Vec<&str> = citizens.iter().map(|citizen| citizen.storage.as_str()).collect();
    let body = json!({
        "storages": storages,
        "consent": {
            "recipients": [network.party("mobiliteit")?.web_id],
            "purposes": [PURPOSE],
            "data": { "containers": ["telraam/"] },
            "notice": { "language": "nl", "text": NOTICE },
        },
    });
    let url = format!("{base}kortrijk/.consent/requests");
    network
        .party("kortrijk")?
        .post_json(&url, &body)
        .await?
        .success("asking the citizens")?;
    let willing: Vec<&Citizen> = citizens.iter().filter(|citizen| citizen.consents).collect();
    for group in willing.chunks(AT_ONCE) {
        let answers = group.iter().map(|citizen| say(network, &citizen.storage, "give"));
        for answer in futures_util::future::join_all(answers).await {
            answer?;
        }
    }
    Ok(willing.iter().map(|citizen| citizen.storage.clone()).collect())
}

/// A citizen answers the request that waits, or withdraws: `give`, `refuse`, `withdraw`.
///
/// # Errors
/// What the server answered instead.
pub async fn say(network: &Network, storage: &str, verb: &str) -> Result<Value, ScenarioError> {
    let party = network.party(storage)?;
    let list = format!("{}{storage}/.consent/", network.pod("kortrijk")?.base_url);
    let id = first_consent(party, &list).await?;
    let reply = party
        .send(Method::POST, &format!("{list}{id}/{verb}"), &[], Vec::new())
        .await?;
    Ok(reply.success(&format!("{storage} says {verb}"))?.json())
}

async fn first_consent(party: &Party, list: &str) -> Result<String, ScenarioError> {
    let answer = party
        .send(Method::GET, list, &[], Vec::new())
        .await?
        .success("reading the requests")?
        .json();
    let id = answer
        .pointer("/consents/0/id")
        .and_then(Value::as_str)
        .map(str::to_owned);
    id.ok_or_else(|| ScenarioError(format!("no request waits for {}: {answer}", party.web_id)))
}
