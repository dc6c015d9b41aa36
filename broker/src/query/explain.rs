//! `explain`: the plan instead of the answer, as JSON or as text.

use crate::enforce::{Admission, Refused};
use crate::error::{self, Answer};
use crate::http::{Call, json, respond as response};
use crate::plan::{MaterialiseText, PhysicalPlan, SubPlanText};
use http::StatusCode;
use serde_json::{Value, json};

/// The plan as JSON.
#[must_use]
pub fn value(plan: &PhysicalPlan, admission: &Admission, not_covered: &[Refused]) -> Value {
    let named = |id: usize| {
        admission.sources.get(id).map_or(
            Value::Null,
            |source| json!({ "member": source.member, "dataset": source.dataset, "agreement": source.agreement }),
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
                    "variables": bind.variables.iter().map(|v| v.as_str().to_owned()).collect::<Vec<_>>(),
                })),
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
        .map(|(id, reasons)| json!({ "source": named(*id), "reasons": reasons.iter().map(crate::exec::manifest::words).collect::<Vec<_>>() }))
        .collect();
    json!({
        "residual": plan.residual_text(),
        "subPlans": parts,
        "merged": merged,
        "withheld": withheld,
        "notCovered": not_covered,
        "evidence": plan.evidence,
        "requestsAtLeast": plan.sub_plans.iter().filter(|part| part.bind.is_none()).map(|part| part.sources.len()).sum::<usize>() + plan.materialise.len(),
    })
}

/// The plan as text.
#[must_use]
pub fn text(plan: &PhysicalPlan, admission: &Admission, not_covered: &[Refused]) -> String {
    let name = |id: &usize| {
        admission.sources.get(*id).map_or_else(
            || "?".to_owned(),
            |source| format!("{} <{}>", source.member, source.dataset),
        )
    };
    let mut out = format!("The broker itself evaluates:\n  {}\n", plan.residual_text());
    for part in &plan.sub_plans {
        out.push_str(&format!(
            "\nSub-plan {}{}\n  {}\n",
            part.id,
            if part.aggregated {
                " (aggregated at the source)"
            } else {
                ""
            },
            SubPlanText::whole(part)
        ));
        if let Some(bind) = &part.bind {
            let variables: Vec<&str> = bind.variables.iter().map(|variable| variable.as_str()).collect();
            out.push_str(&format!(
                "  narrowed by the bindings of ?{} from sub-plan {}, to their owners only\n",
                variables.join(", ?"),
                bind.from
            ));
        }
        for (id, rows) in &part.sources {
            out.push_str(&format!("  to {} (about {} rows)\n", name(id), rows.round()));
        }
    }
    for (id, wanted) in &plan.materialise {
        out.push_str(&format!(
            "\nTriples to merge, from {}\n  {}\n",
            name(id),
            MaterialiseText::of(wanted)
        ));
    }
    for (id, reasons) in &plan.withheld {
        for reason in reasons {
            out.push_str(&format!(
                "\nLeft out: {}: {}\n",
                name(id),
                crate::exec::manifest::words(reason)
            ));
        }
    }
    for refused in not_covered {
        out.push_str(&format!(
            "\nNot covered: {} <{}>: {}\n",
            refused.member, refused.dataset, refused.reason
        ));
    }
    out.push_str("\nWhy:\n");
    for reason in &plan.evidence {
        out.push_str(&format!("  {reason}\n"));
    }
    out
}

/// The response.
///
/// # Errors
/// 406.
pub fn respond(call: &Call, plan: &PhysicalPlan, admission: &Admission, not_covered: &[Refused]) -> Answer {
    match call.negotiate(&["application/json", "text/plain"]) {
        Some("text/plain") => Ok(response(
            StatusCode::OK,
            "text/plain; charset=utf-8",
            text(plan, admission, not_covered),
        )),
        Some(_) => Ok(json(StatusCode::OK, &value(plan, admission, not_covered))),
        None => Err(error::not_acceptable("application/json, text/plain")),
    }
}
