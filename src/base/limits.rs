//! Every buffer's number, in one place. `docs/architecture.md` mirrors this table.

macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident: $default:literal $unit:literal, at $then:literal;)+) => {
        /// Upper bounds on everything that traffic can make grow.
        #[derive(Clone, Debug)]
        pub struct Limits { $($(#[doc = $doc])+ pub $name: usize,)+ }

        impl Default for Limits {
            fn default() -> Limits { Limits { $($name: $default,)+ } }
        }

        impl Limits {
            /// Name, default, unit and what happens there, for `--help`, `doctor` and the documents.
            pub const TABLE: &[(&str, usize, &str, &str)] = &[$((stringify!($name), $default, $unit, $then),)+];
        }
    };
}

impl Limits {
    /// The same with the pools that count over the whole run cut to shares of so much memory (bytes): the queue of packets and the bytes
    /// held behind holes get an eighth each, TLS records that wait for a key a sixteenth. A pool that is smaller anyway stays as it is.
    pub fn within(self, memory: u64) -> Limits {
        let share = |part: u64| usize::try_from(memory / part).unwrap_or(usize::MAX);
        Limits {
            live_queue_bytes: self.live_queue_bytes.min(share(8)),
            reorder_bytes_total: self.reorder_bytes_total.min(share(8)),
            tls_pending_bytes_total: self.tls_pending_bytes_total.min(share(16)),
            ..self
        }
    }
}

limits! {
    /// Open TCP connections.
    connections: 131_072 "connections", at "the one longest silent is closed as evicted";
    /// Out-of-order bytes held for one direction of a connection.
    reorder_bytes: 1_048_576 "bytes", at "the hole before them is released as lost";
    /// Out-of-order segments held for one direction of a connection.
    reorder_segments: 1_024 "segments", at "the hole before them is released as lost";
    /// Out-of-order bytes held over all connections.
    reorder_bytes_total: 67_108_864 "bytes", at "the hole before the queue at hand is released as lost";
    /// IP datagrams being put together from fragments.
    fragment_datagrams: 256 "datagrams", at "the oldest is dropped";
    /// Bytes of IP fragments held.
    fragment_bytes: 4_194_304 "bytes", at "the oldest datagram is dropped";
    /// Recent segments remembered to recognise the same one seen elsewhere.
    sightings: 8_192 "segments", at "the oldest is forgotten";
    /// An HTTP/1 head, from start line to empty line; an HTTP/2 header block, decoded.
    head_bytes: 65_536 "bytes", at "the message is garbled";
    /// Header lines in one head.
    head_lines: 256 "lines", at "the message is garbled";
    /// Requests on one connection that wait for their answer.
    pipelined: 1_024 "requests", at "the oldest is given up as unanswered";
    /// Bytes of one body kept to judge it, after decoding.
    body_bytes: 4_194_304 "bytes", at "the body's rest is not read: what it says is unknown";
    /// Decoded bytes for each coded byte of a body, beyond the first 64 KiB.
    inflate_ratio: 200 "times", at "the body's rest is not read: what it says is unknown";
    /// One event of an SSE stream.
    sse_event_bytes: 4_194_304 "bytes", at "the event is dropped: what it says is unknown";
    /// Depth of nested JSON.
    json_depth: 128 "levels", at "the message is garbled";
    /// Messages of one JSON-RPC batch.
    batch: 256 "messages", at "the rest is not read: what it says is unknown";
    /// Names kept of one list answer.
    list_names: 4_096 "names", at "the rest is counted, not kept";
    /// HTTP/2 streams open on one connection.
    h2_streams: 4_096 "streams", at "the oldest is given up";
    /// HTTP/2 header table of one direction (RFC 9113 SETTINGS_HEADER_TABLE_SIZE is capped to it).
    h2_table_bytes: 65_536 "bytes", at "the table shrinks: later names may be unknown";
    /// TLS bytes of one direction waiting for a key or for the rest of their record.
    tls_pending_bytes: 262_144 "bytes", at "the oldest records become a hole";
    /// Secrets held from key logs and captures.
    tls_secrets: 262_144 "secrets", at "the oldest is dropped";
    /// Exchanges held for pairing.
    open_exchanges: 65_536 "exchanges", at "the oldest pair is judged with what is known";
    /// Findings told apart.
    findings: 10_000 "findings", at "further ones are counted in one that says so";
    /// Pair numbers listed in one finding.
    finding_pairs: 100_000 "pairs", at "further ones are counted, not listed";
    /// One block of a capture file.
    capture_block_bytes: 67_108_864 "bytes", at "it is damage: the next block that makes sense is sought";
    /// Memory that a compressed capture may demand for its history (zstd's window, xz's dictionary).
    codec_window_bytes: 134_217_728 "bytes", at "the file cannot be read";
    /// Closed connections remembered for a minute, so that their late segments open no new ones.
    closed_connections: 8_192 "connections", at "the oldest is forgotten";
    /// Other addresses remembered for each side of a connection.
    aliases: 8 "addresses", at "further ones are not kept";
    /// Processes remembered for one connection, from comments in the capture.
    processes: 4 "processes", at "further ones are not kept";
    /// Names of addresses kept, from name resolution blocks in the capture.
    names: 4_096 "names", at "further ones are counted, not kept";
    /// Bytes of an HTTP/2 connection's side held while searching where a frame begins (capture began late, bytes were lost).
    h2_resync_bytes: 131_072 "bytes", at "the search goes on behind them";
    /// Connections known under a second pair of addresses.
    tied_connections: 4_096 "connections", at "the one longest unused is forgotten";
    /// Requests that wait for an answer on another connection, and streams that may bring one.
    elsewhere: 65_536 "requests", at "the oldest is judged without the answer that may still come";
    /// TLS bytes waiting for a key over all connections.
    tls_pending_bytes_total: 33_554_432 "bytes", at "the oldest records of the connection at hand become a hole";
    /// Seconds of packet time for which TLS records wait for a key that may still come through a pipe.
    tls_pending_seconds: 60 "seconds", at "the connection's records become a hole";
    /// Closed connections whose TLS records wait for a key.
    tls_pending_connections: 1_024 "connections", at "the records of the one longest waiting become a hole";
    /// Events of exchanges held back since TLS records before them wait for a key.
    tls_pending_events: 16_384 "events", at "the records of the connection longest waiting become a hole";
    /// Findings that get an evidence bundle.
    evidence_bundles: 256 "bundles", at "later findings get none, which is said";
    /// Pairs remembered as evidence, over all findings.
    evidence_pairs: 2_048 "pairs", at "further ones are in no bundle";
    /// Pairs of one finding that its bundle holds.
    evidence_bundle_pairs: 64 "pairs", at "further ones are counted, not kept";
    /// Bytes kept of one connection for a bundle.
    evidence_connection_bytes: 4_194_304 "bytes", at "its later packets are left out, which is said";
    /// Bytes kept for all bundles of a run.
    evidence_bytes: 134_217_728 "bytes", at "later packets are left out, which is said";
    /// Bytes of packets kept of standard input for bundles, since it cannot be read twice.
    evidence_spool_bytes: 67_108_864 "bytes", at "the oldest packets are forgotten: bundles lack them, which is said";
    /// Ring between kernel and program for TLS plaintext (`--tls`); a power of two.
    tap_ring_bytes: 33_554_432 "bytes", at "plaintext is dropped, its place in the stream is a hole";
    /// Calls that pass the probes of `--tls`, for five seconds in a row.
    tap_calls_per_second: 100_000 "calls", at "the probes are taken off";
    /// Connections whose plaintext is read at OpenSSL's calls.
    tapped_connections: 16_384 "connections", at "the one longest silent is closed as evicted";
    /// Losses that the summary lists, each told as it came as well.
    losses: 1_000 "losses", at "further ones are told as they come and counted, not listed";
    /// Pairs listed in the dashboard.
    watch_pairs: 20_000 "pairs", at "the oldest are listed no longer, save flagged ones";
    /// Flagged pairs listed in the dashboard beyond those.
    watch_flagged: 5_000 "pairs", at "the oldest are listed no longer: findings and servers still count them";
    /// Pairs of which the dashboard can show the ladder and the evidence; of flagged ones as many again.
    watch_details: 1_000 "pairs", at "of the oldest only their line is left";
    /// Upstream servers told apart in the dashboard.
    watch_servers: 1_000 "servers", at "further ones are counted together";
    /// Clients told apart for one server in the dashboard.
    watch_clients: 1_000 "clients", at "further ones are not counted";
    /// Stretches of time in the dashboard's history.
    watch_history: 240 "stretches", at "stretches become longer, up to a minute; then the oldest is forgotten";
    /// Losses listed in the dashboard.
    watch_losses: 200 "losses", at "further ones are counted, not listed";
    /// Upstream servers told apart in `/metrics`.
    metrics_servers: 100 "servers", at "further ones are counted together as `other`";
    /// Requests to an OpenTelemetry receiver that wait to be sent (`--otlp`).
    otlp_queue: 64 "requests", at "live: the one at hand is dropped and counted; captures: reading waits while the receiver answers";
    /// Memory of captured packets that wait to be judged, live.
    live_queue_bytes: 67_108_864 "bytes", at "the batch at hand is dropped and counted";
    /// Batches of packets and other news that wait to be judged, live.
    live_queue_events: 4_096 "events", at "the batch at hand is dropped and counted";
    /// Lines that wait until syslog or the journal takes them (`--log`).
    log_lines: 1_000 "lines", at "the oldest is dropped; the end of the run tells how many";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_get_a_share_of_the_memory_and_never_more_than_their_limit() {
        let (all, small) = (Limits::default(), Limits::default().within(64 << 20));
        let pools = |limits: &Limits| [limits.live_queue_bytes, limits.reorder_bytes_total, limits.tls_pending_bytes_total];
        assert_eq!(pools(&small), [8 << 20, 8 << 20, 4 << 20]);
        assert_eq!(pools(&Limits::default().within(1 << 40)), pools(&all));
    }
}
