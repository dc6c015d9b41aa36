//! `explain`: the plan instead of the answer, as JSON or as text. With `explain=measured` the plan is followed first, like any query,
//! and tells beside each estimate what really came. Everything in it comes from what the consumer may see.

use super::manifests::Manifest;
use crate::enforce::{Admission, Refused};
use crate::error::{self, Answer};
use crate::exec::arriving::Arriving;
use crate::exec::manifest;
use crate::exec::residual::Delivered;
use crate::http::{Call, json, respond as response};
use crate::member::terms::Terms;
use crate::plan::{MaterialiseText, PhysicalPlan, SubPlan, SubPlanText};
use crate::source::{Source, SourceId};
use http::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Most sources that are named one by one in the text of a part; the JSON has all of them.
const NAMED_MAX: usize = 6;

/// What really came when a plan was followed.
#[derive(Debug)]
pub struct Measured {
    /// Rows by number of the sub-plan.
    rows: Vec<usize>,
    /// Triples that were merged.
    merged: usize,
    /// Requests that were sent.
    requests: u64,
    /// Time until all sources had answered or failed, milliseconds.
    ms: u64,
    /// Whether every source that could contribute did.
    complete: bool,
}

impl Measured {
    /// From what was delivered and the account of it.
    #[must_use]
    pub fn of(delivered: &Delivered, manifest: &Manifest) -> Self {
        let rows = |answer: &Arc<Arriving>| answer.parts().iter().map(|part| part.rows.len()).sum();
        Self {
            rows: delivered.answers.iter().map(rows).collect(),
            merged: delivered.dataset.len(),
            requests: manifest.completeness.sources.iter().map(|source| source.requests).sum(),
            ms: manifest.ms,
            complete: manifest.completeness.complete,
        }
    }
}

/// Under which terms a source is asked.
fn policy(source: &Source) -> Value {
    json!({
        "agreement": source.agreement,
        "granted": source.terms(),
        "properties": source.properties,
        "hidden": source.hidden,
        "aggregatesOverAtLeast": source.aggregate_only,
        "staysWithRecipient": source.stays,
        "masksKeys": source.masks,
    })
}

/// The same in words.
fn policy_words(source: &Source) -> String {
    let mut words = match (&source.agreement, source.terms()) {
        (Some(_), _) => "under an agreement".to_owned(),
        (None, Some(terms)) => granted(source, terms),
        (None, None) => "open to all".to_owned(),
    };
    if let Some(properties) = &source.properties {
        words.push_str(&format!(", {} properties", properties.len()));
    }
    if !source.hidden.is_empty() {
        words.push_str(&format!(", {} hidden properties", source.hidden.len()));
    }
    if let Some(least) = source.aggregate_only {
        words.push_str(&format!(", only aggregates over at least {least} people"));
    }
    if source.stays {
        words.push_str(", not to be handed on");
    }
    if source.masks {
        words.push_str(", join keys leave masked");
    }
    words
}

/// On what terms a member is asked that cannot enforce a policy itself.
fn granted(source: &Source, terms: &Terms) -> String {
    let purposes = terms
        .purposes
        .iter()
        .flatten()
        .map(|purpose| format!(" for <{purpose}>"));
    format!(
        "of kind `{}` under <{}>, stated at <{}>{}",
        source.kind().as_str(),
        terms.licence,
        terms.stated_at,
        purposes.collect::<String>()
    )
}

/// A plan and all that is told about it.
#[derive(Debug)]
pub struct Explained<'a> {
    /// The plan.
    pub plan: &'a PhysicalPlan,
    /// Who may be asked, under which terms.
    pub admission: &'a Admission,
    /// Datasets that could contribute and are not covered.
    pub not_covered: &'a [Refused],
    /// How long it took to read the query, decide about every agreement and plan.
    pub planning: Duration,
    /// What came, when the plan was followed.
    pub measured: Option<Measured>,
}

/// The plan as JSON.
#[must_use]
pub fn value(explained: &Explained<'_>) -> Value {
    let Explained {
        plan,
        admission,
        not_covered,
        planning,
        measured,
    } = explained;
    let named = |id: usize| {
        admission.sources.get(id).map_or(
            Value::Null,
            |source| json!({ "member": source.member, "kind": source.kind(), "dataset": source.dataset, "agreement": source.agreement, "policy": policy(source) }),
        )
    };
    let parts: Vec<Value> = plan
        .sub_plans
        .iter()
        .map(|part| {
            json!({
                "number": part.id,
                "query": SubPlanText::whole(part),
                "aggregated": part.aggregated,
                "narrowedBy": part.bind.as_ref().map(|bind| json!({
                    "subPlan": bind.from,
                    "masked": bind.masked,
                    "variables": bind.variables.iter().map(|v| v.as_str().to_owned()).collect::<Vec<_>>(),
                })),
                "rowsEstimated": part.sources.values().sum::<f64>().round(),
                "rows": measured.as_ref().and_then(|measured| measured.rows.get(part.id)),
                "sources": part.sources.iter().map(|(id, rows)| json!({ "source": named(*id), "rowsEstimated": rows.round() })).collect::<Vec<_>>(),
            })
        })
        .collect();
    let merged: Vec<Value> = plan
        .materialise
        .iter()
        .map(|(id, wanted)| json!({ "source": named(*id), "query": MaterialiseText::of(wanted) }))
        .collect();
    let withheld: Vec<Value> = plan
        .withheld
        .iter()
        .map(|(id, reasons)| json!({ "source": named(*id), "reasons": reasons.iter().map(manifest::words).collect::<Vec<_>>() }))
        .collect();
    json!({
        "residual": plan.residual_text(),
        "subPlans": parts,
        "merged": merged,
        "withheld": withheld,
        "notCovered": not_covered,
        "evidence": plan.evidence,
        "requestsAtLeast": plan.sub_plans.iter().filter(|part| part.bind.is_none()).map(|part| part.sources.len()).sum::<usize>() + plan.materialise.len(),
        "planningMicros": u64::try_from(planning.as_micros()).unwrap_or(u64::MAX),
        "measured": measured.as_ref().map(|measured| json!({
            "requests": measured.requests,
            "triplesMerged": measured.merged,
            "ms": measured.ms,
            "complete": measured.complete,
        })),
    })
}

/// The plan as text.
#[must_use]
pub fn text(explained: &Explained<'_>) -> String {
    let Explained {
        plan,
        admission,
        not_covered,
        planning,
        measured,
    } = explained;
    let mut out = format!("The broker itself evaluates:\n  {}\n", plan.residual_text());
    for part in &plan.sub_plans {
        sub_plan(&mut out, part, admission, measured.as_ref());
    }
    for (id, wanted) in &plan.materialise {
        let source = admission.sources.get(*id);
        out.push_str(&format!(
            "\nTriples to merge, from {}, {}\n  {}\n",
            name(admission, *id),
            source.map(policy_words).unwrap_or_default(),
            MaterialiseText::of(wanted)
        ));
    }
    for (id, reasons) in &plan.withheld {
        for reason in reasons {
            out.push_str(&format!(
                "\nLeft out: {}: {}\n",
                name(admission, *id),
                manifest::words(reason)
            ));
        }
    }
    for refused in *not_covered {
        out.push_str(&format!(
            "\nNot covered: {} <{}>: {}\n",
            refused.member, refused.dataset, refused.reason
        ));
    }
    out.push_str("\nWhy:\n");
    for reason in &plan.evidence {
        out.push_str(&format!("  {reason}\n"));
    }
    out.push_str(&format!(
        "\nRead, decided and planned in {} µs.\n",
        planning.as_micros()
    ));
    if let Some(measured) = measured {
        let merged = match measured.merged {
            0 => String::new(),
            triples => format!(", {triples} triples merged"),
        };
        let whole = if measured.complete { "complete" } else { "incomplete" };
        out.push_str(&format!(
            "Followed: {} requests{merged}, {whole}; all had answered after {} ms.\n",
            measured.requests, measured.ms
        ));
    }
    out
}

fn name(admission: &Admission, id: SourceId) -> String {
    admission.sources.get(id).map_or_else(
        || "?".to_owned(),
        |source| format!("{} <{}>", source.member, source.dataset),
    )
}

/// One sub-plan: its text, its estimate beside what came, and whom it goes to under which terms.
fn sub_plan(out: &mut String, part: &SubPlan, admission: &Admission, measured: Option<&Measured>) {
    let aggregated = if part.aggregated {
        " (aggregated at the source)"
    } else {
        ""
    };
    let estimated: f64 = part.sources.values().sum();
    let came = measured
        .and_then(|measured| measured.rows.get(part.id))
        .map(|rows| format!(", {rows} came"))
        .unwrap_or_default();
    out.push_str(&format!(
        "\nSub-plan {}{aggregated}: about {} rows{came}\n  {}\n",
        part.id,
        estimated.round(),
        SubPlanText::whole(part)
    ));
    if let Some(bind) = &part.bind {
        let variables: Vec<&str> = bind.variables.iter().map(|variable| variable.as_str()).collect();
        out.push_str(&format!(
            "  narrowed by the {}bindings of ?{} from sub-plan {}, to their owners only\n",
            if bind.masked { "masked " } else { "" },
            variables.join(", ?"),
            bind.from
        ));
    }
    let mut terms: BTreeMap<String, Vec<(SourceId, f64)>> = BTreeMap::new();
    for (id, rows) in &part.sources {
        if let Some(source) = admission.sources.get(*id) {
            terms.entry(policy_words(source)).or_default().push((*id, *rows));
        }
    }
    for (words, sources) in terms {
        out.push_str(&format!("  to {} {words}:\n", counted(sources.len())));
        for (id, rows) in sources.iter().take(NAMED_MAX) {
            out.push_str(&format!("    {} (about {} rows)\n", name(admission, *id), rows.round()));
        }
        let others = sources.get(NAMED_MAX..).unwrap_or_default();
        if !others.is_empty() {
            let rows: f64 = others.iter().map(|(_, rows)| rows).sum();
            out.push_str(&format!(
                "    and {} more (about {} rows)\n",
                others.len(),
                rows.round()
            ));
        }
    }
}

fn counted(sources: usize) -> String {
    match sources {
        1 => "1 source".to_owned(),
        many => format!("{many} sources"),
    }
}

/// The response.
///
/// # Errors
/// 406.
pub fn respond(call: &Call, explained: &Explained<'_>) -> Answer {
    match call.negotiate(&["application/json", "text/plain"]) {
        Some("text/plain") => Ok(response(StatusCode::OK, "text/plain; charset=utf-8", text(explained))),
        Some(_) => Ok(json(StatusCode::OK, &value(explained))),
        None => Err(error::not_acceptable("application/json, text/plain")),
    }
}
