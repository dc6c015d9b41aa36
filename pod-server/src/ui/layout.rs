//! The frame around every page: skip link, banner, navigation, language choice, main part, footer (WCAG 2.2 AA).

use maud::{DOCTYPE, Markup, html};
use server_kit::language::Language;

use super::form::Form;
use super::visit::{FORM_TOKEN, Visit};

/// Where the pages are.
pub mod path {
    /// Log in.
    pub const LOGIN: &str = "/login";
    /// Log out (POST).
    pub const LOGOUT: &str = "/logout";
    /// Open an account.
    pub const REGISTER: &str = "/register";
    /// Choose the first password, with a one-time link.
    pub const SETUP: &str = "/setup";
    /// The account and everything that belongs to it.
    pub const ACCOUNT: &str = "/account";
    /// What the visitor shares with whom.
    pub const CONSENT: &str = "/consent";
    /// Who used what of the visitor's data.
    pub const LOG: &str = "/log";
    /// What the visitor offers to others, and with whom they have agreements.
    pub const DATASETS: &str = "/datasets";
    /// The style sheet.
    pub const STYLE: &str = "/.ui/style.css";
}

/// The links of the navigation for those who have logged in: path and key of the text.
const NAVIGATION: [(&str, &str); 5] = [
    (path::ACCOUNT, "nav-account"),
    (super::data::PATH, "nav-data"),
    (path::CONSENT, "nav-consent"),
    (path::LOG, "nav-log"),
    (path::DATASETS, "nav-datasets"),
];

/// How a notice is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Something went well.
    Done,
    /// Something needs care or went wrong.
    Problem,
    /// Something to know.
    Plain,
}

/// A short message at the top of a page. Problems are announced at once by screen readers.
#[derive(Clone, Debug)]
pub struct Notice {
    /// How it is meant.
    pub tone: Tone,
    /// What it says.
    pub text: String,
}

impl Notice {
    /// What the page before has done, as `done` in the query says: the text `{prefix}-{done}`, only for those that are known.
    #[must_use]
    pub fn done(visit: &Visit, query: &Form, prefix: &str, known: &[&str]) -> Option<Self> {
        let done = query.field("done").filter(|done| known.contains(done))?;
        Some(Self {
            tone: Tone::Done,
            text: visit.text(&format!("{prefix}-{done}")),
        })
    }

    /// What went wrong.
    #[must_use]
    pub const fn problem(text: String) -> Self {
        Self {
            tone: Tone::Problem,
            text,
        }
    }
}

impl maud::Render for Notice {
    fn render(&self) -> Markup {
        let (class, role) = match self.tone {
            Tone::Done => ("notice done", "status"),
            Tone::Problem => ("notice problem", "alert"),
            Tone::Plain => ("notice", "note"),
        };
        html! { div class=(class) role=(role) { p { (self.text) } } }
    }
}

/// A whole page: `title` is its heading, `content` comes below it.
#[must_use]
pub fn layout(visit: &Visit, title: &str, content: &Markup) -> Markup {
    let text = |key: &str| visit.text(key);
    let home = if visit.session.is_some() {
        path::ACCOUNT
    } else {
        path::LOGIN
    };
    html! {
        (DOCTYPE)
        html lang=(visit.language.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (title) " · Meent" }
                link rel="stylesheet" href=(path::STYLE);
            }
            body {
                a.skip href="#main" { (text("skip-to-content")) }
                header.banner {
                    div.inner {
                        a.brand href=(home) { "Meent" }
                        (language_choice(visit))
                        @if visit.session.is_some() { (navigation(visit)) }
                    }
                }
                main #main tabindex="-1" {
                    h1 { (title) }
                    (content)
                }
                footer { div.inner { p { (text("footer")) } } }
            }
        }
    }
}

fn navigation(visit: &Visit) -> Markup {
    let current = visit.here.split('?').next().unwrap_or_default();
    html! {
        nav aria-label=(visit.text("nav-label")) {
            ul {
                @for (target, key) in NAVIGATION {
                    @let here = current == target || current.strip_prefix(target).is_some_and(|rest| rest.starts_with('/'));
                    li { a href=(target) aria-current=[here.then_some("page")] { (visit.text(key)) } }
                }
            }
            form method="post" action=(path::LOGOUT) {
                (form_token(visit))
                button.plain type="submit" { (visit.text("log-out")) }
            }
        }
    }
}

fn language_choice(visit: &Visit) -> Markup {
    // The accessible name begins with what is seen, so that it can be spoken (WCAG 2.5.3).
    let name = |language: Language| format!("{}, {}", language.tag().to_uppercase(), language.name());
    html! {
        nav.languages aria-label=(visit.text("language-label")) {
            ul {
                @for language in Language::ALL {
                    @let current = language == visit.language;
                    li {
                        a href=(in_language(&visit.here, language)) lang=(language.tag()) hreflang=(language.tag())
                            aria-current=[current.then_some("true")] aria-label=(name(language)) {
                            (language.tag().to_uppercase())
                        }
                    }
                }
            }
        }
    }
}

/// The same page in another language.
fn in_language(here: &str, language: Language) -> String {
    let (path, query) = here.split_once('?').unwrap_or((here, ""));
    // Two slashes would lead to another site.
    let path = path.trim_start_matches('/');
    let mut fields = form_urlencoded::Serializer::new(String::new());
    fields.extend_pairs(form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "lang"));
    fields.append_pair("lang", language.tag());
    format!("/{path}?{}", fields.finish())
}

/// The hidden field that every form needs ([`Visit::sent`]).
#[must_use]
pub fn form_token(visit: &Visit) -> Markup {
    html! { input type="hidden" name=(FORM_TOKEN) value=(visit.form_token()); }
}

/// One labelled field of a form, with an explanation below the label if there is one.
#[derive(Clone, Debug, Default)]
pub struct Field<'a> {
    /// Name, also the id.
    pub name: &'a str,
    /// `type` of the input.
    pub kind: &'a str,
    /// Label that people see.
    pub label: String,
    /// What to write here.
    pub hint: Option<String>,
    /// Value that stands there already.
    pub value: Option<&'a str>,
    /// `autocomplete` token (WCAG 1.3.5).
    pub autocomplete: &'a str,
    /// Longest value in characters.
    pub characters_max: u16,
}

impl maud::Render for Field<'_> {
    fn render(&self) -> Markup {
        let hint_id = format!("{}-hint", self.name);
        html! {
            div.field {
                label for=(self.name) { (self.label) }
                @if let Some(hint) = &self.hint { p.hint id=(hint_id) { (hint) } }
                input id=(self.name) name=(self.name) type=(self.kind) required maxlength=(self.characters_max)
                    value=[self.value] autocomplete=(self.autocomplete) autocapitalize="none" spellcheck="false"
                    aria-describedby=[self.hint.as_ref().map(|_| hint_id.as_str())];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn pages_escape_what_they_are_given_and_have_landmarks() {
        let request = http::Request::builder()
            .uri("/login?return_to=%2Fa%26b&lang=fr")
            .body(())
            .unwrap();
        let visit = Visit::new(&request.into_parts().0, None, &"x".repeat(43));
        let page = layout(&visit, "<b>&", &html! { p { "\"<script>" } }).into_string();
        assert!(page.starts_with("<!DOCTYPE html><html lang=\"fr\">"));
        assert!(page.contains("&lt;b&gt;&amp;") && !page.contains("<script>"));
        assert!(page.contains("/login?return_to=%2Fa%26b&amp;lang=nl"), "{page}");
        for landmark in ["<header", "<main", "<footer", "class=\"skip\""] {
            assert!(page.contains(landmark), "{landmark}");
        }
    }
}
