//! Containers: their listing from the store's index, and the statements in it that only the server may change
//! (solid#18-20, solid#27, solid#28).
//!
//! A listing never opens a member. Its statements are absolute, so that a page of it can be written without the rest.

use oxrdf::{NamedOrBlankNode, Quad, Term};

use crate::error::Error;
use crate::http::media_type::Syntax;
use crate::name::ResourceName;
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
    pub base_url: &'l str,
    /// Whether it is a storage's root.
    pub is_storage_root: bool,
}

impl Listing<'_> {
    /// The beginning: the container itself with its own statements.
    ///
    /// # Errors
    /// When the own statements cannot be written.
    pub fn begin(&self, container: &Resource, own: &Document) -> Result<Vec<u8>, Error> {
        let iri = self.container.iri(self.base_url);
        let mut types = vec![
            format!("{LDP}Resource"),
            format!("{LDP}Container"),
            format!("{LDP}BasicContainer"),
        ];
        if self.is_storage_root {
            types.push(STORAGE.to_owned());
        }
        let modified = xsd_date_time(container.modified);
        let mut out = Vec::with_capacity(1_024);
        match self.syntax {
            Syntax::JsonLd => {
                out.extend_from_slice(b"[");
                self.json_node(&mut out, &iri, &types, container.modified, &modified, None);
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
                    out.extend_from_slice(PREFIXES.as_bytes());
                }
                self.node(&mut out, &iri, &types, container.modified, &modified, None);
                out.extend_from_slice(&own.write(Syntax::NTriples)?);
            }
        }
        Ok(out)
    }

    /// A run of members.
    pub fn members(&self, members: &[Member], out: &mut Vec<u8>) {
        let container = self.container.iri(self.base_url);
        out.reserve(members.len() * 400);
        for member in members {
            let iri = member.name.iri(self.base_url);
            let mut types = vec![format!("{LDP}Resource")];
            let size = if member.kind == ResourceKind::Container {
                types.push(format!("{LDP}Container"));
                types.push(format!("{LDP}BasicContainer"));
                None
            } else {
                types.extend(media_type_iri(&member.media_type));
                Some(member.size)
            };
            let modified = xsd_date_time(member.modified);
            if self.syntax == Syntax::JsonLd {
                out.extend_from_slice(b",\n{\"@id\":\"");
                out.extend_from_slice(container.as_bytes());
                out.extend_from_slice(b"\",\"");
                out.extend_from_slice(CONTAINS.as_bytes());
                out.extend_from_slice(b"\":[{\"@id\":\"");
                out.extend_from_slice(iri.as_bytes());
                out.extend_from_slice(b"\"}]},\n");
                self.json_node(out, &iri, &types, member.modified, &modified, size);
            } else {
                out.extend_from_slice(format!("<{container}> ").as_bytes());
                out.extend_from_slice(self.property("ldp:contains", CONTAINS).as_bytes());
                out.extend_from_slice(format!(" <{iri}> .\n").as_bytes());
                self.node(out, &iri, &types, member.modified, &modified, size);
            }
        }
    }

    /// The end.
    pub fn end(&self, out: &mut Vec<u8>) {
        if self.syntax == Syntax::JsonLd {
            out.extend_from_slice(b"]\n");
        }
    }

    fn property(&self, short: &str, iri: &str) -> String {
        if self.syntax == Syntax::Turtle {
            short.to_owned()
        } else {
            format!("<{iri}>")
        }
    }

    /// One node in Turtle or N-Triples: the same statements, with prefixed names where there are prefixes.
    fn node(&self, out: &mut Vec<u8>, iri: &str, types: &[String], mtime: i64, modified: &str, size: Option<u64>) {
        let mut statement = |predicate: &str, object: &str| {
            out.extend_from_slice(format!("<{iri}> {predicate} {object} .\n").as_bytes());
        };
        for kind in types {
            statement(&self.property("a", TYPE), &format!("<{kind}>"));
        }
        let date_time = self.property("xsd:dateTime", &format!("{XSD}dateTime"));
        let integer = self.property("xsd:integer", &format!("{XSD}integer"));
        statement(
            &self.property("dc:modified", MODIFIED),
            &format!("\"{modified}\"^^{date_time}"),
        );
        statement(&self.property("stat:mtime", MTIME), &format!("\"{mtime}\"^^{integer}"));
        if let Some(size) = size {
            statement(&self.property("stat:size", SIZE), &format!("\"{size}\"^^{integer}"));
        }
    }

    fn json_node(&self, out: &mut Vec<u8>, iri: &str, types: &[String], mtime: i64, modified: &str, size: Option<u64>) {
        let mut node = serde_json::json!({
            "@id": iri,
            "@type": types,
            MODIFIED: [{ "@value": modified, "@type": format!("{XSD}dateTime") }],
            MTIME: [{ "@value": mtime }],
        });
        if let (Some(size), Some(object)) = (size, node.as_object_mut()) {
            object.insert(SIZE.to_owned(), serde_json::json!([{ "@value": size }]));
        }
        out.extend_from_slice(node.to_string().as_bytes());
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
    base_url: &str,
    snapshot: &dyn Snapshot,
) -> Result<Document, Error> {
    let iri = container.iri(base_url);
    let mut own = Document {
        quads: Vec::new(),
        prefixes: document.prefixes,
    };
    for quad in document.quads {
        match managed_member(&quad, &iri) {
            None if is_own_management(&quad, &iri) => {}
            None => own.quads.push(quad),
            Some(member) => {
                if !is_current(&quad, &member, container, base_url, snapshot)? {
                    return Err(Error::Conflict(format!(
                        "the statement `{quad}` is kept by the server: it changes when members are made, changed or removed"
                    )));
                }
            }
        }
    }
    Ok(own)
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
    base_url: &str,
    snapshot: &dyn Snapshot,
) -> Result<bool, Error> {
    let Some(name) = member
        .strip_prefix(base_url.trim_end_matches('/'))
        .and_then(|path| ResourceName::parse(path).ok())
        .filter(|name| name.parent().as_ref() == Some(container))
    else {
        return Ok(false);
    };
    let Some(resource) = snapshot.resource(&name)? else {
        return Ok(false);
    };
    Ok(match (quad.predicate.as_str(), &quad.object) {
        (CONTAINS, _) => {
            matches!(&quad.subject, NamedOrBlankNode::NamedNode(subject) if subject.as_str() == container.iri(base_url))
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
