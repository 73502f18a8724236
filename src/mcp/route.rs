//! A request's head comes in, what it may be goes out: MCP for certain, perhaps, or not at all. Looks at the shape of heads,
//! not at products: gateways serve MCP at `/mcp`, `/mcp/{server}`, `/{server}/mcp`, `/sse`, `/messages`, `/` and elsewhere.

use crate::http::RequestHead;

use super::rest;

/// What a request may be, by its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// A POST that may carry JSON-RPC.
    Rpc(Sure),
    /// A REST route that lists or calls.
    Rest(rest::Route),
    /// A GET for an event stream; on a route that looks like MCP's, or on any other.
    Stream(Sure),
    /// A DELETE that ends a session.
    EndSession,
    /// OAuth.
    Authorization,
    /// Nothing of MCP.
    Other,
}

/// How much a head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sure {
    /// The body decides.
    Maybe,
    /// It looks like MCP; the body decides all the same, but where it is missing the request counts as one.
    Likely,
    /// Headers or a path that only MCP has: any JSON-RPC on it is MCP.
    Certain,
}

impl Route {
    /// By the head alone.
    pub(super) fn of(head: &RequestHead) -> Route {
        let path = head.path.as_str();
        let headers = head.mcp_method.is_some() || head.common.protocol_version.is_some() || head.common.session.is_some();
        if let Some(route) = rest::route(&head.method, path) {
            return Route::Rest(route);
        }
        if !headers && is_model_api(path) {
            return Route::Other;
        }
        let sure =
            if headers { Sure::Certain } else { by_path(head).max(if head.mcp_servers.is_empty() { Sure::Maybe } else { Sure::Likely }) };
        match head.method.as_str() {
            "POST" if !headers && is_authorization(head) => Route::Authorization,
            "POST" if may_be_json(head, sure) => Route::Rpc(if head.accepts_sse { sure.max(Sure::Likely) } else { sure }),
            "GET" if path.contains("/.well-known/oauth-") || path.contains("/.well-known/openid-configuration") => Route::Authorization,
            "GET" if !headers && is_authorization(head) => Route::Authorization,
            "GET" if head.accepts_sse || head.last_event_id.is_some() || headers => Route::Stream(sure),
            "GET" if sure == Sure::Certain && last(path) == "sse" => Route::Stream(sure),
            "DELETE" if head.common.session.is_some() || sure == Sure::Certain => Route::EndSession,
            _ => Route::Other,
        }
    }
}

fn by_path(head: &RequestHead) -> Sure {
    let segments = || head.path.split('/').filter(|segment| !segment.is_empty());
    let count = segments().count();
    let last = segments().next_back().unwrap_or_default();
    let before = segments().nth_back(1);
    // Legacy HTTP+SSE (MCP 2024-11-05) posts to a path that carries the session.
    let session = || head.query.iter().any(|(name, _)| name.to_ascii_lowercase().contains("session"));
    match last {
        "mcp" | "sse" => Sure::Certain,
        "message" | "messages" if session() => Sure::Certain,
        "message" | "messages" => Sure::Likely,
        _ if before == Some("mcp") && count == 2 => Sure::Certain,
        _ if matches!(before, Some("message" | "messages"))
            || segments().any(|segment| segment == "mcp" || segment.starts_with("mcp-")) =>
        {
            Sure::Likely
        }
        _ => Sure::Maybe,
    }
}

/// Model APIs share gateways with MCP and carry most of the bytes: they are told by their paths, without a look at any body.
fn is_model_api(path: &str) -> bool {
    const ENDS: &[&str] = &[
        "/completions",
        "/embeddings",
        "/responses",
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/moderations",
        "/rerank",
        "/generations",
        "/transcriptions",
        "/translations",
        "/speech",
        "/edits",
        "/api/generate",
        "/api/chat",
        "/api/embed",
        "/invoke",
        "/converse",
        "/invoke-with-response-stream",
        "/converse-stream",
        "/score",
    ];
    let path = path.trim_end_matches('/');
    ENDS.iter().any(|end| path.ends_with(end)) || last(path).contains(':') || path.contains("/v1/responses/") || path.contains("/v1/models")
}

/// RFC 6749 (authorization, token), RFC 7009 (revocation), RFC 7591 (registration), RFC 7662 (introspection), RFC 9126 (pushed requests).
fn is_authorization(head: &RequestHead) -> bool {
    let form = head.common.content_type.as_deref() == Some("application/x-www-form-urlencoded");
    match last(&head.path) {
        "token" | "introspect" | "revoke" | "par" | "device_authorization" | "access_token" => head.method == "POST" && form,
        "register" => head.method == "POST" && is_json(head.common.content_type.as_deref()),
        "authorize" => head.query.iter().any(|(name, _)| name == "client_id" || name == "response_type"),
        _ => false,
    }
}

/// `application/json`, or a type that says it is written in it.
pub(super) fn is_json(content_type: Option<&str>) -> bool {
    content_type.is_some_and(|media| {
        matches!(media, "application/json" | "text/json" | "application/json-rpc" | "application/jsonrequest") || media.ends_with("+json")
    })
}

fn may_be_json(head: &RequestHead, sure: Sure) -> bool {
    match head.common.content_type.as_deref() {
        None => sure > Sure::Maybe || head.common.partial,
        Some("text/plain" | "application/octet-stream") => sure == Sure::Certain,
        media => is_json(media),
    }
}

fn last(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::trial::head;
    use super::*;

    #[test]
    fn heads_are_told_by_their_shape() {
        use Sure::{Certain, Likely, Maybe};
        let json = "application/json";
        for (method, target, media, sse, route) in [
            ("POST", "/mcp", json, true, Route::Rpc(Certain)),
            ("POST", "/mcp/", json, false, Route::Rpc(Certain)),
            ("POST", "/mcp/weather", json, true, Route::Rpc(Certain)),
            ("POST", "/weather/mcp", json, true, Route::Rpc(Certain)),
            ("POST", "/servers/x/mcp", json, true, Route::Rpc(Certain)),
            ("POST", "/messages/?session_id=x", json, false, Route::Rpc(Certain)),
            ("POST", "/v1/mcp/server", json, false, Route::Rpc(Likely)),
            ("POST", "/", json, true, Route::Rpc(Likely)),
            ("POST", "/rpc", json, false, Route::Rpc(Maybe)),
            ("POST", "/rpc", "text/html", true, Route::Other),
            ("POST", "/v1/chat/completions", json, true, Route::Other),
            ("POST", "/v1/messages", json, true, Route::Other),
            ("POST", "/openai/deployments/x/embeddings", json, false, Route::Other),
            ("POST", "/v1beta/models/gemini:streamGenerateContent", json, false, Route::Other),
            ("POST", "/token", "application/x-www-form-urlencoded", false, Route::Authorization),
            ("POST", "/register", json, false, Route::Authorization),
            ("GET", "/.well-known/oauth-protected-resource/mcp", "", false, Route::Authorization),
            ("GET", "/mcp", "", true, Route::Stream(Certain)),
            ("GET", "/sse", "", false, Route::Stream(Certain)),
            ("GET", "/events", "", true, Route::Stream(Maybe)),
            ("GET", "/mcp", "", false, Route::Other),
            ("GET", "/mcp-rest/tools/list?server_id=1", "", false, Route::Rest(rest::Route::List(super::super::ListKind::Tools))),
            ("POST", "/gw/mcp-rest/tools/call", json, false, Route::Rest(rest::Route::Call)),
            ("DELETE", "/mcp", "", false, Route::EndSession),
            ("DELETE", "/users/1", "", false, Route::Other),
            ("OPTIONS", "/mcp", "", false, Route::Other),
        ] {
            assert_eq!(Route::of(&head(method, target, media, sse)), route, "{method} {target}");
        }
    }

    #[test]
    fn headers_of_mcp_make_any_route_its_own() {
        let mut head = head("POST", "/x/completions", "application/json", false);
        head.mcp_method = Some("tools/list".into());
        assert_eq!(Route::of(&head), Route::Rpc(Sure::Certain));
    }
}
