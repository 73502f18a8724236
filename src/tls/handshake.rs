//! The handshake of a connection: what is sent in the open comes in, and which secrets are whose goes out.

use crate::base::{Count, Dir, Stamp};

use super::cipher::Opener;
use super::connection::{Connection, TLS13};
use super::facts;
use super::hello::{ClientHello, Message, ServerHello, alert};
use super::keylog::{KeyLog, Label, Random};
use super::keyring::{Key, Stage};
use super::record::{Head, kind};
use super::suite::{self, Suite};
use super::workbench::Context;

/// What both hellos and the messages after them have said.
#[derive(Default)]
pub(super) struct Handshake {
    pub(super) client: Option<ClientHello>,
    pub(super) server: Option<ServerHello>,
    /// The server's hello was sent, and missed.
    pub(super) server_lost: bool,
    /// Chosen in EncryptedExtensions.
    pub(super) alpn: Option<String>,
    pub(super) suite: Option<Suite>,
    /// The client random, from its hello or from the secret that opened a record.
    pub(super) random: Option<Random>,
    /// The client's Finished was read.
    pub(super) finished: bool,
    /// Grows with each change that may make keys known.
    pub(super) epoch: u32,
    pub(super) early: Early,
}

/// Early data: plaintext that counts only if the server takes it (RFC 8446, section 4.2.10). If not, the client sends it again.
#[derive(Default)]
pub(super) struct Early {
    pub(super) accepted: Option<bool>,
    /// EndOfEarlyData was read.
    pub(super) done: bool,
    /// Read, and not yet known to be accepted. `None`: a hole.
    pub(super) kept: Vec<(Option<Vec<u8>>, Stamp)>,
    pub(super) bytes: usize,
}

impl Handshake {
    pub(super) fn is_tls13(&self) -> bool {
        self.server.as_ref().is_some_and(|server| server.version == TLS13)
    }

    /// Sealed with what both hellos agreed, in an old way.
    pub(super) fn is_tls12(&self) -> bool {
        self.server.as_ref().is_some_and(|server| server.version != TLS13)
    }

    pub(super) fn change(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
    }
}

impl Connection {
    /// Whether a record is sealed.
    pub(super) fn is_sealed(&mut self, dir: Dir, head: Head, body: &[u8]) -> bool {
        match head.kind {
            kind::APPLICATION_DATA => {
                let from_client = self.client == Some(dir);
                if !from_client && self.client.is_some() {
                    self.no_more_hello();
                }
                true
            }
            _ if self.handshake.is_tls13() || !self.half(dir).ciphered => false,
            // RFC 8446, appendix D.4: the client may send ChangeCipherSpec before its second ClientHello.
            kind::HANDSHAKE if self.handshake.server.is_none() => !starts_hello(body),
            kind::ALERT => body.len() > 2,
            kind::CHANGE_CIPHER_SPEC => body.len() > 1,
            _ => true,
        }
    }

    /// A record in the open.
    pub(super) fn plain(&mut self, dir: Dir, head: Head, body: &mut [u8], at: Stamp, cx: &mut Context<'_>) {
        match head.kind {
            kind::CHANGE_CIPHER_SPEC => {
                self.half(dir).ciphered = true;
                self.half(dir).messages.lose();
            }
            kind::ALERT => self.alert(dir, body, at, cx),
            kind::HANDSHAKE => {
                if self.half(dir).holed {
                    // After a hole: a hello, the end of a handshake of TLS 1.2 whose ChangeCipherSpec is lost, or of no use.
                    if self.handshake.is_tls12()
                        && let Some(found) = self.open(dir, head, body, cx.keys)
                    {
                        self.half(dir).ciphered = true;
                        return self.deliver(dir, &found, body, at, cx);
                    }
                    if !starts_hello(body) {
                        return;
                    }
                    self.half(dir).holed = false;
                }
                self.messages(dir, body, at, cx);
            }
            _ => {}
        }
    }

    /// Handshake messages, in the open or opened.
    pub(super) fn messages(&mut self, dir: Dir, mut input: &[u8], at: Stamp, cx: &mut Context<'_>) {
        let mut messages = std::mem::take(&mut self.half(dir).messages);
        while let Some(message) = messages.next(&mut input) {
            self.message(dir, message, at, cx);
        }
        self.half(dir).messages = messages;
    }

    fn message(&mut self, dir: Dir, message: Message, at: Stamp, cx: &mut Context<'_>) {
        match message {
            Message::Client(hello) => {
                self.client = Some(dir);
                self.handshake.random = Some(hello.random);
                // The first hello says what was wanted; a second one after a retry request is the same but for its key share.
                self.handshake.client.get_or_insert(hello).random = self.handshake.random.unwrap_or_default();
                self.handshake.change();
            }
            Message::Server(hello) => self.server_hello(dir, hello, cx),
            Message::RetryRequest => self.end_early(false, at, cx),
            Message::Extensions { alpn, early } => {
                self.handshake.alpn = alpn.or(self.handshake.alpn.take());
                self.end_early(early, at, cx);
            }
            Message::EndOfEarlyData if self.client == Some(dir) => {
                self.handshake.early.done = true;
                self.end_early(true, at, cx);
            }
            Message::Finished => self.handshake.finished |= self.client == Some(dir),
            Message::KeyUpdate if self.half(dir).ring.stage() == Some(Stage::Application) => self.half(dir).ring.key_update(),
            Message::EndOfEarlyData | Message::KeyUpdate => {}
        }
    }

    fn server_hello(&mut self, dir: Dir, hello: ServerHello, cx: &mut Context<'_>) {
        self.client = Some(dir.flip());
        let tls13 = hello.version == TLS13;
        let suite = suite::supported(hello.suite, tls13).filter(|_| tls13 || hello.version == TLS12);
        if suite.is_none() && self.unsupported.is_none() {
            cx.bench.counts.bump(Count::TlsUnsupported);
            let old = !matches!(hello.version, TLS12 | TLS13);
            self.unsupported = Some(if old { facts::version(hello.version).to_owned() } else { suite::name(hello.suite) });
        }
        self.handshake.suite = suite;
        self.handshake.server = Some(hello);
        self.handshake.change();
        for half in &mut self.halves {
            half.loaded = 0;
        }
        // Early data waits for the suite.
        if !self.half(dir.flip()).waiting.is_empty() {
            self.retry(cx);
        }
    }

    pub(super) fn alert(&mut self, dir: Dir, body: &[u8], at: Stamp, cx: &mut Context<'_>) {
        let &[level, code] = body else { return };
        match code {
            CLOSE_NOTIFY => self.finish(dir, at, cx),
            USER_CANCELED => {}
            // RFC 8446, section 6: in TLS 1.3 the level says nothing, all errors are fatal.
            code if level == FATAL || self.handshake.is_tls13() => {
                self.failed.get_or_insert_with(|| alert(code));
            }
            _ => {}
        }
    }

    /// The server's hello cannot come any more, if it has not.
    pub(super) fn lost_hello(&mut self, dir: Dir) {
        if self.client != Some(dir) {
            self.no_more_hello();
        }
    }

    pub(super) fn no_more_hello(&mut self) {
        if self.handshake.server.is_none() && !std::mem::replace(&mut self.handshake.server_lost, true) {
            self.handshake.change();
        }
    }

    /// Looks up the keys of a direction, where there is news.
    pub(super) fn load(&mut self, dir: Dir, keys: &KeyLog) {
        let news = Some((keys.version(), self.handshake.epoch));
        let (tls12, server_known) = (self.handshake.is_tls12(), self.handshake.server.is_some());
        let (suite, random, client) = (self.handshake.suite, self.handshake.random, self.client);
        let half = self.half(dir);
        if half.looked == news {
            return;
        }
        half.looked = news;
        let (Some(random), Some(client)) = (random, client) else { return };
        if server_known && suite.is_none() || !server_known && !self.handshake.server_lost && self.handshake.client.is_some() {
            return;
        }
        if tls12 {
            return self.load_tls12(dir, &random, keys);
        }
        let half = self.half(dir);
        for (bit, stage, label) in if client == dir { CLIENT } else { SERVER } {
            let Some(secret) = keys.secret(&random, *label).filter(|_| half.loaded & bit == 0) else { continue };
            half.loaded |= bit;
            let suites = suite.as_ref().map_or_else(|| suite::by_secret(secret.bytes().len()), std::slice::from_ref);
            for suite in suites {
                // What was agreed and what the key log holds may differ: a secret of another length fits no key.
                if let Some(key) = Key::tls13(*stage, *suite, secret.clone()) {
                    half.ring.add(key);
                }
            }
        }
    }

    fn load_tls12(&mut self, dir: Dir, random: &Random, keys: &KeyLog) {
        let (Some(suite), Some(server)) = (self.handshake.suite, &self.handshake.server) else { return };
        if self.halves.get(dir.index()).is_some_and(|half| half.loaded & APPLICATION != 0) {
            return;
        }
        let Some(master) = keys.secret(random, Label::Master) else { return };
        let opened = Opener::tls12(suite, &master, random, &server.random, server.encrypt_then_mac);
        let Some([client, server]) = opened else { return };
        let opener = if self.client == Some(dir) { client } else { server };
        let half = self.half(dir);
        half.loaded |= APPLICATION;
        half.ring.add(Key::tls12(suite, opener));
    }
}

/// Whether a record's body begins with a ClientHello or ServerHello.
fn starts_hello(body: &[u8]) -> bool {
    matches!(body, [1 | 2, 0, ..])
}

const EARLY: u8 = 1;
const HANDSHAKE: u8 = 2;
const APPLICATION: u8 = 4;

const CLIENT: &[(u8, Stage, Label)] = &[
    (EARLY, Stage::Early, Label::ClientEarly),
    (HANDSHAKE, Stage::Handshake, Label::ClientHandshake),
    (APPLICATION, Stage::Application, Label::ClientTraffic),
];

const SERVER: &[(u8, Stage, Label)] =
    &[(HANDSHAKE, Stage::Handshake, Label::ServerHandshake), (APPLICATION, Stage::Application, Label::ServerTraffic)];

const TLS12: u16 = 0x0303;

const FATAL: u8 = 2;
const CLOSE_NOTIFY: u8 = 0;
const USER_CANCELED: u8 = 90;
