//! One exchange as it stands inside a pair's record.

use serde::{Serialize, Serializer};

use super::{Shown, rounded, shown};
use crate::base::{Addr, Fingerprint, Gap, Process, Ts};
use crate::correlate::{Leg, Link};
use crate::http::{End, Version};
use crate::mcp::{Ask, Asked, Declared, ListKind, Outcome, RpcId};

#[derive(Debug, Serialize)]
pub(super) struct LegRecord<'a> {
    client: Shown<Addr>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    client_aliases: Vec<Shown<Addr>>,
    server: Shown<Addr>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    server_aliases: Vec<Shown<Addr>>,
    host: Option<&'a str>,
    start: Shown<Ts>,
    end: Option<Shown<Ts>>,
    frames: Option<[u64; 2]>,
    #[serde(flatten)]
    files: Files<'a>,
    via: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    processes: Vec<ProcessRecord<'a>>,
    http: HttpRecord<'a>,
    mcp: McpRecord<'a>,
    token: Option<Token>,
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<Missing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<LinkRecord>,
}

/// Bytes of an answer that were not seen.
#[derive(Debug, Serialize)]
struct Missing {
    cause: &'static str,
    bytes: Option<u64>,
}

impl<'a> LegRecord<'a> {
    /// `element` says which message of a batch it is about.
    pub(super) fn new(leg: &'a Leg, element: usize, files: &'a [String]) -> LegRecord<'a> {
        LegRecord {
            client: Shown(leg.peers.client),
            client_aliases: shown(&leg.peers.client_aliases),
            server: Shown(leg.peers.server),
            server_aliases: shown(&leg.peers.server_aliases),
            host: host(leg),
            start: Shown(leg.start().ts),
            end: end(leg).map(Shown),
            frames: frames(leg),
            files: Files::new(leg, files),
            via: leg.peers.via.as_str(),
            processes: processes(leg),
            http: HttpRecord::new(leg),
            mcp: McpRecord::new(leg, element),
            token: token(leg).map(Token),
            complete: complete(leg),
            missing: missing(leg).map(|gap| Missing { cause: gap.cause.as_str(), bytes: gap.len }),
            link: None,
        }
    }

    /// The number of entries as the verdict counted them, where it did.
    pub(super) fn items(&mut self, items: Option<usize>) {
        self.mcp.items = items.or(self.mcp.items);
    }

    /// An upstream exchange, with why it is here.
    pub(super) fn linked(link: &'a Link, files: &'a [String]) -> LegRecord<'a> {
        let because = link.because.iter().map(|mark| mark.word).collect();
        let against = link.against.iter().map(|mark| mark.word).collect();
        let link_record = LinkRecord { score: rounded(link.score), because, against, group: link.group };
        LegRecord { link: Some(link_record), ..LegRecord::new(&link.leg, 0, files) }
    }
}

#[derive(Debug, Serialize)]
struct LinkRecord {
    score: f64,
    because: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    against: Vec<&'static str>,
    group: usize,
}

/// In which capture file the frames stand; absent where there is but one.
#[derive(Debug, Serialize)]
pub(super) struct Files<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    /// Where the last frame stands in another file than the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_file: Option<&'a str>,
}

impl<'a> Files<'a> {
    pub(super) fn new(leg: &Leg, files: &'a [String]) -> Files<'a> {
        let name = |file: u16| files.get(usize::from(file)).filter(|_| files.len() > 1).map(String::as_str);
        let (first, last) = (leg.start().file, leg.last().file);
        Files { file: name(first), last_file: name(last).filter(|_| last != first) }
    }
}

/// A process with a hand in the connection.
#[derive(Debug, Serialize)]
pub(super) struct ProcessRecord<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<&'a str>,
}

impl<'a> ProcessRecord<'a> {
    fn new(process: &'a Process) -> ProcessRecord<'a> {
        let Process { pid, command, container, pod } = process;
        ProcessRecord { pid: *pid, command: command.as_deref(), container: container.as_deref(), pod: pod.as_deref() }
    }
}

pub(super) fn processes(leg: &Leg) -> Vec<ProcessRecord<'_>> {
    leg.peers.processes.iter().map(|process| ProcessRecord::new(process)).collect()
}

#[derive(Debug, Serialize)]
pub(super) struct HttpRecord<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    method: Option<&'a str>,
    path: Option<&'a str>,
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    www_authenticate: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<RefusalRecord<'a>>,
}

impl<'a> HttpRecord<'a> {
    pub(super) fn new(leg: &'a Leg) -> HttpRecord<'a> {
        let head = leg.response.as_ref().map(|response| &response.head);
        let refusal = leg.answers.iter().find_map(|answer| match &answer.outcome {
            Outcome::Refusal { error, detail } if error.is_some() || detail.is_some() => {
                Some(RefusalRecord { error: error.as_deref(), detail: detail.as_deref() })
            }
            _ => None,
        });
        // HTTP/2 from its middle: a field that only the table's lost part names is unknown, not empty.
        let known = |word: &'a str| Some(word).filter(|word| !word.is_empty());
        HttpRecord {
            version: None,
            method: leg.request.as_ref().and_then(|request| known(&request.head.method)),
            path: leg.request.as_ref().and_then(|request| known(&request.head.path)),
            status: leg.status(),
            www_authenticate: head.and_then(|head| head.www_authenticate.as_deref()),
            retry_after: head.and_then(|head| head.retry_after.as_deref()),
            location: head.and_then(|head| head.location.as_deref()),
            refusal,
        }
    }

    /// With the protocol's version, which exchanges tell and pairs do not.
    pub(super) fn versioned(self, version: Option<Version>) -> HttpRecord<'a> {
        HttpRecord { version: version.map(Version::as_str), ..self }
    }
}

/// What the body of a failed response says of the reason.
#[derive(Debug, Serialize)]
struct RefusalRecord<'a> {
    error: Option<&'a str>,
    detail: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub(super) struct McpRecord<'a> {
    method: Option<&'a str>,
    id: Option<Id<'a>>,
    lists: Option<&'static str>,
    items: Option<usize>,
    error: Option<ErrorRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_error: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    declared: Vec<DeclaredRecord<'a>>,
}

impl<'a> McpRecord<'a> {
    pub(super) fn new(leg: &'a Leg, element: usize) -> McpRecord<'a> {
        let ask = ask(leg, element);
        let lists = match &leg.asked {
            Asked::RestList(kind) => Some(*kind),
            _ => ask.and_then(|ask| ask.lists),
        };
        let mut record = McpRecord {
            method: ask.and_then(|ask| ask.method.as_deref()),
            id: ask.and_then(|ask| ask.id.as_ref()).map(Id),
            lists: lists.map(ListKind::as_str),
            items: None,
            error: None,
            name: ask.and_then(|ask| ask.name.as_deref()),
            is_error: None,
            declared: Vec::new(),
        };
        match outcome(leg, element) {
            Some(Outcome::Result { list, is_error, declared, .. }) => {
                record.items = list.as_ref().map(|list| list.items);
                record.is_error = *is_error;
                record.declared = declared.iter().map(DeclaredRecord::new).collect();
            }
            Some(Outcome::Error { code, message, .. }) => record.error = Some(ErrorRecord { code: *code, message }),
            _ => {}
        }
        record
    }
}

/// The JSON-RPC id as it was on the wire.
#[derive(Debug)]
struct Id<'a>(&'a RpcId);

impl Serialize for Id<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            RpcId::Number(number) => serializer.serialize_i64(*number),
            RpcId::Text(text) => serializer.serialize_str(text),
            RpcId::Other => serializer.serialize_none(),
        }
    }
}

#[derive(Debug, Serialize)]
struct ErrorRecord<'a> {
    code: i64,
    message: &'a str,
}

#[derive(Debug, Serialize)]
struct DeclaredRecord<'a> {
    server: &'a str,
    status: &'a str,
    http_status: Option<u16>,
    failed: bool,
}

impl<'a> DeclaredRecord<'a> {
    fn new(declared: &'a Declared) -> DeclaredRecord<'a> {
        let Declared { server, status, http_status, failed } = declared;
        DeclaredRecord { server, status, http_status: *http_status, failed: *failed }
    }
}

/// A credential, as far as it is ever shown.
#[derive(Debug)]
struct Token(Fingerprint);

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("tok:{}", self.0))
    }
}

/// `Authorization`; where there is none, the first other header that carries a credential, cookies last.
pub(in crate::report) fn token(leg: &Leg) -> Option<Fingerprint> {
    let head = &leg.request.as_ref()?.head;
    let others = || head.other_credentials.iter();
    let other = || others().find(|(name, _)| name != "cookie").or_else(|| others().next()).map(|(_, credential)| credential);
    head.credential.as_ref().or_else(other).map(|credential| credential.mark)
}

/// Frame numbers of its first and its last packet; none where its bytes did not come in packets.
pub(in crate::report) fn frames(leg: &Leg) -> Option<[u64; 2]> {
    let (first, last) = (leg.start().frame, leg.last().frame);
    (first > 0 && last > 0).then_some([first, last])
}

/// What of the answer was not seen.
pub(in crate::report) fn missing(leg: &Leg) -> Option<Gap> {
    let Some(done) = leg.done else { return leg.missed };
    let unseen = match done.end {
        End::Unseen(gap) => Some(gap),
        _ => None,
    };
    done.unread.or(leg.missed).or(unseen)
}

/// Both halves were seen to their end.
pub(in crate::report) fn complete(leg: &Leg) -> bool {
    let asked = leg.request.as_ref().is_some_and(|request| request.end == End::Complete);
    asked && leg.response.is_some() && leg.done.is_some_and(|done| done.any && done.end == End::Complete)
}

/// What was said to one message of the request.
pub(in crate::report) fn outcome(leg: &Leg, element: usize) -> Option<&Outcome> {
    let finals = || {
        let spoken = |outcome: &Outcome| {
            matches!(outcome, Outcome::Result { .. } | Outcome::Error { .. } | Outcome::Refusal { .. } | Outcome::Nonsense)
        };
        leg.answers.iter().filter(move |answer| spoken(&answer.outcome))
    };
    let Asked::Rpc(asks) = &leg.asked else { return finals().next().map(|answer| &answer.outcome) };
    let id = asks.get(element).and_then(|ask| ask.id.as_ref());
    let own = finals().find(|answer| id.is_some() && answer.id.as_ref() == id);
    // A refusal of the whole request names no id, or null (JSON-RPC 2.0, 5.1); so do answers that could not be tied to one.
    let whole =
        || finals().find(|answer| matches!(answer.id, None | Some(RpcId::Other)) && !matches!(answer.outcome, Outcome::Result { .. }));
    own.or_else(whole).map(|answer| &answer.outcome)
}

fn ask(leg: &Leg, element: usize) -> Option<&Ask> {
    match &leg.asked {
        Asked::Rpc(asks) => asks.get(element),
        _ => None,
    }
}

fn host(leg: &Leg) -> Option<&str> {
    leg.request.as_ref().and_then(|request| request.head.host.as_deref())
}

/// The answer's last byte, where there was an answer and it is over.
fn end(leg: &Leg) -> Option<Ts> {
    leg.done.filter(|done| done.any).map(|_| leg.last().ts)
}
