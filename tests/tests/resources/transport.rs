//! Below the resources: HTTP/2 beside HTTP/1.1, and plain HTTP that leads to TLS.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use meent_tests::pod::{PodServer, raw_request};
use pod_server::app;
use server_kit::shutdown::Shutdown;
use server_kit::tls::LocalAuthority;
use tokio::net::TcpStream;

/// Requirements solid 1: the same resources over HTTP/2, many requests at a time on one connection.
#[tokio::test(flavor = "multi_thread")]
async fn http_2_is_spoken() {
    let server = PodServer::start().await;
    let agent = server.agent("alice").await;
    let authority = server.authority();
    let stream = TcpStream::connect(authority).await.unwrap();
    let connection = http2::handshake::<_, _, Full<Bytes>>(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (sender, connection) = connection.unwrap();
    tokio::spawn(connection);
    let send = async |method: Method, path: String, body: String| {
        let url = format!("{}{path}", server.base_url.trim_end_matches('/'));
        let mut request = Request::builder()
            .method(&method)
            .uri(&url)
            .header("content-type", "text/turtle");
        for (name, value) in agent.credentials(&method, &url) {
            request = request.header(name, value);
        }
        let mut sender = sender.clone();
        sender.ready().await.unwrap();
        let response = sender
            .send_request(request.body(Full::new(body.into())).unwrap())
            .await
            .unwrap();
        assert_eq!(response.version(), http::Version::HTTP_2);
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        (parts.status.as_u16(), parts.headers, text)
    };
    let writes = (0..20).map(|n| send(Method::PUT, format!("/alice/h2/{n}.ttl"), format!("<> <urn:n> {n} .")));
    for (status, headers, text) in futures_util::future::join_all(writes).await {
        assert_eq!((status, text.as_str()), (201, ""));
        assert!(headers.contains_key("etag") && headers.contains_key("location"));
    }
    let (status, headers, text) = send(Method::GET, "/alice/h2/7.ttl".to_owned(), String::new()).await;
    assert_eq!((status, text.as_str()), (200, "<> <urn:n> 7 ."));
    // The other version shows the same.
    let read = agent.client().get("/alice/h2/7.ttl").await;
    assert_eq!(read.header("etag"), headers["etag"]);
    server.stop().await;
}

/// Requirements solid 2: beside `https`, plain `http` answers 301 to the same path there, whatever the method, whoever asks.
#[tokio::test(flavor = "multi_thread")]
async fn plain_http_leads_to_tls() {
    let directory = tempfile::tempdir().unwrap();
    let now = time::OffsetDateTime::now_utc();
    let authority = LocalAuthority::generate("test", now).unwrap();
    let certificate = authority.certificate(&["localhost".to_owned()], now).unwrap();
    let file = |name: &str| directory.path().join(name);
    std::fs::write(file("certificate.pem"), &certificate.certificate_pem).unwrap();
    server_kit::secret_file::write(&file("key.pem"), certificate.key_pem.as_bytes()).unwrap();
    let config = serde_json::json!({
        "server": {
            "base_url": "https://localhost:0/",
            "console_url": "https://localhost:0/",
            "content_listen": "127.0.0.1:0",
            "console_listen": "127.0.0.1:0",
            "redirect_listen": "127.0.0.1:0",
        },
        "tls": { "certificate_file": file("certificate.pem"), "key_file": file("key.pem") },
        "store": { "directory": file("store"), "reserve_bytes": 0 },
        "admin": { "listen": null },
    });
    let shutdown = Shutdown::new();
    let running = app::start(serde_json::from_value(config).unwrap(), shutdown.clone())
        .await
        .unwrap();
    let base = running.app.origins.base_url().trim_end_matches('/').to_owned();
    let plain = format!("http://{}/", running.redirect.unwrap());
    for (line, target) in [
        ("GET /alice/x.ttl?page=1", "/alice/x.ttl?page=1"),
        ("PUT /alice/%C3%A9", "/alice/%C3%A9"),
        ("DELETE /", "/"),
        ("OPTIONS *", "/"),
        ("GET http://evil.example/alice/", "/alice/"),
        ("GET //evil.example/x", "//evil.example/x"),
    ] {
        let request =
            format!("{line} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        let reply = raw_request(&plain, request.as_bytes(), false).await.unwrap();
        let text = String::from_utf8(reply.bytes).unwrap();
        assert_eq!(reply.status, 301, "{line}: {text}");
        assert!(
            text.contains(&format!("location: {base}{target}\r\n")),
            "{line}: {text}"
        );
    }
    // And behind it TLS is spoken.
    let mut roots = rustls::RootCertStore::empty();
    let pem = authority.certificate_pem();
    let der = rustls::pki_types::pem::PemObject::from_pem_slice(pem.as_bytes());
    roots.add(der.unwrap()).unwrap();
    let client = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(client));
    let stream = TcpStream::connect(base.trim_start_matches("https://").replace("localhost", "127.0.0.1"));
    let stream = connector
        .connect("localhost".try_into().unwrap(), stream.await.unwrap())
        .await
        .unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let host = base.trim_start_matches("https://");
    let request = Request::builder()
        .uri("/.constraints")
        .header("host", host)
        .body(Full::new(Bytes::new()));
    let response = tokio::time::timeout(Duration::from_secs(30), sender.send_request(request.unwrap())).await;
    assert_eq!(response.unwrap().unwrap().status(), 200);
    drop(sender);
    shutdown.trigger();
    running.finished().await;
}
