//! Lists said in policies: the same access for everyone, or a refusal.

use std::sync::Arc;

use proptest::prelude::*;

use super::as_policies::{AsPolicies, Grants, Inexpressible};
use super::*;
use crate::acp::{AccessControlResource, AcpContext, EffectiveAcp};
use crate::request::{Agent, Subject, WebId};

const ROOT: &str = "https://pod.example/jan/";
const BELOW: &str = "https://pod.example/jan/a/";
const DEEP: &str = "https://pod.example/jan/a/x";

fn list(resource: &str, body: &str) -> Acl {
    let text = format!(
        "@prefix acl: <http://www.w3.org/ns/auth/acl#>. @prefix foaf: <http://xmlns.com/foaf/0.1/>. @prefix : <#>.
         @prefix acp: <http://www.w3.org/ns/solid/acp#>. {}",
        body.replace("HERE", &format!("<{resource}>"))
    );
    Acl::parse(text.as_bytes(), &format!("{resource}.acl")).unwrap()
}

fn policies(resource: &str, said: &AsPolicies) -> Arc<AccessControlResource> {
    let document = format!("{resource}.acl");
    let parsed = AccessControlResource::parse(said.turtle.as_bytes(), &document, resource);
    Arc::new(parsed.unwrap_or_else(|error| panic!("{error}\n{}", said.turtle)))
}

fn subjects() -> Vec<Subject> {
    let mut found = vec![Subject::public()];
    for name in ["an", "bo", "co"] {
        for client in [None, Some("https://app.example/id"), Some("https://other.example/id")] {
            for issuer in [None, Some("https://idp.example/")] {
                let mut subject = Subject::authenticated(WebId::parse(format!("https://{name}.example/#me")).unwrap());
                subject.client = client.map(Into::into);
                subject.issuer = issuer.map(Into::into);
                found.push(subject);
            }
        }
    }
    found
}

fn context(subject: &Subject) -> AcpContext<'_> {
    match &subject.agent {
        Agent::Public => AcpContext::default(),
        Agent::Authenticated(web_id) => AcpContext {
            agent: Some(web_id.as_str()),
            client: subject.client.as_deref(),
            issuer: subject.issuer.as_deref(),
            ..AcpContext::default()
        },
    }
}

/// What cannot be said is refused, and says what it is; what can is.
#[test]
fn what_is_wider_in_policies_is_refused() {
    let owner = ":o a acl:Authorization; acl:agent <https://an.example/#me>; acl:accessTo HERE; acl:default HERE;
        acl:mode acl:Read, acl:Write, acl:Control.";
    let above = list(
        ROOT,
        &format!(
            "{owner} :p a acl:Authorization; acl:agentClass foaf:Agent; acl:default HERE;
        acl:mode acl:Read."
        ),
    );
    let above = above.as_policies(ROOT, &Grants::default()).unwrap().handed_down;
    let public =
        ":p a acl:Authorization; acl:agentClass foaf:Agent; acl:accessTo HERE; acl:default HERE; acl:mode acl:Read.";
    let less = |body: &str| {
        matches!(
            list(BELOW, body).as_policies(BELOW, &above),
            Err(Inexpressible::Less(_))
        )
    };
    assert!(!less(&format!("{owner} {public}")));
    assert!(less(owner), "what anyone may read would still be read");
    assert!(less(&format!(
        "{owner} {}",
        public.replace("foaf:Agent", "acl:AuthenticatedAgent")
    )));
    assert!(less(&format!("{owner} {}", public.replace("acl:default HERE;", ""))));
    assert!(less(&format!("{} {public}", owner.replace(", acl:Control", ""))));
    assert!(less(&format!(
        "{owner} {}",
        public.replace(
            "acl:mode",
            "acl:condition [ a acl:ClientCondition; acl:client <https://app.example/id> ]; acl:mode"
        )
    )));
    let nothing = Grants::default();
    for (body, expected) in [
        ("acl:agentGroup <https://g.example/#g>", "group"),
        (
            "acl:agent <https://an.example/#me>; acl:origin <https://app.example>",
            "origin",
        ),
    ] {
        let body = format!(":a a acl:Authorization; {body}; acl:accessTo HERE; acl:mode acl:Read.");
        let refused = list(ROOT, &body).as_policies(ROOT, &nothing).unwrap_err();
        assert!(refused.to_string().contains(expected), "{refused}");
    }
    // Words of policies are nobody's name.
    let words = ":a a acl:Authorization; acl:agent acp:PublicAgent; acl:accessTo HERE; acl:mode acl:Read.
        :b a acl:Authorization; acl:agent <https://an.example/#me>; acl:accessTo HERE; acl:mode acl:Read;
        acl:condition [ a acl:ClientCondition; acl:client acp:PublicClient ].";
    let said = list(ROOT, words).as_policies(ROOT, &nothing).unwrap();
    assert!(policies(ROOT, &said).is_empty(), "{}", said.turtle);
}

fn any_list() -> impl Strategy<Value = String> {
    const AGENTS: [&str; 5] = [
        "acl:agentClass foaf:Agent",
        "acl:agentClass acl:AuthenticatedAgent",
        "acl:agent <https://an.example/#me>",
        "acl:agent <https://bo.example/#me>",
        "acl:agent acp:AuthenticatedAgent",
    ];
    const CONDITIONS: [&str; 6] = [
        "",
        "",
        "acl:condition [ a acl:ClientCondition; acl:client <https://app.example/id>, <https://other.example/id> ];",
        "acl:condition [ a acl:ClientCondition; acl:client <https://app.example/id> ];",
        "acl:condition [ a acl:ClientCondition; acl:clientClass acl:AuthenticatedAgent ];",
        "acl:condition [ a acl:IssuerCondition; acl:issuer <https://idp.example/> ];",
    ];
    let pick = |from: &'static [&'static str]| proptest::sample::select(from.to_vec());
    let authorization = (
        proptest::sample::subsequence(AGENTS.to_vec(), 0..=2),
        pick(&CONDITIONS),
        pick(&[
            "acl:accessTo HERE; acl:default HERE;",
            "acl:accessTo HERE;",
            "acl:default HERE;",
        ]),
        proptest::sample::subsequence(vec!["acl:Read", "acl:Append", "acl:Write", "acl:Control"], 1..=3),
    );
    proptest::collection::vec(authorization, 0..4).prop_map(|all| {
        let mut text = String::new();
        for (number, (agents, condition, scope, modes)) in all.into_iter().enumerate() {
            text.push_str(&format!(
                ":a{number} a acl:Authorization; {condition} {scope} acl:mode {}",
                modes.join(", ")
            ));
            for agent in agents {
                text.push_str(&format!("; {agent}"));
            }
            text.push_str(" .\n");
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Wherever lists of a container, of one in it and of a document there are said in policies, everybody has the same
    /// modes on all of them and on what has no list of its own.
    #[test]
    fn everybody_has_the_same_access(top in any_list(), middle in any_list(), deep in any_list(), shared in any::<bool>()) {
        // A list that repeats what is above is not refused.
        let top_list = list(ROOT, &top);
        let again = |text: &str| if shared { format!("{text}\n{}", top.replace(":a", ":t")) } else { text.to_owned() };
        let (middle, deep) = (list(BELOW, &again(&middle)), list(DEEP, &again(&deep)));
        let Ok(top_said) = top_list.as_policies(ROOT, &Grants::default()) else { return Ok(()) };
        let Ok(middle_said) = middle.as_policies(BELOW, &top_said.handed_down) else { return Ok(()) };
        let top_said = policies(ROOT, &top_said);
        let deep_said = deep.as_policies(DEEP, &middle_said.handed_down).ok().map(|said| policies(DEEP, &said));
        let middle_said = policies(BELOW, &middle_said);
        let effective = |own: Option<&Arc<AccessControlResource>>, ancestors: &[&Arc<AccessControlResource>]| EffectiveAcp {
            own: own.cloned(),
            ancestors: ancestors.iter().map(|one| Arc::clone(one)).collect(),
        };
        let mut cases = vec![
            (&top_list, AclTarget::own(ROOT), effective(Some(&top_said), &[])),
            (&top_list, AclTarget::inherited(ROOT), effective(None, &[&top_said])),
            (&middle, AclTarget::own(BELOW), effective(Some(&middle_said), &[&top_said])),
            (&middle, AclTarget::inherited(BELOW), effective(None, &[&middle_said, &top_said])),
        ];
        if let Some(deep_said) = &deep_said {
            cases.push((&deep, AclTarget::own(DEEP), effective(Some(deep_said), &[&middle_said, &top_said])));
        }
        for subject in subjects() {
            for (list, target, effective) in &cases {
                prop_assert_eq!(
                    list.modes(&subject, *target, &|_, _| None),
                    effective.modes(&context(&subject)),
                    "{:?} {:?}", subject, target
                );
            }
        }
    }
}
