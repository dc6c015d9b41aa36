//! Tables for Access Control Policies.

use std::sync::Arc;

use super::*;

pub(super) const RESOURCE: &str = "https://pod.example/an/notes/";
pub(super) const DOCUMENT: &str = "https://pod.example/an/notes/.acl";
pub(super) const AN: &str = "https://an.example/#me";
pub(super) const BO: &str = "https://bo.example/#me";
pub(super) const APP: &str = "https://app.example/id";
pub(super) const IDP: &str = "https://idp.example/";

pub(super) fn text(body: &str) -> String {
    format!(
        "@prefix acp: <http://www.w3.org/ns/solid/acp#> .\n@prefix acl: <http://www.w3.org/ns/auth/acl#> .\n\
         @prefix : <#> .\n{body}"
    )
}

fn parse(body: &str) -> Result<AccessControlResource, AcpError> {
    AccessControlResource::parse(text(body).as_bytes(), DOCUMENT, RESOURCE)
}

fn effective(body: &str) -> EffectiveAcp {
    EffectiveAcp {
        own: Some(Arc::new(parse(body).unwrap())),
        ancestors: Vec::new(),
    }
}

fn applying(policy: &str) -> String {
    format!("<> acp:resource <./> ; acp:accessControl [ acp:apply [ {policy} ] ] .")
}

#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) agent: Option<&'static str>,
    pub(super) client: Option<&'static str>,
    pub(super) issuer: Option<&'static str>,
    pub(super) owners: Option<Vec<String>>,
    pub(super) creators: Option<Vec<String>>,
}

impl Who {
    pub(super) const fn public() -> Self {
        Self {
            agent: None,
            client: None,
            issuer: None,
            owners: None,
            creators: None,
        }
    }

    fn named(agent: &'static str) -> Self {
        Self {
            agent: Some(agent),
            owners: Some(vec![AN.to_owned()]),
            creators: Some(vec![BO.to_owned()]),
            ..Self::public()
        }
    }

    fn with(mut self, client: Option<&'static str>, issuer: Option<&'static str>) -> Self {
        (self.client, self.issuer) = (client, issuer);
        self
    }

    pub(super) fn context(&self) -> AcpContext<'_> {
        AcpContext {
            agent: self.agent,
            client: self.client,
            issuer: self.issuer,
            owners: self.owners.as_deref(),
            creators: self.creators.as_deref(),
        }
    }
}

fn modes(body: &str, who: &Who) -> String {
    effective(body).modes(&who.context()).to_string()
}

/// Requirements solid 89, 90.
#[test]
fn matchers() {
    let (public, an, bo) = (Who::public(), Who::named(AN), Who::named(BO));
    let an_with_app = Who::named(AN).with(Some(APP), Some(IDP));
    let unknown = Who {
        owners: None,
        creators: None,
        ..Who::named(AN)
    };
    let cases: [(&str, &Who, bool); 33] = [
        ("acp:agent acp:PublicAgent", &public, true),
        ("acp:agent acp:PublicAgent", &an, true),
        ("acp:agent acp:AuthenticatedAgent", &public, false),
        ("acp:agent acp:AuthenticatedAgent", &an, true),
        ("acp:agent acp:OwnerAgent", &an, true),
        ("acp:agent acp:OwnerAgent", &bo, false),
        ("acp:agent acp:OwnerAgent", &public, false),
        ("acp:agent acp:OwnerAgent", &unknown, false),
        ("acp:agent acp:CreatorAgent", &bo, true),
        ("acp:agent acp:CreatorAgent", &an, false),
        ("acp:agent acp:CreatorAgent", &public, false),
        ("acp:agent acp:CreatorAgent", &unknown, false),
        ("acp:agent <https://an.example/#me>", &an, true),
        ("acp:agent <https://an.example/#me>", &bo, false),
        ("acp:agent <https://an.example/#me>", &public, false),
        (
            "acp:agent <https://an.example/#me>, <https://bo.example/#me>",
            &bo,
            true,
        ),
        ("acp:client acp:PublicClient", &public, true),
        ("acp:client acp:PublicClient", &an_with_app, true),
        ("acp:client acp:AuthenticatedClient", &an, false),
        ("acp:client acp:AuthenticatedClient", &an_with_app, true),
        ("acp:client <https://app.example/id>", &an_with_app, true),
        ("acp:client <https://app.example/id>", &an, false),
        ("acp:client <https://app.example/id#x>", &an_with_app, false),
        ("acp:issuer acp:PublicIssuer", &public, true),
        ("acp:issuer acp:AuthenticatedIssuer", &an, false),
        ("acp:issuer acp:AuthenticatedIssuer", &an_with_app, true),
        ("acp:issuer <https://idp.example/>", &an_with_app, true),
        ("acp:issuer <https://idp.example>", &an_with_app, false),
        (
            "acp:agent <https://an.example/#me> ; acp:client <https://app.example/id>",
            &an_with_app,
            true,
        ),
        (
            "acp:agent <https://an.example/#me> ; acp:client <https://app.example/id>",
            &an,
            false,
        ),
        (
            "acp:agent <https://bo.example/#me> ; acp:client <https://app.example/id>",
            &an_with_app,
            false,
        ),
        // Nothing is known of credentials, and a matcher without attributes matches nobody.
        (
            "acp:agent acp:PublicAgent ; acp:vc <https://vc.example/Member>",
            &an_with_app,
            false,
        ),
        ("a acp:Matcher", &an_with_app, false),
    ];
    for (matcher, who, matches) in cases {
        let found = modes(&applying(&format!("acp:allow acl:Read ; acp:anyOf [ {matcher} ]")), who);
        assert_eq!(
            found,
            if matches { "read" } else { "" },
            "{matcher} for {:?}",
            who.agent
        );
    }
}

/// Requirements solid 87, 88: what is not known neither gives nor takes away a refusal.
#[test]
fn policies() {
    let anyone = "[ acp:agent acp:PublicAgent ]";
    let an = "[ acp:agent <https://an.example/#me> ]";
    let bo = "[ acp:agent <https://bo.example/#me> ]";
    let credential = "[ acp:vc <https://vc.example/Member> ]";
    let cases: [(String, &str); 16] = [
        (format!("acp:allow acl:Read ; acp:allOf {an}"), "read"),
        (format!("acp:allow acl:Read ; acp:allOf {an}, {anyone}"), "read"),
        (format!("acp:allow acl:Read ; acp:allOf {an}, {bo}"), ""),
        (format!("acp:allow acl:Read ; acp:anyOf {an}, {bo}"), "read"),
        (format!("acp:allow acl:Read ; acp:anyOf {bo}"), ""),
        (format!("acp:allow acl:Read ; acp:allOf {an} ; acp:anyOf {bo}"), ""),
        (
            format!("acp:allow acl:Read ; acp:allOf {an} ; acp:anyOf {anyone}"),
            "read",
        ),
        (format!("acp:allow acl:Read ; acp:anyOf {anyone} ; acp:noneOf {an}"), ""),
        (
            format!("acp:allow acl:Read ; acp:anyOf {anyone} ; acp:noneOf {bo}"),
            "read",
        ),
        // None of alone is never satisfied, nor is a policy without matchers.
        (format!("acp:allow acl:Read ; acp:noneOf {bo}"), ""),
        ("acp:allow acl:Read".to_owned(), ""),
        (
            format!("acp:allow acl:Read ; acp:anyOf {anyone} ; acp:noneOf {credential}"),
            "",
        ),
        (format!("acp:allow acl:Read ; acp:anyOf {an}, {credential}"), "read"),
        (
            format!("acp:allow acl:Read, acl:Write ; acp:deny acl:Write ; acp:anyOf {an}"),
            "read",
        ),
        (
            format!("acp:allow acl:Read ; acp:anyOf {an} ], [ acp:deny acl:Read ; acp:anyOf {credential}"),
            "",
        ),
        (
            format!("acp:allow acl:Read ; acp:anyOf {an} ], [ acp:deny acl:Read ; acp:allOf {bo}, {credential}"),
            "read",
        ),
    ];
    for (policy, expected) in cases {
        assert_eq!(modes(&applying(&policy), &Who::named(AN)), expected, "{policy}");
    }
}

/// Requirements solid 87, 92: each mode counts by its own name; what is left is read with Write including Append.
#[test]
fn modes_are_open_and_exact() {
    let anyone = "acp:anyOf [ acp:agent acp:PublicAgent ]";
    for (allow, deny, expected) in [
        ("acl:Read", "", "read"),
        ("acl:Append", "", "append"),
        ("acl:Write", "", "write append"),
        ("acl:Control", "", "control"),
        ("acl:Read, acl:Write, acl:Control", "", "read write append control"),
        ("acl:Write, acl:Append", "acl:Write", "append"),
        ("acl:Write", "acl:Write", ""),
        ("acl:Control, acl:Read", "acl:Read", "control"),
        ("<https://modes.example/Delete>, acl:Read", "", "read"),
        ("acl:Delete", "", ""),
    ] {
        let denied = if deny.is_empty() {
            String::new()
        } else {
            format!("acp:deny {deny} ;")
        };
        let body = applying(&format!("acp:allow {allow} ; {denied} {anyone}"));
        assert_eq!(modes(&body, &Who::public()), expected, "{allow} without {deny}");
    }
}

/// Requirement solid 86: member access controls of every ancestor count together with the resource's own, and the
/// access controls of an ancestor itself do not.
#[test]
fn inheritance_is_cumulative() {
    let document = |resource: &str, body: &str| {
        let own = format!("{resource}.acl");
        let body = text(&format!("<> acp:resource <{resource}> ; {body}"));
        Arc::new(AccessControlResource::parse(body.as_bytes(), &own, resource).unwrap())
    };
    let root = document(
        "https://pod.example/an/",
        "acp:memberAccessControl [ acp:apply [ acp:allow acl:Read, acl:Write ; acp:anyOf [ acp:agent acp:PublicAgent ] ] ] .",
    );
    let between = document(
        "https://pod.example/an/a/",
        "acp:accessControl [ acp:apply [ acp:deny acl:Read ; acp:anyOf [ acp:agent acp:PublicAgent ] ] ] ;
         acp:memberAccessControl [ acp:apply [ acp:deny acl:Write ; acp:anyOf [ acp:agent acp:PublicAgent ] ] ] .",
    );
    let own = document(
        "https://pod.example/an/a/b",
        "acp:accessControl [ acp:apply [ acp:allow acl:Append ; acp:anyOf [ acp:agent acp:PublicAgent ] ] ] ;
         acp:memberAccessControl [ acp:apply [ acp:allow acl:Control ; acp:anyOf [ acp:agent acp:PublicAgent ] ] ] .",
    );
    let found = |own: Option<&Arc<AccessControlResource>>, ancestors: &[&Arc<AccessControlResource>]| {
        let effective = EffectiveAcp {
            own: own.cloned(),
            ancestors: ancestors.iter().map(|one| Arc::clone(one)).collect(),
        };
        effective.modes(&AcpContext::default()).to_string()
    };
    assert_eq!(found(None, &[&root]), "read write append");
    assert_eq!(found(Some(&between), &[&root]), "write append");
    assert_eq!(found(None, &[&between, &root]), "read");
    assert_eq!(found(Some(&own), &[&root, &between]), "read append");
    assert_eq!(found(None, &[&own, &between, &root]), "read control");
    assert_eq!(found(None, &[]), "");
}

/// Requirement solid 84: a document controls its own resource, in each way to say so.
#[test]
fn what_a_document_controls() {
    let control = "acp:accessControl [ acp:apply [ acp:allow acl:Read ; acp:anyOf [ acp:agent acp:PublicAgent ] ] ]";
    for body in [
        format!("<> acp:resource <./> ; {control} ."),
        format!("<> a acp:AccessControlResource ; {control} ."),
        format!("[] acp:resource <./> ; {control} ."),
        format!("<./> acp:accessControlResource :acr . :acr {control} ."),
    ] {
        assert_eq!(modes(&body, &Who::public()), "read", "{body}");
    }
    assert!(parse("").unwrap().is_empty());
    for body in [
        format!("<> acp:resource <../> ; {control} ."),
        format!("<> acp:resource <./>, <../> ; {control} ."),
        format!(":acr {control} ."),
        format!("[] {control} ."),
    ] {
        assert!(
            matches!(
                parse(&body),
                Err(AcpError::Unenforceable {
                    part: Part::Resource,
                    ..
                })
            ),
            "{body}"
        );
    }
}

/// Requirements solid 84, 91, 92: what would be enforced less than it says is refused with its place.
#[test]
fn faults_have_a_place() {
    let cases: [(&str, u64, &str); 12] = [
        ("acp:deny acl:read", 5, "no mode"),
        ("acp:deny <https://modes.example/Delete>", 5, "no mode"),
        ("acp:deny \"Read\"", 5, "no mode"),
        ("acp:noneOf [ acp:agent \"an\" ]", 5, "matches nobody"),
        ("acp:noneOf [ acp:agent acp:PublicAgents ]", 5, "matches nobody"),
        ("acp:noneOf [ acp:client acp:PublicAgent ]", 5, "matches nobody"),
        ("acp:noneOf [ <https://tags.example/tag> :red ]", 5, "not enforced"),
        ("acp:noneOf :elsewhere", 5, "not described"),
        ("acp:noneOf <https://other.example/matcher>", 5, "not described"),
        ("acp:noneOf \"x\"", 5, "a node is needed"),
        ("acp:until \"2027\"", 5, "not enforced"),
        ("<https://when.example/until> \"2027\"", 5, "not enforced"),
    ];
    for (fault, line, words) in cases {
        let body = format!("<> acp:resource <./> ; acp:accessControl [ acp:apply [\n{fault} ] ] .");
        let error = parse(&body).unwrap_err();
        assert!(
            matches!(&error, AcpError::Unenforceable { line: Some(at), .. } if *at == line),
            "{fault}: {error:?}"
        );
        assert!(error.to_string().contains(words), "{fault}: {error}");
        assert!(!error.is_syntax());
    }
    // Words of an earlier draft, and a policy kept elsewhere.
    for body in [
        "<> acp:resource <./> ; acp:accessMembers :p .",
        "<> acp:resource <./> ; acp:accessControl [ acp:applyMembers :p ] .",
        "<> acp:resource <./> ; acp:accessControl [ acp:apply <https://other.example/policy> ] .",
        "<> acp:resource <./> ; acp:accessControl <https://other.example/control> .",
        ":a a acl:Authorization ; acl:agent <https://an.example/#me> ; acl:accessTo <./> ; acl:mode acl:Read .",
    ] {
        assert!(matches!(parse(body), Err(AcpError::Unenforceable { .. })), "{body}");
    }
    let remark = "<> acp:resource <./> ; <http://www.w3.org/2000/01/rdf-schema#comment> \"mine\" .";
    assert!(parse(remark).is_ok());
    assert!(matches!(parse("<> acp:resource oops"), Err(error) if error.is_syntax()));
    assert!(AccessControlResource::parse(b"", "no IRI", RESOURCE).is_err());
}

#[test]
fn bounds_are_kept() {
    let body = text(
        "<> acp:resource <./> ; acp:accessControl [ acp:apply
           [ acp:allow acl:Read ; acp:anyOf [ acp:agent :a ], [ acp:agent :b ] ], [ acp:allow acl:Write ] ] .",
    );
    let all = AcpLimits::default();
    let parse = |limits: &AcpLimits| AccessControlResource::parse_within(body.as_bytes(), DOCUMENT, RESOURCE, limits);
    assert!(parse(&all).is_ok());
    for (limits, bound) in [
        (AcpLimits { bytes_max: 100, ..all }, "bytes_max"),
        (AcpLimits { triples_max: 9, ..all }, "triples_max"),
        (AcpLimits { policies_max: 1, ..all }, "policies_max"),
        (AcpLimits { matchers_max: 1, ..all }, "matchers_max"),
    ] {
        let error = parse(&limits).unwrap_err();
        assert!(error.to_string().contains(bound), "{error}");
    }
}

/// Requirement solid 70, for policies: the root leaves its owner in control through any application.
#[test]
fn root_control() {
    let control = |policy: &str| parse(&applying(policy)).unwrap().gives_control(AN);
    for (policy, expected) in [
        (
            "acp:allow acl:Control ; acp:anyOf [ acp:agent <https://an.example/#me> ]",
            true,
        ),
        ("acp:allow acl:Control ; acp:anyOf [ acp:agent acp:OwnerAgent ]", true),
        (
            "acp:allow acl:Control ; acp:anyOf [ acp:agent acp:AuthenticatedAgent ]",
            true,
        ),
        (
            "acp:allow acl:Control ; acp:anyOf [ acp:agent <https://bo.example/#me> ]",
            false,
        ),
        (
            "acp:allow acl:Control ; acp:anyOf [ acp:agent acp:CreatorAgent ]",
            false,
        ),
        (
            "acp:allow acl:Control ; acp:anyOf [ acp:agent acp:OwnerAgent ; acp:client <https://app.example/id> ]",
            false,
        ),
        (
            "acp:allow acl:Control ; acp:anyOf [ acp:agent acp:OwnerAgent ] ], \
             [ acp:deny acl:Control ; acp:anyOf [ acp:client acp:PublicClient ] ; \
               acp:noneOf [ acp:client <https://app.example/id> ]",
            false,
        ),
        (
            "acp:allow acl:Control ; acp:anyOf [ acp:agent acp:OwnerAgent ] ], \
             [ acp:deny acl:Control ; acp:anyOf [ acp:vc <https://vc.example/Banned> ]",
            false,
        ),
        (
            "acp:allow acl:Read, acl:Write ; acp:anyOf [ acp:agent acp:OwnerAgent ]",
            false,
        ),
    ] {
        assert_eq!(control(policy), expected, "{policy}");
    }
    let members = "<> acp:resource <./> ; acp:memberAccessControl [ acp:apply [ acp:allow acl:Control ; \
                   acp:anyOf [ acp:agent acp:OwnerAgent ] ] ] .";
    assert!(!parse(members).unwrap().gives_control(AN));
}
