//! Requirement ids that tests cite, so that one can go from a requirement to its tests.
//!
//! `solid#N` counts the list of Solid requirements, `CAT- NEG- TRF- ODR- ENF- CON- AUD-` are areas of the dataspace
//! requirements, `T` are attacks, `P` promises and `D` durability tests of the reliability requirements.

/// All ids with what each asks, tab-separated, one a line below a heading line.
pub const TABLE: &str = include_str!("../requirements.tsv");

#[cfg(test)]
mod tests {
    #[test]
    fn every_line_has_an_id_of_its_own_and_a_title() {
        let mut ids = std::collections::BTreeSet::new();
        for line in super::TABLE.lines().skip(1) {
            let (id, title) = line.split_once('\t').unwrap_or_default();
            assert!(!title.is_empty() && !title.contains('\t'), "{line}");
            assert!(ids.insert(id), "{id} is there twice");
        }
        assert!((1..=116).all(|number| ids.contains(format!("solid#{number}").as_str())));
    }
}
