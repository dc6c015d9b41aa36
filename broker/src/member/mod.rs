//! Members of every kind behind one trait: pod servers, any SPARQL 1.1 endpoint, plain Solid pods without SPARQL, and LDES streams.
//!
//! A pod server decides and enforces itself, and publishes summaries. The other kinds can do neither: what their owner grants
//! stands in the registry ([`terms`]), and what they hold is found out when a query needs it ([`evidence`]): by `ASK`, or by
//! reading their documents into memory. No triple of theirs is ever written to the broker's disk.

pub mod documents;
pub mod evidence;
mod ldes;
mod page;
pub mod registration;
pub mod replica;
mod solid;
mod sparql;
pub mod terms;

use crate::exec::Session;
use crate::exec::manifest::Ledger;
use crate::fetch::parse::{Expected, Rows};
use crate::fetch::{Budget, FetchError};
use crate::source::{Source, SourceDescription, SourceId};
use documents::Kept;
use futures_util::future::BoxFuture;
use registration::MemberConfig;
use replica::Replica;
use serde::{Deserialize, Serialize};
use spargebra::term::TriplePattern;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// What a member is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberKind {
    /// A pod server: it publishes a catalogue with summaries, and decides and enforces itself.
    #[default]
    Pod,
    /// A SPARQL 1.1 endpoint of whatever make.
    Sparql,
    /// A plain Solid pod: documents in containers.
    Solid,
    /// A Linked Data Event Stream.
    Ldes,
}

impl MemberKind {
    /// The word in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Sparql => "sparql",
            Self::Solid => "solid",
            Self::Ldes => "ldes",
        }
    }
}

/// What became of reading a member for one query: its data in memory, nothing to hold, or why it cannot answer.
type Held = Result<Option<Arc<Replica>>, FetchError>;

/// A member that is no pod server, as one query sees it.
#[derive(Clone, Debug)]
pub struct Foreign {
    /// What the registry says, terms included.
    pub registration: Arc<MemberConfig>,
    /// What is remembered between queries, in memory.
    kept: Arc<Kept>,
    /// What was read for this query: all its parts see the same.
    held: Arc<OnceCell<Held>>,
}

impl Foreign {
    /// A member that was never asked.
    #[must_use]
    pub fn new(registration: Arc<MemberConfig>) -> Self {
        Self {
            registration,
            kept: Arc::default(),
            held: Arc::default(),
        }
    }

    /// The same member for another query: what is remembered stays, what was read for the last query does not.
    #[must_use]
    pub fn afresh(&self) -> Self {
        Self {
            held: Arc::default(),
            ..self.clone()
        }
    }
}

/// One member within one query.
#[derive(Clone, Copy)]
pub struct At<'a> {
    /// The query's session.
    pub session: &'a Session<'a>,
    /// The member's dataset.
    pub source: &'a Source,
    /// Its number in the query.
    pub id: SourceId,
}

/// One sub-query.
pub struct Question<'a> {
    /// Its text.
    pub text: &'a str,
    /// What its answer must look like.
    pub expected: Expected,
    /// What the whole query may use up.
    pub budget: &'a Arc<Budget>,
    /// Where the member's doings are noted.
    pub ledger: &'a Ledger,
}

/// How members of one kind are asked.
pub trait Adapter: Send + Sync {
    /// What can be found out about the member's content before planning. Whatever cannot be found out stays possible, and a
    /// member that cannot be read says so when it is asked.
    fn learn<'a>(&'a self, at: At<'a>, wanted: &'a Wanted) -> BoxFuture<'a, SourceDescription>;

    /// Answers a sub-query: whole, or not at all.
    fn answer<'a>(&'a self, at: At<'a>, question: Question<'a>) -> BoxFuture<'a, Result<Rows, FetchError>>;
}

/// What a query needs to know of a member's content.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Its triple patterns, each with variables in all places that it leaves open.
    pub patterns: Vec<TriplePattern>,
    /// Whether matches in named graphs count too.
    pub graphs: bool,
}

/// The adapter for members of a kind.
#[must_use]
pub fn adapter(source: &Source) -> &'static dyn Adapter {
    match source.kind() {
        MemberKind::Pod | MemberKind::Sparql => &sparql::Endpoint,
        MemberKind::Solid => &solid::Pod,
        MemberKind::Ldes => &ldes::Stream,
    }
}
