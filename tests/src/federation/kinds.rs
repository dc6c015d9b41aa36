//! Members of every kind with given data, for tests that walk all kinds.

use super::member::{Behaviour, Member};
use super::network::source;
use super::site::{Pages, Reply, Site};
use broker::member::registration::MemberConfig;
use broker::member::terms::{Grant, Terms};
use broker::member::{Foreign, MemberKind};
use broker::source::{Source, SourceDescription};
use oxrdf::Triple;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What kind of member to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// With a summary, as pod servers are.
    Pod,
    /// A SPARQL endpoint without summary.
    Sparql,
    /// The same, which answers in XML.
    SparqlXml,
    /// A plain Solid pod.
    Solid,
    /// An event stream.
    Ldes,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Pod, Self::Sparql, Self::SparqlXml, Self::Solid, Self::Ldes];

    /// The word of the registry.
    #[must_use]
    pub fn registered(self) -> MemberKind {
        match self {
            Self::Pod => MemberKind::Pod,
            Self::Sparql | Self::SparqlXml => MemberKind::Sparql,
            Self::Solid => MemberKind::Solid,
            Self::Ldes => MemberKind::Ldes,
        }
    }

    /// Starts a member with this data.
    ///
    /// # Panics
    /// When no port can be bound.
    #[allow(clippy::unwrap_used)]
    pub async fn start(self, name: &str, triples: Vec<Triple>) -> (Server, Source) {
        let own = triples.clone();
        let site = match self {
            Self::Solid => Site::start(move |root| pod(root, &own)).await,
            Self::Ldes => Site::start(move |root| stream(root, &own)).await,
            Self::Pod | Self::Sparql | Self::SparqlXml => {
                let member = Member::start(name, triples).await.unwrap();
                let description = SourceDescription::of_triples(&member.triples);
                let mut own = source(&member, description);
                if self == Self::SparqlXml {
                    member.behave(Behaviour::Xml);
                }
                if self != Self::Pod {
                    own = foreign(name, MemberKind::Sparql, &member.endpoint);
                }
                return (Server::Member(member), own);
            }
        };
        let source = foreign(name, self.registered(), &site.root);
        (Server::Site(site), source)
    }
}

/// What serves a member.
pub enum Server {
    /// SPARQL.
    Member(Member),
    /// Documents.
    Site(Site),
}

/// Terms that grant all there is to grant.
///
/// # Panics
/// Never.
#[must_use]
#[allow(clippy::unwrap_used)]
pub fn open_terms() -> Terms {
    Terms {
        licence: "https://licences.example/open".parse().unwrap(),
        stated_at: "https://owner.example/about".parse().unwrap(),
        publisher: Some("https://owner.example/#us".parse().unwrap()),
        grants: BTreeSet::from([Grant::Query, Grant::Replicate]),
        purposes: None,
    }
}

/// A source of a kind at a place.
///
/// # Panics
/// When the place is no URL.
#[must_use]
#[allow(clippy::unwrap_used)]
pub fn foreign(name: &str, kind: MemberKind, url: &str) -> Source {
    registered(MemberConfig {
        name: name.to_owned(),
        kind,
        url: Some(url.parse().unwrap()),
        terms: Some(open_terms()),
        ..MemberConfig::default()
    })
}

/// A source as it is registered.
///
/// # Panics
/// When it has no place.
#[must_use]
#[allow(clippy::unwrap_used)]
pub fn registered(config: MemberConfig) -> Source {
    let place = config.place().unwrap().to_string();
    Source {
        member: config.name.clone(),
        dataset: place.clone(),
        endpoint: place,
        agreement: None,
        description: Arc::new(SourceDescription::unknown()),
        aggregate_only: None,
        properties: None,
        hidden: BTreeSet::new(),
        stays: false,
        masks: false,
        foreign: Some(Foreign::new(Arc::new(config))),
    }
}

/// Triples as documents: those with blank nodes together, since the names of blank nodes hold within one document.
fn documents(triples: &[Triple]) -> BTreeMap<String, Vec<&Triple>> {
    let mut out: BTreeMap<String, Vec<&Triple>> = BTreeMap::new();
    for (at, triple) in triples.iter().enumerate() {
        let blank = triple.subject.is_blank_node() || triple.object.is_blank_node();
        let name = if blank {
            "blank".to_owned()
        } else {
            format!("part{}", at % 3)
        };
        out.entry(name).or_default().push(triple);
    }
    out
}

/// The names of the documents that [`pod`] makes of triples, below its root.
#[must_use]
pub fn document_of(triples: &[Triple]) -> BTreeMap<String, Vec<Triple>> {
    documents(triples)
        .into_iter()
        .map(|(name, own)| (format!("data/{name}"), own.into_iter().cloned().collect()))
        .collect()
}

fn lines(triples: &[&Triple]) -> String {
    triples.iter().map(|triple| format!("{triple} .\n")).collect()
}

/// A plain pod: containers with documents, one of them no RDF, one not for everybody.
#[must_use]
pub fn pod(root: &str, triples: &[Triple]) -> Pages {
    let ldp = "@prefix ldp: <http://www.w3.org/ns/ldp#> .\n";
    let parts = documents(triples);
    let listed: Vec<String> = parts.keys().map(|name| format!("<{root}data/{name}>")).collect();
    let mut pages = BTreeMap::from([
        (
            "/".to_owned(),
            Reply::turtle(format!(
                "{ldp}<> a ldp:BasicContainer ; ldp:contains <data/>, <picture.png>, <private> ."
            )),
        ),
        ("/picture.png".to_owned(), Reply::of("image/png", "no triples")),
        ("/private".to_owned(), Reply::status(403)),
    ]);
    let contains = if listed.is_empty() {
        String::new()
    } else {
        format!("<> ldp:contains {} .", listed.join(", "))
    };
    pages.insert("/data/".to_owned(), Reply::turtle(format!("{ldp}{contains}")));
    for (name, own) in parts {
        pages.insert(format!("/data/{name}"), Reply::turtle(lines(&own)));
    }
    Box::new(move |path| pages.get(path).cloned().unwrap_or_else(|| Reply::status(404)))
}

/// A stream: a view that leads to its pages, one of them with a graph for each member.
#[must_use]
pub fn stream(root: &str, triples: &[Triple]) -> Pages {
    let prefixes = "@prefix tree: <https://w3id.org/tree#> . @prefix ldes: <https://w3id.org/ldes#> .\n";
    let mut pages = BTreeMap::new();
    let parts = documents(triples);
    let relations: String = parts
        .keys()
        .map(|name| format!("<> tree:relation [ a tree:Relation ; tree:node <{root}{name}> ] .\n"))
        .collect();
    let first = format!("{prefixes}<#stream> a ldes:EventStream ; tree:view <> .\n{relations}");
    pages.insert("/".to_owned(), Reply::turtle(first));
    for (name, own) in parts {
        let subjects: BTreeSet<String> = own.iter().map(|triple| triple.subject.to_string()).collect();
        let members: Vec<String> = subjects.into_iter().collect();
        let head = format!("{prefixes}<{root}#stream> tree:member {} .\n", members.join(", "));
        let reply = if name == "part0" {
            let mut graphs: BTreeMap<String, Vec<&Triple>> = BTreeMap::new();
            for triple in own {
                graphs.entry(triple.subject.to_string()).or_default().push(triple);
            }
            let graphs: String = graphs
                .iter()
                .map(|(member, own)| format!("{member} {{ {} }}\n", lines(own)))
                .collect();
            Reply::of("application/trig", format!("{head}{graphs}"))
        } else {
            Reply::turtle(format!("{head}{}", lines(&own)))
        };
        pages.insert(format!("/{name}"), reply);
    }
    Box::new(move |path| pages.get(path).cloned().unwrap_or_else(|| Reply::status(404)))
}
