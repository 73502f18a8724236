//! The messages of both legs as far as they are kept: heads without secrets, what was asked and answered, names of lists, frames.

use crate::correlate::Leg;
use crate::http::{Credential, Head};
use crate::mcp::{Answer, Asked, List, Outcome, RpcId};
use crate::report::page::clean;
use crate::report::say::clock;
use crate::report::words;
use crate::verdict::Judged;

pub(super) fn text(judged: &Judged, files: &[String]) -> String {
    let pair = &judged.pair;
    let mut out = String::from("CLIENT TO GATEWAY\n");
    leg(&mut out, &pair.down, files);
    out.push_str("\nGATEWAY TO UPSTREAM\n");
    for link in &pair.up {
        leg(&mut out, &link.leg, files);
    }
    for conduit in &pair.conduits {
        line(&mut out, 2, &words::conduit(conduit));
    }
    if pair.up.is_empty() && pair.conduits.is_empty() {
        line(&mut out, 2, "no upstream request for it was seen");
    }
    if !pair.authorization.is_empty() {
        out.push_str("\nAUTHORIZATION\n");
        for one in &pair.authorization {
            leg(&mut out, one, files);
        }
    }
    out
}

fn leg(out: &mut String, leg: &Leg, files: &[String]) {
    let start = leg.start();
    let file = files.get(usize::from(start.file)).filter(|_| files.len() > 1).map(|file| format!(" of {file}")).unwrap_or_default();
    line(
        out,
        2,
        &format!(
            "{} → {}  via {}, frames {} to {}{file}",
            leg.peers.client,
            leg.peers.server,
            leg.peers.via.as_str(),
            start.frame,
            leg.last().frame
        ),
    );
    if let Some(request) = &leg.request {
        let head = &request.head;
        line(out, 4, &format!("{} {} {} HTTP/{}", clock(request.start.ts), head.method, head.path, head.common.version.as_str()));
        field(out, "host", head.host.as_deref());
        field(out, "authorization", head.credential.as_ref().map(credential).as_deref());
        for (name, value) in &head.other_credentials {
            field(out, name, Some(&credential(value)));
        }
        for (name, value) in &head.query {
            field(out, &format!("?{name}"), Some(&format!("{value} (fingerprint)")));
        }
        field(out, "x-mcp-servers", Some(head.mcp_servers.join(", ")).filter(|all| !all.is_empty()).as_deref());
        common(out, &head.common);
        asked(out, &leg.asked);
    } else {
        line(out, 4, "the request was not seen");
    }
    match &leg.response {
        Some(response) => {
            line(out, 4, &format!("{} {} HTTP/{}", clock(response.start.ts), response.head.status, response.head.common.version.as_str()));
            field(out, "www-authenticate", response.head.www_authenticate.as_deref());
            field(out, "server", response.head.server.as_deref());
            field(out, "location", response.head.location.as_deref());
            field(out, "retry-after", response.head.retry_after.as_deref());
            common(out, &response.head.common);
        }
        None => line(out, 4, "no response was seen"),
    }
    for one in &leg.answers {
        answer(out, one);
    }
    if let Some(done) = leg.done {
        line(out, 4, &format!("{} end: {}", clock(done.last.ts), end(done.end)));
    }
}

fn common(out: &mut String, head: &Head) {
    field(out, "content-type", head.content_type.as_deref());
    field(out, "content-length", head.content_length.map(|len| len.to_string()).as_deref());
    field(out, "mcp-session-id", head.session.map(|session| format!("{session} (fingerprint)")).as_deref());
    field(out, "mcp-protocol-version", head.protocol_version.as_deref());
    field(out, "user-agent", head.user_agent.as_deref());
}

fn asked(out: &mut String, asked: &Asked) {
    if let Asked::Rpc(asks) = asked {
        for ask in asks {
            let id = ask.id.as_ref().map(|id| format!(" id {}", rpc_id(id))).unwrap_or_default();
            let name = ask.name.as_deref().map(|name| format!(" {name}")).unwrap_or_default();
            line(out, 6, &format!("JSON-RPC {}{name}{id}", ask.method.as_deref().unwrap_or("response")));
        }
    }
}

fn answer(out: &mut String, answer: &Answer) {
    let id = answer.id.as_ref().map(|id| format!(" to id {}", rpc_id(id))).unwrap_or_default();
    let text = match &answer.outcome {
        Outcome::Result { list: Some(list), .. } => format!("result{id}: {}", listed(list)),
        Outcome::Result { is_error, hides, .. } => {
            let error = is_error.map(|is| format!(", isError {is}")).unwrap_or_default();
            let hides = hides.as_deref().map(|word| format!(", its text says {word}")).unwrap_or_default();
            format!("result{id}{error}{hides}")
        }
        Outcome::Error { code, message, .. } => format!("error{id} {code}: {message}"),
        Outcome::Refusal { error, detail } => {
            format!("body: {} {}", error.as_deref().unwrap_or_default(), detail.as_deref().unwrap_or_default())
        }
        Outcome::ServerRequest(method) => format!("the server asks: {method}"),
        Outcome::Notification(method) => format!("notification: {method}"),
        Outcome::Endpoint { .. } => "endpoint of the stream".to_owned(),
        Outcome::Nonsense => "not MCP".to_owned(),
    };
    line(out, 6, &format!("{} {text}", clock(answer.at.ts)));
    if let Outcome::Result { declared, .. } = &answer.outcome {
        for one in declared {
            line(out, 8, &format!("declares {}: {}", one.server, one.status));
        }
    }
}

fn listed(list: &List) -> String {
    let shown: Vec<&str> = list.names.iter().take(NAMES).map(String::as_str).collect();
    let more = list.items.saturating_sub(shown.len());
    let more = if more > 0 && !shown.is_empty() { format!(" and {more} more") } else { String::new() };
    let null = if list.null { " (null or missing)" } else { "" };
    format!("{} {}{null} [{}{more}]", list.items, list.kind.as_str(), shown.join(", "))
}

fn credential(credential: &Credential) -> String {
    let scheme = if credential.scheme.is_empty() { String::new() } else { format!("{} ", credential.scheme) };
    format!("{scheme}tok:{}", credential.mark)
}

fn rpc_id(id: &RpcId) -> String {
    match id {
        RpcId::Number(n) => n.to_string(),
        RpcId::Text(text) => format!("\"{text}\""),
        RpcId::Other => "null".to_owned(),
    }
}

fn end(end: crate::http::End) -> String {
    use crate::http::{Broken, End};
    match end {
        End::Complete => "complete".to_owned(),
        End::Broken(Broken::Finished) => "the connection was closed".to_owned(),
        End::Broken(Broken::Reset) => "the connection was reset".to_owned(),
        End::Broken(Broken::Left) => "the asker left".to_owned(),
        End::Unseen(gap) => {
            format!("not seen ({}, {} bytes)", gap.cause.as_str(), gap.len.map_or_else(|| "unknown".to_owned(), |len| len.to_string()))
        }
    }
}

fn field(out: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        line(out, 6, &format!("{name}: {value}"));
    }
}

fn line(out: &mut String, indent: usize, text: &str) {
    out.push_str(&" ".repeat(indent));
    out.push_str(&clean(text));
    out.push('\n');
}

const NAMES: usize = 40;
