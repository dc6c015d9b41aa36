//! Server-sent events (HTML, §9.2), written and read: those that consumers get, and those of members' channels.

use bytes::Bytes;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its type; `message` when none was named.
    pub name: String,
    /// The last id that was told, in this event or before.
    pub id: String,
    /// Its data, lines joined by line feeds.
    pub data: String,
}

impl Event {
    /// The event as it is sent. None of its parts may hold line breaks, which JSON without layout does not.
    #[must_use]
    pub fn write(&self) -> Bytes {
        let mut text = String::with_capacity(self.data.len() + 64);
        text.push_str("event: ");
        text.push_str(&self.name);
        if !self.id.is_empty() {
            text.push_str("\nid: ");
            text.push_str(&self.id);
        }
        text.push_str("\ndata: ");
        text.push_str(&self.data);
        text.push_str("\n\n");
        text.into()
    }
}

/// A stream sent a longer event than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than {0} bytes")]
pub struct EventTooLong(pub usize);

/// Reads a stream of events, piece by piece.
#[derive(Debug)]
pub struct Events {
    line: Vec<u8>,
    event: Event,
    data: Option<String>,
    after_return: bool,
    bytes_max: usize,
}

impl Events {
    /// A reader that takes events of at most so many bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            line: Vec::new(),
            event: Event::default(),
            data: None,
            after_return: false,
            bytes_max,
        }
    }

    /// Takes the next piece and gives the events that it completes.
    ///
    /// # Errors
    /// [`EventTooLong`].
    pub fn take(&mut self, piece: &[u8]) -> Result<Vec<Event>, EventTooLong> {
        let mut complete = Vec::new();
        for byte in piece {
            match byte {
                b'\n' if std::mem::take(&mut self.after_return) => {}
                b'\n' | b'\r' => {
                    self.after_return = *byte == b'\r';
                    complete.extend(self.end_line());
                }
                byte => {
                    self.after_return = false;
                    let held = self.line.len() + self.data.as_ref().map_or(0, String::len);
                    if held >= self.bytes_max {
                        return Err(EventTooLong(self.bytes_max));
                    }
                    self.line.push(*byte);
                }
            }
        }
        Ok(complete)
    }

    fn end_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        if line.is_empty() {
            let name = std::mem::take(&mut self.event.name);
            let data = self.data.take()?;
            return Some(Event {
                name: if name.is_empty() { "message".to_owned() } else { name },
                id: self.event.id.clone(),
                data,
            });
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "id" if !value.contains('\0') => value.clone_into(&mut self.event.id),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                none => *none = Some(value.to_owned()),
            },
            _ => {}
        }
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn event(name: &str, id: &str, data: &str) -> Event {
        Event {
            name: name.to_owned(),
            id: id.to_owned(),
            data: data.to_owned(),
        }
    }

    #[test]
    fn streams_are_read_however_they_are_cut_up() {
        let stream = ": hello\r\nretry: 2000\n\nevent: open\r\nid: 7\r\ndata: {\"a\":1}\r\n\r\n\
                      data: one\ndata:two\n\nevent: nothing\n\n:\n\nid\ndata\n\ndata: cut";
        let expected = [
            event("open", "7", "{\"a\":1}"),
            event("message", "7", "one\ntwo"),
            event("message", "", ""),
        ];
        for size in [1, 2, 3, 7, stream.len()] {
            let mut events = Events::new(1_000);
            let read: Vec<Event> = stream
                .as_bytes()
                .chunks(size)
                .flat_map(|piece| events.take(piece).unwrap())
                .collect();
            assert_eq!(read, expected, "{size}");
        }
        assert_eq!(Events::new(4).take(b"data: x"), Err(EventTooLong(4)));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let sent = event("change", "q-1", "{\"added\":[]}");
        let read = Events::new(1_000).take(&sent.write()).unwrap();
        assert_eq!(read, [sent]);
    }
}
