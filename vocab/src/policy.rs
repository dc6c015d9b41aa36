//! Vocabularies of policies: ODRL 2.2, the Data Privacy Vocabulary, the Dataspace Protocol.

vocabulary! {
    /// ODRL 2.2: the information model, the operators, the actions and the left operands.
    odrl = "http://www.w3.org/ns/odrl/2/" {
        POLICY_CLASS "Policy", SET "Set", OFFER "Offer", AGREEMENT "Agreement", RULE "Rule",
        PERMISSION_CLASS "Permission", PROHIBITION_CLASS "Prohibition", DUTY_CLASS "Duty",
        ASSET "Asset", ASSET_COLLECTION "AssetCollection", PARTY "Party", PARTY_COLLECTION "PartyCollection",
        CONSTRAINT_CLASS "Constraint", LOGICAL_CONSTRAINT "LogicalConstraint", ACTION_CLASS "Action",
        UID "uid", PROFILE "profile", INHERIT_FROM "inheritFrom", CONFLICT "conflict",
        PERMISSION "permission", PROHIBITION "prohibition", OBLIGATION "obligation", DUTY "duty",
        CONSEQUENCE "consequence", REMEDY "remedy", TARGET "target", ASSIGNER "assigner",
        ASSIGNEE "assignee", FUNCTION "function", RELATION "relation", ACTION "action",
        CONSTRAINT "constraint", REFINEMENT "refinement", SOURCE "source", PART_OF "partOf",
        LEFT_OPERAND "leftOperand", OPERATOR "operator", RIGHT_OPERAND "rightOperand",
        RIGHT_OPERAND_REFERENCE "rightOperandReference", DATA_TYPE "dataType", UNIT "unit", STATUS "status",
        AND "and", OR "or", XONE "xone", AND_SEQUENCE "andSequence", HAS_POLICY "hasPolicy",
        ASSIGNER_OF "assignerOf", ASSIGNEE_OF "assigneeOf", INCLUDED_IN "includedIn", IMPLIES "implies",
        INFORMED_PARTY "informedParty", COMPENSATED_PARTY "compensatedParty", TRACKING_PARTY "trackingParty",
        PERM "perm", PROHIBIT "prohibit", INVALID "invalid",
        EQ "eq", NEQ "neq", LT "lt", LTEQ "lteq", GT "gt", GTEQ "gteq", IS_A "isA", IS_ANY_OF "isAnyOf",
        IS_NONE_OF "isNoneOf", IS_ALL_OF "isAllOf", IS_PART_OF "isPartOf", HAS_PART "hasPart",
        // Left operands.
        PURPOSE "purpose", DATE_TIME "dateTime", RECIPIENT "recipient", COUNT "count", SPATIAL "spatial",
        EVENT "event", ELAPSED_TIME "elapsedTime", LANGUAGE "language",
        ABSOLUTE_POSITION "absolutePosition", ABSOLUTE_SIZE "absoluteSize",
        ABSOLUTE_SPATIAL_POSITION "absoluteSpatialPosition", ABSOLUTE_TEMPORAL_POSITION "absoluteTemporalPosition",
        DELAY_PERIOD "delayPeriod", DELIVERY_CHANNEL "deliveryChannel", DEVICE "device", FILE_FORMAT "fileFormat",
        INDUSTRY "industry", MEDIA "media", METERED_TIME "meteredTime", PAY_AMOUNT "payAmount",
        PERCENTAGE "percentage", PRODUCT "product", RELATIVE_POSITION "relativePosition",
        RELATIVE_SIZE "relativeSize", RELATIVE_SPATIAL_POSITION "relativeSpatialPosition",
        RELATIVE_TEMPORAL_POSITION "relativeTemporalPosition", RESOLUTION "resolution",
        SPATIAL_COORDINATES "spatialCoordinates", SYSTEM "system", SYSTEM_DEVICE "systemDevice",
        TIME_INTERVAL "timeInterval", UNIT_OF_COUNT "unitOfCount", VERSION "version",
        VIRTUAL_LOCATION "virtualLocation",
        // Actions.
        USE "use", TRANSFER "transfer", READ "read", AGGREGATE "aggregate", ANALYZE "analyze",
        ANNOTATE "annotate", ANONYMIZE "anonymize", ARCHIVE "archive", ATTRIBUTE "attribute",
        COMPENSATE "compensate", CONCURRENT_USE "concurrentUse", DELETE "delete", DERIVE "derive",
        DIGITIZE "digitize", DISPLAY "display", DISTRIBUTE "distribute", ENSURE_EXCLUSIVITY "ensureExclusivity",
        EXECUTE "execute", EXTRACT "extract", GIVE "give", GRANT_USE "grantUse", INCLUDE "include",
        INDEX "index", INFORM "inform", INSTALL "install", MODIFY "modify", MOVE "move",
        NEXT_POLICY "nextPolicy", OBTAIN_CONSENT "obtainConsent", PLAY "play", PRESENT "present",
        PRINT "print", REPRODUCE "reproduce", REVIEW_POLICY "reviewPolicy", SELL "sell", STREAM "stream",
        SYNCHRONIZE "synchronize", TEXT_TO_SPEECH "textToSpeech", TRANSFORM "transform",
        TRANSLATE "translate", UNINSTALL "uninstall", WATERMARK "watermark", ACCEPT_TRACKING "acceptTracking",
        // Actions of earlier versions: read, and where the vocabulary names a successor taken for that.
        APPEND "append", APPEND_TO "appendTo", COPY "copy", EXPORT "export", LEASE "lease", LICENSE "license",
        LEND "lend", PAY "pay", PREVIEW "preview", SECONDARY_USE "secondaryUse", WRITE "write", WRITE_TO "writeTo",
        AD_HOC_SHARE "adHocShare", EXTRACT_CHAR "extractChar", EXTRACT_PAGE "extractPage",
        EXTRACT_WORD "extractWord", ATTACH_POLICY "attachPolicy", ATTACH_SOURCE "attachSource",
        SHARE_ALIKE "shareAlike", COMMERCIALIZE "commercialize", SHARE "share",
        // Kinds of policies of the common vocabulary, and functions of parties.
        ASSERTION "Assertion", PRIVACY "Privacy", REQUEST "Request", TICKET "Ticket", OUTPUT "output",
        ATTRIBUTED_PARTY "attributedParty", ATTRIBUTING_PARTY "attributingParty",
        COMPENSATING_PARTY "compensatingParty", CONSENTED_PARTY "consentedParty",
        CONSENTING_PARTY "consentingParty", CONTRACTED_PARTY "contractedParty",
        CONTRACTING_PARTY "contractingParty", INFORMING_PARTY "informingParty", TRACKED_PARTY "trackedParty",
        POLICY_USAGE "policyUsage",
    }
}

vocabulary! {
    /// The actions that ODRL takes over from the Creative Commons rights expression language.
    cc = "http://creativecommons.org/ns#" {
        ATTRIBUTION "Attribution", COMMERCIAL_USE "CommercialUse", DERIVATIVE_WORKS "DerivativeWorks",
        DISTRIBUTION "Distribution", NOTICE "Notice", REPRODUCTION "Reproduction", SHARE_ALIKE "ShareAlike",
        SHARING "Sharing", SOURCE_CODE "SourceCode",
    }
}

vocabulary! {
    /// Reports on compliance with a policy, as the test suite of ODRL evaluators writes them.
    force = "https://w3id.org/force/compliance-report#" {
        POLICY_REPORT "PolicyReport", PERMISSION_REPORT "PermissionReport", PROHIBITION_REPORT "ProhibitionReport",
        DUTY_REPORT "DutyReport", PARTY_REPORT "PartyReport", TARGET_REPORT "TargetReport",
        ACTION_REPORT "ActionReport", CONSTRAINT_REPORT "ConstraintReport", POLICY "policy",
        POLICY_REQUEST "policyRequest", RULE_REPORT "ruleReport", RULE "rule", RULE_REQUEST "ruleRequest",
        PREMISE_REPORT "premiseReport", CONDITION_REPORT "conditionReport", ATTEMPT_STATE "attemptState",
        ACTIVATION_STATE "activationState", SATISFACTION_STATE "satisfactionState",
        DEONTIC_STATE "deonticState", PERFORMANCE_STATE "performanceState", CONSTRAINT "constraint",
        CONSTRAINT_LEFT_OPERAND "constraintLeftOperand", CONSTRAINT_OPERATOR "constraintOperator",
        CONSTRAINT_RIGHT_OPERAND "constraintRightOperand", CONSTRAINT_LOGICAL_OPERAND "constraintLogicalOperand",
        ATTEMPTED "Attempted", ACTIVE "Active", INACTIVE "Inactive", SATISFIED "Satisfied",
        UNSATISFIED "Unsatisfied", FULFILLED "Fulfilled", VIOLATED "Violated", NON_SET "NonSet",
        PERFORMED "Performed", UNPERFORMED "Unperformed",
    }
}

vocabulary! {
    /// The Data Privacy Vocabulary: consent, its states, and a subset of its purposes.
    dpv = "https://w3id.org/dpv#" {
        CONSENT "Consent", CONSENT_RECORD "ConsentRecord", CONSENT_STATUS_CLASS "ConsentStatus",
        CONSENT_REQUESTED "ConsentRequested", CONSENT_GIVEN "ConsentGiven",
        CONSENT_REFUSED "ConsentRefused", CONSENT_WITHDRAWN "ConsentWithdrawn",
        CONSENT_EXPIRED "ConsentExpired", RENEWED_CONSENT_GIVEN "RenewedConsentGiven",
        CONSENT_REQUEST_DEFERRED "ConsentRequestDeferred", CONSENT_REVOKED "ConsentRevoked",
        CONSENT_INVALIDATED "ConsentInvalidated", CONSENT_RECEIPT "ConsentReceipt",
        EXPRESSED_CONSENT "ExpressedConsent", EXPLICITLY_EXPRESSED_CONSENT "ExplicitlyExpressedConsent",
        HAS_RECORD_OF_ACTIVITY "hasRecordOfActivity", HAS_PROCESS "hasProcess", PROCESS "Process",
        STORAGE_LOCATION "StorageLocation", STORAGE_DURATION "StorageDuration",
        STORAGE_DELETION "StorageDeletion", HAS_LOCATION "hasLocation", HAS_DURATION "hasDuration",
        UNTIL_TIME_DURATION "UntilTimeDuration", TEMPORAL_DURATION "TemporalDuration",
        HAS_CONSENT_CONTROL "hasConsentControl", WITHDRAW_CONSENT "WithdrawConsent",
        IS_EXERCISED_AT "isExercisedAt", HAS_RIGHT "hasRight", HAS_JURISDICTION "hasJurisdiction",
        HAS_THIRD_COUNTRY "hasThirdCountry", HAS_CONSEQUENCE "hasConsequence", HAS_NECESSITY "hasNecessity",
        REQUIRED "Required", OPTIONAL "Optional", PERSONAL_DATA "PersonalData",
        SPECIAL_CATEGORY_PERSONAL_DATA "SpecialCategoryPersonalData", HAS_NAME "hasName",
        HAS_IDENTIFIER "hasIdentifier", HAS_CONTACT "hasContact", HAS_ADDRESS "hasAddress",
        HAS_INDICATION_METHOD "hasIndicationMethod", DATA_CONTROLLER "DataController",
        DATA_PROCESSOR "DataProcessor", RECIPIENT "Recipient", THIRD_PARTY "ThirdParty",
        CONSENT_STATUS "hasConsentStatus", HAS_DATA_SUBJECT "hasDataSubject", HAS_RECIPIENT "hasRecipient",
        HAS_PURPOSE "hasPurpose", HAS_PERSONAL_DATA "hasPersonalData", HAS_NOTICE "hasNotice",
        CONSENT_NOTICE "ConsentNotice", HAS_DATA_CONTROLLER "hasDataController",
        HAS_LEGAL_BASIS "hasLegalBasis", HAS_STATUS "hasStatus", HAS_STORAGE_CONDITION "hasStorageCondition",
        IS_INDICATED_BY "isIndicatedBy", IS_INDICATED_AT_TIME "isIndicatedAtTime",
        DATA_SUBJECT "DataSubject", PURPOSE "Purpose",
        RESEARCH_AND_DEVELOPMENT "ResearchAndDevelopment", SCIENTIFIC_RESEARCH "ScientificResearch",
        ACADEMIC_RESEARCH "AcademicResearch", COMMERCIAL_RESEARCH "CommercialResearch",
        NON_COMMERCIAL_RESEARCH "NonCommercialResearch", PUBLIC_BENEFIT "PublicBenefit",
        COMMERCIAL_PURPOSE "CommercialPurpose", NON_COMMERCIAL_PURPOSE "NonCommercialPurpose",
        MARKETING "Marketing", ADVERTISING "Advertising", DIRECT_MARKETING "DirectMarketing",
        PERSONALISED_ADVERTISING "PersonalisedAdvertising", TARGETED_ADVERTISING "TargetedAdvertising",
        SERVICE_PROVISION "ServiceProvision", SERVICE_OPTIMISATION "ServiceOptimisation",
        SERVICE_PERSONALISATION "ServicePersonalisation", REQUESTED_SERVICE_PROVISION "RequestedServiceProvision",
        PERSONALISATION "Personalisation", LEGAL_COMPLIANCE "LegalCompliance",
        ENFORCE_SECURITY "EnforceSecurity", OPTIMISATION "Optimisation",
        SELL_PRODUCTS "SellProducts", SELL_DATA_TO_THIRD_PARTIES "SellDataToThirdParties",
        PROVIDE_OFFICIAL_STATISTICS "ProvideOfficialStatistics", IMPROVE_PUBLIC_SERVICES "ImprovePublicServices",
        PUBLIC_POLICY_MAKING "PublicPolicyMaking", PROTECTION_OF_PUBLIC_SECURITY "ProtectionOfPublicSecurity",
        DATA_ALTRUISM "DataAltruism", IMPROVE_TRANSPORT_MOBILITY "ImproveTransportMobility",
        COMBAT_CLIMATE_CHANGE "CombatClimateChange", PUBLIC_INTEREST "PublicInterest",
    }
}

vocabulary! {
    /// DPV's extension for the GDPR: legal bases.
    dpv_gdpr = "https://w3id.org/dpv/legal/eu/gdpr#" {
        CONSENT_6_1_A "A6-1-a", CONTRACT_6_1_B "A6-1-b", LEGAL_OBLIGATION_6_1_C "A6-1-c",
        VITAL_INTEREST_6_1_D "A6-1-d", LEGITIMATE_INTEREST_6_1_F "A6-1-f", RIGHT_TO_WITHDRAW "A7-3",
        RIGHT_OF_ACCESS "A15", RIGHT_TO_RECTIFICATION "A16", RIGHT_TO_ERASURE "A17",
        RIGHT_TO_DATA_PORTABILITY "A20", RIGHT_TO_OBJECT "A21", RIGHT_TO_COMPLAINT "A77", PUBLIC_INTEREST_6_1_E "A6-1-e", EXPLICIT_CONSENT_9_2_A "A9-2-a",
    }
}

vocabulary! {
    /// The profile of consent records and receipts after ISO/IEC TS 27560, in DPV's terms.
    dpv_27560 = "https://w3id.org/dpv/schema/dpv-27560#" {
        RECORD "record", RECORD_EU_GDPR "record-eu-gdpr", RECEIPT "receipt", RECEIPT_EU_GDPR "receipt-eu-gdpr",
    }
}

vocabulary! {
    /// The Dataspace Protocol 2025-1.
    dspace = "https://w3id.org/dspace/2025/1/" {
        CONTRACT_NEGOTIATION "ContractNegotiation", PROVIDER_PID "providerPid", CONSUMER_PID "consumerPid",
        STATE "state", PARTICIPANT_ID "participantId", AGREEMENT_ID "agreementId", TIMESTAMP "timestamp",
        CATALOG_SERVICE "CatalogService",
    }
}
