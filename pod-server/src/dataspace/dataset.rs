//! What an owner says about a dataset: a `dcat:Dataset` with its titles, its containers and its offers (DCAT 3 §6.6,
//! ODRL 2.2 §2.1.3). Reading is parsing: whoever holds a [`Dataset`] holds one that obeys every rule below.
//!
//! It never accepts what could not be honoured later: the faults come back with the path at which they lie.

use std::collections::{BTreeMap, BTreeSet};

use oxrdf::{Graph, Literal, NamedNode, NamedOrBlankNode, Term, Triple};
use serde::{Deserialize, Serialize};

use super::graph;
use vocab::{dcat, dcterms, meent, node as term, odrl, rdf};

use crate::name::ResourceName;
use crate::origins::Origins;

/// Longest title in characters.
pub const TITLE_CHARS_MAX: usize = 300;
/// Longest description in characters.
pub const DESCRIPTION_CHARS_MAX: usize = 10_000;
/// Most containers of one dataset.
pub const CONTAINERS_MAX: usize = 1_000;
/// Most offers of one dataset.
pub const OFFERS_MAX: usize = 16;

/// `dcterms:accessRights` of data that anyone may read, in the European authority table (DCAT-AP). The access control
/// lists of the containers have to agree: this only says so.
pub const PUBLIC: &str = "http://publications.europa.eu/resource/authority/access-right/PUBLIC";

/// One fault in a description, at the place where it lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The node that the fault is about.
    pub focus: String,
    /// The property, where one is at fault.
    pub path: Option<String>,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Fault {
    /// A fault of a property of a node.
    pub fn at(focus: impl Into<String>, path: &'static str, message: impl Into<String>) -> Self {
        Self {
            focus: focus.into(),
            path: Some(path.to_owned()),
            message: message.into(),
        }
    }
}

/// A valid description as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    /// IRI of the dataset.
    pub iri: String,
    /// Root of the storage whose owner offers it, `/{storage}/`.
    pub storage: String,
    /// WebID of the owner, who is the assigner of every offer.
    pub owner: String,
    /// Titles by language tag.
    pub titles: BTreeMap<String, String>,
    /// Descriptions by language tag.
    pub descriptions: BTreeMap<String, String>,
    /// Containers by IRI; every document below them belongs to the dataset.
    pub containers: BTreeSet<String>,
    /// Relative containers (`telraam/`) that are looked for in the storage of every consenting data subject.
    pub member_containers: BTreeSet<String>,
    /// IRIs of the offers.
    pub offers: Vec<String>,
    /// Whether an agreement comes about without a person's decision.
    pub automatic: bool,
    /// Who may have an automatic agreement; everyone if empty.
    pub accepted_consumers: BTreeSet<String>,
    /// Whether the catalogue shows a statistical summary of the content.
    pub publish_summary: bool,
    /// Whether the summary comes with hashed lists of the shared identifiers that the content refers to or describes.
    #[serde(default)]
    pub publish_identifiers: bool,
    /// Licence, where the owner names one.
    pub license: Option<String>,
    /// The whole description, offers included, as sorted N-Triples.
    pub triples: String,
    /// Unix seconds of the first version.
    pub issued: i64,
    /// Unix seconds of this version.
    pub modified: i64,
    /// Unix seconds since when it has reached no further than it does: a person who consented to it before that moment
    /// consented to less.
    #[serde(default)]
    pub reach_since: i64,
}

impl Dataset {
    /// The description as a graph.
    ///
    /// # Errors
    /// If the stored text is no longer N-Triples, which means that the store is damaged.
    pub fn graph(&self) -> Result<Graph, graph::GraphError> {
        graph::stored(&self.triples)
    }

    /// Takes over from the version before what an update does not change: when it was first made, and, unless it reaches
    /// further now, since when it has reached this far.
    pub fn continue_from(&mut self, before: &Self) {
        self.issued = before.issued;
        if self.containers.is_subset(&before.containers) && self.member_containers.is_subset(&before.member_containers)
        {
            self.reach_since = before.reach_since;
        }
    }

    /// The title in a language, or in any.
    #[must_use]
    pub fn title(&self, language: &str) -> &str {
        self.titles
            .get(language)
            .or_else(|| self.titles.values().next())
            .map_or("", String::as_str)
    }
}

/// What the server knows about the place where a dataset is to be described.
#[derive(Clone, Debug)]
pub struct Setting<'a> {
    /// IRI that the dataset has or gets.
    pub iri: &'a str,
    /// The owner's storage.
    pub storage: &'a ResourceName,
    /// The owner.
    pub owner: &'a str,
    /// Where the resources of the server are.
    pub origins: &'a Origins,
    /// Whether this owner may describe containers in the storages of others, who decide by their consent.
    pub umbrella: bool,
    /// Unix seconds now.
    pub now: i64,
}

/// Reads a description.
///
/// # Errors
/// Every fault that was found.
pub fn parse(graph: &Graph, setting: &Setting<'_>) -> Result<Dataset, Vec<Fault>> {
    let node = NamedNode::new(setting.iri)
        .map_err(|_| vec![Fault::at(setting.iri, rdf::TYPE, "the address is not an IRI")])?;
    let mut faults = Vec::new();
    let graph = settle_subject(graph, &node).map_err(|fault| vec![fault])?;
    let reader = Reader {
        graph: &graph,
        node: &node,
    };

    let titles = reader.texts(dcterms::TITLE, TITLE_CHARS_MAX, &mut faults);
    if titles.is_empty() && faults.is_empty() {
        faults.push(reader.fault(
            dcterms::TITLE,
            "at least one title with a language tag is needed, such as \"Fietstellingen\"@nl",
        ));
    }
    let descriptions = reader.texts(dcterms::DESCRIPTION, DESCRIPTION_CHARS_MAX, &mut faults);
    let containers = reader.containers(setting, &mut faults);
    let member_containers = reader.member_containers(setting, &mut faults);
    if containers.is_empty() && member_containers.is_empty() && faults.is_empty() {
        faults.push(reader.fault(
            meent::CONTAINER,
            "a dataset needs `meent:container` or `meent:memberContainer`",
        ));
    }
    let offers = reader.iris(odrl::HAS_POLICY, &mut faults);
    let public = reader.iris(dcterms::ACCESS_RIGHTS, &mut faults).contains(PUBLIC);
    if offers.is_empty() && !public && faults.is_empty() {
        let advice = format!("a dataset needs at least one offer, unless its `dcterms:accessRights` are <{PUBLIC}>");
        faults.push(reader.fault(odrl::HAS_POLICY, advice));
    }
    // What a description says about names of others must not reach the catalogue, where all of them stand together.
    let inside = format!("{}#", setting.iri);
    if let Some(foreign) = offers.iter().find(|offer| !offer.starts_with(&inside)) {
        let advice = format!("`{foreign}` is not named inside this dataset: an offer's IRI begins with `{inside}`");
        faults.push(reader.fault(odrl::HAS_POLICY, advice));
    }
    if offers.len() > OFFERS_MAX {
        faults.push(reader.fault(odrl::HAS_POLICY, format!("at most {OFFERS_MAX} offers")));
    }
    let automatic = reader.boolean(meent::AUTOMATIC_AGREEMENT, &mut faults);
    let publish_summary = reader.boolean(meent::PUBLISH_SUMMARY, &mut faults);
    let publish_identifiers = reader.boolean(meent::PUBLISH_IDENTIFIERS, &mut faults);
    let accepted_consumers = reader.iris(meent::ACCEPTED_CONSUMER, &mut faults);
    let mut licenses = reader.iris(dcterms::LICENSE, &mut faults).into_iter();
    let license = licenses.next();
    if licenses.next().is_some() {
        faults.push(reader.fault(dcterms::LICENSE, "at most one licence"));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let graph = with_assigners(graph, &offers, setting.owner);
    let triples = graph::closure(&graph, &NamedOrBlankNode::from(node.clone()), &|named| {
        named.as_str().starts_with(&inside)
    });
    let triples = graph::canonical(triples).map_err(|error| {
        let advice = format!("the description cannot be kept: {error}");
        vec![Fault::at(setting.iri, rdf::TYPE, advice)]
    })?;
    Ok(Dataset {
        iri: setting.iri.to_owned(),
        storage: setting.storage.as_str().to_owned(),
        owner: setting.owner.to_owned(),
        titles,
        descriptions,
        containers,
        member_containers,
        offers: offers.into_iter().collect(),
        automatic,
        accepted_consumers,
        publish_summary,
        publish_identifiers,
        license,
        triples,
        issued: setting.now,
        modified: setting.now,
        reach_since: setting.now,
    })
}

/// Finds the one described dataset, gives it its IRI, and gives offers without an IRI one below the dataset's.
fn settle_subject(graph: &Graph, node: &NamedNode) -> Result<Graph, Fault> {
    let mut described = graph
        .subjects_for_predicate_object(term(rdf::TYPE), term(dcat::DATASET))
        .map(oxrdf::NamedOrBlankNodeRef::into_owned);
    let subject = described
        .next()
        .ok_or_else(|| Fault::at(node.as_str(), rdf::TYPE, "the document describes no `dcat:Dataset`"))?;
    if described.next().is_some() {
        return Err(Fault::at(
            node.as_str(),
            rdf::TYPE,
            "the document describes more than one `dcat:Dataset`",
        ));
    }
    let mut settled = match &subject {
        NamedOrBlankNode::NamedNode(named) if named == node => graph.clone(),
        NamedOrBlankNode::NamedNode(named) => {
            return Err(Fault::at(
                named.as_str(),
                rdf::TYPE,
                format!("the dataset must be called `<>` or `{}`", node.as_str()),
            ));
        }
        NamedOrBlankNode::BlankNode(_) => graph::rename(graph, &subject, node),
    };
    let unnamed: Vec<NamedOrBlankNode> = settled
        .objects_for_subject_predicate(node.as_ref(), term(odrl::HAS_POLICY))
        .filter_map(|object| match object.into_owned() {
            Term::BlankNode(blank) => Some(blank.into()),
            _ => None,
        })
        .collect();
    for (position, offer) in unnamed.iter().enumerate() {
        let name = format!("{}#offer{}", node.as_str(), position + 1);
        settled = graph::rename(&settled, offer, &NamedNode::new_unchecked(name));
    }
    Ok(settled)
}

/// Fills in the owner as the assigner of each offer that names none: nobody else can be.
fn with_assigners(mut graph: Graph, offers: &BTreeSet<String>, owner: &str) -> Graph {
    for offer in offers {
        let offer = NamedNode::new_unchecked(offer.as_str());
        let named = graph
            .object_for_subject_predicate(offer.as_ref(), term(odrl::ASSIGNER))
            .is_some();
        let described = graph.triples_for_subject(offer.as_ref()).next().is_some();
        if described && !named {
            let owner = NamedNode::new_unchecked(owner);
            graph.insert(&Triple::new(offer, term(odrl::ASSIGNER), owner));
        }
    }
    graph
}

/// Reads the properties of one node and collects what is wrong with them.
struct Reader<'a> {
    graph: &'a Graph,
    node: &'a NamedNode,
}

impl Reader<'_> {
    fn fault(&self, path: &'static str, message: impl Into<String>) -> Fault {
        Fault::at(self.node.as_str(), path, message)
    }

    fn values(&self, path: &'static str) -> Vec<Term> {
        self.graph
            .objects_for_subject_predicate(self.node.as_ref(), term(path))
            .map(oxrdf::TermRef::into_owned)
            .collect()
    }

    fn texts(&self, path: &'static str, chars_max: usize, faults: &mut Vec<Fault>) -> BTreeMap<String, String> {
        let mut texts = BTreeMap::new();
        for value in self.values(path) {
            let Term::Literal(literal) = value else {
                faults.push(self.fault(path, "must be a text with a language tag"));
                continue;
            };
            let Some(language) = literal.language() else {
                faults.push(self.fault(path, format!("`{}` has no language tag", shortened(literal.value()))));
                continue;
            };
            if literal.value().trim().is_empty() || literal.value().chars().count() > chars_max {
                faults.push(self.fault(path, format!("must have between 1 and {chars_max} characters")));
            }
            if texts.insert(language.to_owned(), literal.value().to_owned()).is_some() {
                faults.push(self.fault(path, format!("has two texts in `{language}`")));
            }
        }
        texts
    }

    fn iris(&self, path: &'static str, faults: &mut Vec<Fault>) -> BTreeSet<String> {
        let mut iris = BTreeSet::new();
        for value in self.values(path) {
            match value {
                Term::NamedNode(named) => {
                    iris.insert(named.into_string());
                }
                other => faults.push(self.fault(path, format!("`{}` is not an IRI", shortened(&other.to_string())))),
            }
        }
        iris
    }

    fn boolean(&self, path: &'static str, faults: &mut Vec<Fault>) -> bool {
        let values = self.values(path);
        match values.as_slice() {
            [] => false,
            [Term::Literal(literal)] if is_boolean(literal) => matches!(literal.value(), "true" | "1"),
            _ => {
                faults.push(self.fault(path, "must be exactly one of `true` and `false`"));
                false
            }
        }
    }

    fn containers(&self, setting: &Setting<'_>, faults: &mut Vec<Fault>) -> BTreeSet<String> {
        let path = meent::CONTAINER;
        let containers = self.iris(path, faults);
        if containers.len() > CONTAINERS_MAX {
            faults.push(self.fault(path, format!("at most {CONTAINERS_MAX} containers")));
        }
        let mut canonical = BTreeSet::new();
        for container in containers {
            match container_name(&container, setting.origins) {
                Err(reason) => faults.push(self.fault(path, format!("`{container}`: {reason}"))),
                Ok(name) if name.is_within(setting.storage) || setting.umbrella => {
                    canonical.insert(name.iri(setting.origins));
                }
                Ok(_) => faults.push(self.fault(
                    path,
                    format!("`{container}` lies in the storage of someone else, for whom you cannot decide"),
                )),
            }
        }
        canonical
    }

    fn member_containers(&self, setting: &Setting<'_>, faults: &mut Vec<Fault>) -> BTreeSet<String> {
        let path = meent::MEMBER_CONTAINER;
        let mut relative = BTreeSet::new();
        for value in self.values(path) {
            let Term::Literal(literal) = value else {
                faults.push(self.fault(path, "must be a text such as \"telraam/\""));
                continue;
            };
            let text = literal.value();
            // The name is checked in the place where it will be looked for: below a storage.
            let valid = text.ends_with('/')
                && !text.starts_with(['/', '.'])
                && setting
                    .storage
                    .join(text)
                    .is_ok_and(|name| name.as_str().ends_with(text));
            if !valid {
                faults.push(self.fault(
                    path,
                    format!("`{}` is not a relative container such as `telraam/`", shortened(text)),
                ));
            } else if !setting.umbrella {
                faults.push(self.fault(
                    path,
                    "only the owner of an umbrella storage may describe the storages of others",
                ));
            } else {
                relative.insert(text.to_owned());
            }
        }
        relative
    }
}

/// The canonical name of a container of this server, with the reason if it is none.
fn container_name(iri: &str, origins: &Origins) -> Result<ResourceName, String> {
    if !origins.hold(iri) {
        let base = origins.base_url();
        return Err(format!(
            "must begin with `{base}`, because only this server's data can be offered here"
        ));
    }
    let name = ResourceName::from_iri(iri, origins).ok_or("cannot be the name of anything here")?;
    if !name.is_container() || name.is_root() {
        return Err("must be a container, with a closing slash".to_owned());
    }
    if name.as_str().contains("/.") {
        return Err("is reserved".to_owned());
    }
    Ok(name)
}

fn is_boolean(literal: &Literal) -> bool {
    literal.datatype() == oxrdf::vocab::xsd::BOOLEAN && matches!(literal.value(), "true" | "false" | "1" | "0")
}

/// User input in a message, cut to a length that stays readable.
fn shortened(text: &str) -> String {
    let mut cut: String = text.chars().take(80).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::dataspace::graph::{Syntax, read};

    const IRI: &str = "https://pod.example/gent/.dataspace/datasets/fietsen";
    const PREFIXES: &str = "@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dcterms: <http://purl.org/dc/terms/> .
        @prefix odrl: <http://www.w3.org/ns/odrl/2/> . @prefix meent: <https://w3id.org/meent/ns#> .
        @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .";

    fn parsed(turtle: &str, umbrella: bool) -> Result<Dataset, Vec<Fault>> {
        let graph = read(format!("{PREFIXES}\n{turtle}").as_bytes(), Syntax::Turtle, IRI, 1_000).unwrap();
        let storage = ResourceName::parse("/gent/").unwrap();
        let origins = &Origins::new("https://pod.example/");
        let setting = Setting {
            iri: IRI,
            storage: &storage,
            owner: "https://pod.example/gent/profile/card#me",
            origins,
            umbrella,
            now: 1_700_000_000,
        };
        parse(&graph, &setting)
    }

    const GOOD: &str = r#"<> a dcat:Dataset ; dcterms:title "Fietsen"@nl , "Bicycles"@en ;
        meent:container <https://pod.example/gent/fietsen/> ; meent:automaticAgreement true ;
        odrl:hasPolicy [ a odrl:Offer ; odrl:permission [ odrl:action odrl:use ; odrl:target <> ] ] ."#;

    #[test]
    fn a_description_keeps_what_was_said_and_names_its_offer() {
        let dataset = parsed(GOOD, false).unwrap();
        assert_eq!(dataset.titles["nl"], "Fietsen");
        assert_eq!(
            dataset.title("fr"),
            "Bicycles",
            "the first there is, when the language is missing"
        );
        assert_eq!(dataset.offers, [format!("{IRI}#offer1")]);
        assert!(dataset.automatic);
        let again = parsed(&format!("{GOOD} <https://other.example/> a dcat:Catalog ."), false).unwrap();
        assert_eq!(
            again.triples, dataset.triples,
            "what is not about the dataset is left out, and bytes are stable"
        );
        let graph = dataset.graph().unwrap();
        assert_eq!(graph.len(), 11, "ten triples that were said, and the owner as assigner");
    }

    #[test]
    fn faults_come_with_their_path() {
        let cases = [
            (
                GOOD.replace("\"Fietsen\"@nl , \"Bicycles\"@en", "\"Fietsen\""),
                dcterms::TITLE,
            ),
            (GOOD.replace("\"Bicycles\"@en", "\"Rijwielen\"@nl"), dcterms::TITLE),
            (GOOD.replace("gent/fietsen/>", "gent/fietsen>"), meent::CONTAINER),
            (GOOD.replace("gent/fietsen/>", "brugge/fietsen/>"), meent::CONTAINER),
            (GOOD.replace("gent/fietsen/>", "gent/.dataspace/>"), meent::CONTAINER),
            (
                GOOD.replace("https://pod.example/gent/fietsen/", "https://elsewhere.example/gent/"),
                meent::CONTAINER,
            ),
            (
                GOOD.replace("https://pod.example/gent/fietsen/", "https://pod.example/gent/x/../"),
                meent::CONTAINER,
            ),
            (
                GOOD.replace("automaticAgreement true", "automaticAgreement \"yes\""),
                meent::AUTOMATIC_AGREEMENT,
            ),
            (
                GOOD.replace(
                    "meent:container <https://pod.example/gent/fietsen/>",
                    "meent:memberContainer \"telraam/\"",
                ),
                meent::MEMBER_CONTAINER,
            ),
            (GOOD.replace("<> a dcat:Dataset", "<> a dcat:Resource"), rdf::TYPE),
            (GOOD.replace("<> a dcat:Dataset", "<#other> a dcat:Dataset"), rdf::TYPE),
            (format!("{GOOD} <#b> a dcat:Dataset ."), rdf::TYPE),
        ];
        for (turtle, path) in cases {
            let faults = parsed(&turtle, false).unwrap_err();
            assert!(
                faults.iter().any(|fault| fault.path.as_deref() == Some(path)),
                "{turtle}\n{faults:?}"
            );
        }
    }

    #[test]
    fn only_an_umbrella_reaches_into_other_storages() {
        let members = GOOD.replace(
            "meent:container <https://pod.example/gent/fietsen/>",
            "meent:memberContainer \"telraam/\"",
        );
        assert_eq!(parsed(&members, true).unwrap().member_containers.len(), 1);
        for path in ["/telraam/", "telraam", "../gent/", ".consent/", "a//b/", "a%2Fb/"] {
            let turtle = members.replace("telraam/", path);
            assert!(parsed(&turtle, true).is_err(), "{path}");
        }
    }
}
