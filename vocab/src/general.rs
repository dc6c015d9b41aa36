//! General RDF vocabularies: RDF, RDFS, XSD, OWL, SKOS, Dublin Core, FOAF, vCard, PROV-O, ORG, schema.org.

vocabulary! {
    /// RDF itself.
    rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns#" {
        TYPE "type", FIRST "first", REST "rest", NIL "nil", VALUE "value", LIST "List", LANG_STRING "langString",
        PROPERTY "Property", JSON "JSON",
    }
}

vocabulary! {
    /// RDF Schema.
    rdfs = "http://www.w3.org/2000/01/rdf-schema#" {
        LABEL "label", COMMENT "comment", SUB_CLASS_OF "subClassOf", SUB_PROPERTY_OF "subPropertyOf", CLASS "Class",
        RESOURCE "Resource", DOMAIN "domain", RANGE "range", SEE_ALSO "seeAlso", IS_DEFINED_BY "isDefinedBy",
        MEMBER "member",
    }
}

vocabulary! {
    /// XML Schema datatypes.
    xsd = "http://www.w3.org/2001/XMLSchema#" {
        STRING "string", BOOLEAN "boolean", INTEGER "integer", DECIMAL "decimal", DOUBLE "double", FLOAT "float",
        DATE_TIME "dateTime", DATE_TIME_STAMP "dateTimeStamp", DATE "date", TIME "time", DURATION "duration",
        DAY_TIME_DURATION "dayTimeDuration", ANY_URI "anyURI", NON_NEGATIVE_INTEGER "nonNegativeInteger",
        POSITIVE_INTEGER "positiveInteger", LONG "long", INT "int", SHORT "short", BYTE "byte",
        UNSIGNED_LONG "unsignedLong", UNSIGNED_INT "unsignedInt",
        UNSIGNED_SHORT "unsignedShort", UNSIGNED_BYTE "unsignedByte", YEAR_MONTH_DURATION "yearMonthDuration", G_YEAR "gYear",
        G_YEAR_MONTH "gYearMonth",
    }
}

vocabulary! {
    /// OWL 2, the few terms in use.
    owl = "http://www.w3.org/2002/07/owl#" {
        SAME_AS "sameAs", ONTOLOGY "Ontology", CLASS "Class", OBJECT_PROPERTY "ObjectProperty",
        DATATYPE_PROPERTY "DatatypeProperty", NAMED_INDIVIDUAL "NamedIndividual", VERSION_INFO "versionInfo",
    }
}

vocabulary! {
    /// SKOS.
    skos = "http://www.w3.org/2004/02/skos/core#" {
        CONCEPT "Concept", CONCEPT_SCHEME "ConceptScheme", BROADER "broader", NARROWER "narrower",
        BROADER_TRANSITIVE "broaderTransitive", IN_SCHEME "inScheme", PREF_LABEL "prefLabel", ALT_LABEL "altLabel",
        DEFINITION "definition", NOTATION "notation", EXACT_MATCH "exactMatch", NOTE "note",
        TOP_CONCEPT_OF "topConceptOf", COLLECTION "Collection", MEMBER "member",
    }
}

vocabulary! {
    /// Dublin Core terms.
    dcterms = "http://purl.org/dc/terms/" {
        TITLE "title", DESCRIPTION "description", IDENTIFIER "identifier", CREATED "created", MODIFIED "modified",
        ISSUED "issued", PUBLISHER "publisher", CREATOR "creator", FORMAT "format", LANGUAGE "language",
        LICENSE "license", RIGHTS "rights", ACCESS_RIGHTS "accessRights", SPATIAL "spatial", TEMPORAL "temporal",
        SUBJECT "subject", TYPE "type", SOURCE "source", CONFORMS_TO "conformsTo", IS_PART_OF "isPartOf",
        HAS_PART "hasPart", IS_VERSION_OF "isVersionOf", HAS_VERSION "hasVersion", IS_REPLACED_BY "isReplacedBy",
        REPLACES "replaces", REFERENCES "references", PROVENANCE "provenance", VALID "valid", EXTENT "extent",
        ACCRUAL_PERIODICITY "accrualPeriodicity", DATE "date", AGENT "Agent", LOCATION "Location",
        PERIOD_OF_TIME "PeriodOfTime", MEDIA_TYPE "MediaType", LICENSE_DOCUMENT "LicenseDocument",
    }
}

vocabulary! {
    /// FOAF.
    foaf = "http://xmlns.com/foaf/0.1/" {
        AGENT_CLASS "Agent", PERSON "Person", ORGANIZATION "Organization", GROUP "Group", DOCUMENT "Document",
        PERSONAL_PROFILE_DOCUMENT "PersonalProfileDocument", NAME "name", MBOX "mbox", HOMEPAGE "homepage",
        PRIMARY_TOPIC "primaryTopic", IS_PRIMARY_TOPIC_OF "isPrimaryTopicOf", MAKER "maker", MEMBER "member",
        KNOWS "knows", IMG "img",
    }
}

vocabulary! {
    /// vCard.
    vcard = "http://www.w3.org/2006/vcard/ns#" {
        GROUP "Group", HAS_MEMBER "hasMember", INDIVIDUAL "Individual", ORGANIZATION "Organization", KIND "Kind",
        FN "fn", HAS_EMAIL "hasEmail", HAS_TELEPHONE "hasTelephone", HAS_UID "hasUID",
    }
}

vocabulary! {
    /// PROV-O.
    prov = "http://www.w3.org/ns/prov#" {
        ENTITY "Entity", ACTIVITY "Activity", AGENT "Agent", PLAN "Plan", ASSOCIATION "Association",
        SOFTWARE_AGENT "SoftwareAgent", PERSON "Person", ORGANIZATION "Organization",
        WAS_DERIVED_FROM "wasDerivedFrom", WAS_GENERATED_BY "wasGeneratedBy",
        WAS_ATTRIBUTED_TO "wasAttributedTo", WAS_ASSOCIATED_WITH "wasAssociatedWith",
        ACTED_ON_BEHALF_OF "actedOnBehalfOf", QUALIFIED_ASSOCIATION "qualifiedAssociation", HAD_PLAN "hadPlan",
        AGENT_PROPERTY "agent", USED "used", STARTED_AT_TIME "startedAtTime", ENDED_AT_TIME "endedAtTime",
        GENERATED_AT_TIME "generatedAtTime", INVALIDATED_AT_TIME "invalidatedAtTime",
        WAS_REVISION_OF "wasRevisionOf", HAD_PRIMARY_SOURCE "hadPrimarySource", AT_LOCATION "atLocation",
    }
}

vocabulary! {
    /// The organization ontology, base of OSLO Organisatie.
    org = "http://www.w3.org/ns/org#" {
        ORGANIZATION "Organization", FORMAL_ORGANIZATION "FormalOrganization", MEMBER_OF "memberOf",
        CLASSIFICATION "classification", IDENTIFIER "identifier", HAS_SITE "hasSite", SITE "Site",
        LINKED_TO "linkedTo", SUB_ORGANIZATION_OF "subOrganizationOf", HAS_SUB_ORGANIZATION "hasSubOrganization",
    }
}

vocabulary! {
    /// schema.org, the few terms in use.
    schema = "http://schema.org/" {
        NAME "name", DESCRIPTION "description", URL "url", START_DATE "startDate", END_DATE "endDate",
        IDENTIFIER "identifier",
    }
}

vocabulary! {
    /// Annotations of a vocabulary.
    vann = "http://purl.org/vocab/vann/" {
        PREFERRED_NAMESPACE_PREFIX "preferredNamespacePrefix", PREFERRED_NAMESPACE_URI "preferredNamespaceUri",
    }
}
