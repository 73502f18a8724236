//! What was captured, which gateway was found, what the verdicts are, and what to make of nothing.

use super::page::{Page, clean};
use super::say::{from_to, many, number};
use super::story::names;
use crate::base::Count;
use crate::correlate::Gateway;
use crate::pipeline::Summary;
use crate::report::view::{outcomes, untold};
use crate::verdict::{Reason, Verdict};

/// One line that says it all.
pub(super) fn headline(page: &mut Page, summary: &Summary) {
    let text = format!("{} · {} · {}", many(summary.findings, "finding"), outcomes(summary).join(", "), many(summary.pairs, "pair"));
    let name = page.strong("gatewitness");
    page.raw(&format!("{name}  {text}"));
}

/// Time span, packets, connections; what was lost or could not be read.
pub(super) fn captured(page: &mut Page, summary: &Summary) {
    page.heading("CAPTURED");
    let counts = &summary.counts;
    for name in summary.captures.iter().take(MOST_FILES) {
        page.line(2, name);
    }
    if summary.captures.len() > MOST_FILES {
        page.line(2, &format!("... and {}", many((summary.captures.len() - MOST_FILES) as u64, "more file")));
    }
    if let (Some(first), Some(last)) = (summary.first, summary.last) {
        page.field(2, "time", LABEL, &from_to(first, last));
    }
    let already = counts.get(Count::MidConnections);
    let open = if already > 0 { format!(" ({} open before the capture began)", number(already)) } else { String::new() };
    let seen = format!(
        "{}, {}{open}, {}",
        many(counts.get(Count::Packets), "packet"),
        many(counts.get(Count::Connections), "TCP connection"),
        many(summary.exchanges, "HTTP exchange")
    );
    page.field(2, "seen", LABEL, &seen);
    let tls = counts.get(Count::TlsConnections);
    if tls > 0 {
        page.field(
            2,
            "encrypted",
            LABEL,
            &format!("{}, {} of them decrypted", many(tls, "TLS connection"), number(counts.get(Count::TlsDecrypted))),
        );
    }
    losses(page, summary);
}

fn losses(page: &mut Page, summary: &Summary) {
    let told = summary.losses.iter().take(MOST_LOSSES).map(|loss| {
        let place = if loss.place.is_empty() { String::new() } else { format!("{}: ", loss.place) };
        format!("{place}{} ({})", loss.detail, loss.kind)
    });
    let untold = untold(summary, MOST_LOSSES);
    let more = (untold > 0).then(|| format!("... and {}: --format ndjson lists them all", many(untold, "more loss")));
    let counted = LOSSES.iter().filter(|count| summary.counts.get(**count) > 0);
    let counted = counted.map(|count| format!("{} × {}", number(summary.counts.get(*count)), lower(count.doc())));
    let mut label = "lost";
    for text in told.chain(more).chain(counted) {
        page.field(2, label, LABEL, &text);
        label = "";
    }
    if label == "lost" {
        page.field(2, label, LABEL, "nothing");
    }
}

/// Each gateway, how it was found, what is behind it; or what to do when there is none.
pub(super) fn gateways(page: &mut Page, summary: &Summary) {
    page.heading(if summary.gateways.len() > 1 { "GATEWAYS" } else { "GATEWAY" });
    for gateway in &summary.gateways {
        one(page, gateway, summary);
    }
    if summary.gateways.is_empty() {
        none(page, summary);
    }
}

fn one(page: &mut Page, gateway: &Gateway, summary: &Summary) {
    let software = gateway.software.as_ref().map(|software| format!("  {}", clean(software))).unwrap_or_default();
    let listen = page.strong(&clean(&summary.called(gateway.listen)));
    page.raw(&format!("  {listen}{software}"));
    page.field(4, if gateway.named { "named" } else { "found" }, LABEL, &gateway.how);
    let sides = format!("{} with clients, {} with upstream servers", many(gateway.downstream, "exchange"), number(gateway.upstream));
    page.field(4, "exchanges", LABEL, &sides);
    for (label, list) in [("upstream", &gateway.upstreams), ("unreadable", &gateway.opaque), ("relays", &gateway.relays)] {
        if !list.is_empty() {
            page.field(4, label, LABEL, &names(list, summary));
        }
    }
    if !gateway.opaque.is_empty() {
        page.field(4, "", LABEL, "encrypted: give the gateway's TLS keys with --keylog FILE to read them");
    }
}

/// What was seen instead, and what would help.
fn none(page: &mut Page, summary: &Summary) {
    let counts = &summary.counts;
    let file = summary.captures.first().map_or("CAPTURE", String::as_str);
    if counts.get(Count::Packets) == 0 {
        return page.line(2, "None found: there are no packets to read.");
    }
    if summary.exchanges == 0 {
        page.line(2, "None found: no HTTP was seen at all.");
        if counts.get(Count::TlsConnections) > counts.get(Count::TlsDecrypted) {
            page.line(2, "The traffic is encrypted: give the gateway's TLS keys with --keylog FILE.");
        } else {
            page.line(2, "Capture on the gateway's host, on all interfaces: tcpdump -i any -s 0 -w FILE tcp");
        }
        return;
    }
    let seen = many(summary.exchanges, "HTTP exchange");
    page.line(2, &format!("None found: {seen} seen, but no address both answers MCP requests and asks others for them."));
    page.line(2, &format!("If you know where it listens: --gateway ADDR:PORT. To see what is there: gatewitness exchanges {file}"));
    page.line(2, "The capture must hold both sides of the gateway: on its host, on all interfaces (tcpdump -i any).");
}

/// How many of each, and what it means.
pub(super) fn verdicts(page: &mut Page, summary: &Summary) {
    if summary.pairs == 0 {
        return;
    }
    page.heading("VERDICTS");
    for verdict in Verdict::ALL {
        let n = summary.verdicts.get(verdict).copied().unwrap_or(0);
        if n > 0 {
            let name = page.verdict(*verdict, 12);
            let mut rows = Page::new(false);
            rows.field(24, "", 0, verdict.doc());
            page.raw(&format!("  {name}{:>6}  {}", number(n), rows.into_text().trim()));
        }
    }
}

/// That there is nothing, and what could not be judged.
pub(super) fn conclusion<'a>(page: &mut Page, summary: &Summary, sample: impl Fn(Reason) -> Option<(u64, Option<&'a str>)>) {
    let unresolved = summary.verdicts.get(&Verdict::Unresolved).copied().unwrap_or(0);
    if summary.findings == 0 && summary.pairs > 0 {
        page.blank();
        let judged = summary.pairs.saturating_sub(unresolved);
        page.line(0, &format!("Nothing to report: {} judged, and no upstream failure was hidden in any of them.", many(judged, "pair")));
    }
    if summary.findings == 0 && summary.pairs == 0 {
        page.blank();
        page.line(0, "Nothing could be judged: there is no exchange with a gateway in it. This does not mean that all is well.");
    }
    if unresolved == 0 {
        return;
    }
    page.heading(&format!("NOT JUDGED ({})", many(unresolved, "pair")));
    for (reason, n) in &summary.unresolved {
        let text = match sample(*reason) {
            Some((pair, Some(detail))) => format!("{} For example pair {pair}: {detail}", reason.doc()),
            Some((pair, None)) => format!("{} For example pair {pair}.", reason.doc()),
            None => reason.doc().to_owned(),
        };
        page.field(2, &format!("{:12}{:>6}  ", reason.as_str(), number(*n)), 0, &text);
    }
}

/// A sentence made to stand after a number.
pub(in crate::report) fn lower(sentence: &str) -> String {
    let sentence = sentence.trim().trim_end_matches('.');
    let mut letters = sentence.chars();
    // An abbreviation keeps its capitals.
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if second.is_lowercase() => first.to_lowercase().chain([second]).chain(letters).collect(),
        _ => sentence.to_owned(),
    }
}

const LABEL: usize = 12;
const MOST_FILES: usize = 8;
const MOST_LOSSES: usize = 10;

/// Counters that stand for something the witness could not see.
pub(in crate::report) const LOSSES: &[Count] = &[
    Count::UnknownLink,
    Count::BadPacket,
    Count::CutPackets,
    Count::FragmentsLost,
    Count::OverlapConflicts,
    Count::Evicted,
    Count::Gaps,
    Count::ReorderLimit,
    Count::TlsOpaqueRecords,
    Count::TlsUnsupported,
    Count::TlsBadSecrets,
    Count::TlsSecretsDropped,
    Count::TlsPendingLimit,
    Count::Incomplete,
    Count::GarbledStreams,
    Count::Undecoded,
    Count::OverLimit,
    Count::H2Unknown,
    Count::KernelDrops,
    Count::OwnDrops,
];
