//! Bytes of an event stream come in, in pieces of any size; whole events go out as their last line ends (WHATWG HTML, 9.2).
//! Knows nothing of what the data means.

use crate::base::Cause;

/// Reads one event stream.
#[derive(Debug, Default)]
pub(super) struct Sse {
    /// The line being read, as far as earlier pieces held it.
    line: Vec<u8>,
    /// The event's data so far, each line with its line feed.
    data: Vec<u8>,
    name: Vec<u8>,
    /// `id` of the last event that had one: what a client sends as `Last-Event-ID`.
    last_id: Vec<u8>,
    state: State,
    begun: bool,
    /// A carriage return ended the last piece: a line feed that follows belongs to it.
    after_cr: bool,
}

/// What the reader gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event<'a> {
    /// An event with data. Comments, and events without data (MCP 2025-11-25 primes streams with them), are none.
    Data {
        /// Its `event` field; empty means `message`.
        name: &'a [u8],
        /// Its data.
        data: &'a [u8],
    },
    /// An event was dropped here.
    Missed(Cause),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Reading,
    /// Dropping the event at hand, up to the empty line.
    Dropping,
    /// Dropping, and the line at hand has lost its beginning: it ends the hole, whatever is left of it.
    Resyncing,
}

impl Sse {
    /// Reads on. `limit` bounds one event.
    pub(super) fn feed(&mut self, mut bytes: &[u8], limit: usize, mut each: impl FnMut(Event<'_>)) {
        while !bytes.is_empty() {
            if self.after_cr {
                self.after_cr = false;
                if let Some(rest) = bytes.strip_prefix(b"\n") {
                    bytes = rest;
                    continue;
                }
            }
            let Some(end) = memchr::memchr2(b'\r', b'\n', bytes) else {
                self.keep(bytes, limit, &mut each);
                return;
            };
            let (line, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
            self.after_cr = rest.first() == Some(&b'\r');
            bytes = rest.get(1..).unwrap_or_default();
            if self.line.is_empty() {
                self.line_ends(line, limit, &mut each);
            } else {
                self.keep(line, limit, &mut each);
                let line = std::mem::take(&mut self.line);
                self.line_ends(&line, limit, &mut each);
                self.line = give_back(line);
            }
        }
    }

    /// Bytes are missing here: the event at hand is dropped, and whole ones may be in the hole.
    pub(super) fn hole(&mut self) {
        self.drop_event(State::Resyncing);
        self.begun = true;
        self.after_cr = false;
    }

    /// Whether an event has begun and its end is not read yet.
    pub(super) fn is_amid(&self) -> bool {
        self.state != State::Reading || !self.line.is_empty() || !self.data.is_empty()
    }

    /// The last event id; `None` where no event had one.
    pub(super) fn last_id(&self) -> Option<&[u8]> {
        (!self.last_id.is_empty()).then_some(&*self.last_id)
    }

    fn keep(&mut self, piece: &[u8], limit: usize, each: &mut impl FnMut(Event<'_>)) {
        match self.state {
            // Only whether the line is empty matters now.
            State::Dropping if self.line.is_empty() => self.line.extend_from_slice(piece.get(..1).unwrap_or_default()),
            State::Dropping | State::Resyncing => {}
            State::Reading if self.size() + piece.len() > limit => {
                self.drop_event(State::Dropping);
                self.line.push(b'x');
                each(Event::Missed(Cause::Limit));
            }
            State::Reading => self.line.extend_from_slice(piece),
        }
    }

    fn line_ends(&mut self, line: &[u8], limit: usize, each: &mut impl FnMut(Event<'_>)) {
        // "One leading U+FEFF BYTE ORDER MARK character must be ignored if any are present."
        let full = self.size() + line.len() > limit;
        let line = if self.begun { line } else { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) };
        self.begun = true;
        match self.state {
            State::Resyncing => self.state = State::Dropping,
            State::Dropping if line.is_empty() => self.state = State::Reading,
            State::Dropping => {}
            State::Reading if line.is_empty() => self.dispatch(each),
            State::Reading if full => {
                self.drop_event(State::Dropping);
                each(Event::Missed(Cause::Limit));
            }
            State::Reading => self.field(line),
        }
    }

    fn field(&mut self, line: &[u8]) {
        let at = memchr::memchr(b':', line).unwrap_or(line.len());
        let (name, value) = line.split_at_checked(at).unwrap_or((line, &[]));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            b"event" => {
                self.name.clear();
                self.name.extend_from_slice(value.get(..NAME).unwrap_or(value));
            }
            b"id" if value.len() <= ID && !value.contains(&0) => {
                self.last_id.clear();
                self.last_id.extend_from_slice(value);
            }
            // `retry`, comments (an empty name), and whatever else.
            _ => {}
        }
    }

    fn dispatch(&mut self, each: &mut impl FnMut(Event<'_>)) {
        let mut data = std::mem::take(&mut self.data);
        data.pop();
        if !data.trim_ascii().is_empty() {
            each(Event::Data { name: &self.name, data: &data });
        }
        self.name.clear();
        self.data = give_back(data);
    }

    fn drop_event(&mut self, state: State) {
        self.state = state;
        (self.line, self.data) = (Vec::new(), Vec::new());
        self.name.clear();
    }

    fn size(&self) -> usize {
        self.line.len() + self.data.len()
    }
}

/// Streams live long: large buffers go back, small ones are used again.
fn give_back(mut buffer: Vec<u8>) -> Vec<u8> {
    if buffer.capacity() > KEPT {
        return Vec::new();
    }
    buffer.clear();
    buffer
}

/// Bytes of an event's name that are kept.
const NAME: usize = 64;

/// Longest event id that is kept.
const ID: usize = 1_024;

/// Largest buffer that is kept between events.
const KEPT: usize = 2_048;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]], limit: usize) -> (Vec<String>, Sse) {
        let (mut sse, mut all) = (Sse::default(), Vec::new());
        for piece in pieces {
            sse.feed(piece, limit, |event| {
                all.push(match event {
                    Event::Data { name, data } => format!("{}|{}", String::from_utf8_lossy(name), String::from_utf8_lossy(data)),
                    Event::Missed(cause) => cause.as_str().into(),
                });
            });
        }
        (all, sse)
    }

    const STREAM: &[u8] = b"\xef\xbb\xbf: ping - 2026\r\n\r\nid: 7\r\ndata:\r\n\r\nevent: endpoint\rdata: /m?s=1\r\rdata: a\ndata:b\ndata\nid:8\n\n: c\ndata: last\nretry: 5\n\ndata: cut";

    #[test]
    fn lines_of_every_kind_comments_priming_and_several_data_lines() {
        let (events, sse) = read(&[STREAM], 99);
        assert_eq!(events, ["endpoint|/m?s=1", "|a\nb\n", "|last"]);
        assert_eq!(sse.last_id(), Some(&b"8"[..]));
        assert!(sse.is_amid());
    }

    #[test]
    fn a_hole_drops_the_event_it_touches_and_no_other() {
        let mut sse = Sse::default();
        let mut all = Vec::new();
        let mut each = |event: Event<'_>| {
            if let Event::Data { data, .. } = event {
                all.push(String::from_utf8_lossy(data).into_owned());
            }
        };
        sse.feed(b"data: one\n\ndata: tw", 99, &mut each);
        sse.hole();
        // The line feed first after the hole ends a line that was not seen: no empty line.
        sse.feed(b"\ndata: o2\n\ndata: three\n\n", 99, &mut each);
        assert!(!sse.is_amid());
        sse.hole();
        sse.feed(b"data: four\n\ndata: five\n\n", 99, &mut each);
        assert_eq!(all, ["one", "three", "five"]);
    }

    #[test]
    fn an_event_over_the_limit_is_dropped_once_and_its_memory_given_back() {
        let long = format!("data: {}\ndata: {}\n\ndata: ok\n\n", "x".repeat(50), "y".repeat(50));
        for size in [1, 7, 1000] {
            let pieces: Vec<_> = long.as_bytes().chunks(size).collect();
            let (events, sse) = read(&pieces, 64);
            assert_eq!(events, ["limit", "|ok"], "{size}");
            assert!(sse.line.capacity() + sse.data.capacity() < 200);
        }
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(text in prop_oneof![
            Just(STREAM.to_vec()),
            "(data|id|event|:|retry)(: ?[a-c]{0,9})?(\n|\r|\r\n){1,3}".prop_map(String::into_bytes),
            prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b':'), Just(b'd'), any::<u8>()], 0..80),
            "((data: ?[a-c]{0,30}|:x|id:1)(\n|\r|\r\n){1,2}){0,8}".prop_map(String::into_bytes),
        ], cuts in prop::collection::vec(0usize..200, 0..9), limit in 8usize..60) {
            let mut cuts: Vec<_> = cuts.into_iter().filter(|cut| *cut < text.len()).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
            let (whole, one) = read(&[&text], limit);
            let (cut, two) = read(&pieces, limit);
            prop_assert_eq!(whole, cut);
            prop_assert_eq!(one.last_id(), two.last_id());
        }
    }
}
