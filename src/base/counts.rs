//! What was seen, what was lost, and which limit was reached: one counter each.

macro_rules! counts {
    ($($(#[doc = $doc:literal])+ $name:ident $word:literal;)+) => {
        /// A thing worth counting.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Count { $($(#[doc = $doc])+ $name,)+ }

        impl Count {
            /// Every counter, in the order in which they are told.
            pub const ALL: &[Count] = &[$(Count::$name,)+];

            /// The word in records and metrics.
            pub fn as_str(self) -> &'static str {
                match self { $(Count::$name => $word,)+ }
            }

            /// What it counts, for people.
            pub fn doc(self) -> &'static str {
                match self { $(Count::$name => concat!($($doc),+),)+ }
            }
        }
    };
}

counts! {
    /// Packets read.
    Packets "packets";
    /// Bytes of packets read, as they were on the wire.
    PacketBytes "packet_bytes";
    /// Packets that hold no TCP (other protocols, other link content).
    NotTcp "not_tcp";
    /// Packets whose link type is not known.
    UnknownLink "unknown_link";
    /// Packets whose headers are cut or wrong.
    BadPacket "bad_packet";
    /// Packets whose payload the snapshot length cut.
    CutPackets "cut_packets";
    /// Segments whose checksum does not fit, most often because the network card fills it in later: used all the same.
    BadChecksum "bad_checksum";
    /// IP fragments read.
    Fragments "fragments";
    /// IP datagrams given up because fragments never came or the pool was full.
    FragmentsLost "fragments_lost";
    /// Segments seen a second time elsewhere (other interface, before or after NAT).
    Sightings "sightings";
    /// TCP segments.
    Segments "segments";
    /// Segments that carry bytes already seen.
    Retransmissions "retransmissions";
    /// Segments that carry other bytes than those seen at the same place.
    OverlapConflicts "overlap_conflicts";
    /// Segments that came before an earlier one.
    OutOfOrder "out_of_order";
    /// TCP connections.
    Connections "connections";
    /// Connections already open when the capture began.
    MidConnections "mid_connections";
    /// Connections closed to make room for others.
    Evicted "evicted_connections";
    /// Connection attempts that were refused or never answered.
    Refused "refused_connections";
    /// Holes in streams.
    Gaps "gaps";
    /// Bytes in those holes, where their length is known.
    GapBytes "gap_bytes";
    /// Times the limit on reordered bytes or segments was reached.
    ReorderLimit "reorder_limit";
    /// TLS connections.
    TlsConnections "tls_connections";
    /// TLS connections that could be decrypted.
    TlsDecrypted "tls_decrypted";
    /// TLS records that no key fits.
    TlsOpaqueRecords "tls_opaque_records";
    /// TLS connections whose cipher suite is not supported.
    TlsUnsupported "tls_unsupported";
    /// TLS secrets read.
    TlsSecrets "tls_secrets";
    /// HTTP requests.
    Requests "requests";
    /// HTTP responses.
    Responses "responses";
    /// HTTP messages that could not be read to their end.
    Incomplete "incomplete_messages";
    /// Bytes on an HTTP connection that are no HTTP.
    GarbledStreams "garbled_streams";
    /// Bodies whose content coding is unknown, damaged or beyond the limits.
    Undecoded "undecoded_bodies";
    /// Messages, bodies or events cut short by one of our limits.
    OverLimit "over_limit";
    /// Header fields whose name or value is unknown because the HPACK table's history was not seen.
    H2Unknown "h2_unknown_fields";
    /// Connections that left HTTP (WebSocket, CONNECT).
    Upgraded "upgraded_connections";
    /// Packets that the kernel dropped before they were captured.
    KernelDrops "kernel_drops";
    /// Packets that were dropped because the engine could not keep up.
    OwnDrops "own_drops";
    /// Packets that go back in time.
    TimeSteps "time_steps";
    /// Segments of no open connection: late ones of closed connections, bare ACKs and RSTs of connections never seen.
    Strays "stray_segments";
    /// Segments that the connection they name could not have sent: ignored.
    OutOfWindow "out_of_window";
    /// Connections seen under a second pair of addresses (NAT).
    Aliases "aliases";
    /// Times the limit on connections with a second pair of addresses was reached.
    AliasLimit "alias_limit";
    /// Connections whose plaintext was read at the process's own calls.
    TappedConnections "tapped_connections";
    /// Of those, the ones that were found in the packets.
    TappedTied "tapped_tied";
    /// Of those, the ones that were found by the lengths of their records, since no packet showed their hello.
    TappedSized "tapped_sized";
    /// Connections whose plaintext was read, and whose records' lengths fitted several connections: not told apart until they differed.
    TappedAmbiguous "tapped_ambiguous";
    /// Lines of key logs that are malformed.
    TlsBadSecrets "tls_bad_secrets";
    /// TLS secrets dropped to make room for others.
    TlsSecretsDropped "tls_secrets_dropped";
    /// Times the limit on TLS bytes waiting for a key was reached.
    TlsPendingLimit "tls_pending_limit";
    /// Pairs that the dashboard lists no longer, and servers, clients and losses that it could not tell apart.
    WatchLimit "watch_limit";
    /// Names of addresses in the capture that were not kept.
    NamesDropped "names_dropped";
    /// Losses that the summary and the documents about a whole run do not list any more.
    LossesUntold "losses_untold";
}

/// One number for each [`Count`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts([u64; Count::ALL.len()]);

impl Default for Counts {
    fn default() -> Counts {
        Counts([0; Count::ALL.len()])
    }
}

impl Counts {
    /// One more.
    pub fn bump(&mut self, count: Count) {
        self.add(count, 1);
    }

    /// `n` more.
    pub fn add(&mut self, count: Count, n: u64) {
        if let Some(slot) = self.0.get_mut(count as usize) {
            *slot = slot.saturating_add(n);
        }
    }

    /// How many so far.
    pub fn get(&self, count: Count) -> u64 {
        self.0.get(count as usize).copied().unwrap_or(0)
    }

    /// The sum of both, as for two shards.
    pub fn merge(&mut self, other: &Counts) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = mine.saturating_add(theirs);
        }
    }
}
