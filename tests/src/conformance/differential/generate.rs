//! Generated requests: always the same for a seed, in sequences that each have a container of their own.

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// Owner of the storage.
    Alice,
    /// Someone with the rights that the sequence gives.
    Bob,
    /// Without credentials.
    Nobody,
}

/// A condition on the state of the target, filled in when the request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `If-Match` with the current tag.
    MatchCurrent,
    /// `If-Match` with a tag that never was.
    MatchStale,
    /// `If-Match: *`.
    MatchAny,
    /// `If-None-Match` with the current tag.
    NoneMatchCurrent,
    /// `If-None-Match: *`.
    NoneMatchAny,
}

/// A request that is not sent yet.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Who asks.
    pub asker: Asker,
    /// Method.
    pub method: &'static str,
    /// Target, relative to the sequence's container.
    pub target: &'static str,
    /// Header fields.
    pub headers: Vec<(&'static str, &'static str)>,
    /// Content.
    pub body: Option<&'static str>,
    /// A condition on the state.
    pub condition: Option<Condition>,
}

/// Requests to one container.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// What Bob may do in the container, as WAC modes.
    pub bob: &'static [&'static str],
    /// What everyone may do there.
    pub everyone: &'static [&'static str],
    /// The requests, in order.
    pub requests: Vec<Planned>,
}

/// Requests of one sequence.
pub const SEQUENCE_LENGTH: usize = 10;

/// Numbers that look drawn by chance and are the same for the same seed (splitmix64).
#[derive(Clone, Debug)]
pub struct Draw(u64);

impl Draw {
    /// Starts from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[(self.next() % choices.len() as u64) as usize]
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.next().is_multiple_of(many)
    }
}

const RIGHTS: [&[&str]; 6] = [
    &[],
    &["Read"],
    &["Append"],
    &["Read", "Append"],
    &["Read", "Write"],
    &["Read", "Write", "Control"],
];

const EVERYONE: [&[&str]; 4] = [&[], &[], &["Read"], &["Append"]];

const DOCUMENTS: [&str; 6] = ["a.ttl", "b.ttl", "c.txt", "d/e.ttl", "f/g/h.ttl", "i.jsonld"];

const TARGETS: [&str; 16] = [
    "",
    "a.ttl",
    "a.ttl",
    "a.ttl",
    "b.ttl",
    "c.txt",
    "c.txt",
    "d/",
    "d/",
    "d/e.ttl",
    "i.jsonld",
    "none",
    "a.ttl/",
    "d",
    "a.ttl.acl",
    ".acl",
];

const METHODS: [&str; 16] = [
    "GET", "GET", "GET", "HEAD", "OPTIONS", "PUT", "PUT", "PUT", "PUT", "POST", "POST", "PATCH", "PATCH", "PATCH",
    "DELETE", "DELETE",
];

const ACCEPTED: [&str; 6] = [
    "text/turtle",
    "application/ld+json",
    "*/*",
    "application/ld+json;q=0.3, text/turtle;q=0.8",
    "text/plain",
    "image/png",
];

const CONTENTS: [(&str, &str); 8] = [
    ("text/turtle", "<#a> <#b> <#c>, 1, \"x\"@nl."),
    ("text/turtle", "<#a> <#b> <#c>."),
    ("text/turtle", "<#a> <#b> [ <#p> \"in\" ]."),
    ("text/turtle", "<#a> <#b> ."),
    ("application/ld+json", "{\"@id\":\"#a\",\"http://example.org/p\":\"v\"}"),
    ("application/ld+json", "{\"@id\":"),
    ("text/plain", "just words"),
    ("application/octet-stream", "0123456789"),
];

const N3: [&str; 9] = [
    "<> a solid:InsertDeletePatch; solid:inserts { <#a> <#new> 2 . }.",
    "<> a solid:InsertDeletePatch; solid:inserts { <#n> <#b> <#c> . }.",
    "<> a solid:InsertDeletePatch; solid:deletes { <#a> <#b> <#c> . }.",
    "<> a solid:InsertDeletePatch; solid:deletes { <#a> <#b> <#absent> . }.",
    "<> a solid:InsertDeletePatch; solid:where { ?s <#b> <#c> . }; solid:deletes { ?s <#b> <#c> . }; solid:inserts { ?s <#b> <#d> . }.",
    "<> a solid:InsertDeletePatch; solid:where { ?s <#b> ?o . }; solid:inserts { ?s <#seen> ?o . }.",
    "<> a solid:InsertDeletePatch; solid:inserts { <#a> <#place> _:x . _:x <#p> 1 . }.",
    "<> a solid:InsertDeletePatch; solid:inserts { ?v <#b> <#c> . }.",
    "<> a solid:InsertDeletePatch; solid:inserts { <#a> <#b> ",
];

const SPARQL: [&str; 5] = [
    "INSERT DATA { <#a> <#new> 2 }",
    "DELETE DATA { <#a> <#b> <#c> }",
    "DELETE { ?s <#b> <#c> } INSERT { ?s <#b> <#d> } WHERE { ?s <#b> <#c> }",
    "DELETE DATA { <#a> <#b> <#c> } ; INSERT DATA { <#a> <#b> <#e> }",
    "INSERT DATA { <#a> ",
];

/// The sequence with this number.
pub fn sequence(draw: &mut Draw) -> Sequence {
    Sequence {
        bob: draw.of(&RIGHTS),
        everyone: draw.of(&EVERYONE),
        requests: (0..SEQUENCE_LENGTH).map(|at| request(draw, at)).collect(),
    }
}

fn request(draw: &mut Draw, at: usize) -> Planned {
    // The first requests make something that the others can meet.
    let method = if at < 3 { "PUT" } else { draw.of(&METHODS) };
    let asker = if at < 3 {
        Asker::Alice
    } else {
        draw.of(&[Asker::Alice, Asker::Alice, Asker::Bob, Asker::Bob, Asker::Nobody])
    };
    let target = match method {
        "PUT" if at < 3 => draw.of(&DOCUMENTS),
        "POST" => draw.of(&["", "", "d/", "d/", "none/", "a.ttl"]),
        _ => draw.of(&TARGETS),
    };
    let mut planned = Planned {
        asker,
        method,
        target,
        headers: Vec::new(),
        body: None,
        condition: None,
    };
    match method {
        "GET" | "HEAD" => reading(draw, &mut planned),
        "PUT" | "POST" => writing(draw, &mut planned, at),
        "PATCH" => patching(draw, &mut planned),
        _ => {}
    }
    if at >= 3 && draw.one_in(5) {
        planned.condition = Some(draw.of(&[
            Condition::MatchCurrent,
            Condition::MatchStale,
            Condition::MatchAny,
            Condition::NoneMatchCurrent,
            Condition::NoneMatchAny,
        ]));
    }
    if draw.one_in(4) {
        planned.headers.push(("origin", "https://app.example"));
    }
    planned
}

fn reading(draw: &mut Draw, planned: &mut Planned) {
    if draw.one_in(2) {
        planned.headers.push(("accept", draw.of(&ACCEPTED)));
    }
    if planned.method == "GET" && draw.one_in(6) {
        planned.headers.push((
            "range",
            draw.of(&["bytes=0-3", "bytes=2-", "bytes=-4", "bytes=900-", "lines=1-2"]),
        ));
    }
}

fn writing(draw: &mut Draw, planned: &mut Planned, at: usize) {
    let list = planned.target.ends_with(".acl");
    let (media_type, body) = if at < 3 {
        match planned.target {
            "c.txt" => ("text/plain", "just words"),
            "i.jsonld" => ("application/ld+json", "{\"@id\":\"#a\",\"http://example.org/p\":\"v\"}"),
            _ => ("text/turtle", "<#a> <#b> <#c>, 1, \"x\"@nl."),
        }
    } else if list {
        // A list that locks nobody out cannot be drawn here: these are refused, or take the rights of all but nobody.
        draw.of(&[("text/turtle", "<#a> <#b> ."), ("text/plain", "just words")])
    } else {
        draw.of(&CONTENTS)
    };
    planned.body = Some(body);
    if !draw.one_in(12) || at < 3 {
        planned.headers.push(("content-type", media_type));
    }
    if planned.method == "POST" {
        if draw.one_in(2) {
            planned
                .headers
                .push(("slug", draw.of(&["named", "b.ttl", "een naam", "../up", "d"])));
        }
        if draw.one_in(4) {
            planned
                .headers
                .push(("link", "<http://www.w3.org/ns/ldp#BasicContainer>; rel=\"type\""));
        }
    }
}

fn patching(draw: &mut Draw, planned: &mut Planned) {
    let (media_type, body) = match draw.next() % 8 {
        0..=4 => ("text/n3", draw.of(&N3)),
        5 | 6 => ("application/sparql-update", draw.of(&SPARQL)),
        _ => ("text/turtle", "<#a> <#b> <#c>."),
    };
    planned.headers.push(("content-type", media_type));
    planned.body = Some(body);
}

/// The prefixes that N3 patches begin with.
pub const N3_PREFIXES: &str = "@prefix solid: <http://www.w3.org/ns/solid/terms#>.\n";
