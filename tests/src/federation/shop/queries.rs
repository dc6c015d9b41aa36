//! Twelve kinds of queries over the shops and sites, as a buyer asks them one after the other: find, look closer, find similar ones,
//! read reviews, compare offers, take the offer along. Each comes with the plan that somebody would make by hand who knows the data:
//! which group of patterns goes whole to a member, which of its columns narrow the next one, and what remains.

use super::{Size, authority, listed, product, shared};

/// One kind of query.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// What it asks.
    pub name: &'static str,
    /// The query, with `$` names for constants.
    pub text: &'static str,
    /// Groups that go whole to members.
    pub steps: &'static [Step],
    /// What remains, over `#0`, `#1`: the answers of the steps.
    pub rest: &'static str,
}

/// A group that goes whole to members.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// The query for a member; `$keys` is where the bindings of another step go.
    pub text: &'static str,
    /// Which step's answer narrows this one, by which columns.
    pub keys: Option<(usize, &'static [&'static str])>,
    /// Whether a solution of the whole can do without it.
    pub optional: bool,
}

/// Values for the constants of one instance of every kind.
#[derive(Debug, Clone)]
pub struct Constants(Vec<(&'static str, String)>);

const PREFIXES: &str = "PREFIX s: <http://schema.org/> PREFIX owl: <http://www.w3.org/2002/07/owl#> PREFIX xsd: <http://www.w3.org/2001/XMLSchema#> ";

impl Constants {
    /// The instance with this number: its constants occur in the first six members, so that it has answers in any federation.
    #[must_use]
    pub fn instance(number: usize, size: Size) -> Self {
        let shop = number % 3 * 2;
        let products = listed(shop, size);
        let rated: Vec<u64> = [1, 3, 5].into_iter().flat_map(|site| listed(site, size)).collect();
        let known: Vec<u64> = products.into_iter().filter(|product| rated.contains(product)).collect();
        let chosen = known.get(number * 5 % known.len().max(1)).copied().unwrap_or_default();
        let product = product(chosen, size.seed);
        let feature = |at: usize| product.features.get(at).copied().unwrap_or_default();
        let of_kind = product.kind * super::FEATURES_OF_KIND;
        let absent = (of_kind..of_kind + super::FEATURES_OF_KIND)
            .find(|feature| !product.features.contains(feature))
            .unwrap_or(of_kind);
        let iri = |kind: &str, number: u64| format!("<{}>", shared(kind, number));
        let first_word = product.name.split(' ').next().unwrap_or_default();
        Self(vec![
            ("$product", iri("product", chosen)),
            ("$kind", iri("kind", product.kind)),
            ("$one", iri("feature", feature(0))),
            ("$two", iri("feature", feature(1))),
            ("$three", iri("feature", feature(2))),
            ("$absent", iri("feature", absent)),
            ("$light", (product.weight / 2).to_string()),
            ("$low", (product.height / 2).to_string()),
            ("$word", format!("\"{first_word}\"")),
            ("$review", format!("<{}review/{}>", authority(shop + 1), number * 3)),
            ("$offer", format!("<{}offer/{}>", authority(shop), number * 3)),
            ("$date", "\"2026-05-01T00:00:00Z\"^^xsd:dateTime".to_owned()),
        ])
    }

    /// A text with the constants in place.
    #[must_use]
    pub fn fill(&self, text: &str) -> String {
        let filled = self
            .0
            .iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
        format!("{PREFIXES}{filled}")
    }
}

/// A step that needs no other's answer.
const fn whole(text: &'static str) -> Step {
    Step {
        text,
        keys: None,
        optional: false,
    }
}

/// The kinds.
pub const KINDS: [Kind; 12] = [
    Kind {
        name: "1: products of a kind with two features",
        text: "SELECT DISTINCT ?product ?name WHERE { ?l a s:Product ; owl:sameAs ?product ; s:name ?name ; s:category $kind ; s:additionalProperty ?f, ?g ; s:weight ?w . ?f owl:sameAs $one . ?g owl:sameAs $two . FILTER(?w > $light) } ORDER BY ?name ?product LIMIT 10",
        steps: &[whole(
            "SELECT DISTINCT ?product ?name WHERE { ?l a s:Product ; owl:sameAs ?product ; s:name ?name ; s:category $kind ; s:additionalProperty ?f, ?g ; s:weight ?w . ?f owl:sameAs $one . ?g owl:sameAs $two . FILTER(?w > $light) } ORDER BY ?name ?product LIMIT 10",
        )],
        rest: "SELECT DISTINCT ?product ?name WHERE { #0 } ORDER BY ?name ?product LIMIT 10",
    },
    Kind {
        name: "2: one product as every shop describes it",
        text: "SELECT ?name ?text ?maker ?country ?feature ?weight ?height ?width ?color WHERE { ?l owl:sameAs $product ; s:name ?name ; s:description ?text ; s:weight ?weight ; s:height ?height ; s:manufacturer ?m ; s:additionalProperty ?f . ?m s:name ?maker ; s:addressCountry ?country . ?f s:name ?feature . OPTIONAL { ?l s:width ?width } OPTIONAL { ?l s:color ?color } }",
        steps: &[whole(
            "SELECT ?name ?text ?maker ?country ?feature ?weight ?height ?width ?color WHERE { ?l owl:sameAs $product ; s:name ?name ; s:description ?text ; s:weight ?weight ; s:height ?height ; s:manufacturer ?m ; s:additionalProperty ?f . ?m s:name ?maker ; s:addressCountry ?country . ?f s:name ?feature . OPTIONAL { ?l s:width ?width } OPTIONAL { ?l s:color ?color } }",
        )],
        rest: "SELECT ?name ?text ?maker ?country ?feature ?weight ?height ?width ?color WHERE { #0 }",
    },
    Kind {
        name: "3: products with one feature and without another",
        text: "SELECT ?product ?name WHERE { ?l a s:Product ; owl:sameAs ?product ; s:name ?name ; s:category $kind ; s:additionalProperty ?f ; s:weight ?w ; s:height ?h . ?f owl:sameAs $one . FILTER(?w > $light) FILTER(?h > $low) OPTIONAL { ?l s:additionalProperty ?g ; s:name ?other . ?g owl:sameAs $absent } FILTER(!BOUND(?other)) } ORDER BY ?name ?product LIMIT 10",
        steps: &[whole(
            "SELECT ?product ?name WHERE { ?l a s:Product ; owl:sameAs ?product ; s:name ?name ; s:category $kind ; s:additionalProperty ?f ; s:weight ?w ; s:height ?h . ?f owl:sameAs $one . FILTER(?w > $light) FILTER(?h > $low) OPTIONAL { ?l s:additionalProperty ?g ; s:name ?other . ?g owl:sameAs $absent } FILTER(!BOUND(?other)) } ORDER BY ?name ?product LIMIT 10",
        )],
        rest: "SELECT ?product ?name WHERE { #0 } ORDER BY ?name ?product LIMIT 10",
    },
    Kind {
        name: "4: either of two sets of features",
        text: "SELECT DISTINCT ?product ?name ?text WHERE { { ?l owl:sameAs ?product ; s:name ?name ; s:description ?text ; s:category $kind ; s:additionalProperty ?f, ?g ; s:weight ?w . ?f owl:sameAs $one . ?g owl:sameAs $two . FILTER(?w > $light) } UNION { ?l owl:sameAs ?product ; s:name ?name ; s:description ?text ; s:category $kind ; s:additionalProperty ?f, ?g ; s:height ?h . ?f owl:sameAs $one . ?g owl:sameAs $three . FILTER(?h > $low) } } ORDER BY ?name ?product OFFSET 1 LIMIT 10",
        steps: &[whole(
            "SELECT DISTINCT ?product ?name ?text WHERE { { ?l owl:sameAs ?product ; s:name ?name ; s:description ?text ; s:category $kind ; s:additionalProperty ?f, ?g ; s:weight ?w . ?f owl:sameAs $one . ?g owl:sameAs $two . FILTER(?w > $light) } UNION { ?l owl:sameAs ?product ; s:name ?name ; s:description ?text ; s:category $kind ; s:additionalProperty ?f, ?g ; s:height ?h . ?f owl:sameAs $one . ?g owl:sameAs $three . FILTER(?h > $low) } } ORDER BY ?name ?product LIMIT 11",
        )],
        rest: "SELECT DISTINCT ?product ?name ?text WHERE { #0 } ORDER BY ?name ?product OFFSET 1 LIMIT 10",
    },
    Kind {
        name: "5: products like this one, by shared features",
        text: "SELECT DISTINCT ?other ?name WHERE { ?l a s:Product ; owl:sameAs $product ; s:additionalProperty ?f ; s:weight ?w ; s:height ?h . ?f owl:sameAs ?feature . ?k a s:Product ; owl:sameAs ?other ; s:name ?name ; s:additionalProperty ?e ; s:weight ?x ; s:height ?y . ?e owl:sameAs ?feature . FILTER(?other != $product) FILTER(?x < ?w * 1.5 && ?x > ?w * 0.5) FILTER(?y < ?h + 170 && ?y > ?h - 170) } ORDER BY ?name ?other LIMIT 5",
        steps: &[
            whole(
                "SELECT DISTINCT ?feature ?w ?h WHERE { ?l a s:Product ; owl:sameAs $product ; s:additionalProperty ?f ; s:weight ?w ; s:height ?h . ?f owl:sameAs ?feature }",
            ),
            Step {
                text: "SELECT DISTINCT ?feature ?other ?name ?x ?y WHERE { $keys ?k a s:Product ; owl:sameAs ?other ; s:name ?name ; s:additionalProperty ?e ; s:weight ?x ; s:height ?y . ?e owl:sameAs ?feature . FILTER(?other != $product) }",
                keys: Some((0, &["feature"])),
                optional: false,
            },
        ],
        rest: "SELECT DISTINCT ?other ?name WHERE { #0 #1 FILTER(?x < ?w * 1.5 && ?x > ?w * 0.5) FILTER(?y < ?h + 170 && ?y > ?h - 170) } ORDER BY ?name ?other LIMIT 5",
    },
    Kind {
        name: "6: products whose name has a word",
        text: "SELECT ?product ?name WHERE { ?l a s:Product ; owl:sameAs ?product ; s:name ?name . FILTER(CONTAINS(STR(?name), $word)) }",
        steps: &[whole(
            "SELECT ?product ?name WHERE { ?l a s:Product ; owl:sameAs ?product ; s:name ?name . FILTER(CONTAINS(STR(?name), $word)) }",
        )],
        rest: "SELECT ?product ?name WHERE { #0 }",
    },
    Kind {
        name: "7: one product with offers and reviews",
        text: "SELECT ?name ?offer ?price ?shopName ?review ?title ?person ?rating ?aspect WHERE { ?l a s:Product ; owl:sameAs $product ; s:name ?name . OPTIONAL { ?offer s:itemOffered ?l ; s:price ?price ; s:offeredBy ?shop ; s:eligibleRegion 'BE' ; s:validThrough ?until . ?shop s:name ?shopName . FILTER(?until > $date) } OPTIONAL { ?r owl:sameAs $product . ?review s:itemReviewed ?r ; s:headline ?title ; s:author ?a . ?a s:name ?person . OPTIONAL { ?review s:ratingValue ?rating } OPTIONAL { ?review s:reviewAspect ?aspect } } }",
        steps: &[
            whole(
                "SELECT ?name ?offer ?price ?shopName WHERE { ?l a s:Product ; owl:sameAs $product ; s:name ?name . OPTIONAL { ?offer s:itemOffered ?l ; s:price ?price ; s:offeredBy ?shop ; s:eligibleRegion 'BE' ; s:validThrough ?until . ?shop s:name ?shopName . FILTER(?until > $date) } }",
            ),
            Step {
                text: "SELECT ?review ?title ?person ?rating ?aspect WHERE { ?r owl:sameAs $product . ?review s:itemReviewed ?r ; s:headline ?title ; s:author ?a . ?a s:name ?person . OPTIONAL { ?review s:ratingValue ?rating } OPTIONAL { ?review s:reviewAspect ?aspect } }",
                keys: None,
                optional: true,
            },
        ],
        rest: "SELECT ?name ?offer ?price ?shopName ?review ?title ?person ?rating ?aspect WHERE { #0 OPTIONAL { #1 } }",
    },
    Kind {
        name: "8: recent reviews in one language",
        text: "SELECT ?review ?title ?text ?date ?person ?rating WHERE { ?r owl:sameAs $product . ?review s:itemReviewed ?r ; s:headline ?title ; s:reviewBody ?text ; s:datePublished ?date ; s:author ?a . ?a s:name ?person . FILTER(LANGMATCHES(LANG(?text), 'nl')) OPTIONAL { ?review s:ratingValue ?rating } } ORDER BY DESC(?date) ?review LIMIT 20",
        steps: &[whole(
            "SELECT ?review ?title ?text ?date ?person ?rating WHERE { ?r owl:sameAs $product . ?review s:itemReviewed ?r ; s:headline ?title ; s:reviewBody ?text ; s:datePublished ?date ; s:author ?a . ?a s:name ?person . FILTER(LANGMATCHES(LANG(?text), 'nl')) OPTIONAL { ?review s:ratingValue ?rating } } ORDER BY DESC(?date) ?review LIMIT 20",
        )],
        rest: "SELECT ?review ?title ?text ?date ?person ?rating WHERE { #0 } ORDER BY DESC(?date) ?review LIMIT 20",
    },
    Kind {
        name: "9: whoever wrote this review",
        text: "SELECT ?person ?property ?value WHERE { $review s:author ?person . ?person ?property ?value }",
        steps: &[whole(
            "SELECT ?person ?property ?value WHERE { $review s:author ?person . ?person ?property ?value }",
        )],
        rest: "SELECT ?person ?property ?value WHERE { #0 }",
    },
    Kind {
        name: "10: the cheapest offers that come soon",
        text: "SELECT DISTINCT ?offer ?price ?country WHERE { ?l owl:sameAs $product . ?offer s:itemOffered ?l ; s:offeredBy ?shop ; s:price ?price ; s:deliveryDays ?days ; s:validThrough ?until . ?shop s:addressCountry ?country . FILTER(?days <= 7 && ?until > $date) } ORDER BY ?price ?offer LIMIT 10",
        steps: &[whole(
            "SELECT DISTINCT ?offer ?price ?country WHERE { ?l owl:sameAs $product . ?offer s:itemOffered ?l ; s:offeredBy ?shop ; s:price ?price ; s:deliveryDays ?days ; s:validThrough ?until . ?shop s:addressCountry ?country . FILTER(?days <= 7 && ?until > $date) } ORDER BY ?price ?offer LIMIT 10",
        )],
        rest: "SELECT DISTINCT ?offer ?price ?country WHERE { #0 } ORDER BY ?price ?offer LIMIT 10",
    },
    Kind {
        name: "11: all about an offer, both ways",
        text: "SELECT ?property ?value ?whose WHERE { { $offer ?property ?value } UNION { ?whose ?property $offer } }",
        steps: &[whole(
            "SELECT ?property ?value ?whose WHERE { { $offer ?property ?value } UNION { ?whose ?property $offer } }",
        )],
        rest: "SELECT ?property ?value ?whose WHERE { #0 }",
    },
    Kind {
        name: "12: an offer to take along",
        text: "CONSTRUCT { $offer s:seller ?shopName ; s:name ?name ; s:isVariantOf ?product ; s:gtin ?code ; s:brand ?maker ; s:price ?price ; s:validThrough ?until } WHERE { $offer s:itemOffered ?l ; s:offeredBy ?shop ; s:price ?price ; s:validThrough ?until . ?shop s:name ?shopName . ?l s:name ?name ; owl:sameAs ?product ; s:manufacturer ?m . ?m s:name ?maker . ?product s:gtin13 ?code }",
        steps: &[whole(
            "SELECT ?shopName ?name ?product ?code ?maker ?price ?until WHERE { $offer s:itemOffered ?l ; s:offeredBy ?shop ; s:price ?price ; s:validThrough ?until . ?shop s:name ?shopName . ?l s:name ?name ; owl:sameAs ?product ; s:manufacturer ?m . ?m s:name ?maker . ?product s:gtin13 ?code }",
        )],
        rest: "CONSTRUCT { $offer s:seller ?shopName ; s:name ?name ; s:isVariantOf ?product ; s:gtin ?code ; s:brand ?maker ; s:price ?price ; s:validThrough ?until } WHERE { #0 }",
    },
];
