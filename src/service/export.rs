//! Sends what it is given to a receiver, on a thread of its own, and never lets anybody wait who does not want to. Speaks HTTP/1.1 through
//! hyper on tokio, over one connection that is opened again where it broke.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Where it goes, found while there were rights to look for it.
#[derive(Clone, Debug)]
pub struct Target {
    address: SocketAddr,
    host: String,
    base: String,
}

/// Why it cannot go there.
#[derive(Debug, thiserror::Error)]
pub enum NoTarget {
    /// No URL, or one of another kind.
    #[error("{0}: expected http://HOST:PORT, as http://127.0.0.1:4318 (no TLS: let a collector on this host encrypt)")]
    Url(String),
    /// Its name is not known.
    #[error("{0}: {1}")]
    Name(String, io::Error),
}

impl Target {
    /// Finds the address once: a receiver that moves takes a restart.
    pub fn find(url: &str) -> Result<Target, NoTarget> {
        let wrong = || NoTarget::Url(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let (Some("http"), Some(host)) = (uri.scheme_str(), uri.authority()) else { return Err(wrong()) };
        if uri.query().is_some() || host.as_str().contains('@') {
            return Err(wrong());
        }
        let name = host.host().trim_start_matches('[').trim_end_matches(']');
        let found = (name, host.port_u16().unwrap_or(80)).to_socket_addrs().map_err(|error| NoTarget::Name(url.to_owned(), error))?;
        let address = found.into_iter().next().ok_or_else(wrong)?;
        Ok(Target { address, host: host.as_str().to_owned(), base: uri.path().trim_end_matches('/').to_owned() })
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Takes what is to be sent.
#[derive(Debug)]
pub struct Exporter {
    queue: Option<SyncSender<(String, Vec<u8>, u64)>>,
    done: Receiver<()>,
    told: Arc<Told>,
}

/// How it went so far.
#[derive(Debug, Default)]
struct Told {
    sent: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    away: std::sync::atomic::AtomicBool,
    why: Mutex<Option<String>>,
}

/// The same in numbers: spans, log records and data points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Taken by the receiver.
    pub sent: u64,
    /// Never sent, since the queue was full.
    pub dropped: u64,
    /// Refused by the receiver, or it could not be reached.
    pub failed: u64,
}

impl Exporter {
    /// Sends from now on. `settle` is called on the thread before anything is sent; at most `queue` requests wait.
    pub fn start(target: Target, queue: usize, settle: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<Exporter> {
        let (give, take) = sync_channel(queue);
        let (over, done) = sync_channel(1);
        let (ready, begun) = sync_channel(1);
        let told = Arc::new(Told::default());
        let tell = Arc::clone(&told);
        let work = move || {
            let begin = || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
                settle()?;
                Ok(runtime)
            };
            match begin() {
                Ok(runtime) => {
                    ready.send(Ok(())).unwrap_or_default();
                    send(&runtime, &take, &target, &tell);
                }
                Err(error) => ready.send(Err(error)).unwrap_or_default(),
            }
            over.send(()).unwrap_or_default();
        };
        thread::Builder::new().name("otlp".to_owned()).spawn(work)?;
        begun.recv().unwrap_or_else(|_| Err(io::Error::other("the thread for OTLP died")))?;
        Ok(Exporter { queue: Some(give), done, told })
    }

    /// Something to be sent, with the number of things in it. With `wait` the caller waits for a place in the queue as long as the receiver
    /// answers; without it, what does not fit is dropped.
    pub fn offer(&self, path: &str, body: Vec<u8>, items: u64, wait: bool) {
        let Some(queue) = &self.queue else { return };
        let mut parcel = (path.to_owned(), body, items);
        loop {
            parcel = match queue.try_send(parcel) {
                Ok(()) => return,
                Err(TrySendError::Full(parcel)) if wait && !self.told.away.load(Ordering::Relaxed) => parcel,
                Err(_) => {
                    self.told.dropped.fetch_add(items, Ordering::Relaxed);
                    return;
                }
            };
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Why something could not be sent, the first time that is asked since it went wrong.
    pub fn trouble(&self) -> Option<String> {
        self.told.why.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// How it went so far.
    pub fn exported(&self) -> Exported {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Exported { sent: of(&self.told.sent), dropped: of(&self.told.dropped), failed: of(&self.told.failed) }
    }

    /// Nothing more comes: what waits is sent, for a few seconds. What is left then counts as failed.
    pub fn finish(&mut self, waiting: u64) -> Exported {
        self.queue = None;
        let over = self.done.recv_timeout(LAST).is_ok();
        let mut exported = self.exported();
        if !over {
            exported.failed = waiting.saturating_sub(exported.sent + exported.dropped);
        }
        exported
    }
}

fn send(runtime: &tokio::runtime::Runtime, queue: &Receiver<(String, Vec<u8>, u64)>, target: &Target, told: &Told) {
    let mut line: Option<SendRequest<Full<Bytes>>> = None;
    let mut said = false;
    loop {
        let (path, body, items) = match queue.recv_timeout(Duration::from_secs(1)) {
            Ok(parcel) => parcel,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let body = Bytes::from(body);
        // A receiver that is away is asked once for each parcel: what waits meanwhile would only be dropped later.
        let tries = if told.away.load(Ordering::Relaxed) { &WAITS[..1] } else { WAITS };
        let mut outcome = Err(Refused { why: String::new(), again: true });
        for wait in tries {
            thread::sleep(*wait);
            let one = async {
                let post = post(&mut line, target, &path, body.clone());
                timeout(PATIENCE, post).await.unwrap_or_else(|_| Err(Refused { why: "no answer within 10 s".to_owned(), again: true }))
            };
            outcome = runtime.block_on(one);
            match &outcome {
                Err(refused) if refused.again => line = None,
                _ => break,
            }
        }
        match outcome {
            Ok(()) => {
                told.sent.fetch_add(items, Ordering::Relaxed);
                told.away.store(false, Ordering::Relaxed);
                said = false;
            }
            Err(Refused { why, again }) => {
                told.failed.fetch_add(items, Ordering::Relaxed);
                told.away.store(again, Ordering::Relaxed);
                if !said {
                    *told.why.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("http://{}{path}: {why}", target.host));
                    said = true;
                }
            }
        }
    }
}

struct Refused {
    why: String,
    /// It may go better another time.
    again: bool,
}

impl<E: std::error::Error> From<E> for Refused {
    fn from(error: E) -> Refused {
        let why = error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
        Refused { why, again: true }
    }
}

async fn post(line: &mut Option<SendRequest<Full<Bytes>>>, target: &Target, path: &str, body: Bytes) -> Result<(), Refused> {
    if line.as_ref().is_none_or(SendRequest::is_closed) {
        let stream = TcpStream::connect(target.address).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // What goes wrong with it is told to whoever sends next.
        tokio::spawn(async move { drop(connection.await) });
        *line = Some(sender);
    }
    let Some(sender) = line else { return Ok(()) };
    sender.ready().await?;
    let request = Request::post(format!("{}{path}", target.base))
        .header(HOST, &target.host)
        .header(CONTENT_TYPE, "application/x-protobuf")
        .body(Full::new(body))?;
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    // Read to its end, so that the connection can be used again.
    if Limited::new(answer.into_body(), ANSWER).collect().await.is_err() {
        *line = None;
    }
    // OTLP 1.x, "Failures": these may be tried again, others not.
    let again = matches!(status.as_u16(), 429 | 502 | 503 | 504);
    if status.is_success() { Ok(()) } else { Err(Refused { why: format!("answered {status}"), again }) }
}

/// Before each try.
const WAITS: &[Duration] = &[Duration::ZERO, Duration::from_millis(200), Duration::from_secs(1)];
/// For one try.
const PATIENCE: Duration = Duration::from_secs(10);
/// For everything that still waits at the end.
const LAST: Duration = Duration::from_secs(15);
/// Bytes of an answer.
const ANSWER: usize = 65_536;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Instant;

    use super::*;

    #[test]
    fn who_does_not_wait_is_not_held_up_by_a_receiver_that_says_nothing() {
        // The kernel takes the connection, and nobody ever answers.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target::find(&format!("http://{}", silent.local_addr().unwrap())).unwrap();
        let exporter = Exporter::start(target, 4, || Ok(())).unwrap();
        let begun = Instant::now();
        (0..1_000).for_each(|_| exporter.offer("/v1/traces", vec![0; 1_000], 3, false));
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        let Exported { sent, dropped, failed } = exporter.exported();
        // One is on its way, four wait.
        assert!(sent == 0 && failed == 0 && (2_985..=2_988).contains(&dropped), "{dropped}");
    }

    #[test]
    fn urls_are_of_receivers_without_tls() {
        let found = |url: &str| Target::find(url).ok().map(|target| (target.address.to_string(), target.base));
        assert_eq!(found("http://127.0.0.1:4318"), Some(("127.0.0.1:4318".to_owned(), String::new())));
        assert_eq!(found("http://[::1]:4318/otlp/"), Some(("[::1]:4318".to_owned(), "/otlp".to_owned())));
        assert_eq!(found("http://127.0.0.1"), Some(("127.0.0.1:80".to_owned(), String::new())));
        assert!(
            ["https://127.0.0.1:1", "127.0.0.1:1", "http://", "http://a@127.0.0.1:1", "ftp://127.0.0.1"]
                .iter()
                .all(|url| found(url).is_none())
        );
    }
}
