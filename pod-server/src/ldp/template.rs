//! Templates: folders with documents that a new storage begins with.
//!
//! Files are named as [`FileName`] says. `{{webid}}`, `{{storage}}` and `{{name}}` stand for the owner's WebID, the IRI of the
//! storage's root and its name. Access rules are `.acl` files for Web Access Control and `.acr` files for Access Control
//! Policies; a storage takes those of its own system. Everything is read and checked when the server starts, so that making
//! a storage cannot fail because of its template.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;

use super::file_name::{FileName, segment};
use super::intake::{self, Rules};
use crate::authz::AuthorizationSystem;
use crate::config::LdpSection;
use crate::error::Error;
use crate::http::media_type::MediaType;
use crate::name::ResourceName;
use crate::origins::Origins;
use crate::store::{NewBody, NewState, ResourceKind, StoreError, Transaction};

/// The name that stands for what is built in alone.
pub const PLAIN: &str = "plain";

/// What the server writes itself: who may log in as the owner hangs on it.
const PROFILE: &str = "profile/card";

/// The storage that a template is tried with at the start.
const TRIED: (&str, &str) = ("template", "https://owner.example/profile/card#me");

/// Which templates there are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TemplatesSection {
    /// Name of the template of a new storage unless another is chosen; `plain` keeps to what is built in.
    pub default: String,
    /// Name and folder of each.
    pub folders: BTreeMap<String, PathBuf>,
    /// Files and folders of one template.
    pub entries_max: usize,
    /// Bytes of all files of one template; they are kept in memory.
    pub bytes_max: u64,
}

impl Default for TemplatesSection {
    fn default() -> Self {
        Self {
            default: PLAIN.to_owned(),
            folders: BTreeMap::new(),
            entries_max: 500,
            bytes_max: 4 << 20,
        }
    }
}

/// Why a template cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("templates: `{template}`: {place}: {reason}")]
pub struct TemplateError {
    /// Its name.
    pub template: String,
    /// File or folder.
    pub place: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

/// All templates of a server.
#[derive(Clone, Debug)]
pub struct Templates {
    all: BTreeMap<String, Template>,
    default: String,
    origins: Origins,
    bounds: LdpSection,
}

#[derive(Clone, Debug, Default)]
struct Template {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    /// Path below the root, percent-encoded; a container's ends with a slash.
    path: String,
    /// None for a container.
    media_type: Option<MediaType>,
    content: Bytes,
    /// For whom the entry is, if it is access rules.
    rules_of: Option<AuthorizationSystem>,
}

/// What the placeholders stand for.
struct Filling<'f> {
    webid: &'f str,
    storage: &'f str,
    name: &'f str,
}

impl Templates {
    /// Reads and checks all templates.
    ///
    /// # Errors
    /// [`TemplateError`] names the first file that cannot be used.
    pub fn load(
        section: &TemplatesSection,
        origins: &Origins,
        bounds: &LdpSection,
        inline_bytes_max: usize,
    ) -> Result<Self, TemplateError> {
        let mut templates = Self {
            all: BTreeMap::from([(PLAIN.to_owned(), Template::default())]),
            default: section.default.clone(),
            origins: origins.clone(),
            bounds: bounds.clone(),
        };
        for (name, folder) in &section.folders {
            let mut reading = Reading {
                name,
                section,
                inline_bytes_max: inline_bytes_max as u64,
                bytes: 0,
                entries: Vec::new(),
                paths: BTreeSet::new(),
            };
            if name == PLAIN || crate::identity::site::check_name(name).is_err() {
                return Err(reading.fault(
                    folder,
                    "the name of a template has small letters, digits and hyphens, and is not `plain`",
                ));
            }
            reading.folder(folder, String::new())?;
            let template = Template {
                entries: reading.entries,
            };
            templates.try_out(name, &template)?;
            templates.all.insert(name.clone(), template);
        }
        if !templates.all.contains_key(&templates.default) {
            return Err(TemplateError {
                template: templates.default.clone(),
                place: "`templates.default`".to_owned(),
                reason: "there is no template of this name under `templates.folders`".to_owned(),
            });
        }
        Ok(templates)
    }

    /// Names of all templates, the one first that counts unless another is chosen.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let others = self.all.keys().filter(|name| **name != self.default);
        std::iter::once(&self.default).chain(others).map(String::as_str)
    }

    /// The name of a template; of the one that counts, where none was chosen.
    ///
    /// # Errors
    /// [`Error::BadRequest`] when there is none of this name.
    pub fn chosen<'n>(&'n self, name: Option<&'n str>) -> Result<&'n str, Error> {
        let name = name.unwrap_or(&self.default);
        if self.all.contains_key(name) {
            return Ok(name);
        }
        let known: Vec<&str> = self.names().collect();
        Err(Error::BadRequest(format!(
            "there is no template `{name}`: choose one of {}",
            known.join(", ")
        )))
    }

    /// Puts the documents of a template into a storage that was just made; what it began with is replaced where the template
    /// has the same name.
    ///
    /// # Errors
    /// When the store fails.
    pub fn apply(
        &self,
        transaction: &mut dyn Transaction,
        chosen: &str,
        root: &ResourceName,
        (owner, system): (&str, AuthorizationSystem),
    ) -> Result<(), StoreError> {
        let Some(template) = self.all.get(chosen) else {
            return Err(StoreError::Misuse(format!("there is no template `{chosen}`")));
        };
        for entry in &template.entries {
            let filled = self.filled(entry, root, owner, system);
            let filled =
                filled.map_err(|error| StoreError::Misuse(format!("template `{chosen}`: {}: {error}", entry.path)))?;
            if let Some((name, state)) = filled {
                transaction.put(&name, state)?;
            }
        }
        Ok(())
    }

    /// The state of an entry in a storage; none for rules of the other system.
    fn filled(
        &self,
        entry: &Entry,
        root: &ResourceName,
        owner: &str,
        system: AuthorizationSystem,
    ) -> Result<Option<(ResourceName, NewState)>, Error> {
        if entry.rules_of.is_some_and(|of| of != system) {
            return Ok(None);
        }
        let name = ResourceName::parse(&format!("{root}{}", entry.path))?;
        intake::check_name(&name)?;
        let Some(media_type) = &entry.media_type else {
            return Ok(Some((name, intake::empty_container())));
        };
        let rdf = media_type.syntax().is_some();
        let text = std::str::from_utf8(&entry.content)
            .ok()
            .filter(|_| rdf || is_text(media_type));
        let content = match text {
            Some(text) => Filling {
                webid: owner,
                storage: &root.iri(&self.origins),
                name: root.last_segment(),
            }
            .fill(text, rdf)?
            .into(),
            None => entry.content.clone(),
        };
        if rdf {
            let rules = Rules {
                origins: self.origins.clone(),
                bounds: self.bounds.clone(),
                system,
                owner: owner.to_owned(),
            };
            return Ok(Some((
                name.clone(),
                intake::rdf(None, &name, content, media_type, &rules)?,
            )));
        }
        let state = NewState {
            kind: ResourceKind::NonRdfSource,
            media_type: media_type.as_str().to_owned(),
            body: NewBody::Bytes(content),
        };
        Ok(Some((name, state)))
    }

    /// Fills a template in for a storage that is not made.
    fn try_out(&self, name: &str, template: &Template) -> Result<(), TemplateError> {
        for system in [AuthorizationSystem::Wac, AuthorizationSystem::Acp] {
            for entry in &template.entries {
                let fault = |reason: String| TemplateError {
                    template: name.to_owned(),
                    place: entry.path.clone(),
                    reason,
                };
                let root = ResourceName::parse(&format!("/{}/", TRIED.0)).map_err(|error| fault(error.to_string()))?;
                let filled = self.filled(entry, &root, TRIED.1, system);
                filled.map_err(|error| fault(error.to_string()))?;
            }
        }
        Ok(())
    }
}

impl Filling<'_> {
    /// The text with its placeholders filled. In RDF, what looks like a placeholder and is none is a mistake.
    fn fill(&self, text: &str, strict: bool) -> Result<String, Error> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            filled.push_str(before);
            let known = after.split_once("}}").and_then(|(word, after)| {
                let value = match word.trim() {
                    "webid" => self.webid,
                    "storage" => self.storage,
                    "name" => self.name,
                    _ => return None,
                };
                Some((value, after))
            });
            match known {
                Some((value, after)) => {
                    filled.push_str(value);
                    rest = after;
                }
                None if strict => {
                    let word: String = after
                        .chars()
                        .take_while(|character| *character != '}')
                        .take(40)
                        .collect();
                    return Err(Error::BadRequest(format!(
                        "`{{{{{word}}}}}` is no placeholder: there are {{{{webid}}}}, {{{{storage}}}} and {{{{name}}}}"
                    )));
                }
                None => {
                    filled.push_str("{{");
                    rest = after;
                }
            }
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

fn is_text(media_type: &MediaType) -> bool {
    let essence = media_type.essence();
    essence.starts_with("text/")
        || essence.ends_with("json")
        || essence.ends_with("xml")
        || essence == "application/javascript"
}

/// Reads the folder of one template.
struct Reading<'r> {
    name: &'r str,
    section: &'r TemplatesSection,
    inline_bytes_max: u64,
    bytes: u64,
    entries: Vec<Entry>,
    paths: BTreeSet<String>,
}

impl Reading<'_> {
    fn fault(&self, place: &Path, reason: impl Into<String>) -> TemplateError {
        TemplateError {
            template: self.name.to_owned(),
            place: place.display().to_string(),
            reason: reason.into(),
        }
    }

    fn folder(&mut self, folder: &Path, path: String) -> Result<(), TemplateError> {
        let listed = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut listed = listed.map_err(|error| self.fault(folder, error.to_string()))?;
        listed.sort_by_key(std::fs::DirEntry::file_name);
        for entry in listed {
            let place = entry.path();
            let name = entry.file_name();
            let name = name
                .to_str()
                .ok_or_else(|| self.fault(&place, "the name is not UTF-8"))?;
            let kind = entry
                .file_type()
                .map_err(|error| self.fault(&place, error.to_string()))?;
            if self.entries.len() >= self.section.entries_max {
                let most = self.section.entries_max;
                return Err(self.fault(&place, format!("more than {most} entries (`templates.entries_max`)")));
            }
            if kind.is_dir() {
                let inner = format!("{path}{}/", segment(name).map_err(|reason| self.fault(&place, reason))?);
                self.add(&place, inner.clone(), None, Bytes::new(), None)?;
                self.folder(&place, inner)?;
            } else if kind.is_file() {
                self.file(&place, &path, name)?;
            } else {
                return Err(self.fault(&place, "neither a file nor a folder; links are not followed"));
            }
        }
        Ok(())
    }

    fn file(&mut self, place: &Path, path: &str, name: &str) -> Result<(), TemplateError> {
        let read = FileName::document(name).map_err(|reason| self.fault(place, reason))?;
        let essence = read.media_type.unwrap_or_default();
        let media_type = MediaType::parse(&essence)
            .ok_or_else(|| self.fault(place, "its extension does not tell its media type"))?;
        let length = std::fs::metadata(place)
            .map_err(|error| self.fault(place, error.to_string()))?
            .len();
        if length > self.inline_bytes_max {
            let most = self.inline_bytes_max;
            return Err(self.fault(place, format!("longer than {most} bytes (`store.inline_bytes_max`)")));
        }
        self.bytes += length;
        if self.bytes > self.section.bytes_max {
            let most = self.section.bytes_max;
            return Err(self.fault(
                place,
                format!("with it the template is longer than {most} bytes (`templates.bytes_max`)"),
            ));
        }
        let content = std::fs::read(place).map_err(|error| self.fault(place, error.to_string()))?;
        let (segment, rules_of) = match read.segment.strip_suffix(".acr") {
            Some(subject) => (format!("{subject}.acl"), Some(AuthorizationSystem::Acp)),
            None if read.segment.ends_with(".acl") => (read.segment, Some(AuthorizationSystem::Wac)),
            None => (read.segment, None),
        };
        self.add(
            place,
            format!("{path}{segment}"),
            Some(media_type),
            content.into(),
            rules_of,
        )
    }

    fn add(
        &mut self,
        place: &Path,
        path: String,
        media_type: Option<MediaType>,
        content: Bytes,
        rules_of: Option<AuthorizationSystem>,
    ) -> Result<(), TemplateError> {
        let own = path.strip_prefix(PROFILE);
        if own.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '/'])) {
            return Err(self.fault(place, "the server writes the WebID profile itself"));
        }
        let bare = path.trim_end_matches('/').to_owned();
        if rules_of.is_none() && !self.paths.insert(bare) {
            return Err(self.fault(place, "another file or folder has the same name"));
        }
        self.entries.push(Entry {
            path,
            media_type,
            content,
            rules_of,
        });
        Ok(())
    }
}

/// Templates that are shared by everything that makes storages.
pub type SharedTemplates = Arc<Templates>;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn load(files: &[(&str, &str)]) -> Result<Templates, TemplateError> {
        let folder = std::env::temp_dir().join(format!("meent-template-{}-{:p}", std::process::id(), files));
        for (name, text) in files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let section = TemplatesSection {
            default: "city".to_owned(),
            folders: BTreeMap::from([("city".to_owned(), folder.clone())]),
            entries_max: 4,
            bytes_max: 600,
        };
        let origins = Origins::new("https://pod.example/");
        let loaded = Templates::load(&section, &origins, &LdpSection::default(), 300);
        std::fs::remove_dir_all(&folder).unwrap();
        loaded
    }

    #[test]
    fn mistakes_are_named_at_the_start() {
        let long = "x".repeat(301);
        let rather_long = "x".repeat(250);
        let cases: [(&[(&str, &str)], &str); 10] = [
            (&[("a.ttl", "<> <urn:p> <{{webid}}>.")], ""),
            (&[("a.ttl", "<> <urn:p> <{{owner}}>.")], "is no placeholder"),
            (&[("a.html", "{{anything}} {{name}}")], ""),
            (&[("a.ttl", "<> <urn:p>")], "line 1"),
            (&[("profile/card$.ttl", "")], "WebID profile itself"),
            (
                &[(".acl", "<#o> a <http://www.w3.org/ns/auth/acl#Authorization>.")],
                ".acl",
            ),
            (&[("a$.txt", ""), ("a/b.txt", "")], "the same name"),
            (&[("a.txt", &long)], "store.inline_bytes_max"),
            (
                &[
                    ("a.txt", &rather_long),
                    ("b.txt", &rather_long),
                    ("c.txt", &rather_long),
                ],
                "templates.bytes_max",
            ),
            (&[("1/2/3/4/5.txt", "")], "templates.entries_max"),
        ];
        for (files, expected) in cases {
            match load(files) {
                Ok(templates) => {
                    assert_eq!(expected, "");
                    assert_eq!(templates.names().collect::<Vec<_>>(), ["city", PLAIN]);
                    assert!(templates.chosen(Some("village")).is_err());
                }
                Err(error) => assert!(
                    !expected.is_empty() && error.to_string().contains(expected),
                    "{expected}: {error}"
                ),
            }
        }
    }
}
