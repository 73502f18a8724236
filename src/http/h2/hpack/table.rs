//! Header fields that the encoder asked to keep come in, the field at an index goes out, or that it cannot be known.
//! Static and dynamic table of RFC 7541, 2.3; knows nothing of blocks.

use std::collections::VecDeque;

/// A field of which either half may be unknown.
pub(super) type Entry<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

/// One direction's dynamic table, as far as the witness knows it.
///
/// Entries are found from the newest on, so those inserted since a loss keep their right place whatever was lost before them.
/// Holding more old entries than the encoder does is harmless: no valid index reaches them.
pub(crate) struct Table {
    kept: VecDeque<Kept>,
    size: usize,
    max: usize,
    cap: usize,
    whole: bool,
}

struct Kept {
    bytes: Box<[u8]>,
    /// Where the value begins; `None` where the name is unknown.
    name: Option<usize>,
    value_known: bool,
}

impl Table {
    /// At the beginning of a connection: empty, 4,096 bytes (RFC 9113, 6.5.2). Never holds more than `cap`.
    pub(super) fn new(cap: usize) -> Table {
        Table { kept: VecDeque::new(), size: 0, max: 4096, cap, whole: true }
    }

    /// Blocks were missed: what was in the table may be anywhere in it, or gone, and its size may have been changed.
    pub(super) fn forget(&mut self) {
        self.kept = VecDeque::new();
        self.size = 0;
        self.max = self.cap;
        self.whole = false;
    }

    /// The encoder's size update (RFC 7541, 6.3).
    pub(super) fn set_max(&mut self, max: usize) {
        self.max = max;
        self.evict();
        // Emptied by the encoder: the history before no longer matters.
        self.whole |= max == 0;
    }

    /// At most this, by an acknowledged SETTINGS_HEADER_TABLE_SIZE (RFC 7541, 4.2). It never makes the table larger: the encoder says that.
    pub(super) fn shrink_to(&mut self, max: usize) {
        if self.whole && max < self.max {
            self.max = max;
            self.evict();
        }
    }

    /// A new entry (RFC 7541, 4.4).
    pub(super) fn insert(&mut self, name: Option<&[u8]>, value: Option<&[u8]>) {
        let size = OVERHEAD + name.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
        if size > self.max {
            self.kept.clear();
            self.size = 0;
            return;
        }
        // One that only our own cap refuses still takes its place, or every older index would be off by one.
        let (name, value) = if size > self.cap { (None, None) } else { (name, value) };
        let bytes: Box<[u8]> = [name.unwrap_or_default(), value.unwrap_or_default()].concat().into();
        self.size += OVERHEAD + bytes.len();
        self.kept.push_front(Kept { bytes, name: name.map(<[u8]>::len), value_known: value.is_some() });
        self.evict();
    }

    /// The field at an index of the joint address space (RFC 7541, 2.3.3), from 1; `None` where there can be none.
    pub(super) fn get(&self, index: usize) -> Option<Entry<'_>> {
        let index = index.checked_sub(1)?;
        if let Some((name, value)) = STATIC.get(index) {
            return Some((Some(name.as_bytes()), Some(value.as_bytes())));
        }
        match self.kept.get(index - STATIC.len()) {
            Some(kept) => {
                let (name, value) = kept.bytes.split_at_checked(kept.name.unwrap_or(0))?;
                Some((kept.name.map(|_| name), kept.value_known.then_some(value)))
            }
            None if self.whole => None,
            None => Some((None, None)),
        }
    }

    /// Bytes in it, as RFC 7541, 4.1 counts them.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.size
    }

    fn evict(&mut self) {
        while self.size > self.max.min(self.cap) {
            let Some(oldest) = self.kept.pop_back() else { break };
            // Evicted by our cap alone: the encoder still has it.
            self.whole &= self.size > self.max;
            self.size = self.size.saturating_sub(OVERHEAD + oldest.bytes.len());
        }
    }
}

/// RFC 7541, 4.1.
const OVERHEAD: usize = 32;

/// RFC 7541, Appendix A.
#[rustfmt::skip]
pub(super) static STATIC: [(&str, &str); 61] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"), (":scheme", "http"),
    (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"), (":status", "304"), (":status", "400"),
    (":status", "404"), (":status", "500"), ("accept-charset", ""), ("accept-encoding", "gzip, deflate"), ("accept-language", ""),
    ("accept-ranges", ""), ("accept", ""), ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""),
    ("cache-control", ""), ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
    ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""), ("date", ""), ("etag", ""), ("expect", ""),
    ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""), ("if-modified-since", ""), ("if-none-match", ""), ("if-range", ""),
    ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""), ("location", ""), ("max-forwards", ""), ("proxy-authenticate", ""),
    ("proxy-authorization", ""), ("range", ""), ("referer", ""), ("refresh", ""), ("retry-after", ""), ("server", ""), ("set-cookie", ""),
    ("strict-transport-security", ""), ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""), ("via", ""), ("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn known<'a>(name: &'a str, value: &'a str) -> Option<Entry<'a>> {
        Some((Some(name.as_bytes()), Some(value.as_bytes())))
    }

    #[test]
    fn a_table_of_unknown_history_knows_what_came_since() {
        let mut table = Table::new(65_536);
        table.insert(Some(b"old"), Some(b"1"));
        table.forget();
        assert_eq!(table.get(62), Some((None, None)));
        table.insert(Some(b"new"), Some(b"2"));
        table.insert(None, Some(b"3"));
        assert_eq!(table.get(62), Some((None, Some(&b"3"[..]))));
        assert_eq!(table.get(63), known("new", "2"));
        assert_eq!(table.get(64), Some((None, None)));
        table.set_max(0);
        assert_eq!(table.get(62), None, "emptied by the encoder: known to hold nothing");
    }

    #[test]
    fn our_cap_makes_old_entries_unknown_and_moves_no_index() {
        let mut table = Table::new(100);
        table.set_max(1 << 20);
        table.insert(Some(b"a"), Some(b"1"));
        table.insert(Some(b"b"), Some(&[b'x'; 500]));
        table.insert(Some(b"c"), Some(b"3"));
        assert_eq!(table.get(62), known("c", "3"));
        assert_eq!(table.get(63), Some((None, None)));
        assert_eq!(table.get(64), known("a", "1"));
        assert_eq!(table.get(65), None);
        table.insert(Some(b"d"), Some(b"4"));
        assert_eq!(table.get(65), Some((None, None)), "evicted by the cap, not by the encoder");
        assert!(table.size() <= 100);
    }

    #[test]
    fn an_entry_larger_than_the_table_empties_it() {
        let mut table = Table::new(65_536);
        table.insert(Some(b"a"), Some(b"1"));
        table.insert(Some(b"b"), Some(&[b'x'; 5000]));
        assert_eq!((table.get(62), table.size()), (None, 0));
    }
}
