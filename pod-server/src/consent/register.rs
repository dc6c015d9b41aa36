//! The register of processing activities (GDPR art. 30(1)), generated from what is agreed, declared and consented to: the
//! owner of a storage never keeps it by hand (AUD-14).

use std::collections::{BTreeMap, BTreeSet};

use policies::consent::{ConsentRecord, Entity, Process, Recipients};
use policies::contract::AgreementState;
use serde::Serialize;
use server_kit::problem::Problem;

use super::service::Consents;
use super::setting::DeclaredActivity;
use super::stored;
use crate::dataspace::agreement::{Agreement, read_json};
use crate::dataspace::edge;
use crate::store::{RecordKind, Storage};

/// Records read at a time.
const BATCH: usize = 1_000;

/// One processing activity. Names of members are those of the letters of art. 30(1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RegisterEntry {
    /// Where it follows from: an agreement, a declared activity, or consents.
    pub source: String,
    /// What it rests on, as an IRI.
    pub legal_basis: String,
    /// (a) Who answers for it, and how to reach them.
    pub controller: String,
    /// (b) Purposes, as IRIs.
    pub purposes: BTreeSet<String>,
    /// (c) Whose data.
    pub data_subjects: String,
    /// (c) Which data, as IRIs.
    pub personal_data: BTreeSet<String>,
    /// (d) Who receives it.
    pub recipients: BTreeSet<String>,
    /// (e) Countries outside the Union, as IRIs.
    pub third_countries: BTreeSet<String>,
    /// (f) Until when, or how long after.
    pub time_limit: String,
    /// (g) How it is protected.
    pub measures: String,
    /// How many agreements or consents it stands for.
    pub count: u64,
    /// Whether it goes on now.
    pub active: bool,
}

/// How this server protects what it hands out, in every entry that rests on it.
const MEASURES: &str = "access decided per request by the storage; purpose and consent checked in the scan; every use and refusal \
                        in a signed, tamper-evident log";

impl Consents {
    /// The register of the owner of a storage.
    ///
    /// # Errors
    /// If the store fails.
    pub fn register(&self, storage: &Storage) -> Result<Vec<RegisterEntry>, Problem> {
        let mut entries = self.entries_of_agreements(storage)?;
        let name = crate::dataspace::exchange::storage_name(storage.root.as_str());
        entries.extend(self.activities_of(name)?.into_iter().map(declared));
        entries.extend(self.entries_of_consents(&storage.owner)?);
        Ok(entries)
    }

    fn entries_of_agreements(&self, storage: &Storage) -> Result<Vec<RegisterEntry>, Problem> {
        let snapshot = self.node.snapshot()?;
        let prefix = format!("{}.dataspace/agreements/", storage.root.iri(&self.node.origins));
        let (mut entries, mut after) = (Vec::new(), None::<String>);
        loop {
            let records = snapshot
                .records(RecordKind::Agreement, &prefix, after.as_deref(), BATCH)
                .map_err(|error| edge::store_problem(&error))?;
            let last = records.len() < BATCH;
            for (key, bytes) in records {
                let agreement: Option<Agreement> =
                    read_json(Some(bytes), &key).map_err(|error| edge::store_problem(&error))?;
                entries.extend(agreement.map(agreed));
                after = Some(key);
            }
            if last {
                return Ok(entries);
            }
        }
    }

    /// Consents that someone asked for, those of one kind together.
    fn entries_of_consents(&self, owner: &str) -> Result<Vec<RegisterEntry>, Problem> {
        if !self.may_ask(owner)? {
            return Ok(Vec::new());
        }
        let now = self.node.clock.now();
        let snapshot = self.node.snapshot()?;
        let (mut kinds, mut after) = (BTreeMap::<String, RegisterEntry>::new(), None::<String>);
        loop {
            let records = snapshot
                .records(RecordKind::Consent, "", after.as_deref(), BATCH)
                .map_err(|error| edge::store_problem(&error))?;
            let last = records.len() < BATCH;
            for (key, bytes) in records {
                let consent: Option<stored::StoredConsent> =
                    read_json(Some(bytes), &key).map_err(|error| edge::store_problem(&error))?;
                after = Some(key);
                let asked = consent.filter(|consent| consent.requested_by.as_deref() == Some(owner));
                let Some(consent) = asked else { continue };
                let Some(record) = consent.versions.iter().rev().find(|record| record.given_at.is_some()) else {
                    continue;
                };
                let entry = consented(record, owner);
                let name = serde_json::to_string(&entry).map_err(|_| Problem::internal())?;
                let kind = kinds.entry(name).or_insert(entry);
                kind.count = kind.count.saturating_add(1);
                kind.active |= consent.status_at(now).permits();
            }
            if last {
                return Ok(kinds.into_values().collect());
            }
        }
    }
}

fn agreed(agreement: Agreement) -> RegisterEntry {
    RegisterEntry {
        active: agreement.state == AgreementState::Active && agreement.in_force,
        source: agreement.iri,
        legal_basis: String::new(),
        controller: agreement.assigner,
        purposes: BTreeSet::from([agreement.purpose]),
        data_subjects: "the people whom the dataset is about".to_owned(),
        personal_data: BTreeSet::from([agreement.dataset]),
        recipients: BTreeSet::from([agreement.assignee]),
        third_countries: BTreeSet::new(),
        time_limit: "as the policy of the agreement says".to_owned(),
        measures: MEASURES.to_owned(),
        count: 1,
    }
}

fn declared(declared: DeclaredActivity) -> RegisterEntry {
    let activity = declared.activity;
    let subjects = activity.subjects.into_values().next();
    RegisterEntry {
        source: format!("activity {}", declared.id),
        legal_basis: activity.legal_basis,
        controller: reached(&activity.controller),
        purposes: activity.purposes,
        data_subjects: subjects.unwrap_or_else(|| "the people of this server".to_owned()),
        personal_data: activity.personal_data,
        recipients: activity.recipients.iter().map(reached).collect(),
        third_countries: activity.third_countries,
        time_limit: kept(activity.storage.days),
        measures: activity.measures,
        count: 1,
        active: true,
    }
}

fn consented(record: &ConsentRecord, owner: &str) -> RegisterEntry {
    let nothing = Process::default();
    let process = record.process.as_deref().unwrap_or(&nothing);
    let relative = |container: &String| container.strip_prefix(&record.storage).unwrap_or(container).to_owned();
    let data = &record.data;
    let mut personal_data: BTreeSet<String> = data.containers.iter().map(relative).collect();
    personal_data.extend(data.datasets.iter().chain(data.properties.iter().flatten()).cloned());
    personal_data.extend(process.personal_data.iter().cloned());
    let mut recipients: BTreeSet<String> = process.recipients.iter().map(reached).collect();
    match &record.recipients {
        Recipients::Any => {
            recipients.insert("everyone who has an agreement".to_owned());
        }
        Recipients::These(these) => recipients.extend(these.iter().map(|web_id| web_id.as_str().to_owned())),
    }
    RegisterEntry {
        source: "consents".to_owned(),
        legal_basis: process
            .legal_basis
            .clone()
            .unwrap_or_else(|| vocab::dpv_gdpr::CONSENT_6_1_A.to_owned()),
        controller: process.controller.as_ref().map_or_else(|| owner.to_owned(), reached),
        purposes: record.purposes.clone(),
        data_subjects: "people who gave consent".to_owned(),
        personal_data,
        recipients,
        third_countries: process.third_countries.clone(),
        time_limit: kept(process.storage.days),
        measures: MEASURES.to_owned(),
        count: 0,
        active: false,
    }
}

fn kept(days: Option<u32>) -> String {
    days.map_or_else(
        || "as long as the ground lasts".to_owned(),
        |days| format!("{days} days"),
    )
}

/// A name with what people need to reach it.
fn reached(entity: &Entity) -> String {
    let parts = [&entity.name, &entity.id, &entity.contact, &entity.address];
    let parts: Vec<&str> = parts
        .into_iter()
        .map(String::as_str)
        .filter(|part| !part.is_empty())
        .collect();
    parts.join(", ")
}

/// The register as a table (RFC 4180), for those who keep it elsewhere.
#[must_use]
pub fn as_csv(entries: &[RegisterEntry]) -> String {
    let mut text =
        "source,legal basis,controller,purposes,data subjects,personal data,recipients,third countries,time \
                    limit,measures,count,active\r\n"
            .to_owned();
    let joined = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join("; ");
    for entry in entries {
        let cells = [
            entry.source.clone(),
            entry.legal_basis.clone(),
            entry.controller.clone(),
            joined(&entry.purposes),
            entry.data_subjects.clone(),
            joined(&entry.personal_data),
            joined(&entry.recipients),
            joined(&entry.third_countries),
            entry.time_limit.clone(),
            entry.measures.clone(),
            entry.count.to_string(),
            entry.active.to_string(),
        ];
        let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

/// A cell between quotes; one that a spreadsheet would take for a formula is taken for text.
fn quoted(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = cell.replace('"', "\"\"");
    match formula {
        true => format!("\"'{text}\""),
        false => format!("\"{text}\""),
    }
}
