//! Where the user is and what they chose. Snapshots come in, the lines of the list at hand are kept ready.

use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::filter::Filter;
use super::keys::Keys;
use super::prompt::Prompt;
use super::row::Row;
use super::snapshot::Snapshot;
use super::theme::Theme;
use crate::base::Addr;
use crate::verdict::{Finding, Judged};

/// A screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Is it happening, since when, to whom.
    Overview,
    /// One line a pair.
    Requests,
    /// One line an upstream server.
    Servers,
    /// Equal flagged pairs.
    Findings,
    /// What the witness saw and lost.
    Capture,
    /// One pair in time.
    Ladder,
    /// One pair with all that is known of it.
    Evidence,
    /// Keys and filter words.
    Help,
}

impl View {
    /// Those that a number opens.
    pub const TABS: [View; 5] = [View::Overview, View::Requests, View::Servers, View::Findings, View::Capture];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            View::Overview => "Overview",
            View::Requests => "Requests",
            View::Servers => "Servers",
            View::Findings => "Findings",
            View::Capture => "Capture",
            View::Ladder => "Ladder",
            View::Evidence => "Evidence",
            View::Help => "Help",
        }
    }
}

/// What the list of pairs is ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// As they were judged.
    Number,
    /// Verdict, the worst first.
    Verdict,
    /// Longest first.
    Duration,
    /// Client address.
    Client,
    /// What was asked.
    What,
    /// The failed server.
    Server,
}

impl Sort {
    const ALL: [Sort; 6] = [Sort::Number, Sort::Verdict, Sort::Duration, Sort::Client, Sort::What, Sort::Server];

    /// The next or the one before.
    pub(super) fn step(self, by: usize) -> Sort {
        let at = Sort::ALL.iter().position(|sort| *sort == self).unwrap_or(0);
        Sort::ALL.get((at + by) % Sort::ALL.len()).copied().unwrap_or(Sort::Number)
    }

    fn compare(self, a: &Row, b: &Row) -> Ordering {
        match self {
            Sort::Number => Ordering::Equal,
            Sort::Verdict => a.verdict.cmp(&b.verdict),
            Sort::Duration => b.duration().cmp(&a.duration()),
            Sort::Client => a.client.cmp(&b.client),
            Sort::What => a.what.cmp(&b.what),
            Sort::Server => (a.server.is_none(), a.server).cmp(&(b.server.is_none(), b.server)),
        }
        .then(a.number.cmp(&b.number))
    }
}

/// What pairs are gathered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Not at all.
    None,
    /// The failed upstream, else the first.
    Server,
    /// The client's address, without port.
    Client,
    /// The client's credential.
    Token,
}

impl Group {
    /// The next one.
    pub(super) fn next(self) -> Group {
        match self {
            Group::None => Group::Server,
            Group::Server => Group::Client,
            Group::Client => Group::Token,
            Group::Token => Group::None,
        }
    }
}

/// How times are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeMode {
    /// Time of day, UTC.
    Clock,
    /// Since the first packet.
    Run,
    /// Since the line before.
    Delta,
}

impl TimeMode {
    pub(super) fn next(self) -> TimeMode {
        match self {
            TimeMode::Clock => TimeMode::Run,
            TimeMode::Run => TimeMode::Delta,
            TimeMode::Delta => TimeMode::Clock,
        }
    }
}

/// A line of the list of pairs.
#[derive(Clone, Debug)]
pub enum Item {
    /// A group begins: what it is, its pairs, flagged ones.
    Group(GroupKey, usize, usize),
    /// A pair.
    Pair(Arc<Row>),
}

/// What the pairs of a group share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupKey {
    /// A server.
    Server(Option<Addr>),
    /// A client.
    Client(std::net::IpAddr),
    /// A credential: the first pair that carries it stands for it, since nothing may be ordered by fingerprints.
    Token(u64, Option<u64>),
}

/// Pages of the evidence.
pub(super) const EVIDENCE: [&str; 3] = ["why", "messages", "record"];

/// Everything that the screen depends on.
#[derive(Debug)]
pub struct State {
    /// Glyphs and colours.
    pub theme: Theme,
    /// Keys.
    pub keys: Keys,
    /// Names of the captures, where there are several.
    pub files: Vec<String>,
    /// Columns and rows.
    pub size: (u16, u16),
    /// What is drawn.
    pub snapshot: Arc<Snapshot>,
    /// What came since the screen was frozen.
    pub waiting: Option<Arc<Snapshot>>,
    /// The screen is frozen.
    pub frozen: bool,
    /// Views, the one at hand last. Never empty.
    pub views: Vec<View>,
    /// The line at hand of each list.
    pub cursor: [usize; 8],
    /// The first line shown; drawing moves it to where the cursor is seen.
    pub top: [Cell<usize>; 8],
    /// The list of pairs.
    pub items: Vec<Item>,
    /// The filter as it was typed.
    pub filter_text: String,
    /// And as it is understood.
    pub filter: Filter,
    /// Flagged pairs only.
    pub faults: bool,
    /// Order of pairs.
    pub sort: Sort,
    /// Turned round.
    pub reverse: bool,
    /// Gathering of pairs.
    pub group: Group,
    /// Stay at the newest pair.
    pub follow: bool,
    /// How times are told.
    pub time: TimeMode,
    /// Addresses and names are hidden.
    pub privacy: bool,
    /// The ladder shows everything.
    pub full: bool,
    /// Which page of the evidence.
    pub page: usize,
    /// Pairs selected for saving.
    pub selected: BTreeSet<u64>,
    /// Findings that were acknowledged.
    pub acknowledged: BTreeSet<String>,
    /// They are hidden.
    pub hide: bool,
    /// What is being typed.
    pub prompt: Option<Prompt>,
    /// The pair that was opened.
    pub pair: Option<(Arc<Row>, Option<Arc<Judged>>)>,
    /// A word to the user, gone with the next key.
    pub message: Option<String>,
    /// Asked to leave once already.
    pub leaving: bool,
    /// Findings that were saved, or seen at the last save.
    pub saved: usize,
}

impl State {
    /// At the beginning.
    pub fn new(theme: Theme, keys: Keys, files: Vec<String>) -> State {
        State {
            theme,
            keys,
            files,
            size: (80, 24),
            snapshot: Arc::default(),
            waiting: None,
            frozen: false,
            views: vec![View::Overview],
            cursor: [0; 8],
            top: Default::default(),
            items: Vec::new(),
            filter_text: String::new(),
            filter: Filter::default(),
            faults: false,
            sort: Sort::Number,
            reverse: false,
            group: Group::None,
            follow: true,
            time: TimeMode::Clock,
            privacy: false,
            full: false,
            page: 0,
            selected: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            hide: false,
            prompt: None,
            pair: None,
            message: None,
            leaving: false,
            saved: 0,
        }
    }

    /// The view at hand.
    pub fn view(&self) -> View {
        self.views.last().copied().unwrap_or(View::Overview)
    }

    /// The line at hand of the view at hand.
    pub fn at(&self) -> usize {
        self.cursor.get(self.view() as usize).copied().unwrap_or(0)
    }

    /// Lines of the list at hand; texts are scrolled without a line at hand.
    pub fn lines(&self) -> usize {
        match self.view() {
            View::Requests => self.items.len(),
            View::Servers | View::Overview => self.snapshot.servers.len(),
            View::Findings => self.findings().len(),
            _ => usize::MAX,
        }
    }

    /// A newer snapshot: drawn at once, or once the screen is no longer frozen.
    pub fn take(&mut self, snapshot: Arc<Snapshot>) {
        if self.frozen {
            self.waiting = Some(snapshot);
        } else {
            self.snapshot = snapshot;
            self.list();
        }
    }

    /// Makes the list of pairs anew: the snapshot, the filter or the order has changed. The pair at hand stays at hand.
    pub fn list(&mut self) {
        let here = match self.items.get(self.cursor[View::Requests as usize]) {
            Some(Item::Pair(row)) => Some(row.number),
            _ => None,
        };
        let passes = |row: &&Arc<Row>| (!self.faults || row.verdict.flagged()) && self.filter.holds(row);
        let mut rows: Vec<Arc<Row>> = self.snapshot.rows.iter().filter(passes).cloned().collect();
        if self.sort != Sort::Number {
            rows.sort_by(|a, b| self.sort.compare(a, b));
        }
        if self.reverse {
            rows.reverse();
        }
        self.items = match self.group {
            Group::None => rows.into_iter().map(Item::Pair).collect(),
            group => gathered(group, rows),
        };
        let last = self.items.len().saturating_sub(1);
        let found = || here.and_then(|here| self.items.iter().position(|item| matches!(item, Item::Pair(row) if row.number == here)));
        let tail = self.follow && self.sort == Sort::Number && !self.reverse && self.group == Group::None;
        let at = if tail { last } else { found().unwrap_or(self.cursor[View::Requests as usize].min(last)) };
        self.cursor[View::Requests as usize] = at;
    }

    /// The pair at hand of the list.
    pub fn row(&self) -> Option<&Arc<Row>> {
        match self.items.get(self.cursor[View::Requests as usize]) {
            Some(Item::Pair(row)) => Some(row),
            _ => None,
        }
    }

    /// Findings that are shown.
    pub fn findings(&self) -> Vec<&Finding> {
        let shown = |finding: &&Finding| !self.hide || !self.acknowledged.contains(&name(finding));
        self.snapshot.findings.iter().filter(shown).collect()
    }

    /// Findings that nobody acknowledged.
    pub fn open_findings(&self) -> usize {
        self.snapshot.findings.iter().filter(|finding| !self.acknowledged.contains(&name(finding))).count()
    }

    /// The pair that is open, or the one at hand.
    pub fn subject(&self) -> Option<(Arc<Row>, Option<Arc<Judged>>)> {
        match self.view() {
            View::Ladder | View::Evidence => self.pair.clone(),
            _ => self.row().map(|row| (Arc::clone(row), row.detail.upgrade())),
        }
    }
}

/// What a finding is known by, also once the run has numbered it anew.
pub(super) fn name(finding: &Finding) -> String {
    format!("{} {} {:?} {:?} {} {:?}", finding.verdict, finding.rule, finding.failure, finding.cause, finding.route, finding.server)
}

fn gathered(group: Group, rows: Vec<Arc<Row>>) -> Vec<Item> {
    let mut first = BTreeMap::new();
    let mut groups: BTreeMap<GroupKey, Vec<Arc<Row>>> = BTreeMap::new();
    for row in rows {
        let key = match group {
            Group::Client => GroupKey::Client(row.client.ip()),
            Group::Token => {
                let mark = row.token.map(|token| token.0);
                GroupKey::Token(*first.entry(mark).or_insert(row.number), mark)
            }
            _ => GroupKey::Server(row.server.or_else(|| row.up.first().map(|visit| visit.server))),
        };
        groups.entry(key).or_default().push(row);
    }
    let mut items = Vec::new();
    for (key, rows) in groups {
        let flagged = rows.iter().filter(|row| row.verdict.flagged()).count();
        items.push(Item::Group(key, rows.len(), flagged));
        items.extend(rows.into_iter().map(Item::Pair));
    }
    items
}
