//! Small made-up pairs for tests: one builder an exchange, one function a verdict.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Addr, Cause as Missing, ConnId, Count, ExId, Fingerprint, Gap, Stamp, Ts, Via};
use crate::correlate::{Gateway, Leg, Link, Mark, Pair, Rival};
use crate::http::{Broken, Credential, End, Head, RequestHead, ResponseHead, Version};
use crate::mcp::{
    Answer, Answered, Ask, AskKind, Asked, Conduit, ConduitKind, Declared, Exchange, List, ListKind, Outcome, Peers, Request, Response,
    RpcId,
};
use crate::pipeline::{Loss, Summary};
use crate::tcp::Close;
use crate::verdict::{Cause, CauseKind, Failure, Finding, Judged, Reason, Verdict};

pub(super) const CLIENT: &str = "127.0.0.1:35360";
pub(super) const GATEWAY: &str = "127.0.0.1:4000";
pub(super) const WEATHER: &str = "127.0.0.11:9001";
pub(super) const DOCS: &str = "127.0.0.12:9002";

/// 2026-11-22T21:51:45.386Z and `ms` after it, in frame 4 + `ms`.
pub(super) fn at(ms: u64) -> Stamp {
    Stamp { ord: ms + 4, ts: Ts(1_795_384_305_386_000_000 + ms as i64 * 1_000_000), frame: ms + 4, file: 0 }
}

pub(super) fn addr(text: &str) -> Addr {
    text.parse().unwrap()
}

pub(super) fn ask(method: &str, id: Option<RpcId>) -> Ask {
    let lists = match method {
        "tools/list" => Some(ListKind::Tools),
        "prompts/list" => Some(ListKind::Prompts),
        _ => None,
    };
    Ask {
        kind: if id.is_some() { AskKind::Request } else { AskKind::Notification },
        method: Some(method.to_owned()),
        id,
        lists,
        name: None,
        arguments: None,
        cursor: None,
        protocol_version: None,
        client_info: None,
        trace: None,
        cancels: None,
        about: None,
    }
}

/// An exchange from `client` to `server`; it has a request only, until told otherwise.
pub(super) fn leg(client: &str, server: &str, path: &str, asked: Asked, start: u64) -> Leg {
    let method = match &asked {
        Asked::Stream | Asked::RestList(_) => "GET",
        Asked::EndSession => "DELETE",
        _ => "POST",
    };
    let head = RequestHead {
        method: method.to_owned(),
        path: path.to_owned(),
        path_mark: Fingerprint(1),
        query: Vec::new(),
        host: Some("gw.example".to_owned()),
        credential: Some(credential(0x5f1c_9a0b_1c2d_3e4f)),
        other_credentials: Vec::new(),
        mcp_servers: Vec::new(),
        mcp_method: None,
        mcp_name: None,
        last_event_id: None,
        trace: None,
        accepts_sse: true,
        common: head(),
    };
    let peers = Peers {
        client: addr(client),
        server: addr(server),
        client_aliases: Vec::new(),
        server_aliases: Vec::new(),
        processes: Vec::new(),
        via: Via::Packets,
        opened: None,
    };
    let request = Request { start: at(start), last: at(start), end: End::Complete, head };
    Leg::new(Exchange { id: ExId { conn: ConnId(start), n: 0 }, peers, request: Some(request), asked })
}

/// A `tools/list` of the client's, or another JSON-RPC request.
pub(super) fn rpc(client: &str, server: &str, path: &str, method: &str, id: i64, start: u64) -> Leg {
    leg(client, server, path, Asked::Rpc(vec![ask(method, Some(RpcId::Number(id)))]), start)
}

pub(super) fn credential(mark: u64) -> Credential {
    Credential { mark: Fingerprint(mark), scheme: "bearer".to_owned(), jwt: None }
}

fn head() -> Head {
    Head {
        version: Version::Http11,
        content_type: Some("application/json".to_owned()),
        content_length: None,
        session: None,
        protocol_version: None,
        user_agent: None,
        marks: Vec::new(),
        partial: false,
    }
}

/// What a test adds to an exchange.
pub(super) trait Build: Sized {
    fn status(self, status: u16, ms: u64) -> Leg;
    fn challenge(self, value: &str) -> Leg;
    fn says(self, outcome: Outcome, ms: u64) -> Leg;
    fn done(self, end: End, ms: u64) -> Leg;
    fn silent(self, end: End, ms: u64) -> Leg;
    fn token(self, mark: Option<u64>) -> Leg;
}

impl Build for Leg {
    fn status(mut self, status: u16, ms: u64) -> Leg {
        let head = ResponseHead { status, www_authenticate: None, server: None, retry_after: None, location: None, common: head() };
        self.response = Some(Response { start: at(ms), head });
        self.done(End::Complete, ms)
    }

    fn challenge(mut self, value: &str) -> Leg {
        self.response.as_mut().unwrap().head.www_authenticate = Some(value.to_owned());
        self
    }

    fn says(mut self, outcome: Outcome, ms: u64) -> Leg {
        let id = self.ask().and_then(|ask| ask.id.clone());
        self.answers.push(Answer { id, at: at(ms), outcome });
        self.done(End::Complete, ms)
    }

    fn done(mut self, end: End, ms: u64) -> Leg {
        self.done = Some(Answered { any: true, end, last: at(ms), unread: None, foreign: false });
        self
    }

    fn silent(mut self, end: End, ms: u64) -> Leg {
        self.done = Some(Answered { any: false, end, last: at(ms), unread: None, foreign: false });
        self
    }

    fn token(mut self, mark: Option<u64>) -> Leg {
        self.request.as_mut().unwrap().head.credential = mark.map(credential);
        self
    }
}

pub(super) fn result(list: Option<List>, is_error: Option<bool>) -> Outcome {
    Outcome::Result {
        list,
        is_error,
        hides: None,
        declared: Vec::new(),
        declares_failure: false,
        server_info: None,
        protocol_version: None,
        ttl_ms: None,
        input_required: false,
        digest: Fingerprint(2),
        texts: Vec::new(),
    }
}

/// A list of `items` tools.
pub(super) fn tools(items: usize) -> Outcome {
    let names = (0..items).map(|n| format!("tool_{n}")).collect();
    result(Some(List { kind: ListKind::Tools, items, null: false, names, servers: Vec::new(), more: false }), None)
}

pub(super) fn rpc_error() -> Outcome {
    Outcome::Error { code: -32001, message: "upstream authentication required".to_owned(), digest: Fingerprint(3) }
}

pub(super) fn link(leg: Leg, group: usize) -> Link {
    let because = [("token", 9.2), ("contained", 2.5), ("only-candidate", 0.4)].map(|(word, weight)| Mark { word, weight }).to_vec();
    Link { leg: Arc::new(leg), group, visit: group as u64, score: 0.998_4, because, against: Vec::new() }
}

pub(super) fn pair(down: Leg, up: Vec<Link>) -> Pair {
    Pair {
        down: Arc::new(down),
        element: 0,
        gateway: addr(GATEWAY),
        up,
        authorization: Vec::new(),
        conduits: Vec::new(),
        rival: None,
        others: Vec::new(),
        lossy: false,
        at_end: false,
    }
}

pub(super) fn judged(number: u64, verdict: Verdict, rule: &'static str, pair: Pair) -> Judged {
    Judged {
        number,
        pair,
        verdict,
        rule,
        failure: None,
        server: None,
        servers: Vec::new(),
        declared: false,
        in_band: false,
        confidence: 0.998_4,
        because: None,
        because_detail: None,
        notes: Vec::new(),
        cause: None,
        advice: String::new(),
        items: None,
        may_be: None,
    }
}

/// `tools/list` on `/mcp/weather` at 0 ms.
pub(super) fn listing() -> Leg {
    rpc(CLIENT, GATEWAY, "/mcp/weather", "tools/list", 1, 0)
}

/// An `initialize` that the weather server refuses with 401.
pub(super) fn refused() -> Leg {
    let challenge = "Bearer error=\"invalid_token\", error_description=\"The access token expired\"";
    let refusal = Outcome::Refusal { error: Some("invalid_token".to_owned()), detail: Some("The access token expired".to_owned()) };
    rpc("127.0.0.1:40112", WEATHER, "/mcp", "initialize", 0, 5).status(401, 16).challenge(challenge).says(refusal, 16)
}

/// A whole visit to the docs server that lists three tools.
pub(super) fn sound(group: usize) -> Vec<Link> {
    let note = leg("127.0.0.1:40200", DOCS, "/mcp", Asked::Rpc(vec![ask("notifications/initialized", None)]), 9).status(202, 10);
    vec![
        link(rpc("127.0.0.1:40200", DOCS, "/mcp", "initialize", 0, 6).status(200, 8).says(result(None, None), 8), group),
        link(note, group),
        link(rpc("127.0.0.1:40200", DOCS, "/mcp", "tools/list", 1, 11).status(200, 14).says(tools(3), 14), group),
    ]
}

fn failed(mut judged: Judged, failure: Failure) -> Judged {
    judged.failure = Some(failure);
    judged.server = Some(addr(WEATHER));
    judged.servers = vec![addr(WEATHER)];
    judged
}

/// The case this tool is for.
pub(super) fn swallowed(number: u64) -> Judged {
    let pair = pair(listing().status(200, 2).says(tools(0), 20), vec![link(refused(), 0)]);
    let mut judged = failed(judged(number, Verdict::Swallowed, "swallowed-list", pair), Failure::Unauthorized);
    judged.items = Some(0);
    judged.cause = Some(Cause { kind: CauseKind::TokenExpired, detail: "the upstream's challenge says that the token expired".to_owned() });
    judged.advice = "Renew the client's token; the gateway should answer 401 with the upstream's challenge.".to_owned();
    judged
}

/// One judged pair for each verdict, and for the odd ways in which a record can look.
pub(super) fn each() -> Vec<Judged> {
    let mut all = vec![swallowed(1)];

    let mut up = vec![link(refused(), 0)];
    up.extend(sound(1));
    let mut partial =
        failed(judged(2, Verdict::Partial, "partial-list", pair(listing().status(200, 2).says(tools(3), 20), up)), Failure::Unauthorized);
    partial.items = Some(3);
    partial.declared = true;
    partial.notes = vec!["credential-dropped"];
    all.push(partial);

    let hung = listing().status(200, 2).done(End::Broken(Broken::Left), 9_000);
    let silent = rpc("127.0.0.1:40112", WEATHER, "/mcp", "initialize", 0, 5).silent(End::Broken(Broken::Left), 9_001).token(None);
    all.push(failed(judged(3, Verdict::Stalled, "stalled-answer", pair(hung, vec![link(silent, 0)])), Failure::Timeout));

    let mut told = failed(
        judged(4, Verdict::Propagated, "propagated", pair(listing().status(200, 2).says(rpc_error(), 20), vec![link(refused(), 0)])),
        Failure::Unauthorized,
    );
    told.in_band = true;
    told.pair.rival = Some(Rival { down: Arc::new(listing()), margin: 4.25 });
    all.push(told);

    all.push(judged(5, Verdict::Rejected, "rejected", pair(listing().status(403, 3), Vec::new())));
    all.push(judged(6, Verdict::Healthy, "healthy", pair(listing().status(200, 2).says(tools(3), 20), sound(0))));

    let empty = rpc("127.0.0.1:40200", DOCS, "/mcp", "tools/list", 1, 11).status(200, 14).says(tools(0), 14);
    all.push(judged(7, Verdict::Empty, "empty", pair(listing().status(200, 2).says(tools(0), 20), vec![link(empty, 0)])));

    let rest = leg(CLIENT, GATEWAY, "/mcp-rest/tools/list", Asked::RestList(ListKind::Tools), 0).status(200, 3).says(tools(0), 3);
    all.push(judged(8, Verdict::Unexplained, "unexplained-empty", pair(rest, Vec::new())));

    let note = leg(CLIENT, GATEWAY, "/mcp/weather", Asked::Rpc(vec![ask("notifications/initialized", None)]), 0).status(202, 1).token(None);
    all.push(judged(9, Verdict::Background, "background", pair(note, Vec::new())));

    let mut cut = listing().status(200, 2).done(End::Unseen(Gap { len: Some(1_448), cause: Missing::Lost }), 30);
    cut.peers.client_aliases = vec![addr("172.17.0.1:35360")];
    cut.peers.via = Via::TlsKeylog;
    let mut unresolved = judged(10, Verdict::Unresolved, "unresolved", pair(cut, Vec::new()));
    unresolved.because = Some(Reason::Missing);
    unresolved.because_detail = Some("1,448 bytes of the answer are missing from the capture.".to_owned());
    unresolved.confidence = 0.4;
    all.push(unresolved);

    all.extend(odd());
    all
}

/// A batch element, a conduit, a call with a name, an id of text, OAuth, a declared failure.
fn odd() -> Vec<Judged> {
    let batch = Asked::Rpc(vec![ask("tools/list", Some(RpcId::Number(1))), ask("prompts/list", Some(RpcId::Text("p-2".to_owned())))]);
    let mut both = leg(CLIENT, GATEWAY, "/mcp", batch, 0).status(200, 2).says(tools(3), 20);
    let list = List { kind: ListKind::Prompts, items: 0, null: true, names: Vec::new(), servers: Vec::new(), more: false };
    let prompts = result(Some(list), None);
    both.answers.push(Answer { id: Some(RpcId::Text("p-2".to_owned())), at: at(21), outcome: prompts });
    let mut second = failed(judged(11, Verdict::Swallowed, "swallowed-list", pair(both, Vec::new())), Failure::Refused);
    second.pair.element = 1;
    let peers = Peers {
        client: addr("127.0.0.1:40300"),
        server: addr(WEATHER),
        client_aliases: Vec::new(),
        server_aliases: Vec::new(),
        processes: Vec::new(),
        via: Via::Packets,
        opened: None,
    };
    second.pair.conduits.push(Arc::new(Conduit {
        peers,
        id: ExId::default(),
        start: at(4),
        last: at(5),
        close: Some(Close::Refused),
        kind: ConduitKind::NoData,
    }));

    let mut call = ask("tools/call", Some(RpcId::Other));
    call.name = Some("get_weather".to_owned());
    let mut outcome = result(None, Some(false));
    if let Outcome::Result { hides, declared, .. } = &mut outcome {
        *hides = Some("invalid_token".to_owned());
        declared.push(Declared { server: "weather".to_owned(), status: "auth_required".to_owned(), http_status: Some(401), failed: true });
    }
    let down = leg(CLIENT, GATEWAY, "/mcp", Asked::Rpc(vec![call]), 0).status(200, 2).says(outcome, 20);
    let mut hidden = failed(judged(12, Verdict::Swallowed, "swallowed-call", pair(down, vec![link(refused(), 0)])), Failure::Unauthorized);
    let mut token = leg("127.0.0.1:40400", DOCS, "/token", Asked::Authorization, 3).status(400, 4);
    token.request.as_mut().unwrap().start.frame = 0;
    hidden.pair.authorization.push(Arc::new(token));
    vec![second, hidden]
}

/// The finding that holds [`swallowed`] and eight more.
pub(super) fn finding(number: u64) -> Finding {
    Finding {
        number,
        verdict: Verdict::Swallowed,
        rule: "swallowed-list",
        failure: Some(Failure::Unauthorized),
        cause: Some(CauseKind::TokenExpired),
        route: "/mcp/weather".to_owned(),
        server: Some(addr(WEATHER)),
        servers: vec![addr(WEATHER)],
        first: at(0).ts,
        last: at(14_000).ts,
        recovered: Some(at(30_000).ts),
        count: 9,
        at_least: 9,
        at_most: 11,
        pairs: (1..=9).collect(),
        candidates: vec![22, 23],
        clients: 4,
        tokens: 1,
        declared: false,
        advice: "Renew the client's token; the gateway should answer 401 with the upstream's challenge.".to_owned(),
    }
}

pub(super) fn loss() -> Loss {
    let detail = "The file ends in the middle of a packet; what was before it is read.".to_owned();
    Loss { kind: "truncated".to_owned(), place: "captures/incident.pcap, byte 4,800".to_owned(), detail, at: Some(at(700).ts) }
}

pub(super) fn gateway() -> Gateway {
    Gateway {
        listen: addr(GATEWAY),
        named: false,
        upstreams: vec![addr(WEATHER), addr(DOCS)],
        opaque: Vec::new(),
        relays: Vec::new(),
        downstream: 1,
        upstream: 1,
        how: "It answers MCP requests, and its host opens MCP requests to two other addresses while they wait.".to_owned(),
        software: Some("LiteLLM (uvicorn)".to_owned()),
    }
}

/// The summary of a run that judged these.
pub(super) fn summary(judged: &[Judged], findings: u64) -> Summary {
    let mut summary = Summary {
        captures: vec!["captures/incident.pcap".to_owned()],
        first: Some(at(0).ts),
        last: Some(at(723).ts),
        exchanges: 2 * judged.len() as u64,
        gateways: vec![gateway()],
        pairs: judged.len() as u64,
        findings,
        ..Summary::default()
    };
    summary.counts.add(Count::Packets, 28);
    summary.counts.add(Count::Connections, 2);
    let (verdicts, unresolved): (&mut BTreeMap<_, _>, &mut BTreeMap<_, _>) = (&mut summary.verdicts, &mut summary.unresolved);
    for one in judged {
        *verdicts.entry(one.verdict).or_default() += 1;
        if let Some(because) = one.because {
            *unresolved.entry(because).or_default() += 1;
        }
    }
    summary
}
