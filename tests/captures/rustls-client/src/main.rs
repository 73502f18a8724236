//! `rustls-client PORT FILE WORD...`: asks a server on this host for a file, twice with `resumed` or `early`.
//!
//! Words: `tls12`, `tls13`, a suite's name, `early` (0-RTT), `resumed`, `small` (records of 300 bytes), `update` (KeyUpdate in the
//! middle). Secrets go where SSLKEYLOGFILE says. No certificate is checked.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, KeyLogFile, SignatureScheme, Stream, version};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| words.iter().any(|other| other == word);
    let mut provider = default_provider();
    let named = |suite: &rustls::SupportedCipherSuite| format!("{:?}", suite.suite());
    if provider.cipher_suites.iter().any(|suite| has(&named(suite))) {
        provider.cipher_suites.retain(|suite| has(&named(suite)));
    }
    let versions = if has("tls12") { vec![&version::TLS12] } else { vec![&version::TLS13] };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&versions)
        .expect("suites and versions fit")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    config.key_log = Arc::new(KeyLogFile::new());
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.enable_early_data = has("early");
    if has("small") {
        config.max_fragment_size = Some(300);
    }
    let config = Arc::new(config);
    for _ in 0..if has("early") || has("resumed") { 2 } else { 1 } {
        ask(&config, &words[0], &words[1], has("early"), has("update"));
    }
}

fn ask(config: &Arc<ClientConfig>, port: &str, file: &str, early: bool, update: bool) {
    let mut tcp = TcpStream::connect(format!("127.0.0.1:{port}")).expect("the server listens");
    tcp.set_nodelay(true).expect("a socket");
    tcp.set_read_timeout(Some(Duration::from_millis(800))).expect("a socket");
    let name = ServerName::try_from("upstream.test").expect("a name");
    let mut tls = ClientConnection::new(config.clone(), name).expect("a connection");
    let request = format!("GET /{file} HTTP/1.1\r\nHost: upstream.test\r\nX-Padding: {}\r\n\r\n", "p".repeat(700));
    let (first, rest) = request.split_at(20);
    let sent_early = early && tls.early_data().is_some_and(|mut data| data.write_all(first.as_bytes()).is_ok());
    let mut stream = Stream::new(&mut tls, &mut tcp);
    if !sent_early {
        stream.write_all(first.as_bytes()).expect("written");
        stream.flush().expect("written");
    }
    if update {
        stream.conn.refresh_traffic_keys().expect("TLS 1.3");
    }
    stream.write_all(rest.as_bytes()).expect("written");
    stream.flush().expect("written");
    let mut answer = Vec::new();
    // The server of the recordings closes without a word, or not at all.
    let _ = stream.read_to_end(&mut answer);
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}
