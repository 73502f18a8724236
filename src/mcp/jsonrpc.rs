//! The body of a request comes in, the JSON-RPC messages in it go out: what each asks, never what it says beyond that.
//! Knows nothing of heads and routes.

use crate::base::{Fingerprint, Keyer, Limits};

use super::json::{Bad, Json, Read, Text, Value};
use super::{Ask, AskKind, ListKind, RpcId, mark, words};

/// What reading needs.
#[derive(Clone, Copy)]
pub(super) struct Means<'a> {
    /// Makes marks.
    pub(super) keyer: &'a Keyer,
    /// Bounds everything.
    pub(super) limits: &'a Limits,
}

/// What a request's body was found to be.
#[derive(Debug, Default)]
pub(super) struct Asks {
    /// Its messages, in order.
    pub(super) asks: Vec<Ask>,
    /// The text is whole JSON.
    pub(super) whole: bool,
    /// A message says `"jsonrpc"`.
    pub(super) rpc: bool,
    /// There were more messages than a batch may have.
    pub(super) more: bool,
}

/// Reads a body, as far as it goes: of a message that is cut off, what it said before.
pub(super) fn asks(bytes: &[u8], means: Means<'_>) -> Asks {
    let mut json = Json::new(bytes, means.limits.json_depth);
    let mut found = Asks::default();
    let read = if json.peek() == Some(b'[') {
        json.elements(|json| {
            if found.asks.len() >= means.limits.batch {
                found.more = true;
                return json.skip().map(drop);
            }
            let mut message = Message::default();
            message.read(json, means)?;
            found.take(message);
            Ok(())
        })
        .map(drop)
    } else {
        let mut message = Message::default();
        let read = message.read(&mut json, means);
        found.take(message);
        read
    };
    found.whole = read.is_ok() && json.end().is_ok();
    if !found.whole {
        // An id may have been in what is missing: only the name then tells a notification.
        for ask in found.asks.iter_mut().filter(|ask| ask.method.as_ref().is_some_and(|method| !method.starts_with("notifications/"))) {
            ask.kind = AskKind::Request;
        }
    }
    found
}

/// Whether a body that begins like this may be a JSON-RPC message or batch; `None` while it is too short to tell. A long beginning that
/// does not tell (nothing but spaces) may be one: it is asked for each piece of a body, and must not be read again for each.
pub(super) fn may_be(bytes: &[u8]) -> Option<bool> {
    begins(bytes).or((bytes.len() > LONG_ENOUGH).then_some(true))
}

fn begins(bytes: &[u8]) -> Option<bool> {
    let mut json = Json::new(bytes, 2);
    match json.peek()? {
        b'[' => {
            let at = memchr::memchr(b'[', bytes)?;
            let mut inner = json.on(bytes.get(at + 1..)?);
            match inner.peek()? {
                b'{' => first_key(&mut inner),
                _ => Some(false),
            }
        }
        b'{' => first_key(&mut json),
        _ if bytes.len() < 3 && bytes.first() == Some(&0xef) => None,
        _ => Some(false),
    }
}

fn first_key(json: &mut Json<'_>) -> Option<bool> {
    let mut key = None;
    // The first key tells; what follows need not be there yet.
    let read = json.members(|text, _| {
        key = Some(matches!(&*text.bytes(), b"jsonrpc" | b"id" | b"method" | b"params" | b"result" | b"error"));
        Err(Bad)
    });
    let cut = read.is_err() && matches!(json.peek(), None | Some(b'"'));
    key.or((!cut).then_some(false))
}

/// What a method lists.
pub(super) fn lists(method: &str) -> Option<ListKind> {
    match method {
        "tools/list" => Some(ListKind::Tools),
        "prompts/list" => Some(ListKind::Prompts),
        "resources/list" => Some(ListKind::Resources),
        "resources/templates/list" => Some(ListKind::ResourceTemplates),
        _ => None,
    }
}

/// Whether a method is one of MCP's own: JSON-RPC is spoken by others too (agents, editors, ledgers).
pub(super) fn is_mcp(method: &str) -> bool {
    const FAMILIES: &[&str] = &[
        "tools/",
        "prompts/",
        "resources/",
        "notifications/",
        "completion/",
        "logging/",
        "sampling/",
        "roots/",
        "elicitation/",
        "server/discover",
        "subscriptions/",
    ];
    matches!(method, "initialize" | "ping") || FAMILIES.iter().any(|family| method.starts_with(family))
}

/// Reads an id.
pub(super) fn id(json: &mut Json<'_>) -> Read<RpcId> {
    Ok(match json.value()? {
        Value::Number(digits) => number(digits).map_or(RpcId::Other, RpcId::Number),
        Value::Text(text) => RpcId::Text(cut(text, ID)),
        Value::Object | Value::Array => json.skip().map(|_| RpcId::Other)?,
        _ => RpcId::Other,
    })
}

/// An integer, also where it is written as a decimal.
pub(super) fn number(digits: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(digits).ok()?;
    text.parse().ok().or_else(|| {
        let real: f64 = text.parse().ok()?;
        (real.fract() == 0.0 && real.abs() < 9e15).then_some(real as i64)
    })
}

/// A string for people or for comparison, bounded.
pub(super) fn cut(text: Text<'_>, max: usize) -> String {
    words::short(&text.chars(), max)
}

/// `name/version` of a `clientInfo` or `serverInfo`.
pub(super) fn info(json: &mut Json<'_>) -> Read<Option<String>> {
    let (mut name, mut version) = (None, None);
    json.members(|key, json| {
        match &*key.bytes() {
            b"name" => name = json.text()?,
            b"version" => version = json.text()?,
            _ => drop(json.skip()?),
        }
        Ok(())
    })?;
    let name = name.filter(|name| !name.is_empty());
    Ok(name.map(|name| match version.filter(|version| !version.is_empty()) {
        Some(version) => words::short(&format!("{}/{}", name.chars(), version.chars()), INFO),
        None => cut(name, INFO),
    }))
}

impl Asks {
    fn take(&mut self, message: Message) {
        self.rpc |= message.rpc;
        self.asks.extend(message.ask());
    }
}

/// A message while it is read.
#[derive(Default)]
struct Message {
    rpc: bool,
    method: Option<String>,
    id: Option<RpcId>,
    answers: bool,
    params: Params,
}

#[derive(Default)]
struct Params {
    name: Option<String>,
    uri: Option<String>,
    rest: mark::Members,
    list: Option<Fingerprint>,
    cursor: Option<Fingerprint>,
    protocol_version: Option<String>,
    client_info: Option<String>,
    trace: Option<Fingerprint>,
    request_id: Option<RpcId>,
    about: Option<Fingerprint>,
}

impl Message {
    fn read(&mut self, json: &mut Json<'_>, means: Means<'_>) -> Read<()> {
        let object = json.members(|key, json| {
            match &*key.bytes() {
                b"jsonrpc" => {
                    self.rpc = true;
                    json.skip()?;
                }
                b"method" => self.method = json.text()?.map(|text| cut(text, METHOD)),
                b"id" => self.id = Some(id(json)?),
                b"params" => {
                    self.params = Params::default();
                    let read = self.params.read(json, means);
                    if read.is_err() {
                        self.params.rest = mark::Members::default();
                    }
                    read?;
                }
                b"result" | b"error" => {
                    json.skip()?;
                    self.answers = true;
                }
                _ => drop(json.skip()?),
            }
            Ok(())
        });
        object.map(drop)
    }

    fn ask(self) -> Option<Ask> {
        let kind = match (&self.method, &self.id) {
            (Some(method), None) if !method.is_empty() => AskKind::Notification,
            (Some(method), Some(_)) if !method.is_empty() => AskKind::Request,
            (None, _) if self.answers => AskKind::Response,
            _ => return None,
        };
        let params = self.params;
        Some(Ask {
            kind,
            lists: self.method.as_deref().and_then(lists),
            cancels: params.request_id.filter(|_| self.method.as_deref() == Some("notifications/cancelled")),
            method: self.method,
            id: self.id,
            name: params.name.or(params.uri),
            arguments: params.rest.mark().or(params.list),
            cursor: params.cursor,
            protocol_version: params.protocol_version,
            client_info: params.client_info,
            trace: params.trace,
            about: params.about,
        })
    }
}

impl Params {
    fn read(&mut self, json: &mut Json<'_>, means: Means<'_>) -> Read<()> {
        let keyer = means.keyer;
        if json.peek() == Some(b'[') {
            self.list = Some(Fingerprint(mark::canonical(json, keyer)?));
            return Ok(());
        }
        json.members(|key, json| {
            let name = key.bytes();
            match &*name {
                b"_meta" => return self.meta(json, means),
                b"name" => {
                    self.name = json.text()?.map(|text| cut(text, NAME));
                    return Ok(());
                }
                b"cursor" => {
                    self.cursor = json.text()?.filter(|text| !text.is_empty()).map(|text| keyer.mark(&text.bytes()));
                    return Ok(());
                }
                _ => {}
            }
            let place = json.place();
            let value = mark::canonical(json, keyer)?;
            let raw = json.since(place);
            match &*name {
                b"uri" => self.uri = json.on(raw).text()?.map(|text| words::redacted(&text.chars(), NAME)),
                b"protocolVersion" => self.protocol_version = json.on(raw).text()?.map(|text| cut(text, VERSION)),
                b"clientInfo" => self.client_info = info(&mut json.on(raw))?,
                b"requestId" => {
                    self.request_id = Some(id(&mut json.on(raw))?);
                    self.about = Some(Fingerprint(value));
                }
                _ => {}
            }
            if !mark::is_void(raw) {
                self.rest.add(keyer, key, value);
            }
            Ok(())
        })?;
        Ok(())
    }

    fn meta(&mut self, json: &mut Json<'_>, means: Means<'_>) -> Read<()> {
        json.members(|key, json| {
            match &*key.bytes() {
                b"progressToken" => self.about = Some(Fingerprint(mark::canonical(json, means.keyer)?)),
                b"traceparent" => self.trace = json.text()?.and_then(|text| mark::trace(means.keyer, &text.bytes())),
                b"io.modelcontextprotocol/protocolVersion" => self.protocol_version = json.text()?.map(|text| cut(text, VERSION)),
                b"io.modelcontextprotocol/clientInfo" => self.client_info = info(json)?,
                _ => drop(json.skip()?),
            }
            Ok(())
        })?;
        Ok(())
    }
}

pub(super) const METHOD: usize = 64;
pub(super) const NAME: usize = 256;
pub(super) const VERSION: usize = 32;
const ID: usize = 64;
const INFO: usize = 128;

/// Bytes after which a body's beginning is not asked any more.
pub(super) const LONG_ENOUGH: usize = 4_096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Asks {
        asks(text.as_bytes(), Means { keyer: &Keyer::new([1; 32]), limits: &Limits { batch: 3, ..Limits::default() } })
    }

    fn one(text: &str) -> Ask {
        let mut found = read(text);
        assert!(found.whole && found.asks.len() == 1, "{text}");
        found.asks.remove(0)
    }

    #[test]
    fn a_long_beginning_that_does_not_tell_is_not_asked_for_ever() {
        assert_eq!(may_be(&[b' '; LONG_ENOUGH]), None);
        assert_eq!(may_be(&[b' '; LONG_ENOUGH + 1]), Some(true));
    }

    #[test]
    fn presence_tells_requests_from_notifications_and_responses() {
        assert_eq!(one(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).kind, AskKind::Request);
        let null = one(r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#);
        assert_eq!((null.kind, null.id), (AskKind::Request, Some(RpcId::Other)));
        assert_eq!(one(r#"{"method":"notifications/initialized","jsonrpc":"2.0"}"#).kind, AskKind::Notification);
        assert_eq!(one(r#"{"jsonrpc":"2.0","id":"a","result":{}}"#).kind, AskKind::Response);
        assert!(read(r#"{"jsonrpc":"2.0","id":"a"}"#).asks.is_empty());
        assert!(!read(r#"{"model":"m","messages":[]}"#).rpc);
    }

    #[test]
    fn ids_are_kept_as_sent() {
        let id = |text: &str| one(&format!(r#"{{"jsonrpc":"2.0","method":"ping","id":{text}}}"#)).id.unwrap();
        assert_eq!(id("7"), RpcId::Number(7));
        assert_eq!(id("7.0"), RpcId::Number(7));
        assert_eq!(id("123456789012345678901234567890"), RpcId::Other);
        assert_eq!(id("1.5"), RpcId::Other);
        assert_eq!(id(r#""litellm-mcp-auth-probe""#), RpcId::Text("litellm-mcp-auth-probe".into()));
        assert_eq!(id(&format!("{:?}", "x".repeat(99))), RpcId::Text(format!("{}~", "x".repeat(63))));
    }

    #[test]
    fn the_last_of_equal_keys_counts_and_keys_may_be_escaped() {
        let ask = one(r#"{"jsonrpc":"2.0","method":"tools/call","id":1,"m\u0065thod":"tools\/list","id":2}"#);
        assert_eq!((ask.method.as_deref(), ask.id, ask.lists), (Some("tools/list"), Some(RpcId::Number(2)), Some(ListKind::Tools)));
    }

    #[test]
    fn arguments_are_what_is_asked_whatever_it_looks_like() {
        let call = |params: &str| one(&format!(r#"{{"jsonrpc":"2.0","method":"tools/call","id":1,"params":{params}}}"#));
        let one = call(r#"{"name":"a-get","arguments":{"q":"Osl\u00f6","n":1},"_meta":{"progressToken":1}}"#);
        let two = call(r#" { "arguments" : { "n" : 1.0 , "q" : "Oslö" } , "name" : "get" } "#);
        assert!(one.arguments.is_some() && one.arguments == two.arguments);
        assert_ne!(one.arguments, call(r#"{"name":"get","arguments":{"q":"Oslo","n":1}}"#).arguments);
        assert_eq!((one.name.as_deref(), one.about.is_some(), two.about), (Some("a-get"), true, None));
        assert_eq!(call(r#"{"name":"get","arguments":{}}"#).arguments, call(r#"{"name":"get"}"#).arguments);
        assert_eq!(call(r#"{"cursor":""}"#).cursor, None);
        assert!(call(r#"{"cursor":"p2"}"#).cursor.is_some());
        assert_eq!(call(r#"{"uri":"db://u:p@h/x?k=secret"}"#).name.as_deref(), Some("db://~@h/x?~"));
    }

    #[test]
    fn handshakes_and_meta_of_every_revision() {
        let old = one(
            r#"{"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"mcp","version":"0.1.0"}},"jsonrpc":"2.0","id":0}"#,
        );
        let new = one(
            r#"{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"mcp","version":"0.1.0"},"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}}"#,
        );
        assert_eq!((old.protocol_version.as_deref(), old.client_info.as_deref()), (Some("2025-11-25"), Some("mcp/0.1.0")));
        assert_eq!((new.protocol_version.as_deref(), new.client_info.as_deref()), (Some("2026-07-28"), Some("mcp/0.1.0")));
        assert_eq!(new.trace, Some(Keyer::new([1; 32]).fingerprint("trace", b"0af7651916cd43dd8448eb211c80319c")));
    }

    #[test]
    fn batches_are_read_up_to_their_limit_and_cut_messages_as_far_as_they_go() {
        let batch = read(
            r#"[{"jsonrpc":"2.0","id":1,"method":"a/b"},{"jsonrpc":"2.0","method":"c"},1,{"x":2},{"jsonrpc":"2.0","id":2,"result":1}]"#,
        );
        assert_eq!((batch.asks.len(), batch.more, batch.whole), (3, false, true));
        assert!(read(&format!("[{}]", [r#"{"id":1,"method":"a"}"#; 4].join(","))).more);
        let cut = read(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","argu"#);
        assert_eq!((cut.whole, cut.asks[0].name.as_deref(), cut.asks[0].arguments), (false, Some("x"), None));
    }

    #[test]
    fn the_first_key_tells_early() {
        for (text, told) in [
            ("", None),
            ("  ", None),
            ("\u{feff}", None),
            ("{", None),
            ("{\"jsonr", None),
            ("{\"jsonrpc\":", Some(true)),
            ("[ {\"id\": 1", Some(true)),
            ("{\"model\":\"x\"", Some(false)),
            ("[1", Some(false)),
            ("[", None),
            ("{}", Some(false)),
            ("grant_type=x", Some(false)),
            ("\"x\"", Some(false)),
        ] {
            assert_eq!(may_be(text.as_bytes()), told, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_and_no_cut_message_claims_an_argument_it_lacks(bytes in prop::collection::vec(any::<u8>(), 0..80), cut in 0usize..200) {
            let means = Means { keyer: &Keyer::new([1; 32]), limits: &Limits::default() };
            asks(&bytes, means);
            may_be(&bytes);
            let text = br#"{"method":"tools/call","params":{"name":"get_current","arguments":{"query":"x","limit":1},"_meta":{"progressToken":1}},"jsonrpc":"2.0","id":1}"#;
            let whole = asks(text, means).asks.remove(0);
            let part = asks(&text[..cut.min(text.len())], means);
            prop_assert_eq!(part.whole, cut >= text.len());
            if let Some(ask) = part.asks.first() {
                prop_assert_eq!(&ask.method, &whole.method);
                prop_assert!(ask.arguments.is_none() || ask.arguments == whole.arguments);
            }
        }
    }
}
