//! The console's pages about consents: reads forms, lets the service act for the person who is logged in or for the one
//! who gave them a mandate, and shows what came of it.

use std::collections::BTreeSet;

use http::Response;
use policies::consent::{ConsentRecord, Mandate, MandateKind};
use policies::request::WebId;
use server_kit::problem::Problem;
use time::Duration;

use super::decision::{Acting, Decision, Yes};
use super::duty::DeleteDuty;
use super::mandate::MandateTerms;
use super::proof::receipt_as_rdf;
use super::setting::{DeclaredActivity, Preferences};
use super::stored::StoredConsent;
use crate::dataspace::console::download;
use crate::dataspace::edge;
use crate::dataspace::graph::Syntax;
use crate::dataspace::service::DataspaceService;
use crate::store::Storage;
use crate::ui::{
    Body, Form, Notice, Page, Session, Visit, consent, consent_request, consent_setting, mandate, see_other,
};

/// What a page may say that it has done.
const DONE: [&str; 9] = [
    "given",
    "refused",
    "withdrawn",
    "deferred",
    "renewed",
    "reopened",
    "mandated",
    "unmandated",
    "preferred",
];

/// What the page shows of one storage.
struct Part {
    storage: String,
    consents: Vec<(String, StoredConsent)>,
    mandates: Option<Vec<(String, Mandate)>>,
    preferences: Option<Preferences>,
    activities: Vec<DeclaredActivity>,
    duties: Vec<DeleteDuty>,
}

impl Part {
    fn shown(&self, reminder_days: u32) -> consent::Shown<'_> {
        consent::Shown {
            storage: &self.storage,
            consents: &self.consents,
            mandates: self.mandates.as_deref(),
            reminder_days,
            preferences: self.preferences.as_ref(),
            activities: &self.activities,
            duties: &self.duties,
        }
    }
}

impl DataspaceService {
    /// The page of consents.
    pub(crate) fn show_consents(
        &self,
        visit: &Visit,
        person: &Session,
        query: &Form,
    ) -> Result<Response<Body>, Problem> {
        let now = self.consents.node.clock.now();
        let mut parts = Vec::new();
        for storage in self.own_storages(visit, person)? {
            parts.push(self.part(&storage, true)?);
        }
        for storage in self.mandated_storages(person)? {
            parts.push(self.part(&storage, false)?);
        }
        let parts: Vec<_> = parts
            .iter()
            .map(|part| part.shown(self.consents.config.consent_reminder_days))
            .collect();
        let notice = Notice::done(visit, query, "consent-done", &DONE);
        let content = consent::page(visit, &self.consents.node.origins, &parts, now, notice.as_ref());
        Ok(Page::new(visit.text("consent-title"), content).respond(visit))
    }

    fn part(&self, storage: &Storage, own: bool) -> Result<Part, Problem> {
        let consents = &self.consents;
        Ok(Part {
            storage: storage.root.as_str().to_owned(),
            consents: consents.list(storage)?,
            mandates: own.then(|| consents.mandates(storage)).transpose()?,
            preferences: own.then(|| consents.preferences(storage)).transpose()?,
            activities: consents.activities_about(storage)?,
            duties: {
                let mut duties = consents.duties(storage)?;
                duties.extend(consents.duties_under_agreements(storage)?);
                duties
            },
        })
    }

    pub(crate) async fn show_receipt(
        &self,
        visit: &Visit,
        person: &Session,
        query: &Form,
    ) -> Result<Response<Body>, Problem> {
        let (storage, acting) = self.acting_storage(person, query.field("storage").unwrap_or_default())?;
        let id = query.field("id").unwrap_or_default();
        let found = self.consents.read(&storage, id)?;
        let file = |syntax: Syntax, name: &str| {
            let bytes = receipt_as_rdf(&found, None, syntax)?;
            Ok(download(syntax.media_type(), name, bytes))
        };
        match query.field("form") {
            Some("turtle") => file(Syntax::Turtle, "consent.ttl"),
            Some("json") => file(Syntax::JsonLd, "consent.jsonld"),
            Some("signed") => {
                let receipt = self.consents.receipt(&found, None)?;
                Ok(download("application/jose", "consent.jws", receipt.into_bytes()))
            }
            Some("proof") => {
                let proof = self.consents.proof(&storage, &found, None, acting.by.as_str()).await?;
                let bytes = serde_json::to_vec_pretty(&proof).map_err(|_| Problem::internal())?;
                Ok(download("application/json", "consent-proof.json", bytes))
            }
            _ => {
                let content = consent::receipt(visit, &self.consents.node.origins, storage.root.as_str(), id, &found);
                Ok(Page::new(visit.text("consent-receipt-title"), content).respond(visit))
            }
        }
    }

    /// A form of one of these pages; none for another.
    pub(crate) async fn submit_consent(
        &self,
        visit: &Visit,
        person: &Session,
        target: &str,
        form: &Form,
    ) -> Option<Result<Response<Body>, Problem>> {
        let answered = match target {
            consent::ANSWER => self.answer(visit, person, form).await,
            consent::RENEW => self.renew(visit, person, form).await,
            consent::WITHDRAW => self.plain(visit, person, form, Decision::Withdraw, "withdrawn").await,
            consent::REOPEN => self.plain(visit, person, form, Decision::Reopen, "reopened").await,
            consent_setting::PREFER => self.prefer(visit, person, form).await,
            mandate::GIVE => self.give_mandate(visit, person, form).await,
            mandate::END => self.take_mandate(visit, person, form).await,
            _ => return None,
        };
        Some(answered)
    }

    /// A decision that needs nothing but the press of a button.
    async fn plain(
        &self,
        visit: &Visit,
        person: &Session,
        form: &Form,
        decision: Decision,
        done: &str,
    ) -> Result<Response<Body>, Problem> {
        let (storage, acting) = self.acting_storage(person, form.field("storage").unwrap_or_default())?;
        let id = form.field("id").unwrap_or_default();
        self.consents.decide(&storage, id, decision, acting).await?;
        Ok(see_other(visit, &format!("/consent?done={done}")))
    }

    async fn answer(&self, visit: &Visit, person: &Session, form: &Form) -> Result<Response<Body>, Problem> {
        let decision = match form.field("answer") {
            Some("no") => return self.answered(visit, person, form, Decision::Refuse, "refused").await,
            Some("later") => return self.answered(visit, person, form, Decision::Defer, "deferred").await,
            Some("yes") => Decision::Give,
            _ => return Err(edge::unprocessable("answer-missing", "say yes or no")),
        };
        let (storage, acting) = self.acting_storage(person, form.field("storage").unwrap_or_default())?;
        let id = form.field("id").unwrap_or_default();
        let found = self.consents.read(&storage, id)?;
        let record = found.current().ok_or_else(|| edge::not_found(id))?;
        check_notice(&found, form)?;
        let yes = yes(form, record, self.consents.node.clock.now());
        if asks_explicitly(record, &yes) {
            let content = consent_request::explicit(visit, consent::ANSWER, storage.root.as_str(), id, record, form);
            return Ok(Page::new(visit.text("consent-special-title"), content).respond(visit));
        }
        self.consents.decide(&storage, id, decision(yes), acting).await?;
        Ok(see_other(visit, "/consent?done=given"))
    }

    /// An answer that gives nothing away, about the words that the person was shown.
    async fn answered(
        &self,
        visit: &Visit,
        person: &Session,
        form: &Form,
        decision: Decision,
        done: &str,
    ) -> Result<Response<Body>, Problem> {
        let (storage, _) = self.acting_storage(person, form.field("storage").unwrap_or_default())?;
        let found = self.consents.read(&storage, form.field("id").unwrap_or_default())?;
        check_notice(&found, form)?;
        self.plain(visit, person, form, decision, done).await
    }

    async fn renew(&self, visit: &Visit, person: &Session, form: &Form) -> Result<Response<Body>, Problem> {
        let (storage, acting) = self.acting_storage(person, form.field("storage").unwrap_or_default())?;
        let id = form.field("id").unwrap_or_default();
        let found = self.consents.read(&storage, id)?;
        let record = found.current().ok_or_else(|| edge::not_found(id))?;
        let special = form.field("special").is_some();
        let yes = Yes {
            special,
            ..Yes::default()
        };
        if !special
            && record
                .process
                .as_ref()
                .is_some_and(|process| process.special().next().is_some())
        {
            let content = consent_request::explicit(visit, consent::RENEW, storage.root.as_str(), id, record, form);
            return Ok(Page::new(visit.text("consent-special-title"), content).respond(visit));
        }
        self.consents.decide(&storage, id, Decision::Renew(yes), acting).await?;
        Ok(see_other(visit, "/consent?done=renewed"))
    }

    async fn prefer(&self, visit: &Visit, person: &Session, form: &Form) -> Result<Response<Body>, Problem> {
        let storage = self.own_storage(person, form.field("storage").unwrap_or_default())?;
        let known = self.consents.preferences(&storage)?;
        self.consents
            .set_preferences(&storage, consent_setting::chosen(form, known))
            .await?;
        Ok(see_other(visit, "/consent?done=preferred"))
    }

    async fn give_mandate(&self, visit: &Visit, person: &Session, form: &Form) -> Result<Response<Body>, Problem> {
        let storage = self.own_storage(person, form.field("storage").unwrap_or_default())?;
        let invalid = |detail: String| edge::unprocessable("invalid-mandate", detail);
        let holder = form.field("holder").unwrap_or_default().trim();
        let kind = form.field("kind").unwrap_or_default();
        let kind: MandateKind = serde_json::from_value(kind.into())
            .map_err(|_| invalid(format!("`{kind}` is no capacity in which somebody acts for you")))?;
        let now = self.consents.node.clock.now();
        let months = form.field("months").and_then(|months| months.parse().ok());
        let months = months
            .filter(|months| mandate::PERIODS_MONTHS.contains(months))
            .ok_or_else(|| invalid("choose for how long".to_owned()))?;
        let terms = MandateTerms {
            holder: WebId::parse(holder).map_err(|error| invalid(error.to_string()))?,
            kind,
            basis: form.field("basis").unwrap_or_default().to_owned(),
            from: None,
            until: consent::after_months(now, months),
        };
        self.consents.mandate(&storage, terms).await?;
        Ok(see_other(visit, "/consent?done=mandated"))
    }

    async fn take_mandate(&self, visit: &Visit, person: &Session, form: &Form) -> Result<Response<Body>, Problem> {
        let (storage, acting) = self.acting_storage(person, form.field("storage").unwrap_or_default())?;
        let id = form.field("id").unwrap_or_default();
        self.consents.end_mandate(&storage, id, acting.by.as_str()).await?;
        Ok(see_other(visit, "/consent?done=unmandated"))
    }

    /// A storage of the person, or one whose owner gave them a mandate that counts now; anything else is not found.
    fn acting_storage(&self, person: &Session, root: &str) -> Result<(Storage, Acting), Problem> {
        let node = &self.consents.node;
        let storage = node.storage(&*node.snapshot()?, root.trim_matches('/'))?;
        // The owner comes first: whoever is both acts for themselves.
        let own = person.webids.iter().filter(|web_id| **web_id == storage.owner);
        for web_id in own.chain(&person.webids) {
            let Ok(web_id) = WebId::parse(web_id.as_str()) else {
                continue;
            };
            if let Some(acting) = self.consents.mandated(&storage, &web_id, "page")? {
                return Ok((storage, acting));
            }
        }
        Err(edge::not_found(root))
    }

    /// The storages of others for whom the person may decide.
    fn mandated_storages(&self, person: &Session) -> Result<Vec<Storage>, Problem> {
        let mut names = BTreeSet::new();
        for web_id in &person.webids {
            names.extend(self.consents.held_by(web_id)?);
        }
        let node = &self.consents.node;
        let snapshot = node.snapshot()?;
        let found = names.iter().map(|name| node.storage(&*snapshot, name));
        let mut storages = Vec::new();
        for storage in found.flatten() {
            if !person.webids.contains(&storage.owner) {
                storages.push(storage);
            }
        }
        Ok(storages)
    }
}

/// What the person read is what their answer is about (T103).
fn check_notice(consent: &StoredConsent, form: &Form) -> Result<(), Problem> {
    match form.field("notice").and_then(|hash| consent.shown(hash)) {
        Some(_) => Ok(()),
        None => Err(edge::conflict(
            "notice-changed",
            "the words of this request are not those that you were shown",
        )),
    }
}

fn yes(form: &Form, record: &ConsentRecord, now: time::OffsetDateTime) -> Yes {
    let months = form.field("period").and_then(|period| period.parse::<u8>().ok());
    let until = months
        .filter(|months| consent::PERIODS_MONTHS.contains(months))
        .map_or(record.expires_at, |months| consent::after_months(now, months));
    let items = record.process.iter().flat_map(|process| &process.items);
    Yes {
        expires_at: Some(until.max(now.saturating_add(Duration::SECOND))),
        items: items
            .enumerate()
            .filter(|(at, _)| form.field(&consent_request::item_field(*at)).is_some())
            .map(|(_, item)| item.what.clone())
            .collect(),
        notice: form.field("notice").map(str::to_owned),
        special: form.field("special").is_some(),
    }
}

/// Whether a yes covers data of a special category without the statement of its own that this takes.
fn asks_explicitly(record: &ConsentRecord, yes: &Yes) -> bool {
    let Some(process) = &record.process else {
        return false;
    };
    !yes.special
        && process
            .special()
            .any(|item| item.required || yes.items.contains(&item.what))
}
