//! The pages of the data browser: storages, folders, documents, and the question before deleting.

use maud::{Markup, html};
use percent_encoding::percent_decode_str;
use policies::wac::Modes;

use super::layout::{Field, form_token};
use super::{Language, Notice, Texts, Visit};
use crate::ldp::MemberPage;
use crate::name::ResourceName;
use crate::origins::Origins;
use crate::store::{Member, ResourceKind};

/// Where these pages are; the name of a folder or document follows.
pub const PATH: &str = "/data";
/// Gets a document as a file.
pub const DOWNLOAD: &str = "download";
/// Gets a whole storage as an archive.
pub const TAKE_OUT: &str = "take-out";
/// Gets a picture.
pub const PICTURE: &str = "picture";
/// Shows and changes who may do what.
pub const SHARE: &str = "share";
/// Takes access away.
pub const UNSHARE: &str = "unshare";
/// Lets the rules of the folder above count again.
pub const INHERIT: &str = "inherit";
/// Asks about deleting, and deletes.
pub const DELETE: &str = "delete";
/// Makes a folder.
pub const FOLDER: &str = "folder";
/// Uploads files into a folder.
pub const UPLOAD: &str = "upload";
/// Uploads new content for a document.
pub const REPLACE: &str = "replace";

/// A folder with some of its members.
#[derive(Debug)]
pub struct Folder<'a> {
    /// Its name.
    pub name: &'a ResourceName,
    /// Origin of pod content.
    pub origins: &'a Origins,
    /// The members.
    pub page: &'a MemberPage,
    /// Whether this is not the first page.
    pub later: bool,
    /// Most files in one upload.
    pub files_max: usize,
}

/// A document and what is to be said about it.
#[derive(Debug)]
pub struct Document<'a> {
    /// Its name.
    pub name: &'a ResourceName,
    /// Origin of pod content.
    pub origins: &'a Origins,
    /// Media type without parameters.
    pub media_type: &'a str,
    /// Bytes.
    pub size: Option<u64>,
    /// When it changed, as an HTTP date.
    pub modified: &'a str,
    /// Entity tag of what is shown.
    pub etag: &'a str,
    /// What the person may do with it.
    pub modes: Modes,
    /// Whether the person's own WebID lies in it.
    pub profile: bool,
    /// What of it can be shown.
    pub view: View,
}

/// What of a document can be shown on a page.
#[derive(Debug)]
pub enum View {
    /// Its text, and whether that is all of it.
    Text {
        /// The text.
        text: String,
        /// Whether that is all of it.
        whole: bool,
    },
    /// It is a picture.
    Picture,
    /// Nothing; it can be downloaded.
    None,
}

/// What a folder or document is called: the last part of its name, as people wrote it.
#[must_use]
pub fn title(visit: &Visit, name: &ResourceName) -> String {
    if name.storage_root().as_ref() == Some(name) {
        return visit.text_with("data-storage", &[("name", name.last_segment())]);
    }
    decoded(name)
}

fn decoded(name: &ResourceName) -> String {
    percent_decode_str(name.last_segment()).decode_utf8_lossy().into_owned()
}

/// The person's storages, with the bytes that each holds.
#[must_use]
pub fn storages(visit: &Visit, shown: &[(&str, u64)]) -> Markup {
    html! {
        p { (visit.text("data-introduction")) }
        section.card {
            ul.rows {
                @for (root, bytes) in shown {
                    li {
                        a href=(format!("{PATH}{root}")) { (root.trim_matches('/')) }
                        span.quiet { (size(visit.language, *bytes)) }
                    }
                }
            }
        }
    }
}

/// The page of a folder.
#[must_use]
pub fn folder(visit: &Visit, shown: &Folder<'_>, notice: Option<&Notice>) -> Markup {
    let modes = shown.page.modes;
    let root = shown.name.storage_root().as_ref() == Some(shown.name);
    html! {
        (trail(visit, shown.name))
        @if let Some(notice) = notice { (notice) }
        div.actions.above {
            @if modes.contains(Modes::CONTROL) { a.button.second href=(act(shown.name, SHARE)) { (visit.text("data-share")) } }
            @if modes.contains(Modes::WRITE) && !root {
                a.button.second href=(act(shown.name, DELETE)) { (visit.text("data-delete-folder")) }
            }
        }
        section.card aria-labelledby="members" {
            h2 #members { (visit.language.text_counted("data-count", shown.page.total)) }
            @if shown.page.total == 0 { p.quiet { (visit.text("data-empty")) } }
            @if !shown.page.members.is_empty() { (members(visit, &shown.page.members)) }
            div.actions {
                @if shown.later { a href=(format!("{PATH}{}", shown.name)) { (visit.text("data-first")) } }
                @if let (true, Some(last)) = (shown.page.more, shown.page.members.last()) {
                    a href=(after(shown.name, &last.name)) { (visit.text("data-more")) }
                }
            }
        }
        @if modes.contains(Modes::APPEND) {
            (upload(visit, shown))
            (new_folder(visit, shown.name))
        }
        p.quiet { (visit.text("data-address")) " " code { (shown.name.iri(shown.origins)) } }
    }
}

fn members(visit: &Visit, members: &[Member]) -> Markup {
    html! {
        div.table {
            table.members {
                thead {
                    tr {
                        th scope="col" { (visit.text("data-name")) }
                        th scope="col" { (visit.text("data-kind")) }
                        th.number scope="col" { (visit.text("data-size")) }
                        th scope="col" { (visit.text("data-modified")) }
                    }
                }
                tbody {
                    @for member in members {
                        @let folder = member.kind == ResourceKind::Container;
                        tr {
                            th scope="row" { a href=(format!("{PATH}{}", member.name)) { (decoded(&member.name)) } }
                            td { (kind(visit, member.kind, &member.media_type)) }
                            td.number { @if !folder { (size(visit.language, member.size)) } }
                            td { (day(member.modified)) }
                        }
                    }
                }
            }
        }
    }
}

fn upload(visit: &Visit, shown: &Folder<'_>) -> Markup {
    html! {
        section.card aria-labelledby="upload" {
            h2 #upload { (visit.text("data-upload-title")) }
            form method="post" action=(format!("{PATH}{}", shown.name)) enctype="multipart/form-data" {
                (form_token(visit))
                input type="hidden" name="do" value=(UPLOAD);
                div.field {
                    label for="files" { (visit.text("data-upload-files")) }
                    p.hint #files-hint { (visit.text_with("data-upload-hint", &[("count", &shown.files_max.to_string())])) }
                    input id="files" name="files" type="file" multiple required aria-describedby="files-hint";
                }
                button type="submit" { (visit.text("data-upload")) }
            }
        }
    }
}

fn new_folder(visit: &Visit, name: &ResourceName) -> Markup {
    html! {
        section.card aria-labelledby="new-folder" {
            h2 #new-folder { (visit.text("data-folder-title")) }
            form.narrow method="post" action=(format!("{PATH}{name}")) {
                (form_token(visit))
                input type="hidden" name="do" value=(FOLDER);
                (Field {
                    name: "name", kind: "text", label: visit.text("data-folder-name"), autocomplete: "off",
                    characters_max: 200, ..Field::default()
                })
                button.second type="submit" { (visit.text("data-folder-make")) }
            }
        }
    }
}

/// The page of a document.
#[must_use]
pub fn document(visit: &Visit, shown: &Document<'_>, notice: Option<&Notice>) -> Markup {
    html! {
        (trail(visit, shown.name))
        @if let Some(notice) = notice { (notice) }
        @if shown.profile { div.notice role="note" { p { (visit.text("data-is-profile")) } } }
        div.actions.above {
            a.button href=(act(shown.name, DOWNLOAD)) download { (visit.text("data-download")) }
            @if shown.modes.contains(Modes::CONTROL) { a.button.second href=(act(shown.name, SHARE)) { (visit.text("data-share")) } }
            @if shown.modes.contains(Modes::WRITE) && !shown.profile {
                a.button.second href=(act(shown.name, DELETE)) { (visit.text("data-delete")) }
            }
        }
        section.card aria-labelledby="about" {
            h2 #about { (visit.text("data-about")) }
            dl {
                dt { (visit.text("data-kind")) }
                dd { (kind(visit, ResourceKind::NonRdfSource, shown.media_type)) " (" code { (shown.media_type) } ")" }
                @if let Some(bytes) = shown.size { dt { (visit.text("data-size")) } dd { (size(visit.language, bytes)) } }
                dt { (visit.text("data-modified")) }
                dd { (moment(shown.modified)) }
                dt { (visit.text("data-address")) }
                dd { code { (shown.name.iri(shown.origins)) } }
            }
        }
        (view(visit, shown))
        @if shown.modes.contains(Modes::WRITE) && !shown.profile { (replace(visit, shown)) }
    }
}

fn view(visit: &Visit, shown: &Document<'_>) -> Markup {
    html! {
        section aria-labelledby="content" {
            h2 #content { (visit.text("data-content")) }
            @match &shown.view {
                View::None => { p.quiet { (visit.text("data-not-shown")) } }
                View::Picture => {
                    img.shown src=(act(shown.name, PICTURE))
                        alt=(visit.text_with("data-picture", &[("name", &decoded(shown.name))]));
                }
                View::Text { text, whole } => {
                    pre.shown tabindex="0" role="region" aria-labelledby="content" { (text) }
                    @if !whole { p.quiet { (visit.text("data-not-whole")) } }
                }
            }
        }
    }
}

fn replace(visit: &Visit, shown: &Document<'_>) -> Markup {
    html! {
        details {
            summary { (visit.text("data-replace-title")) }
            form.card method="post" action=(format!("{PATH}{}", shown.name)) enctype="multipart/form-data" {
                (form_token(visit))
                input type="hidden" name="do" value=(REPLACE);
                input type="hidden" name="state" value=(shown.etag);
                div.field {
                    label for="files" { (visit.text("data-replace-file")) }
                    input id="files" name="files" type="file" required;
                }
                button.second type="submit" { (visit.text("data-replace")) }
            }
        }
    }
}

/// The question before deleting; `members` is how many lie in a folder.
#[must_use]
pub fn removal(visit: &Visit, name: &ResourceName, state: &str, members: Option<u64>) -> Markup {
    let shown = decoded(name);
    html! {
        (trail(visit, name))
        section.card {
            p {
                @match members {
                    None => (visit.text_with("data-delete-question", &[("name", &shown)])),
                    Some(_) => (visit.text_with("data-delete-folder-question", &[("name", &shown)])),
                }
            }
            @if let Some(members) = members { p { (visit.language.text_counted("data-delete-members", members)) } }
            p { strong { (visit.text("data-delete-final")) } }
            form method="post" action=(format!("{PATH}{name}")) {
                (form_token(visit))
                input type="hidden" name="do" value=(DELETE);
                input type="hidden" name="state" value=(state);
                div.actions {
                    button.danger type="submit" { (visit.text("data-delete")) }
                    a.button.second href=(format!("{PATH}{name}")) { (visit.text("data-keep")) }
                }
            }
        }
    }
}

/// What went wrong.
#[must_use]
pub fn fault(visit: &Visit, text: &str) -> Markup {
    html! {
        div.notice.problem role="alert" { p { (text) } }
        p { a href=(PATH) { (visit.text("data-back")) } }
    }
}

/// Where one is: a link to each folder above.
pub(super) fn trail(visit: &Visit, name: &ResourceName) -> Markup {
    let mut above = Vec::new();
    let mut next = name.parent();
    while let Some(folder) = next.filter(|folder| !folder.is_root()) {
        next = folder.parent();
        above.push(folder);
    }
    html! {
        nav.trail aria-label=(visit.text("data-trail")) {
            ol {
                li { a href=(PATH) { (visit.text("nav-data")) } }
                @for folder in above.iter().rev() { li { a href=(format!("{PATH}{folder}")) { (decoded(folder)) } } }
                li { span aria-current="page" { (decoded(name)) } }
            }
        }
    }
}

/// The URL that does something with a folder or document.
#[must_use]
pub fn act(name: &ResourceName, act: &str) -> String {
    format!("{PATH}{name}?do={act}")
}

fn after(name: &ResourceName, last: &ResourceName) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("after", last.as_str())
        .finish();
    format!("{PATH}{name}?{query}")
}

fn kind(visit: &Visit, kind: ResourceKind, media_type: &str) -> String {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let key = match (kind, essence) {
        (ResourceKind::Container, _) => "data-kind-folder",
        (_, "text/turtle" | "application/ld+json" | "application/n-triples") => "data-kind-data",
        (_, "application/pdf") => "data-kind-pdf",
        (_, "text/csv") => "data-kind-table",
        _ => match essence.split('/').next().unwrap_or_default() {
            "image" => "data-kind-image",
            "text" => "data-kind-text",
            "audio" => "data-kind-sound",
            "video" => "data-kind-video",
            _ => "data-kind-other",
        },
    };
    visit.text(key)
}

/// A number of bytes as people write it, with the decimal sign and the units of the language.
#[must_use]
pub fn size(language: Language, bytes: u64) -> String {
    // An octet is what French calls a byte.
    let byte = if language == Language::Fr { 'o' } else { 'B' };
    const UNITS: [char; 4] = ['k', 'M', 'G', 'T'];
    if bytes < 1_000 {
        return format!("{bytes} {byte}");
    }
    let mut tenths = u128::from(bytes) * 10 / 1_000;
    let mut unit = 0;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1_000;
        unit += 1;
    }
    let sign = if language == Language::En { '.' } else { ',' };
    let unit = UNITS.get(unit).copied().unwrap_or_default();
    if tenths >= 100 {
        format!("{} {unit}{byte}", tenths / 10)
    } else {
        format!("{}{sign}{} {unit}{byte}", tenths / 10, tenths % 10)
    }
}

fn day(unix: i64) -> String {
    time::OffsetDateTime::from_unix_timestamp(unix)
        .map(super::words::day)
        .unwrap_or_default()
}

/// An HTTP date as people here write it.
fn moment(date: &str) -> String {
    httpdate::parse_http_date(date)
        .ok()
        .map(|moment| super::words::minute(time::OffsetDateTime::from(moment)))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_legible() {
        for (bytes, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1,0 kB"),
            (1_550, "1,5 kB"),
            (12_345, "12 kB"),
            (999_999, "999 kB"),
            (1_000_000, "1,0 MB"),
            (10_737_418_240, "10 GB"),
            (u64::MAX, "18446744 TB"),
        ] {
            assert_eq!(size(Language::Nl, bytes), expected);
        }
        assert_eq!(size(Language::En, 1_550), "1.5 kB");
        assert_eq!(size(Language::Fr, 1_550), "1,5 ko");
        assert_eq!(size(Language::Fr, 7), "7 o");
    }
}
