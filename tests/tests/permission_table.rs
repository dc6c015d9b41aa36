//! The permission table, walked row by row against a real server, under both authorization systems.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fmt::Write as _;
use std::sync::Arc;

use meent_tests::pod::{Agent, Client, PodServer, Reply};
use pod_server::authz::AuthorizationSystem;

const TABLE: &str = include_str!("../corpus/permission-table.tsv");
const DOCUMENT: &str = "<#it> <urn:p> \"x\" .";
const TURTLE: &str = "text/turtle";
/// Cases under way at one time.
const AT_ONCE: usize = 16;

#[derive(Clone, Copy)]
struct Row {
    method: &'static str,
    target: &'static str,
    modes: &'static str,
    container: &'static str,
    present: Option<u16>,
    absent: Option<u16>,
}

fn rows() -> Vec<Row> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#')).skip(1);
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let status = |cell: &str| (cell != "-").then(|| cell.parse().unwrap());
            Row {
                method: cells[0],
                target: cells[1],
                modes: cells[2],
                container: cells[3],
                present: status(cells[4]),
                absent: status(cells[5]),
            }
        })
        .collect()
}

/// One row, for one kind of requester, with or without the target.
#[derive(Clone, Copy)]
struct Case {
    row: Row,
    number: usize,
    public: bool,
    present: bool,
    expected: u16,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for row in rows() {
        for public in [false, true] {
            for (present, status) in [(true, row.present), (false, row.absent)] {
                let Some(expected) = status else { continue };
                cases.push(Case {
                    row,
                    number: cases.len(),
                    public,
                    present,
                    // Credentials might help, so that they are asked for.
                    expected: if public && expected == 403 { 401 } else { expected },
                });
            }
        }
    }
    cases
}

fn mode_names(modes: &str) -> Vec<&'static str> {
    let name = |mode: char| match mode {
        'R' => Some("acl:Read"),
        'A' => Some("acl:Append"),
        'W' => Some("acl:Write"),
        'C' => Some("acl:Control"),
        _ => None,
    };
    modes.chars().filter_map(name).collect()
}

/// Access rules for a resource: everything for the owner, and the given modes for someone on it and on what is below.
fn rules(
    system: AuthorizationSystem,
    resource: &str,
    owner: &str,
    who: Option<&str>,
    here: &str,
    below: &str,
) -> String {
    let mut text = "@prefix acl: <http://www.w3.org/ns/auth/acl#>. @prefix acp: <http://www.w3.org/ns/solid/acp#>. \
                    @prefix foaf: <http://xmlns.com/foaf/0.1/>.\n"
        .to_owned();
    let parts = [("here", here), ("below", below)].map(|(id, modes)| (id, mode_names(modes).join(", ")));
    match system {
        AuthorizationSystem::Wac => {
            let who = who.map_or("acl:agentClass foaf:Agent".to_owned(), |web_id| {
                format!("acl:agent <{web_id}>")
            });
            let _ = writeln!(
                text,
                "<#owner> a acl:Authorization; acl:agent <{owner}>; acl:accessTo <{resource}>; acl:default <{resource}>; \
                 acl:mode acl:Read, acl:Write, acl:Control."
            );
            for (id, modes) in parts.iter().filter(|(_, modes)| !modes.is_empty()) {
                let scope = if *id == "here" { "accessTo" } else { "default" };
                let _ = writeln!(
                    text,
                    "<#{id}> a acl:Authorization; {who}; acl:{scope} <{resource}>; acl:mode {modes}."
                );
            }
        }
        AuthorizationSystem::Acp => {
            let who = who.map_or("acp:PublicAgent".to_owned(), |web_id| format!("<{web_id}>"));
            let _ = writeln!(
                text,
                "<> a acp:AccessControlResource; acp:resource <{resource}>; acp:accessControl <#owner>; \
                 acp:memberAccessControl <#owner>. <#owner> acp:apply [ acp:allow acl:Read, acl:Write, acl:Control; \
                 acp:anyOf [ acp:agent <{owner}> ] ]."
            );
            for (id, modes) in parts.iter().filter(|(_, modes)| !modes.is_empty()) {
                let scope = if *id == "here" {
                    "accessControl"
                } else {
                    "memberAccessControl"
                };
                let _ = writeln!(
                    text,
                    "<> acp:{scope} <#{id}>. <#{id}> acp:apply [ acp:allow {modes}; acp:anyOf [ acp:agent {who} ] ]."
                );
            }
        }
    }
    text
}

struct Scene {
    server: PodServer,
    system: AuthorizationSystem,
    alice: Agent,
    bob: Agent,
}

impl Scene {
    async fn walk(&self, case: &Case) -> Option<String> {
        let who = (!case.public).then_some(self.bob.web_id.as_str());
        let client = if case.public {
            self.server.client()
        } else {
            self.bob.client()
        };
        let (target, owner) = if case.row.target.starts_with("root") {
            self.set_up_root(case, who).await
        } else {
            (self.set_up(case, who).await, self.alice.web_id.clone())
        };
        let reply = self.act(&client, &case.row, &target, &owner).await;
        (reply.status.as_u16() != case.expected).then(|| {
            let Row {
                method,
                target,
                modes,
                container,
                ..
            } = case.row;
            format!(
                "{:?}: {method} {target} {modes} in {container} (public {}, present {}): {} instead of {}: {}",
                self.system,
                case.public,
                case.present,
                reply.status,
                case.expected,
                reply.text()
            )
        })
    }

    /// A storage of its own, whose root is the target.
    async fn set_up_root(&self, case: &Case, who: Option<&str>) -> (String, String) {
        let name = format!("r{}", case.number);
        let owner = self.server.agent_under(&name, self.system).await;
        let rights = rules(self.system, "./", &owner.web_id, who, case.row.modes, "");
        let root = (format!("/{name}/"), DOCUMENT.to_owned());
        self.server.place(vec![root, (format!("/{name}/.acl"), rights)]).await;
        let end = if case.row.target == "root-acl" { ".acl" } else { "" };
        (format!("/{name}/{end}"), owner.web_id)
    }

    async fn set_up(&self, case: &Case, who: Option<&str>) -> String {
        let row = &case.row;
        let container = format!("/alice/t{}/", case.number);
        let rights = rules(self.system, "./", &self.alice.web_id, who, row.container, row.modes);
        let mut scene = vec![(container.clone(), String::new()), (format!("{container}.acl"), rights)];
        let (document, inner) = (format!("{container}doc.ttl"), format!("{container}sub/"));
        let (subject, target) = match row.target {
            "container" | "full" => (None, inner.clone()),
            "document" => (None, document.clone()),
            "acl" => (Some(&document), format!("{document}.acl")),
            "meta" => (Some(&document), format!("{document}.meta")),
            "acl-of-acl" => (Some(&document), format!("{document}.acl.acl")),
            "container-acl" => (Some(&inner), format!("{inner}.acl")),
            "container-meta" => (Some(&inner), format!("{inner}.meta")),
            "orphan-meta" => (None, format!("{document}.meta")),
            "deep" => (None, format!("{container}x/y/doc.ttl")),
            other => panic!("{other}"),
        };
        scene.extend(subject.map(|subject| (subject.clone(), DOCUMENT.to_owned())));
        let found = match row.target {
            _ if !case.present => None,
            "acl" | "container-acl" => {
                let resource = if row.target == "acl" { "doc.ttl" } else { "./" };
                let own = rules(self.system, resource, &self.alice.web_id, who, row.modes, "");
                Some((target.clone(), own))
            }
            "acl-of-acl" => None,
            "full" => Some((format!("{target}member"), DOCUMENT.to_owned())),
            _ => Some((target.clone(), DOCUMENT.to_owned())),
        };
        scene.extend(found);
        self.server.place(scene).await;
        target
    }

    async fn act(&self, client: &Client, row: &Row, target: &str, owner: &str) -> Reply {
        let patch = |body: &str| {
            format!("@prefix solid: <http://www.w3.org/ns/solid/terms#>. _:p a solid:InsertDeletePatch; {body} .")
        };
        let insert = "solid:inserts { <urn:s> <urn:q> \"y\" . }";
        match row.method {
            "PUT" if row.target.ends_with("acl") => {
                let resource = if row.target == "acl" { "doc.ttl" } else { "./" };
                let rights = rules(self.system, resource, owner, None, "", "");
                client.put(target, TURTLE, rights).await
            }
            "PUT" => client.put(target, TURTLE, "<urn:s> <urn:p> 1 .").await,
            "POST" => client.request("POST", target).content("text/plain", "x").send().await,
            "PATCH-insert" => client.patch(target, patch(insert)).await,
            "PATCH-delete" => {
                let delete = "solid:deletes { <#it> <urn:p> \"x\" . }";
                client.patch(target, patch(delete)).await
            }
            "PATCH-where" => {
                let conditional = format!("solid:where {{ ?s <urn:p> \"x\" . }}; {insert}");
                client.patch(target, patch(&conditional)).await
            }
            method => client.request(method, target).send().await,
        }
    }
}

async fn walk_all(server: PodServer, system: AuthorizationSystem) {
    let (alice, bob) = (server.agent_under("alice", system).await, server.agent("bob").await);
    let scene = Arc::new(Scene {
        server,
        system,
        alice,
        bob,
    });
    let all = cases();
    assert!(all.len() > 1_500, "{}", all.len());
    let mut walks = Vec::new();
    for part in 0..AT_ONCE {
        let mine: Vec<Case> = all.iter().copied().skip(part).step_by(AT_ONCE).collect();
        let scene = Arc::clone(&scene);
        walks.push(tokio::spawn(async move {
            let mut wrong = Vec::new();
            for case in mine {
                wrong.extend(scene.walk(&case).await);
            }
            wrong
        }));
    }
    let mut wrong = Vec::new();
    for walk in walks {
        wrong.extend(walk.await.unwrap());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let scene = Arc::into_inner(scene).expect("nobody walks any more");
    scene.server.stop().await;
}

/// Requirements solid 3, 68-77, T5, T16, T22: every row for a known agent and for someone without credentials, present and
/// absent, under access control lists.
#[tokio::test(flavor = "multi_thread")]
async fn access_control_lists() {
    walk_all(PodServer::start().await, AuthorizationSystem::Wac).await;
}

/// Requirements solid 50, 84, 86, 87, 92, T5, T16, T22: the same rows hold under access control policies.
#[tokio::test(flavor = "multi_thread")]
async fn access_control_policies() {
    walk_all(PodServer::start().await, AuthorizationSystem::Acp).await;
}

/// Requirements solid 3, 68-77, T5, T16, T22: they hold for storages on origins of their own.
#[tokio::test(flavor = "multi_thread")]
async fn storages_on_their_own_origins() {
    let server = PodServer::start_on_subdomains(serde_json::json!({})).await;
    walk_all(server, AuthorizationSystem::Wac).await;
}
