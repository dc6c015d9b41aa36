//! Vocabularies of Solid and what it builds on: LDP, WAC, ACP, Solid terms, workspace, notifications.

vocabulary! {
    /// Linked Data Platform.
    ldp = "http://www.w3.org/ns/ldp#" {
        RESOURCE "Resource", RDF_SOURCE "RDFSource", NON_RDF_SOURCE "NonRDFSource", CONTAINER "Container",
        BASIC_CONTAINER "BasicContainer", CONTAINS "contains", INBOX "inbox", CONSTRAINED_BY "constrainedBy",
        MEMBER "member",
    }
}

vocabulary! {
    /// Web Access Control, with the conditions of 2026.
    acl = "http://www.w3.org/ns/auth/acl#" {
        AUTHORIZATION "Authorization", ACCESS_TO "accessTo", DEFAULT "default", MODE "mode", AGENT "agent",
        AGENT_GROUP "agentGroup", AGENT_CLASS "agentClass", ORIGIN "origin", READ "Read", WRITE "Write",
        APPEND "Append", CONTROL "Control", AUTHENTICATED_AGENT "AuthenticatedAgent",
        ACCESS_CONTROL "accessControl", CONDITION "condition", CLIENT_CONDITION "ClientCondition",
        CLIENT "client", CLIENT_GROUP "clientGroup", CLIENT_CLASS "clientClass",
        ISSUER_CONDITION "IssuerCondition", ISSUER "issuer", ISSUER_GROUP "issuerGroup",
        ISSUER_CLASS "issuerClass", OWNER "owner", ACCESS_TO_CLASS "accessToClass", DELEGATES "delegates",
        CONDITION_CLASS "Condition",
    }
}

vocabulary! {
    /// Access Control Policies.
    acp = "http://www.w3.org/ns/solid/acp#" {
        ACCESS_CONTROL_RESOURCE "AccessControlResource", ACCESS_CONTROL "AccessControl", POLICY "Policy",
        MATCHER "Matcher", RESOURCE "resource", ACCESS_CONTROL_RESOURCE_PROPERTY "accessControlResource",
        ACCESS_CONTROL_PROPERTY "accessControl", MEMBER_ACCESS_CONTROL "memberAccessControl", APPLY "apply",
        ALLOW "allow", DENY "deny", ALL_OF "allOf", ANY_OF "anyOf", NONE_OF "noneOf", ATTRIBUTE "attribute",
        TARGET "target", AGENT "agent", CREATOR "creator", OWNER "owner", CLIENT "client", ISSUER "issuer", VC "vc",
        PUBLIC_AGENT "PublicAgent", AUTHENTICATED_AGENT "AuthenticatedAgent", CREATOR_AGENT "CreatorAgent",
        OWNER_AGENT "OwnerAgent", PUBLIC_CLIENT "PublicClient", AUTHENTICATED_CLIENT "AuthenticatedClient",
        PUBLIC_ISSUER "PublicIssuer", AUTHENTICATED_ISSUER "AuthenticatedIssuer", CONTEXT_CLASS "Context",
        ACCESS_GRANT "AccessGrant", ACCESS_MODE "AccessMode", CONTEXT "context", GRANT "grant",
    }
}

vocabulary! {
    /// Solid terms: patches, OIDC, storage description.
    solid = "http://www.w3.org/ns/solid/terms#" {
        INSERT_DELETE_PATCH "InsertDeletePatch", PATCH "Patch", WHERE "where", INSERTS "inserts",
        DELETES "deletes", PATCHES "patches", OIDC_ISSUER "oidcIssuer", OIDC_REGISTRATION "oidcRegistration",
        STORAGE_DESCRIPTION "storageDescription", OWNER "owner", PUBLIC_TYPE_INDEX "publicTypeIndex",
        PRIVATE_TYPE_INDEX "privateTypeIndex", ACCOUNT "account", TYPE_INDEX "TypeIndex",
        TYPE_REGISTRATION "TypeRegistration", FOR_CLASS "forClass", INSTANCE "instance",
        INSTANCE_CONTAINER "instanceContainer", NOTIFICATION "Notification",
    }
}

vocabulary! {
    /// The workspace vocabulary, for storages and preferences.
    pim = "http://www.w3.org/ns/pim/space#" {
        STORAGE_CLASS "Storage", STORAGE "storage", PREFERENCES_FILE "preferencesFile", WORKSPACE "workspace",
        CONTROLLED_STORAGE "ControlledStorage",
    }
}

vocabulary! {
    /// Solid notifications.
    notify = "http://www.w3.org/ns/solid/notifications#" {
        SUBSCRIPTION "subscription", CHANNEL_TYPE "channelType", FEATURE "feature", TOPIC "topic",
        RECEIVE_FROM "receiveFrom", SEND_TO "sendTo", START_AT "startAt", END_AT "endAt", RATE "rate",
        STATE "state", ACCEPT "accept", CHANNEL "channel", SENDER "sender",
        EVENT_SOURCE_CHANNEL_2023 "EventSourceChannel2023", WEB_SOCKET_CHANNEL_2023 "WebSocketChannel2023",
        WEBHOOK_CHANNEL_2023 "WebhookChannel2023", STREAMING_HTTP_CHANNEL_2023 "StreamingHTTPChannel2023",
    }
}

vocabulary! {
    /// Activity Streams 2, the verbs of notifications.
    as2 = "https://www.w3.org/ns/activitystreams#" {
        CREATE "Create", UPDATE "Update", DELETE "Delete", ADD "Add", REMOVE "Remove", OBJECT "object",
        TARGET "target", PUBLISHED "published",
    }
}

vocabulary! {
    /// Media types as IRIs, for the types of non-RDF members in a listing.
    iana = "http://www.w3.org/ns/iana/media-types/" {
        TEXT_TURTLE "text/turtle#Resource", APPLICATION_LD_JSON "application/ld+json#Resource",
        TEXT_PLAIN "text/plain#Resource", APPLICATION_OCTET_STREAM "application/octet-stream#Resource",
    }
}
