//! Broker and pod servers as containers of images made from the present build, on one network: two questions, a
//! withdrawal, and a member that is killed in the middle of a query (Done when 4 of the first network).

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use meent_tests::containers::{Fleet, engine_answers, make_images};
use meent_tests::scenario::company::Company;
use meent_tests::scenario::datasets::PURPOSE;
use meent_tests::scenario::expected::{CITIZENS_MIN, Expected};
use meent_tests::scenario::input::Input;
use meent_tests::scenario::queries::QUESTIONS;
use meent_tests::scenario::setting_up;

/// The members: one with sensors of its own, one that hosts citizens, the register, and the company with its own server.
const MEMBERS: [&str; 4] = ["gent", "kortrijk", "abb", "mobiliteit"];

/// Generated citizens of Kortrijk.
const CITIZENS: usize = 40;

fn question(name: &str) -> &'static str {
    QUESTIONS.iter().find(|question| question.name == name).unwrap().text
}

/// Where cargo puts the servers: beside the folder of this test's own binary.
fn binaries() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let folder = own.parent().and_then(std::path::Path::parent).unwrap().to_path_buf();
    assert!(
        folder.join("broker").exists(),
        "build the servers first: cargo build --release --workspace --bins"
    );
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_of_containers_answers_forgets_and_names_what_is_missing() {
    if !engine_answers() {
        assert!(
            std::env::var("MEENT_WITHOUT_CONTAINERS").is_ok_and(|value| value == "1"),
            "no container engine answers: start one with `export DOCKER_HOST=$(deploy/engine start)`, or set \
             MEENT_WITHOUT_CONTAINERS=1 to do without this test"
        );
        println!("SKIPPED: no container engine answers; broker and pod servers were NOT tried as containers");
        return;
    }
    make_images(&binaries()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut input = Input::prepare(None, CITIZENS, &folder.path().join("input")).unwrap();
    input.feeds.retain(|feed| MEMBERS.contains(&feed.member));
    let fleet = Fleet::start(folder.path(), &MEMBERS, &input).await.unwrap();
    let network = &fleet.network;

    setting_up::open_registers(network).await.unwrap();
    let datasets = setting_up::describe_datasets(network).await.unwrap();
    let sharing = setting_up::ask_citizens(network, &input.citizens).await.unwrap();
    let mut company = Company::new(network, network.party("mobiliteit").unwrap().clone())
        .await
        .unwrap();
    company.wait_for_catalog(network, datasets).await.unwrap();
    for (member, dataset) in [("gent", "fietstellingen"), ("kortrijk", "telraam")] {
        let base_url = network.pod(member).unwrap().base_url.clone();
        company.ask(&base_url, member, dataset, PURPOSE).await.unwrap();
    }
    let expected = Expected::read(&input, &sharing, CITIZENS_MIN);
    for name in ["Q1", "Q2"] {
        let answer = company.query(question(name), PURPOSE).await.unwrap();
        assert!(!answer.rows.is_empty(), "{name} has rows");
        assert_eq!(answer.rows, expected.rows(name), "{name}");
        assert!(answer.complete, "{name}: {:?}", answer.reply.headers);
    }

    let sharing = withdraw(&fleet, &company, &input, sharing, &expected).await;
    kill_in_the_middle(&fleet, &company, &Expected::read(&input, &sharing, CITIZENS_MIN)).await;
}

/// The next answer after a withdrawal is the one without that citizen.
async fn withdraw(
    fleet: &Fleet,
    company: &Company,
    input: &Input,
    mut sharing: BTreeSet<String>,
    before: &Expected,
) -> BTreeSet<String> {
    let citizen = sharing.first().unwrap().clone();
    setting_up::say(&fleet.network, &citizen, "withdraw").await.unwrap();
    assert!(sharing.remove(&citizen));
    let after = Expected::read(input, &sharing, CITIZENS_MIN);
    assert_ne!(before.rows("Q2"), after.rows("Q2"), "this citizen counts");
    let answer = company.query(question("Q2"), PURPOSE).await.unwrap();
    assert_eq!(answer.rows, after.rows("Q2"), "after the withdrawal of {citizen}");
    sharing
}

/// Gent is frozen, so that the query is under way there when it is killed.
async fn kill_in_the_middle(fleet: &Fleet, company: &Company, expected: &Expected) {
    fleet.freeze("gent").await.unwrap();
    let (answer, killed) = tokio::join!(company.query(question("Q1"), PURPOSE), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        fleet.kill("gent")
    });
    killed.unwrap();
    let answer = answer.unwrap();
    assert!(
        !answer.complete,
        "an answer without Gent is not complete: {:?}",
        answer.reply.headers
    );
    let gent = "http://vocab.belgif.be/auth/refnis2025/44021";
    let others: BTreeSet<Vec<String>> = expected.rows("Q1").into_iter().filter(|row| row[0] != gent).collect();
    assert!(!others.is_empty(), "Kortrijk has rows");
    assert_eq!(answer.rows, others, "what the others have is still there");

    let id = answer.reply.header("meent-query").to_owned();
    let url = format!("{}queries/{id}", fleet.network.broker_url);
    let manifest = company
        .party
        .send(http::Method::GET, &url, &[], Vec::new())
        .await
        .unwrap()
        .success("reading what became of the query")
        .unwrap()
        .json();
    assert_eq!(manifest["complete"], false, "{manifest}");
    let sources = manifest["sources"].as_array().unwrap();
    let status = |member: &str| {
        sources
            .iter()
            .find(|source| source["member"] == member)
            .unwrap_or_else(|| panic!("{member} is not named in {manifest}"))
    };
    assert_eq!(status("gent")["status"], "failed", "{manifest}");
    assert!(
        !status("gent")["reasons"].as_array().unwrap().is_empty(),
        "a failure has a reason: {manifest}"
    );
    assert_eq!(status("kortrijk")["status"], "answered", "{manifest}");
}
