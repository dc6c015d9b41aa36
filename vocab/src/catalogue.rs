//! Vocabularies that describe data and observations: DCAT, VoID, TREE, SOSA/SSN, POSIX stat, GeoSPARQL, OSLO.

vocabulary! {
    /// DCAT 3.
    dcat = "http://www.w3.org/ns/dcat#" {
        CATALOG "Catalog", DATASET "Dataset", DISTRIBUTION "Distribution", DATA_SERVICE "DataService",
        DATASET_SERIES "DatasetSeries", CATALOG_RECORD "CatalogRecord", DATASET_PROPERTY "dataset",
        CATALOG_PROPERTY "catalog", DISTRIBUTION_PROPERTY "distribution", SERVICE "service", RECORD "record",
        ENDPOINT_URL "endpointURL", ENDPOINT_DESCRIPTION "endpointDescription",
        SERVES_DATASET "servesDataset", ACCESS_SERVICE "accessService", ACCESS_URL "accessURL",
        DOWNLOAD_URL "downloadURL", MEDIA_TYPE "mediaType", THEME "theme", KEYWORD "keyword",
        CONTACT_POINT "contactPoint", LANDING_PAGE "landingPage", BYTE_SIZE "byteSize",
        START_DATE "startDate", END_DATE "endDate",
    }
}

vocabulary! {
    /// VoID: statistics of a dataset.
    void = "http://rdfs.org/ns/void#" {
        DATASET "Dataset", TRIPLES "triples", ENTITIES "entities", CLASSES "classes", PROPERTIES "properties",
        DISTINCT_SUBJECTS "distinctSubjects", DISTINCT_OBJECTS "distinctObjects",
        CLASS_PARTITION "classPartition", PROPERTY_PARTITION "propertyPartition", CLASS "class",
        PROPERTY "property", SPARQL_ENDPOINT "sparqlEndpoint", URI_SPACE "uriSpace", VOCABULARY "vocabulary",
        SUBSET "subset", IN_DATASET "inDataset",
    }
}

vocabulary! {
    /// TREE, for paged and streamed collections.
    tree = "https://w3id.org/tree#" {
        COLLECTION "Collection", NODE_CLASS "Node", NODE "node", RELATION "relation", MEMBER "member",
        VIEW "view", VALUE "value", PATH "path", SHAPE "shape", LESS_THAN_RELATION "LessThanRelation",
        LESS_THAN_OR_EQUAL_TO_RELATION "LessThanOrEqualToRelation", EQUAL_TO_RELATION "EqualToRelation",
        GREATER_THAN_RELATION "GreaterThanRelation",
        GREATER_THAN_OR_EQUAL_TO_RELATION "GreaterThanOrEqualToRelation",
    }
}

vocabulary! {
    /// Linked Data Event Streams.
    ldes = "https://w3id.org/ldes#" {
        EVENT_STREAM "EventStream", TIMESTAMP_PATH "timestampPath", VERSION_OF_PATH "versionOfPath",
        RETENTION_POLICY "retentionPolicy",
    }
}

vocabulary! {
    /// POSIX stat: size in bytes and modification time in seconds since 1970 of a member in a listing.
    stat = "http://www.w3.org/ns/posix/stat#" {
        SIZE "size", MTIME "mtime",
    }
}

vocabulary! {
    /// SOSA: sensors and observations.
    sosa = "http://www.w3.org/ns/sosa/" {
        OBSERVATION "Observation", OBSERVATION_COLLECTION "ObservationCollection", SENSOR "Sensor",
        PLATFORM "Platform", FEATURE_OF_INTEREST "FeatureOfInterest",
        OBSERVABLE_PROPERTY "ObservableProperty", RESULT "Result", MADE_BY_SENSOR "madeBySensor",
        MADE_OBSERVATION "madeObservation", HAS_FEATURE_OF_INTEREST "hasFeatureOfInterest",
        OBSERVED_PROPERTY "observedProperty", HAS_SIMPLE_RESULT "hasSimpleResult", HAS_RESULT "hasResult",
        RESULT_TIME "resultTime", PHENOMENON_TIME "phenomenonTime", HOSTS "hosts",
        IS_HOSTED_BY "isHostedBy", OBSERVES "observes",
    }
}

vocabulary! {
    /// SSN, the terms beyond SOSA.
    ssn = "http://www.w3.org/ns/ssn/" {
        HAS_PROPERTY "hasProperty", IS_PROPERTY_OF "isPropertyOf", DEPLOYED_ON_PLATFORM "deployedOnPlatform",
    }
}

vocabulary! {
    /// GeoSPARQL.
    geo = "http://www.opengis.net/ont/geosparql#" {
        FEATURE "Feature", GEOMETRY "Geometry", HAS_GEOMETRY "hasGeometry", AS_WKT "asWKT",
        WKT_LITERAL "wktLiteral", SF_WITHIN "sfWithin",
    }
}

vocabulary! {
    /// The Core Location vocabulary.
    locn = "http://www.w3.org/ns/locn#" {
        ADDRESS_CLASS "Address", ADDRESS "address", GEOMETRY "geometry", THOROUGHFARE "thoroughfare",
        POST_CODE "postCode", POST_NAME "postName",
    }
}

vocabulary! {
    /// OSLO, the Flemish base vocabulary.
    oslo = "https://data.vlaanderen.be/ns/generiek#" {
        LOCAL_IDENTIFIER "lokaleIdentificator", NAMESPACE "naamruimte",
        STRUCTURED_IDENTIFIER "gestructureerdeIdentificator",
    }
}

vocabulary! {
    /// OSLO Verkeersmetingen: traffic counts.
    verkeer = "https://data.vlaanderen.be/ns/verkeersmetingen#" {
        TRAFFIC_MEASUREMENT "Verkeersmeting", MEASURING_POINT "Verkeersmeetpunt", TRAFFIC_FEATURE "Verkeerskenmerk",
        VEHICLE_TYPE "voertuigType", COUNT "aantal",
    }
}
