//! The data browser as a browser without script uses it: the same rules as for every application, in plain words.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use meent_tests::console::{Answer, Resident, Visitor, quick_settings};
use meent_tests::pod::PodServer;

const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n not much of a picture";
const PAGE: &[u8] = b"<script>document.title = 'taken over'</script>";

/// Fields and files of an upload, the status that it gets, and what the page says.
type Refusal<'a> = (&'a [(&'a str, &'a str)], &'a [File<'a>], u16, &'a str);

/// Name, media type and content.
type File<'a> = (&'a str, &'a str, &'a [u8]);

async fn server() -> PodServer {
    let mut settings = quick_settings();
    settings["browse"] = serde_json::json!({ "page_members": 10, "delete_items_max": 30, "files_max": 3 });
    PodServer::start_with(settings).await
}

fn in_english(path: &str) -> String {
    format!("{path}{}lang=en", if path.contains('?') { '&' } else { '?' })
}

fn status(answer: &Answer, expected: u16) {
    assert_eq!(answer.status, expected, "{}", answer.body);
}

/// Requirements solid 1, 3, 70.
#[tokio::test(flavor = "multi_thread")]
async fn files_are_uploaded_looked_at_and_downloaded() {
    let server = server().await;
    let console: url::Url = server.console_url.parse().unwrap();
    let mut stranger = Visitor::at(([127, 0, 0, 1], console.port().unwrap()).into());
    let answer = stranger.open("/data/gent/").await.unwrap();
    assert!(
        answer.location().starts_with("/login?return_to=%2Fdata%2Fgent%2F"),
        "{}",
        answer.location()
    );

    let mut gent = Resident::arrive(&server, "gent").await.unwrap();
    assert_eq!(gent.visitor.open("/data").await.unwrap().location(), "/data/gent/");
    let page = gent.visitor.open(&in_english("/data/gent/")).await.unwrap();
    status(&page, 200);
    assert!(
        page.body.contains("/data/gent/inbox/") && page.body.contains("Add files"),
        "{}",
        page.body
    );

    let files: [(&str, &str, &[u8]); 3] = [
        ("foto één.png", "image/png", PICTURE),
        ("page.html", "text/html", PAGE),
        ("telling.ttl", "application/octet-stream", b"<#a> <#b> 1 ."),
    ];
    let answer = gent
        .visitor
        .upload("/data/gent/", &[("do", "upload")], &files)
        .await
        .unwrap();
    assert_eq!(answer.location(), "/data/gent/?done=uploaded", "{}", answer.body);
    let page = gent.visitor.open("/data/gent/?done=uploaded&lang=en").await.unwrap();
    for part in ["foto-één.png", "page.html", "telling.ttl", "The files have been kept"] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    let turtle = gent.agent.client().get("/gent/telling.ttl").await;
    assert_eq!(
        (turtle.status, turtle.header("content-type")),
        (200.try_into().unwrap(), "text/turtle")
    );

    let page = gent.visitor.open("/data/gent/page.html").await.unwrap();
    assert!(
        page.body.contains("&lt;script&gt;") && !page.body.contains("<script>"),
        "{}",
        page.body
    );
    let file = gent.visitor.open("/data/gent/page.html?do=download").await.unwrap();
    assert_eq!((file.status.as_u16(), file.body.as_bytes()), (200, PAGE));
    assert_eq!(file.header("content-type"), "application/octet-stream");
    assert!(
        file.header("content-disposition")
            .starts_with("attachment; filename*=UTF-8''page%2Ehtml")
    );
    assert!(file.header("content-security-policy").starts_with("sandbox"));
    assert_eq!(file.header("x-content-type-options"), "nosniff");
    status(
        &gent.visitor.open("/data/gent/page.html?do=picture").await.unwrap(),
        404,
    );
    let picture = gent
        .visitor
        .open("/data/gent/foto-%C3%A9%C3%A9n.png?do=picture")
        .await
        .unwrap();
    assert_eq!(
        (picture.status.as_u16(), picture.header("content-type")),
        (200, "image/png")
    );
    assert!(picture.header("content-security-policy").starts_with("sandbox"));

    // New content only for the state that was shown.
    let page = gent.visitor.open("/data/gent/page.html").await.unwrap();
    let state = page.hidden("state");
    let fields = [("do", "replace"), ("state", state.as_str())];
    let new: [(&str, &str, &[u8]); 1] = [("other.txt", "text/plain", b"new")];
    let answer = gent
        .visitor
        .upload("/data/gent/page.html", &fields, &new)
        .await
        .unwrap();
    assert_eq!(
        answer.location(),
        "/data/gent/page.html?done=replaced",
        "{}",
        answer.body
    );
    let answer = gent
        .visitor
        .upload("/data/gent/page.html", &fields, &new)
        .await
        .unwrap();
    status(&answer, 412);
    assert_eq!(gent.agent.client().get("/gent/page.html").await.text(), "new");
    server.stop().await;
}

/// Requirements solid 30, 56. What is refused is said, and nothing of it is kept (T45).
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_stored_is_said_in_words() {
    let server = server().await;
    let mut gent = Resident::arrive(&server, "gent").await.unwrap();
    gent.visitor.open(&in_english("/data/gent/")).await.unwrap();
    let text: (&str, &str, &[u8]) = ("a.txt", "text/plain", b"x");
    let broken: (&str, &str, &[u8]) = ("b.ttl", "text/turtle", b"<a> <b> <c> .\n<a> <b> ;");
    let cases: [Refusal; 6] = [
        (&[("do", "upload")], &[broken], 400, "Line 2"),
        (&[("do", "upload")], &[], 422, "Choose a file first"),
        (
            &[("do", "upload")],
            &[("", "application/octet-stream", b"")],
            422,
            "Choose a file first",
        ),
        (
            &[("form_token", ""), ("do", "upload")],
            &[text],
            403,
            "Nothing was changed",
        ),
        (
            &[("form_token", "guessed"), ("do", "upload")],
            &[text],
            403,
            "Nothing was changed",
        ),
        (
            &[("do", "upload")],
            &[("c.txt", "text/pl\u{e9}in", b"x")],
            400,
            "not possible",
        ),
    ];
    for (fields, files, expected, said) in cases {
        let answer = gent.visitor.upload("/data/gent/", fields, files).await.unwrap();
        status(&answer, expected);
        assert!(answer.body.contains(said), "{said}: {}", answer.body);
        let answer = gent.visitor.open("/data/gent/").await.unwrap();
        for name in ["a.txt", "b.ttl", "c.txt"] {
            assert!(!answer.body.contains(name), "{name} was kept");
        }
    }
    let many: Vec<(&str, &str, &[u8])> = (0..20).map(|_| text).collect();
    let answer = gent
        .visitor
        .upload("/data/gent/inbox/", &[("do", "upload")], &many)
        .await
        .unwrap();
    status(&answer, 422);

    gent.visitor.open("/data/gent/").await.unwrap();
    for (name, expected) in [
        ("Foto's 2026", 303),
        ("Foto's 2026", 409),
        ("a/b", 422),
        ("..", 422),
        ("", 422),
        ("x.acl", 422),
    ] {
        let answer = gent
            .visitor
            .submit("/data/gent/", &[("do", "folder"), ("name", name)])
            .await
            .unwrap();
        assert_eq!(answer.status, expected, "{name}: {}", answer.body);
    }
    status(&gent.visitor.open("/data/gent/Foto's%202026/").await.unwrap(), 200);
    assert_eq!(
        gent.visitor.open("/data/gent/Foto's%202026").await.unwrap().location(),
        "/data/gent/Foto's%202026/"
    );
    // Another site makes the browser send a form.
    gent.visitor.headers = vec![("sec-fetch-site", "cross-site".to_owned())];
    let answer = gent
        .visitor
        .upload("/data/gent/", &[("do", "upload")], &[text])
        .await
        .unwrap();
    status(&answer, 403);
    server.stop().await;
}

/// Requirements solid 20, 41-43. Large folders in pages; deleting asks first, and takes what was shown.
#[tokio::test(flavor = "multi_thread")]
async fn folders_are_paged_and_deleted_after_a_question() {
    let server = server().await;
    let mut gent = Resident::arrive(&server, "gent").await.unwrap();
    let client = gent.agent.client();
    for number in 0..25 {
        let put = client
            .put(&format!("/gent/many/file-{number:02}.txt"), "text/plain", "x")
            .await;
        assert_eq!(put.status, 201);
    }
    let mut seen = BTreeSet::new();
    let mut next = "/data/gent/many/?lang=en".to_owned();
    for _ in 0..3 {
        let page = gent.visitor.open(&next).await.unwrap();
        assert!(page.body.contains("25 items"), "{}", page.body);
        let names: Vec<&str> = page
            .body
            .split("href=\"/data/gent/many/file-")
            .skip(1)
            .map(|rest| &rest[..2])
            .collect();
        assert!(
            names.len() <= 10 && names.iter().all(|name| seen.insert((*name).to_owned())),
            "{names:?}"
        );
        let links = page.body.split("href=\"").filter_map(|part| part.split('"').next());
        let more = links
            .filter(|link| link.contains("?after=") && !link.contains("lang="))
            .last();
        next = more.unwrap_or_default().replace("&amp;", "&");
    }
    assert_eq!((seen.len(), next.as_str()), (25, ""));

    let ask = gent
        .visitor
        .open("/data/gent/many/file-00.txt?do=delete&lang=en")
        .await
        .unwrap();
    assert!(ask.body.contains("cannot be undone"), "{}", ask.body);
    assert_eq!(
        client
            .put("/gent/many/file-00.txt", "text/plain", "changed")
            .await
            .status,
        204
    );
    let old = ask.hidden("state");
    let answer = gent
        .visitor
        .submit("/data/gent/many/file-00.txt", &[("do", "delete"), ("state", &old)])
        .await
        .unwrap();
    status(&answer, 412);
    let state = gent
        .visitor
        .open("/data/gent/many/file-00.txt?do=delete")
        .await
        .unwrap()
        .hidden("state");
    let answer = gent
        .visitor
        .submit("/data/gent/many/file-00.txt", &[("do", "delete"), ("state", &state)])
        .await
        .unwrap();
    assert_eq!(answer.location(), "/data/gent/many/?done=deleted", "{}", answer.body);
    assert_eq!(client.get("/gent/many/file-00.txt").await.status, 404);

    assert_eq!(
        client.put("/gent/many/deep/er/x.txt", "text/plain", "x").await.status,
        201
    );
    let ask = gent.visitor.open("/data/gent/many/?do=delete&lang=en").await.unwrap();
    assert!(ask.body.contains("25 items"), "{}", ask.body);
    let answer = gent
        .visitor
        .submit("/data/gent/many/", &[("do", "delete")])
        .await
        .unwrap();
    assert_eq!(answer.location(), "/data/gent/?done=deleted", "{}", answer.body);
    assert_eq!(client.get("/gent/many/").await.status, 404);

    for number in 0..31 {
        client.put(&format!("/gent/more/{number}"), "text/plain", "x").await;
    }
    let answer = gent
        .visitor
        .submit("/data/gent/more/", &[("do", "delete")])
        .await
        .unwrap();
    status(&answer, 409);
    assert_eq!(
        client.get("/gent/more/30").await.status,
        200,
        "something was deleted all the same"
    );
    for kept in ["/data/gent/profile/card", "/data/gent/profile/", "/data/gent/"] {
        let answer = gent
            .visitor
            .submit(kept, &[("do", "delete"), ("state", "*")])
            .await
            .unwrap();
        status(&answer, 409);
    }
    server.stop().await;
}

/// Requirements solid 70-73, 77. Sharing changes who may do what, for exactly those who are named.
#[tokio::test(flavor = "multi_thread")]
async fn sharing_says_who_may_do_what() {
    let server = server().await;
    let mut gent = Resident::arrive(&server, "gent").await.unwrap();
    let ann = Resident::arrive(&server, "ann").await.unwrap();
    let (owner, other, public) = (gent.agent.client(), ann.agent.client(), server.client());
    owner.put("/gent/photos/a.txt", "text/plain", "x").await;
    owner.put("/gent/photos/b.txt", "text/plain", "x").await;

    let page = gent.visitor.open("/data/gent/photos/?do=share&lang=en").await.unwrap();
    assert!(page.body.contains("The rules of /gent/ count here"), "{}", page.body);
    let first = page.hidden("state");
    let with_ann = [
        ("do", "share"),
        ("who", "agent"),
        ("webid", ann.web_id.as_str()),
        ("level", "add"),
        ("state", first.as_str()),
    ];
    let answer = gent.visitor.submit("/data/gent/photos/", &with_ann).await.unwrap();
    assert_eq!(
        answer.location(),
        "/data/gent/photos/?do=share&done=shared",
        "{}",
        answer.body
    );
    assert_eq!(other.get("/gent/photos/a.txt").await.status, 200);
    assert_eq!(other.put("/gent/photos/a.txt", "text/plain", "y").await.status, 403);
    assert_eq!(
        other
            .request("POST", "/gent/photos/")
            .content("text/plain", "z")
            .send()
            .await
            .status,
        201
    );
    assert_eq!(public.get("/gent/photos/a.txt").await.status, 401);
    assert_eq!(owner.put("/gent/photos/a.txt", "text/plain", "x").await.status, 204);
    // What was shown is no longer true.
    let answer = gent.visitor.submit("/data/gent/photos/", &with_ann).await.unwrap();
    status(&answer, 409);

    let page = gent
        .visitor
        .open("/data/gent/photos/a.txt?do=share&lang=en")
        .await
        .unwrap();
    let state = page.hidden("state");
    let public_read = [
        ("do", "share"),
        ("who", "everyone"),
        ("level", "read"),
        ("state", state.as_str()),
    ];
    let answer = gent
        .visitor
        .submit("/data/gent/photos/a.txt", &public_read)
        .await
        .unwrap();
    status(&answer, 303);
    assert_eq!(public.get("/gent/photos/a.txt").await.status, 200);
    assert_eq!(public.get("/gent/photos/b.txt").await.status, 401);
    assert_eq!(
        other.get("/gent/photos/a.txt").await.status,
        200,
        "an own list forgot what was inherited"
    );

    let page = gent
        .visitor
        .open("/data/gent/photos/a.txt?do=share&lang=en")
        .await
        .unwrap();
    for part in [
        "Everyone, also without logging in",
        "may look",
        "may add",
        "Stop sharing with ann",
    ] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    let state = page.hidden("state");
    for (form, expected) in [
        (
            vec![("do", "unshare"), ("who", "agent"), ("iri", gent.web_id.as_str())],
            422,
        ),
        (
            vec![
                ("do", "share"),
                ("who", "agent"),
                ("webid", gent.web_id.as_str()),
                ("level", "read"),
            ],
            422,
        ),
        (
            vec![
                ("do", "share"),
                ("who", "agent"),
                ("webid", "javascript:1"),
                ("level", "read"),
            ],
            422,
        ),
        (
            vec![
                ("do", "share"),
                ("who", "agent"),
                ("webid", "https://x.example/> <#y"),
                ("level", "read"),
            ],
            422,
        ),
        (vec![("do", "share"), ("who", "everyone"), ("level", "control")], 422),
        (vec![("do", "share"), ("who", "nobody"), ("level", "read")], 422),
        (vec![("do", "unshare"), ("who", "everyone")], 303),
    ] {
        let mut form = form;
        form.push(("state", state.as_str()));
        let answer = gent.visitor.submit("/data/gent/photos/a.txt", &form).await.unwrap();
        assert_eq!(answer.status, expected, "{form:?}: {}", answer.body);
    }
    assert_eq!(
        public.get("/gent/photos/a.txt").await.status,
        401,
        "withdrawal did not count at once"
    );
    let state = gent
        .visitor
        .open("/data/gent/photos/a.txt?do=share")
        .await
        .unwrap()
        .hidden("state");
    let answer = gent
        .visitor
        .submit("/data/gent/photos/a.txt", &[("do", "inherit"), ("state", &state)])
        .await
        .unwrap();
    status(&answer, 303);
    assert_eq!(owner.get("/gent/photos/a.txt.acl").await.status, 404);
    server.stop().await;
}

/// Requirements solid 84. A storage with policies is used like any other; its rules are left to applications.
#[tokio::test(flavor = "multi_thread")]
async fn policies_are_left_to_applications() {
    let mut settings = quick_settings();
    settings["authz"] = serde_json::json!({ "system": "acp" });
    let server = PodServer::start_with(settings).await;
    let mut gent = Resident::arrive(&server, "gent").await.unwrap();
    let mut ann = Resident::arrive(&server, "ann").await.unwrap();
    gent.visitor.open("/data/gent/").await.unwrap();
    let file: [File; 1] = [("x.txt", "text/plain", b"x")];
    let answer = gent
        .visitor
        .upload("/data/gent/", &[("do", "upload")], &file)
        .await
        .unwrap();
    status(&answer, 303);
    let page = gent.visitor.open("/data/gent/x.txt?do=share&lang=en").await.unwrap();
    status(&page, 409);
    assert!(page.body.contains("governed by policies"), "{}", page.body);
    let form = [("do", "share"), ("who", "everyone"), ("level", "read"), ("state", "x")];
    status(&gent.visitor.submit("/data/gent/x.txt", &form).await.unwrap(), 409);
    assert_eq!(server.client().get("/gent/x.txt").await.status, 401);
    status(&ann.visitor.open("/data/gent/x.txt?do=share").await.unwrap(), 403);
    server.stop().await;
}

/// Requirements solid 70, 82; T23. The pages open nothing that the rules do not open.
#[tokio::test(flavor = "multi_thread")]
async fn other_peoples_data_stays_closed() {
    let server = server().await;
    let mut gent = Resident::arrive(&server, "gent").await.unwrap();
    let ann = Resident::arrive(&server, "ann").await.unwrap();
    ann.agent.client().put("/ann/secret.txt", "text/plain", "secret").await;
    let mut answers = BTreeSet::new();
    for path in [
        "/data/ann/",
        "/data/ann/secret.txt",
        "/data/ann/absent.txt",
        "/data/ann/secret.txt?do=download",
        "/data/ann/secret.txt?do=share",
        "/data/ann/secret.txt?do=delete",
        "/data/ann/absent/",
    ] {
        let answer = gent.visitor.open(&in_english(path)).await.unwrap();
        assert_eq!(answer.status, 403, "{path}");
        assert!(!answer.body.contains("secret.txt</"), "{}", answer.body);
        let start = answer.body.find("role=\"alert\"").unwrap();
        answers.insert(answer.body[start..].split("</p>").next().unwrap().to_owned());
    }
    assert_eq!(answers.len(), 1, "refusals differ: {answers:?}");
    for form in [
        vec![("do", "delete"), ("state", "*")],
        vec![("do", "share"), ("who", "everyone"), ("level", "read"), ("state", "x")],
        vec![("do", "inherit"), ("state", "x")],
    ] {
        let answer = gent.visitor.submit("/data/ann/secret.txt", &form).await.unwrap();
        status(&answer, 403);
    }
    let file: [(&str, &str, &[u8]); 1] = [("x.txt", "text/plain", b"x")];
    for path in ["/data/ann/", "/data/ann/secret.txt"] {
        let answer = gent.visitor.upload(path, &[("do", "upload")], &file).await.unwrap();
        status(&answer, 403);
    }
    assert_eq!(ann.agent.client().get("/ann/secret.txt").await.text(), "secret");
    // What anyone may read can be looked at, and shows no buttons that would be refused.
    let page = gent.visitor.open(&in_english("/data/ann/profile/card")).await.unwrap();
    status(&page, 200);
    assert!(
        !page.body.contains("do=delete") && !page.body.contains("do=share"),
        "{}",
        page.body
    );
    for path in [
        "/data/ann/../gent/",
        "/data/%2e%2e/",
        "/data//gent/",
        "/data/gent/.log",
        "/data/",
    ] {
        let answer = gent.visitor.open(path).await.unwrap();
        assert!(!answer.status.is_server_error(), "{path}: {}", answer.status);
    }
    server.stop().await;
}
