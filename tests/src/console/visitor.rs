//! A person's browser without the browser: one request per connection, cookies, and the form token of the last page.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;

use super::{Console, Failure};

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Header fields.
    pub headers: HeaderMap,
    /// The body as text.
    pub body: String,
}

impl Answer {
    /// A header field as text; empty when it is absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Where the answer redirects to.
    #[must_use]
    pub fn location(&self) -> &str {
        self.header("location")
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is not JSON.
    pub fn json(&self) -> Result<serde_json::Value, Failure> {
        Ok(serde_json::from_str(&self.body)?)
    }

    /// The value of a hidden field of the page's forms; empty when there is none.
    #[must_use]
    pub fn hidden(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let value = self
            .body
            .split_once(&start)
            .and_then(|(_, rest)| rest.split_once('"'))
            .map(|(value, _)| value);
        value
            .unwrap_or_default()
            .replace("&amp;", "&")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
    }
}

/// How a console is reached.
#[derive(Clone)]
pub struct Wire {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it is trusted by, when it speaks TLS.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

/// Sends one request over a connection of its own, from an address of this machine.
///
/// # Errors
/// When the connection or the exchange fails.
pub async fn send(wire: &Wire, from: Option<IpAddr>, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
    let socket = TcpSocket::new_v4()?;
    if let Some(from) = from {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    let stream = socket.connect(wire.address).await?;
    match &wire.tls {
        Some(config) => {
            let name = ServerName::try_from("localhost")?;
            exchange(
                TlsConnector::from(Arc::clone(config)).connect(name, stream).await?,
                request,
            )
            .await
        }
        None => exchange(stream, request).await,
    }
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Answer, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await?.to_bytes();
    driver.abort();
    Ok(Answer {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8_lossy(&bytes).into_owned(),
    })
}

/// Somebody with a cookie jar.
#[derive(Clone)]
pub struct Visitor {
    to: Wire,
    from: Option<IpAddr>,
    host: String,
    /// Cookies by name.
    pub cookies: BTreeMap<String, String>,
    /// The form token of the last page.
    pub form_token: String,
    /// Further header fields of every request.
    pub headers: Vec<(&'static str, String)>,
}

impl Visitor {
    /// A visitor without cookies.
    #[must_use]
    pub fn new(console: &Console) -> Self {
        Self {
            to: console.wire.clone(),
            from: None,
            host: format!("localhost:{}", console.wire.address.port()),
            cookies: BTreeMap::new(),
            form_token: String::new(),
            headers: Vec::new(),
        }
    }

    /// A visitor of a console that speaks plain HTTP at an address.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Self::over(Wire { address, tls: None }, address.to_string())
    }

    /// A visitor of a console with this host and port, however it is reached.
    #[must_use]
    pub fn over(to: Wire, host: String) -> Self {
        Self {
            to,
            from: None,
            host,
            cookies: BTreeMap::new(),
            form_token: String::new(),
            headers: Vec::new(),
        }
    }

    /// The same from another address of this machine.
    #[must_use]
    pub fn from(mut self, address: IpAddr) -> Self {
        self.from = Some(address);
        self
    }

    /// Opens a page; redirects are not followed.
    ///
    /// # Errors
    /// When the exchange fails.
    pub async fn open(&mut self, path: &str) -> Result<Answer, Failure> {
        self.exchange(Method::GET, path, None).await
    }

    /// Sends a form with the form token of the last page.
    ///
    /// # Errors
    /// When the exchange fails.
    pub async fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> Result<Answer, Failure> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        if !fields.iter().any(|(name, _)| *name == "form_token") {
            form.append_pair("form_token", &self.form_token);
        }
        let content = (
            "application/x-www-form-urlencoded".to_owned(),
            form.finish().into_bytes(),
        );
        self.exchange(Method::POST, path, Some(content)).await
    }

    /// Sends a form with files, each a name, a media type and the content, after the fields and the form token.
    ///
    /// # Errors
    /// When the exchange fails.
    pub async fn upload(
        &mut self,
        path: &str,
        fields: &[(&str, &str)],
        files: &[(&str, &str, &[u8])],
    ) -> Result<Answer, Failure> {
        const BOUNDARY: &str = "----between-two-parts";
        let mut body = Vec::new();
        let token = ("form_token", self.form_token.clone());
        let own = fields.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let own_token = fields.iter().any(|(name, _)| *name == "form_token");
        for (name, value) in (!own_token).then_some(token).into_iter().chain(own) {
            let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(head.as_bytes());
        }
        for (name, media_type, content) in files {
            let head = format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\n\
                 Content-Type: {media_type}\r\n\r\n"
            );
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        let content = (format!("multipart/form-data; boundary={BOUNDARY}"), body);
        self.exchange(Method::POST, path, Some(content)).await
    }

    /// Opens the login page and logs in.
    ///
    /// # Errors
    /// When the exchange fails.
    pub async fn log_in(&mut self, name: &str, password: &str) -> Result<Answer, Failure> {
        self.open("/login").await?;
        self.submit("/login", &[("name", name), ("password", password)]).await
    }

    async fn exchange(
        &mut self,
        method: Method,
        path: &str,
        content: Option<(String, Vec<u8>)>,
    ) -> Result<Answer, Failure> {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut request = Request::builder().method(method).uri(path).header("host", &self.host);
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        let mut body = Bytes::new();
        if let Some((media_type, bytes)) = content {
            request = request.header("content-type", media_type);
            body = Bytes::from(bytes);
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let answer = send(&self.to, self.from, request.body(Full::new(body))?).await?;
        for cookie in answer.headers.get_all("set-cookie") {
            let text = cookie.to_str()?;
            let (pair, attributes) = text.split_once(';').unwrap_or((text, ""));
            if let Some((name, value)) = pair.split_once('=') {
                if attributes.contains("Max-Age=0") {
                    self.cookies.remove(name);
                } else {
                    self.cookies.insert(name.to_owned(), value.to_owned());
                }
            }
        }
        let token = answer.hidden("form_token");
        if !token.is_empty() {
            self.form_token = token;
        }
        Ok(answer)
    }
}
