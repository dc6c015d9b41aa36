//! Notifications as they are sent: one Activity Streams activity, written once for all who read it the same way
//! (solid#107, solid#110).

use std::sync::OnceLock;

use bytes::Bytes;
use oxrdf::{GraphName, Literal, NamedNode, Quad, vocab::xsd};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use vocab::{as2, notify};

use super::change::{Activity, Change, Position};
use super::channel::timestamp;
use super::context::Context;
use crate::http::media_type::Syntax;
use crate::ldp::document::Document;
use crate::origins::Origins;

const RDF_TYPE: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type";

/// One notification.
#[derive(Debug)]
pub struct Notice {
    /// Place in the order of changes; a reader never gets an earlier one after a later one.
    pub position: Position,
    /// What happened.
    pub activity: Activity,
    /// IRI of the topic.
    pub topic: String,
    /// IRI of the resource to which it happened.
    pub object: String,
    /// The state of the topic afterwards, as its entity tag.
    pub state: Option<String>,
    /// When, Unix milliseconds.
    pub published: i64,
    written: [OnceLock<Bytes>; 4],
}

impl Notice {
    /// The notification of a change.
    #[must_use]
    pub fn of(change: &Change, origins: &Origins, state: Option<String>, published: i64) -> Self {
        Self {
            position: change.position,
            activity: change.activity,
            topic: change.topic.iri(origins),
            object: change.object.iri(origins),
            state,
            published,
            written: Default::default(),
        }
    }

    /// Its identifier: the same for the same change however often and to whomever it is sent, so that a receiver can
    /// tell a repetition.
    #[must_use]
    pub fn id(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.topic.as_bytes());
        hash.update([0]);
        hash.update(self.activity.name().as_bytes());
        hash.update(self.position.sequence.0.to_be_bytes());
        hash.update(self.position.ordinal.to_be_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let mut bytes = [0; 16];
        for (byte, from) in bytes.iter_mut().zip(digest) {
            *byte = from;
        }
        format!("urn:uuid:{}", uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// The container to which something was added, or from which it was removed.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        matches!(self.activity, Activity::Add | Activity::Remove).then_some(self.topic.as_str())
    }

    /// Its bytes in a syntax, with a context where the syntax has one.
    pub fn write(&self, syntax: Syntax, context: Context) -> Bytes {
        let place = match (syntax, context) {
            (Syntax::JsonLd, Context::Channel) => 0,
            (Syntax::JsonLd, Context::Protocol) => 1,
            (Syntax::Turtle, _) => 2,
            (Syntax::NTriples, _) => 3,
        };
        let make = || match syntax {
            Syntax::JsonLd => self.json(context).to_string().into(),
            Syntax::Turtle | Syntax::NTriples => self.document().write(syntax).unwrap_or_default().into(),
        };
        self.written
            .get(place)
            .map_or_else(make, |cell| cell.get_or_init(make).clone())
    }

    fn json(&self, context: Context) -> Value {
        let mut object = Map::new();
        object.insert(
            "@context".to_owned(),
            json!(["https://www.w3.org/ns/activitystreams", context.iri()]),
        );
        object.insert("id".to_owned(), self.id().into());
        object.insert("type".to_owned(), self.activity.name().into());
        object.insert("object".to_owned(), self.object.as_str().into());
        if let Some(target) = self.target() {
            object.insert("target".to_owned(), target.into());
        }
        if let Some(state) = &self.state {
            object.insert("state".to_owned(), state.as_str().into());
        }
        object.insert("published".to_owned(), timestamp(self.published).into());
        Value::Object(object)
    }

    fn document(&self) -> Document {
        let subject = NamedNode::new_unchecked(self.id());
        let mut quads = Vec::new();
        let mut say = |predicate: &str, object: oxrdf::Term| {
            let predicate = NamedNode::new_unchecked(predicate);
            quads.push(Quad::new(subject.clone(), predicate, object, GraphName::DefaultGraph));
        };
        say(RDF_TYPE, NamedNode::new_unchecked(self.activity.iri()).into());
        say(as2::OBJECT, NamedNode::new_unchecked(&self.object).into());
        if let Some(target) = self.target() {
            say(as2::TARGET, NamedNode::new_unchecked(target).into());
        }
        if let Some(state) = &self.state {
            say(notify::STATE, Literal::new_simple_literal(state).into());
        }
        let published = Literal::new_typed_literal(timestamp(self.published), xsd::DATE_TIME);
        say(as2::PUBLISHED, published.into());
        Document {
            quads,
            prefixes: vec![
                ("as".to_owned(), as2::NS.to_owned()),
                ("notify".to_owned(), notify::NS.to_owned()),
            ],
        }
    }
}
