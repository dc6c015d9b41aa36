//! The links of a resource as a link set (RFC 9264), which is how clients of Linked Web Storage read and change metadata.
//!
//! A link set is another representation of the description resource. It shows the links that the server keeps, and every
//! statement of the description between two IRIs; other statements have no place in it and stay as they are.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::HeaderMap;
use oxrdf::{GraphName, NamedNode, NamedOrBlankNode, Quad, Term};
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::http::etag::Variant;
use crate::http::negotiation;
use crate::name::{Auxiliary, ResourceName};
use crate::origins::Origins;
use crate::store::{BodyLocation, Latest, ReadPermit, Resource, ResourceKind, Sequence};

use super::document::{self, Document};
use super::headers::each_link;
use super::read::{Content, Representation};
use super::representation::{blocking, whole};
use super::service::LdpService;
use super::target::{Role, Target};
use crate::http::media_type::stored_syntax;

/// Media type of a link set in JSON (RFC 9264 §4.2).
pub const MEDIA_TYPE: &str = "application/linkset+json";

/// Relations with a registered name stand for these IRIs (RFC 8288 appendix A.2).
const REGISTERED: &str = "http://www.iana.org/assignments/relation/";

/// A link: anchor, relation as it is spelled in a link set, target.
type Link = (String, String, String);

/// The subject of the description resource whose links are asked for.
pub(super) fn is_wanted<'t>(target: &'t Target, request: &HeaderMap) -> Option<&'t ResourceName> {
    match &target.role {
        Role::Auxiliary {
            kind: Auxiliary::Description,
            subject,
        } if negotiation::names(request, MEDIA_TYPE) => Some(subject),
        _ => None,
    }
}

impl LdpService {
    /// The link set of a subject; none if there is no such subject. It exists even where no description was written.
    pub(super) async fn linkset(
        &self,
        target: &Target,
        subject: &ResourceName,
        permit: ReadPermit,
    ) -> Result<Option<(Latest, Representation)>, Error> {
        let Some(about) = self.store.latest(permit, subject)? else {
            return Ok(None);
        };
        let description = self.store.latest(permit, &target.name)?;
        let subject = Target::of(subject.clone());
        let (shown, bytes) = match description {
            None => {
                let set = write(&subject, &self.origins, &Document::default());
                (never_written(target, &about.resource), set.to_string().into())
            }
            Some(description) => {
                let bytes = self.linkset_of(subject, &description).await?;
                (description, bytes)
            }
        };
        let representation = Representation {
            variant: Variant::Linkset,
            media_type: MEDIA_TYPE.to_owned(),
            content: Content::Bytes(bytes),
            preference_applied: None,
        };
        Ok(Some((shown, representation)))
    }

    /// The link set of a subject with a description: made once for each state, a bounded number at a time.
    async fn linkset_of(&self, subject: Target, description: &Latest) -> Result<Bytes, Error> {
        let resource = &description.resource;
        if let Some(bytes) = self.representations.find(resource, Variant::Linkset) {
            return Ok(bytes);
        }
        let permit = self.conversions.clone().acquire_owned().await;
        let permit = permit.map_err(|_| Error::Unavailable("the server is stopping".to_owned()))?;
        let (origins, bounds) = (self.origins.clone(), self.rdf_bounds());
        let (iri, media_type) = (resource.name.iri(&origins), resource.media_type.clone());
        let body = description.body.clone();
        let work = move || {
            let own = match stored_syntax(&media_type) {
                Some(syntax) => document::parse(&whole(body)?, syntax, &iri, bounds)?,
                None => Document::default(),
            };
            drop(permit);
            Ok(Bytes::from(write(&subject, &origins, &own).to_string()))
        };
        let bytes = blocking(work).await?;
        self.representations.keep(resource, Variant::Linkset, &bytes);
        Ok(bytes)
    }
}

/// What stands for a description that was never written: state 0, as old as its subject.
fn never_written(target: &Target, about: &Resource) -> Latest {
    let resource = Resource {
        name: target.name.clone(),
        kind: ResourceKind::RdfSource,
        media_type: "text/turtle".to_owned(),
        size: 0,
        version: Sequence(0),
        body: BodyLocation::Inline,
        ..about.clone()
    };
    Latest {
        resource: std::sync::Arc::new(resource),
        body: crate::store::Body::Bytes(Bytes::new()),
    }
}

/// The link set of a subject with its description.
fn write(subject: &Target, origins: &Origins, description: &Document) -> Value {
    let anchor = subject.name.iri(origins);
    let mut contexts: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut add = |(anchor, relation, href): Link| {
        let context = contexts.entry(anchor).or_default();
        let targets = context.entry(relation).or_insert_with(|| json!([]));
        if let Value::Array(targets) = targets {
            targets.push(json!({ "href": href }));
        }
    };
    let kept = kept_links(subject, origins);
    let free = description.quads.iter().filter_map(as_link);
    let free = free.filter(|link| !is_ours(link, &kept)).collect::<Vec<_>>();
    for link in kept.into_iter().chain(free) {
        add(link);
    }
    // The subject's own links come first.
    let own = contexts.remove(&anchor).map(|links| (anchor, links));
    let all = own.into_iter().chain(contexts).map(|(anchor, links)| {
        let mut context = Map::new();
        context.insert("anchor".to_owned(), anchor.into());
        context.extend(links);
        Value::Object(context)
    });
    json!({ "linkset": all.collect::<Vec<_>>() })
}

fn kept_links(subject: &Target, origins: &Origins) -> Vec<Link> {
    let anchor = subject.name.iri(origins);
    let mut links = Vec::new();
    each_link(subject, origins, |href, relation| {
        links.push((anchor.clone(), relation.to_owned(), href.to_owned()));
    });
    links
}

/// Whether a link would say what only the server says: a description that states another access control list has no
/// place in the link set.
fn is_ours(link: &Link, kept: &[Link]) -> bool {
    kept.iter()
        .any(|(anchor, relation, _)| *anchor == link.0 && *relation == link.1)
}

/// A statement of the default graph between two IRIs as a link.
fn as_link(quad: &Quad) -> Option<Link> {
    match (&quad.graph_name, &quad.subject, &quad.object) {
        (GraphName::DefaultGraph, NamedOrBlankNode::NamedNode(subject), Term::NamedNode(object)) => {
            let predicate = quad.predicate.as_str();
            let relation = match predicate.strip_prefix(REGISTERED) {
                Some(name) if is_registered_form(name) => name,
                _ => predicate,
            };
            Some((
                subject.as_str().to_owned(),
                relation.to_owned(),
                object.as_str().to_owned(),
            ))
        }
        _ => None,
    }
}

/// `reg-rel-type` of RFC 8288 §3.3.
fn is_registered_form(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-'))
}

/// Changes the links of a description by a merge patch on its link set.
///
/// # Errors
/// [`Error::Conflict`] for a change of what the server keeps, [`Error::Unprocessable`] for what is no link set or holds
/// what a description cannot.
pub(super) fn patched(
    description: Document,
    patch: &super::patch::MergePatch,
    target: &Target,
    origins: &Origins,
) -> Result<Document, Error> {
    let subject = Target::of(target.subject().clone());
    let after = patch.apply(write(&subject, origins, &description));
    let wanted = read(&after, &target.name.iri(origins))?;
    let kept = kept_links(&subject, origins);
    let mut links = BTreeSet::new();
    for link in wanted {
        if !is_ours(&link, &kept) {
            links.insert(link);
        } else if !kept.contains(&link) {
            return Err(Error::Conflict(format!(
                "the `{}` links of a resource are kept by the server",
                link.1
            )));
        }
    }
    let mut result = Document {
        quads: Vec::with_capacity(description.quads.len()),
        prefixes: description.prefixes,
    };
    for quad in description.quads {
        // A link that stays keeps its place.
        if as_link(&quad).is_none_or(|link| is_ours(&link, &kept) || links.remove(&link)) {
            result.quads.push(quad);
        }
    }
    for (anchor, relation, href) in links {
        let predicate = if relation.contains(':') {
            relation
        } else {
            format!("{REGISTERED}{relation}")
        };
        result.quads.push(Quad::new(
            NamedNode::new_unchecked(anchor),
            NamedNode::new_unchecked(predicate),
            NamedNode::new_unchecked(href),
            GraphName::DefaultGraph,
        ));
    }
    Ok(result)
}

/// The links of a link set; relative references resolve against `base`.
fn read(linkset: &Value, base: &str) -> Result<Vec<Link>, Error> {
    let base = oxiri::Iri::parse(base).map_err(|error| Error::Internal(format!("`{base}` is no IRI: {error}")))?;
    let resolve = |reference: &Value| {
        let text = reference
            .as_str()
            .ok_or_else(|| invalid("an `anchor` or `href` is no string"))?;
        let iri = base
            .resolve(text)
            .map_err(|error| invalid(&format!("`{text}`: {error}")))?;
        Ok::<_, Error>(iri.into_inner())
    };
    let members = linkset.as_object().filter(|members| members.len() == 1);
    let contexts = members
        .and_then(|members| members.get("linkset"))
        .and_then(Value::as_array)
        .ok_or_else(|| invalid("a link set is an object with the one member `linkset`, an array"))?;
    let mut links = Vec::new();
    for context in contexts {
        let context = context
            .as_object()
            .ok_or_else(|| invalid("a link context is an object"))?;
        let anchor = context
            .get("anchor")
            .ok_or_else(|| invalid("a link context has no `anchor`"))?;
        let anchor = resolve(anchor)?;
        for (relation, targets) in context.iter().filter(|(name, _)| *name != "anchor") {
            if !is_registered_form(relation) && oxiri::Iri::parse(relation.as_str()).is_err() {
                return Err(invalid(&format!(
                    "`{relation}` is neither a registered relation nor an IRI"
                )));
            }
            let targets = targets
                .as_array()
                .ok_or_else(|| invalid("the targets of a relation are an array"))?;
            for target in targets {
                let attributes = target.as_object().ok_or_else(|| invalid("a target is an object"))?;
                let href = attributes
                    .get("href")
                    .ok_or_else(|| invalid("a target has no `href`"))?;
                if attributes.len() > 1 {
                    return Err(invalid(
                        "a target has attributes beside `href`, which are not kept here",
                    ));
                }
                links.push((anchor.clone(), relation.clone(), resolve(href)?));
            }
        }
    }
    Ok(links)
}

fn invalid(detail: &str) -> Error {
    Error::Unprocessable {
        kind: "invalid-linkset",
        detail: detail.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::document::Bounds;
    use super::super::patch::parse_merge;
    use super::*;
    use crate::http::media_type::Syntax;

    fn description(turtle: &str) -> Document {
        let bounds = Bounds { nesting_max: 16 };
        document::parse(
            turtle.as_bytes(),
            Syntax::Turtle,
            "https://pod.example/gent/a.meta",
            bounds,
        )
        .unwrap()
    }

    fn target() -> Target {
        Target::of(ResourceName::parse("/gent/a.meta").unwrap())
    }

    fn patch(turtle: &str, change: impl Fn(&mut Value)) -> Result<Vec<String>, Error> {
        let before = description(turtle);
        let subject = Target::of(ResourceName::parse("/gent/a").unwrap());
        let origins = Origins::new("https://pod.example/");
        let mut linkset = write(&subject, &origins, &before);
        change(&mut linkset);
        let patch = parse_merge(linkset.to_string().as_bytes(), 16).unwrap();
        let after = patched(before, &patch, &target(), &origins)?;
        Ok(after.quads.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn links_are_shown_and_changed_and_the_rest_stays() {
        let turtle = "<a> <http://purl.org/dc/terms/creator> <https://a.example/#me> ; <urn:title> \"A\" ;
                <http://www.iana.org/assignments/relation/acl> <evil> .
            <b> <http://www.iana.org/assignments/relation/license> <https://l.example/> .";
        assert_eq!(
            patch(turtle, |linkset| assert!(!linkset.to_string().contains("evil")))
                .unwrap()
                .len(),
            4
        );
        let after = patch(turtle, |linkset| {
            linkset["linkset"][0]["http://purl.org/dc/terms/creator"] = json!([{"href": "/bob#me"}]);
            linkset["linkset"][1] = json!({"anchor": "b", "next": [{"href": "c"}]});
        });
        assert_eq!(
            after.unwrap(),
            [
                "<https://pod.example/gent/a> <urn:title> \"A\"",
                "<https://pod.example/gent/a> <http://www.iana.org/assignments/relation/acl> <https://pod.example/gent/evil>",
                "<https://pod.example/gent/a> <http://purl.org/dc/terms/creator> <https://pod.example/bob#me>",
                "<https://pod.example/gent/b> <http://www.iana.org/assignments/relation/next> <https://pod.example/gent/c>",
            ]
        );
    }

    #[test]
    fn the_servers_links_and_broken_ones_are_refused() {
        let kept = patch("", |linkset| {
            linkset["linkset"][0]["acl"] = json!([{"href": "/evil.acl"}])
        });
        assert!(matches!(kept, Err(Error::Conflict(_))), "{kept:?}");
        type Change = fn(&mut Value);
        let broken: [Change; 7] = [
            |linkset| linkset["more"] = json!(1),
            |linkset| linkset["linkset"] = json!({}),
            |linkset| linkset["linkset"][0]["anchor"] = json!(1),
            |linkset| linkset["linkset"][0]["No Relation"] = json!([{"href": "x"}]),
            |linkset| linkset["linkset"][0]["next"] = json!([{"href": "x", "title": "y"}]),
            |linkset| linkset["linkset"][0]["next"] = json!([{"href": "http://[/"}]),
            |linkset| linkset["linkset"][0]["next"] = json!({"href": "x"}),
        ];
        for change in broken {
            let refused = patch("", change);
            assert!(matches!(refused, Err(Error::Unprocessable { .. })), "{refused:?}");
        }
    }
}
