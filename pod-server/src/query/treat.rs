//! What becomes of values and names in a view, by the numbers of the index (ENF-13, ENF-14).
//!
//! Values are changed where rows are read, so that the evaluator never meets what must not be seen. Names are replaced
//! wherever they stand, one code for one name, so that joins find what they would have found. As a code of one name holds
//! everywhere, nobody may choose which name to see coded: what a person's own documents say of other people's names is left
//! out, or whoever writes `<#here> ex:is <bob>` into a document of their own reads the code of Bob behind it.

use std::sync::Arc;

use oxrdf::{Literal, Term, TermRef};
use policies::treatment::{Change, PseudonymKey, Treatment, is_pseudonym};
use rustc_hash::{FxHashMap, FxHashSet};

use super::view::View;
use crate::index::{Bounds, Dictionary, Sort, TermId};
use crate::origins::Origins;

/// How a view changes what it shows.
#[derive(Debug)]
pub struct Treated {
    treatment: Treatment,
    key: PseudonymKey,
    changes: FxHashMap<u32, Change>,
    /// Changed predicates in order.
    changed: Box<[u32]>,
    /// Where the names lie that the server gives out, when they are replaced.
    own: Option<Origins>,
    /// The storage that offers the data, whose documents may speak of everyone's names.
    publisher: Option<String>,
    /// Names that stand as values of a pseudonymised property.
    listed: FxHashSet<u32>,
    /// Properties that the agreement itself names: the consumer knows them.
    agreed: FxHashSet<u32>,
    renames: bool,
}

impl PartialEq for Treated {
    /// The same changes with the same key. Which names are listed follows from the data.
    fn eq(&self, other: &Self) -> bool {
        self.treatment == other.treatment && self.key == other.key
    }
}

impl Treated {
    /// The changes of a view; none when everything is shown as it is. `publisher` is the name of the storage that offers
    /// the data.
    #[must_use]
    pub fn new(
        treatment: &Treatment,
        key: PseudonymKey,
        origins: &Origins,
        publisher: Option<&str>,
        view: &View,
    ) -> Option<Arc<Self>> {
        if treatment.is_none() {
            return None;
        }
        let (snapshot, visible) = (view.snapshot(), view.visible());
        let number = |iri: &str| {
            let node = oxrdf::NamedNodeRef::new(iri).ok()?;
            snapshot.dictionary().find(TermRef::from(node)).map(TermId::number)
        };
        let changes: FxHashMap<u32, Change> = treatment
            .values
            .iter()
            .filter_map(|(iri, change)| Some((number(iri)?, change.clone())))
            .collect();
        let mut changed: Vec<u32> = changes.keys().copied().collect();
        changed.sort_unstable();
        let mut listed = FxHashSet::default();
        for (predicate, _) in changes.iter().filter(|(_, change)| **change == Change::Pseudonymise) {
            let bounds = Bounds::for_pattern(None, Some(*predicate), None);
            for row in snapshot.runs().iter().flat_map(|run| run.range(bounds)) {
                let quad = bounds.order.quad(*row);
                let is_name = || {
                    let object = TermId::from_number(quad.object);
                    object.and_then(|object| snapshot.dictionary().sort(object)) == Some(Sort::Iri)
                };
                if visible.contains(quad.document) && !listed.contains(&quad.object) && is_name() {
                    listed.insert(quad.object);
                }
            }
        }
        let own = treatment.names.then(|| origins.clone());
        let permitted = view.predicates().permitted.iter().flatten();
        Some(Arc::new(Self {
            renames: treatment.pseudonymises(),
            treatment: treatment.clone(),
            key,
            agreed: permitted.chain(&changed).copied().collect(),
            changes,
            changed: changed.into(),
            own,
            publisher: publisher.map(str::to_owned),
            listed,
        }))
    }

    /// Whether names are replaced.
    #[must_use]
    pub const fn renames(&self) -> bool {
        self.renames
    }

    /// Whether the names are replaced that the server gives out.
    #[must_use]
    pub const fn replaces_names(&self) -> bool {
        self.own.is_some()
    }

    /// The predicates whose values are changed, in order.
    #[must_use]
    pub fn changed(&self) -> &[u32] {
        &self.changed
    }

    /// What becomes of the values of a predicate.
    #[must_use]
    pub fn change(&self, predicate: u32) -> Option<&Change> {
        self.changes.get(&predicate)
    }

    /// A value changed; none when it is not shown.
    #[must_use]
    pub fn value(&self, change: &Change, value: &Term) -> Option<Term> {
        change.apply(value, Some(&self.key))
    }

    /// The code of a name, or a literal with the code of its datatype; none for what is shown as it is.
    #[must_use]
    pub fn code(&self, dictionary: &Dictionary, term: TermId) -> Option<Term> {
        if !self.renames {
            return None;
        }
        match dictionary.sort(term)? {
            Sort::Iri => {
                let iri = dictionary.iri_text(term)?;
                self.replaces(term, iri).then(|| self.key.name(iri).into())
            }
            Sort::Blank => match dictionary.term(term)? {
                Term::BlankNode(node) => Some(self.key.blank(node.as_str()).into()),
                _ => None,
            },
            Sort::Typed(datatype) => {
                let iri = dictionary.iri_text(datatype)?;
                if !self.replaces_own(datatype, iri) {
                    return None;
                }
                match dictionary.term(term)? {
                    Term::Literal(literal) => {
                        Some(Literal::new_typed_literal(literal.value(), self.key.name(iri)).into())
                    }
                    _ => None,
                }
            }
            Sort::String | Sort::LanguageString | Sort::Triple => None,
        }
    }

    /// Whether a predicate is replaced. Listing a name as a value takes no vocabulary away from everybody else.
    #[must_use]
    pub fn replaces_predicate(&self, dictionary: &Dictionary, predicate: TermId) -> bool {
        let iri = dictionary.iri_text(predicate);
        self.renames && iri.is_some_and(|iri| self.replaces_own(predicate, iri))
    }

    fn replaces(&self, name: TermId, iri: &str) -> bool {
        self.replaces_own(name, iri) || self.listed.contains(&name.number()) && !self.agreed.contains(&name.number())
    }

    fn replaces_own(&self, name: TermId, iri: &str) -> bool {
        // What looks like a code in the data is replaced like a name, or it could be taken for one.
        if is_pseudonym(iri) {
            return true;
        }
        let own = |own: &Origins| own.storage_meant(iri).is_some();
        self.own.as_ref().is_some_and(own) && !self.agreed.contains(&name.number())
    }

    /// The storage whose names are replaced that a name speaks of.
    #[must_use]
    pub fn storage_meant(&self, dictionary: &Dictionary, name: u32) -> Option<String> {
        let own = self.own.as_ref()?;
        let iri = dictionary.iri_text(TermId::from_number(name)?)?;
        own.storage_meant(iri).filter(|storage| !storage.is_empty())
    }

    /// Whether what a document of one storage says of a name of another is left out; both as [`Self::storage_meant`] has
    /// them.
    #[must_use]
    pub fn leaves_out(&self, document: Option<&str>, name: Option<&str>) -> bool {
        let (Some(by), Some(of)) = (document, name) else {
            return false;
        };
        let publisher = self.publisher.as_deref();
        by != of && publisher != Some(by) && publisher != Some(of)
    }

    /// Whether a value of a predicate is shown in whatever form.
    #[must_use]
    pub fn keeps(&self, dictionary: &Dictionary, predicate: u32, object: u32) -> bool {
        let Some(change) = self.change(predicate) else {
            return true;
        };
        let value = TermId::from_number(object).and_then(|object| dictionary.term(object));
        value.is_some_and(|value| self.value(change, &value).is_some())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use policies::treatment::Precision;

    use super::*;
    use crate::query::Predicates;
    use crate::query::harness::{BASE, Source, index_of, lines, numbers, view_of};

    /// Requirements ENF-8, ENF-14: a triple inside of a triple tells what must not be seen as well as any other.
    #[test]
    fn nothing_hidden_or_changed_shows_inside_of_triples() {
        let sources = [
            Source::new("/a/d", 1, "ex:r ex:says <<( ex:s ex:secret 5 )>> ; ex:open 1 ."),
            Source::new("/a/e", 1, "ex:r ex:says <<( ex:s ex:secret 7 )>> ."),
        ];
        let index = index_of(&sources, 1);
        let view = |predicates| view_of(&index, numbers(&index, &sources), predicates);
        let rows = |view: &crate::query::View| {
            let triples = lines(view, "SELECT * { ?s ?p ?o }", None).len() - 1;
            (triples, lines(view, "SELECT ?g { GRAPH ?g {} }", None).len() - 1)
        };
        assert_eq!(rows(&view(Predicates::default())), (3, 2));
        let none: Option<[&str; 0]> = None;
        let hiding = Predicates::from_iris(&index.snapshot(), none, ["http://example.org/secret"]);
        assert_eq!(rows(&view(hiding)), (1, 1));
        let treatment = Treatment {
            values: [(
                "http://example.org/secret".to_owned(),
                Change::Generalise {
                    precision: Precision::Number("10".to_owned()),
                },
            )]
            .into(),
            names: false,
        };
        let key = PseudonymKey::derive(&[1; 32], "agreement", "purpose", 0);
        let treated = view(Predicates::default())
            .treated_by(|view| Treated::new(&treatment, key, &Origins::new(BASE), None, view));
        assert_eq!(rows(&treated), (1, 1));
    }

    fn names_replaced(listed: Option<&str>) -> Treatment {
        Treatment {
            values: listed
                .map(|property| (property.to_owned(), Change::Pseudonymise))
                .into_iter()
                .collect(),
            names: listed.is_none(),
        }
    }

    fn key() -> PseudonymKey {
        PseudonymKey::derive(&[1; 32], "agreement", "purpose", 0)
    }

    /// Names that the server gives out show nowhere: not as predicates, not as datatypes, and in no spelling. Their codes
    /// stand for them in queries, in each of these places.
    ///
    /// Requirement ENF-13.
    #[test]
    fn names_are_replaced_wherever_they_stand() {
        let sources = [Source::new(
            "/a/d",
            1,
            r#"<#s> <https://pod.example/a/words#likes> "5"^^<https://pod.example/a/words#kilo> ;
               ex:p <https://pod.example:8443/a/x> , <http://POD.example/%61/y> , <https://pod.example> ."#,
        )];
        let index = index_of(&sources, 1);
        let treatment = names_replaced(None);
        let view = view_of(&index, numbers(&index, &sources), Predicates::default())
            .treated_by(|view| Treated::new(&treatment, key(), &Origins::new(BASE), None, view));
        let all = lines(&view, "SELECT * { GRAPH ?g { ?s ?p ?o } }", None);
        assert_eq!(all.len(), 5);
        let shown = all.join("\n").to_ascii_lowercase();
        assert!(!shown.contains("pod.example"), "{shown}");
        let code = |iri: &str| key().name(iri).to_string();
        let (likes, kilo) = (
            code("https://pod.example/a/words#likes"),
            code("https://pod.example/a/words#kilo"),
        );
        for (query, rows) in [
            (format!("SELECT ?s {{ ?s {likes} ?o }}"), 1),
            (format!("SELECT ?s {{ ?s ?p \"5\"^^{kilo} }}"), 1),
            (format!("SELECT ?s {{ ?s ?p ?o FILTER(DATATYPE(?o) = {kilo}) }}"), 1),
            (
                format!("SELECT ?s {{ ?s {likes}|ex:p ?o }}").replace("ex:p", "<http://example.org/p>"),
                4,
            ),
            ("SELECT ?s { ?s <https://pod.example/a/words#likes> ?o }".to_owned(), 0),
            (
                "SELECT ?s { ?s ?p \"5\"^^<https://pod.example/a/words#kilo> }".to_owned(),
                0,
            ),
        ] {
            assert_eq!(lines(&view, &query, None).len() - 1, rows, "{query}");
        }
    }

    /// Properties that the agreement itself names are known to whoever has it, and keep their names.
    ///
    /// Requirement ENF-13.
    #[test]
    fn properties_that_the_agreement_names_keep_their_names() {
        let sources = [Source::new(
            "/a/d",
            1,
            "<#s> <https://pod.example/a/words#likes> <#o> ; ex:p 1 .",
        )];
        let index = index_of(&sources, 1);
        let none: [&str; 0] = [];
        let likes = "https://pod.example/a/words#likes";
        let predicates = Predicates::from_iris(&index.snapshot(), Some([likes]), none);
        let treatment = names_replaced(None);
        let view = view_of(&index, numbers(&index, &sources), predicates)
            .treated_by(|view| Treated::new(&treatment, key(), &Origins::new(BASE), None, view));
        let rows = lines(&view, &format!("SELECT ?o {{ ?s <{likes}> ?o }}"), None);
        assert!(rows.len() == 2 && rows[1].contains("urn:meent:pseudonym:"), "{rows:?}");
    }

    /// No query gives back the code of a name that it names itself, whether or not the data hold the name.
    ///
    /// Requirement ENF-13.
    #[test]
    fn a_name_in_a_query_stays_as_it_is() {
        let sources = [
            Source::new("/a/d", 1, "<#s> ex:p <#o> ; ex:who <urn:known> ."),
            Source::new("/b/d", 2, "<#s> ex:p <#o> ."),
        ];
        let index = index_of(&sources, 1);
        for treatment in [names_replaced(None), names_replaced(Some("http://example.org/who"))] {
            let view = view_of(&index, numbers(&index, &sources), Predicates::default())
                .treated_by(|view| Treated::new(&treatment, key(), &Origins::new(BASE), None, view));
            for name in ["https://pod.example/a/d#s", "https://pod.example/zoe/#me", "urn:known"] {
                let code = key().name(name);
                for query in [
                    "SELECT ?x { BIND(<=name=> AS ?x) }",
                    "SELECT ?x { BIND(IRI(\"=name=\") AS ?x) }",
                    "SELECT ?x { VALUES ?x { <=name=> } }",
                    "SELECT ?x { VALUES ?x { <=name=> } OPTIONAL { ?x ?p ?o } }",
                    "SELECT ?x { <=name=> <http://example.org/p>* ?x }",
                    "SELECT ?x { ?x <http://example.org/p>? <=name=> }",
                    "SELECT (SAMPLE(?y) AS ?x) { BIND(<=name=> AS ?y) }",
                    "SELECT (SHA256(STR(?y)) AS ?x) { BIND(<=name=> AS ?y) }",
                    "SELECT ?x { ?s ?p ?o BIND(STRDT(\"1\", <=name=>) AS ?x) }",
                    "CONSTRUCT { <=name=> <urn:is> <=name=> } WHERE {}",
                    "DESCRIBE <=name=>",
                    "SELECT ?x { GRAPH <=name=> { ?x ?p ?o } }",
                    "SELECT ?x FROM <=name=> { ?x ?p ?o }",
                ] {
                    let shown = lines(&view, &query.replace("=name=", name), None).join("\n");
                    let hidden = treatment.names || name == "urn:known";
                    assert!(
                        !hidden || !shown.contains(code.as_str()),
                        "{query} with {name}: {shown}"
                    );
                }
            }
        }
    }

    /// Whoever takes part cannot have somebody else's name coded by writing it into a document of their own; what the
    /// publisher of the data says of people stays, and so does what people say with the publisher's names.
    ///
    /// Requirement ENF-13.
    #[test]
    fn nobody_chooses_whose_code_to_see() {
        let sources = [
            Source::new(
                "/mallory/d",
                1,
                "<#here> ex:is <https://pod.example/bob/#me> , <https://pod.example:443/b%6Fb/#me> .
                 <https://pod.example/bob/#me> ex:is <#here> . <#here> ex:kind </city/words#kind> ; ex:p 1 .",
            ),
            Source::new("/bob/d", 2, "</bob/#me> ex:income 7 ."),
            Source::new("/city/d", 3, "</bob/#me> ex:gets </city/#help> ."),
            Source::new("/carol/d", 4, "</bob/#me> ex:income 7 ."),
        ];
        let index = index_of(&sources, 1);
        let treatment = names_replaced(None);
        let view = view_of(&index, numbers(&index, &sources), Predicates::default())
            .treated_by(|view| Treated::new(&treatment, key(), &Origins::new(BASE), Some("city"), view));
        for (query, rows) in [
            ("SELECT * { ?s <http://example.org/is> ?o }", 0),
            (
                "SELECT * { ?s <http://example.org/kind> ?o ; <http://example.org/p> 1 }",
                1,
            ),
            (
                "SELECT * { ?s <http://example.org/income> ?i ; <http://example.org/gets> ?h }",
                1,
            ),
            ("SELECT * { GRAPH ?g { ?s <http://example.org/income> ?i } }", 1),
            ("SELECT * { GRAPH ?g {} }", 3),
        ] {
            assert_eq!(lines(&view, query, None).len() - 1, rows, "{query}");
        }
        let counted = "SELECT (COUNT(?i) AS ?n) { ?s <http://example.org/income> ?i }";
        assert_eq!(lines(&view, counted, None), ["?n", "1"]);
        assert!(
            lines(&view, counted, Some(2)).len() < 2 || lines(&view, counted, Some(2))[1] != "1",
            "Carol's copy of what Bob says is no second person"
        );
    }
}
