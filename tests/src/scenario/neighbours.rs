//! Municipalities beside the real ones, as many as are wanted: generated, always the same, and marked as generated in every name. Each
//! is an owner with a storage, an authority of its own and an offer, on one of several hosting servers, as small municipalities share one.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::citizens::random;

/// Days of counts, from 18 November 2022 on: a week that the questions ask about, and a day or two beside it.
const DAYS: u64 = 10;

/// One generated municipality.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Name of its storage, and of its party.
    pub storage: String,
    /// Name for people.
    pub label: String,
    /// Code in the register of municipalities.
    pub nis: String,
    /// Name of the server that hosts it.
    pub host: String,
    number: usize,
}

/// A municipality with the file of its counts.
#[derive(Clone, Debug)]
pub struct Counted {
    /// The municipality.
    pub neighbour: Neighbour,
    /// Its table, in the columns of Gent's.
    pub file: PathBuf,
}

/// Name of a hosting server.
#[must_use]
pub fn host(number: usize) -> String {
    format!("hosting-{number:03}")
}

/// So many municipalities, dealt over so many hosting servers.
#[must_use]
pub fn neighbours(count: usize, hosts: usize) -> Vec<Neighbour> {
    let one = |number: usize| Neighbour {
        storage: format!("gemeente-{number:03}"),
        label: format!("Gegenereerde gemeente {number:03}"),
        nis: format!("G{number:04}"),
        host: host(number % hosts.max(1)),
        number,
    };
    (0..count).map(one).collect()
}

impl Neighbour {
    /// Authority of its own IRIs.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("https://data.gemeente{:03}.example/", self.number)
    }

    /// Name of its dataset.
    #[must_use]
    pub fn dataset(&self) -> String {
        format!("tellingen-{:03}", self.number)
    }

    /// Container of its counts.
    #[must_use]
    pub fn container(&self) -> String {
        format!("/{}/fietstellingen/", self.storage)
    }

    /// Its counts per hour in the columns of Gent's counters.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::from("Code;Locatie;Datum;Uur5Minuten;Ordening;Totaal;Tegenrichting;Hoofdrichting\n");
        for step in 0..DAYS * 24 {
            let (day, hour) = (18 + step / 24, step % 24);
            let count = random(5_000 + self.number as u64, step) % 90;
            let _ = writeln!(
                text,
                "G1;gegenereerde telpaal;2022-11-{day};{hour}:00:00;2022-11-{day}T{hour:02}:00:00+01:00;{count};0;{count}"
            );
        }
        text
    }

    /// The mapping of Gent's counters with this municipality's authority and code in the place of Gent's.
    #[must_use]
    pub fn mapping(&self, gent: &str) -> String {
        gent.replace("https://data.stad.gent/", &self.authority())
            .replace("refnis2025/44021", &format!("refnis2025/{}", self.nis))
    }

    /// Victims of accidents on bicycles, one row for each group of them.
    fn victims(&self) -> u64 {
        1 + random(9_000, self.number as u64) % 40
    }
}

/// What the register of municipalities says about them.
#[must_use]
pub fn register(all: &[Neighbour]) -> String {
    let mut text = String::from(
        "@prefix skos: <http://www.w3.org/2004/02/skos/core#> .\n@prefix refnis: <http://vocab.belgif.be/auth/refnis2025/> .\n",
    );
    for one in all {
        let (nis, label) = (&one.nis, &one.label);
        let _ = writeln!(
            text,
            "refnis:{nis} a skos:Concept ; skos:notation \"{nis}\" ; skos:prefLabel \"{label}\"@nl, \"Commune générée {:03}\"@fr .",
            one.number
        );
    }
    text
}

/// Their accidents in the columns of Statbel's table.
#[must_use]
pub fn accidents(all: &[Neighbour]) -> String {
    let mut text = String::from("DT_DAY|MS_VICT|TX_ROAD_USR_TYPE_DESCR_NL|CD_MUNTY_REFNIS\n");
    for one in all {
        for (user, victims) in [("Fiets", one.victims()), ("Personenauto", 3)] {
            let _ = writeln!(text, "2020-03-{:02}|{victims}|{user}|{}", 1 + one.number % 28, one.nis);
        }
    }
    text
}
