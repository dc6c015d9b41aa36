//! Everything of a storage as clients see it, to compare one server with another.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::StatusCode;
use oxttl::TurtleParser;

use super::client::{Client, Reply};

const CONTAINS: &str = "http://www.w3.org/ns/ldp#contains";

/// One resource as its owner and the public see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Media type of the stored representation; `text/turtle` for a container.
    pub media_type: String,
    /// The stored bytes; for a container none, because its listing names times.
    pub body: Bytes,
    /// What the owner may do, as `WAC-Allow` says it, in order.
    pub owner: Vec<String>,
    /// Whether the public gets the resource.
    pub public: bool,
    /// The resource's own access control list.
    pub acl: Option<Bytes>,
    /// Its description.
    pub description: Option<Bytes>,
}

/// Walks a storage from a container down, as its owner; answers every resource by its path below the container.
///
/// # Panics
/// When something that is listed cannot be read.
pub async fn crawl(owner: &Client, public: &Client, root: &str) -> BTreeMap<String, Seen> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(url) = open.pop() {
        let reply = owner.get(&url).await;
        assert_eq!(reply.status, StatusCode::OK, "{url}: {}", reply.text());
        let container = url.ends_with('/');
        if container {
            open.extend(members(&reply, &url));
        }
        let seen = Seen {
            media_type: reply.header("content-type").to_owned(),
            owner: allowed(&reply),
            public: public.get(&url).await.status == StatusCode::OK,
            acl: linked(owner, &reply, &url, "acl").await,
            description: linked(owner, &reply, &url, "describedby").await,
            body: if container { Bytes::new() } else { reply.body },
        };
        found.insert(url.strip_prefix(root).expect("inside").to_owned(), seen);
    }
    found
}

fn members(reply: &Reply, url: &str) -> Vec<String> {
    let parser = TurtleParser::new().with_base_iri(url).expect("a base");
    let triples = parser.for_slice(&reply.body).map(|triple| triple.expect("Turtle"));
    triples
        .filter(|triple| triple.predicate.as_str() == CONTAINS)
        .map(|triple| match triple.object {
            oxrdf::Term::NamedNode(node) => node.into_string(),
            other => panic!("{other} is contained"),
        })
        .collect()
}

fn allowed(reply: &Reply) -> Vec<String> {
    let header = reply.header("wac-allow");
    let user = header.split("user=\"").nth(1).and_then(|rest| rest.split('"').next());
    let mut modes: Vec<String> = user.unwrap_or_default().split(' ').map(str::to_owned).collect();
    modes.sort();
    modes
}

/// The auxiliary resource that a link of the answer names, if it exists.
async fn linked(owner: &Client, reply: &Reply, url: &str, relation: &str) -> Option<Bytes> {
    let target = reply.headers.get_all("link").iter().find_map(|link| {
        link.to_str().ok()?.split(',').find_map(|link| {
            let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
            rest.contains(&format!("rel=\"{relation}\"")).then(|| target.to_owned())
        })
    })?;
    let target = url::Url::parse(url).expect("a URL").join(&target).expect("a URL");
    let reply = owner.get(target.as_str()).await;
    match reply.status {
        StatusCode::OK => Some(reply.body),
        StatusCode::NOT_FOUND => None,
        other => panic!("{target}: {other}"),
    }
}
