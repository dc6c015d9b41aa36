//! The 72 actions of the vocabulary and their hierarchy: `odrl:includedIn`, and successors of deprecated names.

use vocab::{cc, meent, odrl};

/// An action, and the next wider one. `use` and `transfer` are the widest; some deprecated actions have no place.
const INCLUDED_IN: [(&str, Option<&str>); 72] = [
    (odrl::USE, None),
    (odrl::TRANSFER, None),
    (odrl::ACCEPT_TRACKING, Some(odrl::USE)),
    (odrl::AGGREGATE, Some(odrl::USE)),
    (odrl::ANNOTATE, Some(odrl::USE)),
    (odrl::ANONYMIZE, Some(odrl::USE)),
    (odrl::ARCHIVE, Some(odrl::USE)),
    (odrl::ATTRIBUTE, Some(odrl::USE)),
    (odrl::COMPENSATE, Some(odrl::USE)),
    (odrl::CONCURRENT_USE, Some(odrl::USE)),
    (odrl::DELETE, Some(odrl::USE)),
    (odrl::DERIVE, Some(odrl::USE)),
    (odrl::DIGITIZE, Some(odrl::USE)),
    (odrl::DISPLAY, Some(odrl::PLAY)),
    (odrl::DISTRIBUTE, Some(odrl::USE)),
    (odrl::ENSURE_EXCLUSIVITY, Some(odrl::USE)),
    (odrl::EXECUTE, Some(odrl::USE)),
    (odrl::EXTRACT, Some(odrl::REPRODUCE)),
    (odrl::GIVE, Some(odrl::TRANSFER)),
    (odrl::GRANT_USE, Some(odrl::USE)),
    (odrl::INCLUDE, Some(odrl::USE)),
    (odrl::INDEX, Some(odrl::USE)),
    (odrl::INFORM, Some(odrl::USE)),
    (odrl::INSTALL, Some(odrl::USE)),
    (odrl::MODIFY, Some(odrl::USE)),
    (odrl::MOVE, Some(odrl::USE)),
    (odrl::NEXT_POLICY, Some(odrl::USE)),
    (odrl::OBTAIN_CONSENT, Some(odrl::USE)),
    (odrl::PLAY, Some(odrl::USE)),
    (odrl::PRESENT, Some(odrl::USE)),
    (odrl::PRINT, Some(odrl::USE)),
    (odrl::READ, Some(odrl::USE)),
    (odrl::REPRODUCE, Some(odrl::USE)),
    (odrl::REVIEW_POLICY, Some(odrl::USE)),
    (odrl::SELL, Some(odrl::TRANSFER)),
    (odrl::STREAM, Some(odrl::USE)),
    (odrl::SYNCHRONIZE, Some(odrl::USE)),
    (odrl::TEXT_TO_SPEECH, Some(odrl::USE)),
    (odrl::TRANSFORM, Some(odrl::USE)),
    (odrl::TRANSLATE, Some(odrl::USE)),
    (odrl::UNINSTALL, Some(odrl::USE)),
    (odrl::WATERMARK, Some(odrl::USE)),
    (cc::ATTRIBUTION, Some(odrl::USE)),
    (cc::COMMERCIAL_USE, Some(odrl::USE)),
    (cc::DERIVATIVE_WORKS, Some(odrl::USE)),
    (cc::DISTRIBUTION, Some(odrl::USE)),
    (cc::NOTICE, Some(odrl::USE)),
    (cc::REPRODUCTION, Some(odrl::USE)),
    (cc::SHARE_ALIKE, Some(odrl::USE)),
    (cc::SHARING, Some(odrl::USE)),
    (cc::SOURCE_CODE, Some(odrl::USE)),
    // Deprecated ones stand below the action that took their place, so either name is covered by that.
    (odrl::APPEND, Some(odrl::MODIFY)),
    (odrl::APPEND_TO, Some(odrl::MODIFY)),
    (odrl::COPY, Some(odrl::REPRODUCE)),
    (odrl::EXPORT, Some(odrl::TRANSFORM)),
    (odrl::LICENSE, Some(odrl::GRANT_USE)),
    (odrl::PAY, Some(odrl::COMPENSATE)),
    (odrl::WRITE, Some(odrl::MODIFY)),
    (odrl::WRITE_TO, Some(odrl::MODIFY)),
    (odrl::ATTACH_POLICY, Some(cc::NOTICE)),
    (odrl::ATTACH_SOURCE, Some(cc::SOURCE_CODE)),
    (odrl::SHARE_ALIKE, Some(cc::SHARE_ALIKE)),
    (odrl::COMMERCIALIZE, Some(cc::COMMERCIAL_USE)),
    (odrl::SHARE, Some(cc::SHARING)),
    (odrl::EXTRACT_CHAR, Some(odrl::EXTRACT)),
    (odrl::EXTRACT_PAGE, Some(odrl::EXTRACT)),
    (odrl::EXTRACT_WORD, Some(odrl::EXTRACT)),
    (odrl::LEASE, None),
    (odrl::LEND, None),
    (odrl::PREVIEW, None),
    (odrl::SECONDARY_USE, None),
    (odrl::AD_HOC_SHARE, None),
];

/// Meent's own actions, all duties or ways of using.
const OWN: [(&str, &str); 7] = [
    (meent::AGGREGATE_ONLY, odrl::USE),
    (meent::LOG, odrl::USE),
    (meent::PSEUDONYMISE, odrl::USE),
    (meent::GENERALISE, odrl::USE),
    (meent::HASH, odrl::USE),
    (meent::DROP, odrl::USE),
    (meent::MASK_KEYS, odrl::USE),
];

/// Every action of the vocabulary, widest first.
pub fn all() -> impl Iterator<Item = &'static str> {
    INCLUDED_IN.iter().map(|(action, _)| *action)
}

/// Whether an action is one of the vocabulary or of Meent's profile.
#[must_use]
pub fn is_known(action: &str) -> bool {
    all().any(|known| known == action) || OWN.iter().any(|(own, _)| *own == action)
}

/// The next wider action.
#[must_use]
pub fn included_in(action: &str) -> Option<&'static str> {
    let own = OWN.iter().find(|(own, _)| *own == action).map(|(_, wider)| *wider);
    own.or_else(|| INCLUDED_IN.iter().find(|(known, _)| *known == action)?.1)
}
