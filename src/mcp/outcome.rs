//! The body of an answer comes in, what it says goes out, one message at a time: results, errors, requests and notifications
//! of the server. Reads each message once; knows nothing of status codes.

use crate::base::Fingerprint;

use super::json::{Json, Read, Value};
use super::jsonrpc::{self, Means};
use super::result::Fields;
use super::{ListKind, Outcome, RpcId, mark, refusal, words};

/// What kind of result is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// A list of these: one that is absent is null.
    List(ListKind),
    /// What a tool gave back.
    Call,
    /// Anything else: a member that is called like a list is none.
    Plain,
    /// Not known: what looks like a list is one.
    Unknown,
}

impl Expect {
    /// What the answer to a method is.
    pub(super) fn of(method: Option<&str>) -> Expect {
        match method {
            None => Expect::Unknown,
            Some("tools/call") => Expect::Call,
            Some(method) => jsonrpc::lists(method).map_or(Expect::Plain, Expect::List),
        }
    }
}

/// What a body was found to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// It is whole JSON.
    pub(super) whole: bool,
    /// A message in it is JSON-RPC.
    pub(super) rpc: bool,
    /// There were more messages than a batch may have.
    pub(super) more: bool,
}

/// Reads a body. A message that is cut off is not told; those of a batch before it are.
pub(super) fn read(
    bytes: &[u8],
    means: Means<'_>,
    expect: impl Fn(Option<&RpcId>) -> Expect,
    mut each: impl FnMut(Option<RpcId>, Outcome),
) -> Told {
    let mut json = Json::new(bytes, means.limits.json_depth);
    let mut told = Told::default();
    let mut count = 0;
    let mut one = |json: &mut Json<'_>| {
        count += 1;
        if count > means.limits.batch {
            told.more = true;
            return json.skip().map(drop);
        }
        let message = Message::read(json, means)?;
        told.rpc |= message.rpc;
        let expect = expect(message.id.as_ref());
        let (id, outcome) = message.finish(expect);
        each(id, outcome);
        Ok(())
    };
    let read = if json.peek() == Some(b'[') { json.elements(one).map(drop) } else { one(&mut json) };
    told.whole = read.is_ok() && json.end().is_ok();
    told
}

/// Gives an answer that was read without knowing what was asked the list that is due, or takes away the one that is not.
pub(super) fn fit(outcome: &mut Outcome, expect: Expect) {
    let Outcome::Result { list, hides, .. } = outcome else { return };
    match expect {
        Expect::List(kind) if list.as_ref().is_none_or(|list| list.kind != kind) => *list = Some(super::result::null_list(kind)),
        Expect::Call => *list = None,
        Expect::Plain => (*list, *hides) = (None, None),
        Expect::List(_) | Expect::Unknown => {}
    }
}

/// A message while it is read.
struct Message<'a> {
    rpc: bool,
    id: Option<RpcId>,
    method: Option<String>,
    result: Option<Fields>,
    error: Option<Fault>,
    /// The whole message, to be read again where it is no JSON-RPC.
    again: Json<'a>,
}

impl<'a> Message<'a> {
    fn read(json: &mut Json<'a>, means: Means<'_>) -> Read<Message<'a>> {
        let mut message = Message { rpc: false, id: None, method: None, result: None, error: None, again: json.clone() };
        json.members(|key, json| {
            match &*key.bytes() {
                b"jsonrpc" => {
                    message.rpc = true;
                    json.skip()?;
                }
                b"id" => message.id = Some(jsonrpc::id(json)?),
                b"method" => message.method = json.text()?.map(|text| jsonrpc::cut(text, jsonrpc::METHOD)),
                b"result" => message.result = Some(Fields::read(json, means, false)?),
                b"error" => message.error = Fault::read(json, means)?,
                _ => drop(json.skip()?),
            }
            Ok(())
        })?;
        Ok(message)
    }

    fn finish(mut self, expect: Expect) -> (Option<RpcId>, Outcome) {
        match (self.method, self.result, self.error) {
            // Some libraries send `"error": null` beside every result.
            (_, Some(result), None) => (self.id, result.outcome(expect)),
            (_, _, Some(fault)) if self.rpc || fault.code.is_some() && self.id.is_some() => {
                (self.id, Outcome::Error { code: fault.code.unwrap_or(0), message: fault.message, digest: fault.digest })
            }
            (Some(method), None, None) if self.id.is_some() => (None, Outcome::ServerRequest(method)),
            (Some(method), None, None) => (None, Outcome::Notification(method)),
            _ => (None, refusal::read(&mut self.again).unwrap_or(Outcome::Nonsense)),
        }
    }
}

/// The `error` of a message.
struct Fault {
    code: Option<i64>,
    message: String,
    digest: Fingerprint,
}

impl Fault {
    fn read(json: &mut Json<'_>, means: Means<'_>) -> Read<Option<Fault>> {
        let place = json.place();
        let (mut code, mut message) = (None, None);
        match json.value()? {
            Value::Null => return Ok(None),
            Value::Text(text) => message = Some(text),
            Value::Object => {
                json.members(|key, json| {
                    match &*key.bytes() {
                        b"code" => match json.value()? {
                            Value::Number(digits) => code = jsonrpc::number(digits),
                            Value::Object | Value::Array => drop(json.skip()?),
                            _ => {}
                        },
                        b"message" => message = json.text()?,
                        _ => drop(json.skip()?),
                    }
                    Ok(())
                })?;
            }
            Value::Array => drop(json.skip()?),
            _ => {}
        }
        let digest = mark::canonical(&mut json.on(json.since(place)), means.keyer)?;
        let message = message.map(|text| words::redacted(&text.chars(), refusal::DETAIL)).unwrap_or_default();
        Ok(Some(Fault { code, message, digest: Fingerprint(digest) }))
    }
}
