//! A result comes in (the `result` of a JSON-RPC response, or the whole body of a REST route), what it says goes out. One pass;
//! what nobody asks for is stepped over. Knows nothing of what was asked until the end.

use crate::base::Fingerprint;

use super::json::{Json, Read, Text, Value};
use super::jsonrpc::{self, Means};
use super::outcome::Expect;
use super::{Declared, List, ListKind, Outcome, hides, mark, words};

/// A result while it is read.
#[derive(Debug, Default)]
pub(super) struct Fields {
    lists: Vec<List>,
    more: bool,
    is_error: Option<bool>,
    hides: Option<String>,
    texts: Vec<Fingerprint>,
    declared: Vec<Declared>,
    declares_failure: bool,
    server_info: Option<String>,
    protocol_version: Option<String>,
    ttl_ms: Option<u64>,
    input_required: bool,
    digest: u64,
}

impl Fields {
    /// Reads the next value. `rest`: it is a REST route's body, which has members beside its list that JSON-RPC has elsewhere.
    pub(super) fn read(json: &mut Json<'_>, means: Means<'_>, rest: bool) -> Read<Fields> {
        let mut fields = Fields::default();
        let place = json.place();
        // What cannot be too large is marked while it is read: texts are unescaped once, for both.
        let mut sum = (json.left() <= CANONICAL).then(|| Ok(mark::Members::default()));
        let object = if rest && json.peek() == Some(b'[') {
            fields.bare(json, means)?;
            false
        } else {
            json.members(|key, json| {
                let place = json.place();
                let content = fields.member(key, json, means, rest)?;
                if !fields.lists.is_empty() {
                    sum = None;
                }
                if let Some(Ok(members)) = &mut sum {
                    match content.unwrap_or_else(|| mark::canonical(&mut json.on(json.since(place)), means.keyer)) {
                        Ok(value) => members.add(means.keyer, key, value),
                        Err(bad) => sum = Some(Err(bad)),
                    }
                }
                Ok(())
            })?
        };
        let raw = json.since(place);
        fields.digest = match sum.filter(|_| object) {
            Some(members) => members?.value(),
            None if fields.lists.is_empty() && raw.len() <= CANONICAL => mark::canonical(&mut json.on(raw), means.keyer)?,
            // Lists are told by their names; where they are relayed, their bytes are. Canonical hashing would cost more than all other reading.
            None => means.keyer.mark(raw).0,
        };
        Ok(fields)
    }

    /// What was read, in the light of what was asked.
    pub(super) fn outcome(mut self, expect: Expect) -> Outcome {
        let list = match expect {
            Expect::List(kind) => {
                let at = self.lists.iter().position(|list| list.kind == kind);
                Some(at.map_or_else(|| null_list(kind), |at| self.lists.swap_remove(at)))
            }
            Expect::Unknown if !self.lists.is_empty() => Some(self.lists.swap_remove(0)),
            _ => None,
        };
        let call = matches!(expect, Expect::Call | Expect::Unknown) && self.is_error != Some(true);
        Outcome::Result {
            list: list.map(|list| List { more: self.more, ..list }),
            is_error: self.is_error,
            hides: self.hides.filter(|_| call),
            declares_failure: self.declares_failure || self.declared.iter().any(|declared| declared.failed),
            declared: self.declared,
            server_info: self.server_info,
            protocol_version: self.protocol_version,
            ttl_ms: self.ttl_ms,
            input_required: self.input_required,
            digest: Fingerprint(self.digest),
            texts: self.texts,
        }
    }

    /// Reads a member. Gives its canonical mark where it was made on the way.
    fn member(&mut self, key: Text<'_>, json: &mut Json<'_>, means: Means<'_>, rest: bool) -> Read<Option<Read<u64>>> {
        match &*key.bytes() {
            b"tools" => self.list(ListKind::Tools, json, means)?,
            b"prompts" => self.list(ListKind::Prompts, json, means)?,
            b"resources" => self.list(ListKind::Resources, json, means)?,
            b"resourceTemplates" => self.list(ListKind::ResourceTemplates, json, means)?,
            // "An empty string is a valid cursor" nowhere: gateways send it for "no more".
            b"nextCursor" => {
                self.more = match json.value()? {
                    Value::Null => false,
                    Value::Text(text) => !text.is_empty(),
                    Value::Object | Value::Array => json.skip().map(|_| true)?,
                    _ => true,
                }
            }
            b"isError" => {
                self.is_error = match json.value()? {
                    Value::Bool(truth) => Some(truth),
                    Value::Object | Value::Array => json.skip().map(|_| None)?,
                    _ => None,
                }
            }
            b"content" => return self.content(json, means),
            b"_meta" => self.meta(json, means)?,
            b"serverInfo" => self.server_info = jsonrpc::info(json)?,
            b"protocolVersion" => self.protocol_version = json.text()?.map(|text| jsonrpc::cut(text, jsonrpc::VERSION)),
            b"ttlMs" => match json.value()? {
                Value::Number(digits) => self.ttl_ms = jsonrpc::number(digits).and_then(|ttl| u64::try_from(ttl).ok()),
                Value::Object | Value::Array => drop(json.skip()?),
                _ => {}
            },
            b"resultType" => self.input_required = json.text()?.is_some_and(|text| &*text.bytes() == b"input_required"),
            b"error" if rest => match json.value()? {
                Value::Null | Value::Bool(false) => {}
                Value::Text(text) => self.declares_failure |= !text.is_empty(),
                Value::Object | Value::Array => {
                    self.declares_failure = true;
                    json.skip()?;
                }
                _ => self.declares_failure = true,
            },
            b"server_outcomes" if rest => self.outcomes(json, means)?,
            _ => drop(json.skip()?),
        }
        Ok(None)
    }

    /// A REST route's body that is nothing but an array: of entries, or of a call's contents.
    fn bare(&mut self, json: &mut Json<'_>, means: Means<'_>) -> Read<()> {
        let mut ahead = json.clone();
        let _ = self.content(&mut ahead, means)?;
        if self.texts.is_empty() { self.list(ListKind::Tools, json, means) } else { json.skip().map(drop) }
    }

    fn list(&mut self, kind: ListKind, json: &mut Json<'_>, means: Means<'_>) -> Read<()> {
        let mut list = List { null: false, ..null_list(kind) };
        let most = means.limits.list_names;
        match json.value()? {
            Value::Array => {
                json.elements(|json| {
                    list.items += 1;
                    let name = entry(json, kind, &mut list.servers)?;
                    if list.names.len() < most {
                        list.names.push(name);
                    }
                    Ok(())
                })?;
            }
            // Encoders that do not tell an empty array from an empty object; or entries by their names.
            Value::Object => {
                json.members(|key, json| {
                    list.items += 1;
                    if list.names.len() < most {
                        list.names.push(jsonrpc::cut(key, jsonrpc::NAME));
                    }
                    json.skip().map(drop)
                })?;
            }
            _ => list.null = true,
        }
        list.servers.sort_unstable();
        self.lists.retain(|earlier| earlier.kind != kind);
        self.lists.push(list);
        Ok(())
    }

    /// Reads the contents of a call's result. Gives their canonical mark, unless they are too large to want one.
    fn content(&mut self, json: &mut Json<'_>, means: Means<'_>) -> Read<Option<Read<u64>>> {
        (self.texts, self.hides) = (Vec::new(), None);
        let keyer = means.keyer;
        let mut sum = (json.left() <= CANONICAL).then(|| Ok(mark::Elements::new()));
        let array = json.elements(|json| {
            let place = json.place();
            let mut members = Ok(mark::Members::default());
            let object = json.members(|key, json| {
                let place = json.place();
                let mut value = None;
                if &*key.bytes() != b"text" {
                    json.skip()?;
                } else if let Some(text) = json.text()? {
                    let chars = text.bytes();
                    if sum.is_some() || self.texts.len() < TEXTS {
                        let mark = mark::text(&chars, keyer);
                        value = Some(mark);
                        if self.texts.len() < TEXTS {
                            self.texts.push(Fingerprint(mark));
                        }
                    }
                    if self.hides.is_none() {
                        self.hides = hides::failure(&chars);
                    }
                }
                if sum.is_some() {
                    let value = value.map_or_else(|| mark::canonical(&mut json.on(json.since(place)), keyer), Ok);
                    members = members.and_then(|mut all: mark::Members| value.map(|value| all.add(keyer, key, value)).map(|()| all));
                }
                Ok(())
            })?;
            if let Some(Ok(elements)) = &mut sum {
                let value =
                    if object { members.map(mark::Members::value) } else { mark::canonical(&mut json.on(json.since(place)), keyer) };
                match value {
                    Ok(value) => elements.add(value),
                    Err(bad) => sum = Some(Err(bad)),
                }
            }
            Ok(())
        })?;
        Ok(sum.filter(|_| array).map(|elements| elements.map(mark::Elements::value)))
    }

    fn meta(&mut self, json: &mut Json<'_>, means: Means<'_>) -> Read<()> {
        json.members(|key, json| {
            match &*key.bytes() {
                // `litellm.ai/server_outcomes`; whoever else says the same may say it so.
                key if key.ends_with(b"/server_outcomes") => self.outcomes(json, means)?,
                b"io.modelcontextprotocol/serverInfo" => self.server_info = jsonrpc::info(json)?,
                _ => drop(json.skip()?),
            }
            Ok(())
        })?;
        Ok(())
    }

    /// `{"weather":{"status":"auth_required","http_status":401}}` or `{"weather":"auth_required"}`.
    fn outcomes(&mut self, json: &mut Json<'_>, means: Means<'_>) -> Read<()> {
        self.declared.clear();
        json.members(|key, json| {
            let (mut status, mut http_status) = (None, None);
            match json.value()? {
                Value::Text(text) => status = Some(text),
                Value::Object => {
                    json.members(|key, json| {
                        match &*key.bytes() {
                            b"status" => status = json.text()?,
                            b"http_status" => match json.value()? {
                                Value::Number(digits) => http_status = jsonrpc::number(digits).and_then(|code| u16::try_from(code).ok()),
                                Value::Object | Value::Array => drop(json.skip()?),
                                _ => {}
                            },
                            _ => drop(json.skip()?),
                        }
                        Ok(())
                    })?;
                }
                Value::Array => drop(json.skip()?),
                _ => {}
            }
            if self.declared.len() < means.limits.list_names.min(DECLARED) {
                let status = status.map(|text| words::redacted(&text.chars(), STATUS)).unwrap_or_default();
                let failed = is_failure(&status, http_status);
                self.declared.push(Declared { server: jsonrpc::cut(key, jsonrpc::NAME), status, http_status, failed });
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// A list that is not there.
pub(super) fn null_list(kind: ListKind) -> List {
    List { kind, items: 0, null: true, names: Vec::new(), servers: Vec::new(), more: false }
}

/// An entry of a list: its name; its server goes to the others.
fn entry(json: &mut Json<'_>, kind: ListKind, servers: &mut Vec<String>) -> Read<String> {
    let wanted: &[u8] = match kind {
        ListKind::Tools | ListKind::Prompts => b"name",
        ListKind::Resources => b"uri",
        ListKind::ResourceTemplates => b"uriTemplate",
    };
    let mut name = None;
    json.members(|key, json| {
        let key = key.bytes();
        if *key == *wanted {
            name = json.text()?;
        } else if &*key == b"mcp_info" {
            json.members(|key, json| {
                if &*key.bytes() != b"server_name" {
                    return json.skip().map(drop);
                }
                if let Some(server) = json.text()?.map(|text| jsonrpc::cut(text, jsonrpc::NAME))
                    && servers.len() < DECLARED
                    && !servers.contains(&server)
                {
                    servers.push(server);
                }
                Ok(())
            })?;
        } else {
            json.skip()?;
        }
        Ok(())
    })?;
    Ok(name.map_or_else(String::new, |name| match kind {
        ListKind::Tools | ListKind::Prompts => jsonrpc::cut(name, jsonrpc::NAME),
        ListKind::Resources | ListKind::ResourceTemplates => words::redacted(&name.chars(), jsonrpc::NAME),
    }))
}

/// LiteLLM says `ok`, `auth_required`, `forbidden`, `timeout`, `unreachable`, `upstream_error`, `internal`. A word that nobody
/// knows means failure only where a status code says so.
fn is_failure(status: &str, http_status: Option<u16>) -> bool {
    const FAILED: &[&str] =
        &["auth", "forbid", "denied", "timeout", "timed_out", "unreach", "refused", "error", "internal", "fail", "unavailable"];
    http_status.is_some_and(|code| code >= 400)
        || FAILED.iter().any(|word| status.contains(word)) && !matches!(status, "authorized" | "authenticated")
}

/// Results up to this size are hashed by what they mean, larger ones by their bytes.
const CANONICAL: usize = 16_384;

/// Texts of one result that are marked.
const TEXTS: usize = 64;

/// Servers of one answer that are kept.
const DECLARED: usize = 1_024;

const STATUS: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::json::tests::any_json;
    use super::*;
    use crate::base::{Keyer, Limits};

    fn digest(text: &[u8]) -> Read<u64> {
        let (keyer, limits) = (Keyer::new([3; 32]), Limits::default());
        Fields::read(&mut Json::new(text, 128), Means { keyer: &keyer, limits: &limits }, false).map(|fields| fields.digest)
    }

    fn canonical(text: &[u8]) -> Read<u64> {
        mark::canonical(&mut Json::new(text, 128), &Keyer::new([3; 32]))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn one_pass_marks_what_two_would(one in any_json(), two in any_json(), text in ".{0,40}", long in any::<bool>(), shape in 0u8..4) {
            let text = serde_json::json!({"type": "text", "text": text.repeat(if long { 400 } else { 1 }), "annotations": one});
            let content = match shape {
                0 => serde_json::json!([text, one, {"text": two}]),
                1 => one.clone(),
                2 => serde_json::json!([]),
                _ => serde_json::json!([text]),
            };
            let whole = serde_json::json!({"content": content, "isError": false, "_meta": two, "x": one}).to_string();
            let want = if whole.len() <= CANONICAL { canonical(whole.as_bytes()).unwrap() } else { Keyer::new([3; 32]).mark(whole.as_bytes()).0 };
            prop_assert_eq!(digest(whole.as_bytes()), Ok(want));
            // With more behind it, the same.
            let padded = format!("{whole}{}", " ".repeat(CANONICAL));
            prop_assert_eq!(digest(padded.as_bytes()), Ok(want));
        }
    }

    #[test]
    fn what_is_no_json_inside_is_no_result_unless_it_lists() {
        for (text, fits) in [
            (&br#"{"content":[{"text":"a","n":1-2}]}"#[..], false),
            (br#"{"content":[{"text":"a"}],"x":[1-2]}"#, false),
            (br#"{"content":[{"text":"a","n":1-2}],"tools":[]}"#, true),
            (br#"{"tools":[{"name":"a","n":[1-2]}]}"#, true),
        ] {
            assert_eq!(digest(text).is_ok(), fits, "{}", String::from_utf8_lossy(text));
        }
    }
}
