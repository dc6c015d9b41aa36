//! What of two answers is compared, after everything that must differ (origins, dates, tags) is taken out.

use std::collections::BTreeSet;

use oxrdfio::{JsonLdProfileSet, RdfFormat, RdfParser};

use crate::pod::Reply;

/// One way in which two answers differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Aspect {
    /// Which part of the answer.
    pub part: String,
    /// The peer's.
    pub theirs: String,
    /// Ours.
    pub ours: String,
}

/// Header fields of which only the presence counts.
const PRESENT: [&str; 4] = ["etag", "last-modified", "location", "www-authenticate"];

/// Header fields whose lists are compared without regard to order.
const LISTS: [&str; 8] = [
    "allow",
    "accept-patch",
    "accept-post",
    "accept-put",
    "accept-ranges",
    "vary",
    "access-control-allow-origin",
    "content-range",
];

/// How two answers differ. Header fields and content count only when the statuses are the same.
pub fn aspects(method: &str, path: &str, theirs: (&Reply, &str), ours: (&Reply, &str)) -> Vec<Aspect> {
    let mut found = Vec::new();
    let mut compare = |part: &str, theirs: String, ours: String| {
        if theirs != ours {
            found.push(Aspect {
                part: part.to_owned(),
                theirs,
                ours,
            });
        }
    };
    let ((their_reply, their_base), (our_reply, our_base)) = (theirs, ours);
    let statuses = (their_reply.status.as_u16(), our_reply.status.as_u16());
    compare("status", statuses.0.to_string(), statuses.1.to_string());
    if statuses.0 != statuses.1 {
        return found;
    }
    for name in PRESENT {
        let shown = |reply: &Reply| {
            if reply.header(name).is_empty() {
                "absent"
            } else {
                "present"
            }
            .to_owned()
        };
        compare(name, shown(their_reply), shown(our_reply));
    }
    for name in LISTS {
        apart(name, list(their_reply, name), list(our_reply, name), &mut compare);
    }
    apart("wac-allow", rights(their_reply), rights(our_reply), &mut compare);
    apart(
        "link",
        links(their_reply, their_base),
        links(our_reply, our_base),
        &mut compare,
    );
    compare("content-type", media_type(their_reply), media_type(our_reply));
    if method == "GET" && statuses.0 == 200 {
        let (left, right) = (
            content(their_reply, their_base, path),
            content(our_reply, our_base, path),
        );
        apart("content", left, right, &mut compare);
    }
    found
}

/// Compares what is only on one side with what is only on the other.
fn apart(part: &str, theirs: BTreeSet<String>, ours: BTreeSet<String>, compare: &mut impl FnMut(&str, String, String)) {
    let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
        let rest: Vec<&str> = one.difference(other).map(String::as_str).collect();
        if rest.is_empty() {
            "-".to_owned()
        } else {
            rest.join(", ")
        }
    };
    compare(part, only(&theirs, &ours), only(&ours, &theirs));
}

/// All lines of a header field.
fn lines(reply: &Reply, name: &str) -> String {
    let all = reply.headers.get_all(name).iter();
    all.filter_map(|value| value.to_str().ok())
        .collect::<Vec<_>>()
        .join(", ")
}

fn list(reply: &Reply, name: &str) -> BTreeSet<String> {
    let text = lines(reply, name);
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(str::to_owned).collect()
}

/// The modes in `WAC-Allow`, each with its group.
fn rights(reply: &Reply) -> BTreeSet<String> {
    let text = lines(reply, "wac-allow");
    let groups = text.split(',').filter_map(|group| group.trim().split_once('='));
    groups
        .flat_map(|(group, modes)| {
            let modes = modes.trim_matches('"').split_whitespace();
            modes.map(|mode| format!("{group} {mode}")).collect::<Vec<_>>()
        })
        .collect()
}

/// Relations with the kind of what they lead to: types in full, of others only the relation.
fn links(reply: &Reply, base: &str) -> BTreeSet<String> {
    let text = lines(reply, "link").replace(base, "/");
    let mut found = BTreeSet::new();
    for link in text.split(", <") {
        let link = link.trim_start_matches('<');
        let Some((target, parameters)) = link.split_once('>') else {
            continue;
        };
        let relation = parameters.split("rel=").nth(1).unwrap_or_default();
        let relation = relation
            .trim_start_matches('"')
            .split(['"', ';'])
            .next()
            .unwrap_or_default();
        let short = |iri: &str| iri.rsplit(['#', '/']).next().unwrap_or_default().to_owned();
        found.insert(if relation == "type" {
            format!("type {}", short(target))
        } else {
            short(relation)
        });
    }
    found
}

fn media_type(reply: &Reply) -> String {
    let text = reply.header("content-type");
    text.split(';').next().unwrap_or_default().trim().to_owned()
}

/// The content as a set: triples with blank nodes of one name, or the bytes as one text. Times, sizes and the form of types in
/// listings are left out, because they are compared as what they are elsewhere.
fn content(reply: &Reply, base: &str, path: &str) -> BTreeSet<String> {
    let format = match media_type(reply).as_str() {
        "text/turtle" => RdfFormat::Turtle,
        "application/ld+json" => RdfFormat::JsonLd {
            profile: JsonLdProfileSet::empty(),
        },
        _ => return BTreeSet::from([reply.text()]),
    };
    let parser = RdfParser::from_format(format);
    let Ok(parser) = parser.with_base_iri(format!("{}{path}", base.trim_end_matches('/'))) else {
        return BTreeSet::new();
    };
    let mut triples = BTreeSet::new();
    for quad in parser.for_slice(&reply.body) {
        let Ok(quad) = quad else {
            triples.insert("cannot be parsed".to_owned());
            continue;
        };
        let predicate = quad.predicate.as_str();
        let told = ["modified", "mtime", "size", "format"]
            .iter()
            .any(|end| predicate.ends_with(end));
        if told || quad.object.to_string().contains("/ns/iana/media-types/") {
            continue;
        }
        let subject = if quad.subject.is_blank_node() {
            "_:".to_owned()
        } else {
            quad.subject.to_string()
        };
        let object = if quad.object.is_blank_node() {
            "_:".to_owned()
        } else {
            quad.object.to_string()
        };
        triples.insert(format!("{subject} {} {object}", quad.predicate).replace(base, "/"));
    }
    triples
}
