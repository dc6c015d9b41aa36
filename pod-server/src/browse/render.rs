//! The pages of folders and documents, and documents as files.

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::BodyExt;
use policies::wac::Modes;
use server_kit::body::{self, Body};

use crate::error::Error;
use crate::name::ResourceName;
use crate::ui::data::{self, PATH};
use crate::ui::response::protect;
use crate::ui::{Form, Notice, Page, see_other};

use super::{DONE, DataBrowser, Fault, Turn};

/// Pictures that browsers show without running anything in them.
const PICTURES: [&str; 5] = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"];

/// Media types beside `text/…` that people can read.
const LEGIBLE: [&str; 5] = [
    "application/json",
    "application/ld+json",
    "application/n-triples",
    "application/xml",
    "application/sparql-query",
];

/// What a GET told about a document.
struct Described {
    media_type: String,
    size: Option<u64>,
    etag: String,
    modified: String,
    modes: Modes,
    content: Body,
}

impl DataBrowser {
    pub(super) async fn show_folder(
        &self,
        turn: &Turn<'_>,
        query: &Form,
        notice: Option<Notice>,
        status: StatusCode,
    ) -> Result<Response<Body>, Fault> {
        let visit = turn.visit;
        let after = query.field("after").and_then(|after| ResourceName::parse(after).ok());
        let limit = self.parts.bounds.page_members;
        let ldp = &self.parts.ldp;
        let page = ldp.members(&turn.name, after.as_ref(), limit, &turn.caller).await?;
        let notice = notice.or_else(|| Notice::done(visit, query, "data-done", &DONE));
        let shown = data::Folder {
            name: &turn.name,
            origins: &self.parts.origins,
            page: &page,
            later: after.is_some(),
            files_max: self.parts.bounds.files_max,
        };
        let content = data::folder(visit, &shown, notice.as_ref());
        Ok(Page::new(data::title(visit, &turn.name), content)
            .status(status)
            .respond(visit))
    }

    pub(super) async fn show_document(&self, turn: &Turn<'_>, query: &Form) -> Result<Response<Body>, Fault> {
        let visit = turn.visit;
        let found = match self.describe(turn).await? {
            Ok(found) => found,
            Err(twin) => return Ok(see_other(visit, &format!("{PATH}{twin}"))),
        };
        let essence = essence(&found.media_type);
        let view = if PICTURES.contains(&essence.as_str()) {
            data::View::Picture
        } else if essence.starts_with("text/") || LEGIBLE.contains(&essence.as_str()) {
            let (text, whole) = beginning(found.content, self.parts.bounds.shown_bytes_max).await?;
            data::View::Text { text, whole }
        } else {
            data::View::None
        };
        let shown = data::Document {
            name: &turn.name,
            origins: &self.parts.origins,
            media_type: &essence,
            size: found.size,
            modified: &found.modified,
            etag: &found.etag,
            modes: found.modes,
            profile: super::removal::is_profile(turn, &self.parts.origins),
            view,
        };
        let notice = Notice::done(visit, query, "data-done", &DONE);
        let content = data::document(visit, &shown, notice.as_ref());
        Ok(Page::new(data::title(visit, &turn.name), content).respond(visit))
    }

    /// A document as a file to keep. No browser runs it: it comes as bytes of no type, in a sandbox.
    pub(super) async fn download(&self, turn: &Turn<'_>, request: &HeaderMap) -> Result<Response<Body>, Fault> {
        let range = request.get(header::RANGE).and_then(|range| range.to_str().ok());
        let headers: Vec<_> = range.map(|range| (header::RANGE, range)).into_iter().collect();
        if turn.name.is_container() {
            return Err(Fault::Interface(Error::NotFound));
        }
        let found = self
            .ask(Method::GET, &turn.name, &headers, body::empty(), &turn.caller)
            .await?;
        if !found.status().is_success() {
            return Err(Fault::Interface(Error::NotFound));
        }
        let mut response = as_file(found, "application/octet-stream");
        let name = percent_encoding::percent_decode_str(turn.name.last_segment()).decode_utf8_lossy();
        let encoded = percent_encoding::utf8_percent_encode(&name, percent_encoding::NON_ALPHANUMERIC);
        if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename*=UTF-8''{encoded}")) {
            response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
        }
        Ok(response)
    }

    /// A picture for the page about it.
    pub(super) async fn picture(&self, turn: &Turn<'_>) -> Result<Response<Body>, Fault> {
        let found = self
            .ask(Method::GET, &turn.name, &[], body::empty(), &turn.caller)
            .await?;
        let essence = essence(text(found.headers(), &header::CONTENT_TYPE));
        let Some(picture) = PICTURES.into_iter().find(|known| *known == essence) else {
            return Err(Fault::Interface(Error::NotFound));
        };
        Ok(as_file(found, picture))
    }

    /// Reads a document's description; the inner error is the name with or without the slash that exists instead.
    async fn describe(&self, turn: &Turn<'_>) -> Result<Result<Described, ResourceName>, Error> {
        let found = self
            .ask(Method::GET, &turn.name, &[], body::empty(), &turn.caller)
            .await?;
        if found.status().is_redirection() {
            return Ok(Err(turn.name.slash_twin().ok_or(Error::NotFound)?));
        }
        let (parts, content) = found.into_parts();
        let field = |name| text(&parts.headers, name).to_owned();
        Ok(Ok(Described {
            media_type: field(&header::CONTENT_TYPE),
            size: field(&header::CONTENT_LENGTH).parse().ok(),
            etag: field(&header::ETAG),
            modified: field(&header::LAST_MODIFIED),
            modes: allowed(&parts.headers),
            content,
        }))
    }

    /// The entity tag of the state that is there.
    pub(super) async fn etag(&self, turn: &Turn<'_>) -> Result<String, Error> {
        let found = self
            .ask(Method::HEAD, &turn.name, &[], body::empty(), &turn.caller)
            .await?;
        Ok(text(found.headers(), &header::ETAG).to_owned())
    }
}

/// The same content with headers of the console's own.
fn as_file(found: Response<Body>, media_type: &'static str) -> Response<Body> {
    let (parts, content) = found.into_parts();
    let mut response = Response::new(content);
    *response.status_mut() = parts.status;
    let headers = response.headers_mut();
    protect(headers, None);
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("sandbox; default-src 'none'; frame-ancestors 'none'"),
    );
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    for kept in [
        header::CONTENT_LENGTH,
        header::CONTENT_RANGE,
        header::ACCEPT_RANGES,
        header::ETAG,
    ] {
        if let Some(value) = parts.headers.get(&kept) {
            headers.insert(kept, value.clone());
        }
    }
    response
}

/// The beginning of a text, and whether that is all of it.
async fn beginning(mut content: Body, bytes_max: usize) -> Result<(String, bool), Error> {
    let mut gathered = Vec::new();
    while gathered.len() <= bytes_max {
        match content.frame().await {
            None => break,
            Some(Ok(frame)) => gathered.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Some(Err(error)) => return Err(Error::Internal(format!("a body cannot be read: {error}"))),
        }
    }
    let whole = gathered.len() <= bytes_max;
    gathered.truncate(bytes_max);
    Ok((String::from_utf8_lossy(&gathered).into_owned(), whole))
}

pub(super) fn text<'h>(headers: &'h HeaderMap, name: &http::HeaderName) -> &'h str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn essence(media_type: &str) -> String {
    media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

/// What the person may do, as the interface says it (`WAC-Allow`).
fn allowed(headers: &HeaderMap) -> Modes {
    let field = text(headers, &crate::ldp::headers::WAC_ALLOW);
    let user = field.split("user=\"").nth(1).and_then(|rest| rest.split('"').next());
    user.and_then(|words| Modes::try_from(words.to_owned()).ok())
        .unwrap_or(Modes::NONE)
}
