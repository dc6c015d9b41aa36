//! Containers: their listing from the store's index, and the statements in it that only the server may change
//! (solid#18-20, solid#27, solid#28).
//!
//! A listing never opens a member. Each member's statements stand on their own, so that a page of it can be written without
//! the rest.

use oxrdf::{NamedOrBlankNode, Quad, Term};

use crate::error::Error;
use crate::http::media_type::Syntax;
use crate::name::ResourceName;
use crate::origins::Origins;
use crate::store::{Member, Resource, ResourceKind, Snapshot};

use super::document::Document;

const LDP: &str = "http://www.w3.org/ns/ldp#";
const CONTAINS: &str = "http://www.w3.org/ns/ldp#contains";
const TYPE: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type";
const MODIFIED: &str = "http://purl.org/dc/terms/modified";
const SIZE: &str = "http://www.w3.org/ns/posix/stat#size";
const MTIME: &str = "http://www.w3.org/ns/posix/stat#mtime";
const STORAGE: &str = "http://www.w3.org/ns/pim/space#Storage";
const MEDIA_TYPES: &str = "http://www.w3.org/ns/iana/media-types/";
const XSD: &str = "http://www.w3.org/2001/XMLSchema#";

/// Writes a listing piece by piece.
pub struct Listing<'l> {
    /// Syntax to write.
    pub syntax: Syntax,
    /// The container.
    pub container: &'l ResourceName,
    /// Base of all IRIs.
    pub origins: &'l Origins,
    /// Whether it is a storage's root.
    pub is_storage_root: bool,
}

impl Listing<'_> {
    /// The beginning: the container itself with its own statements.
    ///
    /// # Errors
    /// When the own statements cannot be written.
    pub fn begin(&self, container: &Resource, own: &Document) -> Result<Vec<u8>, Error> {
        let modified = xsd_date_time(container.modified);
        let (origin, path) = self.origins.split(self.container);
        let node = Node {
            origin: &origin,
            path,
            types: if self.is_storage_root {
                STORAGE_TYPES
            } else {
                CONTAINER_TYPES
            },
            media_type: "",
            time: Some((container.modified, &modified)),
            size: None,
        };
        let mut out = Vec::with_capacity(1_024);
        match self.syntax {
            Syntax::JsonLd => {
                out.extend_from_slice(b"[");
                node.write_json(&mut out);
                if !own.quads.is_empty() {
                    // The own statements are a JSON array of their own, whose items join this one.
                    let bare = Document {
                        quads: own.quads.clone(),
                        prefixes: Vec::new(),
                    };
                    let written = bare.write(Syntax::JsonLd)?;
                    let nested: serde_json::Value = serde_json::from_slice(&written)
                        .map_err(|error| Error::Internal(format!("written JSON-LD cannot be read: {error}")))?;
                    out.extend_from_slice(b",\n");
                    out.extend_from_slice(nested.to_string().as_bytes());
                }
            }
            _ => {
                if self.syntax == Syntax::Turtle {
                    append(
                        &mut out,
                        format_args!("@base <{}> .\n", self.container.iri(self.origins)),
                    );
                    out.extend_from_slice(PREFIXES.as_bytes());
                }
                node.write_triples(&mut out, self.syntax);
                out.extend_from_slice(&own.write(Syntax::NTriples)?);
            }
        }
        Ok(out)
    }

    /// A run of members.
    pub fn members(&self, members: &[Member], out: &mut Vec<u8>) {
        let container = self.container.iri(self.origins);
        // The names of members begin with that of their container, and so do their IRIs.
        let (origin, path) = self.origins.split(self.container);
        let outside = self.container.as_str().len() - path.len();
        let mut dates = DateMemory::default();
        let mut kinds = KindMemory::default();
        out.reserve(members.len() * 360);
        // Every member's name begins with the container's.
        let skip = self.container.as_str().len();
        for member in members {
            let is_container = member.kind == ResourceKind::Container;
            let node = Node {
                origin: &origin,
                path: member.name.as_str().get(outside..).unwrap_or_default(),
                types: if is_container { CONTAINER_TYPES } else { RESOURCE_TYPES },
                media_type: if is_container { "" } else { kinds.of(&member.media_type) },
                time: (!is_container).then(|| (member.modified, dates.of(member.modified))),
                size: (!is_container).then_some(member.size),
            };
            if self.syntax == Syntax::Turtle {
                node.write_member(member.name.as_str().get(skip..).unwrap_or_default(), out);
            } else if self.syntax == Syntax::JsonLd {
                append(
                    out,
                    format_args!(
                        ",\n{{\"@id\":\"{container}\",\"{CONTAINS}\":[{{\"@id\":\"{origin}{}\"}}]}},\n",
                        node.path
                    ),
                );
                node.write_json(out);
            } else {
                append(
                    out,
                    format_args!("<{container}> <{CONTAINS}> <{origin}{}> .\n", node.path),
                );
                node.write_triples(out, self.syntax);
            }
        }
    }

    /// The end.
    pub fn end(&self, out: &mut Vec<u8>) {
        if self.syntax == Syntax::JsonLd {
            out.extend_from_slice(b"]\n");
        }
    }
}

/// How predicates and datatypes are spelled in a syntax.
struct Words {
    kind: &'static str,
    modified: &'static str,
    mtime: &'static str,
    size: &'static str,
    date_time: &'static str,
    integer: &'static str,
}

const TURTLE: Words = Words {
    kind: "a",
    modified: "dc:modified",
    mtime: "stat:mtime",
    size: "stat:size",
    date_time: "xsd:dateTime",
    integer: "xsd:integer",
};

const N_TRIPLES: Words = Words {
    kind: "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>",
    modified: "<http://purl.org/dc/terms/modified>",
    mtime: "<http://www.w3.org/ns/posix/stat#mtime>",
    size: "<http://www.w3.org/ns/posix/stat#size>",
    date_time: "<http://www.w3.org/2001/XMLSchema#dateTime>",
    integer: "<http://www.w3.org/2001/XMLSchema#integer>",
};

const RESOURCE_TYPES: &[&str] = &["http://www.w3.org/ns/ldp#Resource"];
const CONTAINER_TYPES: &[&str] = &[
    "http://www.w3.org/ns/ldp#Resource",
    "http://www.w3.org/ns/ldp#Container",
    "http://www.w3.org/ns/ldp#BasicContainer",
];
const STORAGE_TYPES: &[&str] = &[
    "http://www.w3.org/ns/ldp#Resource",
    "http://www.w3.org/ns/ldp#Container",
    "http://www.w3.org/ns/ldp#BasicContainer",
    STORAGE,
];

/// What a listing says about one resource.
struct Node<'n> {
    origin: &'n str,
    path: &'n str,
    types: &'n [&'n str],
    /// IRI of the class of its media type; empty for none.
    media_type: &'n str,
    /// Unix seconds and the same as text; none for a member that is a container. Its listing is part of its state and
    /// changes without this one, so that a time written here would soon be wrong (solid#20).
    time: Option<(i64, &'n str)>,
    size: Option<u64>,
}

impl Node<'_> {
    fn all_types(&self) -> impl Iterator<Item = &str> {
        let media_type = (!self.media_type.is_empty()).then_some(self.media_type);
        self.types.iter().copied().chain(media_type)
    }

    /// One statement after another in N-Triples; in Turtle the same with prefixed names.
    fn write_triples(&self, out: &mut Vec<u8>, syntax: Syntax) {
        let words = if syntax == Syntax::Turtle { &TURTLE } else { &N_TRIPLES };
        let (origin, path) = (self.origin, self.path);
        for kind in self.all_types() {
            append(out, format_args!("<{origin}{path}> {} <{kind}> .\n", words.kind));
        }
        if let Some((mtime, modified)) = self.time {
            append(
                out,
                format_args!(
                    "<{origin}{path}> {} \"{modified}\"^^{} .\n<{origin}{path}> {} \"{mtime}\"^^{} .\n",
                    words.modified, words.date_time, words.mtime, words.integer
                ),
            );
        }
        if let Some(size) = self.size {
            append(
                out,
                format_args!("<{origin}{path}> {} \"{size}\"^^{} .\n", words.size, words.integer),
            );
        }
    }

    /// The statements about a member in Turtle, short, because there may be a great many: its name relative to the base,
    /// which is the container, and one subject for all of them. `segment` is the member's name inside the container.
    fn write_member(&self, segment: &str, out: &mut Vec<u8>) {
        // A colon in a first segment would make it a scheme (RFC 3986 §4.2).
        let dot = if segment.contains(':') { "./" } else { "" };
        push(
            out,
            &["<> ldp:contains <", dot, segment, "> .\n<", dot, segment, "> a "],
        );
        for (index, kind) in self.all_types().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            match kind.strip_prefix(LDP) {
                Some(local) => push(out, &[comma, "ldp:", local]),
                None => push(out, &[comma, "<", kind, ">"]),
            }
        }
        if let Some((mtime, modified)) = self.time {
            push(out, &[" ; dc:modified \"", modified, "\"^^xsd:dateTime ; stat:mtime "]);
            append(out, format_args!("{mtime}"));
        }
        if let Some(size) = self.size {
            append(out, format_args!(" ; stat:size {size}"));
        }
        push(out, &[" .\n"]);
    }

    /// A node object. Canonical names are percent-encoded, so that nothing in an IRI needs escaping in JSON.
    fn write_json(&self, out: &mut Vec<u8>) {
        append(
            out,
            format_args!("{{\"@id\":\"{}{}\",\"@type\":[", self.origin, self.path),
        );
        for (index, kind) in self.all_types().enumerate() {
            append(out, format_args!("{}\"{kind}\"", if index == 0 { "" } else { "," }));
        }
        out.push(b']');
        if let Some((mtime, modified)) = self.time {
            append(
                out,
                format_args!(
                    ",\"{MODIFIED}\":[{{\"@value\":\"{modified}\",\"@type\":\"{XSD}dateTime\"}}],\
                     \"{MTIME}\":[{{\"@value\":{mtime}}}]"
                ),
            );
        }
        if let Some(size) = self.size {
            append(out, format_args!(",\"{SIZE}\":[{{\"@value\":{size}}}]"));
        }
        out.push(b'}');
    }
}

/// Appends pieces of text one after the other.
fn push(out: &mut Vec<u8>, pieces: &[&str]) {
    for piece in pieces {
        out.extend_from_slice(piece.as_bytes());
    }
}

/// Appends formatted text. Writing into memory cannot fail.
fn append(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _ = std::io::Write::write_fmt(out, text);
}

/// Members made together share a time: it is written once.
#[derive(Default)]
struct DateMemory(Option<(i64, String)>);

impl DateMemory {
    fn of(&mut self, unix_seconds: i64) -> &str {
        if self.0.as_ref().is_none_or(|(known, _)| *known != unix_seconds) {
            self.0 = Some((unix_seconds, xsd_date_time(unix_seconds)));
        }
        self.0.as_ref().map_or("", |(_, text)| text)
    }
}

/// Members beside each other often share a media type.
#[derive(Default)]
struct KindMemory(Option<(String, String)>);

impl KindMemory {
    fn of(&mut self, media_type: &str) -> &str {
        if self.0.as_ref().is_none_or(|(known, _)| known != media_type) {
            let iri = media_type_iri(media_type).unwrap_or_default();
            self.0 = Some((media_type.to_owned(), iri));
        }
        self.0.as_ref().map_or("", |(_, iri)| iri)
    }
}

const PREFIXES: &str = "@prefix ldp: <http://www.w3.org/ns/ldp#> .\n\
     @prefix dc: <http://purl.org/dc/terms/> .\n\
     @prefix stat: <http://www.w3.org/ns/posix/stat#> .\n\
     @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .\n";

fn media_type_iri(media_type: &str) -> Option<String> {
    let essence = media_type.split(';').next()?.trim().to_ascii_lowercase();
    let plain = essence
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"/!#$&-^_.+".contains(&byte));
    // `#` and `^` may stand in a media type but not in this IRI.
    (plain && !essence.contains(['#', '^'])).then(|| format!("{MEDIA_TYPES}{essence}#Resource"))
}

/// Unix seconds as `xsd:dateTime`, the same second as `Last-Modified`.
#[must_use]
pub fn xsd_date_time(unix_seconds: i64) -> String {
    time::OffsetDateTime::from_unix_timestamp(unix_seconds)
        .ok()
        .and_then(|moment| moment.format(&time::format_description::well_known::Rfc3339).ok())
        .unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned())
}

/// Takes the server's own statements out of what a client wrote about a container.
///
/// # Errors
/// [`Error::Conflict`] when the client states something about containment or about members that is not so: it would
/// have to change what only operations on the members change.
pub fn without_managed(
    document: Document,
    container: &ResourceName,
    origins: &Origins,
    snapshot: &dyn Snapshot,
) -> Result<Document, Error> {
    let iri = container.iri(origins);
    let mut own = Document {
        quads: Vec::new(),
        prefixes: document.prefixes,
    };
    for quad in document.quads {
        match managed_member(&quad, &iri) {
            None if is_own_management(&quad, &iri) => {}
            None => own.quads.push(quad),
            Some(member) => {
                if !is_current(&quad, &member, container, origins, snapshot)? {
                    return Err(Error::Conflict(format!(
                        "the statement `{quad}` is kept by the server: it changes when members are made, changed or removed"
                    )));
                }
            }
        }
    }
    Ok(own)
}

/// Whether a statement about a container is one that the server makes itself.
#[must_use]
pub fn is_managed(quad: &Quad, container: &str) -> bool {
    managed_member(quad, container).is_some() || is_own_management(quad, container)
}

/// The member that a server-managed statement is about.
fn managed_member(quad: &Quad, container: &str) -> Option<String> {
    let NamedOrBlankNode::NamedNode(subject) = &quad.subject else {
        return None;
    };
    if quad.predicate.as_str() == CONTAINS {
        return match &quad.object {
            Term::NamedNode(object) => Some(object.as_str().to_owned()),
            _ => Some(String::new()),
        };
    }
    let inside = subject.as_str().strip_prefix(container)?;
    let is_child = !inside.is_empty() && !inside.contains('#') && !inside.trim_end_matches('/').contains('/');
    (is_child && is_managed_predicate(quad)).then(|| subject.as_str().to_owned())
}

fn is_managed_predicate(quad: &Quad) -> bool {
    match quad.predicate.as_str() {
        MODIFIED | SIZE | MTIME => true,
        TYPE => matches!(&quad.object, Term::NamedNode(kind)
            if kind.as_str().starts_with(LDP) || kind.as_str().starts_with(MEDIA_TYPES)),
        _ => false,
    }
}

/// What every listing says about the container itself; a client that sends it back changes nothing.
fn is_own_management(quad: &Quad, container: &str) -> bool {
    let about_it = matches!(&quad.subject, NamedOrBlankNode::NamedNode(subject) if subject.as_str() == container);
    let storage = matches!(&quad.object, Term::NamedNode(kind) if kind.as_str() == STORAGE);
    about_it && (is_managed_predicate(quad) || (quad.predicate.as_str() == TYPE && storage))
}

fn is_current(
    quad: &Quad,
    member: &str,
    container: &ResourceName,
    origins: &Origins,
    snapshot: &dyn Snapshot,
) -> Result<bool, Error> {
    let Some(name) = ResourceName::from_iri(member, origins).filter(|name| name.parent().as_ref() == Some(container))
    else {
        return Ok(false);
    };
    let Some(resource) = snapshot.resource(&name)? else {
        return Ok(false);
    };
    Ok(match (quad.predicate.as_str(), &quad.object) {
        (CONTAINS, _) => {
            matches!(&quad.subject, NamedOrBlankNode::NamedNode(subject) if subject.as_str() == container.iri(origins))
        }
        (MODIFIED, Term::Literal(value)) => value.value() == xsd_date_time(resource.modified),
        (MTIME, Term::Literal(value)) => value.value() == resource.modified.to_string(),
        (SIZE, Term::Literal(value)) => value.value() == resource.size.to_string(),
        (TYPE, Term::NamedNode(kind)) => {
            let is_container = resource.kind == ResourceKind::Container;
            kind.as_str() == format!("{LDP}Resource")
                || (is_container
                    && [format!("{LDP}Container"), format!("{LDP}BasicContainer")]
                        .iter()
                        .any(|it| it == kind.as_str()))
                || (!is_container && media_type_iri(&resource.media_type).as_deref() == Some(kind.as_str()))
        }
        _ => false,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::store::Member;

    /// A listing says the same in each syntax, whatever its members are called; without a base from outside.
    #[test]
    fn short_turtle_means_what_n_triples_say() {
        let container = ResourceName::parse("/gent/a:b/").unwrap();
        let members: Vec<Member> = [
            "x:y.ttl",
            "http:",
            "c/",
            "d:e/",
            "%20'()!$&*+,;=@~-._",
            "%C3%A9",
            "sparql",
        ]
        .into_iter()
        .map(|segment| Member {
            name: container.join(segment).unwrap(),
            kind: if segment.ends_with('/') {
                ResourceKind::Container
            } else {
                ResourceKind::NonRdfSource
            },
            media_type: "image/png; q=\"1\"".to_owned(),
            size: 7,
            modified: 1_700_000_000,
        })
        .collect();
        let statements = |syntax| {
            let listing = Listing {
                syntax,
                container: &container,
                origins: &Origins::new("https://pod.example:8443/"),
                is_storage_root: false,
            };
            let mut out = format!("@base <{}> .\n", container.iri(listing.origins)).into_bytes();
            out.extend_from_slice(PREFIXES.as_bytes());
            if syntax == Syntax::NTriples {
                out.clear();
            }
            listing.members(&members, &mut out);
            let triples: BTreeSet<String> = oxttl::TurtleParser::new()
                .for_slice(&out)
                .map(|triple| triple.unwrap().to_string())
                .collect();
            triples
        };
        let short = statements(Syntax::Turtle);
        assert_eq!(short, statements(Syntax::NTriples));
        assert_eq!(short.len(), 7 + 5 * 5 + 2 * 3);
    }
}
