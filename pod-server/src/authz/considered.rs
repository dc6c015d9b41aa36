//! Verdicts that were reached lately.
//!
//! A verdict that rests on access control lists alone is the same for the same question until a policy document changes.
//! The number of such changes is kept with it, so that no verdict outlives the rules that it came from (invariant 8).

use std::hash::{Hash, Hasher};

use policies::request::Subject;
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

use super::pep::{Requirement, Verdict};

/// Rough cost of one verdict beside the texts of its question.
const ENTRY_BYTES: u64 = 512;

/// Verdicts by what was asked, within a bound on their memory.
pub(super) struct Considered {
    verdicts: Cache<Question, Verdict, ByBytes>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Question {
    subject: Subject,
    requirements: Vec<Requirement>,
}

/// The same question, not owned.
struct Asked<'q> {
    subject: &'q Subject,
    requirements: &'q [Requirement],
}

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.subject.hash(state);
        self.requirements.hash(state);
    }
}

impl Equivalent<Question> for Asked<'_> {
    fn equivalent(&self, question: &Question) -> bool {
        *self.subject == question.subject && *self.requirements == *question.requirements
    }
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Question, Verdict> for ByBytes {
    fn weight(&self, question: &Question, _: &Verdict) -> u64 {
        let subject = &question.subject;
        let web_id = subject.agent.web_id().map_or(0, |web_id| web_id.as_str().len());
        let others = [&subject.client, &subject.issuer, &subject.origin];
        let texts = others.iter().filter_map(|text| text.as_ref()).map(String::len);
        let names = question
            .requirements
            .iter()
            .map(|needed| needed.resource.as_str().len());
        // Reasons and dependencies name the same resources once more.
        ENTRY_BYTES + (web_id + texts.sum::<usize>() + 3 * names.sum::<usize>()) as u64
    }
}

impl Considered {
    pub(super) fn new(bytes_max: u64) -> Self {
        let entries = usize::try_from(bytes_max / ENTRY_BYTES).unwrap_or(usize::MAX).max(1);
        Self {
            verdicts: Cache::with_weighter(entries, bytes_max, ByBytes),
        }
    }

    /// The verdict on a question, if it was reached under this number.
    pub(super) fn find(&self, epoch: u64, subject: &Subject, requirements: &[Requirement]) -> Option<Verdict> {
        let known = self.verdicts.get(&Asked { subject, requirements })?;
        (known.epoch() == epoch).then_some(known)
    }

    /// Keeps a verdict that rests on nothing but policy documents.
    pub(super) fn keep(&self, subject: &Subject, requirements: &[Requirement], verdict: &Verdict) {
        let question = Question {
            subject: subject.clone(),
            requirements: requirements.to_vec(),
        };
        self.verdicts.insert(question, verdict.clone());
    }
}
