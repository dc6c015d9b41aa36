//! Who may decide for a person: the mandates that the person gave, and a form for a new one (CON-15).

use maud::{Markup, html};
use policies::consent::{Mandate, MandateKind};

use super::layout::form_token;
use super::{Visit, words};
use crate::origins::Origins;

/// Where a mandate is given.
pub const GIVE: &str = "/consent/mandate";
/// Where a mandate is ended.
pub const END: &str = "/consent/mandate/end";

/// For how many months a mandate can be given on the page.
pub const PERIODS_MONTHS: [u8; 4] = [1, 3, 6, 12];

const KINDS: [MandateKind; 5] = [
    MandateKind::Representative,
    MandateKind::Carer,
    MandateKind::Guardian,
    MandateKind::Parent,
    MandateKind::Assistance,
];

/// The word for a capacity, as forms and texts have it.
fn word(kind: MandateKind) -> &'static str {
    match kind {
        MandateKind::Parent => "parent",
        MandateKind::Guardian => "guardian",
        MandateKind::Carer => "carer",
        MandateKind::Representative => "representative",
        MandateKind::Assistance => "assistance",
    }
}

/// The capacity in the visitor's words.
#[must_use]
pub fn capacity(visit: &Visit, kind: MandateKind) -> String {
    visit.text(&format!("mandate-kind-{}", word(kind)))
}

/// The part of the page about mandates of a storage.
#[must_use]
pub fn section(visit: &Visit, origins: &Origins, storage: &str, mandates: &[(String, Mandate)]) -> Markup {
    let name = storage.trim_matches('/');
    html! {
        section aria-labelledby=(format!("mandates-{name}")) {
            h2 id=(format!("mandates-{name}")) { (visit.text("mandate-title")) }
            p { (visit.text("mandate-intro")) }
            @for (id, mandate) in mandates { (given(visit, origins, storage, id, mandate)) }
            details {
                summary { (visit.text("mandate-new")) }
                (form(visit, storage, name))
            }
        }
    }
}

fn given(visit: &Visit, origins: &Origins, storage: &str, id: &str, mandate: &Mandate) -> Markup {
    let holder = words::person(origins, mandate.holder.as_str());
    html! {
        article.card aria-labelledby=(format!("mandate-{id}")) {
            h3 id=(format!("mandate-{id}")) { (holder) }
            dl {
                dt { (visit.text("mandate-kind")) } dd { (capacity(visit, mandate.kind)) }
                dt { (visit.text("mandate-basis")) } dd { (mandate.basis) }
                dt { (visit.text("consent-until")) }
                dd { time datetime=(words::instant(mandate.until)) { (words::day(mandate.until)) } }
            }
            form method="post" action=(END) {
                (form_token(visit))
                input type="hidden" name="storage" value=(storage);
                input type="hidden" name="id" value=(id);
                button.second type="submit" { (visit.text("mandate-end")) }
            }
        }
    }
}

fn form(visit: &Visit, storage: &str, name: &str) -> Markup {
    let field = |part: &str| format!("mandate-{part}-{name}");
    html! {
        form method="post" action=(GIVE) {
            (form_token(visit))
            input type="hidden" name="storage" value=(storage);
            div.field {
                label for=(field("holder")) { (visit.text("mandate-holder")) }
                input type="url" id=(field("holder")) name="holder" required;
            }
            div.field {
                label for=(field("kind")) { (visit.text("mandate-kind")) }
                select id=(field("kind")) name="kind" {
                    @for kind in KINDS { option value=(word(kind)) { (capacity(visit, kind)) } }
                }
            }
            div.field {
                label for=(field("basis")) { (visit.text("mandate-basis")) }
                input type="text" id=(field("basis")) name="basis" maxlength="1000" required;
            }
            div.field {
                label for=(field("months")) { (visit.text("consent-period")) }
                select id=(field("months")) name="months" {
                    @for months in PERIODS_MONTHS {
                        option value=(months) { (visit.text(&format!("consent-period-{months}"))) }
                    }
                }
            }
            button.second type="submit" { (visit.text("mandate-give")) }
        }
    }
}
