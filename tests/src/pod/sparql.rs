//! Asking SPARQL endpoints, and reading what they say.

use serde_json::Value;

use super::{Client, Reply};

/// Asks an endpoint by form, with further parameters of the protocol.
pub async fn ask(client: &Client, path: &str, query: &str, parameters: &[(&str, &str)]) -> Reply {
    ask_in(client, path, query, parameters, "").await
}

/// Asks in the same way for the answer in a format.
pub async fn ask_in(client: &Client, path: &str, query: &str, parameters: &[(&str, &str)], accept: &str) -> Reply {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("query", query);
    for (name, value) in parameters {
        form.append_pair(name, value);
    }
    let body = form.finish();
    client
        .request("POST", path)
        .header("accept", accept)
        .content("application/x-www-form-urlencoded", body)
        .send()
        .await
}

/// The values of a variable, in the order of the answer.
///
/// # Panics
/// When there is no answer.
#[must_use]
pub fn values(reply: &Reply, variable: &str) -> Vec<String> {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let json = reply.json();
    let bindings = json["results"]["bindings"].as_array().expect("bindings");
    let value = |row: &Value| row[variable]["value"].as_str().map(ToOwned::to_owned);
    bindings.iter().filter_map(value).collect()
}

/// The kind of a problem: the last part of its type.
#[must_use]
pub fn kind(reply: &Reply) -> String {
    let json = reply.json();
    json["type"]
        .as_str()
        .unwrap_or_default()
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_owned()
}
