//! The query operation of the SPARQL 1.1 Protocol §2.1, with Meent's two parameters `purpose` and `agreement`.

use http::Method;

/// A query as it was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SparqlRequest {
    /// The text.
    pub query: String,
    /// `default-graph-uri`.
    pub default_graphs: Vec<String>,
    /// `named-graph-uri`.
    pub named_graphs: Vec<String>,
    /// IRI of the purpose.
    pub purpose: Option<String>,
    /// IRI of the agreement.
    pub agreement: Option<String>,
}

/// Why a request is no query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestRejection {
    /// Another method.
    #[error("`{0}` is not GET or POST")]
    Method(String),
    /// No `Content-Type` on a POST.
    #[error("a POST needs a `Content-Type`: `application/sparql-query` or `application/x-www-form-urlencoded`")]
    ContentTypeMissing,
    /// Another `Content-Type`.
    #[error("`{0}` is not `application/sparql-query` or `application/x-www-form-urlencoded`")]
    ContentType(String),
    /// The body is not UTF-8.
    #[error("the query is not UTF-8")]
    Encoding,
    /// No query.
    #[error("the parameter `query` is missing")]
    QueryMissing,
    /// A parameter that may stand once stands twice.
    #[error("the parameter `{0}` stands more than once")]
    Repeated(&'static str),
    /// An update was sent.
    #[error("the parameter `update` changes data; this endpoint only answers queries")]
    Update,
}

impl SparqlRequest {
    /// Reads a request from its parts.
    ///
    /// # Errors
    /// [`RequestRejection`].
    pub fn read(
        method: &Method,
        url_query: Option<&str>,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<Self, RequestRejection> {
        let mut request = Self::default();
        let mut text = None;
        let url_query = url_query.unwrap_or_default();
        if *method == Method::GET || *method == Method::HEAD {
            request.parameters(url_query.as_bytes(), &mut text)?;
        } else if *method == Method::POST {
            let content_type = content_type.ok_or(RequestRejection::ContentTypeMissing)?;
            let essence = content_type.split(';').next().unwrap_or_default().trim();
            if essence.eq_ignore_ascii_case("application/sparql-query") {
                request.parameters(url_query.as_bytes(), &mut text)?;
                let body = std::str::from_utf8(body).map_err(|_| RequestRejection::Encoding)?;
                if text.replace(body.to_owned()).is_some() {
                    return Err(RequestRejection::Repeated("query"));
                }
            } else if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
                std::str::from_utf8(body).map_err(|_| RequestRejection::Encoding)?;
                request.parameters(url_query.as_bytes(), &mut text)?;
                request.parameters(body, &mut text)?;
            } else {
                return Err(RequestRejection::ContentType(content_type.to_owned()));
            }
        } else {
            return Err(RequestRejection::Method(method.to_string()));
        }
        request.query = text.ok_or(RequestRejection::QueryMissing)?;
        Ok(request)
    }

    fn parameters(&mut self, encoded: &[u8], text: &mut Option<String>) -> Result<(), RequestRejection> {
        for (name, value) in form_urlencoded::parse(encoded) {
            let value = value.into_owned();
            let once = |slot: &mut Option<String>, name| match slot.replace(value.clone()) {
                Some(_) => Err(RequestRejection::Repeated(name)),
                None => Ok(()),
            };
            match &*name {
                "query" => once(text, "query")?,
                "purpose" => once(&mut self.purpose, "purpose")?,
                "agreement" => once(&mut self.agreement, "agreement")?,
                "default-graph-uri" => self.default_graphs.push(value),
                "named-graph-uri" => self.named_graphs.push(value),
                "update" => return Err(RequestRejection::Update),
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn all_three_ways_to_ask_mean_the_same() {
        let form = "query=ASK+%7B%7D&default-graph-uri=http%3A%2F%2Fa%2F&purpose=urn%3Ap&agreement=urn%3Aa";
        let rest = "default-graph-uri=http%3A%2F%2Fa%2F&purpose=urn%3Ap&agreement=urn%3Aa";
        let get = SparqlRequest::read(&Method::GET, Some(form), None, b"").unwrap();
        let urlencoded = Some("application/x-www-form-urlencoded; charset=utf-8");
        let post = SparqlRequest::read(&Method::POST, None, urlencoded, form.as_bytes()).unwrap();
        let direct =
            SparqlRequest::read(&Method::POST, Some(rest), Some("application/sparql-query"), b"ASK {}").unwrap();
        assert_eq!(get, post);
        assert_eq!(get, direct);
        assert_eq!(get.query, "ASK {}");
        assert_eq!(get.purpose.as_deref(), Some("urn:p"));
    }

    #[test]
    fn broken_requests_are_told_why() {
        let read = |method: &Method, query, content_type, body: &[u8]| {
            SparqlRequest::read(method, query, content_type, body).unwrap_err()
        };
        let form = Some("application/x-www-form-urlencoded");
        assert_eq!(
            read(&Method::POST, None, None, b"ASK {}"),
            RequestRejection::ContentTypeMissing
        );
        assert!(matches!(
            read(&Method::POST, None, Some("text/plain"), b""),
            RequestRejection::ContentType(_)
        ));
        assert_eq!(read(&Method::GET, None, None, b""), RequestRejection::QueryMissing);
        assert_eq!(
            read(&Method::GET, Some("query=a&query=b"), None, b""),
            RequestRejection::Repeated("query")
        );
        assert_eq!(
            read(&Method::POST, None, form, b"update=CLEAR+ALL"),
            RequestRejection::Update
        );
        assert_eq!(
            read(&Method::POST, None, Some("application/sparql-query"), b"\xff"),
            RequestRejection::Encoding
        );
        assert!(matches!(
            read(&Method::PUT, None, None, b""),
            RequestRejection::Method(_)
        ));
    }
}
