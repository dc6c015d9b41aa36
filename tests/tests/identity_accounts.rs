//! Accounts and their pages over real sockets: login, sessions, forms, guessing, passwords (T40, T43-T45, T103, T121).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use http::StatusCode;
use meent_tests::console::{Application, Console, Tokens, Visitor, pkce, quick};
use pod_server::identity::{
    AccountError, AccountKind, FirstLogin, NewAccount, account, create_account, create_accounts,
};
use pod_server::name::ResourceName;
use pod_server::store::{Body, ReadPermit, RecordKind};
use server_kit::clock::Clock;

const PASSWORD: &str = "fietsen langs de leie";
const PERMIT: ReadPermit = ReadPermit::without_proof("the test looks at what was stored");

fn text(console: &Console, path: &str) -> String {
    let snapshot = console.store.snapshot(PERMIT).unwrap();
    let resource = snapshot.resource(&ResourceName::parse(path).unwrap()).unwrap();
    let resource = resource.unwrap_or_else(|| panic!("{path} is missing"));
    match snapshot.body(&resource).unwrap() {
        Body::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        Body::File { .. } => panic!("{path} is a large body"),
    }
}

/// solid#115
#[tokio::test]
async fn an_account_has_a_storage_a_profile_and_an_inbox() {
    let console = Console::start(quick()).await.unwrap();
    let created = console.account("gent", PASSWORD).await.unwrap().account;
    assert_eq!(created.webid, "https://pod.example/gent/profile/card#me");
    assert!(text(&console, "/gent/profile/card").contains(&format!("solid:oidcIssuer <{}>", console.url)));
    assert!(text(&console, "/gent/profile/card.acl").contains("acl:agentClass foaf:Agent"));
    assert!(
        !text(&console, "/gent/.acl").contains("foaf:Agent;"),
        "the root is public"
    );
    assert!(text(&console, "/gent/inbox/.acl").contains("acl:mode acl:Append"));
    assert!(text(&console, "/gent/settings/preferences").contains("privateTypeIndex"));
    let snapshot = console.store.snapshot(PERMIT).unwrap();
    let root = ResourceName::parse("/gent/").unwrap();
    assert_eq!(snapshot.storage(&root).unwrap().unwrap().owner, created.webid);
    assert!(
        snapshot
            .resource(&ResourceName::parse("/gent/inbox/").unwrap())
            .unwrap()
            .is_some()
    );
    drop(snapshot);
    assert!(!created.id.contains("gent"), "the account id tells who it is");

    for (name, label, password) in [
        ("gent", "G", PASSWORD),
        ("Gent", "G", PASSWORD),
        ("sparql", "G", PASSWORD),
        ("x", " ", PASSWORD),
        ("x", "X", "kort"),
    ] {
        let new = NewAccount {
            name: name.to_owned(),
            label: label.to_owned(),
            kind: AccountKind::Person,
            first_login: FirstLogin::Password(password.to_owned()),
        };
        let refused = create_account(console.store.as_ref(), console.identity.account_tools(), new).await;
        assert!(refused.is_err(), "{name} {label} {password}");
    }
    let root = account::add_storage(
        console.store.as_ref(),
        console.identity.site(),
        &created.id,
        "gent-archief",
    )
    .await;
    assert_eq!(root.unwrap(), "/gent-archief/");
    assert!(text(&console, "/gent-archief/.acl").contains(&created.webid));
}

/// T45: fresh token at login, cookie attributes, nothing readable in the store, and it ends at logout.
#[tokio::test]
async fn a_session_begins_at_login_and_ends_at_logout() {
    let console = Console::start(quick()).await.unwrap();
    console.account("gent", PASSWORD).await.unwrap();
    let mut visitor = Visitor::new(&console);
    visitor.cookies.insert(
        "__Host-session".to_owned(),
        "chosen-by-an-attacker-chosen-by-an-attacker".to_owned(),
    );
    let answer = visitor.log_in("gent", PASSWORD).await.unwrap();
    let cookie = answer
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|c| c.to_str().unwrap())
        .find(|c| c.contains("session"));
    let cookie = cookie.unwrap();
    assert!(
        cookie.starts_with("__Host-session=") && !cookie.contains("attacker"),
        "{cookie}"
    );
    assert!(cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"), "{cookie}");
    let token = visitor.cookies["__Host-session"].clone();
    let keys = console
        .store
        .snapshot(PERMIT)
        .unwrap()
        .records(RecordKind::Session, "", None, 10)
        .unwrap();
    assert_eq!(keys.len(), 1);
    assert!(
        !keys[0].0.contains(&token) && !String::from_utf8_lossy(&keys[0].1).contains(&token),
        "the token is stored"
    );

    let page = visitor.open("/account").await.unwrap();
    assert!(
        page.status == StatusCode::OK && page.body.contains("gent &amp; co"),
        "{}",
        page.body
    );
    for (header, value) in [
        ("cache-control", "no-store"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(page.header(header), value);
    }
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert!(!policy.contains("script"), "{policy}");

    let old = visitor.clone();
    let answer = visitor.submit("/logout", &[]).await.unwrap();
    assert!(answer.header("clear-site-data").contains("cache"));
    let mut back = old;
    assert_eq!(
        back.open("/account").await.unwrap().location(),
        "/login",
        "the session outlived the logout"
    );
}

/// T45: a form counts only when it comes from a page that this visitor was shown.
#[tokio::test]
async fn foreign_forms_change_nothing() {
    let console = Console::start(quick()).await.unwrap();
    console.account("gent", PASSWORD).await.unwrap();
    console.account("brugge", PASSWORD).await.unwrap();
    let (mut gent, mut brugge) = (Visitor::new(&console), Visitor::new(&console));
    gent.log_in("gent", PASSWORD).await.unwrap();
    brugge.log_in("brugge", PASSWORD).await.unwrap();
    gent.open("/account").await.unwrap();
    brugge.open("/account").await.unwrap();
    let foreign = brugge.form_token.clone();
    for path in [
        "/account/credentials",
        "/account/password",
        "/account/storages",
        "/logout",
        "/account/applications/withdraw",
    ] {
        for token in ["", "x", foreign.as_str()] {
            let answer = gent
                .submit(path, &[("form_token", token), ("label", "x"), ("name", "x")])
                .await
                .unwrap();
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {token}");
        }
    }
    gent.open("/account").await.unwrap();
    for site in ["cross-site", "same-site"] {
        gent.headers = vec![("sec-fetch-site", site.to_owned())];
        let answer = gent.submit("/account/storages", &[("name", "x")]).await.unwrap();
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{site}");
    }
    gent.headers.clear();
    assert_eq!(
        gent.open("/account").await.unwrap().status,
        StatusCode::OK,
        "the session was ended by a foreign form"
    );
    assert_eq!(
        account::by_name(console.store.as_ref(), "gent")
            .unwrap()
            .unwrap()
            .storages
            .len(),
        1
    );
    // Login CSRF: without the visitor's own cookie no login happens.
    let mut stranger = Visitor::new(&console);
    let answer = stranger
        .submit(
            "/login",
            &[("name", "gent"), ("password", PASSWORD), ("form_token", &foreign)],
        )
        .await
        .unwrap();
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

/// T44: guessing from one network is slowed down; the holder logs in from another; unknown names answer the same.
#[tokio::test]
async fn guessing_is_slowed_down_and_nobody_is_locked_out() {
    let console = Console::start(quick()).await.unwrap();
    console.account("gent", PASSWORD).await.unwrap();
    let mut guesser = Visitor::new(&console).from(IpAddr::V4(Ipv4Addr::new(127, 0, 1, 1)));
    guesser.open("/login").await.unwrap();
    let mut statuses = Vec::new();
    for attempt in 0..40 {
        let guess = format!("guess number {attempt}");
        let answer = guesser
            .submit("/login", &[("name", "gent"), ("password", &guess)])
            .await
            .unwrap();
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            assert!(!answer.header("retry-after").is_empty());
        }
        statuses.push(answer.status);
    }
    assert!(
        statuses
            .iter()
            .filter(|status| **status == StatusCode::FORBIDDEN)
            .count()
            <= 8,
        "{statuses:?}"
    );
    assert_eq!(statuses.last(), Some(&StatusCode::TOO_MANY_REQUESTS));
    // Even the right password waits on that network, so that success cannot be told from failure by waiting.
    let answer = guesser
        .submit("/login", &[("name", "gent"), ("password", PASSWORD)])
        .await
        .unwrap();
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);

    let mut holder = Visitor::new(&console).from(IpAddr::V4(Ipv4Addr::new(127, 0, 2, 1)));
    assert_eq!(
        holder.log_in("gent", PASSWORD).await.unwrap().status,
        StatusCode::SEE_OTHER,
        "the holder is locked out"
    );

    let mut other = Visitor::new(&console).from(IpAddr::V4(Ipv4Addr::new(127, 0, 3, 1)));
    let known = other.log_in("gent", "wrong").await.unwrap();
    let unknown = other.log_in("nobody", "wrong").await.unwrap();
    let stripped = |answer: &meent_tests::console::Answer| answer.body.replace(&answer.hidden("form_token"), "");
    assert_eq!(
        (known.status, stripped(&known)),
        (unknown.status, stripped(&unknown)),
        "an unknown name answers differently"
    );
    console.clock.advance(3_700);
    let answer = guesser
        .submit("/login", &[("name", "gent"), ("password", PASSWORD)])
        .await
        .unwrap();
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "the wait never ends");
}

/// T40: a new password ends sessions and refresh tokens that were given out before.
#[tokio::test]
async fn a_new_password_ends_what_was_given_out() {
    let console = Console::start(quick()).await.unwrap();
    console.account("gent", PASSWORD).await.unwrap();
    let (mut here, mut there) = (Visitor::new(&console), Visitor::new(&console));
    here.log_in("gent", PASSWORD).await.unwrap();
    there.log_in("gent", PASSWORD).await.unwrap();
    let application = Application::register(&console, "none").await.unwrap();
    let (verifier, challenge) = pkce();
    let code = application.code(&mut there, &challenge).await.unwrap();
    let tokens = Tokens::read(&application.redeem(&console, &code, &verifier).await.unwrap()).unwrap();
    let (late_verifier, challenge) = pkce();
    let late = application.code(&mut there, &challenge).await.unwrap();

    here.open("/account").await.unwrap();
    let new = "een heel ander wachtwoord";
    let answer = here
        .submit("/account/password", &[("current", "wrong"), ("new", new)])
        .await
        .unwrap();
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let answer = here
        .submit("/account/password", &[("current", PASSWORD), ("new", "kort")])
        .await
        .unwrap();
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let answer = here
        .submit("/account/password", &[("current", PASSWORD), ("new", new)])
        .await
        .unwrap();
    assert_eq!(answer.location(), "/account?done=password-changed", "{}", answer.body);
    assert_eq!(
        here.open("/account").await.unwrap().status,
        StatusCode::OK,
        "the one who changed it was logged out"
    );
    assert_eq!(
        there.open("/account").await.unwrap().location(),
        "/login",
        "another session survived"
    );
    assert_eq!(
        application.refresh(&console, &tokens.refresh).await.unwrap().status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        application
            .redeem(&console, &late, &late_verifier)
            .await
            .unwrap()
            .status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        Visitor::new(&console).log_in("gent", PASSWORD).await.unwrap().status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn applications_and_keys_are_the_holders_to_take_back() {
    let console = Console::start(quick()).await.unwrap();
    console.account("gent", PASSWORD).await.unwrap();
    let mut visitor = Visitor::new(&console);
    visitor.log_in("gent", PASSWORD).await.unwrap();
    let application = Application::register(&console, "none").await.unwrap();
    let (verifier, challenge) = pkce();
    let code = application.code(&mut visitor, &challenge).await.unwrap();
    let tokens = Tokens::read(&application.redeem(&console, &code, &verifier).await.unwrap()).unwrap();
    let page = visitor.open("/account").await.unwrap();
    assert!(page.body.contains("Counting &lt;app&gt;"), "{}", page.body);
    visitor
        .submit("/account/applications/withdraw", &[("client", &application.id)])
        .await
        .unwrap();
    assert_eq!(
        application.refresh(&console, &tokens.refresh).await.unwrap().status,
        StatusCode::BAD_REQUEST
    );
    let (_, challenge) = pkce();
    let asked = visitor.open(&application.authorization(&challenge, &[])).await.unwrap();
    assert!(
        !asked.hidden("statement").is_empty(),
        "a withdrawn approval still counts"
    );

    visitor.open("/account").await.unwrap();
    let made = visitor
        .submit("/account/credentials", &[("label", "tellingen <1>")])
        .await
        .unwrap();
    assert_eq!(made.status, StatusCode::CREATED);
    let page = visitor.open("/account").await.unwrap();
    assert!(page.body.contains("tellingen &lt;1&gt;"));
    let id = page.hidden("id");
    assert!(made.body.contains(&id) && !id.is_empty());
    visitor
        .submit("/account/credentials/delete", &[("id", &id)])
        .await
        .unwrap();
    assert!(!visitor.open("/account").await.unwrap().body.contains(&id));
}

#[tokio::test]
async fn a_setup_link_sets_one_password() {
    let console = Console::start(quick()).await.unwrap();
    let new = NewAccount {
        name: "burger-1".to_owned(),
        label: "Burger".to_owned(),
        kind: AccountKind::Person,
        first_login: FirstLogin::SetupLink,
    };
    let created = create_account(console.store.as_ref(), console.identity.account_tools(), new)
        .await
        .unwrap();
    let link = created.setup_url.unwrap();
    let path = format!("/{}", link.strip_prefix(&console.url).unwrap());
    let mut visitor = Visitor::new(&console);
    let page = visitor.open(&path).await.unwrap();
    let secret = page.hidden("secret");
    let wrong = [("account", "burger-1"), ("secret", "wrong"), ("password", PASSWORD)];
    assert_eq!(visitor.submit("/setup", &wrong).await.unwrap().status, StatusCode::GONE);
    let right = [
        ("account", "burger-1"),
        ("secret", secret.as_str()),
        ("password", PASSWORD),
    ];
    // A wrong secret took nothing away.
    assert_eq!(
        visitor.submit("/setup", &right).await.unwrap().status,
        StatusCode::SEE_OTHER
    );
    let again = [
        ("account", "burger-1"),
        ("secret", secret.as_str()),
        ("password", "nog een ander wachtwoord"),
    ];
    assert_eq!(visitor.submit("/setup", &again).await.unwrap().status, StatusCode::GONE);
    assert_eq!(
        visitor.log_in("burger-1", PASSWORD).await.unwrap().status,
        StatusCode::SEE_OTHER
    );
}

/// Registration on the page obeys its switch; the pages speak three languages.
#[tokio::test]
async fn registration_is_a_switch_and_pages_speak_three_languages() {
    let console = Console::start(quick()).await.unwrap();
    let mut visitor = Visitor::new(&console);
    visitor.open("/register").await.unwrap();
    let fields = [
        ("name", "anna"),
        ("label", "Anna"),
        ("kind", "person"),
        ("password", PASSWORD),
    ];
    let answer = visitor.submit("/register", &fields).await.unwrap();
    assert_eq!(answer.location(), "/login?done=password-set", "{}", answer.body);
    assert_eq!(
        visitor.submit("/register", &fields).await.unwrap().status,
        StatusCode::CONFLICT
    );
    assert_eq!(
        visitor.log_in("anna", PASSWORD).await.unwrap().status,
        StatusCode::SEE_OTHER
    );
    for (language, word) in [("nl", "Mijn account"), ("fr", "Mon compte"), ("en", "My account")] {
        let page = visitor.open(&format!("/account?lang={language}")).await.unwrap();
        assert!(
            page.body.contains(word) && page.body.contains(&format!("<html lang=\"{language}\"")),
            "{language}"
        );
        assert!(
            visitor.open("/account").await.unwrap().body.contains(word),
            "the choice is not remembered"
        );
    }
    let mut closed = quick();
    closed.registration_open = false;
    let console = Console::start(closed).await.unwrap();
    let mut visitor = Visitor::new(&console);
    assert_eq!(visitor.open("/register").await.unwrap().status, StatusCode::NOT_FOUND);
    visitor.open("/login").await.unwrap();
    assert_eq!(
        visitor.submit("/register", &fields).await.unwrap().status,
        StatusCode::NOT_FOUND
    );
}

/// Two thousand citizens in one go; prints the rate.
#[tokio::test]
async fn many_accounts_are_quick() {
    let console = Console::start(quick()).await.unwrap();
    let new = |name: String| NewAccount {
        label: format!("Burger {name}"),
        name,
        kind: AccountKind::Person,
        first_login: FirstLogin::SetupLink,
    };
    let many: Vec<NewAccount> = (0..2_000).map(|number| new(format!("burger-{number:05}"))).collect();
    let begin = Instant::now();
    let tools = console.identity.account_tools();
    let created = create_accounts(console.store.as_ref(), tools, many).await.unwrap();
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "2000 accounts with storage and profile in {seconds:.2} s: {:.0} per second",
        2_000.0 / seconds
    );
    assert_eq!(created.len(), 2_000);
    assert!(seconds < 60.0, "{seconds} s");
    assert!(text(&console, "/burger-01999/profile/card").contains("Burger burger-01999"));
    let twice = create_accounts(console.store.as_ref(), tools, vec![new("burger-00007".to_owned())]).await;
    assert!(matches!(twice, Err(AccountError::Taken(name)) if name == "burger-00007"));
    assert_eq!(
        account::list(console.store.as_ref(), Some("burger-00009"), 2).unwrap()[0].name,
        "burger-00010"
    );
}

/// What has expired is removed, and what counts stays.
#[tokio::test]
async fn expired_sessions_and_codes_are_swept() {
    let console = Console::start(quick()).await.unwrap();
    console.account("gent", PASSWORD).await.unwrap();
    let mut visitor = Visitor::new(&console);
    visitor.log_in("gent", PASSWORD).await.unwrap();
    let application = Application::register(&console, "none").await.unwrap();
    let (_, challenge) = pkce();
    application.code(&mut visitor, &challenge).await.unwrap();
    let count = |kind| {
        console
            .store
            .snapshot(PERMIT)
            .unwrap()
            .records(kind, "", None, 100)
            .unwrap()
            .len()
    };
    // The code, the registration and the approval.
    assert_eq!((count(RecordKind::Session), count(RecordKind::Issuer)), (1, 3));
    let mut sweeper = pod_server::identity::Sweeper::default();
    let now = console.clock.unix();
    assert_eq!(sweeper.sweep(console.store.as_ref(), now).await.unwrap(), 0);
    assert_eq!(sweeper.sweep(console.store.as_ref(), now + 2 * 3_600).await.unwrap(), 1);
    assert_eq!((count(RecordKind::Session), count(RecordKind::Issuer)), (1, 2));
    assert_eq!(
        sweeper.sweep(console.store.as_ref(), now + 40 * 86_400).await.unwrap(),
        2
    );
    assert_eq!((count(RecordKind::Session), count(RecordKind::Issuer)), (0, 1));
}
