//! What is overwritten, and what is left.

use super::alias::Aliases;
use super::head::{self, Coded};
use crate::base::Keyer;

fn covered(text: &str) -> Result<String, Coded> {
    let mut bytes = text.as_bytes().to_vec();
    let mut aliases = Aliases::new(Keyer::new([1; 32]));
    head::cover(&mut bytes, &mut aliases)?;
    aliases.sweep(&mut [&mut bytes]);
    let out = String::from_utf8(bytes).unwrap();
    assert_eq!(out.len(), text.len(), "{out}");
    Ok(out)
}

#[test]
fn a_call_loses_its_secrets_and_keeps_its_frame() {
    let body = r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"get_weather","arguments":{"city":"Zurich"}},"id":7}"#;
    let request = format!(
        "POST /mcp/weather?key=abcdefgh HTTP/1.1\r\nHost: gw.example\r\nAuthorization: Bearer sk-lab-0123456789abcdef\r\nCookie: sid=topsecret1\r\n\
         X-Unheard-Of: whoknowswhat\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let out = covered(&request).unwrap();
    for gone in ["sk-lab", "abcdefgh", "topsecret1", "whoknowswhat", "Zurich"] {
        assert!(!out.contains(gone), "{gone} in {out}");
    }
    for left in ["POST /mcp/weather?key=", "Bearer ", "\"method\":\"tools/call\"", "\"name\":\"get_weather\"", "\"id\":7", "gw.example"] {
        assert!(out.contains(left), "no {left} in {out}");
    }
}

#[test]
fn lists_and_errors_stay_and_an_echoed_token_goes() {
    let list = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a","description":"Tells the weather"}]}}"#;
    let event = format!("event: message\r\nid: 0af7651916cd43dd\r\ndata: {list}\r\n\r\n");
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nmcp-session-id: my-session-1\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{event}\r\n0\r\n\r\n\
         HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 57\r\n\r\n{}",
        event.len(),
        r#"{"error":"invalid_token","detail":"my-session-1 is over"}"#
    );
    let out = covered(&answer).unwrap();
    assert!(out.contains(list) && out.contains("invalid_token") && out.contains("is over"), "{out}");
    assert!(!out.contains("my-session-1") && !out.contains("0af7651916cd43dd"), "{out}");
}

#[test]
fn what_is_not_understood_is_overwritten() {
    let out = covered("tail of something sk-lab-secret\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert!(!out.contains("secret") && out.contains("GET /x HTTP/1.1"), "{out}");
    assert_eq!(covered("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"), Err(Coded));
    // A head that the capture cut off.
    assert!(!covered("POST /mcp HTTP/1.1\r\nAuthorization: Bearer sk-lab-01234").unwrap().contains("sk-lab"));
}
