//! Uploads: the files of a form, each handed to the resource interface while it arrives.

use http::{HeaderMap, Method, Response, StatusCode, header};
use server_kit::body::{self, Body, ReadLimits, Sender};

use crate::error::Error;
use crate::ui::data::{self, PATH};
use crate::ui::{Form, FormError, Notice, see_other};

use super::multipart::{Multipart, MultipartError, Part};
use super::{DataBrowser, Fault, Turn, explain};

/// Longest field of the form that is no file, in bytes.
const FIELD_BYTES_MAX: usize = 4 * 1024;

/// Most fields before the first file.
const FIELDS_MAX: usize = 8;

/// Pieces of a file that wait for the store.
const PIECES_WAITING_MAX: usize = 4;

/// Media types that browsers tend not to know, by the ending of the name.
const ENDINGS: [(&str, &str); 5] = [
    (".ttl", "text/turtle"),
    (".jsonld", "application/ld+json"),
    (".nt", "application/n-triples"),
    (".md", "text/markdown"),
    (".csv", "text/csv"),
];

impl From<MultipartError> for Fault {
    fn from(error: MultipartError) -> Self {
        match error {
            MultipartError::Body(error) => Self::Interface(Error::Body(error)),
            _ => Self::Said(StatusCode::BAD_REQUEST, "form-broken-explanation"),
        }
    }
}

impl DataBrowser {
    /// Answers a form with files.
    pub(super) async fn receive(
        &self,
        turn: &Turn<'_>,
        headers: &HeaderMap,
        content: Body,
    ) -> Result<Response<Body>, Fault> {
        let limits = ReadLimits {
            body_bytes_max: self.parts.bounds.upload_bytes_max,
            ..ReadLimits::default()
        };
        let mut form = Multipart::new(headers, content, limits)?;
        let outcome = self.take(turn, &mut form).await;
        // The browser shows the answer only after it has sent everything.
        form.drain(self.parts.bounds.drained_bytes_max).await;
        match outcome {
            Ok(taken) if taken.files > 0 && taken.replaced => {
                Ok(see_other(turn.visit, &format!("{PATH}{}?done=replaced", turn.name)))
            }
            Ok(taken) if taken.files > 0 => Ok(see_other(turn.visit, &format!("{PATH}{}?done=uploaded", turn.name))),
            Ok(_) => {
                self.refused(turn, Fault::Said(StatusCode::UNPROCESSABLE_ENTITY, "data-no-file"))
                    .await
            }
            Err(fault) => self.refused(turn, fault).await,
        }
    }

    /// The folder again with what went wrong; for a document, a page that says it.
    async fn refused(&self, turn: &Turn<'_>, fault: Fault) -> Result<Response<Body>, Fault> {
        if !turn.name.is_container() {
            return Err(fault);
        }
        let (status, text) = explain(turn.visit, fault);
        let notice = Some(Notice::problem(text));
        self.show_folder(turn, &Form::default(), notice, status).await
    }

    async fn take(&self, turn: &Turn<'_>, form: &mut Multipart) -> Result<Taken, Fault> {
        let mut fields = Vec::new();
        let mut taken = Taken::default();
        let mut sent = None;
        for _ in 0..FIELDS_MAX + self.parts.bounds.files_max {
            let Some(part) = form.next().await? else {
                return Ok(taken);
            };
            if part.file_name.is_none() {
                let value = form.text(&part.name, FIELD_BYTES_MAX).await?;
                if sent.is_none() {
                    fields.push((part.name, value));
                }
                continue;
            }
            // The token stands before the files in our own forms; without it, no file is taken.
            let known = match &sent {
                Some(known) => known,
                None => {
                    let read = read_fields(&fields).map_err(Fault::Form)?;
                    if !turn.visit.sent(&read) {
                        return Err(Fault::Said(StatusCode::FORBIDDEN, "form-foreign-explanation"));
                    }
                    sent.insert(read)
                }
            };
            let replace = known.field("do") == Some(data::REPLACE);
            let state = known.field("state").unwrap_or_default();
            taken.files += usize::from(self.store(turn, form, &part, replace.then_some(state)).await?);
            taken.replaced = replace;
        }
        Err(Fault::Said(StatusCode::UNPROCESSABLE_ENTITY, "data-too-many-files"))
    }

    /// Stores one file: as a new member of the folder, or as the new content of the document in the state that was shown.
    /// False when no file was chosen.
    async fn store(
        &self,
        turn: &Turn<'_>,
        form: &mut Multipart,
        part: &Part,
        replaced: Option<&str>,
    ) -> Result<bool, Fault> {
        let name = part.file_name.as_deref().unwrap_or_default();
        if name.is_empty() {
            return Ok(false);
        }
        let media_type = media_type(name, part.media_type.as_deref());
        let slug = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string();
        let (sender, content) = body::channel(PIECES_WAITING_MAX);
        let (method, headers) = match replaced {
            Some(state) => (
                Method::PUT,
                [(header::CONTENT_TYPE, media_type), (header::IF_MATCH, state)],
            ),
            None => (
                Method::POST,
                [
                    (header::CONTENT_TYPE, media_type),
                    (header::HeaderName::from_static("slug"), slug.as_str()),
                ],
            ),
        };
        let stored = self.ask(method, &turn.name, &headers, content, &turn.caller);
        let (stored, passed) = tokio::join!(stored, pass(form, sender));
        passed?;
        stored?;
        Ok(true)
    }
}

/// The fields that came before the first file.
fn read_fields(fields: &[(String, String)]) -> Result<Form, FormError> {
    let mut encoded = form_urlencoded::Serializer::new(String::new());
    encoded.extend_pairs(fields);
    Form::parse(encoded.finish().as_bytes())
}

/// What came of a form.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    files: usize,
    replaced: bool,
}

/// Passes the content of a part on, until its end or until nobody wants more.
async fn pass(form: &mut Multipart, mut sender: Sender) -> Result<(), MultipartError> {
    loop {
        match form.chunk().await {
            Ok(Some(chunk)) => {
                if sender.send(chunk).await.is_err() {
                    return Ok(());
                }
            }
            Ok(None) => return Ok(()),
            Err(error) => {
                // A file that breaks off must not be stored as if it were whole.
                sender.abort(std::io::Error::other("the upload broke off"));
                return Err(error);
            }
        }
    }
}

fn media_type<'m>(name: &str, announced: Option<&'m str>) -> &'m str {
    let lower = name.to_ascii_lowercase();
    let by_ending = ENDINGS.into_iter().find(|(ending, _)| lower.ends_with(ending));
    match (by_ending, announced) {
        (Some((_, known)), _) => known,
        (None, Some(announced)) if announced.contains('/') => announced,
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_tells_what_browsers_do_not_know() {
        for (name, announced, expected) in [
            ("a.TTL", Some("application/octet-stream"), "text/turtle"),
            ("a.jpg", Some("image/jpeg"), "image/jpeg"),
            ("a", None, "application/octet-stream"),
            ("a", Some("nonsense"), "application/octet-stream"),
        ] {
            assert_eq!(media_type(name, announced), expected, "{name}");
        }
    }
}
