//! Which actions a query is, and which happen once its answer has left.

/// Actions that a query carries out or may amount to.
pub(crate) const QUERYING: [&str; 11] = [
    vocab::odrl::USE,
    vocab::odrl::READ,
    vocab::odrl::AGGREGATE,
    vocab::odrl::ANALYZE,
    vocab::odrl::DERIVE,
    vocab::odrl::EXTRACT,
    vocab::odrl::EXECUTE,
    vocab::odrl::REPRODUCE,
    vocab::odrl::STREAM,
    vocab::odrl::TRANSFORM,
    vocab::odrl::CONCURRENT_USE,
];

/// Actions that change the data. An agreement opens queries and nothing else, so that none of them is ever possible under
/// one: forbidding them is kept by the server, and permitting them cannot be honoured (ENF-24).
pub(crate) const WRITING: [&str; 5] = [
    vocab::odrl::MODIFY,
    vocab::odrl::APPEND,
    vocab::odrl::APPEND_TO,
    vocab::odrl::WRITE,
    vocab::odrl::WRITE_TO,
];

/// Actions that happen after the answer has left, or are not queries at all: forbidding them binds by contract.
pub(crate) const AFTERWARDS: [&str; 37] = [
    vocab::odrl::TRANSFER,
    vocab::odrl::ANNOTATE,
    vocab::odrl::ANONYMIZE,
    vocab::odrl::ARCHIVE,
    vocab::odrl::ATTRIBUTE,
    vocab::odrl::COMPENSATE,
    vocab::odrl::DELETE,
    vocab::odrl::DIGITIZE,
    vocab::odrl::DISPLAY,
    vocab::odrl::DISTRIBUTE,
    vocab::odrl::ENSURE_EXCLUSIVITY,
    vocab::odrl::GIVE,
    vocab::odrl::GRANT_USE,
    vocab::odrl::INCLUDE,
    vocab::odrl::INDEX,
    vocab::odrl::INFORM,
    vocab::odrl::INSTALL,
    vocab::odrl::MOVE,
    vocab::odrl::NEXT_POLICY,
    vocab::odrl::OBTAIN_CONSENT,
    vocab::odrl::PLAY,
    vocab::odrl::PRESENT,
    vocab::odrl::PRINT,
    vocab::odrl::REVIEW_POLICY,
    vocab::odrl::SELL,
    vocab::odrl::SYNCHRONIZE,
    vocab::odrl::TEXT_TO_SPEECH,
    vocab::odrl::TRANSLATE,
    vocab::odrl::UNINSTALL,
    vocab::odrl::WATERMARK,
    vocab::odrl::COMMERCIALIZE,
    vocab::cc::COMMERCIAL_USE,
    vocab::cc::ATTRIBUTION,
    vocab::cc::NOTICE,
    vocab::meent::LOG,
    vocab::meent::AGGREGATE_ONLY,
    vocab::meent::MASK_KEYS,
];
