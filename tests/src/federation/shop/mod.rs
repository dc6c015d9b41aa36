//! An e-commerce federation whose products are replicated, after the published description of the FedShop benchmark (Dang et al.,
//! ISWC 2023): shops that sell and sites that rate, all with one vocabulary. No text, data or code of that benchmark is used.
//!
//! One catalogue of 1,000 products exists that no member owns. A shop lists some of them, popular ones more often, under IRIs of its
//! own that `owl:sameAs` ties to the catalogue's, with the same name, description, weight, height, kinds, maker and features as every
//! other shop that lists them. Features too have a local IRI and `owl:sameAs`. What is said of the catalogue's own IRIs, the maker's
//! name and country, the name of a kind and a product's code, stands as **the same triples** at each member that mentions it. Shops add
//! offers; sites add reviews by persons, about local products that are tied to the catalogue in the same way.
//!
//! A member's content depends on the seed and its number alone, so that 20 members are contained in 200.

pub mod assigned;
pub mod queries;

use std::collections::BTreeSet;

use oxrdf::vocab::{rdf, xsd};
use oxrdf::{Literal, NamedNode, NamedOrBlankNode, Term, Triple};

use super::generate::Sequence;

/// The vocabulary.
pub const SCHEMA: &str = "http://schema.org/";
/// Authority of what all members speak of and none owns.
pub const CATALOGUE: &str = "https://catalogue.example/";
const SAME_AS: &str = "http://www.w3.org/2002/07/owl#sameAs";
/// Products in the catalogue.
pub const PRODUCTS: u64 = 1_000;
/// Who makes them.
const MAKERS: u64 = 40;
/// The most special kinds; six general ones lie above them.
const KINDS: u64 = 24;
const GROUPS: u64 = 6;
/// Features that a kind, and a group of kinds, brings along.
const FEATURES_OF_KIND: u64 = 12;

const WORDS: [&str; 40] = [
    "amber", "anvil", "aspen", "basalt", "beacon", "birch", "bramble", "cedar", "cinder", "clover", "cobalt", "copper",
    "coral", "delta", "drift", "ember", "fern", "flint", "garnet", "glacier", "granite", "harbour", "hazel", "indigo",
    "ivory", "juniper", "kestrel", "lantern", "larch", "maple", "marble", "meadow", "nectar", "onyx", "orchid",
    "pebble", "quartz", "rowan", "saffron", "willow",
];
const COUNTRIES: [&str; 5] = ["BE", "NL", "FR", "DE", "LU"];
const LANGUAGES: [&str; 3] = ["nl", "fr", "en"];

/// How much to generate.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Members: the even ones are shops, the odd ones sites.
    pub sources: usize,
    /// Products that each shop lists; sites speak of a quarter more.
    pub listed: u64,
    /// Seed.
    pub seed: u64,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            sources: 20,
            listed: 80,
            seed: 1,
        }
    }
}

/// What the catalogue says of one product; every shop copies it.
#[derive(Debug, Clone)]
pub struct Product {
    number: u64,
    /// The most special kind.
    pub kind: u64,
    /// Who makes it.
    pub maker: u64,
    /// Numbers of its features: first those of its kind, then those of its group.
    pub features: Vec<u64>,
    /// Three words.
    pub name: String,
    /// Grams.
    pub weight: u64,
    /// Millimetres.
    pub height: u64,
}

/// The product with this number.
#[must_use]
pub fn product(number: u64, seed: u64) -> Product {
    let mut random = Sequence(seed ^ (number << 24) ^ 0x50_0D0C);
    let kind = random.below(KINDS);
    let mut features = BTreeSet::new();
    while features.len() < 4 {
        features.insert(kind * FEATURES_OF_KIND + random.below(FEATURES_OF_KIND));
    }
    let general = (KINDS + kind % GROUPS) * FEATURES_OF_KIND;
    let mut more = BTreeSet::new();
    while more.len() < 2 {
        more.insert(general + random.below(FEATURES_OF_KIND));
    }
    let mut name = || word(&mut random);
    let name = format!("{} {} {} {number}", name(), name(), name());
    Product {
        number,
        kind,
        maker: random.below(MAKERS),
        features: features.into_iter().chain(more).collect(),
        name,
        weight: 50 + random.below(1_950),
        height: 10 + random.below(490),
    }
}

fn word(random: &mut Sequence) -> &'static str {
    let at = usize::try_from(random.below(WORDS.len() as u64)).unwrap_or(0);
    WORDS.get(at).copied().unwrap_or_default()
}

fn one_of(list: &[&'static str], random: &mut Sequence) -> &'static str {
    let at = usize::try_from(random.below(list.len() as u64)).unwrap_or(0);
    list.get(at).copied().unwrap_or_default()
}

/// Authority of a member's own IRIs.
#[must_use]
pub fn authority(source: usize) -> String {
    match source % 2 {
        0 => format!("https://shop{:03}.example/", source / 2),
        _ => format!("https://rates{:03}.example/", source / 2),
    }
}

/// An IRI of the catalogue, as text without brackets.
#[must_use]
pub fn shared(kind: &str, number: u64) -> String {
    format!("{CATALOGUE}{kind}/{number}")
}

/// The products that a member speaks of: those with low numbers are popular.
#[must_use]
pub fn listed(source: usize, size: Size) -> Vec<u64> {
    let mut random = random(source, size);
    let wanted = size.listed.min(PRODUCTS / 2);
    let wanted = if source.is_multiple_of(2) {
        wanted
    } else {
        wanted * 5 / 4
    };
    let mut found = BTreeSet::new();
    let mut order = Vec::new();
    while (found.len() as u64) < wanted {
        // The smallest of four draws: the first tenth of the catalogue takes a third of all places.
        let draw = (0..4).map(|_| random.below(PRODUCTS)).min().unwrap_or_default();
        if found.insert(draw) {
            order.push(draw);
        }
    }
    order
}

fn random(source: usize, size: Size) -> Sequence {
    Sequence(size.seed ^ ((source as u64 + 1) << 32))
}

/// Triples in the making, of one member.
struct Content {
    authority: String,
    out: BTreeSet<(String, String, String)>,
    triples: Vec<Triple>,
}

impl Content {
    fn own(&self, name: &str) -> NamedNode {
        NamedNode::new_unchecked(format!("{}{name}", self.authority))
    }

    fn say(&mut self, subject: &NamedNode, predicate: &str, object: impl Into<Term>) {
        let predicate = match predicate {
            "a" => rdf::TYPE.into_owned(),
            "=" => NamedNode::new_unchecked(SAME_AS),
            name => NamedNode::new_unchecked(format!("{SCHEMA}{name}")),
        };
        let object = object.into();
        let key = (subject.to_string(), predicate.to_string(), object.to_string());
        if self.out.insert(key) {
            let subject = NamedOrBlankNode::from(subject.clone());
            self.triples.push(Triple::new(subject, predicate, object));
        }
    }

    fn is_a(&mut self, subject: &NamedNode, class: &str) {
        self.say(subject, "a", NamedNode::new_unchecked(format!("{SCHEMA}{class}")));
    }

    /// A product under a local IRI, tied to the catalogue's, and what all members say of the latter.
    fn tied(&mut self, product: &Product) -> NamedNode {
        let local = self.own(&format!("product/{}", product.number));
        let global = NamedNode::new_unchecked(shared("product", product.number));
        self.say(&local, "=", global.clone());
        self.say(&local, "name", english(&product.name));
        self.say(
            &global,
            "gtin13",
            Literal::from(format!("54{:011}", product.number * 7919)),
        );
        local
    }
}

fn english(text: &str) -> Literal {
    Literal::new_language_tagged_literal_unchecked(text, "en")
}

fn whole(number: u64) -> Literal {
    Literal::from(i64::try_from(number).unwrap_or(0))
}

fn date(day: u64) -> Literal {
    let (month, day) = (1 + day / 28 % 12, 1 + day % 28);
    Literal::new_typed_literal(format!("2026-{month:02}-{day:02}T00:00:00Z"), xsd::DATE_TIME)
}

/// What one member holds.
#[must_use]
pub fn member(source: usize, size: Size) -> Vec<Triple> {
    let mut content = Content {
        authority: authority(source),
        out: BTreeSet::new(),
        triples: Vec::new(),
    };
    match source % 2 {
        0 => sells(&mut content, source, size),
        _ => rates(&mut content, source, size),
    }
    content.triples
}

/// All members.
#[must_use]
pub fn federation(size: Size) -> Vec<Vec<Triple>> {
    (0..size.sources).map(|source| member(source, size)).collect()
}

fn sells(content: &mut Content, source: usize, size: Size) {
    let mut random = Sequence(random(source, size).0 ^ 0x0FFE);
    let shop = content.own("about");
    content.is_a(&shop, "OnlineStore");
    content.say(&shop, "name", english(&format!("Shop {}", source / 2)));
    let country = COUNTRIES.get(source / 2 % COUNTRIES.len()).copied().unwrap_or_default();
    content.say(&shop, "addressCountry", Literal::from(country));
    let mut offers = 0;
    for number in listed(source, size) {
        let product = product(number, size.seed);
        let local = described(content, &product);
        for _ in 0..=random.below(3) {
            let offer = content.own(&format!("offer/{offers}"));
            offers += 1;
            content.is_a(&offer, "Offer");
            content.say(&offer, "itemOffered", local.clone());
            content.say(&offer, "offeredBy", shop.clone());
            let cents = 500 + random.below(90_000);
            let price = Literal::new_typed_literal(format!("{}.{:02}", cents / 100, cents % 100), xsd::DECIMAL);
            content.say(&offer, "price", price);
            content.say(&offer, "deliveryDays", whole(1 + random.below(14)));
            content.say(&offer, "validThrough", date(random.below(336)));
            content.say(&offer, "eligibleRegion", Literal::from(one_of(&COUNTRIES, &mut random)));
            content.say(&shop, "makesOffer", offer);
        }
    }
}

/// The description that every shop copies.
fn described(content: &mut Content, product: &Product) -> NamedNode {
    let local = content.tied(product);
    content.is_a(&local, "Product");
    let mut random = Sequence(product.number ^ 0xDE5C);
    let text: Vec<&str> = (0..15).map(|_| word(&mut random)).collect();
    content.say(&local, "description", english(&text.join(" ")));
    content.say(&local, "weight", whole(product.weight));
    content.say(&local, "height", whole(product.height));
    if product.number.is_multiple_of(3) {
        content.say(&local, "width", whole(product.height / 2));
    }
    if product.number.is_multiple_of(2) {
        content.say(
            &local,
            "color",
            Literal::from(one_of(&["red", "green", "blue"], &mut random)),
        );
    }
    for kind in [product.kind, KINDS + product.kind % GROUPS] {
        let node = NamedNode::new_unchecked(shared("kind", kind));
        content.say(&local, "category", node.clone());
        content.say(&node, "alternateName", english(&format!("kind {kind}")));
    }
    let maker = NamedNode::new_unchecked(shared("maker", product.maker));
    content.say(&local, "manufacturer", maker.clone());
    content.is_a(&maker, "Organization");
    content.say(&maker, "name", english(&format!("Maker {}", product.maker)));
    let country = usize::try_from(product.maker).unwrap_or(0) % COUNTRIES.len();
    let country = COUNTRIES.get(country).copied().unwrap_or_default();
    content.say(&maker, "addressCountry", Literal::from(country));
    for feature in &product.features {
        let own = content.own(&format!("feature/{feature}"));
        content.say(&local, "additionalProperty", own.clone());
        content.say(&own, "=", NamedNode::new_unchecked(shared("feature", *feature)));
        content.say(&own, "name", english(&format!("feature {feature}")));
    }
    local
}

fn rates(content: &mut Content, source: usize, size: Size) {
    let mut random = Sequence(random(source, size).0 ^ 0x7A7E);
    let products = listed(source, size);
    let persons = size.listed.max(4) * 3 / 4;
    for person in 0..persons {
        let node = content.own(&format!("person/{person}"));
        content.is_a(&node, "Person");
        content.say(
            &node,
            "name",
            Literal::from(format!("Person {person} of {}", source / 2)),
        );
        content.say(&node, "addressCountry", Literal::from(one_of(&COUNTRIES, &mut random)));
    }
    let mut reviews = 0;
    for (at, number) in products.iter().enumerate() {
        let product = product(*number, size.seed);
        let local = content.tied(&product);
        // The popular ones come with more reviews; each has at least one.
        let more = if *number < PRODUCTS / 20 { 4 } else { 2 };
        for _ in 0..=random.below(more) {
            let review = content.own(&format!("review/{reviews}"));
            reviews += 1;
            content.is_a(&review, "Review");
            content.say(&review, "itemReviewed", local.clone());
            let person = (random.below(persons) + at as u64) % persons;
            let author = content.own(&format!("person/{person}"));
            content.say(&review, "author", author);
            let language = one_of(&LANGUAGES, &mut random);
            let title = format!("{} {}", word(&mut random), word(&mut random));
            let title = Literal::new_language_tagged_literal_unchecked(title, language);
            content.say(&review, "headline", title);
            let text: Vec<&str> = (0..12).map(|_| word(&mut random)).collect();
            content.say(
                &review,
                "reviewBody",
                Literal::new_language_tagged_literal_unchecked(text.join(" "), language),
            );
            content.say(&review, "datePublished", date(random.below(336)));
            if random.below(3) > 0 {
                content.say(&review, "ratingValue", whole(1 + random.below(10)));
            }
            if random.below(3) > 0 {
                content.say(&review, "reviewAspect", whole(1 + random.below(10)));
            }
        }
    }
}
