//! Tests: every form that bodies take on the wire, byte for byte, as gateways and servers send them.

use proptest::prelude::*;

use super::trial::{Told, Trial, answer_head, head};
use super::*;
use crate::base::{Cause, Gap};
use crate::http::{Broken, End, Part, Want};

const SSE: &str = "text/event-stream";
const JSON: &str = "application/json";
const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
const CALL: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"x","arguments":{}}}"#;

/// Asks and is answered 200.
fn told(ask: &str, media: &str, body: &[u8]) -> Told {
    Trial::new(1).post(0, "/mcp/weather", ask).answer(0, answer_head(200, media), &[body], End::Complete).take()
}

fn one(told: &Told) -> &Outcome {
    assert_eq!(told.answers.len(), 1, "{told:?}");
    &told.answers[0].1.outcome
}

fn list(outcome: &Outcome) -> &List {
    let Outcome::Result { list: Some(list), .. } = outcome else { panic!("{outcome:?}") };
    list
}

#[test]
fn a_an_empty_list_as_an_event() {
    let told = told(LIST, SSE, b"event: message\r\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[]}}\r\n\r\n");
    assert_eq!(told.order, "qhad");
    assert_eq!(told.answers[0].1.id, Some(RpcId::Number(1)));
    assert_eq!(list(one(&told)), &List { null: false, ..result::null_list(ListKind::Tools) });
    assert_eq!((told.done[0].1.unread, told.done[0].1.foreign), (None, false));
}

#[test]
fn b_empty_lists_of_every_kind_as_json() {
    for (method, key, kind) in [
        ("tools/list", "tools", ListKind::Tools),
        ("prompts/list", "prompts", ListKind::Prompts),
        ("resources/list", "resources", ListKind::Resources),
        ("resources/templates/list", "resourceTemplates", ListKind::ResourceTemplates),
    ] {
        let ask = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#);
        let told = told(&ask, JSON, format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"{key}":[]}}}}"#).as_bytes());
        assert_eq!((list(one(&told)).kind, list(one(&told)).items, list(one(&told)).null), (kind, 0, false));
    }
}

#[test]
fn c_the_rest_route() {
    let rest = |body: &str| {
        let mut trial = Trial::new(1);
        trial.ask(0, head("GET", "/mcp-rest/tools/list?server_id=1", "", false), b"").answer(
            0,
            answer_head(200, JSON),
            &[body.as_bytes()],
            End::Complete,
        );
        let told = trial.take();
        assert_eq!(told.one_asked(), &Asked::RestList(ListKind::Tools));
        one(&told).clone()
    };
    let masked = rest(r#"{"tools":[],"error":null,"message":"Successfully retrieved tools"}"#);
    assert!(matches!(&masked, Outcome::Result { declares_failure: false, declared, .. } if declared.is_empty()));
    assert_eq!(list(&masked).items, 0);
    for error in ["server_not_found", "server_error", "partial_failure", "unexpected_error"] {
        let honest = rest(&format!(r#"{{"tools":[],"error":"{error}","message":"..."}}"#));
        assert!(matches!(honest, Outcome::Result { declares_failure: true, .. }));
    }
    let newer = rest(
        r#"{"tools":[],"error":"partial_failure","message":"Failed to get tools from servers: ghost: unreachable","server_outcomes":{"ghost":{"status":"unreachable"},"docs":{"status":"auth_required","http_status":401}}}"#,
    );
    let Outcome::Result { declared, .. } = &newer else { panic!() };
    assert_eq!(
        declared.iter().map(|one| (one.server.as_str(), one.status.as_str(), one.http_status, one.failed)).collect::<Vec<_>>(),
        [("ghost", "unreachable", None, true), ("docs", "auth_required", Some(401), true)]
    );
    let some = rest(
        r#"{"tools":[{"name":"b-x","inputSchema":{"type":"object"},"mcp_info":{"server_name":"b"}},{"mcp_info":{"server_name":"a"},"name":"a-y"},{"name":"b-z","mcp_info":{"server_name":"b"}}],"error":null}"#,
    );
    assert_eq!((list(&some).servers.join(","), list(&some).names.join(",")), ("a,b".into(), "b-x,a-y,b-z".into()));
}

#[test]
fn d_an_error_over_200() {
    let told = told(LIST, JSON, br#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"key sk-abcdefgh1 failed"}}"#);
    assert!(matches!(one(&told), Outcome::Error { code: -32603, message, .. } if message == "key ~ failed"));
}

#[test]
fn e_a_tool_error_over_200() {
    let told = told(CALL, JSON, br#"{"jsonrpc":"2.0","id":2,"result":{"content":[{"type":"text","text":"Error: ..."}],"isError":true}}"#);
    assert!(matches!(one(&told), Outcome::Result { is_error: Some(true), hides: None, list: None, texts, .. } if texts.len() == 1));
}

#[test]
fn f_a_failure_laundered_as_success() {
    for flag in [r#","isError":false"#, ""] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":2,"result":{{"content":[{{"type":"text","text":"{{\"error\":\"invalid_token\"}}"}}]{flag}}}}}"#
        );
        let told = told(CALL, JSON, body.as_bytes());
        let Outcome::Result { is_error, hides, .. } = one(&told) else { panic!() };
        assert_eq!((*is_error, hides.as_deref()), ((!flag.is_empty()).then_some(false), Some("invalid_token")));
    }
}

#[test]
fn g_lists_that_are_null_or_missing() {
    for body in [r#"{"result":{"tools":null}}"#, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, r#"{"jsonrpc":"2.0","result":null,"id":1}"#] {
        let told = told(LIST, JSON, body.as_bytes());
        assert_eq!(list(one(&told)), &result::null_list(ListKind::Tools), "{body}");
    }
}

#[test]
fn h_session_loss_dressed_as_200() {
    let told = told(LIST, SSE, b"data: {\"error\":\"Session not found\"}\n\n");
    assert_eq!(one(&told), &Outcome::Refusal { error: None, detail: Some("Session not found".into()) });
    assert_eq!(told.done[0].1.unread, None);
}

#[test]
fn i_declared_outcomes_in_both_forms() {
    for (form, http_status) in [(r#"{"status":"auth_required","http_status":401}"#, Some(401)), (r#""auth_required""#, None)] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{{"_meta":{{"litellm.ai/server_outcomes":{{"weather":{form},"docs":{{"status":"ok","tool_count":0}}}},"io.modelcontextprotocol/serverInfo":{{"name":"litellm-mcp-server","version":"1.0.0"}}}},"cacheScope":"private","resultType":"complete","tools":[],"ttlMs":0}}}}"#
        );
        let told = told(LIST, JSON, body.as_bytes());
        let Outcome::Result { declared, declares_failure, ttl_ms, server_info, input_required, .. } = one(&told) else { panic!() };
        assert_eq!(declared.iter().map(|one| (one.failed, one.http_status)).collect::<Vec<_>>(), [(true, http_status), (false, None)]);
        assert_eq!(
            (*declares_failure, *ttl_ms, server_info.as_deref(), *input_required),
            (true, Some(0), Some("litellm-mcp-server/1.0.0"), false)
        );
    }
}

#[test]
fn j_the_legacy_stream_says_where_to_post() {
    let mut trial = Trial::new(1);
    let stream: &[&[u8]] = &[b"event: endpoint\r\ndata: /messages/?session_id=0123456789abcdef0123456789abcdef\r\n\r\n: ping\r\n\r\n"];
    trial.ask(0, head("GET", "/sse", "", true), b"").begin(0, answer_head(200, SSE), stream);
    let told = trial.take();
    let post = head("POST", "/messages/?session_id=0123456789abcdef0123456789abcdef", JSON, false);
    assert_eq!(told.one_asked(), &Asked::Stream);
    assert_eq!(one(&told), &Outcome::Endpoint { path_mark: post.path_mark, query: post.query });
    // Relative ones, absolute ones, and on a route that does not look like MCP's.
    for (target, data) in
        [("/a/events", "./messages/"), ("/a/events", "messages/"), ("/x", "http://h:1/a/messages/#f"), ("/a/messages/", "?")]
    {
        let mut trial = Trial::new(1);
        let data = format!("event: endpoint\ndata: {data}\n\n");
        trial.ask(0, head("GET", target, "", true), b"").begin(0, answer_head(200, SSE), &[data.as_bytes()]);
        let path_mark = head("POST", "/a/messages/", JSON, false).path_mark;
        assert_eq!(one(&trial.take()), &Outcome::Endpoint { path_mark, query: Vec::new() }, "{target} {data}");
    }
}

#[test]
fn k_batches_element_by_element() {
    let ask = r#"[{"jsonrpc":"2.0","id":1,"method":"tools/list"},{"jsonrpc":"2.0","method":"notifications/x"},{"jsonrpc":"2.0","id":"b","method":"prompts/list"}]"#;
    let told = told(
        ask,
        JSON,
        br#"[{"jsonrpc":"2.0","id":"b","result":{}},{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"t"}],"nextCursor":""}}]"#,
    );
    assert!(matches!(told.one_asked(), Asked::Rpc(asks) if asks.len() == 3 && asks[1].kind == AskKind::Notification));
    let outcomes = told.outcomes();
    assert_eq!((list(outcomes[0]).kind, list(outcomes[0]).null), (ListKind::Prompts, true));
    assert_eq!((list(outcomes[1]).kind, list(outcomes[1]).items, list(outcomes[1]).more), (ListKind::Tools, 1, false));
}

#[test]
fn refusals_say_why_and_plain_ones_do_not() {
    let refused =
        |media: &str, body: &[u8]| Trial::new(1).post(0, "/mcp", LIST).answer(0, answer_head(401, media), &[body], End::Complete).take();
    let told = refused(JSON, br#"{"error": "invalid_token", "error_description": "The access token expired"}"#);
    assert_eq!(one(&told), &Outcome::Refusal { error: Some("invalid_token".into()), detail: Some("The access token expired".into()) });
    let told = refused(JSON, br#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Session not found"}}"#);
    assert!(matches!(one(&told), Outcome::Error { code: -32600, .. }) && told.answers[0].1.id.is_none());
    for (media, body, foreign) in
        [("text/plain", &b"Unauthorized"[..], true), ("", b"no", false), (JSON, b"nope", false), (JSON, b"{}", false), (JSON, b"", false)]
    {
        let told = refused(media, body);
        assert!(told.answers.is_empty() && told.done[0].1.unread.is_none(), "{media}");
        assert_eq!(told.done[0].1.foreign, foreign, "{media}");
    }
}

#[test]
fn foreign_and_garbled_answers_are_told_apart_from_missing_ones() {
    assert!(told(LIST, "text/html", b"<html>").done[0].1.foreign);
    assert!(told(LIST, "", b"<html>").done[0].1.foreign);
    assert!(matches!(one(&told(LIST, "", br#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#)), Outcome::Result { .. }));
    let garbled = told(LIST, JSON, br#"{"jsonrpc":"2.0","id":1,"#);
    assert_eq!((one(&garbled), garbled.done[0].1.unread.map(|gap| gap.cause)), (&Outcome::Nonsense, Some(Cause::Garbled)));
    let cut =
        |end: End| Trial::new(1).post(0, "/mcp", LIST).answer(0, answer_head(200, JSON), &[br#"{"jsonrpc":"2.0","id":1,"#], end).take();
    let gap = Gap { len: None, cause: Cause::Cut };
    assert_eq!(cut(End::Unseen(gap)).done[0].1.unread, Some(gap));
    assert!(cut(End::Unseen(gap)).answers.is_empty());
    assert_eq!(cut(End::Broken(Broken::Finished)).done[0].1.unread, None);
}

#[test]
fn what_was_read_whole_needs_no_end() {
    let gap = End::Unseen(Gap { len: None, cause: Cause::After });
    for (media, body) in [
        (JSON, &br#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#[..]),
        (SSE, b"data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n"),
    ] {
        let told = Trial::new(1).post(0, "/mcp", LIST).answer(0, answer_head(200, media), &[body], gap).take();
        assert_eq!((told.answers.len(), told.done[0].1.unread, told.done[0].1.end), (1, None, gap));
    }
    let silent = Trial::new(1).post(0, "/mcp", LIST).answer(0, answer_head(200, SSE), &[b": ping\n\n"], gap).take();
    assert_eq!(silent.done[0].1.unread.map(|gap| gap.cause), Some(Cause::After));
}

#[test]
fn events_are_told_as_they_arrive_and_holes_at_once() {
    let mut trial = Trial::new(1);
    trial.post(0, "/mcp", LIST).begin(
        0,
        answer_head(200, SSE),
        &[
            b": ping\n\nid: 1\ndata:\n\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n",
            b"data: {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sampling/createMessage\"}\n\ndata: {\"jsonrpc\":\"2.0\",",
        ],
    );
    let gap = Gap { len: Some(3), cause: Cause::Lost };
    trial.hole(0, Part::Response, gap);
    let told = trial.take();
    assert_eq!(told.order, "qhaam");
    assert_eq!(
        told.outcomes(),
        [&Outcome::Notification("notifications/tools/list_changed".into()), &Outcome::ServerRequest("sampling/createMessage".into())]
    );
    trial.sink(|sink, at| sink.body(0, Part::Response, b"1}}\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{}}\n\n", at));
    trial.sink(|sink, at| sink.end(0, Part::Response, End::Complete, at));
    let told = trial.take();
    // Nobody asked for 9, and the answer to 1 may be what was missed.
    assert_eq!((told.answers[0].1.id.clone(), told.done[0].1.unread), (Some(RpcId::Number(9)), Some(gap)));
}

#[test]
fn others_cost_nothing() {
    for (target, body) in [
        ("/v1/chat/completions", r#"{"model":"m","stream":true}"#),
        ("/v1/messages", r#"{"model":"m"}"#),
        ("/api/agents", r#"{"model":"m"}"#),
    ] {
        let mut trial = Trial::new(1);
        trial.post(0, target, body);
        assert_eq!(trial.sink(|sink, at| sink.response(0, answer_head(200, SSE), at)), Want::Nothing, "{target}");
        trial.sink(|sink, at| sink.end(0, Part::Response, End::Complete, at));
        let told = trial.take();
        assert_eq!((told.one_asked(), told.order.as_str()), (&Asked::Other, "qhd"));
        assert_eq!(trial.sink(|sink, at| sink.request(1, head("POST", "/v1/chat/completions", JSON, true), at)), Want::Nothing);
    }
    // JSON-RPC of others on an unknown route is not MCP; on any route MCP is.
    let mut trial = Trial::new(1);
    trial.post(0, "/", r#"{"jsonrpc":"2.0","id":1,"method":"eth_call"}"#).post(1, "/", LIST);
    let told = trial.take();
    assert!(matches!((&told.asked[0].asked, &told.asked[1].asked), (Asked::Other, Asked::Rpc(_))));
}

#[test]
fn a_request_whose_body_is_missing_says_what_its_head_says() {
    let gap = Gap { len: Some(40), cause: Cause::Lost };
    let cut = |head| {
        let mut trial = Trial::new(1);
        trial.sink(|sink, at| sink.request(0, head, at));
        trial.hole(0, Part::Request, gap);
        trial.sink(|sink, at| sink.end(0, Part::Request, End::Complete, at));
        trial.take().asked.remove(0).asked
    };
    let mut named = head("POST", "/", JSON, true);
    (named.mcp_method, named.mcp_name) = (Some("tools/call".into()), Some("get".into()));
    let Asked::Rpc(asks) = cut(named) else { panic!() };
    assert_eq!(
        (asks[0].kind, asks[0].method.as_deref(), asks[0].name.as_deref(), &asks[0].id),
        (AskKind::Request, Some("tools/call"), Some("get"), &None)
    );
    assert_eq!(cut(head("POST", "/mcp", JSON, false)), Asked::Unreadable(gap));
    assert_eq!(cut(head("POST", "/x", JSON, true)), Asked::Unreadable(gap));
    assert_eq!(cut(head("POST", "/x", JSON, false)), Asked::Other);
}

#[test]
fn responses_without_requests_are_mcps_only_if_they_say_so() {
    let alone = |media: &str, body: &[u8]| Trial::new(1).answer(0, answer_head(200, media), &[body], End::Complete).take();
    let told = alone(JSON, br#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#);
    assert!(matches!(told.one_asked(), Asked::Unreadable(Gap { cause: Cause::Before, .. })) && told.asked[0].request.is_none());
    assert_eq!((told.order.as_str(), list(one(&told)).kind), ("qhad", ListKind::Tools));
    for (media, body) in [(SSE, &b"data: {\"id\":\"chatcmpl-1\"}\n\n"[..]), (JSON, b"{\"rows\":[]}"), ("text/html", b"<html>")] {
        let told = alone(media, body);
        assert_eq!((told.one_asked(), told.order.as_str()), (&Asked::Other, "qhd"));
    }
}

#[test]
fn early_answers_wait_for_the_request_to_be_said() {
    let mut trial = Trial::new(1);
    trial.sink(|sink, at| sink.request(0, head("POST", "/mcp", JSON, true), at));
    trial.answer(0, answer_head(200, JSON), &[br#"{"jsonrpc":"2.0","id":1,"result":{}}"#], End::Complete);
    assert_eq!(trial.take().order, "");
    trial.sink(|sink, at| sink.body(0, Part::Request, LIST.as_bytes(), at));
    trial.sink(|sink, at| sink.end(0, Part::Request, End::Complete, at));
    let told = trial.take();
    assert_eq!(told.order, "qhad");
    assert!(list(one(&told)).null);
    trial.post(1, "/mcp", LIST);
    trial.sink(|sink, at| sink.unanswered(1, End::Broken(Broken::Reset), at));
    let told = trial.take();
    assert_eq!((told.order.as_str(), told.done[0].1.any), ("qd", false));
}

#[test]
fn bodies_and_events_stay_within_their_limits() {
    let mut trial = Trial::new(1);
    (trial.limits.body_bytes, trial.limits.sse_event_bytes) = (200, 200);
    let long = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{}]}}}}"#, vec![r#"{"name":"x"}"#; 40].join(","));
    let event = format!("data: {long}\n\n");
    for (n, media, body) in [(0, JSON, &long), (1, SSE, &event)] {
        let told = trial.post(n, "/mcp", LIST).answer(n, answer_head(200, media), &[body.as_bytes()], End::Complete).take();
        assert_eq!((told.order.as_str(), told.done[0].1.unread.map(|gap| gap.cause)), ("qhmd", Some(Cause::Limit)));
    }
    let call =
        format!(r#"{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{{"name":"x","arguments":{{"a":"{}"}}}}}}"#, "y".repeat(300));
    let told = trial.post(2, "/mcp", &call).take();
    assert!(matches!(told.one_asked(), Asked::Rpc(asks) if asks[0].method.as_deref() == Some("tools/call") && asks[0].arguments.is_none()));
}

/// What a conversation says, its bodies cut as given.
fn conversation(ask: &[u8], media: &str, answer: &[u8], cuts: &[usize]) -> String {
    let mut trial = Trial::new(1);
    let pieces = |body: &[u8]| -> Vec<Vec<u8>> {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (body.len() + 1)).chain([0, body.len()]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        cuts.windows(2).map(|cut| body[cut[0]..cut[1]].to_vec()).collect()
    };
    trial.sink(|sink, at| sink.request(0, head("POST", "/x", JSON, false), at));
    for piece in pieces(ask) {
        trial.sink(|sink, at| sink.body(0, Part::Request, &piece, at));
    }
    trial.sink(|sink, at| sink.end(0, Part::Request, End::Complete, at));
    let all = pieces(answer);
    let all: Vec<_> = all.iter().map(Vec::as_slice).collect();
    trial.answer(0, answer_head(200, media), &all, End::Complete);
    let told = trial.take();
    let answers: Vec<_> = told.answers.iter().map(|(_, answer)| (&answer.id, &answer.outcome)).collect();
    format!("{} {:?} {answers:?} {:?} {}", told.order, told.one_asked(), told.done[0].1.unread, told.done[0].1.foreign)
}

proptest! {
    #[test]
    fn cuts_do_not_matter(cuts in prop::collection::vec(0usize..400, 0..6), which in 0usize..5) {
        let (media, answer): (&str, &[u8]) = [
            (SSE, &b"id: 1\r\ndata:\r\n\r\nevent: message\r\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[{\"name\":\"a\\u00e9\"}]}}\r\n\r\n: ping\r\n\r\n"[..]),
            (JSON, b" {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":null}}\n"),
            ("", b"\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":1,\"message\":\"x\"}}"),
            ("", b"<html>"),
            (JSON, b"{\"jsonrpc\""),
        ][which];
        prop_assert_eq!(conversation(LIST.as_bytes(), media, answer, &cuts), conversation(LIST.as_bytes(), media, answer, &[]));
    }

    #[test]
    fn whatever_comes_nothing_panics_and_every_request_is_done(
        calls in prop::collection::vec((0u32..3, 0u8..12, prop::collection::vec(any::<u8>(), 0..40), 0usize..6), 0..60),
    ) {
        let mut trial = Trial::new(1);
        let bodies: [&[u8]; 6] = [
            LIST.as_bytes(), br#"[{"jsonrpc":"2.0","id":1,"result":"#, b"data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n", b"event: endpoint\ndata: //x?y\n\n",
            b"{\"error\":{\"error\":{\"error\":[[[[1]]]]}}}", b"",
        ];
        let gap = Gap { len: None, cause: Cause::Lost };
        for (n, call, noise, body) in calls {
            let body = if body == 5 { &noise[..] } else { bodies[body] };
            let part = if call % 2 == 0 { Part::Request } else { Part::Response };
            trial.sink(|sink, at| match call {
                0 => drop(sink.request(n, head("POST", "/mcp", JSON, true), at)),
                1 => drop(sink.response(n, answer_head(200, SSE), at)),
                2 => drop(sink.request(n, head("GET", "/sse", "", true), at)),
                3 => drop(sink.response(n, answer_head(200, JSON), at)),
                4 => sink.end(n, Part::Request, End::Unseen(gap), at),
                5 => sink.end(n, Part::Response, End::Complete, at),
                6 | 7 => sink.hole(n, part, gap, at),
                8 => sink.unanswered(n, End::Broken(Broken::Reset), at),
                9 => sink.upgraded(n, at),
                _ => sink.body(n, part, body, at),
            });
        }
        let mut joiner = Joiner::new(&trial.limits);
        let mut out = Vec::new();
        for seen in std::mem::take(&mut trial.out) {
            joiner.push(seen, &mut trial.counts, &mut out);
        }
        joiner.finish(&mut out);
        let asked: Vec<_> = super::trial::told(out).asked.iter().map(|exchange| exchange.id).collect();
        prop_assert!(asked.len() <= 60);
    }

    #[test]
    fn lists_read_as_serde_json_reads_them(value in super::json::tests::any_json(), names in prop::collection::vec(".{0,20}", 0..9)) {
        let tools: Vec<_> = names.iter().map(|name| serde_json::json!({"extra": value, "name": name, "inputSchema": value})).collect();
        let body = serde_json::json!({"jsonrpc": "2.0", "result": {"_meta": value, "tools": tools, "x": value, "nextCursor": "c"}, "id": 1});
        let told = told(LIST, JSON, &serde_json::to_vec_pretty(&body).unwrap());
        let list = list(one(&told));
        prop_assert_eq!(list.items, names.len());
        prop_assert!(list.more);
        let shown: Vec<_> = names.iter().map(|name| super::words::short(name, 256)).collect();
        prop_assert_eq!(&list.names, &shown);
    }
}
