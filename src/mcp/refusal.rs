//! A JSON body that says why something was refused comes in, its reason goes out: OAuth errors, FastAPI details, problem
//! documents, JSON:API errors, the envelopes of model APIs. What it says is shown to people, so it is redacted.

use super::json::{Json, Read, Text, Value};
use super::{Outcome, words};

/// Reads the next value; `None` where it says nothing of a reason.
pub(super) fn read(json: &mut Json<'_>) -> Option<Outcome> {
    let mut reason = Reason::default();
    reason.value(json, 0).ok()?;
    let error = reason.error.filter(|error| !error.is_empty());
    let detail = reason.detail.or(reason.title).filter(|detail| !detail.is_empty());
    (error.is_some() || detail.is_some()).then_some(Outcome::Refusal { error, detail })
}

#[derive(Default)]
struct Reason {
    error: Option<String>,
    detail: Option<String>,
    /// `title` of a problem document (RFC 9457) says less than its detail.
    title: Option<String>,
}

impl Reason {
    /// The members that give reasons; they may be wrapped in one another, or in an array.
    fn value(&mut self, json: &mut Json<'_>, level: usize) -> Read<()> {
        if json.peek() == Some(b'[') {
            json.elements(|json| if level < LEVELS { self.value(json, level + 1) } else { json.skip().map(drop) })?;
            return Ok(());
        }
        json.members(|key, json| {
            let key = key.bytes();
            match &*key {
                b"error" | b"code" | b"error_code" => self.either(json, level),
                b"error_description" | b"detail" | b"message" | b"details" | b"msg" => self.prose(json, level),
                b"errors" if level < LEVELS => self.value(json, level + 1),
                b"title" => {
                    self.title = json.text()?.map(prose);
                    Ok(())
                }
                _ => json.skip().map(drop),
            }
        })?;
        Ok(())
    }

    /// `error`: a word, a sentence, or an object with more.
    fn either(&mut self, json: &mut Json<'_>, level: usize) -> Read<()> {
        match json.value()? {
            Value::Text(text) if is_word(text) => self.error = self.error.take().or(Some(words::redacted(&text.chars(), ERROR))),
            Value::Text(text) => self.say(text),
            Value::Object | Value::Array if level < LEVELS => self.value(json, level + 1)?,
            Value::Object | Value::Array => drop(json.skip()?),
            _ => {}
        }
        Ok(())
    }

    fn prose(&mut self, json: &mut Json<'_>, level: usize) -> Read<()> {
        match json.value()? {
            Value::Text(text) => self.say(text),
            Value::Object | Value::Array if level < LEVELS => self.value(json, level + 1)?,
            Value::Object | Value::Array => drop(json.skip()?),
            _ => {}
        }
        Ok(())
    }

    fn say(&mut self, text: Text<'_>) {
        if !text.is_empty() && self.detail.is_none() {
            self.detail = Some(prose(text));
        }
    }
}

fn prose(text: Text<'_>) -> String {
    words::redacted(&text.chars(), DETAIL)
}

fn is_word(text: Text<'_>) -> bool {
    text.len() <= ERROR && text.bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':'))
}

/// Bytes of a message for people.
pub(super) const DETAIL: usize = 200;

const ERROR: usize = 64;

/// Envelopes within envelopes.
const LEVELS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_found_in_every_envelope() {
        for (text, error, detail) in [
            (
                r#"{"error": "invalid_token", "error_description": "The access token expired"}"#,
                Some("invalid_token"),
                Some("The access token expired"),
            ),
            (r#"{"error": "insufficient_scope"}"#, Some("insufficient_scope"), None),
            (r#"{"detail":"Unauthorized"}"#, None, Some("Unauthorized")),
            (r#"{"detail":{"error":"forbidden","message":"no"}}"#, Some("forbidden"), Some("no")),
            (r#"{"error":"MCP request failed","details":""}"#, None, Some("MCP request failed")),
            (
                r#"{"error":{"message":"Authentication Error, Invalid key sk-12345678","type":"auth_error","code":"401"}}"#,
                Some("401"),
                Some("Authentication Error, Invalid key ~"),
            ),
            (
                r#"{"errors":[{"status":"401","code":"expired","title":"Expired","detail":"Token is old"}]}"#,
                Some("expired"),
                Some("Token is old"),
            ),
            (r#"{"type":"about:blank","title":"Forbidden","status":403}"#, None, Some("Forbidden")),
            (r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#, None, Some("field required")),
        ] {
            let read = read(&mut Json::new(text.as_bytes(), 128));
            assert_eq!(read, Some(Outcome::Refusal { error: error.map(Into::into), detail: detail.map(Into::into) }), "{text}");
        }
        for text in ["{}", "[]", "1", r#"{"tools":[]}"#, "<html>", r#"{"error":null}"#] {
            assert_eq!(read(&mut Json::new(text.as_bytes(), 128)), None, "{text}");
        }
    }
}
