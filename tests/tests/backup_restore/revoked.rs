//! What was revoked after a backup stays revoked (T115).

use http::StatusCode;
use meent_tests::pod::{Client, PodFolder};
use pod_server::app::App;
use pod_server::dataspace::agreement::{self, Agreement};
use pod_server::dataspace::uses;
use pod_server::name::ResourceName;
use pod_server::store::{CommitError, RecordKind, Transaction, Warrant, commit_blocking};
use policies::contract::AgreementState;
use serde_json::json;

use super::{lose_store, newest, text};

const PUBLIC: &str = "@prefix acl: <http://www.w3.org/ns/auth/acl#>. @prefix foaf: <http://xmlns.com/foaf/0.1/>. \
                      <#p> a acl:Authorization; acl:agentClass foaf:Agent; acl:accessTo <{it}>; acl:mode acl:Read. \
                      <#o> a acl:Authorization; acl:agent <{owner}>; acl:accessTo <{it}>; \
                      acl:mode acl:Read, acl:Write, acl:Control.";

/// The parts of a folder's server, while it is stopped.
fn app(folder: &PodFolder) -> App {
    let config = server_kit::config::load(Some(&folder.config()), "MEENT_POD_").unwrap();
    App::build(config).unwrap()
}

fn change(app: &App, work: impl FnOnce(&mut dyn Transaction) + Send + 'static) {
    let work = move |transaction: &mut dyn Transaction| {
        work(transaction);
        Ok::<(), CommitError<()>>(())
    };
    commit_blocking(app.store.as_ref(), Warrant::without_proof("a test"), Box::new(work)).unwrap();
}

fn agreement(number: u32, state: AgreementState) -> Agreement {
    Agreement {
        iri: format!("urn:x:agreement-{number}"),
        storage: "/gent/".into(),
        dataset: "urn:x:dataset".into(),
        offer: String::new(),
        negotiation: String::new(),
        assigner: "https://gent.example/#us".into(),
        assignee: "https://company.example/#us".into(),
        purpose: String::new(),
        created: 0,
        policy: String::new(),
        hash: String::new(),
        in_force: true,
        state,
        changed: None,
    }
}

fn put_agreement(app: &App, agreement: Agreement) {
    change(app, move |transaction| {
        let bytes = agreement::to_json(&agreement).unwrap();
        transaction
            .record_put(RecordKind::Agreement, &agreement.iri, &bytes)
            .unwrap();
    });
}

async fn make_public(client: &Client, owner: &str, name: &str, body: &str) {
    let made = client
        .put(&format!("/gent/{name}"), "text/plain", body.to_owned())
        .await;
    assert!(made.status.is_success(), "{}", made.text());
    let acl = PUBLIC.replace("{it}", &format!("./{name}")).replace("{owner}", owner);
    let made = client.put(&format!("/gent/{name}.acl"), "text/turtle", acl).await;
    assert!(made.status.is_success(), "{}", made.text());
}

async fn consent(client: &Client, recipient: &str) -> String {
    let terms = json!({
        "recipients": [recipient],
        "purposes": ["https://w3id.org/meent/ns#MobilityPlanning"],
        "data": { "containers": ["telraam/"] },
        "notice": { "language": "nl", "text": "Mag het?" },
    });
    let given = client
        .request("POST", "/gent/.consent/")
        .content("application/json", terms.to_string())
        .send()
        .await;
    assert_eq!(given.status, StatusCode::CREATED, "{}", given.text());
    given.json()["id"].as_str().unwrap().to_owned()
}

/// Gives somebody a mandate for a month; its identifier.
async fn mandate(client: &Client, holder: &str) -> String {
    let until = time::OffsetDateTime::now_utc() + time::Duration::days(30);
    let until = until.format(&time::format_description::well_known::Rfc3339).unwrap();
    let terms = json!({ "holder": holder, "kind": "carer", "basis": "Gesprek", "until": until });
    let given = client
        .request("POST", "/gent/.consent/mandates/")
        .content("application/json", terms.to_string())
        .send()
        .await;
    assert_eq!(given.status, StatusCode::CREATED, "{}", given.text());
    let iri = given.json()["id"].as_str().unwrap().to_owned();
    iri.rsplit('/').next().unwrap().to_owned()
}

async fn status(client: &Client, id: &str) -> String {
    let reply = client
        .request("GET", &format!("/gent/.consent/{id}"))
        .header("accept", "application/json")
        .send()
        .await;
    let json = reply.json();
    let status = json["status"].as_str().or(json["record"]["status"].as_str());
    status.unwrap_or_else(|| panic!("{json}")).to_owned()
}

/// A server with things that can be revoked, and a backup of it.
struct Backed {
    folder: PodFolder,
    client: Client,
    owner: String,
    ids: [String; 2],
    mandates: [String; 2],
    credential: String,
}

async fn backed_up() -> Backed {
    let folder = PodFolder::new("");
    let said = folder.succeed(&["account", "create", "gent", "--client-credentials"]);
    let credential = said.lines().find_map(|line| line.strip_prefix("client ")).unwrap();
    let credential = credential.split(':').next().unwrap().to_owned();
    folder.succeed(&["account", "create", "gone"]);
    {
        let app = app(&folder);
        put_agreement(&app, agreement(1, AgreementState::Active));
        put_agreement(&app, agreement(2, AgreementState::Active));
    }
    let agent = folder.agent("gent");
    let client = agent.client();
    let server = folder.serve();
    for name in ["narrowed", "deleted", "untouched"] {
        make_public(&client, &agent.web_id, name, "old").await;
    }
    let ids = [
        consent(&client, "https://a.example/#us").await,
        consent(&client, "https://b.example/#us").await,
    ];
    let mandates = [
        mandate(&client, "https://a.example/#me").await,
        mandate(&client, "https://b.example/#me").await,
    ];
    let said = folder.succeed(&["backup", "--into", text(&folder.path("backups"))]);
    assert!(said.contains("at commit"), "{said}");
    assert!(server.stop().success());
    Backed {
        owner: agent.web_id.clone(),
        folder,
        client,
        ids,
        mandates,
        credential,
    }
}

impl Backed {
    /// Everything that can be revoked is, after the backup.
    async fn revoke(&self) {
        let server = self.folder.serve();
        let withdrawn = self
            .client
            .request("POST", &format!("/gent/.consent/{}/withdraw", self.ids[0]))
            .send()
            .await;
        assert_eq!(withdrawn.status, StatusCode::OK, "{}", withdrawn.text());
        let mandate = format!("/gent/.consent/mandates/{}", self.mandates[0]);
        assert_eq!(self.client.delete(&mandate).await.status, StatusCode::NO_CONTENT);
        let private = PUBLIC.replace("foaf:Agent", "acl:AuthenticatedAgent");
        let private = private.replace("{it}", "./narrowed").replace("{owner}", &self.owner);
        assert!(
            self.client
                .put("/gent/narrowed.acl", "text/turtle", private)
                .await
                .status
                .is_success()
        );
        assert!(self.client.delete("/gent/deleted").await.status.is_success());
        make_public(&self.client, &self.owner, "later", "never in the backup").await;
        // The process is killed: what was acknowledged is in the journal all the same.
        server.kill();
        let app = app(&self.folder);
        put_agreement(&app, agreement(1, AgreementState::Terminated));
        let credential = self.credential.clone();
        change(&app, move |transaction| {
            assert!(
                transaction
                    .record_delete(RecordKind::ClientCredential, &credential)
                    .unwrap()
            );
            let root = ResourceName::parse("/gone/").unwrap();
            let mut names: Vec<_> = transaction.descendants(&root, None, 1_000).unwrap();
            names.reverse();
            for resource in names {
                transaction.remove(&resource.name).unwrap();
            }
            transaction.remove(&root).unwrap();
            let id = transaction.record(RecordKind::Login, "gone").unwrap().unwrap();
            let id: String = serde_json::from_slice(&id).unwrap();
            assert!(transaction.record_delete(RecordKind::Account, &id).unwrap());
            // Three uses, each counted once.
            for used in [0, 1, 2] {
                assert!(uses::take(transaction, "urn:x:agreement-2", used, 1_800_000_000).unwrap());
                assert!(!uses::take(transaction, "urn:x:agreement-2", used, 1_800_000_000).unwrap());
            }
            assert!(!uses::take(transaction, "urn:x:agreement-9", 0, 1_800_000_000).unwrap());
        });
    }

    fn uses(&self) -> u64 {
        let app = app(&self.folder);
        let permit = pod_server::store::ReadPermit::without_proof("a test");
        uses::until_now(&*app.store.snapshot(permit).unwrap(), "urn:x:agreement-2").unwrap()
    }

    async fn public(&self, name: &str) -> StatusCode {
        self.folder.client().get(&format!("/gent/{name}")).await.status
    }

    fn agreement_states(&self) -> [AgreementState; 2] {
        let app = app(&self.folder);
        let view = app
            .store
            .snapshot(pod_server::store::ReadPermit::without_proof("a test"))
            .unwrap();
        [1, 2].map(|number| {
            agreement::load(&*view, &format!("urn:x:agreement-{number}"))
                .unwrap()
                .unwrap()
                .state
        })
    }
}

/// Reliability T115, P13; requirements dataspace CON-9, CON-15: with the journal, exactly what was revoked ends.
///
/// Requirements ENF-15.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_revoked_stays_revoked() {
    let backed = backed_up().await;
    let folder = &backed.folder;
    backed.revoke().await;
    let lost = lose_store(folder);
    let journal = lost.join("revocations.journal");
    let said = folder.succeed(&["restore", text(&folder.path("backups")), "--journal", text(&journal)]);
    for expected in [
        format!("consent ended: gent/{}", backed.ids[0]),
        format!("mandate ended: gent/{}", backed.mandates[0]),
        "agreement ended: urn:x:agreement-1".to_owned(),
        format!("credentials deleted: {}", backed.credential),
        "for its owner alone: /gent/narrowed".to_owned(),
        "for its owner alone: /gent/deleted".to_owned(),
        "storage deleted: /gone/".to_owned(),
    ] {
        assert!(said.contains(&expected), "{expected}: {said}");
    }
    for unexpected in [&backed.ids[1], &backed.mandates[1], "untouched", "agreement-2"] {
        assert!(!said.contains(unexpected), "{unexpected}: {said}");
    }
    assert_eq!(
        backed.agreement_states(),
        [AgreementState::Terminated, AgreementState::Active]
    );
    assert_eq!(backed.uses(), 3, "what was used stays used");
    let server = folder.serve();
    assert_eq!(status(&backed.client, &backed.ids[0]).await, "ConsentWithdrawn");
    assert_eq!(status(&backed.client, &backed.ids[1]).await, "ConsentGiven");
    let mandates = backed.client.get("/gent/.consent/mandates/").await.text();
    assert!(
        mandates.contains(&backed.mandates[1]) && !mandates.contains(&backed.mandates[0]),
        "{mandates}"
    );
    for (name, expected) in [
        ("untouched", StatusCode::OK),
        ("narrowed", StatusCode::UNAUTHORIZED),
        ("deleted", StatusCode::UNAUTHORIZED),
        ("later", StatusCode::UNAUTHORIZED),
    ] {
        assert_eq!(backed.public(name).await, expected, "{name}");
    }
    assert_eq!(backed.client.get("/gent/deleted").await.text(), "old");
    assert_eq!(backed.client.get("/gent/later").await.status, StatusCode::NOT_FOUND);
    assert!(server.stop().success());
    folder.succeed(&["log", "verify"]);
    // Nobody gets the name, and with it the WebID, of who has left.
    let said = folder.refused(&["account", "create", "gone"]);
    assert!(said.contains("taken"), "{said}");
    // A backup of the restored server and its own journal work together again.
    folder.succeed(&["backup", "--into", text(&folder.path("backups"))]);
    let journal = lose_store(folder).join("revocations.journal");
    let said = folder.succeed(&[
        "restore",
        text(&newest(&folder.path("backups"))),
        "--journal",
        text(&journal),
    ]);
    assert!(!said.contains("consent ended"), "{said}");
}

/// Reliability T115: without a journal, nothing that could have been revoked counts.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_journal_nothing_in_doubt_counts() {
    let backed = backed_up().await;
    let folder = &backed.folder;
    backed.revoke().await;
    lose_store(folder);
    let backups = folder.path("backups");
    folder.succeed(&["restore", text(&backups), "--without-journal"]);
    assert_eq!(backed.agreement_states(), [AgreementState::Terminated; 2]);
    let server = folder.serve();
    for id in &backed.ids {
        assert_eq!(status(&backed.client, id).await, "ConsentExpired");
    }
    for name in ["untouched", "narrowed", "deleted"] {
        assert_eq!(backed.public(name).await, StatusCode::UNAUTHORIZED, "{name}");
        assert_eq!(backed.client.get(&format!("/gent/{name}")).await.text(), "old");
    }
    assert_eq!(backed.public("profile/card").await, StatusCode::OK);
    assert!(server.stop().success());

    lose_store(folder);
    folder.succeed(&["restore", text(&backups), "--without-journal", "--keep-access-rules"]);
    let server = folder.serve();
    assert_eq!(backed.public("untouched").await, StatusCode::OK);
    assert_eq!(status(&backed.client, &backed.ids[1]).await, "ConsentExpired");
    assert!(server.stop().success());
}

/// A store that was put back by hand does not start beside its newer journal; a journal with a gap or a change in it is
/// refused; a checkpoint from outside tells what the log has lost (T109).
#[tokio::test(flavor = "multi_thread")]
async fn nothing_gets_around_the_journal() {
    let backed = backed_up().await;
    let folder = &backed.folder;
    let copy = folder.path("by-hand");
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .arg(folder.store())
        .arg(&copy)
        .status()
        .unwrap();
    assert!(copied.success());
    backed.revoke().await;
    let server = folder.serve();
    let checkpoint = folder.client().get("/log/checkpoint").await;
    assert_eq!(checkpoint.status, StatusCode::OK);
    std::fs::write(folder.path("checkpoint"), &checkpoint.body).unwrap();
    assert!(server.stop().success());
    let lost = lose_store(folder);
    let journal = lost.join("revocations.journal");

    std::fs::rename(&copy, folder.store()).unwrap();
    std::fs::copy(&journal, folder.store().join("revocations.journal")).unwrap();
    let said = folder.refused(&["serve"]);
    assert!(said.contains("pod-server restore"), "{said}");
    std::fs::remove_dir_all(folder.store()).unwrap();

    let backups = folder.path("backups");
    let whole = std::fs::read_to_string(&journal).unwrap();
    let changed = folder.path("changed.journal");
    let lines: Vec<&str> = whole.lines().collect();
    let without_a_line = [&lines[..1], &lines[2..]].concat().join("\n") + "\n";
    for (what, text_of, reason) in [
        ("a line less", without_a_line, "damaged"),
        ("a change", whole.replacen("gone", "gent", 1), "damaged"),
        ("nothing", String::new(), "not the journal"),
    ] {
        std::fs::write(&changed, text_of).unwrap();
        let said = folder.refused(&["restore", text(&backups), "--journal", text(&changed)]);
        assert!(said.contains(reason), "{what}: {said}");
    }
    // A torn end is what a power cut leaves; nobody was told of that line.
    std::fs::write(&changed, format!("{whole}0123 {{\"commit\":")).unwrap();
    let said = folder.succeed(&[
        "restore",
        text(&backups),
        "--journal",
        text(&changed),
        "--checkpoint",
        text(&folder.path("checkpoint")),
    ]);
    assert!(said.contains("are lost"), "{said}");

    // A journal that was begun anew does not reach back to old backups.
    folder.succeed(&["storage", "list"]);
    let journal = lose_store(folder).join("revocations.journal");
    let said = folder.refused(&["restore", text(&backups), "--journal", text(&journal)]);
    assert!(said.contains("begins after commit"), "{said}");
}
