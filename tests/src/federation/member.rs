//! A federation member: any SPARQL 1.1 endpoint, here Oxigraph behind hyper on a loopback port. It can also misbehave, each time in
//! one named way.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use oxigraph::sparql::{QueryResults, SparqlEvaluator};
use oxigraph::store::Store;
use oxrdf::{GraphName, Literal, NamedNode, Quad, Term, Triple};
use server_kit::mask;
use sparesults::{QueryResultsFormat, QueryResultsSerializer};
use std::sync::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How a member answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// As the protocol says.
    Normal,
    /// Takes the request and never answers.
    Hangs,
    /// Sends the head, then nothing.
    HangsAfterHead,
    /// One byte at a time, with pauses.
    Drips,
    /// Bytes that are no JSON, as JSON.
    Garbage,
    /// A web page.
    Html,
    /// Half of a right answer, cleanly ended.
    Truncated,
    /// Half of a right answer, then the connection breaks.
    DiesMidway,
    /// Closes the connection without a word.
    Closes,
    /// Status 500.
    ServerError,
    /// Status 403 with problem details.
    Forbids,
    /// A column nobody asked for.
    ExtraColumn,
    /// Rows without the values that were asked for.
    EmptyRows,
    /// A boolean instead of rows.
    Boolean,
    /// A triple about a triple about a triple, and so on.
    Nested,
    /// Rows without end.
    Endless,
    /// A redirect to another place.
    Redirects,
    /// One string of many megabytes.
    Huge,
    /// An empty body.
    Nothing,
    /// As the protocol says, in XML whatever was asked for.
    Xml,
    /// Rows about something else than the values that were sent along.
    OtherKeys,
}

/// A running member.
pub struct Member {
    /// Name in the federation.
    pub name: String,
    /// Its SPARQL endpoint.
    pub endpoint: String,
    /// Its data, for the expectation.
    pub triples: Vec<Triple>,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    store: Store,
    behaviour: Mutex<Behaviour>,
    delay_ms: AtomicU64,
    requests: AtomicU64,
    finished: AtomicU64,
    concurrent: AtomicU64,
    concurrent_max: AtomicU64,
    queries: Mutex<Vec<String>>,
    headers: Mutex<Vec<http::HeaderMap>>,
}

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

impl Member {
    /// Starts a member with this data.
    ///
    /// # Errors
    /// When no port can be bound or a triple cannot be stored.
    pub async fn start(name: &str, triples: Vec<Triple>) -> std::io::Result<Self> {
        let store = Store::new().map_err(std::io::Error::other)?;
        let mut loader = store.bulk_loader();
        loader
            .load_quads(
                triples
                    .iter()
                    .map(|triple| triple.clone().in_graph(GraphName::DefaultGraph)),
            )
            .map_err(std::io::Error::other)?;
        loader.commit().map_err(std::io::Error::other)?;
        Self::serve(name, store, triples).await
    }

    /// Starts a member with named graphs.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with_graphs(name: &str, quads: Vec<Quad>) -> std::io::Result<Self> {
        let store = Store::new().map_err(std::io::Error::other)?;
        for quad in &quads {
            store.insert(quad).map_err(std::io::Error::other)?;
        }
        let triples = quads.into_iter().map(Triple::from).collect();
        Self::serve(name, store, triples).await
    }

    async fn serve(name: &str, store: Store, triples: Vec<Triple>) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}/sparql", listener.local_addr()?);
        let shared = Arc::new(Shared {
            store,
            behaviour: Mutex::new(Behaviour::Normal),
            delay_ms: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            concurrent: AtomicU64::new(0),
            concurrent_max: AtomicU64::new(0),
            queries: Mutex::new(Vec::new()),
            headers: Mutex::new(Vec::new()),
        });
        let for_server = Arc::clone(&shared);
        let server = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    continue;
                };
                let _ = stream.set_nodelay(true);
                let shared = Arc::clone(&for_server);
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                    let _ = auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Ok(Self {
            name: name.to_owned(),
            endpoint,
            triples,
            shared,
            server,
        })
    }

    /// Changes how the member answers from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        if let Ok(mut current) = self.shared.behaviour.lock() {
            *current = behaviour;
        }
    }

    /// Makes every answer wait.
    pub fn delay(&self, delay: Duration) {
        self.shared
            .delay_ms
            .store(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Requests received so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Answers whose sending was not cut off.
    #[must_use]
    pub fn finished(&self) -> u64 {
        self.shared.finished.load(Ordering::Relaxed)
    }

    /// Requests that are being worked on now.
    #[must_use]
    pub fn running(&self) -> u64 {
        self.shared.concurrent.load(Ordering::Relaxed)
    }

    /// Most requests that were worked on at the same time.
    #[must_use]
    pub fn concurrent_max(&self) -> u64 {
        self.shared.concurrent_max.load(Ordering::Relaxed)
    }

    /// Takes the queries received so far.
    #[must_use]
    pub fn take_queries(&self) -> Vec<String> {
        self.shared
            .queries
            .lock()
            .map(|mut queries| std::mem::take(&mut *queries))
            .unwrap_or_default()
    }

    /// Takes the header fields received so far.
    #[must_use]
    pub fn take_headers(&self) -> Vec<http::HeaderMap> {
        self.shared
            .headers
            .lock()
            .map(|mut headers| std::mem::take(&mut *headers))
            .unwrap_or_default()
    }

    /// Stops listening, at once.
    pub fn stop(&self) {
        self.server.abort();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Counts a request as running until it is dropped, finished or not.
struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.concurrent.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, std::io::Error> {
    shared.requests.fetch_add(1, Ordering::Relaxed);
    let now = shared.concurrent.fetch_add(1, Ordering::Relaxed) + 1;
    shared.concurrent_max.fetch_max(now, Ordering::Relaxed);
    let _running = Running(Arc::clone(&shared));
    if let Ok(mut headers) = shared.headers.lock() {
        headers.push(request.headers().clone());
    }
    // By GET the query stands in the URL, by POST in a form.
    let in_url = request.uri().query().unwrap_or_default().as_bytes().to_vec();
    let body = request
        .into_body()
        .collect()
        .await
        .map_err(std::io::Error::other)?
        .to_bytes();
    let query = url::form_urlencoded::parse(&in_url)
        .chain(url::form_urlencoded::parse(&body))
        .find(|(name, _)| name == "query")
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default();
    if let Ok(mut queries) = shared.queries.lock() {
        queries.push(query.clone());
    }
    let delay = shared.delay_ms.load(Ordering::Relaxed);
    if delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let behaviour = shared.behaviour.lock().map(|b| *b).unwrap_or(Behaviour::Normal);
    let response = misbehave(behaviour, &shared, query).await;
    shared.finished.fetch_add(1, Ordering::Relaxed);
    response
}

async fn misbehave(
    behaviour: Behaviour,
    shared: &Arc<Shared>,
    query: String,
) -> Result<Response<Body>, std::io::Error> {
    let json = "application/sparql-results+json";
    match behaviour {
        Behaviour::Normal => evaluated(shared, query).await.map(|bytes| match bytes {
            Ok(bytes) => response(StatusCode::OK, json, full(bytes)),
            Err(message) => response(StatusCode::BAD_REQUEST, "text/plain", full(message.into_bytes())),
        }),
        Behaviour::Xml => evaluated_in(shared, query, QueryResultsFormat::Xml).await.map(|bytes| {
            let xml = "application/sparql-results+xml; charset=utf-8";
            response(StatusCode::OK, xml, full(bytes.unwrap_or_default()))
        }),
        Behaviour::OtherKeys => {
            let columns = columns(&query);
            let names: Vec<String> = columns.iter().map(|column| format!("\"{column}\"")).collect();
            let cells: Vec<String> = names
                .iter()
                .map(|name| format!("{name}:{{\"type\":\"uri\",\"value\":\"http://elsewhere.example/x\"}}"))
                .collect();
            let text = format!(
                "{{\"head\":{{\"vars\":[{}]}},\"results\":{{\"bindings\":[{{{}}}]}}}}",
                names.join(","),
                cells.join(",")
            );
            Ok(response(StatusCode::OK, json, full(text.into_bytes())))
        }
        Behaviour::Hangs => std::future::pending().await,
        Behaviour::HangsAfterHead => Ok(response(
            StatusCode::OK,
            json,
            pieces(vec![b"{\"head\":".to_vec()], None),
        )),
        Behaviour::Drips => {
            let bytes = evaluated(shared, query).await?.unwrap_or_default();
            let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, std::io::Error>>(1);
            tokio::spawn(async move {
                for byte in bytes {
                    if sender.send(Ok(Frame::data(Bytes::from(vec![byte])))).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            });
            Ok(response(StatusCode::OK, json, received(receiver)))
        }
        Behaviour::Garbage => Ok(response(StatusCode::OK, json, full(b"\x00\x01\xfe{{{{".to_vec()))),
        Behaviour::Html => Ok(response(
            StatusCode::OK,
            "text/html",
            full(b"<html>Please log in</html>".to_vec()),
        )),
        Behaviour::Truncated => {
            let mut bytes = evaluated(shared, query).await?.unwrap_or_default();
            bytes.truncate(bytes.len() / 2);
            Ok(response(StatusCode::OK, json, full(bytes)))
        }
        Behaviour::DiesMidway => {
            let mut bytes = evaluated(shared, query).await?.unwrap_or_default();
            bytes.truncate(bytes.len() / 2);
            let broken = std::io::Error::other("gone");
            Ok(response(StatusCode::OK, json, pieces(vec![bytes], Some(broken))))
        }
        Behaviour::Closes => Err(std::io::Error::other("closed")),
        Behaviour::ServerError => Ok(response(
            StatusCode::INTERNAL_SERVER_ERROR,
            "text/plain",
            full(b"out of memory".to_vec()),
        )),
        Behaviour::Forbids => Ok(response(
            StatusCode::FORBIDDEN,
            "application/problem+json",
            full(br#"{"title":"Not agreed","detail":"the agreement has ended"}"#.to_vec()),
        )),
        Behaviour::ExtraColumn => Ok(response(
            StatusCode::OK,
            json,
            full(br#"{"head":{"vars":["leak"]},"results":{"bindings":[]}}"#.to_vec()),
        )),
        Behaviour::EmptyRows => Ok(response(
            StatusCode::OK,
            json,
            full(br#"{"head":{"vars":[]},"results":{"bindings":[{},{}]}}"#.to_vec()),
        )),
        Behaviour::Boolean => Ok(response(
            StatusCode::OK,
            json,
            full(br#"{"head":{},"boolean":true}"#.to_vec()),
        )),
        Behaviour::Nested => {
            const LEVELS: usize = 20_000;
            let iri = r#"{"type":"uri","value":"urn:x"}"#;
            let column = first_column(&query);
            let open =
                format!(r#"{{"type":"triple","value":{{"subject":{iri},"predicate":{iri},"object":"#).repeat(LEVELS);
            let close = "}}".repeat(LEVELS);
            let text = format!(
                r#"{{"head":{{"vars":["{column}"]}},"results":{{"bindings":[{{"{column}":{open}{iri}{close}}}]}}}}"#
            );
            Ok(response(StatusCode::OK, json, full(text.into_bytes())))
        }
        Behaviour::Endless => {
            let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, std::io::Error>>(4);
            let columns = columns(&query);
            tokio::spawn(async move {
                let names: Vec<String> = columns.iter().map(|column| format!("\"{column}\"")).collect();
                let cells: Vec<String> = columns
                    .iter()
                    .map(|column| format!("\"{column}\":{{\"type\":\"literal\",\"value\":\"x\"}}"))
                    .collect();
                let head = format!(
                    "{{\"head\":{{\"vars\":[{}]}},\"results\":{{\"bindings\":[",
                    names.join(",")
                );
                let row = format!("{{{}}},", cells.join(","));
                let mut chunk = Bytes::from(head);
                while sender.send(Ok(Frame::data(chunk))).await.is_ok() {
                    chunk = Bytes::from(row.repeat(1000));
                }
            });
            Ok(response(StatusCode::OK, json, received(receiver)))
        }
        Behaviour::Redirects => {
            let mut response = response(StatusCode::TEMPORARY_REDIRECT, "text/plain", full(Vec::new()));
            response
                .headers_mut()
                .insert("location", http::HeaderValue::from_static("http://127.0.0.1:1/sparql"));
            Ok(response)
        }
        Behaviour::Huge => {
            let column = first_column(&query);
            let mut bytes = format!("{{\"head\":{{\"vars\":[\"{column}\"]}},\"results\":{{\"bindings\":[{{\"{column}\":{{\"type\":\"literal\",\"value\":\"")
                .into_bytes();
            bytes.extend(std::iter::repeat_n(b'x', 8 * 1024 * 1024));
            bytes.extend_from_slice(b"\"}}]}}");
            Ok(response(StatusCode::OK, json, full(bytes)))
        }
        Behaviour::Nothing => Ok(response(StatusCode::OK, json, full(Vec::new()))),
    }
}

/// The columns that a sub-query selects.
fn columns(query: &str) -> Vec<String> {
    let selected = query.split("WHERE").next().unwrap_or_default();
    selected
        .split('?')
        .skip(1)
        .map(|part| part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
        .collect()
}

/// The first of them.
fn first_column(query: &str) -> String {
    columns(query).into_iter().next().unwrap_or_default()
}

async fn evaluated(shared: &Arc<Shared>, query: String) -> Result<Result<Vec<u8>, String>, std::io::Error> {
    evaluated_in(shared, query, QueryResultsFormat::Json).await
}

async fn evaluated_in(
    shared: &Arc<Shared>,
    query: String,
    format: QueryResultsFormat,
) -> Result<Result<Vec<u8>, String>, std::io::Error> {
    let shared = Arc::clone(shared);
    tokio::task::spawn_blocking(move || {
        let prepared = SparqlEvaluator::new()
            .with_custom_function(NamedNode::new_unchecked(mask::FUNCTION), may_be_among)
            .parse_query(&query)
            .map_err(|error| format!("{error} in {query}"))?;
        let results = prepared
            .on_store(&shared.store)
            .execute()
            .map_err(|error| error.to_string())?;
        write(results, format).map_err(|error| error.to_string())
    })
    .await
    .map_err(std::io::Error::other)
}

/// What pod servers add to SPARQL.
fn may_be_among(arguments: &[Term]) -> Option<Term> {
    let [Term::Literal(text), tuple @ ..] = arguments else {
        return None;
    };
    let mask = mask::Mask::parse(text.value())?;
    Some(Literal::from(mask.may_hold(tuple)).into())
}

fn write(results: QueryResults<'_>, format: QueryResultsFormat) -> std::io::Result<Vec<u8>> {
    let serializer = QueryResultsSerializer::from_format(format);
    match results {
        QueryResults::Boolean(value) => serializer.serialize_boolean_to_writer(Vec::new(), value),
        QueryResults::Solutions(solutions) => {
            let mut writer = serializer.serialize_solutions_to_writer(Vec::new(), solutions.variables().to_vec())?;
            for solution in solutions {
                writer.serialize(&solution.map_err(std::io::Error::other)?)?;
            }
            writer.finish()
        }
        QueryResults::Graph(_) => Err(std::io::Error::other("only rows are asked for")),
    }
}

fn full(bytes: Vec<u8>) -> Body {
    Full::new(Bytes::from(bytes))
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// Some pieces, then an error or silence.
fn pieces(pieces: Vec<Vec<u8>>, end: Option<std::io::Error>) -> Body {
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    tokio::spawn(async move {
        for piece in pieces {
            let _ = sender.send(Ok(Frame::data(Bytes::from(piece)))).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        match end {
            Some(error) => drop(sender.send(Err(error)).await),
            None => sender.closed().await,
        }
    });
    received(receiver)
}

fn received(receiver: tokio::sync::mpsc::Receiver<Result<Frame<Bytes>, std::io::Error>>) -> Body {
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|frame| (frame, receiver))
    });
    BodyExt::boxed_unsync(StreamBody::new(stream))
}

fn response(status: StatusCode, media_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert("content-type", http::HeaderValue::from_static(media_type));
    response
}
