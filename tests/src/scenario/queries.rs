//! The six questions that the scenario asks of the network, as a company would write them.

/// A question: its short name, what it shows, and its text.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// `Q1` … `Q6`.
    pub name: &'static str,
    /// What it shows, in plain words.
    pub shows: &'static str,
    /// SPARQL.
    pub text: &'static str,
}

/// All six, in order.
pub const QUESTIONS: [Question; 6] = [
    Question {
        name: "Q1",
        shows: "bicycle counts per hour of all members in the week of 20 November: union of owners",
        text: include_str!("queries/q1.rq"),
    },
    Question {
        name: "Q2",
        shows: "the same per municipality with official name and NIS code: join across owners",
        text: include_str!("queries/q2.rq"),
    },
    Question {
        name: "Q3",
        shows: "average by hour of the day, working days only, per municipality: aggregates at the owners",
        text: include_str!("queries/q3.rq"),
    },
    Question {
        name: "Q4",
        shows: "average per street over citizens' sensors: streets with fewer than five citizens do not appear",
        text: include_str!("queries/q4.rq"),
    },
    Question {
        name: "Q5",
        shows: "one car park on one day: only the pod that can answer is asked",
        text: include_str!("queries/q5.rq"),
    },
    Question {
        name: "Q6",
        shows: "cyclists hurt in accidents beside bicycle traffic, per municipality: three owners",
        text: include_str!("queries/q6.rq"),
    },
];
