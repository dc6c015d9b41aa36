//! A second evaluator, slow and plain: it asks the graph itself whether an authorization matches, one mode at a time, as
//! the example queries of the specification do. Properties hold the first one to it.

use oxrdf::{NamedOrBlankNode, Term, Triple};
use oxttl::TurtleParser;
use proptest::prelude::*;
use vocab::{acl, foaf, rdf};

use super::*;
use crate::request::{Agent, Subject, WebId};

const BASE: &str = "https://pod.example/jan/.acl";
const ROOT: &str = "https://pod.example/jan/";
const MODES: [&str; 4] = [acl::READ, acl::APPEND, acl::WRITE, acl::CONTROL];

struct Graph(Vec<Triple>);

impl Graph {
    fn has(&self, subject: &NamedOrBlankNode, predicate: &str, object: &str) -> bool {
        self.objects(subject, predicate).iter().any(|one| one == object)
    }

    fn objects(&self, subject: &NamedOrBlankNode, predicate: &str) -> Vec<String> {
        let about = |triple: &&Triple| triple.subject == *subject && triple.predicate.as_str() == predicate;
        let iri = |triple: &Triple| match &triple.object {
            Term::NamedNode(node) => Some(node.as_str().to_owned()),
            _ => None,
        };
        self.0.iter().filter(about).filter_map(iri).collect()
    }

    fn conditions(&self, subject: &NamedOrBlankNode) -> Vec<NamedOrBlankNode> {
        let about = |triple: &&Triple| triple.subject == *subject && triple.predicate.as_str() == acl::CONDITION;
        let node = |triple: &Triple| match &triple.object {
            Term::NamedNode(node) => Some(node.clone().into()),
            Term::BlankNode(node) => Some(node.clone().into()),
            _ => None,
        };
        self.0.iter().filter(about).filter_map(node).collect()
    }

    /// The authorizations about a target that give a mode and whose conditions hold.
    fn giving(&self, target: AclTarget<'_>, mode: &str, subject: &Subject) -> Vec<NamedOrBlankNode> {
        let mut found: Vec<NamedOrBlankNode> = self.0.iter().map(|triple| triple.subject.clone()).collect();
        found.dedup();
        let scope = if target.inherited { acl::DEFAULT } else { acl::ACCESS_TO };
        found.retain(|one| {
            let gives = self.has(one, acl::MODE, mode)
                // Append is a part of Write.
                || (mode == acl::APPEND && self.has(one, acl::MODE, acl::WRITE));
            self.has(one, rdf::TYPE, acl::AUTHORIZATION)
                && self.has(one, scope, target.resource)
                && gives
                && self
                    .conditions(one)
                    .iter()
                    .all(|condition| self.holds(condition, subject))
        });
        found
    }

    fn holds(&self, condition: &NamedOrBlankNode, subject: &Subject) -> bool {
        let (value, listed, group, class) = if self.has(condition, rdf::TYPE, acl::CLIENT_CONDITION) {
            (&subject.client, acl::CLIENT, acl::CLIENT_GROUP, acl::CLIENT_CLASS)
        } else {
            (&subject.issuer, acl::ISSUER, acl::ISSUER_GROUP, acl::ISSUER_CLASS)
        };
        if self.has(condition, class, foaf::AGENT_CLASS) {
            return true;
        }
        let Some(value) = value else { return false };
        self.has(condition, class, acl::AUTHENTICATED_AGENT)
            || self.has(condition, listed, value)
            || self
                .objects(condition, group)
                .iter()
                .any(|group| member(group, value) == Some(true))
    }

    fn names_agent(&self, authorization: &NamedOrBlankNode, subject: &Subject) -> bool {
        if self.has(authorization, acl::AGENT_CLASS, foaf::AGENT_CLASS) {
            return true;
        }
        let Agent::Authenticated(web_id) = &subject.agent else {
            return false;
        };
        self.has(authorization, acl::AGENT_CLASS, acl::AUTHENTICATED_AGENT)
            || self.has(authorization, acl::AGENT, web_id.as_str())
            || self
                .objects(authorization, acl::AGENT_GROUP)
                .iter()
                .any(|group| member(group, web_id.as_str()) == Some(true))
    }

    fn names_nobody(&self, authorization: &NamedOrBlankNode) -> bool {
        let class = self.objects(authorization, acl::AGENT_CLASS);
        self.objects(authorization, acl::AGENT).is_empty()
            && self.objects(authorization, acl::AGENT_GROUP).is_empty()
            && !class
                .iter()
                .any(|class| class == foaf::AGENT_CLASS || class == acl::AUTHENTICATED_AGENT)
    }

    /// Whether a mode is given (WAC §5.3).
    fn grants(&self, target: AclTarget<'_>, mode: &str, subject: &Subject) -> bool {
        let to_agent = self
            .giving(target, mode, subject)
            .iter()
            .any(|one| self.names_agent(one, subject));
        let Some(origin) = subject.origin.as_deref().filter(|_| to_agent) else {
            return to_agent;
        };
        let to_all = self
            .giving(target, mode, &Subject::public())
            .iter()
            .any(|one| self.has(one, acl::AGENT_CLASS, foaf::AGENT_CLASS));
        to_all
            || self.giving(target, mode, subject).iter().any(|one| {
                self.has(one, acl::ORIGIN, origin) && (self.names_nobody(one) || self.names_agent(one, subject))
            })
    }
}

fn member(group: &str, value: &str) -> Option<bool> {
    match group {
        "https://g.example/#friends" => Some(value == "https://an.example/#me"),
        "https://g.example/#apps" => Some(value == "https://app.example/id"),
        _ => None,
    }
}

fn some_of(values: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(values.to_vec(), 0..=2)
}

const SUBJECTS: [&str; 8] = [
    "acl:agent <https://an.example/#me>",
    "acl:agent <https://bo.example/#me>",
    "acl:agentClass foaf:Agent",
    "acl:agentClass acl:AuthenticatedAgent",
    "acl:agentClass foaf:Person",
    "acl:agentGroup <https://g.example/#friends>",
    "acl:agentGroup <https://g.example/#unknown>",
    "acl:origin <https://app.example>",
];
const SCOPES: [&str; 4] = [
    "acl:accessTo <./>",
    "acl:default <./>",
    "acl:accessTo <./x>",
    "acl:default <./y/>",
];
const GIVEN: [&str; 5] = [
    "acl:mode acl:Read",
    "acl:mode acl:Append",
    "acl:mode acl:Write",
    "acl:mode acl:Control",
    "acl:mode acl:Delete",
];
const CONDITIONS: [&str; 6] = [
    "acl:condition [ a acl:ClientCondition ; acl:client <https://app.example/id> ]",
    "acl:condition [ a acl:ClientCondition ; acl:clientGroup <https://g.example/#apps> ]",
    "acl:condition [ a acl:ClientCondition, acl:Condition ; acl:clientClass foaf:Agent ]",
    "acl:condition [ a acl:IssuerCondition ; acl:issuer <https://idp.example/> ]",
    "acl:condition [ a acl:IssuerCondition ; acl:issuerClass acl:AuthenticatedAgent ]",
    "acl:condition [ a acl:IssuerCondition ]",
];

/// The statements of one authorization but its conditions, and these.
type Parts = (Vec<&'static str>, Vec<&'static str>);

fn any_authorization() -> impl Strategy<Value = Parts> {
    (
        some_of(&SUBJECTS),
        some_of(&SCOPES),
        some_of(&GIVEN),
        some_of(&CONDITIONS),
    )
        .prop_map(|(subjects, scopes, given, conditions)| ([subjects, scopes, given].concat(), conditions))
}

fn any_subject() -> impl Strategy<Value = Subject> {
    let agent = proptest::option::of(proptest::sample::select(vec!["an", "bo", "co"]));
    let client = proptest::option::of(proptest::sample::select(vec![
        "https://app.example/id",
        "https://b.example/",
    ]));
    let issuer = proptest::option::of(Just("https://idp.example/"));
    let origin = proptest::option::of(proptest::sample::select(vec![
        "https://app.example",
        "https://evil.example",
    ]));
    (agent, client, issuer, origin).prop_map(|(agent, client, issuer, origin)| Subject {
        agent: agent.map_or(Agent::Public, |name| {
            Agent::Authenticated(WebId::parse(format!("https://{name}.example/#me")).unwrap())
        }),
        client: client.map(str::to_owned),
        issuer: issuer.map(str::to_owned),
        origin: origin.map(str::to_owned),
    })
}

fn written(authorizations: &[Parts]) -> String {
    let mut text =
        "@prefix acl: <http://www.w3.org/ns/auth/acl#> . @prefix foaf: <http://xmlns.com/foaf/0.1/> .\n".to_owned();
    for (number, (statements, conditions)) in authorizations.iter().enumerate() {
        text.push_str(&format!("<#a{number}> a acl:Authorization"));
        for statement in statements.iter().chain(conditions) {
            text.push_str(&format!(" ; {statement}"));
        }
        text.push_str(" .\n");
    }
    text
}

fn modes(authorizations: &[Parts], subject: &Subject, inherited: bool) -> Modes {
    let acl = Acl::parse(written(authorizations).as_bytes(), BASE).unwrap();
    acl.modes(subject, target(inherited), &member)
}

fn target(inherited: bool) -> AclTarget<'static> {
    AclTarget {
        resource: ROOT,
        inherited,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Requirements solid 71-73, 78, 80, 82: the slow evaluator finds the same modes, one by one.
    #[test]
    fn both_evaluators_agree(
        authorizations in proptest::collection::vec(any_authorization(), 0..6),
        subject in any_subject(),
        inherited in any::<bool>(),
    ) {
        let text = written(&authorizations);
        let parser = TurtleParser::new().with_base_iri(BASE).unwrap();
        let graph = Graph(parser.for_slice(&text).map(Result::unwrap).collect());
        let found = modes(&authorizations, &subject, inherited);
        for mode in MODES {
            let expected = graph.grants(target(inherited), mode, &subject);
            prop_assert_eq!(found.contains(Modes::from_iri(mode).unwrap()), expected, "{}", mode);
        }
    }

    /// Requirement solid 80: one more condition never widens.
    #[test]
    fn a_condition_never_widens(
        authorizations in proptest::collection::vec(any_authorization(), 1..5),
        extra in proptest::sample::select(CONDITIONS.to_vec()),
        pick in 0..5_usize,
        subject in any_subject(),
        inherited in any::<bool>(),
    ) {
        let mut stricter = authorizations.clone();
        let index = pick % stricter.len();
        stricter[index].1.push(extra);
        let (wide, narrow) = (modes(&authorizations, &subject, inherited), modes(&stricter, &subject, inherited));
        prop_assert!(wide.contains(narrow), "{narrow} is not within {wide}");
    }

    /// Requirements solid 71, 72: the order of authorizations does not matter, and one more never narrows.
    #[test]
    fn authorizations_only_add(
        authorizations in proptest::collection::vec(any_authorization(), 0..5),
        extra in any_authorization(),
        subject in any_subject(),
        inherited in any::<bool>(),
    ) {
        let mut turned = authorizations.clone();
        turned.reverse();
        let before = modes(&authorizations, &subject, inherited);
        prop_assert_eq!(before, modes(&turned, &subject, inherited));
        turned.push(extra);
        prop_assert!(modes(&turned, &subject, inherited).contains(before));
    }

    /// Requirement solid 78: an origin never widens.
    #[test]
    fn an_origin_never_widens(
        authorizations in proptest::collection::vec(any_authorization(), 0..6),
        subject in any_subject(),
        inherited in any::<bool>(),
    ) {
        let without = Subject { origin: None, ..subject.clone() };
        let (wide, narrow) = (modes(&authorizations, &without, inherited), modes(&authorizations, &subject, inherited));
        prop_assert!(wide.contains(narrow), "{narrow} is not within {wide}");
    }
}
