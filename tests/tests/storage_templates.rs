//! Templates: what a new storage begins with, by configuration, by command and on the account page.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;

use http::StatusCode;
use meent_tests::console::Visitor;
use meent_tests::pod::PodFolder;

const PASSWORD: &str = "a sentence that nobody guesses";

/// A template with public and private parts under both authorization systems.
fn write_template(folder: &Path) {
    let list = |public: &str| {
        format!(
            "@prefix acl: <http://www.w3.org/ns/auth/acl#>. @prefix foaf: <http://xmlns.com/foaf/0.1/>. <#o> a acl:Authorization; \
             acl:agent <{{{{webid}}}}>; acl:accessTo <./>; acl:default <./>; acl:mode acl:Read, acl:Write, acl:Control. {public}"
        )
    };
    let everyone =
        "<#p> a acl:Authorization; acl:agentClass foaf:Agent; acl:accessTo <./>; acl:default <./>; acl:mode acl:Read.";
    let policies = "@prefix acl: <http://www.w3.org/ns/auth/acl#>. @prefix acp: <http://www.w3.org/ns/solid/acp#>. <> a \
                    acp:AccessControlResource; acp:resource <./>; acp:accessControl <#all>; acp:memberAccessControl <#all>. <#all> \
                    a acp:AccessControl; acp:apply [ a acp:Policy; acp:allow acl:Read; acp:anyOf [ a acp:Matcher; acp:agent \
                    acp:PublicAgent ] ].";
    for (name, text) in [
        ("public/.acl", list(everyone)),
        ("public/.acr", policies.to_owned()),
        (
            "public/welcome$.ttl",
            "<{{storage}}> <urn:owner> <{{webid}}>; <urn:name> \"{{name}}\".".to_owned(),
        ),
        ("public/page.html", "<p>{{ name }} {{other}}</p>".to_owned()),
        ("notes/first.txt", "{{storage}}".to_owned()),
    ] {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    std::fs::create_dir(folder.join("photos")).unwrap();
}

fn with_template(folder: &Path, default: &str) -> PodFolder {
    PodFolder::new(&format!(
        "[identity.password]\nmemory_kibibytes = 64\npasses = 1\n[templates]\ndefault = {default:?}\n[templates.folders]\ncity = \
         {:?}\n",
        folder.display().to_string()
    ))
}

/// Requirements solid 13, 67, 70, 73, 84, 115: a storage begins with what its template says, filled in for its owner, under the
/// access rules of its own authorization system; what is built in stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_storage_begins_with_its_template() {
    let template = tempfile::tempdir().unwrap();
    write_template(template.path());
    let pod = with_template(template.path(), "plain");
    std::fs::write(pod.path("password"), PASSWORD).unwrap();
    pod.succeed(&["account", "create", "anna", "--password-file", "password"]);
    let owner = format!("{}anna/profile/card#me", pod.base_url);
    for words in [
        &["park", "--template", "city"][..],
        &["policies", "--template", "city", "--system", "acp"],
        &["bare"],
    ] {
        pod.succeed(&[&["storage", "create", "--owner", &owner], words].concat());
    }
    let refused = pod.refused(&["storage", "create", "--owner", &owner, "x", "--template", "village"]);
    assert!(refused.contains("no template `village`"), "{refused}");

    let _server = pod.serve();
    let mut anna = Visitor::at(
        pod.console_url
            .trim_end_matches('/')
            .trim_start_matches("http://")
            .parse()
            .unwrap(),
    );
    assert_eq!(
        anna.log_in("anna", PASSWORD).await.unwrap().status,
        StatusCode::SEE_OTHER
    );
    let page = anna.open("/account").await.unwrap();
    assert!(
        page.body.contains("value=\"city\"") && page.body.contains("value=\"plain\" checked"),
        "{}",
        page.body
    );
    let wish = |name: &'static str, template: &'static str| [("name", name), ("webid", "new"), ("template", template)];
    let wrong = anna
        .submit("/account/storages", &wish("garden", "village"))
        .await
        .unwrap();
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    anna.open("/account").await.unwrap();
    let made = anna.submit("/account/storages", &wish("garden", "city")).await.unwrap();
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.body);

    let own = format!("{}garden/profile/card#me", pod.base_url);
    let (public, agent) = (pod.client(), pod.agent("anna").client());
    for (name, owner) in [("park", &owner), ("policies", &owner), ("garden", &own)] {
        let welcome = public.get(&format!("/{name}/public/welcome")).await;
        assert_eq!(welcome.status, StatusCode::OK, "{name}: {}", welcome.text());
        assert_eq!(welcome.header("content-type"), "text/turtle");
        let expected = format!(
            "<{}{name}/> <urn:owner> <{owner}>; <urn:name> \"{name}\".",
            pod.base_url
        );
        assert_eq!(welcome.text(), expected);
        let html = public.get(&format!("/{name}/public/page.html")).await;
        assert_eq!(html.text(), format!("<p>{name} {{{{other}}}}</p>"));
        assert_eq!(
            public.get(&format!("/{name}/notes/first.txt")).await.status,
            StatusCode::UNAUTHORIZED
        );
        let owner = if name == "garden" {
            pod.agent("garden").client()
        } else {
            agent.clone()
        };
        let first = owner.get(&format!("/{name}/notes/first.txt")).await;
        assert_eq!(first.text(), format!("{}{name}/", pod.base_url));
        assert_eq!(owner.get(&format!("/{name}/photos/")).await.status, StatusCode::OK);
    }
    assert_eq!(public.get("/garden/profile/card").await.status, StatusCode::OK);
    assert_eq!(agent.get("/bare/notes/").await.status, StatusCode::NOT_FOUND);
}

/// Requirements solid 13: the template of the configuration counts without a choice, and one that cannot be used keeps the
/// server from starting, with the file and the reason.
#[test]
fn a_template_is_checked_before_anything_is_made() {
    let template = tempfile::tempdir().unwrap();
    write_template(template.path());
    let pod = with_template(template.path(), "city");
    let create = ["storage", "create", "--owner", "https://owner.example/profile/card#me"];
    pod.succeed(&[&create[..], &["park"]].concat());
    pod.succeed(&[&create[..], &["bare", "--template", "plain"]].concat());
    let listed = pod.succeed(&["storage", "list"]);
    let bytes = |name: &str| -> u64 {
        let mut storages = listed.lines().map(|line| line.split('\t'));
        let mut storage = storages.find(|storage| storage.clone().next() == Some(name)).unwrap();
        storage.nth(1).unwrap().parse().unwrap()
    };
    assert!(bytes("park") > bytes("bare"), "with its documents: {listed}");
    std::fs::write(template.path().join("public/broken.ttl"), "<> <urn:p> <{{owner}}>.").unwrap();
    let refused = pod.refused(&[
        "storage",
        "create",
        "second",
        "--owner",
        "https://owner.example/profile/card#me",
    ]);
    assert!(
        refused.contains("public/broken.ttl") && refused.contains("is no placeholder"),
        "{refused}"
    );
    std::fs::remove_file(template.path().join("public/broken.ttl")).unwrap();
    let pod = with_template(template.path(), "village");
    let refused = pod.refused(&["serve"]);
    assert!(refused.contains("templates.folders"), "{refused}");
}
