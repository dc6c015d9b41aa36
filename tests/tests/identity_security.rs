//! How an account is entered, over sockets: recovery codes, open sessions, and what passkeys refuse (T40, T44, T45).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::convert::Infallible;

use http::StatusCode;
use meent_tests::console::{Answer, Console, Resident, Visitor, quick, quick_settings};
use meent_tests::pod::PodServer;
use pod_server::identity::account;
use pod_server::store::{ReadPermit, RecordKind, Transaction, Warrant, commit};

const PASSWORD: &str = "fietsen langs de leie";
const NEW_PASSWORD: &str = "wandelen langs de schelde";
const PERMIT: ReadPermit = ReadPermit::without_proof("the test looks at what was stored");

async fn gent() -> (Console, Visitor) {
    let console = Console::start(quick()).await.unwrap();
    console.account("gent", PASSWORD).await.unwrap();
    let mut visitor = Visitor::new(&console);
    visitor.headers.push(("accept-language", "en".to_owned()));
    visitor.log_in("gent", PASSWORD).await.unwrap();
    visitor.open("/account/security").await.unwrap();
    (console, visitor)
}

fn codes(page: &Answer) -> Vec<String> {
    let parts = page.body.split("<li><code>").skip(1);
    parts.map(|part| part.split('<').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_recovery_code_counts_once_and_ends_everything_else() {
    let (console, mut gent) = gent().await;
    let page = gent.submit("/account/security/recovery", &[]).await.unwrap();
    assert_eq!(page.status, StatusCode::CREATED, "{}", page.body);
    let codes = codes(&page);
    assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), 10, "{}", page.body);
    for (_, bytes) in console
        .store
        .snapshot(PERMIT)
        .unwrap()
        .records(RecordKind::Issuer, "", None, 100)
        .unwrap()
    {
        let stored = String::from_utf8_lossy(&bytes).into_owned();
        assert!(
            codes.iter().all(|code| !stored.contains(code.as_str())),
            "a code is stored as it is"
        );
    }
    let page = gent.open("/account/security").await.unwrap();
    assert!(
        page.body.contains("10 recovery codes left") && !page.body.contains(&codes[0]),
        "{}",
        page.body
    );

    let mut lost = Visitor::new(&console);
    lost.open("/recover").await.unwrap();
    let wrong = "0000-0000-0000-0000".to_owned();
    for (name, code, password, status) in [
        ("gent", &wrong, NEW_PASSWORD, 403),
        ("nobody", &codes[0], NEW_PASSWORD, 403),
        ("gent", &codes[0], "kort", 422),
    ] {
        let form = [("name", name), ("code", code.as_str()), ("password", password)];
        let answer = lost.submit("/recover", &form).await.unwrap();
        assert_eq!(answer.status, status, "{name} {code}: {}", answer.body);
        assert!(!lost.cookies.contains_key("__Host-session"));
    }
    let written = codes[0].replace('-', " ").to_lowercase();
    let form = [("name", "gent"), ("code", written.as_str()), ("password", NEW_PASSWORD)];
    let answer = lost.submit("/recover", &form).await.unwrap();
    assert_eq!(answer.location(), "/account/security?done=recovered", "{}", answer.body);
    assert_eq!(lost.open("/account").await.unwrap().status, StatusCode::OK);
    assert_eq!(
        gent.open("/account").await.unwrap().location(),
        "/login",
        "an older session goes on"
    );
    let mut again = Visitor::new(&console);
    again.open("/recover").await.unwrap();
    assert_eq!(
        again.submit("/recover", &form).await.unwrap().status,
        StatusCode::FORBIDDEN,
        "a code counted twice"
    );
    assert_eq!(
        again.log_in("gent", PASSWORD).await.unwrap().status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        again.log_in("gent", NEW_PASSWORD).await.unwrap().status,
        StatusCode::SEE_OTHER
    );

    // New codes take the place of the old ones.
    again.open("/account/security").await.unwrap();
    again.submit("/account/security/recovery", &[]).await.unwrap();
    let mut late = Visitor::new(&console);
    late.open("/recover").await.unwrap();
    let form = [("name", "gent"), ("code", codes[1].as_str()), ("password", PASSWORD)];
    assert_eq!(
        late.submit("/recover", &form).await.unwrap().status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn guessing_codes_is_slowed_down() {
    let (console, _) = gent().await;
    let mut guesser = Visitor::new(&console);
    guesser.open("/recover").await.unwrap();
    let mut statuses = BTreeSet::new();
    for guess in 0..12 {
        let code = format!("0000-0000-0000-{guess:04}");
        let form = [("name", "gent"), ("code", code.as_str()), ("password", NEW_PASSWORD)];
        statuses.insert(guesser.submit("/recover", &form).await.unwrap().status.as_u16());
    }
    assert_eq!(statuses, BTreeSet::from([403, 429]));
}

/// T44: as many guesses at one time as in a row.
#[tokio::test(flavor = "multi_thread")]
async fn guesses_sent_at_one_time_wait_as_well() {
    let (console, _) = gent().await;
    let mut guesser = Visitor::new(&console);
    guesser.open("/login").await.unwrap();
    let guesses = (0..40).map(|guess| {
        let mut guesser = guesser.clone();
        async move {
            let password = format!("een gok, de {guess}e");
            let form = [("name", "gent"), ("password", password.as_str())];
            guesser.submit("/login", &form).await.unwrap().status.as_u16()
        }
    });
    let statuses = futures_util::future::join_all(guesses).await;
    let tried = statuses.iter().filter(|status| **status == 403).count();
    assert!(tried <= 6, "{tried} guesses were looked at");
    assert!(
        statuses.iter().all(|status| matches!(status, 403 | 429)),
        "{statuses:?}"
    );
}

/// T44: an account that logs in with its address too has as many guesses as any other.
#[tokio::test]
async fn guesses_at_a_name_and_an_address_are_counted_together() {
    let (console, _) = gent().await;
    let mut account = account::by_name(console.store.as_ref(), "gent").unwrap().unwrap();
    account.email = Some("gent@stad.example".to_owned());
    let kept = (
        account.id.clone(),
        serde_json::to_vec(&account).unwrap(),
        serde_json::to_vec(&account.id).unwrap(),
    );
    let work = move |transaction: &mut dyn Transaction| {
        transaction.record_put(RecordKind::Account, &kept.0, &kept.1)?;
        transaction.record_put(RecordKind::Login, "gent@stad.example", &kept.2)?;
        Ok(())
    };
    let warrant = Warrant::without_proof("the test gives an account an address");
    let given = commit::<(), Infallible>(console.store.as_ref(), warrant, Box::new(work)).await;
    assert!(given.is_ok());
    let mut guesser = Visitor::new(&console);
    let mut tried = 0;
    for guess in 0..24 {
        let name = ["gent", "gent@stad.example"][guess % 2];
        let answer = guesser.log_in(name, "een gok").await.unwrap();
        tried += usize::from(answer.status == StatusCode::FORBIDDEN);
    }
    assert!(tried <= 7, "{tried} guesses were looked at");
    let elsewhere = Visitor::new(&console).from("127.7.0.1".parse().unwrap());
    for name in ["gent", "Gent@stad.example"] {
        let answer = elsewhere.clone().log_in(name, PASSWORD).await.unwrap();
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{name}: {}", answer.body);
    }
}

/// T44: behind a proxy that the configuration trusts, everybody waits for the own failures only.
#[tokio::test(flavor = "multi_thread")]
async fn visitors_behind_a_trusted_proxy_are_told_apart() {
    let mut settings = quick_settings();
    settings["connections"] = serde_json::json!({ "trusted_proxies": ["127.0.0.0/8"] });
    let server = PodServer::start_with(settings).await;
    let gent = Resident::arrive(&server, "gent").await.unwrap();
    let behind = |address: &str| {
        let mut visitor = gent.visitor.clone();
        visitor.cookies.clear();
        visitor
            .headers
            .push(("x-forwarded-for", format!("192.0.2.77, {address}")));
        visitor
    };
    let mut guesser = behind("203.0.113.9");
    let mut statuses = BTreeSet::new();
    for _ in 0..12 {
        statuses.insert(guesser.log_in("gent", "een gok").await.unwrap().status.as_u16());
    }
    assert_eq!(statuses, BTreeSet::from([403, 429]));
    let answer = behind("198.51.100.1").log_in("gent", Resident::PASSWORD).await.unwrap();
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    server.stop().await;
}

/// A page for an address that is none leads nowhere else.
#[tokio::test]
async fn no_page_links_to_a_host_in_its_own_path() {
    let (_console, mut gent) = gent().await;
    let page = gent.open("//evil.example/").await.unwrap();
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(!page.body.contains("\"//"), "{}", page.body);
}

/// T44: a link for a password is looked at first, so that without one nobody learns which accounts there are.
#[tokio::test]
async fn without_a_link_all_accounts_look_alike() {
    let (console, _) = gent().await;
    let mut stranger = Visitor::new(&console);
    let mut told = BTreeSet::new();
    for (name, password) in [("gent", "kort"), ("gent", NEW_PASSWORD), ("niemand", "kort")] {
        stranger.open("/setup").await.unwrap();
        let form = [("account", name), ("secret", "guessed"), ("password", password)];
        let answer = stranger.submit("/setup", &form).await.unwrap();
        let token = answer.hidden("form_token");
        told.insert((answer.status, answer.body.replace(name, "*").replace(&token, "*")));
    }
    assert_eq!(told.len(), 1, "{told:?}");
}

#[tokio::test]
async fn sessions_are_seen_and_ended() {
    let (console, mut here) = gent().await;
    let mut there = Visitor::new(&console);
    there.headers.push((
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0".to_owned(),
    ));
    there.log_in("gent", PASSWORD).await.unwrap();
    console.account("brugge", PASSWORD).await.unwrap();
    let mut other = Visitor::new(&console);
    other.log_in("brugge", PASSWORD).await.unwrap();

    let page = here.open("/account/security").await.unwrap();
    assert!(
        page.body.contains("Firefox, Linux") && page.body.contains("this device"),
        "{}",
        page.body
    );
    let key = page.hidden("key");
    other.open("/account/security").await.unwrap();
    other
        .submit("/account/security/sessions/end", &[("key", &key)])
        .await
        .unwrap();
    assert_eq!(
        there.open("/account").await.unwrap().status,
        StatusCode::OK,
        "a stranger ended a session"
    );
    let answer = here
        .submit("/account/security/sessions/end", &[("key", &key)])
        .await
        .unwrap();
    assert_eq!(answer.location(), "/account/security?done=session-ended");
    assert_eq!(there.open("/account").await.unwrap().location(), "/login");

    for visitor in [&mut there, &mut here] {
        visitor.log_in("gent", PASSWORD).await.unwrap();
    }
    here.open("/account/security").await.unwrap();
    here.submit("/account/security/sessions/end-others", &[]).await.unwrap();
    assert_eq!(here.open("/account").await.unwrap().status, StatusCode::OK);
    assert_eq!(there.open("/account").await.unwrap().location(), "/login");
    assert_eq!(other.open("/account").await.unwrap().status, StatusCode::OK);
}

/// Whoever finds an open session cannot make a way in that stays.
#[tokio::test]
async fn an_old_session_changes_no_way_in() {
    let (console, mut gent) = gent().await;
    console.clock.advance(16 * 60);
    let page = gent.open("/account/security").await.unwrap();
    assert!(
        page.body.contains("log in again first") && !page.body.contains("Make recovery codes"),
        "{}",
        page.body
    );
    let begun = gent.submit("/account/security/passkeys/begin", &[]).await.unwrap();
    assert_eq!(begun.status, StatusCode::FORBIDDEN);
    for path in [
        "/account/security/recovery",
        "/account/security/passkeys",
        "/account/security/passkeys/remove",
    ] {
        let answer = gent.submit(path, &[("id", "x")]).await.unwrap();
        assert!(
            answer.location().starts_with("/login?again=1"),
            "{path}: {}",
            answer.body
        );
    }
    gent.open("/account").await.unwrap();
    let answer = gent
        .submit("/account/credentials", &[("label", "a program")])
        .await
        .unwrap();
    assert!(answer.location().starts_with("/login?again=1"), "{}", answer.body);
    let page = gent.open("/login?again=1&return_to=/account/security").await.unwrap();
    assert_eq!(page.status, StatusCode::OK);
    let form = [
        ("name", "gent"),
        ("password", PASSWORD),
        ("return_to", "/account/security"),
    ];
    assert_eq!(
        gent.submit("/login", &form).await.unwrap().location(),
        "/account/security"
    );
    gent.open("/account/security").await.unwrap();
    assert_eq!(
        gent.submit("/account/security/recovery", &[]).await.unwrap().status,
        StatusCode::CREATED
    );
}

/// Answers that prove nothing log nobody in, and a ticket counts for its own account, once and for a while.
#[tokio::test]
async fn ceremonies_are_checked() {
    let (console, mut gent) = gent().await;
    let begun = gent
        .submit("/account/security/passkeys/begin", &[])
        .await
        .unwrap()
        .json()
        .unwrap();
    let options = &begun["options"];
    assert_eq!(options["rp"]["id"], "localhost");
    assert_eq!(options["authenticatorSelection"]["residentKey"], "required");
    assert_eq!(options["authenticatorSelection"]["userVerification"], "required");
    let mut stranger = Visitor::new(&console);
    let page = stranger.open("/login").await.unwrap();
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains(&format!("script-src {}.ui/passkey.js;", console.url)),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(
        stranger.open("/.ui/passkey.js").await.unwrap().header("content-type"),
        "text/javascript; charset=utf-8"
    );
    let ticket = stranger
        .submit("/login/passkey/begin", &[])
        .await
        .unwrap()
        .json()
        .unwrap()["ticket"]
        .as_str()
        .unwrap()
        .to_owned();
    let made_up = r#"{"id":"AAAA","rawId":"AAAA","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"AAAA","signature":"AAAA","userHandle":"AAAAAAAAAAAAAAAAAAAAAA"},"extensions":{}}"#;
    let long = "x".repeat(40_000);
    for (ticket, credential) in [
        (ticket.as_str(), made_up),
        (ticket.as_str(), made_up),
        ("", made_up),
        ("guessed", ""),
        (begun["ticket"].as_str().unwrap(), made_up),
        (ticket.as_str(), long.as_str()),
    ] {
        stranger.open("/login").await.unwrap();
        let form = [("ticket", ticket), ("credential", credential)];
        let answer = stranger.submit("/login/passkey", &form).await.unwrap();
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.body);
        assert!(!stranger.cookies.contains_key("__Host-session"));
    }
    let foreign = stranger
        .submit("/login/passkey/begin", &[("form_token", "x")])
        .await
        .unwrap();
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    let ticket = begun["ticket"].as_str().unwrap();
    let form = [("ticket", ticket), ("credential", "{}"), ("label", "x")];
    let answer = gent.submit("/account/security/passkeys", &form).await.unwrap();
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
}

/// The operator's link lets the holder choose a new password; until then the old one counts.
#[tokio::test]
async fn the_operator_opens_a_way_back() {
    let (console, mut gent) = gent().await;
    let url = account::setup_link(console.store.as_ref(), console.identity.account_tools(), "gent")
        .await
        .unwrap();
    assert_eq!(gent.open("/account").await.unwrap().status, StatusCode::OK);
    let query = url.split_once('?').unwrap().1.to_owned();
    let mut holder = Visitor::new(&console);
    let page = holder.open(&format!("/setup?{query}")).await.unwrap();
    let secret = page.hidden("secret");
    let form = [
        ("account", "gent"),
        ("secret", secret.as_str()),
        ("password", NEW_PASSWORD),
    ];
    assert_eq!(
        holder.submit("/setup", &form).await.unwrap().status,
        StatusCode::SEE_OTHER
    );
    assert_eq!(holder.submit("/setup", &form).await.unwrap().status, StatusCode::GONE);
    assert_eq!(
        gent.open("/account").await.unwrap().location(),
        "/login",
        "the old session goes on"
    );
    assert_eq!(
        holder.log_in("gent", NEW_PASSWORD).await.unwrap().status,
        StatusCode::SEE_OTHER
    );
    let unknown = account::setup_link(console.store.as_ref(), console.identity.account_tools(), "nobody").await;
    assert!(unknown.is_err());
}
