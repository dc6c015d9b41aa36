//! The same generated requests to Community Solid Server and to ours, and every way in which the answers differ.
//!
//! Each difference belongs to a class (part of the answer, method, kind of target, their value, ours), and each class must be
//! judged in a committed table. Once a write succeeded on one side only, the states are no longer the same, so that the
//! sequence ends there.

mod compare;
mod generate;
mod judged;
mod peer;

use std::collections::BTreeMap;

use compare::aspects;
use generate::{Asker, Condition, Draw, N3_PREFIXES, Planned, sequence};
pub use judged::Judged;
pub use peer::Peer;

use super::ConformanceError;
use crate::pod::{Agent, Client, PodServer, Reply, RequestBuilder};

/// Seed of the committed table.
pub const SEED: u64 = 20_261_121;

/// Requests of the committed table.
pub const REQUESTS: usize = 2_000;

/// Statuses with which a server says that it cannot find out, not what it decided.
const UNDECIDED: std::ops::Range<u16> = 500..600;

/// A class of differences.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Class {
    /// Part of the answer.
    pub part: String,
    /// Method.
    pub method: String,
    /// Kind of target: document, container, list, description, twin or missing.
    pub target: String,
    /// The peer's value.
    pub theirs: String,
    /// Ours.
    pub ours: String,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Requests that were sent to both.
    pub requests: usize,
    /// Requests whose answers did not differ at all.
    pub same: usize,
    /// How often each class occurred, and an example.
    pub classes: BTreeMap<Class, (usize, String)>,
}

/// One of the two servers.
struct Side {
    client: Client,
    base: String,
    /// Ours asks for tokens, the peer believes a name.
    agents: Option<[Agent; 2]>,
}

impl Side {
    fn web_id(&self, name: &str) -> String {
        format!("{}{name}/profile/card#me", self.base)
    }

    /// A request by somebody.
    fn request<'c>(&'c self, clients: &'c [Client; 3], asker: Asker, method: &str, path: &str) -> RequestBuilder<'c> {
        let [alice, bob, nobody] = clients;
        let (client, name) = match asker {
            Asker::Alice => (alice, Some("alice")),
            Asker::Bob => (bob, Some("bob")),
            Asker::Nobody => (nobody, None),
        };
        let request = client.request(method, path);
        match name {
            Some(name) if self.agents.is_none() => {
                request.header("authorization", format!("WebID {}", self.web_id(name)))
            }
            _ => request,
        }
    }

    fn clients(&self) -> [Client; 3] {
        match &self.agents {
            Some([alice, bob]) => [
                self.client.clone().with_agent(alice.clone()),
                self.client.clone().with_agent(bob.clone()),
                self.client.clone(),
            ],
            None => [self.client.clone(), self.client.clone(), self.client.clone()],
        }
    }
}

/// Sends the requests to both and collects how the answers differ.
///
/// # Errors
/// When a side cannot be set up.
pub async fn run(peer: &Peer, server: &PodServer, seed: u64, requests: usize) -> Result<Found, ConformanceError> {
    let theirs = Side {
        client: Client::new(&peer.base),
        base: peer.base.clone(),
        agents: None,
    };
    let agents = [server.agent("alice").await, server.agent("bob").await];
    let ours = Side {
        client: server.client(),
        base: server.base_url.clone(),
        agents: Some(agents),
    };
    let sides = [theirs, ours];
    let clients = [sides[0].clients(), sides[1].clients()];
    // What is above the sequences is the owner's alone on both sides.
    give(&sides[0], &clients[0], "/alice/", &[], &[]).await?;
    let (mut found, mut draw, mut number) = (Found::default(), Draw::new(seed), 0);
    while found.requests < requests {
        number += 1;
        let sequence = sequence(&mut draw);
        let folder = format!("/alice/s{number}/");
        for (side, clients) in sides.iter().zip(&clients) {
            give(side, clients, &folder, sequence.bob, sequence.everyone).await?;
        }
        for planned in &sequence.requests {
            let left = send(&sides[0], &clients[0], &folder, planned).await;
            let right = send(&sides[1], &clients[1], &folder, planned).await;
            found.requests += 1;
            note(
                &mut found,
                planned,
                &folder,
                (&left, &sides[0].base),
                (&right, &sides[1].base),
            );
            let diverged = left.status.is_success() != right.status.is_success();
            // What the servers call a posted resource is theirs to choose; it is left alone afterwards.
            if diverged && !matches!(planned.method, "GET" | "HEAD" | "OPTIONS") {
                break;
            }
        }
    }
    Ok(found)
}

/// Makes a container and gives rights in it.
async fn give(
    side: &Side,
    clients: &[Client; 3],
    folder: &str,
    bob: &[&str],
    everyone: &[&str],
) -> Result<(), ConformanceError> {
    let list = access(&side.web_id("alice"), &side.web_id("bob"), bob, everyone);
    for (path, turtle) in [(folder.to_owned(), String::new()), (format!("{folder}.acl"), list)] {
        let made = side.request(clients, Asker::Alice, "PUT", &path);
        let made = made.content("text/turtle", turtle).send().await;
        if !made.status.is_success() {
            let told = format!("{path} on {}: {} {}", side.base, made.status, made.text());
            return Err(ConformanceError(told));
        }
    }
    Ok(())
}

fn access(alice: &str, bob: &str, bobs: &[&str], everyones: &[&str]) -> String {
    let rule = |id: &str, who: String, modes: &[&str]| {
        let modes: Vec<String> = modes.iter().map(|mode| format!("acl:{mode}")).collect();
        if modes.is_empty() {
            return String::new();
        }
        format!(
            "<#{id}> a acl:Authorization; {who}; acl:accessTo <./>; acl:default <./>; acl:mode {}.\n",
            modes.join(", ")
        )
    };
    [
        "@prefix acl: <http://www.w3.org/ns/auth/acl#>. @prefix foaf: <http://xmlns.com/foaf/0.1/>.\n".to_owned(),
        rule("owner", format!("acl:agent <{alice}>"), &["Read", "Write", "Control"]),
        rule("bob", format!("acl:agent <{bob}>"), bobs),
        rule("everyone", "acl:agentClass foaf:Agent".to_owned(), everyones),
    ]
    .concat()
}

async fn send(side: &Side, clients: &[Client; 3], folder: &str, planned: &Planned) -> Reply {
    let path = format!("{folder}{}", planned.target);
    let mut request = side.request(clients, planned.asker, planned.method, &path);
    for (name, value) in &planned.headers {
        request = request.header(name, *value);
    }
    if let Some(body) = planned.body {
        let n3 = planned.headers.contains(&("content-type", "text/n3"));
        request = request.body(if n3 {
            format!("{N3_PREFIXES}{body}")
        } else {
            body.to_owned()
        });
    }
    if let Some(condition) = planned.condition {
        let current = match condition {
            Condition::MatchCurrent | Condition::NoneMatchCurrent => {
                let head = side.request(clients, Asker::Alice, "HEAD", &path).send().await;
                head.header("etag").to_owned()
            }
            _ => String::new(),
        };
        let current = if current.is_empty() {
            "\"none\"".to_owned()
        } else {
            current
        };
        request = match condition {
            Condition::MatchCurrent => request.header("if-match", current),
            Condition::MatchStale => request.header("if-match", "\"stale\""),
            Condition::MatchAny => request.header("if-match", "*"),
            Condition::NoneMatchCurrent => request.header("if-none-match", current),
            Condition::NoneMatchAny => request.header("if-none-match", "*"),
        };
    }
    request.send().await
}

fn note(found: &mut Found, planned: &Planned, folder: &str, theirs: (&Reply, &str), ours: (&Reply, &str)) {
    let path = format!("{folder}{}", planned.target);
    let differing = aspects(planned.method, &path, theirs, ours);
    if differing.is_empty() {
        found.same += 1;
    }
    let broken = UNDECIDED.contains(&theirs.0.status.as_u16());
    for aspect in differing {
        let class = Class {
            part: aspect.part,
            method: planned.method.to_owned(),
            target: kind(planned.target).to_owned(),
            theirs: aspect.theirs.replace(folder, "./"),
            ours: aspect.ours.replace(folder, "./"),
        };
        let example = format!(
            "{:?} {} {} {:?} {:?} {:?}; told {}{}",
            planned.asker,
            planned.method,
            planned.target,
            planned.headers,
            planned.condition,
            planned.body.unwrap_or_default(),
            ours.0.text().chars().take(160).collect::<String>(),
            if broken {
                format!("; they say {}", theirs.0.text())
            } else {
                String::new()
            },
        );
        let (times, _) = found.classes.entry(class).or_insert((0, example));
        *times += 1;
    }
}

fn kind(target: &str) -> &'static str {
    match target {
        "" | "d/" => "container",
        "none" | "none/" => "missing",
        "a.ttl/" | "d" => "twin",
        target if target.ends_with(".acl") => "list",
        _ => "document",
    }
}
