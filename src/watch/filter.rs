//! A line of words comes in, a test for pairs goes out, or what is wrong with the line and where.
//!
//! `verdict:swallowed server:github status:401 client:10.0.0.0/8 tools=0 dur>2s -method:ping /regex/`: all have to hold; `-` turns a
//! word round; values may be several (`verdict:swallowed,partial`). A word without a key is looked for anywhere.

use std::net::IpAddr;

use regex_lite::Regex;

use super::row::Row;
use crate::verdict::{CauseKind, Failure, Reason, Verdict};

/// A test for pairs. The empty one holds for all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    terms: Vec<(bool, Term)>,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The word it is about.
    pub word: String,
    /// Why.
    pub why: String,
}

#[derive(Clone, Debug)]
enum Term {
    Text(String),
    Pattern(Regex),
    Word(Key, Vec<String>),
    Status(Vec<String>),
    Client(Vec<Net>),
    Number(Quantity, Compare, f64),
    Flagged,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Verdict,
    Failure,
    Cause,
    Because,
    Server,
    Method,
    Route,
    Token,
    Up,
    Rule,
}

#[derive(Clone, Copy, Debug)]
enum Quantity {
    Items,
    Duration,
    Confidence,
    Pair,
    Visits,
}

#[derive(Clone, Copy, Debug)]
enum Compare {
    Less,
    Equal,
    More,
}

#[derive(Clone, Copy, Debug)]
struct Net(IpAddr, u8);

impl Filter {
    /// Reads a line.
    pub fn parse(line: &str) -> Result<Filter, Wrong> {
        let terms = words(line).into_iter().map(|word| term(&word)).collect::<Result<_, _>>()?;
        Ok(Filter { terms })
    }

    /// Whether a pair passes.
    pub fn holds(&self, row: &Row) -> bool {
        self.terms.iter().all(|(not, term)| term.holds(row) != *not)
    }

    /// Whether it lets everything pass.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }
}

/// What the last word of a line could become: whole words, best first.
pub(super) fn complete(line: &str, rows: &mut dyn Iterator<Item = &Row>) -> Vec<String> {
    let last = line.rsplit(' ').next().unwrap_or_default();
    let (minus, word) = last.strip_prefix('-').map_or(("", last), |word| ("-", word));
    let Some((key, value)) = word.split_once(':') else {
        let keys = KEYS.iter().map(|(key, _)| *key).filter(|key| key.starts_with(word));
        return keys.map(|key| format!("{minus}{key}")).collect();
    };
    let value = value.rsplit(',').next().unwrap_or_default();
    let mut values: Vec<String> = match key {
        "verdict" => Verdict::ALL.iter().map(ToString::to_string).collect(),
        "failure" => Failure::ALL.iter().map(ToString::to_string).collect(),
        "cause" => CauseKind::ALL.iter().map(ToString::to_string).collect(),
        "because" => Reason::ALL.iter().map(ToString::to_string).collect(),
        "is" => vec!["flagged".to_owned()],
        "server" => seen(rows, |row| row.up.iter().map(|visit| visit.server.to_string()).collect()),
        "up" => seen(rows, |row| row.up.iter().map(|visit| visit.said.clone()).collect()),
        "client" => seen(rows, |row| vec![row.client.ip().to_string()]),
        "method" => seen(rows, |row| vec![row.method.clone()]),
        "route" => seen(rows, |row| vec![row.route.clone()]),
        "status" => seen(rows, |row| row.status.iter().map(ToString::to_string).collect()),
        _ => Vec::new(),
    };
    values.retain(|found| found.starts_with(value) && !found.contains(' '));
    let kept = &last[..last.len() - value.len()];
    values.into_iter().map(|value| format!("{kept}{value}")).collect()
}

fn seen(rows: &mut dyn Iterator<Item = &Row>, of: impl Fn(&Row) -> Vec<String>) -> Vec<String> {
    let mut all = std::collections::BTreeSet::new();
    for value in rows.take(LOOKED_AT).flat_map(of).filter(|value| !value.is_empty()) {
        all.insert(value);
        if all.len() >= OFFERED {
            break;
        }
    }
    all.into_iter().collect()
}

/// Split at spaces, but not within `/.../`.
fn words(line: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut word = String::new();
    let mut pattern = false;
    for letter in line.chars() {
        if letter == ' ' && !pattern {
            all.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty()));
            continue;
        }
        if letter == '/' {
            if pattern {
                pattern = false;
            } else if matches!(word.as_str(), "" | "-") {
                pattern = true;
            }
        }
        word.push(letter);
    }
    all.extend(Some(word).filter(|word| !word.is_empty()));
    all
}

fn term(word: &str) -> Result<(bool, Term), Wrong> {
    let wrong = |why: &str| Wrong { word: word.to_owned(), why: why.to_owned() };
    let (not, rest) = word.strip_prefix('-').map_or((false, word), |rest| (true, rest));
    if rest.is_empty() {
        return Err(wrong("what should not be?"));
    }
    if let Some(pattern) = rest.strip_prefix('/').filter(|rest| rest.len() > 1 && rest.ends_with('/')) {
        let pattern = pattern.get(..pattern.len() - 1).unwrap_or_default();
        let regex = Regex::new(&format!("(?i){pattern}")).map_err(|error| wrong(&error.to_string()))?;
        return Ok((not, Term::Pattern(regex)));
    }
    let at = rest.find([':', '=', '<', '>']);
    let Some((key, sign, value)) = at.and_then(|at| Some((rest.get(..at)?, rest.get(at..=at)?, rest.get(at + 1..)?))) else {
        return Ok((not, Term::Text(rest.to_lowercase())));
    };
    if !key.bytes().all(|byte| byte.is_ascii_lowercase()) || key.is_empty() {
        return Ok((not, Term::Text(rest.to_lowercase())));
    }
    if value.is_empty() {
        return Err(wrong("a value is missing"));
    }
    let values = || value.split(',').map(str::to_owned).collect::<Vec<_>>();
    let compare = match sign {
        "<" => Compare::Less,
        ">" => Compare::More,
        _ => Compare::Equal,
    };
    let number = |quantity| value.parse().map(|n| Term::Number(quantity, compare, n)).map_err(|_| wrong("a number is needed"));
    let term = match key {
        "tools" | "items" => number(Quantity::Items)?,
        "conf" => number(Quantity::Confidence)?,
        "pair" => number(Quantity::Pair)?,
        "visits" => number(Quantity::Visits)?,
        "dur" => Term::Number(Quantity::Duration, compare, span(value).ok_or_else(|| wrong("a time is needed: 250ms, 2s, 1m"))?),
        _ if sign != ":" && sign != "=" => return Err(wrong("only tools, dur, conf, pair and visits can be compared")),
        "verdict" => Term::Word(Key::Verdict, known(values(), Verdict::ALL).map_err(|why| wrong(&why))?),
        "failure" => Term::Word(Key::Failure, known(values(), Failure::ALL).map_err(|why| wrong(&why))?),
        "cause" => Term::Word(Key::Cause, known(values(), CauseKind::ALL).map_err(|why| wrong(&why))?),
        "because" => Term::Word(Key::Because, known(values(), Reason::ALL).map_err(|why| wrong(&why))?),
        "is" if value == "flagged" => Term::Flagged,
        "is" => return Err(wrong("there is only is:flagged")),
        "status" => Term::Status(values()),
        "client" => Term::Client(
            values()
                .iter()
                .map(|text| net(text))
                .collect::<Option<_>>()
                .ok_or_else(|| wrong("an address or a network is needed: 10.0.0.7, 10.0.0.0/8, fd00::/8"))?,
        ),
        "server" => Term::Word(Key::Server, values()),
        "method" => Term::Word(Key::Method, values()),
        "route" => Term::Word(Key::Route, values()),
        "token" => Term::Word(Key::Token, values()),
        "up" => Term::Word(Key::Up, values()),
        "rule" => Term::Word(Key::Rule, values()),
        _ => {
            let all: Vec<&str> = KEYS.iter().map(|(key, _)| *key).collect();
            return Err(wrong(&format!("no such key; there are {}", all.join(" "))));
        }
    };
    Ok((not, term))
}

fn known<T: ToString>(values: Vec<String>, all: &[T]) -> Result<Vec<String>, String> {
    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
    match values.iter().find(|value| !all.contains(value)) {
        Some(_) => Err(format!("one of {}", all.join(" "))),
        None => Ok(values),
    }
}

fn span(text: &str) -> Option<f64> {
    let at = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(at)?;
    let seconds = match unit {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * seconds)
}

fn net(text: &str) -> Option<Net> {
    let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
    let ip: IpAddr = ip.parse().ok()?;
    let most = if ip.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
    (bits <= most).then_some(Net(ip, bits))
}

impl Net {
    fn holds(self, ip: IpAddr) -> bool {
        let bits = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => (u128::from(ip.to_bits()) << 96, true),
            IpAddr::V6(ip) => (ip.to_bits(), false),
        };
        let ((mine, v4), (other, other_v4)) = (bits(self.0), bits(ip));
        v4 == other_v4 && (self.1 == 0 || (mine ^ other) >> (128 - u32::from(self.1)) == 0)
    }
}

impl Term {
    fn holds(&self, row: &Row) -> bool {
        match self {
            Term::Text(text) => haystack(row).to_lowercase().contains(text),
            Term::Pattern(regex) => regex.is_match(&haystack(row)),
            Term::Flagged => row.verdict.flagged(),
            Term::Status(values) => row.status.is_some_and(|status| values.iter().any(|value| matches_status(value, status))),
            Term::Client(nets) => nets.iter().any(|net| net.holds(row.client.ip())),
            Term::Word(key, values) => values.iter().any(|value| word(*key, value, row)),
            Term::Number(quantity, compare, wanted) => quantity.of(row).is_some_and(|is| match compare {
                Compare::Less => is < *wanted,
                Compare::Equal => is == *wanted,
                Compare::More => is > *wanted,
            }),
        }
    }
}

/// `200`, `4xx`.
fn matches_status(value: &str, status: u16) -> bool {
    let status = status.to_string();
    value == status || value.strip_suffix("xx").is_some_and(|class| !class.is_empty() && status.starts_with(class))
}

fn word(key: Key, value: &str, row: &Row) -> bool {
    match key {
        Key::Verdict => row.verdict.as_str() == value,
        Key::Failure => row.failure.is_some_and(|failure| failure.as_str() == value),
        Key::Cause => row.cause.is_some_and(|cause| cause.as_str() == value),
        Key::Because => row.because.is_some_and(|because| because.as_str() == value),
        Key::Rule => row.rule == value,
        Key::Method => row.method == value || row.method.strip_prefix(value).is_some_and(|rest| rest.starts_with('/')),
        Key::Route => row.route.contains(value),
        Key::Token => row.token.is_some_and(|token| token.to_string().starts_with(value.trim_start_matches("tok:"))),
        Key::Up => row.up.iter().any(|visit| visit.said == value || value.len() == 3 && matches_status_word(value, &visit.said)),
        Key::Server => row
            .up
            .iter()
            .any(|visit| visit.server.to_string().starts_with(value) || visit.host.as_ref().is_some_and(|host| host.contains(value))),
    }
}

fn matches_status_word(value: &str, said: &str) -> bool {
    said.parse().is_ok_and(|status| matches_status(value, status))
}

impl Quantity {
    fn of(self, row: &Row) -> Option<f64> {
        match self {
            Quantity::Items => row.items.map(|items| items as f64),
            Quantity::Duration => Some(row.duration() as f64 / 1e9),
            Quantity::Confidence => Some(row.confidence),
            Quantity::Pair => Some(row.number as f64),
            Quantity::Visits => Some((row.up.len() + row.more) as f64),
        }
    }
}

fn haystack(row: &Row) -> String {
    use std::fmt::Write;
    let mut text = format!("{} {} {} {} {}", row.what, row.route, row.client, row.gateway, row.verdict);
    for visit in &row.up {
        let _ = write!(text, " {} {} {}", visit.server, visit.host.as_deref().unwrap_or_default(), visit.said);
    }
    text
}

/// Keys with what they mean, for completion and help.
pub const KEYS: &[(&str, &str)] = &[
    ("verdict:", "the verdict: verdict:swallowed,partial"),
    ("is:flagged", "swallowed, partial or stalled"),
    ("server:", "an upstream's address (its beginning) or name"),
    ("client:", "the client's address or network: client:10.0.0.0/8"),
    ("status:", "what the client was told: status:200, status:4xx"),
    ("up:", "what an upstream visit came to: up:401, up:5xx, up:t/o"),
    ("failure:", "how upstream failed: failure:unauthorized"),
    ("cause:", "why: cause:token_expired"),
    ("because:", "why a pair is unresolved"),
    ("method:", "method:tools/list, method:tools"),
    ("route:", "part of the gateway's path"),
    ("token:", "the client's credential by the beginning of its fingerprint"),
    ("rule:", "the rule that decided"),
    ("tools=", "entries of the list: tools=0, tools>5 (items= is the same)"),
    ("dur>", "how long it took: dur>2s, dur<250ms"),
    ("conf<", "how sure the verdict is: conf<0.9"),
    ("visits>", "upstream visits: visits>1"),
    ("pair=", "the pair's number"),
];

/// Rows looked at for values to offer.
const LOOKED_AT: usize = 5_000;
/// Values offered.
const OFFERED: usize = 50;
