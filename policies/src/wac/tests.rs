//! Tables for Web Access Control.

use super::*;
use crate::request::{Subject, WebId};

const BASE: &str = "https://pod.example/jan/.acl";
const ROOT: &str = "https://pod.example/jan/";

fn acl(body: &str) -> Result<Acl, AclError> {
    let text = format!(
        "@prefix acl: <http://www.w3.org/ns/auth/acl#> . @prefix foaf: <http://xmlns.com/foaf/0.1/> . \
         @prefix : <#> . {body}"
    );
    Acl::parse(text.as_bytes(), BASE)
}

fn who(name: &str) -> Subject {
    Subject::authenticated(WebId::parse(format!("https://{name}.example/#me")).unwrap())
}

fn groups(group: &str, member: &str) -> Option<bool> {
    match group {
        "https://g.example/#friends" => Some(member == "https://an.example/#me"),
        "https://g.example/#apps" => Some(member == "https://app.example/id"),
        _ => None,
    }
}

fn modes(body: &str, subject: &Subject, target: AclTarget<'_>) -> String {
    acl(body).unwrap().modes(subject, target, &groups).to_string()
}

/// Requirements solid 71, 72, 73, 82: one authorization, one subject, and what comes out.
#[test]
fn subjects_targets_and_modes() {
    let an = who("an");
    let own = AclTarget::own(ROOT);
    let inherited = AclTarget::inherited(ROOT);
    let nobody = Subject::public();
    let cases: [(&str, &Subject, AclTarget<'_>, &str); 19] = [
        (
            ":a a acl:Authorization; acl:agent <https://an.example/#me>; acl:accessTo <./>; acl:mode acl:Read .",
            &an,
            own,
            "read",
        ),
        (
            ":a a acl:Authorization; acl:agent <https://an.example/#me>; acl:accessTo <./>; acl:mode acl:Read .",
            &nobody,
            own,
            "",
        ),
        (
            ":a a acl:Authorization; acl:agent <https://an.example/#me>; acl:accessTo <./>; acl:mode acl:Read .",
            &an,
            inherited,
            "",
        ),
        (
            ":a a acl:Authorization; acl:agent <https://an.example/#me>; acl:default <./>; acl:mode acl:Read .",
            &an,
            inherited,
            "read",
        ),
        (
            ":a a acl:Authorization; acl:agent <https://an.example/#me>; acl:default <./>; acl:mode acl:Read .",
            &an,
            own,
            "",
        ),
        (
            ":a a acl:Authorization; acl:agentClass foaf:Agent; acl:accessTo <./>; acl:mode acl:Read .",
            &nobody,
            own,
            "read",
        ),
        (
            ":a a acl:Authorization; acl:agentClass foaf:Agent; acl:accessTo <./>; acl:mode acl:Read .",
            &an,
            own,
            "read",
        ),
        (
            ":a a acl:Authorization; acl:agentClass acl:AuthenticatedAgent; acl:accessTo <./>; acl:mode acl:Append .",
            &an,
            own,
            "append",
        ),
        (
            ":a a acl:Authorization; acl:agentClass acl:AuthenticatedAgent; acl:accessTo <./>; acl:mode acl:Append .",
            &nobody,
            own,
            "",
        ),
        (
            ":a a acl:Authorization; acl:agentGroup <https://g.example/#friends>; acl:accessTo <./>; acl:mode acl:Write .",
            &an,
            own,
            "write append",
        ),
        (
            ":a a acl:Authorization; acl:agentGroup <https://g.example/#gone>; acl:accessTo <./>; acl:mode acl:Write .",
            &an,
            own,
            "",
        ),
        (
            ":a a acl:Authorization; acl:agentGroup <https://g.example/#friends>; acl:accessTo <./>; acl:mode acl:Write .",
            &nobody,
            own,
            "",
        ),
        (
            ":a a acl:Authorization; acl:agent <https://an.example/#me>; acl:accessTo <./>; acl:mode acl:Control .",
            &an,
            own,
            "control",
        ),
        (
            ":a a acl:Authorization; acl:agent <https://an.example/#me>; acl:accessTo <./>; acl:mode acl:Admin, acl:Read .",
            &an,
            own,
            "read",
        ),
        // No type, no authorization.
        (
            ":a acl:agent <https://an.example/#me>; acl:accessTo <./>; acl:mode acl:Read .",
            &an,
            own,
            "",
        ),
        // Another class of agents grants nobody anything.
        (
            ":a a acl:Authorization; acl:agentClass foaf:Person; acl:accessTo <./>; acl:mode acl:Read .",
            &an,
            own,
            "",
        ),
        // An agent must be a WebID, not a text.
        (
            ":a a acl:Authorization; acl:agent \"https://an.example/#me\"; acl:accessTo <./>; acl:mode acl:Read .",
            &an,
            own,
            "",
        ),
        // Several authorizations add up.
        (
            ":a a acl:Authorization; acl:agent <https://an.example/#me>; acl:accessTo <./>; acl:mode acl:Append . \
          :b a acl:Authorization; acl:agentClass foaf:Agent; acl:accessTo <./>; acl:mode acl:Read .",
            &an,
            own,
            "read append",
        ),
        ("", &an, own, ""),
    ];
    for (body, subject, target, expected) in cases {
        assert_eq!(modes(body, subject, target), expected, "{body} for {subject:?}");
    }
}

/// solid#78: a mode that is not public also needs the origin.
#[test]
fn origins() {
    let listed = ":a a acl:Authorization; acl:agent <https://an.example/#me>; acl:origin <https://app.example>; \
                  acl:accessTo <./>; acl:mode acl:Read .";
    let apart = ":a a acl:Authorization; acl:agent <https://an.example/#me>; acl:accessTo <./>; acl:mode acl:Read, acl:Write . \
                 :b a acl:Authorization; acl:origin <https://app.example>; acl:accessTo <./>; acl:mode acl:Read .";
    let of_another = ":a a acl:Authorization; acl:agent <https://an.example/#me>; acl:accessTo <./>; acl:mode acl:Read . \
                 :b a acl:Authorization; acl:agent <https://bo.example/#me>; acl:origin <https://app.example>; acl:accessTo <./>; acl:mode acl:Read .";
    let public = ":a a acl:Authorization; acl:agentClass foaf:Agent; acl:accessTo <./>; acl:mode acl:Read . \
                  :b a acl:Authorization; acl:agent <https://an.example/#me>; acl:accessTo <./>; acl:mode acl:Write .";
    let cases = [
        (listed, None, "read"),
        (listed, Some("https://app.example"), "read"),
        (listed, Some("https://evil.example"), ""),
        (listed, Some("null"), ""),
        (apart, Some("https://app.example"), "read"),
        (apart, Some("https://evil.example"), ""),
        (apart, None, "read write append"),
        (of_another, Some("https://app.example"), ""),
        (public, Some("https://evil.example"), "read"),
        (public, None, "read write append"),
    ];
    for (body, origin, expected) in cases {
        let subject = Subject {
            origin: origin.map(str::to_owned),
            ..who("an")
        };
        assert_eq!(
            modes(body, &subject, AclTarget::own(ROOT)),
            expected,
            "{origin:?} with {body}"
        );
    }
    // The origin alone is nobody.
    let stranger = Subject {
        origin: Some("https://app.example".into()),
        ..Subject::public()
    };
    assert_eq!(modes(apart, &stranger, AclTarget::own(ROOT)), "");
}

/// Requirement solid 80: every condition must hold.
#[test]
fn conditions() {
    let authorization = |conditions: &str| {
        format!(
            ":a a acl:Authorization; acl:agent <https://an.example/#me>; acl:accessTo <./>; acl:mode acl:Read; \
             acl:condition {conditions} ."
        )
    };
    let client = "[ a acl:ClientCondition; acl:client <https://app.example/id> ]";
    let issuer = "[ a acl:IssuerCondition; acl:issuer <https://idp.example/> ]";
    let both = format!("{client}, {issuer}");
    let cases: [(&str, Option<&str>, Option<&str>, &str); 12] = [
        (client, Some("https://app.example/id"), None, "read"),
        (client, Some("https://other.example/id"), None, ""),
        (client, None, None, ""),
        (issuer, None, Some("https://idp.example/"), "read"),
        (issuer, None, Some("https://idp.example"), ""),
        (
            &both,
            Some("https://app.example/id"),
            Some("https://idp.example/"),
            "read",
        ),
        (
            &both,
            Some("https://app.example/id"),
            Some("https://other.example/"),
            "",
        ),
        (&both, None, Some("https://idp.example/"), ""),
        (
            "[ a acl:ClientCondition; acl:clientClass foaf:Agent ]",
            None,
            None,
            "read",
        ),
        (
            "[ a acl:ClientCondition; acl:clientClass acl:AuthenticatedAgent ]",
            None,
            None,
            "",
        ),
        (
            "[ a acl:ClientCondition; acl:clientGroup <https://g.example/#apps> ]",
            Some("https://app.example/id"),
            None,
            "read",
        ),
        ("[ a acl:ClientCondition ]", Some("https://app.example/id"), None, ""),
    ];
    for (conditions, client, issuer, expected) in cases {
        let subject = Subject {
            client: client.map(str::to_owned),
            issuer: issuer.map(str::to_owned),
            ..who("an")
        };
        let found = modes(&authorization(conditions), &subject, AclTarget::own(ROOT));
        assert_eq!(found, expected, "{conditions} for {client:?} {issuer:?}");
    }
    // Conditions bind the public too.
    let public = format!(
        ":a a acl:Authorization; acl:agentClass foaf:Agent; acl:accessTo <./>; acl:mode acl:Read; acl:condition {client} ."
    );
    assert_eq!(
        acl(&public).unwrap().public_modes(AclTarget::own(ROOT), &groups),
        Modes::NONE
    );
}

/// Requirement solid 81: an unknown type of condition is an error of the document, never ignored.
#[test]
fn unknown_conditions_are_refused() {
    for condition in [
        "[ a acl:TimeCondition ]",
        "[ acl:client <https://app.example/id> ]",
        "<https://elsewhere.example/condition>",
        "\"client\"",
        "[ a acl:ClientCondition, acl:TimeCondition; acl:client <https://app.example/id> ]",
        "[ a acl:ClientCondition, acl:IssuerCondition; acl:client <https://app.example/id> ]",
    ] {
        let body = format!(
            ":a a acl:Authorization; acl:agentClass foaf:Agent; acl:accessTo <./>; acl:mode acl:Read; acl:condition {condition} ."
        );
        let error = acl(&body).unwrap_err();
        assert!(
            matches!(error, AclError::UnknownCondition { line: Some(1), .. }),
            "{condition}: {error}"
        );
        assert!(!error.is_syntax());
    }
}

#[test]
fn broken_documents_name_the_place() {
    let error = Acl::parse(b"<a> <b>\n  oops .", BASE).unwrap_err();
    assert!(matches!(error, AclError::Syntax { line: 2, .. }), "{error}");
    assert!(matches!(Acl::parse(b"", "not an IRI"), Err(AclError::Base(_))));
}

#[test]
fn bounds_are_kept() {
    let text = (0..5)
        .map(|i| format!("<#{i}> a <http://www.w3.org/ns/auth/acl#Authorization>; <http://www.w3.org/ns/auth/acl#agentGroup> <#g{i}> .\n"))
        .collect::<String>();
    let all = AclLimits {
        bytes_max: 10_000,
        triples_max: 10,
        authorizations_max: 5,
        groups_max: 5,
        condition_values_max: 5,
    };
    assert!(Acl::parse_within(text.as_bytes(), BASE, &all).is_ok());
    for (limits, bound) in [
        (AclLimits { bytes_max: 100, ..all }, "bytes_max"),
        (AclLimits { triples_max: 9, ..all }, "triples_max"),
        (
            AclLimits {
                authorizations_max: 4,
                ..all
            },
            "authorizations_max",
        ),
        (AclLimits { groups_max: 4, ..all }, "groups_max"),
    ] {
        let error = Acl::parse_within(text.as_bytes(), BASE, &limits).unwrap_err();
        assert!(error.to_string().contains(bound), "{error}");
    }
}

/// Requirement solid 70: a root ACL must leave someone in control.
#[test]
fn root_control() {
    for (body, expected) in [
        (
            ":a a acl:Authorization; acl:agent <https://an.example/#me>; acl:accessTo <./>; acl:mode acl:Control .",
            true,
        ),
        (
            ":a a acl:Authorization; acl:agent <https://an.example/#me>; acl:default <./>; acl:mode acl:Control .",
            false,
        ),
        (
            ":a a acl:Authorization; acl:accessTo <./>; acl:mode acl:Control .",
            false,
        ),
        (
            ":a a acl:Authorization; acl:agent <https://an.example/#me>; acl:accessTo <./>; acl:mode acl:Write .",
            false,
        ),
        (
            ":a a acl:Authorization; acl:agent <https://an.example/#me>; acl:accessTo <./other>; acl:mode acl:Control .",
            false,
        ),
    ] {
        assert_eq!(acl(body).unwrap().gives_control(ROOT), expected, "{body}");
    }
}

/// Requirement solid 80: a condition that many authorizations share costs each of them, so that the sum is bounded.
#[test]
fn shared_conditions_are_bounded() {
    let shared = |authorizations: usize, values: usize| {
        let mut text = ":c a acl:ClientCondition .".to_owned();
        for value in 0..values {
            text.push_str(&format!(":c acl:client <https://app.example/{value}> ."));
        }
        for one in 0..authorizations {
            text.push_str(&format!(":a{one} a acl:Authorization; acl:condition :c ."));
        }
        acl(&text)
    };
    assert!(shared(90, 100).is_ok());
    let error = shared(900, 5_000).unwrap_err();
    assert!(error.to_string().contains("condition_values_max"), "{error}");
}
