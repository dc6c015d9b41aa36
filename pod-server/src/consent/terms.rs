//! What a consent is to say, as a person or an asking party writes it, and the first version of the record that follows.

use std::collections::{BTreeMap, BTreeSet};

use policies::consent::{
    Act, ConsentEvent, ConsentRecord, ConsentedData, Item, Notice, Process, Recipients, missing_of_record, step,
    to_quads,
};
use policies::request::WebId;
use serde::Deserialize;
use server_kit::problem::Problem;
use time::{Duration, OffsetDateTime};

use super::stored::notice_hash;
use crate::dataspace::config::DataspaceConfig;
use crate::dataspace::edge;

/// What a consent is to say.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentTerms {
    /// WebIDs of those who may receive the data, or `"any"`.
    pub recipients: RecipientTerms,
    /// IRIs of the purposes.
    pub purposes: BTreeSet<String>,
    /// Containers (`telraam/`, or full IRIs), datasets and predicates.
    #[serde(default)]
    pub data: ConsentedData,
    /// When it ends; the configured time from now unless given.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// What the person is shown.
    pub notice: NoticeTerms,
    /// The process in full (ISO/IEC TS 27560).
    #[serde(default)]
    pub process: Option<Process>,
}

/// Who may receive the data.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum RecipientTerms {
    /// One WebID, or the word `any`.
    One(String),
    /// Several WebIDs.
    Several(BTreeSet<String>),
}

/// What the person is shown.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeTerms {
    /// Language tag.
    pub language: String,
    /// The exact words.
    pub text: String,
    /// The same in other languages, by tag.
    #[serde(default)]
    pub translations: BTreeMap<String, String>,
}

/// For whom and on what ground a first version is drawn up.
pub(super) struct Drafting<'a> {
    /// IRI of the person's storage.
    pub(super) root: String,
    /// WebID of the person.
    pub(super) owner: &'a str,
    /// When.
    pub(super) now: OffsetDateTime,
    /// Page on which the person changes and withdraws it.
    pub(super) control: String,
    /// Bounds.
    pub(super) config: &'a DataspaceConfig,
}

impl Drafting<'_> {
    /// The first version of a consent.
    pub(super) fn draft(&self, terms: &ConsentTerms, event: ConsentEvent, act: Act) -> Result<ConsentRecord, Problem> {
        let invalid = |detail: String| edge::unprocessable("invalid-consent", detail);
        self.check_notice(&terms.notice)?;
        let days = self.config.consent_days_default.min(self.config.consent_days_max);
        let usual = self.now.saturating_add(Duration::days(i64::from(days)));
        let absolute = |what: &String| absolute(&self.root, what);
        Ok(ConsentRecord {
            id: self.root.clone(),
            data_subject: WebId::parse(self.owner).map_err(|error| invalid(error.to_string()))?,
            recipients: recipients(&terms.recipients).map_err(invalid)?,
            purposes: terms.purposes.clone(),
            data: ConsentedData {
                containers: terms.data.containers.iter().map(absolute).collect(),
                ..terms.data.clone()
            },
            storage: self.root.clone(),
            given_at: (event == ConsentEvent::Give).then_some(self.now),
            expires_at: terms.expires_at.unwrap_or(usual),
            changed_at: self.now,
            status: step(None, event).map_err(|error| invalid(error.to_string()))?,
            notice: Notice {
                language: terms.notice.language.clone(),
                hash: notice_hash(&terms.notice.text),
            },
            version: 1,
            previous: None,
            process: terms
                .process
                .as_ref()
                .map(|process| Box::new(self.process(terms, process))),
            act: Some(Box::new(act)),
        })
    }

    /// The process with what this server knows itself.
    fn process(&self, terms: &ConsentTerms, process: &Process) -> Process {
        let place = |item: &Item| {
            let named = terms.data.containers.contains(&item.what);
            Item {
                what: if named {
                    absolute(&self.root, &item.what)
                } else {
                    item.what.clone()
                },
                ..item.clone()
            }
        };
        Process {
            items: process.items.iter().map(place).collect(),
            control: process.control.clone().or_else(|| Some(self.control.clone())),
            ..process.clone()
        }
    }

    fn check_notice(&self, notice: &NoticeTerms) -> Result<(), Problem> {
        let texts = std::iter::once((&notice.language, &notice.text)).chain(&notice.translations);
        let mut characters = 0_usize;
        for (tag, text) in texts {
            let length = text.chars().count();
            characters = characters.saturating_add(length);
            if text.trim().is_empty() || length > self.config.notice_chars_max {
                let detail = format!(
                    "`notice.text` must have between 1 and {} characters in each language (`{tag}` has {length})",
                    self.config.notice_chars_max
                );
                return Err(edge::unprocessable("invalid-consent", detail));
            }
        }
        if characters > self.config.notice_chars_max.saturating_mul(LANGUAGES_MAX) {
            return Err(edge::unprocessable(
                "invalid-consent",
                format!("`notice.translations` has more text than {LANGUAGES_MAX} languages need"),
            ));
        }
        Ok(())
    }
}

/// Languages in which a notice may be given.
const LANGUAGES_MAX: usize = 30;

/// Refuses a record that claims a profile and lacks what the profile makes mandatory, with the place of each fault; and
/// one whose parts have no sense.
pub(super) fn check(record: &ConsentRecord, config: &DataspaceConfig) -> Result<(), Problem> {
    record
        .validate(config.consent_days_max)
        .map_err(|error| edge::unprocessable("invalid-consent", error.to_string()))?;
    let items = record.process.as_ref().map_or(0, |process| process.items.len());
    if items > config.consent_items_max {
        let detail = format!("a consent has at most {} items, not {items}", config.consent_items_max);
        return Err(edge::unprocessable("invalid-consent", detail));
    }
    // Each of them is told when the consent ends, so their number is bounded.
    let named = match &record.recipients {
        Recipients::Any => 0,
        Recipients::These(these) => these.len(),
    };
    let known = record.process.as_ref().map_or(0, |process| process.recipients.len());
    if named.max(known) > config.consent_recipients_max {
        let detail = format!("a consent names at most {} recipients", config.consent_recipients_max);
        return Err(edge::unprocessable("invalid-consent", detail));
    }
    let profile = record.process.as_ref().and_then(|process| process.profile);
    if profile.is_none() && !config.consent_profile_required {
        return Ok(());
    }
    let unreadable = |error: &dyn std::fmt::Display| edge::unprocessable("invalid-consent", error.to_string());
    let quads = to_quads(record).map_err(|error| unreadable(&error))?;
    let missing = missing_of_record(&quads).map_err(|error| unreadable(&error))?;
    let Some(first) = missing.first() else {
        return Ok(());
    };
    let detail = format!(
        "ISO/IEC TS 27560 makes {} fields mandatory that are missing, first `{}` ({})",
        missing.len(),
        first.path,
        first.field
    );
    Err(edge::unprocessable("incomplete-consent", detail)
        .with("faults", serde_json::to_value(&missing).unwrap_or_default()))
}

fn recipients(terms: &RecipientTerms) -> Result<Recipients, String> {
    let web_ids = match terms {
        RecipientTerms::One(word) if word == "any" => return Ok(Recipients::Any),
        RecipientTerms::One(one) => BTreeSet::from([one.clone()]),
        RecipientTerms::Several(several) => several.clone(),
    };
    web_ids
        .into_iter()
        .map(|web_id| WebId::parse(web_id).map_err(|error| error.to_string()))
        .collect::<Result<_, _>>()
        .map(Recipients::These)
}

/// A container of a storage from its relative path; a full IRI stays as it is.
fn absolute(root: &str, container: &str) -> String {
    if container.contains("://") {
        container.to_owned()
    } else {
        format!("{root}{}", container.trim_start_matches('/'))
    }
}
