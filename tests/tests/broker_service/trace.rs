//! One trace joins the consumer, the broker and the members.

use meent_tests::pod::Client;
use pod_server::log::own::LogExport;
use policies::audit::{AuditAction, AuditRecord};
use rusqlite::Connection;
use serde_json::json;

use super::harness::{BrokerServer, JSON, PURPOSE, ROWS, agree, delegation, municipality, numbers};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

async fn traces(owner: &Client) -> Vec<(AuditAction, Option<String>)> {
    let page = owner.get("/city/.log?limit=500").await;
    let export: LogExport = serde_json::from_slice(&page.body).unwrap();
    let records = export.entries.into_iter().map(|entry| entry.sealed.record);
    records.map(|record| (record.action, record.trace)).collect()
}

/// A consumer's `traceparent` stands in the records of the broker and of both members, and comes back in the answers; a request
/// without one gets a trace of its own, and what is no trace is not taken over. Requirement AUD-12.
#[tokio::test(flavor = "multi_thread")]
async fn one_trace_joins_consumer_broker_and_members() {
    let directory = tempfile::tempdir().unwrap();
    let (gent, brugge) = (
        municipality("Gent", 10, "<>").await,
        municipality("Brugge", 20, "<>").await,
    );
    let broker = BrokerServer::start(directory.path(), &[&gent, &brugge], json!({})).await;
    broker.knows(2).await;
    let company = gent.agent("company").await;
    let agreements = [
        agree(&company, &gent, &broker).await,
        agree(&company, &brugge, &broker).await,
    ];
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("query", ROWS);
    let body = form.finish();
    let client = company.client();
    let ask = |parent: Option<&'static str>| {
        let request = client
            .request("POST", &format!("{}sparql", broker.base_url))
            .header("accept", JSON)
            .header("delegation", delegation(&company, &broker, &agreements, PURPOSE))
            .content("application/x-www-form-urlencoded", body.clone());
        match parent {
            Some(parent) => request.header("traceparent", parent),
            None => request,
        }
    };
    let reply = ask(Some(PARENT)).send().await;
    assert_eq!(numbers(&reply).len(), 6, "{}", reply.text());
    let answered = reply.header("traceresponse").to_owned();
    assert!(
        answered.starts_with(&format!("00-{TRACE}-")) && !answered.contains("b7ad6b7169203331"),
        "{answered}"
    );
    let own = ask(None).send().await.header("traceresponse").to_owned();
    assert!(own.len() == 55 && !own.contains(TRACE), "{own}");
    let strange = ask(Some("00-00000000000000000000000000000000-b7ad6b7169203331-01"))
        .send()
        .await;
    assert!(
        !strange.header("traceresponse").contains("-00000000"),
        "{}",
        strange.header("traceresponse")
    );

    for pod in [&gent, &brugge] {
        let owner = meent_tests::pod::Agent::new(
            &pod.app.issuer,
            format!("{}city/profile/card#me", pod.base_url),
            &pod.base_url,
        );
        let told = traces(&owner.client()).await;
        let queries: Vec<&Option<String>> = told
            .iter()
            .filter(|(action, _)| *action == AuditAction::Query)
            .map(|(_, trace)| trace)
            .collect();
        assert_eq!(queries.len(), 3);
        let of_consumer = queries.iter().filter(|trace| trace.as_deref() == Some(TRACE)).count();
        assert_eq!(of_consumer, 1, "{queries:?}");
        assert!(
            queries
                .iter()
                .any(|trace| trace.as_ref().is_some_and(|trace| own.contains(trace.as_str())))
        );
    }
    broker.stop().await;
    let store = Connection::open(directory.path().join("broker.sqlite")).unwrap();
    let mut statement = store.prepare("SELECT content FROM record").unwrap();
    let records = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let records: Vec<AuditRecord> = records
        .map(|bytes| AuditRecord::from_bytes(&bytes.unwrap()).unwrap())
        .collect();
    let joined = records
        .iter()
        .filter(|record| record.trace.as_deref() == Some(TRACE))
        .count();
    assert_eq!(joined, 2, "the beginning and the end of the query");
    assert!(
        records
            .iter()
            .all(|record| record.trace.is_some() || record.action != AuditAction::Query)
    );
}
