//! A consumer's end of a standing query: opens it, takes its events, and keeps the rows as the events say.

use super::harness::{BrokerServer, PURPOSE, delegation_for};
use broker::standing::event::{Event, Events};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use meent_tests::pod::{Agent, PodServer};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Far longer than anything takes that is waited for here.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to open.
pub struct Wish<'a> {
    pub query: &'a str,
    pub agreements: &'a [String],
    pub seconds: u32,
    pub last: Option<&'a str>,
    pub fields: &'a [(&'a str, &'a str)],
}

impl<'a> Wish<'a> {
    pub fn new(query: &'a str, agreements: &'a [String]) -> Self {
        Self {
            query,
            agreements,
            seconds: 120,
            last: None,
            fields: &[],
        }
    }
}

/// An open stream.
pub struct Stream {
    pub id: String,
    body: Incoming,
    events: Events,
    waiting: VecDeque<Event>,
    /// The rows as the events say, as multiset.
    pub rows: BTreeMap<String, i64>,
    /// The last event's id.
    pub last: String,
}

/// Opens a stream, or gives the status and the words of the refusal.
pub async fn open(agent: &Agent, broker: &BrokerServer, wish: &Wish<'_>) -> Result<Stream, (u16, String)> {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("query", wish.query).extend_pairs(wish.fields);
    let client = agent.client();
    let mut request = client
        .request("POST", &format!("{}sparql", broker.base_url))
        .header("accept", "text/event-stream")
        .content("application/x-www-form-urlencoded", form.finish());
    if !wish.agreements.is_empty() {
        let word = delegation_for(agent, broker, wish.agreements, PURPOSE, wish.seconds);
        request = request.header("delegation", word);
    }
    if let Some(last) = wish.last {
        request = request.header("last-event-id", last);
    }
    let response = request.opened().await.unwrap();
    let (parts, body) = response.into_parts();
    if parts.status != 200 {
        let words = body.collect().await.unwrap().to_bytes();
        return Err((parts.status.as_u16(), String::from_utf8_lossy(&words).into_owned()));
    }
    assert_eq!(parts.headers["content-type"], "text/event-stream");
    assert_eq!(parts.headers["cache-control"], "no-store");
    Ok(Stream {
        id: parts.headers["meent-query"].to_str().unwrap().to_owned(),
        body,
        events: Events::new(1 << 20),
        waiting: VecDeque::new(),
        rows: BTreeMap::new(),
        last: String::new(),
    })
}

impl Stream {
    /// The next event, with its data; takes its rows in.
    pub async fn next(&mut self) -> (String, Value) {
        let event = tokio::time::timeout(PATIENCE, self.raw())
            .await
            .expect("an event in time");
        let event = event.expect("an event before the end");
        let data: Value = serde_json::from_str(&event.data).unwrap();
        self.last.clone_from(&event.id);
        if event.name == "answer" {
            self.rows.clear();
            self.count(&data["results"]["bindings"], 1);
        }
        if event.name == "change" {
            self.count(&data["removed"]["bindings"], -1);
            self.count(&data["added"]["bindings"], 1);
        }
        assert!(self.rows.values().all(|count| *count > 0), "{:?}", self.rows);
        (event.name, data)
    }

    fn count(&mut self, bindings: &Value, by: i64) {
        for row in bindings.as_array().into_iter().flatten() {
            *self
                .rows
                .entry(row["n"]["value"].as_str().unwrap_or("?").to_owned())
                .or_insert(0) += by;
        }
        self.rows.retain(|_, count| *count != 0);
    }

    /// The next event; none at the end of the stream.
    async fn raw(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            let frame = self.body.frame().await?.ok()?;
            let piece = frame.into_data().ok()?;
            self.waiting.extend(self.events.take(&piece).unwrap());
        }
    }

    /// Takes events until the rows are these; says of the last one what its manifest says.
    pub async fn until(&mut self, numbers: &[i64]) -> Value {
        let wanted: BTreeMap<String, i64> = numbers.iter().map(|number| (number.to_string(), 1)).collect();
        loop {
            let (name, data) = self.next().await;
            assert_ne!(name, "end", "{data}");
            if self.rows == wanted {
                return data["manifest"].clone();
            }
        }
    }

    /// Takes events until the last one, which nothing follows; its code.
    pub async fn ended(mut self) -> (String, String) {
        loop {
            let (name, data) = self.next().await;
            if name == "end" {
                assert_eq!(self.raw().await, None, "nothing follows an end");
                return (
                    data["code"].as_str().unwrap().to_owned(),
                    data["reason"].as_str().unwrap().to_owned(),
                );
            }
        }
    }
}

/// The numbers of a part of an event.
pub fn told(data: &Value, part: &str) -> Vec<i64> {
    let rows = data[part]["bindings"].as_array().unwrap();
    let mut numbers: Vec<i64> = rows
        .iter()
        .map(|row| row["n"]["value"].as_str().unwrap().parse().unwrap())
        .collect();
    numbers.sort_unstable();
    numbers
}

/// Waits until so many listen at a pod server.
pub async fn listeners(pod: &PodServer, count: usize) {
    let settled = async {
        while pod.app.query.listening() != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, settled).await;
    waited.unwrap_or_else(|_| panic!("{} listen instead of {count}", pod.app.query.listening()));
}
