//! Who may do what by an access control list, in rows that people can read, and small changes to such a list.
//!
//! This module only reads and makes statements; deciding and storing are done elsewhere. What it does not understand it
//! leaves as it is: authorizations with conditions or origins are shown and never changed.

use std::collections::{HashMap, HashSet};

use oxrdf::{BlankNode, NamedNode, NamedOrBlankNode, Quad, Term};
use policies::wac::Modes;

use vocab::acl;

/// For whom access is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Anyone at all.
    Everyone,
    /// Whoever has logged in somewhere.
    LoggedIn,
    /// The owner of a WebID.
    Agent(String),
    /// The members of a group document.
    Group(String),
}

impl Who {
    fn of(predicate: &str, object: &Term) -> Option<Self> {
        let Term::NamedNode(node) = object else { return None };
        match (predicate, node.as_str()) {
            (acl::AGENT, iri) => Some(Self::Agent(iri.to_owned())),
            (acl::AGENT_GROUP, iri) => Some(Self::Group(iri.to_owned())),
            (acl::AGENT_CLASS, vocab::foaf::AGENT_CLASS) => Some(Self::Everyone),
            (acl::AGENT_CLASS, acl::AUTHENTICATED_AGENT) => Some(Self::LoggedIn),
            _ => None,
        }
    }

    fn statement(&self) -> (&'static str, &str) {
        match self {
            Self::Everyone => (acl::AGENT_CLASS, vocab::foaf::AGENT_CLASS),
            Self::LoggedIn => (acl::AGENT_CLASS, acl::AUTHENTICATED_AGENT),
            Self::Agent(iri) => (acl::AGENT, iri),
            Self::Group(iri) => (acl::AGENT_GROUP, iri),
        }
    }
}

/// What somebody may do, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share {
    /// Who.
    pub who: Who,
    /// What.
    pub modes: Modes,
    /// Whether it counts for the thing itself.
    pub here: bool,
    /// Whether it counts for what lies in the folder.
    pub below: bool,
    /// Whether further conditions have to be met.
    pub conditional: bool,
}

/// Where a list counts: its own IRI, what it is about, and whether that is a container.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// IRI of the list.
    pub list: &'a str,
    /// IRI of what it is about.
    pub target: &'a str,
    /// Whether that is a container.
    pub container: bool,
}

/// What a list says about its target, one row for each subject and authorization.
#[must_use]
pub fn shares(statements: &[Quad], place: Place<'_>) -> Vec<Share> {
    let mut found = Vec::new();
    for subject in authorizations(statements) {
        let about = of(statements, subject);
        let names = |predicate: &str| {
            about
                .iter()
                .any(|quad| quad.predicate.as_str() == predicate && is(&quad.object, place.target))
        };
        let (here, below) = (names(acl::ACCESS_TO), place.container && names(acl::DEFAULT));
        let modes = modes(&about);
        if (!here && !below) || modes.is_empty() {
            continue;
        }
        for quad in &about {
            if let Some(who) = Who::of(quad.predicate.as_str(), &quad.object) {
                found.push(Share {
                    who,
                    modes,
                    here,
                    below,
                    conditional: conditional(&about),
                });
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The list of a container, as it counts for something in it, turned into a list of its own for that thing.
#[must_use]
pub fn inherited(statements: &[Quad], holder: &str, place: Place<'_>) -> Vec<Quad> {
    let mut made = Vec::new();
    let mut attached = Attached::new(statements);
    for (number, subject) in authorizations(statements).into_iter().enumerate() {
        let about = of(statements, subject);
        let counts = about
            .iter()
            .any(|quad| quad.predicate.as_str() == acl::DEFAULT && is(&quad.object, holder));
        if !counts {
            continue;
        }
        let node = NamedNode::new_unchecked(format!("{}#rule-{}", place.list, number + 1));
        for quad in &about {
            if !matches!(quad.predicate.as_str(), acl::DEFAULT | acl::ACCESS_TO) {
                made.push(Quad {
                    subject: node.clone().into(),
                    ..(*quad).clone()
                });
                attached.follow(&quad.object, &mut made);
            }
        }
        made.extend(targets(&node, place));
    }
    made
}

/// Takes access away from somebody: from every authorization without further conditions that names the target.
pub fn revoke(statements: &mut Vec<Quad>, place: Place<'_>, who: &Who) {
    let (predicate, iri) = who.statement();
    let mut gone = Vec::new();
    for subject in authorizations(statements) {
        let about = of(statements, subject);
        let named = about.iter().any(|quad| {
            matches!(quad.predicate.as_str(), acl::ACCESS_TO | acl::DEFAULT) && is(&quad.object, place.target)
        });
        let holds = |quad: &Quad| quad.predicate.as_str() == predicate && is(&quad.object, iri);
        if named && !conditional(&about) && about.iter().any(|quad| holds(quad)) {
            let others = about
                .iter()
                .any(|quad| !holds(quad) && Who::of(quad.predicate.as_str(), &quad.object).is_some());
            gone.push((subject.clone(), others));
        }
    }
    statements.retain(|quad| {
        gone.iter().all(|(subject, others)| {
            let only_this = quad.predicate.as_str() == predicate && is(&quad.object, iri);
            quad.subject != *subject || (*others && !only_this)
        })
    });
}

/// Gives access to somebody, in place of what they had. `name` is a new part of the list's IRI.
pub fn grant(statements: &mut Vec<Quad>, place: Place<'_>, who: &Who, modes: Modes, name: &str) {
    revoke(statements, place, who);
    let node = NamedNode::new_unchecked(format!("{}#{name}", place.list));
    let (predicate, iri) = who.statement();
    let say = |predicate: &str, object: &str| quad(&node, predicate, object);
    statements.push(say(vocab::rdf::TYPE, acl::AUTHORIZATION));
    statements.push(say(predicate, iri));
    statements.extend(targets(&node, place));
    // Write says Append too; the shorter list is the clearer one.
    let writes = modes.contains(Modes::WRITE);
    statements.extend(
        modes
            .iris()
            .filter(|mode| !(writes && *mode == acl::APPEND))
            .map(|mode| say(acl::MODE, mode)),
    );
}

fn targets(node: &NamedNode, place: Place<'_>) -> Vec<Quad> {
    let mut made = vec![quad(node, acl::ACCESS_TO, place.target)];
    if place.container {
        made.push(quad(node, acl::DEFAULT, place.target));
    }
    made
}

fn quad(subject: &NamedNode, predicate: &str, object: &str) -> Quad {
    Quad {
        subject: subject.clone().into(),
        predicate: NamedNode::new_unchecked(predicate),
        object: NamedNode::new_unchecked(object).into(),
        graph_name: oxrdf::GraphName::DefaultGraph,
    }
}

fn authorizations(statements: &[Quad]) -> Vec<&NamedOrBlankNode> {
    let mut found: Vec<&NamedOrBlankNode> = Vec::new();
    for quad in statements {
        let typed = quad.predicate.as_str() == vocab::rdf::TYPE && is(&quad.object, acl::AUTHORIZATION);
        if typed && !found.contains(&&quad.subject) {
            found.push(&quad.subject);
        }
    }
    found
}

fn of<'q>(statements: &'q [Quad], subject: &NamedOrBlankNode) -> Vec<&'q Quad> {
    statements.iter().filter(|quad| quad.subject == *subject).collect()
}

/// What is said about nodes without a name, such as conditions: it goes where they go. Each node is followed once, however they
/// are chained and whoever shares them.
struct Attached<'q> {
    about: HashMap<&'q BlankNode, Vec<&'q Quad>>,
    known: HashSet<&'q BlankNode>,
}

impl<'q> Attached<'q> {
    fn new(statements: &'q [Quad]) -> Self {
        let mut about: HashMap<&BlankNode, Vec<&Quad>> = HashMap::new();
        for quad in statements {
            if let NamedOrBlankNode::BlankNode(node) = &quad.subject {
                about.entry(node).or_default().push(quad);
            }
        }
        Self {
            about,
            known: HashSet::new(),
        }
    }

    fn follow(&mut self, object: &'q Term, made: &mut Vec<Quad>) {
        let mut waiting = vec![object];
        while let Some(term) = waiting.pop() {
            let Term::BlankNode(node) = term else { continue };
            if !self.known.insert(node) {
                continue;
            }
            for quad in self.about.get(node).into_iter().flatten() {
                made.push((*quad).clone());
                waiting.push(&quad.object);
            }
        }
    }
}

fn modes(about: &[&Quad]) -> Modes {
    about
        .iter()
        .filter(|quad| quad.predicate.as_str() == acl::MODE)
        .filter_map(|quad| match &quad.object {
            Term::NamedNode(node) => Modes::from_iri(node.as_str()),
            _ => None,
        })
        .fold(Modes::NONE, |sum, mode| sum | mode)
}

fn conditional(about: &[&Quad]) -> bool {
    about
        .iter()
        .any(|quad| matches!(quad.predicate.as_str(), acl::CONDITION | acl::ORIGIN))
}

fn is(object: &Term, iri: &str) -> bool {
    matches!(object, Term::NamedNode(node) if node.as_str() == iri)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use oxttl::TurtleParser;
    use policies::request::{Agent, Subject, WebId};
    use policies::wac::{Acl, AclTarget};

    use super::*;

    const FOLDER: &str = "https://pod.example/gent/a/";
    const FOLDER_LIST: &str = "https://pod.example/gent/a/.acl";
    const FILE: &str = "https://pod.example/gent/a/b";
    const OWNER: &str = "https://pod.example/gent/profile/card#me";
    const ANN: &str = "https://ann.example/#me";

    /// T67: conditions that hang on each other like a chain, and bite their own tail.
    #[test]
    fn a_chain_of_nodes_is_followed_once() {
        const LINKS: usize = 10_000;
        let mut text = format!(
            "<#a> a acl:Authorization; acl:agent <{ANN}>; acl:default <{FOLDER}>; acl:mode acl:Read; acl:condition _:n0 .\n"
        );
        for link in 0..LINKS {
            text.push_str(&format!("_:n{link} acl:condition _:n{}, _:n0 .\n", link + 1));
        }
        let statements = parse(&text, FOLDER_LIST);
        let place = Place {
            list: "https://pod.example/gent/a/b.acl",
            target: FILE,
            container: false,
        };
        assert_eq!(inherited(&statements, FOLDER, place).len(), 5 + 2 * LINKS);
    }

    fn parse(text: &str, base: &str) -> Vec<Quad> {
        let prefixed = format!(
            "@prefix acl: <http://www.w3.org/ns/auth/acl#>. @prefix foaf: <http://xmlns.com/foaf/0.1/>. {text}"
        );
        TurtleParser::new()
            .with_base_iri(base)
            .unwrap()
            .for_slice(prefixed.as_bytes())
            .map(|triple| triple.unwrap().in_graph(oxrdf::GraphName::DefaultGraph))
            .collect()
    }

    fn folder() -> Vec<Quad> {
        let owner = format!(
            "<#owner> a acl:Authorization; acl:agent <{OWNER}>; acl:accessTo <./>; acl:default <./>; \
             acl:mode acl:Read, acl:Write, acl:Control."
        );
        let others = format!(
            "<#two> a acl:Authorization; acl:agent <{ANN}>; acl:agentClass foaf:Agent; acl:accessTo <./>; \
             acl:mode acl:Read. \
             <#app> a acl:Authorization; acl:agent <{ANN}>; acl:accessTo <./>; acl:default <./>; acl:mode acl:Write; \
             acl:condition [ a acl:ClientCondition; acl:client <https://app.example/id> ]."
        );
        parse(&format!("{owner} {others}"), FOLDER_LIST)
    }

    fn place(list: &'static str, target: &'static str) -> Place<'static> {
        Place {
            list,
            target,
            container: target.ends_with('/'),
        }
    }

    fn decided(statements: &[Quad], target: &str, who: Option<&str>) -> Modes {
        let triples: Vec<_> = statements.iter().cloned().map(oxrdf::Triple::from).collect();
        let acl = Acl::from_triples(&triples, &policies::wac::AclLimits::default()).unwrap();
        let subject = Subject {
            agent: who.map_or(Agent::Public, |who| Agent::Authenticated(WebId::parse(who).unwrap())),
            ..Subject::default()
        };
        acl.modes(&subject, AclTarget::own(target), &|_: &str, _: &str| Some(false))
    }

    #[test]
    fn rows_say_who_may_do_what_and_where() {
        let rows = shares(&folder(), place(FOLDER_LIST, FOLDER));
        let row = |who: Who, modes, below, conditional| Share {
            who,
            modes,
            here: true,
            below,
            conditional,
        };
        assert_eq!(
            rows,
            [
                row(Who::Everyone, Modes::READ, false, false),
                row(Who::Agent(ANN.to_owned()), Modes::READ, false, false),
                row(Who::Agent(ANN.to_owned()), Modes::WRITE, true, true),
                row(Who::Agent(OWNER.to_owned()), Modes::ALL, true, false),
            ]
        );
    }

    /// Each change does what it says to the decision, and nothing to anybody else's.
    #[test]
    fn changes_count_for_the_one_who_is_named() {
        let here = place(FOLDER_LIST, FOLDER);
        let mut list = folder();
        grant(
            &mut list,
            here,
            &Who::Agent(ANN.to_owned()),
            Modes::READ | Modes::APPEND,
            "share-1",
        );
        assert_eq!(decided(&list, FOLDER, Some(ANN)), Modes::READ | Modes::APPEND);
        assert_eq!(
            decided(&list, FOLDER, None),
            Modes::READ,
            "the other subject of the rule stays"
        );
        assert_eq!(decided(&list, FOLDER, Some(OWNER)), Modes::ALL);
        assert_eq!(shares(&list, here).iter().filter(|share| share.conditional).count(), 1);
        revoke(&mut list, here, &Who::Everyone);
        assert_eq!(decided(&list, FOLDER, None), Modes::NONE);
        revoke(&mut list, here, &Who::Agent(ANN.to_owned()));
        assert_eq!(decided(&list, FOLDER, Some(ANN)), Modes::NONE);
        assert_eq!(decided(&list, FOLDER, Some(OWNER)), Modes::ALL);
    }

    /// A list of its own begins as what counted before, conditions included.
    #[test]
    fn an_own_list_begins_as_the_inherited_one() {
        let there = place("https://pod.example/gent/a/b.acl", FILE);
        let list = inherited(&folder(), FOLDER, there);
        assert_eq!(decided(&list, FILE, Some(OWNER)), Modes::ALL);
        assert_eq!(
            decided(&list, FILE, None),
            Modes::NONE,
            "`accessTo` of the folder is not inherited"
        );
        let rows = shares(&list, there);
        assert_eq!(rows.len(), 2, "{rows:?}");
        assert!(rows.iter().any(|share| share.conditional && !share.below));
    }
}
