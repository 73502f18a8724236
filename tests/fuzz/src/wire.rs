//! HTTP messages around bytes that are to be read as their bodies, and HTTP/2 frames around bytes that are to be read as their payload.

/// A request and its answer, each with a body of the given kind; the answer runs to the connection's end.
pub fn exchange(accept: &str, body: &[u8], kind: &str, answer: &[u8]) -> [Vec<u8>; 2] {
    let mut client = format!(
        "POST /mcp HTTP/1.1\r\nHost: gw\r\nAccept: {accept}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    client.extend(body);
    let mut server = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n").into_bytes();
    server.extend(answer);
    [client, server]
}

/// An HTTP/2 frame (RFC 9113, 4.1).
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    out.extend(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend([kind, flags]);
    out.extend((stream & 0x7fff_ffff).to_be_bytes());
    out.extend(payload);
}

/// What an HTTP/2 client says first (RFC 9113, 3.4), with its SETTINGS.
pub fn preface() -> Vec<u8> {
    let mut out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(4, 0, 0, &[], &mut out);
    out
}
