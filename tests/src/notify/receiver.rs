//! A receiver of webhooks: a small HTTP server that answers as it is told and keeps what it got.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// The longest wait for a delivery.
const WAIT: Duration = Duration::from_secs(20);

/// One delivery as it arrived.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// Header fields.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Delivered {
    /// The notification.
    ///
    /// # Panics
    /// When it is no JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// The last segment of the path of the object.
    ///
    /// # Panics
    /// When it is no notification.
    #[must_use]
    pub fn object(&self) -> String {
        let notice = self.json();
        let object = notice["object"].as_str().expect("an object").to_owned();
        object.rsplit('/').next().expect("a name").to_owned()
    }
}

/// How a receiver answers one delivery.
#[derive(Clone, Debug)]
pub enum Answer {
    /// With a status.
    Status(u16),
    /// With a redirect to a URL.
    Redirect(String),
    /// Not at all, until the sender gives up.
    Silence,
}

/// A receiver on a port of its own, until it is dropped.
pub struct Receiver {
    /// Its URL.
    pub url: String,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    otherwise: Arc<Mutex<Answer>>,
    delivered: mpsc::UnboundedReceiver<Delivered>,
    task: tokio::task::JoinHandle<()>,
}

impl Receiver {
    /// A receiver that takes everything.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/inbox", listener.local_addr().expect("an address"));
        let answers: Arc<Mutex<VecDeque<Answer>>> = Arc::default();
        let otherwise = Arc::new(Mutex::new(Answer::Status(200)));
        let (sender, delivered) = mpsc::unbounded_channel();
        let (next, always) = (Arc::clone(&answers), Arc::clone(&otherwise));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, next, always) = (sender.clone(), Arc::clone(&next), Arc::clone(&always));
                let service = service_fn(move |request: Request<Incoming>| {
                    let answer = next.lock().pop_front().unwrap_or_else(|| always.lock().clone());
                    answer_one(request, answer, sender.clone())
                });
                let connection =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move {
                    // A sender that gives up breaks the connection off.
                    let _ = connection.await;
                });
            }
        });
        Self {
            url,
            answers,
            otherwise,
            delivered,
            task,
        }
    }

    /// What is answered first, one after the other.
    pub fn answer_first(&self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().extend(answers);
    }

    /// What is answered when nothing else was said.
    pub fn answer_always(&self, answer: Answer) {
        *self.otherwise.lock() = answer;
    }

    /// The next delivery.
    ///
    /// # Panics
    /// When none comes.
    pub async fn next(&mut self) -> Delivered {
        tokio::time::timeout(WAIT, self.delivered.recv())
            .await
            .expect("a delivery in time")
            .expect("a delivery")
    }

    /// What has arrived and was not looked at yet.
    pub fn arrived(&mut self) -> Vec<Delivered> {
        std::iter::from_fn(|| self.delivered.try_recv().ok()).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer_one(
    request: Request<Incoming>,
    answer: Answer,
    sender: mpsc::UnboundedSender<Delivered>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    // The test may be over.
    let _ = sender.send(Delivered {
        headers: parts.headers,
        body,
    });
    let mut response = Response::new(Full::default());
    match answer {
        Answer::Status(status) => *response.status_mut() = StatusCode::from_u16(status).expect("a status"),
        Answer::Redirect(target) => {
            *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
            response
                .headers_mut()
                .insert("location", target.parse().expect("a URL"));
        }
        Answer::Silence => std::future::pending().await,
    }
    Ok(response)
}
