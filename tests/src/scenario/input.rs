//! What each member of the scenario's network holds, and from which files it comes.
//!
//! With a data folder the files are the real ones; without, every file is generated in the same columns, and says so.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::citizens::{self, Citizen, REAL};
use super::neighbours::{self, Counted, Neighbour};

/// One import: sources, mapping and target.
#[derive(Clone, Debug)]
pub struct Feed {
    /// The member that it belongs to.
    pub member: &'static str,
    /// Target container.
    pub into: &'static str,
    /// Mapping file below `deploy/mappings`.
    pub mapping: Option<&'static str>,
    /// Columns that each row gets besides its own.
    pub constants: Vec<(String, String)>,
    /// Files.
    pub sources: Vec<PathBuf>,
}

/// All input of a scenario.
#[derive(Clone, Debug)]
pub struct Input {
    /// Whether the members' data is real.
    pub real: bool,
    /// The imports.
    pub feeds: Vec<Feed>,
    /// The citizens of Kortrijk.
    pub citizens: Vec<Citizen>,
    /// Generated municipalities beside the members, with their counts.
    pub neighbours: Vec<Counted>,
}

impl Input {
    /// Finds or generates the files. Generated ones go to `scratch`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn prepare(data: Option<&Path>, generated_citizens: usize, scratch: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(scratch)?;
        let citizens = citizens::citizens(generated_citizens);
        let neighbours = write(scratch, "kortrijk-gegenereerd.csv", &citizens::table(&citizens))?;
        let files = match data {
            Some(folder) => Files::real(folder),
            None => Files::generated(scratch)?,
        };
        let mut feeds = vec![
            feed(
                "gent",
                "/gent/fietstellingen/",
                Some("gent-fietstelpaal.rq"),
                files.gent,
            ),
            feed("gent", "/gent/parkeren/", None, files.gent_parking),
            feed("brugge", "/brugge/verkeersmetingen/", None, files.brugge.clone()),
            feed(
                "brugge",
                "/brugge/tellingen/",
                Some("brugge-verkeerstelling.rq"),
                files.brugge,
            ),
            feed(
                "mechelen",
                "/mechelen/parkeren/",
                Some("mechelen-parkeren.rq"),
                files.mechelen,
            ),
            feed("abb", "/abb/register/", None, files.abb),
            feed(
                "statbel",
                "/statbel/ongevallen/",
                Some("statbel-accidents.rq"),
                files.statbel,
            ),
            feed("kortrijk", "/kortrijk/", Some("kortrijk-telraam.rq"), vec![neighbours]),
        ];
        for (file, (_, segment, street)) in files.kortrijk.into_iter().zip(REAL) {
            let mut telraam = feed("kortrijk", "/kortrijk/", Some("kortrijk-telraam.rq"), vec![file]);
            telraam.constants = vec![
                ("storage".into(), format!("telraam-{segment}")),
                ("street".into(), street.to_owned()),
            ];
            feeds.push(telraam);
        }
        feeds.retain(|feed| !feed.sources.is_empty());
        Ok(Self {
            real: data.is_some(),
            feeds,
            citizens,
            neighbours: Vec::new(),
        })
    }

    /// Adds generated municipalities: their own counts, and what the registers say about them. Files go to `scratch`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn add_neighbours(&mut self, all: Vec<Neighbour>, scratch: &Path) -> std::io::Result<()> {
        let registers = [
            ("abb", "abb-buurgemeenten.ttl", neighbours::register(&all)),
            ("statbel", "statbel-buurgemeenten.csv", neighbours::accidents(&all)),
        ];
        for (member, name, text) in registers {
            let file = write(scratch, name, &text)?;
            if let Some(feed) = self.feeds.iter_mut().find(|feed| feed.member == member) {
                feed.sources.push(file);
            }
        }
        for neighbour in all {
            let file = write(scratch, &format!("{}.csv", neighbour.storage), &neighbour.table())?;
            self.neighbours.push(Counted { neighbour, file });
        }
        Ok(())
    }

    /// The source files of one mapping, for the independent expectation.
    pub fn sources<'a>(&'a self, mapping: &'a str) -> impl Iterator<Item = (&'a Feed, &'a PathBuf)> {
        self.feeds
            .iter()
            .filter(move |feed| feed.mapping == Some(mapping))
            .flat_map(|feed| feed.sources.iter().map(move |source| (feed, source)))
    }
}

fn feed(member: &'static str, into: &'static str, mapping: Option<&'static str>, sources: Vec<PathBuf>) -> Feed {
    Feed {
        member,
        into,
        mapping,
        constants: Vec::new(),
        sources,
    }
}

struct Files {
    gent: Vec<PathBuf>,
    gent_parking: Vec<PathBuf>,
    brugge: Vec<PathBuf>,
    mechelen: Vec<PathBuf>,
    abb: Vec<PathBuf>,
    statbel: Vec<PathBuf>,
    kortrijk: Vec<PathBuf>,
}

impl Files {
    fn real(folder: &Path) -> Self {
        let all = |names: &[&str]| names.iter().map(|name| folder.join(name)).collect();
        Self {
            gent: all(&[
                "gent/fietstelpaal-coupure-links-2022-gent.zip",
                "gent/fietstelpaal-coupure-links-2023-gent.zip",
            ]),
            gent_parking: (1..=5)
                .map(|page| folder.join(format!("vsds-ldes-members/parkAndRide/page{page}.ttl")))
                .collect(),
            brugge: all(&[
                "vsds-ldes-members/geomobility/by-page-1.ttl",
                "vsds-ldes-members/geomobility/by-page-2.ttl",
            ]),
            mechelen: all(&["mechelen/parkeerbezetting-uur.csv.gz"]),
            abb: all(&[
                "lblod-organisaties/20250107101800-refnis2025.ttl",
                "lblod-organisaties/20230623155604-import-bestuurseenheden.ttl",
            ]),
            statbel: all(&["statbel/TF_ACCIDENTS_VICTIMS_2020.zip"]),
            kortrijk: REAL
                .iter()
                .map(|(file, ..)| folder.join("kortrijk").join(file))
                .collect(),
        }
    }

    fn generated(scratch: &Path) -> std::io::Result<Self> {
        let one = |name: &str, text: &str| Ok::<_, std::io::Error>(vec![write(scratch, name, text)?]);
        let mut kortrijk = Vec::new();
        for (number, (file, segment, _)) in REAL.iter().enumerate() {
            kortrijk.push(write(scratch, file, &telraam(number as u64, segment))?);
        }
        Ok(Self {
            gent: one("gent-gegenereerd.csv", &gent())?,
            gent_parking: Vec::new(),
            brugge: one("brugge-gegenereerd.ttl", &brugge())?,
            mechelen: one("mechelen-gegenereerd.csv", &mechelen())?,
            abb: one("abb-gegenereerd.ttl", ABB)?,
            statbel: one("statbel-gegenereerd.csv", &statbel())?,
            kortrijk,
        })
    }
}

fn write(folder: &Path, name: &str, text: &str) -> std::io::Result<PathBuf> {
    let path = folder.join(name);
    std::fs::write(&path, text)?;
    Ok(path)
}

fn gent() -> String {
    let mut text = String::from("\u{feff}Code;Locatie;Datum;Uur5Minuten;Ordening;Totaal;Tegenrichting;Hoofdrichting\n");
    for step in 0..10 * 288_u64 {
        let (day, hour, minute) = (18 + step / 288, step % 288 / 12, step % 12 * 5);
        let count = citizens::random(900, step) % 30;
        let _ = writeln!(
            text,
            "GEN;gegenereerde telpaal;2022-11-{day};{hour}:{minute:02}:00;2022-11-{day}T{hour:02}:{minute:02}:00+01:00;{count};0;{count}"
        );
    }
    text
}

fn telraam(number: u64, segment: &str) -> String {
    let mut text = String::from("segment_id,date,uptime,bike\n");
    for step in 0..10 * 24_u64 {
        let (day, hour) = (18 + step / 24, step % 24);
        let count = citizens::random(700 + number, step) % 20;
        let _ = writeln!(text, "{segment},2025-11-{day}T{hour:02}:00:00.000Z,0.99,{count}.0");
    }
    text
}

fn brugge() -> String {
    let mut text = String::from(
        "@prefix vm: <https://data.vlaanderen.be/ns/verkeersmetingen#> .\n\
         @prefix vsds: <https://implementatie.data.vlaanderen.be/ns/vsds-verkeersmetingen#> .\n\
         @prefix om: <http://def.isotc211.org/iso19156/2011/Observation#> .\n\
         @prefix time: <http://www.w3.org/2006/time#> .\n\
         @prefix dcterms: <http://purl.org/dc/terms/> .\n\
         @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .\n",
    );
    for step in 0..96_u64 {
        let (hour, minute) = (step / 4, step % 4 * 15);
        let stamp = format!("2022-11-23T{hour:02}:{minute:02}:00.000Z");
        let count = citizens::random(800, step) % 25;
        let place = "https://geomobility.eu/id/observation/gegenereerd";
        let _ = writeln!(
            text,
            "<{place}/A-B/P-C/{stamp}> a vsds:Verkeerstelling ;\n  \
             om:OM_Observation.phenomenonTime [ time:hasBeginning [ time:inXSDDateTimeStamp \"{stamp}\"^^xsd:dateTime ] ] ;\n  \
             vsds:Verkeerstelling.geobserveerdKenmerk [ vm:voertuigType <https://data.vlaanderen.be/doc/concept/VkmVoertuigType/fiets> ] ;\n  \
             dcterms:isVersionOf <{place}/A-B/P-C> ;\n  vsds:Verkeerstelling.tellingresultaat {count} ."
        );
    }
    text
}

fn mechelen() -> String {
    let mut text = String::from("parking_id,rounded_hour,occupancy_rate,e_temp_c\n");
    for step in 0..5 * 24_u64 {
        let (day, hour) = (13 + step / 24, step % 24);
        let rate = citizens::random(600, step) % 1000;
        let _ = writeln!(text, "P Tinel,2024-05-{day} {hour:02}:00:00,0.{rate:03},{hour}.5");
    }
    text
}

fn statbel() -> String {
    let mut text = String::from("DT_DAY|MS_VICT|TX_ROAD_USR_TYPE_DESCR_NL|CD_MUNTY_REFNIS\n");
    for step in 0..400_u64 {
        let municipality = ["44021", "34022", "31005", "12025"]
            .get(step as usize % 4)
            .copied()
            .unwrap_or_default();
        let user = if step % 3 == 0 { "Fiets" } else { "Personenauto" };
        let _ = writeln!(
            text,
            "2020-{:02}-{:02}|{}|{user}|{municipality}",
            1 + step % 12,
            1 + step % 28,
            1 + step % 2
        );
    }
    text
}

const ABB: &str = "@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix refnis: <http://vocab.belgif.be/auth/refnis2025/> .
refnis:44021 a skos:Concept ; skos:notation \"44021\" ; skos:prefLabel \"Gent\"@nl, \"Gand\"@fr .
refnis:34022 a skos:Concept ; skos:notation \"34022\" ; skos:prefLabel \"Kortrijk\"@nl, \"Courtrai\"@fr .
refnis:31005 a skos:Concept ; skos:notation \"31005\" ; skos:prefLabel \"Brugge\"@nl, \"Bruges\"@fr .
refnis:12025 a skos:Concept ; skos:notation \"12025\" ; skos:prefLabel \"Mechelen\"@nl, \"Malines\"@fr .
";
