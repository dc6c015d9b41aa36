//! What the six questions must answer, computed by plain code over the raw files: no store, no index, no query engine.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use oxrdf::{NamedOrBlankNode, Term, Triple};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Month, OffsetDateTime, PrimitiveDateTime, Weekday};
use time_tz::{OffsetDateTimeExt, PrimitiveDateTimeExt, timezones};

use super::input::Input;
use super::raw;

/// Smallest number of distinct citizens that a group over their data must have to appear.
pub const CITIZENS_MIN: usize = 5;

const REFNIS: &str = "http://vocab.belgif.be/auth/refnis2025/";

/// Rows of an answer: one text for each column, in the order of the answer's variables; rows sorted.
pub type Rows = BTreeSet<Vec<String>>;

/// One bicycle count.
#[derive(Clone, Debug)]
struct Count {
    municipality: String,
    place: String,
    label: String,
    time: OffsetDateTime,
    count: i64,
    citizen: Option<String>,
}

/// The expectation, from the raw files.
#[derive(Debug)]
pub struct Expected {
    citizens_min: usize,
    counts: Vec<Count>,
    names: BTreeMap<String, String>,
    victims: BTreeMap<String, i64>,
    tinel: Vec<(String, String)>,
}

impl Expected {
    /// Reads the raw files. Only citizens in `sharing` (by storage) are visible, and only in groups of at least
    /// `citizens_min` of them.
    ///
    /// # Panics
    /// When a file cannot be read: there is nothing to compare with then.
    #[must_use]
    pub fn read(input: &Input, sharing: &BTreeSet<String>, citizens_min: usize) -> Self {
        let mut counts: BTreeMap<String, Count> = BTreeMap::new();
        for (_, file) in input.sources("gent-fietstelpaal.rq") {
            counts.extend(counters(file, "44021", "https://data.stad.gent/"));
        }
        for counted in &input.neighbours {
            let (nis, authority) = (&counted.neighbour.nis, counted.neighbour.authority());
            counts.extend(counters(&counted.file, nis, &authority));
        }
        for (feed, file) in input.sources("kortrijk-telraam.rq") {
            for row in raw::rows(file, b',') {
                let constant = |name: &str| feed.constants.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
                let of = |name: &str| constant(name).unwrap_or_else(|| row[name].clone());
                let storage = of("storage");
                if row["bike"].is_empty() || !sharing.contains(&storage) {
                    continue;
                }
                let (street, time) = (of("street"), moment(&row["date"]));
                let place = format!("https://data.kortrijk.be/id/straat/{}", slug(&street));
                let count = whole(&row["bike"]);
                let key = format!("kortrijk {} {time} {count}", row["segment_id"]);
                counts.insert(
                    key,
                    Count {
                        municipality: "34022".to_owned(),
                        place,
                        label: street,
                        time,
                        count,
                        citizen: Some(storage),
                    },
                );
            }
        }
        for (_, file) in input.sources("brugge-verkeerstelling.rq") {
            counts.extend(brugge(file));
        }
        Self {
            citizens_min,
            counts: counts.into_values().collect(),
            names: names(input),
            victims: victims(input),
            tinel: tinel(input),
        }
    }

    /// The rows that a question must answer.
    #[must_use]
    pub fn rows(&self, question: &str) -> Rows {
        match question {
            "Q1" => self.q1(),
            "Q2" => self.q2(),
            "Q3" => self.q3(),
            "Q4" => self.q4(),
            "Q5" => self
                .tinel
                .iter()
                .map(|(time, rate)| vec![time.clone(), rate.clone()])
                .collect(),
            "Q6" => self.q6(),
            _ => Rows::new(),
        }
    }

    /// Groups by a key; groups over citizens' data with too few of them are left out.
    fn grouped<'a>(
        &self,
        counts: impl Iterator<Item = &'a Count>,
        key: impl Fn(&Count) -> Vec<String>,
    ) -> BTreeMap<Vec<String>, Group> {
        let mut groups: BTreeMap<Vec<String>, Group> = BTreeMap::new();
        for count in counts {
            let group = groups.entry(key(count)).or_default();
            group.sum += count.count;
            group.rows += 1;
            if let Some(citizen) = &count.citizen {
                group.personal = true;
                group.citizens.insert(citizen.clone());
            }
        }
        groups.retain(|_, group| !group.personal || group.citizens.len() >= self.citizens_min);
        groups
    }

    fn q1(&self) -> Rows {
        self.grouped(self.counts.iter().filter(in_week), |count| {
            vec![
                refnis(&count.municipality),
                count.time.day().to_string(),
                count.time.hour().to_string(),
            ]
        })
        .into_iter()
        .map(|(key, group)| with(key, group.sum.to_string()))
        .collect()
    }

    /// Kortrijk's citizens are counted per municipality: the owner answers per municipality, and that is a group.
    fn q2(&self) -> Rows {
        self.grouped(self.counts.iter().filter(in_week), |count| {
            vec![count.municipality.clone()]
        })
        .into_iter()
        .filter_map(|(key, group)| {
            let nis = key.into_iter().next()?;
            Some(vec![self.names.get(&nis)?.clone(), nis, group.sum.to_string()])
        })
        .collect()
    }

    fn q3(&self) -> Rows {
        let working = |count: &&Count| !matches!(count.time.weekday(), Weekday::Saturday | Weekday::Sunday);
        self.grouped(self.counts.iter().filter(working), |count| {
            vec![refnis(&count.municipality), count.time.hour().to_string()]
        })
        .into_iter()
        .map(|(key, group)| with(key, group.average()))
        .collect()
    }

    fn q4(&self) -> Rows {
        self.grouped(self.counts.iter().filter(|count| count.citizen.is_some()), |count| {
            vec![count.place.clone(), count.label.clone()]
        })
        .into_iter()
        .map(|(key, group)| with(key, group.average()))
        .collect()
    }

    fn q6(&self) -> Rows {
        self.grouped(self.counts.iter(), |count| vec![count.municipality.clone()])
            .into_iter()
            .filter_map(|(key, group)| {
                let nis = key.into_iter().next()?;
                let (name, victims) = (self.names.get(&nis)?.clone(), self.victims.get(&nis)?.to_string());
                Some(vec![name, nis, victims, group.sum.to_string()])
            })
            .collect()
    }
}

#[derive(Default)]
struct Group {
    sum: i64,
    rows: i64,
    citizens: BTreeSet<String>,
    personal: bool,
}

impl Group {
    /// The mean as `xsd:decimal` writes it.
    fn average(&self) -> String {
        let (sum, rows) = (
            oxsdatatypes::Decimal::from(self.sum),
            oxsdatatypes::Decimal::from(self.rows),
        );
        sum.checked_div(rows).map(|mean| mean.to_string()).unwrap_or_default()
    }
}

fn in_week(count: &&Count) -> bool {
    count.time.month() == Month::November && (20..=26).contains(&count.time.day())
}

fn with(mut key: Vec<String>, last: String) -> Vec<String> {
    key.push(last);
    key
}

fn refnis(nis: &str) -> String {
    format!("{REFNIS}{nis}")
}

/// Bicycle counters in the columns of Gent's, of the municipality with this code.
fn counters(file: &Path, nis: &str, authority: &str) -> Vec<(String, Count)> {
    let rows = raw::rows(file, b';');
    rows.into_iter()
        .filter(|row| !row["Totaal"].is_empty())
        .map(|row| {
            let time = moment(&row["Ordening"]);
            let count = Count {
                municipality: nis.to_owned(),
                place: format!("{authority}id/fietstelpaal/{}", row["Code"]),
                label: row["Locatie"].clone(),
                time,
                count: whole(&row["Totaal"]),
                citizen: None,
            };
            // Two rows with one name and one value are one statement; with two values they are two.
            (format!("{nis} {} {time} {}", row["Code"], count.count), count)
        })
        .collect()
}

/// Counts of 15 minutes in OSLO's nested shape; the bicycles among them.
fn brugge(file: &Path) -> Vec<(String, Count)> {
    let graph = Graph::read(file);
    let fiets = "https://data.vlaanderen.be/doc/concept/VkmVoertuigType/fiets";
    let mut counts = Vec::new();
    for subject in graph.typed("Verkeerstelling") {
        let is_bicycle = graph
            .path(&subject, &["geobserveerdKenmerk", "voertuigType"])
            .is_some_and(|kind| kind == fiets);
        let stamp = graph.path(&subject, &["phenomenonTime", "hasBeginning", "inXSDDateTimeStamp"]);
        if let (true, Some(stamp), Some(result), Some(version)) = (
            is_bicycle,
            stamp,
            graph.path(&subject, &["tellingresultaat"]),
            graph.path(&subject, &["isVersionOf"]),
        ) {
            let place = version.rsplitn(3, '/').last().unwrap_or_default().to_owned();
            let count = Count {
                municipality: "31005".to_owned(),
                label: "Verkeersmeetpunt Brugge".to_owned(),
                place,
                time: moment(&stamp),
                count: whole(&result),
                citizen: None,
            };
            counts.push((subject, count));
        }
    }
    counts
}

fn names(input: &Input) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for feed in input.feeds.iter().filter(|feed| feed.member == "abb") {
        for file in &feed.sources {
            let graph = Graph::read(file);
            for (subject, values) in &graph.statements {
                let Some(nis) = subject.strip_prefix(REFNIS) else {
                    continue;
                };
                for (predicate, value) in values {
                    if let Term::Literal(name) = value
                        && predicate.ends_with("core#prefLabel")
                        && name.language() == Some("nl")
                    {
                        names.insert(nis.to_owned(), name.value().to_owned());
                    }
                }
            }
        }
    }
    names
}

/// Each row is one group of victims, even where two rows read the same.
fn victims(input: &Input) -> BTreeMap<String, i64> {
    let mut victims = BTreeMap::new();
    for (_, file) in input.sources("statbel-accidents.rq") {
        for row in raw::rows(file, b'|') {
            if row["TX_ROAD_USR_TYPE_DESCR_NL"] == "Fiets" {
                *victims.entry(row["CD_MUNTY_REFNIS"].clone()).or_default() += whole(&row["MS_VICT"]);
            }
        }
    }
    victims
}

fn tinel(input: &Input) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    for (_, file) in input.sources("mechelen-parkeren.rq") {
        for row in raw::rows(file, b',') {
            if row["parking_id"] == "P Tinel" && row["rounded_hour"].starts_with("2024-05-15") {
                let time = moment(&row["rounded_hour"]).format(&Rfc3339).unwrap_or_default();
                let rate: oxsdatatypes::Decimal = row["occupancy_rate"].parse().unwrap_or_default();
                rows.push((time, rate.to_string()));
            }
        }
    }
    rows
}

/// A moment in the civil time of Brussels.
fn moment(text: &str) -> OffsetDateTime {
    let brussels = timezones::db::europe::BRUSSELS;
    let text = text.replacen(' ', "T", 1);
    OffsetDateTime::parse(&text, &Rfc3339)
        .map(|moment| moment.to_timezone(brussels))
        .unwrap_or_else(|_| {
            let civil = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
            PrimitiveDateTime::parse(&text, &civil)
                .expect("the raw file holds moments")
                .assume_timezone(brussels)
                .take_first()
                .expect("the moment exists")
        })
}

/// A count, cut to a whole number.
fn whole(text: &str) -> i64 {
    text.split('.')
        .next()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_default()
}

fn slug(text: &str) -> String {
    text.to_lowercase()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}

/// Statements of a Turtle file by subject; predicates and classes are found by the end of their IRI.
struct Graph {
    statements: HashMap<String, Vec<(String, Term)>>,
}

impl Graph {
    fn read(file: &Path) -> Self {
        let text = std::fs::read(file).expect("the raw file can be read");
        let mut statements: HashMap<String, Vec<(String, Term)>> = HashMap::new();
        for triple in oxttl::TurtleParser::new().for_slice(&text).flatten() {
            let Triple {
                subject,
                predicate,
                object,
            } = triple;
            statements
                .entry(subject.to_string())
                .or_default()
                .push((predicate.into_string(), object));
        }
        let plain = |subject: String| subject.trim_matches(['<', '>']).to_owned();
        Self {
            statements: statements
                .into_iter()
                .map(|(subject, values)| (plain(subject), values))
                .collect(),
        }
    }

    fn typed(&self, class: &str) -> Vec<String> {
        let is_class =
            |value: &Term| matches!(value, Term::NamedNode(node) if node.as_str().ends_with(&format!("#{class}")));
        let mut found: Vec<String> = self
            .statements
            .iter()
            .filter(|(_, values)| {
                values
                    .iter()
                    .any(|(predicate, value)| predicate.ends_with("#type") && is_class(value))
            })
            .map(|(subject, _)| subject.clone())
            .collect();
        found.sort();
        found
    }

    /// Follows predicates by the end of their IRI and gives the text of what is found.
    fn path(&self, subject: &str, predicates: &[&str]) -> Option<String> {
        let mut at = subject.to_owned();
        for wanted in predicates {
            let (_, value) = self
                .statements
                .get(&at)?
                .iter()
                .find(|(predicate, _)| predicate.ends_with(wanted))?;
            at = match value {
                Term::Literal(literal) => literal.value().to_owned(),
                Term::NamedNode(node) => node.as_str().to_owned(),
                Term::BlankNode(node) => NamedOrBlankNode::from(node.clone()).to_string(),
                Term::Triple(_) => return None,
            };
        }
        Some(at)
    }
}
