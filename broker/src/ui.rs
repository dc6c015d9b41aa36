//! The catalogue as a page and as data. The page works without script, in Dutch, French and English.

use crate::app::Broker;
use crate::catalog::DatasetEntry;
use crate::catalog::search::{self, in_language, title};
use crate::error::{self, Answer};
use crate::http::{Call, RDF, json, rdf, respond};
use fluent_templates::fluent_bundle::FluentValue;
use fluent_templates::{LanguageIdentifier, Loader, langid};
use http::header::{ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, HeaderValue, VARY};
use http::{Method, StatusCode};
use maud::{DOCTYPE, Markup, html};
use policies::explain;
use server_kit::language::Language;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the macro parses files that are checked when compiling"
)]
mod texts {
    fluent_templates::static_loader! {
        pub(super) static TEXTS = {
            locales: "./locales",
            fallback_language: "nl",
            customise: |bundle| bundle.set_use_isolating(false),
        };
    }
}

static NL: LanguageIdentifier = langid!("nl");
static FR: LanguageIdentifier = langid!("fr");
static EN: LanguageIdentifier = langid!("en");

/// Where the style sheet is.
pub const STYLE_PATH: &str = "/.ui/style.css";
/// Longest search text that is looked at, characters.
const WORDS_CHARS_MAX: usize = 200;

/// The language of a page: what the query asks for, then what the browser prefers.
fn language_of(call: &Call) -> Language {
    let accepted = call.headers.get(ACCEPT_LANGUAGE).and_then(|field| field.to_str().ok());
    Language::choose(call.parameter("lang"), None, accepted)
}

fn identifier(language: Language) -> &'static LanguageIdentifier {
    match language {
        Language::Nl => &NL,
        Language::Fr => &FR,
        Language::En => &EN,
    }
}

fn text(language: Language, key: &str) -> String {
    texts::TEXTS
        .try_lookup(identifier(language), key)
        .unwrap_or_else(|| key.to_owned())
}

fn text_with(
    language: Language,
    key: &'static str,
    name: &'static str,
    value: impl Into<FluentValue<'static>>,
) -> String {
    let arguments = HashMap::from([(Cow::Borrowed(name), value.into())]);
    texts::TEXTS
        .try_lookup_with_args(identifier(language), key, &arguments)
        .unwrap_or_else(|| key.to_owned())
}

/// `GET /catalog?q=` and `GET /`.
///
/// # Errors
/// 405, 406.
pub fn catalog(broker: &Arc<Broker>, call: &Call) -> Answer {
    if !matches!(call.method, Method::GET | Method::HEAD) {
        return Err(error::method_not_allowed("GET, HEAD"));
    }
    let language = language_of(call);
    let words: String = call
        .parameter("q")
        .unwrap_or_default()
        .chars()
        .take(WORDS_CHARS_MAX)
        .collect();
    let snapshot = broker.catalogue.snapshot();
    let found = search::search(&snapshot, &words, language.tag());
    let shown: Vec<Arc<DatasetEntry>> = found.iter().take(broker.config.catalog.results_max).cloned().collect();
    let offered = [
        "text/html",
        "text/turtle",
        "application/ld+json",
        "application/json",
        "application/n-triples",
        "application/rdf+xml",
    ];
    let chosen = call
        .negotiate(&offered)
        .ok_or_else(|| error::not_acceptable(&offered.join(", ")))?;
    let mut response = match chosen {
        "text/html" => {
            let stale: Vec<&str> = snapshot
                .members
                .values()
                .filter(|member| member.stale_since.is_some())
                .map(|member| member.config.name.as_str())
                .collect();
            let page = page(language, &words, &shown, found.len(), &stale);
            let mut response = respond(StatusCode::OK, "text/html; charset=utf-8", page.into_string());
            let headers = response.headers_mut();
            headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
            headers.insert(
                CONTENT_SECURITY_POLICY,
                HeaderValue::from_static(
                    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
                ),
            );
            response
        }
        "application/json" => {
            let list: Vec<serde_json::Value> = shown.iter().map(|dataset| described(dataset)).collect();
            json(
                StatusCode::OK,
                &serde_json::json!({ "found": found.len(), "datasets": list }),
            )
        }
        other => {
            let media_type = RDF
                .iter()
                .copied()
                .find(|media_type| *media_type == other)
                .unwrap_or("text/turtle");
            rdf(&search::graph(&snapshot, &shown), media_type)?
        }
    };
    response
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("Accept, Accept-Language"));
    Ok(response)
}

fn described(dataset: &DatasetEntry) -> serde_json::Value {
    serde_json::json!({
        "@id": dataset.iri, "member": dataset.member, "title": dataset.titles, "description": dataset.descriptions,
        "keywords": dataset.keywords, "publisher": dataset.publisher, "endpoint": dataset.endpoint,
        "negotiation": dataset.negotiation, "open": dataset.open,
        "offers": dataset.offers.iter().map(|offer| offer.id.clone()).collect::<Vec<_>>(),
    })
}

fn page(language: Language, words: &str, shown: &[Arc<DatasetEntry>], found: usize, stale: &[&str]) -> Markup {
    let text = |key: &str| text(language, key);
    html! {
        (DOCTYPE)
        html lang=(language.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (text("catalog-title")) " · Meent" }
                link rel="stylesheet" href=(STYLE_PATH);
            }
            body {
                a.skip href="#main" { (text("skip-to-content")) }
                header {
                    p.brand { "Meent" }
                    nav aria-label=(text("language-label")) {
                        ul {
                            @for other in Language::ALL {
                                li {
                                    a href={ "/catalog?lang=" (other.tag()) "&q=" (encoded(words)) } lang=(other.tag()) hreflang=(other.tag())
                                        aria-current=[(other == language).then_some("true")] { (other.name()) }
                                }
                            }
                        }
                    }
                }
                main #main tabindex="-1" {
                    h1 { (text("catalog-title")) }
                    p { (text("catalog-intro")) }
                    form role="search" method="get" action="/catalog" {
                        input type="hidden" name="lang" value=(language.tag());
                        label for="q" { (text("search-label")) }
                        input #q type="search" name="q" value=(words) maxlength=(WORDS_CHARS_MAX);
                        button type="submit" { (text("search-button")) }
                    }
                    p role="status" { (text_with(language, "results-count", "count", found)) }
                    p.quiet { (text("results-order")) }
                    @if !stale.is_empty() {
                        p.notice role="note" { (text_with(language, "members-stale", "members", stale.join(", "))) }
                    }
                    ol.datasets {
                        @for dataset in shown { li { (card(language, dataset)) } }
                    }
                }
            }
        }
    }
}

fn card(language: Language, dataset: &DatasetEntry) -> Markup {
    let words = explain::Language::from_tag(language.tag());
    html! {
        article {
            h2 { (title(dataset, language.tag())) }
            @if let Some(description) = in_language(&dataset.descriptions, language.tag()) { p { (description) } }
            dl {
                dt { (text(language, "dataset-owner")) } dd { (dataset.member) }
                dt { (text(language, "dataset-access")) }
                dd { @if dataset.open { (text(language, "access-open")) } @else { (text(language, "access-agreement")) } }
                @if !dataset.keywords.is_empty() { dt { (text(language, "dataset-keywords")) } dd { (dataset.keywords.join(", ")) } }
                dt { (text(language, "dataset-address")) } dd { code { (dataset.iri) } }
            }
            @for offer in &dataset.offers {
                details {
                    summary { (text(language, "offer-terms")) }
                    ul { @for clause in explain::policy(offer, words) { li { (clause.text) } } }
                }
            }
        }
    }
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The style sheet.
///
/// # Errors
/// 405.
pub fn style(call: &Call) -> Answer {
    if !matches!(call.method, Method::GET | Method::HEAD) {
        return Err(error::method_not_allowed("GET, HEAD"));
    }
    let mut response = respond(StatusCode::OK, "text/css; charset=utf-8", include_str!("style.css"));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::{Language, text, text_with};

    #[test]
    fn every_text_exists_in_every_language() {
        for key in [
            "catalog-title",
            "catalog-intro",
            "skip-to-content",
            "language-label",
            "search-label",
            "search-button",
            "results-order",
            "dataset-owner",
            "dataset-access",
            "access-open",
            "access-agreement",
            "dataset-keywords",
            "dataset-address",
            "offer-terms",
        ] {
            for language in Language::ALL {
                assert_ne!(text(language, key), key, "{key} in {language:?}");
            }
        }
        assert!(text_with(Language::En, "results-count", "count", 3).contains('3'));
        assert!(text_with(Language::Fr, "members-stale", "members", "gent").contains("gent"));
    }
}
