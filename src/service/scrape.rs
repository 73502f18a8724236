//! `/metrics`: answers whoever scrapes, on a thread of its own. Speaks HTTP through hyper on tokio, one small answer a connection.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderMap};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{Registries, classic};

/// A socket on which scrapes will be answered.
#[derive(Debug)]
pub struct Scrapes(TcpListener);

/// Why it cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum NoScrapes {
    /// Others than this host could reach it, and nobody asked for that.
    #[error(
        "{0} can be reached from other hosts, and what runs there would be told to anyone who asks: add --metrics-remote if that is meant"
    )]
    Remote(SocketAddr),
    /// The system's word.
    #[error("{0}: {1}")]
    Bind(SocketAddr, io::Error),
}

impl Scrapes {
    /// Takes the port. Other than loopback addresses are refused unless they were asked for.
    pub fn bind(at: SocketAddr, remote: bool) -> Result<Scrapes, NoScrapes> {
        if !remote && !at.ip().to_canonical().is_loopback() {
            return Err(NoScrapes::Remote(at));
        }
        let listener = TcpListener::bind(at).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        listener.map(Scrapes).map_err(|error| NoScrapes::Bind(at, error))
    }

    /// Where it listens: the port that the system chose, where 0 was given.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Answers from now on, for as long as the process lives. `settle` is called on the thread before the first scrape is taken.
    pub fn answer(self, registries: Arc<Registries>, settle: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
        let (ready, told) = std::sync::mpsc::channel();
        let serve = move || {
            let begin = || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
                let listener = {
                    let _within = runtime.enter();
                    tokio::net::TcpListener::from_std(self.0)?
                };
                settle()?;
                Ok((runtime, listener))
            };
            match begin() {
                Ok((runtime, listener)) => {
                    ready.send(Ok(())).unwrap_or_default();
                    runtime.block_on(accept(listener, registries));
                }
                Err(error) => ready.send(Err(error)).unwrap_or_default(),
            }
        };
        thread::Builder::new().name("metrics".to_owned()).spawn(serve)?;
        told.recv().unwrap_or_else(|_| Err(io::Error::other("the thread for metrics died")))
    }
}

async fn accept(listener: tokio::net::TcpListener, registries: Arc<Registries>) {
    let room = Arc::new(Semaphore::new(MOST));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely: scrapes wait, and the run goes on.
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let registries = Arc::clone(&registries);
        let talk = async move {
            let answer = service_fn(|request| std::future::ready(Ok::<_, Infallible>(answer(&request, &registries))));
            let mut http = http1::Builder::new();
            let http = http.keep_alive(false).timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(REQUEST);
            // What goes wrong here is the scraper's affair, and it will tell.
            let _ = timeout(PATIENCE, http.serve_connection(TokioIo::new(stream), answer)).await;
            drop(place);
        };
        // The runtime has this one thread.
        tokio::spawn(talk);
    }
}

fn answer<B>(request: &Request<B>, registries: &Registries) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    if request.uri().path() != "/metrics" {
        *response.body_mut() = Full::new(Bytes::from_static(b"gatewitness: metrics are at /metrics\n"));
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        return response;
    }
    let open = wants_open_metrics(request.headers());
    let Some(text) = page(registries, open) else {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return response;
    };
    let kind = if open { OPEN_METRICS } else { CLASSIC };
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    *response.body_mut() = Full::new(Bytes::from(text));
    response
}

/// Prometheus asks for OpenMetrics since 2.5; others, promtool and people's curl among them, take the older text.
fn wants_open_metrics(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(|value| value.contains("application/openmetrics-text"))
}

fn page(registries: &Registries, open: bool) -> Option<String> {
    let mut text = String::new();
    registries.iter().try_for_each(|registry| encode_registry(&mut text, registry)).ok()?;
    if !open {
        return Some(classic(&text));
    }
    encode_eof(&mut text).ok()?;
    Some(text)
}

/// Connections at a time; others wait to be accepted.
const MOST: usize = 8;
/// For a whole connection.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes of a request: hyper's least.
const REQUEST: usize = 8_192;
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";
