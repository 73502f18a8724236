//! The text of a call that claims success comes in; the failure that it reports all the same goes out, if there is no other way
//! to read it. A tool may speak of errors as much as it likes: only a bare error object of an authentication or transport kind
//! counts, or a text that begins as HTTP clients and gateways begin to report a failed request.

use super::json::{Json, Read, Value};
use super::jsonrpc;

/// Whether a call's text reports a failure: what a reader of evidence must be able to see.
pub fn reports_failure(text: &[u8]) -> bool {
    failure(text).is_some()
}

/// The failure, as a short word that is safe to show.
pub(super) fn failure(text: &[u8]) -> Option<String> {
    let text = text.trim_ascii();
    if text.first() == Some(&b'{') {
        return (text.len() <= OBJECT).then(|| object(text)).flatten();
    }
    let head = text.get(..HEAD).unwrap_or(text);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    phrase(&head).map(Into::into).or_else(|| status_line(&head))
}

/// `{"error":"invalid_token"}`, `{"error":{"code":401,...}}`, `{"detail":"Unauthorized"}`: few members, and no result beside.
fn object(text: &[u8]) -> Option<String> {
    let mut found = None;
    let mut alone = None;
    let mut members = 0;
    let mut json = Json::new(text, DEPTH);
    let read = json.members(|key, json| {
        members += 1;
        match &*key.bytes() {
            b"error" => found = error(json)?,
            b"detail" | b"message" => {
                alone = json
                    .text()?
                    .filter(|text| text.len() <= HEAD)
                    .map(|text| text.chars().into_owned())
                    .and_then(|text| kind(&text))
                    .or(alone.take());
            }
            b"error_description" | b"error_uri" | b"status" | b"status_code" | b"statusCode" | b"code" | b"success" | b"ok"
            | b"request_id" | b"timestamp" | b"path" | b"details" | b"scope" | b"realm" => drop(json.skip()?),
            _ => {
                // Something else is said here: no bare failure.
                members += MEMBERS;
                json.skip()?;
            }
        }
        Ok(())
    });
    (read == Ok(true) && json.end().is_ok() && members <= MEMBERS).then(|| found.or(alone.filter(|_| members <= 2))).flatten()
}

fn error(json: &mut Json<'_>) -> Read<Option<String>> {
    match json.value()? {
        Value::Text(text) if text.len() <= HEAD => Ok(kind(&text.chars())),
        Value::Object => {
            let (mut code, mut word) = (None, None);
            json.members(|key, json| {
                match &*key.bytes() {
                    b"code" | b"status" | b"type" | b"message" => match json.value()? {
                        Value::Number(digits) => code = jsonrpc::number(digits).and_then(telling_status).or(code),
                        Value::Text(text) if text.len() <= HEAD => word = kind(&text.chars()).or(word.take()),
                        Value::Object | Value::Array => drop(json.skip()?),
                        _ => {}
                    },
                    _ => drop(json.skip()?),
                }
                Ok(())
            })?;
            Ok(code.map(|code| code.to_string()).or(word))
        }
        Value::Array => json.skip().map(|_| None),
        _ => Ok(None),
    }
}

/// An error's own word or sentence.
fn kind(text: &str) -> Option<String> {
    let lower = text.trim().to_ascii_lowercase();
    let word = lower.replace([' ', '-'], "_");
    let word = word.trim_end_matches(['.', '!']);
    if let Some(known) = KINDS.iter().find(|kind| **kind == word) {
        return Some((*known).into());
    }
    phrase(&lower).map(Into::into).or_else(|| status_line(&lower))
}

/// Sentences with which gateways and SDKs report a request that failed.
fn phrase(head: &str) -> Option<&'static str> {
    let head = without_preamble(head);
    let whole = head.trim_end_matches(['.', '!']);
    match whole {
        "unauthorized" | "unauthenticated" | "not authenticated" | "authentication required" => return Some("unauthorized"),
        "forbidden" | "access denied" => return Some("forbidden"),
        "session terminated" => return Some("session_not_found"),
        _ => {}
    }
    PHRASES.iter().find(|(phrase, _)| head.starts_with(phrase)).map(|(_, word)| *word)
}

/// `401 Unauthorized`, `HTTP 503`, `HTTP/1.1 401`, `Client error '401 Unauthorized' for url`, ...: a number alone proves nothing.
fn status_line(head: &str) -> Option<String> {
    let head = without_preamble(head);
    for announced in
        ["client error '", "server error '", "http error ", "http status ", "http/1.1 ", "http/2 ", "http ", "http_error_", "(http "]
    {
        if let Some(rest) = head.strip_prefix(announced) {
            let code = rest.trim_start_matches(['\'', '"', ':', ' ']).get(..3)?.parse().ok()?;
            return telling_status(code).map(|code| code.to_string());
        }
    }
    let rest = head.strip_prefix("status code ").or(head.strip_prefix("request failed with status code ")).or(head.strip_prefix("status "));
    if let Some(code) = rest.and_then(|rest| rest.get(..3)?.parse().ok()) {
        return telling_status(code).map(|code| code.to_string());
    }
    let (code, reason): (i64, _) = (head.get(..3)?.parse().ok()?, head.get(3..)?.trim_start_matches([' ', ':', '-', ',']));
    let known = REASONS.iter().any(|(known, phrase)| *known == code && reason.starts_with(phrase));
    known.then(|| code.to_string())
}

/// What wrappers put in front: `Error: `, `MCP error -32603: `, `Error executing tool x: `, `httpx.HTTPStatusError: `.
fn without_preamble(mut head: &str) -> &str {
    for _ in 0..PREAMBLES {
        let Some((before, rest)) = head.split_once(": ") else { break };
        let wraps = matches!(
            before,
            "error" | "httpstatuserror" | "httpx.httpstatuserror" | "exception" | "mcperror" | "toolerror" | "streamable http error"
        ) || before.starts_with("mcp error -32")
            || before.starts_with("error executing tool ") && before.len() < 100
            || before.starts_with("error calling tool ") && before.len() < 100;
        if !wraps {
            break;
        }
        head = rest.trim_start();
    }
    head
}

/// Statuses that a gateway or an upstream answers for reasons of its own; 400 and 404 may well be a tool's domain.
fn telling_status(code: i64) -> Option<i64> {
    matches!(code, 401 | 403 | 407 | 429 | 500 | 502 | 503 | 504).then_some(code)
}

const KINDS: &[&str] = &[
    "invalid_token",
    "token_expired",
    "expired_token",
    "invalid_grant",
    "invalid_client",
    "unauthorized_client",
    "insufficient_scope",
    "unauthorized",
    "unauthenticated",
    "not_authenticated",
    "authentication_error",
    "authentication_failed",
    "authentication_required",
    "auth_required",
    "forbidden",
    "access_denied",
    "permission_denied",
    "invalid_api_key",
    "session_not_found",
    "session_terminated",
    "rate_limited",
    "rate_limit_exceeded",
    "too_many_requests",
    "upstream_error",
    "bad_gateway",
    "service_unavailable",
    "gateway_timeout",
    "temporarily_unavailable",
    "connection_refused",
    "connection_error",
    "connection_reset",
    "internal_server_error",
    "server_error",
];

const PHRASES: &[(&str, &str)] = &[
    ("invalid_token", "invalid_token"),
    ("session not found", "session_not_found"),
    ("upstream authentication required", "unauthorized"),
    ("all connection attempts failed", "connection_error"),
    ("connection refused", "connection_refused"),
    ("error posting to endpoint (http 401)", "401"),
    ("error posting to endpoint (http 403)", "403"),
    ("error posting to endpoint (http 5", "server_error"),
];

const REASONS: &[(i64, &str)] = &[
    (401, "unauthorized"),
    (403, "forbidden"),
    (407, "proxy authentication"),
    (429, "too many requests"),
    (500, "internal server error"),
    (502, "bad gateway"),
    (503, "service unavailable"),
    (503, "service temporarily unavailable"),
    (504, "gateway time"),
];

/// Largest object that may be nothing but an error.
const OBJECT: usize = 4_096;

/// Members of such an object.
const MEMBERS: usize = 6;

const DEPTH: usize = 16;

/// Bytes of a text that are looked at.
const HEAD: usize = 256;

const PREAMBLES: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_dressed_as_results_are_found() {
        for (text, word) in [
            (r#"{"error":"invalid_token"}"#, "invalid_token"),
            (r#" {"error": "invalid_token", "error_description": "The access token expired"}"#, "invalid_token"),
            (r#"{"error":"Session not found"}"#, "session_not_found"),
            (r#"{"error":"Unauthorized","status":401}"#, "unauthorized"),
            (r#"{"error":{"code":401,"message":"Request had invalid credentials","status":"UNAUTHENTICATED"}}"#, "401"),
            (r#"{"detail":"Not authenticated"}"#, "not_authenticated"),
            ("401 Unauthorized", "401"),
            ("Error: upstream authentication required (HTTP 401)", "unauthorized"),
            ("HTTPStatusError: Client error '401 Unauthorized' for url 'http://x/mcp'", "401"),
            ("Error executing tool get: Server error '503 Service Unavailable' for url", "503"),
            ("HTTP 502", "502"),
            ("MCP error -32600: Session not found", "session_not_found"),
            ("Unauthorized.", "unauthorized"),
            ("invalid_token", "invalid_token"),
        ] {
            assert_eq!(failure(text.as_bytes()).as_deref(), Some(word), "{text}");
        }
    }

    #[test]
    fn tools_that_speak_of_errors_are_left_alone() {
        for text in [
            "The API returned 401 Unauthorized yesterday",
            "401 people attended",
            "Forbidden City opening hours",
            "unauthorized access is logged",
            r#"{"error":null,"data":[1]}"#,
            r#"{"error":"no such city"}"#,
            r#"{"error":"not found"}"#,
            r#"{"error":"invalid_token","tokens":["a","b"]}"#,
            r#"{"errors":["401"]}"#,
            r#"{"error":{"code":404,"message":"no such ticket"}}"#,
            r#"{"result":"401 Unauthorized"}"#,
            r#"{"message":"Unauthorized","rows":3}"#,
            r#"[{"error":"invalid_token"}]"#,
            "Error: city not found",
            "HTTP 200 OK",
            "HTTP status codes explained",
            "",
            "{",
        ] {
            assert_eq!(failure(text.as_bytes()), None, "{text}");
        }
    }
}
