//! Subscription requests: JSON-LD in whatever shape a client writes it, read as what it says (solid#105, solid#106).

use http::{HeaderMap, HeaderValue, header};
use oxjsonld::{JsonLdErrorCode, JsonLdParser, JsonLdRemoteDocument};
use oxrdf::{NamedOrBlankNode, Quad, Term};
use oxsdatatypes::DayTimeDuration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use vocab::notify;

use super::channel::{ChannelType, milliseconds};
use super::config::NotifyConfig;
use super::context::{self, Context};
use crate::error::Error;
use crate::http::media_type::Syntax;
use crate::http::negotiation::choose_syntax;
use crate::ldp::nesting::{self, Grammar};
use crate::name::ResourceName;
use crate::origins::Origins;

/// Brackets that may be open at one time in a request.
const NESTING_MAX: u32 = 16;
/// Longest value of `state` and `accept`, in bytes.
const TEXT_BYTES_MAX: usize = 512;
/// Longest URL of a receiver, in bytes.
const URL_BYTES_MAX: usize = 2_048;
const RDF_TYPE: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type";

/// What a client asks for, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The context in which it spoke.
    pub context: Context,
    /// Topics, all of one storage.
    pub topics: Vec<ResourceName>,
    /// `sendTo`, of a webhook.
    pub send_to: Option<String>,
    /// `startAt`, Unix milliseconds.
    pub start_at: Option<i64>,
    /// `endAt`, Unix milliseconds, never beyond the longest life of a channel.
    pub end_at: i64,
    /// `state`.
    pub state: Option<String>,
    /// `rate`, milliseconds.
    pub rate_milliseconds: Option<u64>,
    /// `accept`, as it was said.
    pub accept: Option<String>,
    /// The syntax that follows from it.
    pub syntax: Syntax,
}

/// What a request is read against.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'s> {
    /// Where the resources of the server are.
    pub origins: &'s Origins,
    /// Name of the storage whose service was asked.
    pub storage: &'s str,
    /// Type of channel that the service makes.
    pub kind: ChannelType,
    /// The present moment, Unix milliseconds.
    pub now: i64,
    /// Bounds.
    pub bounds: &'s NotifyConfig,
}

impl Wanted {
    /// Reads a request.
    ///
    /// # Errors
    /// 400 for what is no JSON, 422 for what is no subscription that this service can set up, with the reason.
    pub fn read(bytes: &[u8], around: &Surroundings<'_>) -> Result<Self, Error> {
        let context = named_context(bytes)?;
        let quads = statements(bytes, around)?;
        let subject = subject(&quads)?;
        let said = Said { quads: &quads, subject };
        check_type(&said, around.kind)?;
        let topics = topics(&said, around)?;
        let start_at = moment(&said, notify::START_AT, "startAt")?;
        let longest = around
            .now
            .saturating_add(i64::try_from(around.bounds.channel_seconds_max.saturating_mul(1_000)).unwrap_or(i64::MAX));
        let end_at = moment(&said, notify::END_AT, "endAt")?.unwrap_or(longest).min(longest);
        if end_at <= around.now || start_at.is_some_and(|start| start >= end_at) {
            return Err(unfit(
                "the channel would end before it begins: check `startAt` and `endAt`",
            ));
        }
        let accept = text(&said, notify::ACCEPT, "accept")?;
        let syntax = accepted(accept.as_deref())?;
        Ok(Self {
            context,
            topics,
            send_to: receiver(&said, around.kind)?,
            start_at,
            end_at,
            state: text(&said, notify::STATE, "state")?,
            rate_milliseconds: rate(&said, around.bounds)?,
            accept,
            syntax,
        })
    }
}

/// The statements about one subject.
struct Said<'q> {
    quads: &'q [Quad],
    subject: &'q NamedOrBlankNode,
}

impl<'q> Said<'q> {
    fn all(&self, predicate: &str) -> impl Iterator<Item = &'q Term> {
        let subject = self.subject;
        self.quads
            .iter()
            .filter(move |quad| quad.subject == *subject && quad.predicate.as_str() == predicate)
            .map(|quad| &quad.object)
    }

    /// The only value, as text; an IRI counts as its text.
    fn only(&self, predicate: &str, name: &str) -> Result<Option<&'q str>, Error> {
        let mut values = self.all(predicate);
        let first = values.next();
        if values.next().is_some() {
            return Err(unfit(format!("`{name}` may be said once")));
        }
        first.map(|term| value_of(term, name)).transpose()
    }
}

fn value_of<'t>(term: &'t Term, name: &str) -> Result<&'t str, Error> {
    match term {
        Term::NamedNode(node) => Ok(node.as_str()),
        Term::Literal(literal) => Ok(literal.value()),
        _ => Err(unfit(format!("`{name}` must be an IRI or a text"))),
    }
}

/// The context that the document names; whether it can be used is the parser's to say.
fn named_context(bytes: &[u8]) -> Result<Context, Error> {
    nesting::check(bytes, Grammar::Json, NESTING_MAX).map_err(|error| malformed(error.line, 1, error.to_string()))?;
    let document: serde_json::Value = serde_json::from_slice(bytes)
        .map_err(|error| malformed(error.line() as u64, error.column() as u64, error.to_string()))?;
    Ok(Context::named_in(&document).unwrap_or_default())
}

fn statements(bytes: &[u8], around: &Surroundings<'_>) -> Result<Vec<Quad>, Error> {
    let base = super::discovery::service_url(around.origins, around.storage, around.kind);
    let parser = JsonLdParser::new()
        .with_base_iri(&base)
        .map_err(|error| Error::Internal(format!("`{base}` is no base IRI: {error}")))?
        .for_slice(bytes)
        .with_load_document_callback(|iri, _| match context::embedded(iri) {
            Some(document) => Ok(JsonLdRemoteDocument {
                document: document.as_bytes().to_vec(),
                document_url: iri.to_owned(),
            }),
            None => Err("this server fetches no contexts".into()),
        });
    let mut quads = Vec::new();
    for quad in parser {
        quads.push(quad.map_err(|error| unreadable(&error))?);
    }
    Ok(quads)
}

fn unreadable(error: &oxjsonld::JsonLdSyntaxError) -> Error {
    if matches!(
        error.code(),
        Some(JsonLdErrorCode::LoadingRemoteContextFailed | JsonLdErrorCode::LoadingDocumentFailed)
    ) {
        return unfit(format!(
            "the request names a JSON-LD context that is not known here; known are `{}` and `{}`",
            Context::Channel.iri(),
            Context::Protocol.iri()
        ));
    }
    // It is JSON, so that only its meaning can be wrong.
    unfit(format!("the request is not JSON-LD: {error}"))
}

fn subject(quads: &[Quad]) -> Result<&NamedOrBlankNode, Error> {
    let mut subjects = quads
        .iter()
        .filter(|quad| quad.predicate.as_str() == notify::TOPIC)
        .map(|quad| &quad.subject);
    let first = subjects.next().ok_or_else(|| {
        unfit(format!(
            "the request says no `topic`; it needs `\"@context\": \"{}\"`, `type` and `topic`",
            Context::Channel.iri()
        ))
    })?;
    if subjects.any(|other| other != first) {
        return Err(unfit("the request describes more than one channel"));
    }
    Ok(first)
}

fn check_type(said: &Said<'_>, kind: ChannelType) -> Result<(), Error> {
    let mut found = false;
    for term in said.all(RDF_TYPE) {
        match term {
            Term::NamedNode(node) if kind.is_meant_by(node.as_str()) => found = true,
            _ => return Err(unfit(format!("this service makes channels of type `{}`", kind.name()))),
        }
    }
    if found {
        return Ok(());
    }
    Err(unfit(format!(
        "the request says no `type`; this service makes `{}`",
        kind.name()
    )))
}

fn topics(said: &Said<'_>, around: &Surroundings<'_>) -> Result<Vec<ResourceName>, Error> {
    let root = format!("/{}/", around.storage);
    let mut topics = Vec::new();
    for term in said.all(notify::TOPIC) {
        let iri = value_of(term, "topic")?;
        let name = ResourceName::from_iri(iri, around.origins).filter(|name| name.as_str().starts_with(&root));
        let name = name.ok_or_else(|| {
            unfit(format!(
                "`topic` must be the URL of a resource below `{}`, whose service this is",
                around.origins.root(around.storage)
            ))
        })?;
        if !topics.contains(&name) {
            topics.push(name);
        }
        if topics.len() > around.bounds.topics_per_channel_max {
            return Err(unfit(format!(
                "a channel has at most {} topics",
                around.bounds.topics_per_channel_max
            )));
        }
    }
    Ok(topics)
}

fn receiver(said: &Said<'_>, kind: ChannelType) -> Result<Option<String>, Error> {
    let said = said.only(notify::SEND_TO, "sendTo")?;
    match (kind, said) {
        (ChannelType::WebhookChannel2023, None) => Err(unfit("a webhook needs `sendTo`, the URL of its receiver")),
        (ChannelType::WebhookChannel2023, Some(url)) if url.len() > URL_BYTES_MAX => {
            Err(unfit(format!("`sendTo` has at most {URL_BYTES_MAX} bytes")))
        }
        (ChannelType::WebhookChannel2023, Some(url)) => Ok(Some(url.to_owned())),
        (_, _) => Ok(None),
    }
}

fn moment(said: &Said<'_>, predicate: &str, name: &str) -> Result<Option<i64>, Error> {
    let Some(text) = said.only(predicate, name)? else {
        return Ok(None);
    };
    // A moment without a time zone is taken as UTC.
    let parsed =
        OffsetDateTime::parse(text, &Rfc3339).or_else(|_| OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339));
    match parsed {
        Ok(moment) => Ok(Some(milliseconds(moment))),
        Err(_) => Err(unfit(format!(
            "`{name}` must be an `xsd:dateTime` such as `2027-01-31T12:00:00Z`"
        ))),
    }
}

fn rate(said: &Said<'_>, bounds: &NotifyConfig) -> Result<Option<u64>, Error> {
    let Some(text) = said.only(notify::RATE, "rate")? else {
        return Ok(None);
    };
    // The drafts' own examples write `PT10s`, so letters count in either case.
    let parsed = text.to_ascii_uppercase().parse::<DayTimeDuration>();
    let duration = parsed
        .ok()
        .and_then(|duration| std::time::Duration::try_from(duration).ok());
    let longest = std::time::Duration::from_secs(bounds.rate_seconds_max);
    match duration.filter(|duration| *duration <= longest) {
        Some(duration) => Ok(u64::try_from(duration.as_millis()).ok().filter(|rate| *rate > 0)),
        None => Err(unfit(format!(
            "`rate` must be an `xsd:duration` such as `PT10S`, of at most {} seconds",
            bounds.rate_seconds_max
        ))),
    }
}

fn text(said: &Said<'_>, predicate: &str, name: &str) -> Result<Option<String>, Error> {
    match said.only(predicate, name)? {
        Some(text) if text.len() > TEXT_BYTES_MAX => Err(unfit(format!("`{name}` has at most {TEXT_BYTES_MAX} bytes"))),
        text => Ok(text.map(str::to_owned)),
    }
}

/// The syntax for a value like that of the `Accept` header.
fn accepted(accept: Option<&str>) -> Result<Syntax, Error> {
    let Some(accept) = accept else {
        return Ok(Syntax::JsonLd);
    };
    let mut headers = HeaderMap::new();
    let syntax = HeaderValue::from_str(accept).ok().and_then(|value| {
        headers.insert(header::ACCEPT, value);
        choose_syntax(&headers, Syntax::JsonLd)
    });
    syntax.ok_or_else(|| {
        unfit("`accept` names no syntax of notifications; there are application/ld+json, text/turtle and application/n-triples")
    })
}

/// Checks the media type of a request and its `profile` parameter (solid#105).
///
/// # Errors
/// 400 without a type, 415 for another one than JSON-LD or for a profile that is not known.
pub fn check_media_type(headers: &HeaderMap) -> Result<(), Error> {
    let refused = |media_type: &str| Error::UnsupportedMediaType {
        media_type: media_type.to_owned(),
        accepted: Some((
            crate::ldp::headers::ACCEPT_POST,
            HeaderValue::from_static("application/ld+json"),
        )),
    };
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Err(crate::http::media_type::MediaTypeError::Missing.into());
    };
    let text = value.to_str().map_err(|_| refused("?"))?;
    let parsed: mime::Mime = text
        .parse()
        .map_err(|_| crate::http::media_type::MediaTypeError::Malformed)?;
    if parsed.essence_str() != "application/ld+json" {
        return Err(refused(text));
    }
    for (name, value) in parsed.params() {
        let known = |iri: &str| Context::of(iri).is_some() || iri.starts_with("http://www.w3.org/ns/json-ld#");
        if name == "profile" && !value.as_str().split_ascii_whitespace().all(known) {
            return Err(refused(text));
        }
    }
    Ok(())
}

/// 422 with what is wrong.
pub(super) fn unfit(detail: impl Into<String>) -> Error {
    Error::Unprocessable {
        kind: "unfit-subscription",
        detail: detail.into(),
    }
}

fn malformed(line: u64, column: u64, message: String) -> Error {
    Error::Malformed {
        kind: "malformed-subscription",
        line,
        column,
        message,
    }
}
