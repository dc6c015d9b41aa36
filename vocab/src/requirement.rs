//! Requirement numbers that tests cite, so that a search from requirement to test finds its proof.
//!
//! `solid#N` counts the list of Solid requirements; the other prefixes are areas of the dataspace requirements.

/// Declares requirement ids with what each asks.
macro_rules! requirements {
    ($($name:ident $id:literal $asks:literal),* $(,)?) => {
        $(#[doc = $asks] pub const $name: &str = $id;)*
        /// Every id above, with what it asks.
        pub const ALL: &[(&str, &str)] = &[$(($id, $asks)),*];
    };
}

requirements! {
    SOLID_70 "solid#70" "A root ACL always gives Control to someone.",
    SOLID_71 "solid#71" "An own ACL counts by `acl:accessTo`, an inherited one by `acl:default`.",
    SOLID_72 "solid#72" "Subjects are agents, groups, classes and origins.",
    SOLID_73 "solid#73" "Append is part of Write; Control gives nothing but Control.",
    SOLID_78 "solid#78" "With an `Origin` header, a non-public mode needs a matching `acl:origin`.",
    SOLID_79 "solid#79" "`WAC-Allow` states the modes of the user and of the public.",
    SOLID_80 "solid#80" "All conditions of an authorization must hold.",
    SOLID_81 "solid#81" "An unknown type of condition never widens access.",
    SOLID_82 "solid#82" "Unknown modes are ignored.",
    NEG_2 "NEG-2" "The negotiation state machine is exact, pure and total.",
    ODR_1 "ODR-1" "Policies are read from Turtle and JSON-LD and written back without loss.",
    ODR_2 "ODR-2" "The validator names the path of each error.",
    ODR_3 "ODR-3" "Unknown terms deny.",
    ODR_5 "ODR-5" "Offers are never evaluated as grants.",
    ODR_7 "ODR-7" "Operators have a defined typing.",
    ODR_10 "ODR-10" "Logical constraints are three-valued inside.",
    ODR_13 "ODR-13" "Purposes form a hierarchy.",
    ODR_14 "ODR-14" "A prohibition wins; the order of rules does not matter.",
    ODR_19 "ODR-19" "A decision states until when it holds.",
    ODR_24 "ODR-24" "The size and depth of a policy are bounded.",
    ODR_27 "ODR-27" "Adding a constraint or a prohibition never widens.",
    CON_3 "CON-3" "The consent state machine refuses every illegal move.",
    CON_8 "CON-8" "A consent always ends.",
    AUD_1 "AUD-1" "One record per decision, with who, what, why and outcome.",
    AUD_3 "AUD-3" "Inclusion and consistency of the log can be proved offline.",
    AUD_6 "AUD-6" "Leaves are salted commitments; dropping a salt erases the link.",
    AUD_7 "AUD-7" "Each person can prove their own part without seeing others.",
    AUD_9 "AUD-9" "A decision recomputed from its record gives the same result.",
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_are_distinct() {
        let distinct: std::collections::BTreeSet<_> = super::ALL.iter().map(|(id, _)| id).collect();
        assert_eq!(distinct.len(), super::ALL.len());
    }
}
