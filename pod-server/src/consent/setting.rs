//! What a person wants done with requests, and what is done with their data on other grounds than consent (CON-14, CON-16).

use http::{Method, StatusCode};
use policies::audit::AuditAction;
use policies::consent::{Activity, Preference, check_preferences, preference_for};
use policies::purpose::Hierarchy;
use serde::{Deserialize, Serialize};
use server_kit::problem::Problem;

use super::decision::{Acting, Bounds, Decision, advance};
use super::service::Consents;
use super::stored::StoredConsent;
use crate::audit::Event;
use crate::dataspace::agreement::{read_json, to_json};
use crate::dataspace::edge::{self, Answer, Call};
use crate::dataspace::exchange::storage_name;
use crate::store::{RecordKind, Snapshot, Storage, StoreError, Transaction};

/// All preferences of a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preferences {
    /// In this order; the first that a request falls under counts.
    pub preferences: Vec<Preference>,
}

/// An activity with the storage that declared it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeclaredActivity {
    /// Name of the storage.
    pub by: String,
    /// Name of the activity.
    pub id: String,
    /// What it says.
    #[serde(flatten)]
    pub activity: Activity,
}

impl Consents {
    /// The preferences of a person.
    ///
    /// # Errors
    /// If the store fails.
    pub fn preferences(&self, storage: &Storage) -> Result<Preferences, Problem> {
        let snapshot = self.node.snapshot()?;
        load_preferences(&*snapshot, storage_name(storage.root.as_str())).map_err(|error| edge::store_problem(&error))
    }

    /// Replaces the preferences of a person; requests that wait are left as they are.
    ///
    /// # Errors
    /// 422 for preferences that make no sense, or too many.
    pub async fn set_preferences(&self, storage: &Storage, preferences: Preferences) -> Result<(), Problem> {
        let invalid = |detail: String| edge::unprocessable("invalid-preference", detail);
        check_preferences(&preferences.preferences).map_err(|error| invalid(error.to_string()))?;
        let count = preferences.preferences.len();
        if count > self.config.preferences_max {
            let detail = format!("at most {} preferences, not {count}", self.config.preferences_max);
            return Err(invalid(detail));
        }
        let key = preferences_key(storage_name(storage.root.as_str()));
        let target = format!("{}.consent/preferences", storage.root.iri(&self.node.origins));
        let (owner, storage_id) = (storage.owner.clone(), storage.id);
        self.node
            .commit(move |node, transaction| {
                let mut event = Event::done(AuditAction::Consent, &owner, storage_id).on(&target);
                event.subjects = vec![storage_id];
                node.record(transaction, &event)?;
                to_json(&preferences)
                    .and_then(|bytes| transaction.record_put(RecordKind::ConsentSetting, &key, &bytes))
                    .map_err(|error| edge::store_problem(&error))
            })
            .await
    }

    /// The activities that concern the person of a storage.
    ///
    /// # Errors
    /// If the store fails.
    pub fn activities_about(&self, storage: &Storage) -> Result<Vec<DeclaredActivity>, Problem> {
        let person = storage_name(storage.root.as_str());
        let mut found = Vec::new();
        for by in &self.config.umbrella_storages {
            found.extend(
                self.activities_of(by)?
                    .into_iter()
                    .filter(|declared| declared.activity.concerns(person)),
            );
        }
        Ok(found)
    }

    /// The activities that a storage declared.
    ///
    /// # Errors
    /// If the store fails.
    pub fn activities_of(&self, by: &str) -> Result<Vec<DeclaredActivity>, Problem> {
        let snapshot = self.node.snapshot()?;
        let prefix = activity_key(by, "");
        let records = snapshot
            .records(RecordKind::ConsentSetting, &prefix, None, self.config.activities_max)
            .map_err(|error| edge::store_problem(&error))?;
        let mut found = Vec::new();
        for (key, bytes) in records {
            let activity = read_json(Some(bytes), &key).map_err(|error| edge::store_problem(&error))?;
            found.extend(activity.map(|activity| DeclaredActivity {
                by: by.to_owned(),
                id: key.strip_prefix(&prefix).unwrap_or(&key).to_owned(),
                activity,
            }));
        }
        Ok(found)
    }

    /// Answers `preferences` and `activities…` below `/{storage}/.consent/` for the owner of the storage.
    pub(super) async fn settings(&self, call: &Call, storage: &Storage, rest: &[&str]) -> Answer {
        match (rest, &call.method) {
            (["preferences"], &Method::GET) => edge::json(StatusCode::OK, &self.preferences(storage)?),
            (["preferences"], &Method::PUT) => {
                let preferences: Preferences = call.json()?;
                self.set_preferences(storage, preferences.clone()).await?;
                edge::json(StatusCode::OK, &preferences)
            }
            (["preferences"], method) => Err(edge::method_not_allowed(method, "GET, PUT")),
            (["activities"] | ["activities", ""], &Method::GET) => {
                let activities = self.activities_of(storage_name(storage.root.as_str()))?;
                edge::json(StatusCode::OK, &serde_json::json!({ "activities": activities }))
            }
            (["activities", id], &Method::PUT) if !id.is_empty() => {
                let activity: Activity = call.json()?;
                self.declare(storage, id, Some(activity.clone())).await?;
                edge::json(StatusCode::OK, &activity)
            }
            (["activities", id], &Method::DELETE) if !id.is_empty() => {
                self.declare(storage, id, None).await?;
                edge::respond(StatusCode::NO_CONTENT, "text/plain", Vec::new())
            }
            (_, method) => Err(edge::method_not_allowed(method, "GET, PUT, DELETE")),
        }
    }

    /// Declares an activity, or takes it back.
    async fn declare(&self, storage: &Storage, id: &str, activity: Option<Activity>) -> Result<(), Problem> {
        let by = storage_name(storage.root.as_str()).to_owned();
        if !self.config.umbrella_storages.contains(&by) {
            return Err(edge::forbidden(
                "only the owner of an umbrella storage (`dataspace.umbrella_storages`) declares what it does with the \
                 data of the people of this server",
            ));
        }
        if let Some(activity) = &activity {
            activity
                .validate()
                .map_err(|error| edge::unprocessable("invalid-activity", error.to_string()).with("path", error.path))?;
        }
        let plain = id.len() <= 100 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !plain {
            let detail = "the name of an activity has at most 100 letters, digits and hyphens";
            return Err(edge::unprocessable("invalid-activity", detail));
        }
        let (key, activities_max) = (activity_key(&by, id), self.config.activities_max);
        let target = format!("{}.consent/activities/{id}", storage.root.iri(&self.node.origins));
        let (owner, storage_id, id) = (storage.owner.clone(), storage.id, id.to_owned());
        self.node
            .commit(move |node, transaction| {
                let failed = |error: StoreError| edge::store_problem(&error);
                let known = transaction.record(RecordKind::ConsentSetting, &key).map_err(failed)?;
                let prefix = activity_key(&by, "");
                let count = transaction.records(RecordKind::ConsentSetting, &prefix, None, activities_max);
                if known.is_none() && activity.is_some() && count.map_err(failed)?.len() >= activities_max {
                    let detail = format!("a storage declares at most {activities_max} activities");
                    return Err(edge::conflict("too-many-activities", detail));
                }
                if known.is_none() && activity.is_none() {
                    return Err(edge::not_found(&id));
                }
                node.record(
                    transaction,
                    &Event::done(AuditAction::Control, &owner, storage_id).on(&target),
                )?;
                match activity {
                    Some(activity) => {
                        let bytes = to_json(&activity).map_err(failed)?;
                        transaction
                            .record_put(RecordKind::ConsentSetting, &key, &bytes)
                            .map_err(failed)
                    }
                    None => {
                        let gone = transaction.record_delete(RecordKind::ConsentSetting, &key);
                        gone.map(drop).map_err(failed)
                    }
                }
            })
            .await
    }
}

/// What a standing preference makes of a new request, if one applies: the next version, by the person's own rule.
pub(super) fn presort(
    transaction: &dyn Transaction,
    storage: &str,
    consent: &mut StoredConsent,
    bounds: Bounds,
) -> Result<bool, Problem> {
    let snapshot: &dyn Snapshot = transaction;
    let preferences = load_preferences(snapshot, storage).map_err(|error| edge::store_problem(&error))?;
    let Some(request) = consent.current() else {
        return Ok(false);
    };
    let Some(found) = preference_for(&preferences.preferences, request, &Hierarchy::default()) else {
        return Ok(false);
    };
    let acting = Acting {
        by: request.data_subject.clone(),
        method: format!("{} {}", policies::consent::BY_PREFERENCE, found.id),
        mandate: None,
    };
    let decision = match found.effect {
        policies::consent::PreferenceEffect::Refuse => Decision::Refuse,
        policies::consent::PreferenceEffect::Defer => Decision::Defer,
    };
    advance(consent, &decision, &acting, bounds)?;
    Ok(true)
}

fn preferences_key(storage: &str) -> String {
    format!("{storage}/preferences")
}

fn activity_key(storage: &str, id: &str) -> String {
    format!("{storage}/activity/{id}")
}

fn load_preferences(snapshot: &dyn Snapshot, storage: &str) -> Result<Preferences, StoreError> {
    let key = preferences_key(storage);
    Ok(read_json(snapshot.record(RecordKind::ConsentSetting, &key)?, &key)?.unwrap_or_default())
}
