//! Addresses and names as they are shown: or not, on a screen that others see.

use std::net::IpAddr;

use crate::base::{Addr, Ts};
use crate::correlate::Leg;
use crate::report::say::{clock, span};
use crate::verdict::Judged;
use crate::watch::snapshot::{ServerRow, Snapshot};
use crate::watch::state::{State, TimeMode};

/// Shows or hides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Who {
    hidden: bool,
}

impl Who {
    pub(super) fn of(state: &State) -> Who {
        Who { hidden: state.privacy }
    }

    pub(super) fn addr(self, addr: Addr) -> String {
        if self.hidden { format!("{HIDDEN}:{}", addr.port()) } else { addr.to_string() }
    }

    pub(super) fn ip(self, ip: IpAddr) -> String {
        if self.hidden { HIDDEN.to_owned() } else { ip.to_string() }
    }

    /// A server by its name, where it has one.
    pub(super) fn server(self, addr: Addr, host: Option<&str>) -> String {
        match host {
            Some(_) if self.hidden => self.addr(addr),
            Some(host) => format!("{host} {addr}"),
            None => self.addr(addr),
        }
    }

    pub(super) fn server_row(self, row: &ServerRow) -> String {
        row.addr.map_or_else(|| "(others)".to_owned(), |addr| self.server(addr, row.host.as_deref()))
    }

    /// A text in which addresses may stand that are not known here.
    pub(super) fn text(self, text: &str) -> String {
        if !self.hidden {
            return text.to_owned();
        }
        let wordlike = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | ':' | '[' | ']');
        let mut out = String::new();
        let mut word = String::new();
        for letter in text.chars().chain(['\n']) {
            if wordlike(letter) {
                word.push(letter);
                continue;
            }
            out.push_str(&hide(&word));
            word.clear();
            out.push(letter);
        }
        out.pop();
        out
    }

    /// A text about a pair: its hosts are known as well.
    pub(super) fn about(self, judged: &Judged, text: &str) -> String {
        let mut out = self.text(text);
        if self.hidden {
            let pair = &judged.pair;
            let legs = std::iter::once(&pair.down).chain(pair.up.iter().map(|link| &link.leg)).chain(&pair.authorization);
            let hosts = legs.filter_map(|leg: &std::sync::Arc<Leg>| leg.request.as_ref()?.head.host.clone());
            for host in hosts.filter(|host| !host.is_empty()) {
                out = out.replace(&host, HIDDEN);
            }
        }
        out
    }
}

/// A word that is an address, with a port or without, before a colon or a full stop or in brackets.
fn hide(word: &str) -> String {
    let bare = word.trim_end_matches([':', '.']);
    let tail = word.get(bare.len()..).unwrap_or_default();
    if let Ok(addr) = bare.parse::<Addr>() {
        return format!("{HIDDEN}:{}{tail}", addr.port());
    }
    if bare.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return format!("{HIDDEN}{tail}");
    }
    // `server:10.0.0.7:9001` in a filter.
    match bare.split_once(':') {
        Some((key, rest)) if key.bytes().all(|byte| byte.is_ascii_lowercase()) && !key.is_empty() && hide(rest) != rest => {
            format!("{key}:{}{tail}", hide(rest))
        }
        _ => word.to_owned(),
    }
}

/// A time as the user wants it told. `before` is the line before.
pub(super) fn moment(at: Ts, before: Option<Ts>, state: &State) -> String {
    let signed = |nanos: i64| {
        format!(
            "{}{}.{:03}",
            if nanos < 0 { '-' } else { '+' },
            nanos.unsigned_abs() / 1_000_000_000,
            nanos.unsigned_abs() / 1_000_000 % 1000
        )
    };
    match state.time {
        TimeMode::Clock => clock(at),
        TimeMode::Run => signed(at.since(state.snapshot.summary.first.unwrap_or(at))),
        TimeMode::Delta => signed(at.since(before.unwrap_or(at))),
    }
}

/// How long ago, by the packets' clock.
pub(super) fn ago(at: Ts, snapshot: &Snapshot) -> String {
    let now = snapshot.summary.last.unwrap_or(at);
    span(now.since(at))
}

/// In the place of an address or a name.
const HIDDEN: &str = "•••";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_texts_are_hidden() {
        let who = Who { hidden: true };
        for (text, shown) in [
            ("127.0.0.11:9001 answered 401", "•••:9001 answered 401"),
            ("client 10.0.0.7: asked", "client •••: asked"),
            ("to [2001:db8::7]:80, fe80::1.", "to •••:80, •••."),
            ("filter server:10.0.0.7:9001 tools=0", "filter server:•••:9001 tools=0"),
            ("at 21:51:45.386 v1.2.3 tools/list", "at 21:51:45.386 v1.2.3 tools/list"),
            ("\"client\":\"127.0.0.1:4000\"", "\"client\":\"•••:4000\""),
        ] {
            assert_eq!(who.text(text), shown);
        }
    }
}
