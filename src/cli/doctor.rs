//! `gatewitness doctor`: what this host permits.

use std::io::{self, Write};

use clap::Args;
use serde_json::{Value, json};

use super::args::Format;
use super::exit::Exit;
use super::plaintext::prospects;
use crate::base::Limits;
use crate::service::confine::prospects as prospects_of_rights;
use crate::source::host::{Server, capabilities, clock, interfaces, kernel, servers};
use crate::source::live::{Capture, Feed, start};

/// Tell what this host permits, which gateway runs here, and what each missing thing costs
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Doctor {
    /// `text` for a person, `json` for one document [default: text]
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    format: Option<Format>,
}

impl Doctor {
    /// Looks, and tells.
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let capture = try_capture();
        let (servers, hidden) = servers();
        let text = match self.format.unwrap_or(Format::Text) {
            Format::Text => page(capture.as_deref(), &servers, hidden),
            Format::Json | Format::Ndjson => format!("{}\n", document(capture.as_deref(), &servers, hidden)),
            _ => anyhow::bail!("what a host permits is told as text or json"),
        };
        io::stdout().lock().write_all(text.as_bytes())?;
        // Usable or not: the contract's other exit codes are about verdicts.
        Ok(if capture.is_none() { Exit::Clean } else { Exit::Found })
    }
}

/// Why no packets can be captured; the kernel's own word, not a guess from capabilities.
fn try_capture() -> Option<String> {
    let mut feed = Feed::new(&Limits::default());
    let all = Capture { interfaces: vec!["any".to_owned()], ring: 1 << 20, ..Capture::default() };
    let tried = start(&all, &mut feed).err().map(|error| error.to_string());
    feed.stop();
    tried
}

fn page(no_capture: Option<&str>, servers: &[Server], hidden: usize) -> String {
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut row = |label: &str, text: String| rows.push((label.to_owned(), text));
    row("kernel", kernel());
    let devices: Vec<String> = interfaces().into_iter().map(|(name, up)| if up { name } else { format!("{name} (down)") }).collect();
    row("interfaces", format!("any, {}", devices.join(", ")));
    row(
        "packets",
        no_capture.map_or_else(|| "can be captured here".to_owned(), |why| format!("CANNOT be captured: {}", why.replace('\n', "; "))),
    );
    for capability in capabilities().iter().filter(|capability| !capability.held) {
        row("lacks", format!("{}: {}", capability.name, capability.without));
    }
    row("rights", format!("given up once everything is open: {}", prospects_of_rights()));
    let (source, synchronised) = clock();
    row("clock", format!("{source}; {}", if synchronised == Some(true) { "kept right" } else { KEPT }));
    if hidden > 0 {
        row("hidden", format!("sockets of {hidden} processes cannot be read: run it as root to see all gateways"));
    }
    let gateways: Vec<&Server> = servers.iter().filter(|server| server.is_gateway()).collect();
    for server in &gateways {
        row("gateway", format!("{} (pid {}), listening on {}", called(server), server.pid, addresses(server)));
        row("", format!("{} clients now, connected to {}", server.clients, upstreams(server)));
        if let Some(container) = &server.container {
            let enter = if server.elsewhere { format!("; its network: --container {container}") } else { String::new() };
            row("", format!("in container {container}{enter}"));
        } else if server.elsewhere {
            row("", format!("in another network namespace: --netns {}", server.pid));
        }
        row("", tls(server));
    }
    let (able, probed, unseen) = plaintext(servers);
    match able {
        Ok(how) => row("plaintext", how),
        Err(why) => row("plaintext", format!("of TLS CANNOT be read here: {}", why.replace('\n', "; "))),
    }
    if !probed.is_empty() {
        row("", format!("of the gateways: at the calls into {}", probed.join(", ")));
    }
    for line in unseen {
        row("", format!("not seen: {line}"));
    }
    if gateways.is_empty() {
        let listening: Vec<String> = servers.iter().map(|server| format!("{} on {}", server.name, addresses(server))).take(MOST).collect();
        let list = if listening.is_empty() { "nothing".to_owned() } else { listening.join("; ") };
        row("gateway", "none is known by name, or has connections on both sides at this moment".to_owned());
        row("", format!("listening here: {list}"));
        row("", "live finds gateways by what they do; --gateway ADDR:PORT names one".to_owned());
    }
    rows.iter().map(|(label, text)| format!("{label:12}{text}\n")).collect()
}

/// What `--tls` could do for the gateways.
fn plaintext(servers: &[Server]) -> (Result<String, String>, Vec<String>, Vec<String>) {
    let pids = servers.iter().filter(|server| server.is_gateway()).filter_map(|server| u32::try_from(server.pid).ok());
    prospects(&pids.collect::<Vec<_>>())
}

fn document(no_capture: Option<&str>, servers: &[Server], hidden: usize) -> Value {
    let (source, synchronised) = clock();
    let (able, probed, unseen) = plaintext(servers);
    json!({
        "usable": no_capture.is_none(),
        "kernel": kernel(),
        "capture": { "possible": no_capture.is_none(), "why": no_capture },
        "tls_plaintext": { "possible": able.is_ok(), "why": able.err(), "libraries": probed, "unseen": unseen },
        "interfaces": interfaces().into_iter().map(|(name, up)| json!({ "name": name, "up": up })).collect::<Vec<_>>(),
        "capabilities": capabilities().iter()
            .map(|one| json!({ "name": one.name, "held": one.held, "without": one.without })).collect::<Vec<_>>(),
        "rights_given_up": prospects_of_rights(),
        "clock": { "source": source, "synchronised": synchronised },
        "hidden_processes": hidden,
        "servers": servers.iter().map(|server| json!({
            "pid": server.pid,
            "name": server.name,
            "gateway": server.is_gateway(),
            "software": server.software,
            "listens": server.listens,
            "clients": server.clients,
            "upstreams": server.upstreams,
            "container": server.container,
            "other_network_namespace": server.elsewhere,
            "tls_libraries": server.tls,
            "keylog": server.keylog,
        })).collect::<Vec<_>>(),
    })
}

fn called(server: &Server) -> String {
    server.software.clone().unwrap_or_else(|| server.name.clone())
}

fn addresses(server: &Server) -> String {
    server.listens.iter().take(MOST).map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn upstreams(server: &Server) -> String {
    match server.upstreams.len() {
        0 => "nobody at this moment".to_owned(),
        n => {
            let some = server.upstreams.iter().take(MOST).map(ToString::to_string).collect::<Vec<_>>().join(", ");
            if n > MOST { format!("{some} and {} more", n - MOST) } else { some }
        }
    }
}

fn tls(server: &Server) -> String {
    match (&server.keylog, server.tls.is_empty()) {
        (Some(path), _) => format!("TLS keys are written: --keylog {}", path.display()),
        (None, true) => "no TLS library of a known name: what it encrypts can be read with a key log alone".to_owned(),
        (None, false) => {
            let all: Vec<&str> = server.tls.iter().map(String::as_str).collect();
            format!("TLS by {}; without SSLKEYLOGFILE in its environment, packets alone do not show what is encrypted", all.join(", "))
        }
    }
}

const KEPT: &str = "no time service was found: times may differ from those of other hosts, pairing does not depend on it";
const MOST: usize = 8;

const AFTER_HELP: &str = "\
Exit codes:
  0  packets can be captured here
  1  they cannot";
