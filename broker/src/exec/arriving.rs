//! The rows of a sub-plan as its sources answer: whole answers one after the other, each readable as soon as it is there, and as often
//! as the evaluator wants.

use crate::source::SourceId;
use oxrdf::{Term, Variable};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;

/// Values in the order of the sub-plan's columns.
pub type Values = Vec<Option<Term>>;

/// What one request to one source brought.
#[derive(Debug)]
pub struct Part {
    /// Who answered: several for rows that each of them holds and that count once.
    pub sources: Vec<SourceId>,
    /// Place of its request among those of the sub-plan.
    pub place: usize,
    /// The rows.
    pub rows: Vec<Values>,
}

/// The answer to one sub-plan, while it arrives and after.
#[derive(Debug)]
pub struct Arriving {
    /// Columns.
    pub variables: Arc<[Variable]>,
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct State {
    parts: Vec<Arc<Part>>,
    end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Whole,
    GivenUp,
}

/// Nobody fetches the rest any more: what came by then is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rest of the answer was given up")]
pub struct GivenUp;

impl Arriving {
    /// Nothing yet.
    #[must_use]
    pub fn new(variables: Arc<[Variable]>) -> Self {
        Self {
            variables,
            state: Mutex::default(),
            more: Condvar::new(),
        }
    }

    /// Adds an answer.
    pub fn add(&self, part: Part) {
        self.state.lock().parts.push(Arc::new(part));
        self.more.notify_all();
    }

    /// No more will come, and all is there that was to come.
    pub fn end(&self) {
        self.state.lock().end.get_or_insert(End::Whole);
        self.more.notify_all();
    }

    /// Puts the answers in the order of their requests, so that what is not ordered comes the same way each time.
    pub fn settle(&self) {
        self.state.lock().parts.sort_by_key(|part| part.place);
    }

    /// No more will come, unless it had ended before.
    pub fn give_up(&self) {
        self.state.lock().end.get_or_insert(End::GivenUp);
        self.more.notify_all();
    }

    /// Whether all is there.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.state.lock().end == Some(End::Whole)
    }

    /// Whether the rest was given up.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        self.state.lock().end == Some(End::GivenUp)
    }

    /// All parts that are there.
    #[must_use]
    pub fn parts(&self) -> Vec<Arc<Part>> {
        self.state.lock().parts.clone()
    }

    /// The part at a place; waits until it is there, after calling `before_waiting`. `None` after the last.
    ///
    /// # Errors
    /// [`GivenUp`].
    pub fn part(&self, at: usize, before_waiting: &dyn Fn()) -> Result<Option<Arc<Part>>, GivenUp> {
        let mut called = false;
        let mut state = self.state.lock();
        loop {
            match (state.parts.get(at), state.end) {
                (Some(part), _) => return Ok(Some(Arc::clone(part))),
                (None, Some(End::Whole)) => return Ok(None),
                (None, Some(End::GivenUp)) => return Err(GivenUp),
                (None, None) if called => self.more.wait(&mut state),
                (None, None) => {
                    // What it does may take long, and must not keep others from adding.
                    drop(state);
                    before_waiting();
                    called = true;
                    state = self.state.lock();
                }
            }
        }
    }
}

/// Gives up whatever has not ended when it is dropped: nobody waits for ever for a fetch that was cut off.
#[derive(Debug)]
pub struct Filling(pub Arc<[Arc<Arriving>]>);

impl Drop for Filling {
    fn drop(&mut self) {
        self.0.iter().for_each(|arriving| arriving.give_up());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn part(source: SourceId) -> Part {
        Part {
            sources: vec![source],
            place: source,
            rows: Vec::new(),
        }
    }

    #[test]
    fn parts_are_read_as_they_come_and_again() {
        let arriving = Arc::new(Arriving::new(Arc::from([])));
        let (waits, waiting) = mpsc::channel();
        let reader = {
            let arriving = Arc::clone(&arriving);
            std::thread::spawn(move || {
                let mut found = Vec::new();
                while let Some(part) = arriving.part(found.len(), &|| waits.send(()).unwrap()).unwrap() {
                    found.extend(part.sources.clone());
                }
                found
            })
        };
        for source in [3, 1] {
            waiting.recv().unwrap();
            arriving.add(part(source));
        }
        waiting.recv().unwrap();
        arriving.end();
        assert_eq!(reader.join().unwrap(), [3, 1]);
        assert_eq!(
            arriving.part(1, &|| ()).unwrap().map(|part| part.sources.clone()),
            Some(vec![1]),
            "read again"
        );
        assert!(arriving.is_whole());
        arriving.settle();
        assert_eq!(
            arriving.part(0, &|| ()).unwrap().map(|part| part.sources.clone()),
            Some(vec![1])
        );
    }

    #[test]
    fn what_is_given_up_wakes_who_waits() {
        let all: Arc<[Arc<Arriving>]> = (0..2).map(|_| Arc::new(Arriving::new(Arc::from([])))).collect();
        all[0].end();
        let filling = Filling(Arc::clone(&all));
        let (waits, waiting) = mpsc::channel();
        let reader = {
            let arriving = Arc::clone(&all[1]);
            std::thread::spawn(move || arriving.part(0, &|| waits.send(()).unwrap()).map(|_| ()))
        };
        waiting.recv().unwrap();
        drop(filling);
        assert_eq!(reader.join().unwrap(), Err(GivenUp));
        assert!(all[0].is_whole() && !all[1].is_whole());
    }
}
