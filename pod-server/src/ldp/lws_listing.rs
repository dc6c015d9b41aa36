//! A container as clients of Linked Web Storage read it: its members page by page, with their exact number.
//!
//! It is sent only to clients that name the media type; everyone else gets the LDP listing, whole. A page begins after a
//! name, so that members that come and go between two pages shift nothing.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use serde_json::{Value, json};

use crate::error::Error;
use crate::http::etag::Variant;
use crate::http::negotiation;
use crate::name::ResourceName;
use crate::origins::Origins;
use crate::store::{Latest, Member, ReadPermit, Resource, ResourceKind};

use super::container::xsd_date_time;
use super::read::{Content, Representation};
use super::representation::blocking;
use super::service::LdpService;

/// Media type of a container's representation (LWS 1.0 core, draft of June 2026, "LWS Media Type").
pub const MEDIA_TYPE: &str = "application/lws+json";

/// The context that the members' names are from.
const CONTEXT: &str = "https://www.w3.org/ns/lws/v1";

/// The parameter that says where a page begins; opaque to clients.
const PAGE: &str = "page";

/// A page, and the links to others.
pub(super) struct Page {
    pub(super) shown: Latest,
    pub(super) representation: Representation,
    /// Target and relation.
    pub(super) links: Vec<(String, &'static str)>,
}

/// Whether the request asks for this representation of a container.
pub(super) fn is_wanted(resource: &Resource, request: &HeaderMap) -> bool {
    resource.kind == ResourceKind::Container && negotiation::names(request, MEDIA_TYPE)
}

impl LdpService {
    /// The page that a query string asks for; the first one without it.
    ///
    /// # Errors
    /// [`Error::BadRequest`] for a page that no link of ours leads to.
    pub(super) async fn lws_page(
        &self,
        latest: &Latest,
        query: Option<&str>,
        permit: ReadPermit,
    ) -> Result<Page, Error> {
        let container = latest.resource.name.clone();
        let after = match page_of(query) {
            Some(page) => Some(name_of(&page, &container)?),
            None => None,
        };
        let (store, origins) = (Arc::clone(&self.store), self.origins.clone());
        let items_max = self.bounds.lws_page_members;
        let body = latest.body.clone();
        blocking(move || {
            let snapshot = store.snapshot(permit)?;
            let resource = snapshot.resource(&container)?.ok_or(Error::NotFound)?;
            let total = snapshot.member_count(&container)?;
            // One more than is shown tells whether there is another page.
            let mut members = snapshot.members(&container, after.as_ref(), items_max.saturating_add(1))?;
            let more = members.len() > items_max;
            members.truncate(items_max);
            let iri = container.iri(&origins);
            let mut links = vec![("https://www.w3.org/ns/lws#Container".to_owned(), "type")];
            if more || after.is_some() {
                links.push((iri.clone(), "first"));
            }
            if let Some(last) = members.last().filter(|_| more) {
                links.push((format!("{iri}?{PAGE}={}", page_after(&last.name, &container)), "next"));
            }
            let items: Vec<Value> = members.iter().map(|member| item(member, &origins)).collect();
            let listing = json!({
                "@context": CONTEXT,
                "id": iri,
                "type": "Container",
                "totalItems": total,
                "items": items,
            });
            Ok(Page {
                shown: Latest {
                    resource: Arc::new(resource),
                    body,
                },
                representation: Representation {
                    variant: Variant::LwsListing,
                    media_type: MEDIA_TYPE.to_owned(),
                    content: Content::Bytes(listing.to_string().into()),
                    preference_applied: None,
                },
                links,
            })
        })
        .await
    }
}

fn item(member: &Member, origins: &Origins) -> Value {
    let id = member.name.iri(origins);
    if member.kind == ResourceKind::Container {
        return json!({ "id": id, "type": "Container" });
    }
    json!({
        "id": id,
        "type": "DataResource",
        "mediaType": member.media_type,
        "size": member.size,
        "modified": xsd_date_time(member.modified),
    })
}

fn page_of(query: Option<&str>) -> Option<String> {
    form_urlencoded::parse(query?.as_bytes())
        .find(|(name, _)| name == PAGE)
        .map(|(_, value)| value.into_owned())
}

/// The page that begins after a member.
fn page_after(member: &ResourceName, container: &ResourceName) -> String {
    let segment = member.as_str().strip_prefix(container.as_str()).unwrap_or_default();
    URL_SAFE_NO_PAD.encode(segment)
}

/// The member after which a page begins. It need not exist any more.
fn name_of(page: &str, container: &ResourceName) -> Result<ResourceName, Error> {
    URL_SAFE_NO_PAD
        .decode(page)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|segment| container.join(&segment).ok())
        .filter(|name| name.parent().as_ref() == Some(container))
        .ok_or_else(|| Error::BadRequest("there is no such page: begin with the container itself".to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn pages_name_members_of_their_container_only() {
        let container = ResourceName::parse("/gent/a/").unwrap();
        for member in ["/gent/a/b", "/gent/a/c/", "/gent/a/%C3%A9"] {
            let name = ResourceName::parse(member).unwrap();
            assert_eq!(name_of(&page_after(&name, &container), &container).unwrap(), name);
        }
        for page in ["", "!", "Li4vYg", "Yi9j", "%"] {
            assert!(name_of(page, &container).is_err(), "{page}");
        }
        assert_eq!(page_of(Some("x=1&page=YQ")).as_deref(), Some("YQ"));
        assert_eq!(page_of(Some("pages=YQ")), None);
    }
}
