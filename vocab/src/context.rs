//! JSON-LD contexts that documents name by URL, written down here so that nothing has to be fetched to read them.
//!
//! Each says what its terms mean, as far as statements are concerned: it is made from the vocabulary's own term list.

use std::fmt::Write as _;
use std::sync::LazyLock;

/// ActivityStreams 2.0, the language of Linked Data Notifications (`https://www.w3.org/TR/activitystreams-core/`).
const ACTIVITY_STREAMS: &str = "www.w3.org/ns/activitystreams";
/// Client identifier documents (Solid-OIDC §5.1).
const SOLID_OIDC: &str = "www.w3.org/ns/solid/oidc-context.jsonld";

/// The context document behind a URL, if it is one of those at hand.
#[must_use]
pub fn built_in(url: &str) -> Option<&'static str> {
    static ACTIVITY_STREAMS_TEXT: LazyLock<String> = LazyLock::new(activity_streams);
    static SOLID_OIDC_TEXT: LazyLock<String> = LazyLock::new(solid_oidc);
    let address = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    match address.trim_end_matches('#') {
        ACTIVITY_STREAMS | "www.w3.org/ns/activitystreams.jsonld" => Some(&ACTIVITY_STREAMS_TEXT),
        SOLID_OIDC => Some(&SOLID_OIDC_TEXT),
        _ => None,
    }
}

/// Classes and properties whose values are plain strings.
const AS_PLAIN: &str = "Accept Activity IntransitiveActivity Add Announce Application Arrive Article Audio Block \
    Collection CollectionPage Relationship Create Delete Dislike Document Event Follow Flag Group Ignore Image Invite \
    Join Leave Like Link Mention Note Object Offer OrderedCollection OrderedCollectionPage Organization Page Person \
    Place Profile Question Reject Remove Service TentativeAccept TentativeReject Tombstone Undo Update Video View \
    Listen Read Move Travel IsFollowing IsFollowedBy IsContact IsMember content name summary hreflang mediaType \
    preferredUsername rel source subject";
/// Properties whose values are things.
const AS_THINGS: &str = "actor attachment attributedTo audience bcc bto cc context current first generator icon image \
    inReplyTo items instrument last location next object oneOf anyOf origin partOf prev preview relationship replies \
    result tag target to describes formerType url href units Public outbox following followers liked streams endpoints \
    proxyUrl oauthAuthorizationEndpoint oauthTokenEndpoint provideClientKey signClientKey sharedInbox shares likes \
    uploadMedia alsoKnownAs";
/// Properties whose values have a datatype of XML Schema.
const AS_TYPED: [(&str, &str); 5] = [
    ("dateTime", "published updated startTime endTime closed deleted"),
    ("float", "accuracy altitude latitude longitude radius"),
    ("nonNegativeInteger", "height width startIndex totalItems"),
    ("duration", "duration"),
    ("string", "charset"),
];
/// Properties whose values are strings by language.
const AS_BY_LANGUAGE: [(&str, &str); 3] = [
    ("contentMap", "content"),
    ("nameMap", "name"),
    ("summaryMap", "summary"),
];

fn activity_streams() -> String {
    let mut text = String::from(
        "{\"@context\":{\"id\":\"@id\",\"type\":\"@type\",\"as\":\"https://www.w3.org/ns/activitystreams#\",\
         \"ldp\":\"http://www.w3.org/ns/ldp#\",\"vcard\":\"http://www.w3.org/2006/vcard/ns#\",\
         \"xsd\":\"http://www.w3.org/2001/XMLSchema#\",\"inbox\":{\"@id\":\"ldp:inbox\",\"@type\":\"@id\"},\
         \"orderedItems\":{\"@id\":\"as:items\",\"@type\":\"@id\",\"@container\":\"@list\"}",
    );
    for term in AS_PLAIN.split_whitespace() {
        push(&mut text, term, format_args!("\"as:{term}\""));
    }
    for term in AS_THINGS.split_whitespace() {
        push(
            &mut text,
            term,
            format_args!("{{\"@id\":\"as:{term}\",\"@type\":\"@id\"}}"),
        );
    }
    for (datatype, terms) in AS_TYPED {
        for term in terms.split_whitespace() {
            push(
                &mut text,
                term,
                format_args!("{{\"@id\":\"as:{term}\",\"@type\":\"xsd:{datatype}\"}}"),
            );
        }
    }
    for (term, property) in AS_BY_LANGUAGE {
        push(
            &mut text,
            term,
            format_args!("{{\"@id\":\"as:{property}\",\"@container\":\"@language\"}}"),
        );
    }
    text.push_str("}}");
    text
}

fn solid_oidc() -> String {
    let mut text = String::from(
        "{\"@context\":{\"client_id\":\"@id\",\"oidc\":\"http://www.w3.org/ns/solid/oidc#\",\
         \"xsd\":\"http://www.w3.org/2001/XMLSchema#\",\
         \"require_auth_time\":{\"@id\":\"oidc:require_auth_time\",\"@type\":\"xsd:boolean\"},\
         \"default_max_age\":{\"@id\":\"oidc:default_max_age\",\"@type\":\"xsd:integer\"},\
         \"redirect_uris\":{\"@id\":\"oidc:redirect_uris\",\"@type\":\"@id\",\"@container\":\"@set\"},\
         \"post_logout_redirect_uris\":{\"@id\":\"oidc:post_logout_redirect_uris\",\"@type\":\"@id\",\
         \"@container\":\"@set\"}",
    );
    for term in ["client_uri", "logo_uri", "policy_uri", "tos_uri"] {
        push(
            &mut text,
            term,
            format_args!("{{\"@id\":\"oidc:{term}\",\"@type\":\"@id\"}}"),
        );
    }
    for term in ["client_name", "application_type", "scope", "token_endpoint_auth_method"] {
        push(&mut text, term, format_args!("\"oidc:{term}\""));
    }
    for term in ["contacts", "grant_types", "response_types"] {
        push(
            &mut text,
            term,
            format_args!("{{\"@id\":\"oidc:{term}\",\"@container\":\"@set\"}}"),
        );
    }
    text.push_str("}}");
    text
}

/// Adds a term's definition. Writing into memory cannot fail.
fn push(text: &mut String, term: &str, definition: std::fmt::Arguments<'_>) {
    let _ = write!(text, ",\"{term}\":{definition}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_found_in_the_spellings_that_are_used() {
        for url in [
            "https://www.w3.org/ns/activitystreams",
            "http://www.w3.org/ns/activitystreams",
            "https://www.w3.org/ns/activitystreams#",
            "https://www.w3.org/ns/solid/oidc-context.jsonld",
        ] {
            assert!(
                built_in(url).is_some_and(|text| text.starts_with("{\"@context\":{")),
                "{url}"
            );
        }
        for url in [
            "https://evil.example/www.w3.org/ns/activitystreams",
            "file:///etc/passwd",
            "",
        ] {
            assert!(built_in(url).is_none(), "{url}");
        }
    }
}
