//! A run as OpenTelemetry's protocol tells it (OTLP 1.x, binary protobuf): a pair is a trace, a finding a log record, what is counted a
//! metric. All times are the packets' own, and ids follow from what was seen, so that the same capture gives the same bytes.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use sha2::{Digest, Sha256};

use super::record::token;
use super::text::{Groups, title};
use crate::base::{Addr, Ts};
use crate::correlate::{Leg, Link};
use crate::mcp::{Ask, Asked};
use crate::pipeline::Loss;
use crate::verdict::{Finding, Judged, Verdict};

/// Gathers what is to be exported.
#[derive(Debug)]
pub struct Otlp {
    spans: Vec<Span>,
    logs: Vec<LogRecord>,
    kinds: Groups,
    figures: BTreeMap<(&'static str, Labels), u64>,
    first: Option<Ts>,
    last: Ts,
}

/// Attributes of a figure; an empty name is none.
type Labels = [(&'static str, String); 2];

/// One request to the receiver.
#[derive(Debug, PartialEq, Eq)]
pub struct Parcel {
    /// Below the receiver's URL.
    pub path: &'static str,
    /// Protobuf.
    pub body: Vec<u8>,
    /// Spans, log records or data points.
    pub items: u64,
}

impl Default for Otlp {
    fn default() -> Otlp {
        Otlp { spans: Vec::new(), logs: Vec::new(), kinds: Groups::new(), figures: BTreeMap::new(), first: None, last: Ts(0) }
    }
}

impl Otlp {
    /// A pair: a span for the client's request, one below it for each upstream exchange.
    pub fn pair(&mut self, judged: &Judged) {
        let spans = spans(judged);
        self.seen(judged.pair.down.start().ts);
        self.seen(judged.pair.down.last().ts);
        let failure = judged.failure.map(|failure| failure.to_string()).unwrap_or_default();
        self.count(PAIRS, [("gatewitness.verdict", judged.verdict.to_string()), ("gatewitness.failure", failure)], 1);
        if let Some(reason) = judged.because.filter(|_| judged.verdict == Verdict::Unresolved) {
            self.count(UNRESOLVED, [("gatewitness.reason", reason.to_string()), NONE], 1);
        }
        if judged.verdict.flagged() && self.kinds.is_new(judged) {
            let mut log = log("gatewitness.hidden_failure", judged.pair.down.last().ts, format!("{}{}", judged.verdict, title(judged)));
            log.attributes = verdict(judged);
            if let Some(span) = spans.first() {
                (log.trace_id, log.span_id) = (span.trace_id.clone(), span.span_id.clone());
            }
            self.logs.push(log);
        }
        self.spans.extend(spans);
    }

    /// A finding, as it stands at the end.
    pub fn finding(&mut self, finding: &Finding) {
        let Finding { verdict, rule, failure, cause, route, server, count, at_least, at_most, clients, tokens, .. } = finding;
        let text = format!("finding {}: {verdict} on {route}, {count} times", finding.number);
        let mut log = log("gatewitness.finding", finding.last, text);
        log.attributes = vec![
            word("gatewitness.verdict", verdict),
            word("gatewitness.rule", rule),
            word("url.path", route),
            word("gatewitness.first", finding.first),
            word("gatewitness.last", finding.last),
            number("gatewitness.count", *count),
            number("gatewitness.at_least", *at_least),
            number("gatewitness.at_most", *at_most),
            number("gatewitness.clients", *clients),
            number("gatewitness.credentials", *tokens),
            word("gatewitness.advice", &finding.advice),
        ];
        log.attributes.extend(failure.map(|failure| word("gatewitness.failure", failure)));
        log.attributes.extend(cause.map(|cause| word("gatewitness.cause", cause)));
        log.attributes.extend(server.iter().flat_map(|server| place("server", server)));
        log.attributes.extend(finding.recovered.map(|at| word("gatewitness.recovered", at)));
        self.logs.push(log);
    }

    /// Something that the witness could not see.
    pub fn loss(&mut self, loss: &Loss) {
        let mut log = log("gatewitness.loss", loss.at.unwrap_or(self.last), loss.detail.clone());
        log.attributes = vec![word("gatewitness.kind", &loss.kind), word("gatewitness.place", &loss.place)];
        self.logs.push(log);
        self.count(LOSSES, [("gatewitness.kind", loss.kind.clone()), NONE], 1);
    }

    /// Packets so far, and those that were lost, by who dropped them.
    pub fn packets(&mut self, received: u64, dropped: [(&'static str, u64); 3], last: Option<Ts>) {
        last.into_iter().for_each(|last| self.seen(last));
        self.figures.insert((RECEIVED, [NONE, NONE]), received);
        for (by, packets) in dropped {
            self.figures.insert((DROPPED, [("gatewitness.by", by.to_owned()), NONE]), packets);
        }
    }

    /// Whether enough has gathered for a request.
    pub fn is_full(&self) -> bool {
        self.spans.len() + self.logs.len() >= BATCH
    }

    /// Spans and log records that have gathered.
    pub fn take(&mut self) -> Vec<Parcel> {
        let (spans, logs) = (std::mem::take(&mut self.spans), std::mem::take(&mut self.logs));
        let mut parcels = Vec::new();
        if !spans.is_empty() {
            let items = spans.len() as u64;
            let scope_spans = vec![ScopeSpans { scope: scope(), spans, schema_url: String::new() }];
            let resource_spans = vec![ResourceSpans { resource: resource(), scope_spans, schema_url: String::new() }];
            parcels.push(Parcel { path: "/v1/traces", body: ExportTraceServiceRequest { resource_spans }.encode_to_vec(), items });
        }
        if !logs.is_empty() {
            let items = logs.len() as u64;
            let scope_logs = vec![ScopeLogs { scope: scope(), log_records: logs, schema_url: String::new() }];
            let resource_logs = vec![ResourceLogs { resource: resource(), scope_logs, schema_url: String::new() }];
            parcels.push(Parcel { path: "/v1/logs", body: ExportLogsServiceRequest { resource_logs }.encode_to_vec(), items });
        }
        parcels
    }

    /// What was counted so far; nothing before the first packet.
    pub fn figures(&self) -> Option<Parcel> {
        let start = self.first?;
        let mut metrics: Vec<Metric> = Vec::new();
        for ((name, labels), figure) in &self.figures {
            let point = NumberDataPoint {
                attributes: labels
                    .iter()
                    .filter(|(key, value)| !key.is_empty() && !value.is_empty())
                    .map(|(key, value)| word(key, value))
                    .collect(),
                start_time_unix_nano: unix(start),
                time_unix_nano: unix(self.last),
                value: Some(number_data_point::Value::AsInt(i64::try_from(*figure).unwrap_or(i64::MAX))),
                ..NumberDataPoint::default()
            };
            match metrics.last_mut() {
                Some(Metric { name: last, data: Some(metric::Data::Sum(sum)), .. }) if last == name => sum.data_points.push(point),
                _ => metrics.push(metric(name, point)),
            }
        }
        let items = self.figures.len() as u64;
        let scope_metrics = vec![ScopeMetrics { scope: scope(), metrics, schema_url: String::new() }];
        let resource_metrics = vec![ResourceMetrics { resource: resource(), scope_metrics, schema_url: String::new() }];
        Some(Parcel { path: "/v1/metrics", body: ExportMetricsServiceRequest { resource_metrics }.encode_to_vec(), items })
    }

    fn count(&mut self, name: &'static str, labels: Labels, by: u64) {
        *self.figures.entry((name, labels)).or_default() += by;
    }

    fn seen(&mut self, at: Ts) {
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = self.last.max(at);
    }
}

/// The client's request first.
fn spans(judged: &Judged) -> Vec<Span> {
    let pair = &judged.pair;
    let trace_id = name(&pair.down, pair.element, b"trace", 16);
    let root = name(&pair.down, pair.element, b"down", 8);
    let mut down = span(&pair.down, pair.element, SpanKind::Server, trace_id.clone(), root.clone());
    down.attributes.extend(verdict(judged));
    if judged.verdict.flagged() {
        down.status = Some(Status { code: StatusCode::Error.into(), message: format!("{}{}", judged.verdict, title(judged)) });
    }
    let below = pair.up.iter().map(|Link { leg, score, group, .. }| {
        let mut up = span(leg, 0, SpanKind::Client, trace_id.clone(), name(leg, pair.element, b"up", 8));
        up.parent_span_id.clone_from(&root);
        up.attributes.push(key("gatewitness.link.score", Value::DoubleValue((score * 1000.0).round() / 1000.0)));
        up.attributes.push(number("gatewitness.link.visit", *group as u64));
        if leg.status().is_none_or(|status| status >= 400) {
            up.status = Some(Status { code: StatusCode::Error.into(), message: String::new() });
        }
        up
    });
    std::iter::once(down).chain(below.collect::<Vec<_>>()).collect()
}

/// One exchange. Names of attributes are OpenTelemetry's where it has any.
fn span(leg: &Leg, element: usize, kind: SpanKind, trace_id: Vec<u8>, span_id: Vec<u8>) -> Span {
    let request = leg.request.as_ref().map(|request| &request.head);
    let ask: Option<&Ask> = if let Asked::Rpc(asks) = &leg.asked { asks.get(element) } else { None };
    let method = ask.and_then(|ask| ask.method.as_deref());
    let mut attributes: Vec<KeyValue> = place("client", &leg.peers.client).into_iter().chain(place("server", &leg.peers.server)).collect();
    let http = request.map(|head| head.method.as_str()).filter(|method| !method.is_empty());
    attributes.extend(http.map(|method| word("http.request.method", method)));
    attributes.extend(request.map(|head| head.path.as_str()).filter(|path| !path.is_empty()).map(|path| word("url.path", path)));
    attributes.extend(leg.status().map(|status| number("http.response.status_code", status.into())));
    attributes.extend(method.map(|method| word("mcp.method.name", method)));
    attributes.extend(ask.and_then(|ask| ask.name.as_deref()).map(|name| word("gatewitness.mcp.name", name)));
    attributes.extend(token(leg).map(|mark| word("gatewitness.credential", format_args!("tok:{mark}"))));
    Span {
        trace_id,
        span_id,
        name: method.or(http).unwrap_or("exchange").to_owned(),
        kind: kind.into(),
        start_time_unix_nano: unix(leg.start().ts),
        end_time_unix_nano: unix(leg.last().ts),
        attributes,
        ..Span::default()
    }
}

fn verdict(judged: &Judged) -> Vec<KeyValue> {
    let mut all = vec![
        word("gatewitness.verdict", judged.verdict),
        word("gatewitness.rule", judged.rule),
        number("gatewitness.pair", judged.number),
        key("gatewitness.confidence", Value::DoubleValue((judged.confidence * 1000.0).round() / 1000.0)),
        word("gatewitness.gateway", judged.pair.gateway),
    ];
    all.extend(judged.failure.map(|failure| word("gatewitness.failure", failure)));
    all.extend(judged.server.map(|server| word("gatewitness.upstream", server)));
    all.extend(judged.cause.as_ref().map(|cause| word("gatewitness.cause", cause.kind)));
    all.extend(judged.because.map(|reason| word("gatewitness.unresolved_because", reason)));
    all
}

/// An id that follows from what was seen: the same request has the same one in every run.
fn name(leg: &Leg, element: usize, what: &[u8], bytes: usize) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(what);
    hash.update(format!("{} {} {} {} {element}", leg.peers.client, leg.peers.server, leg.start().ts.0, leg.id.n));
    hash.finalize()[..bytes].to_vec()
}

fn log(event: &str, at: Ts, text: String) -> LogRecord {
    LogRecord {
        time_unix_nano: unix(at),
        observed_time_unix_nano: unix(at),
        severity_number: SeverityNumber::Warn.into(),
        severity_text: "WARN".to_owned(),
        body: Some(AnyValue { value: Some(Value::StringValue(text)) }),
        event_name: event.to_owned(),
        ..LogRecord::default()
    }
}

fn metric(name: &str, point: NumberDataPoint) -> Metric {
    let (description, unit) = match name {
        PAIRS => ("Pairs of a client request with its upstream requests, by verdict and failure", "{pair}"),
        UNRESOLVED => ("Pairs of which too little was seen to judge them, by reason", "{pair}"),
        LOSSES => ("What could not be seen or kept, by kind", "{loss}"),
        RECEIVED => ("Packets captured, our own drops among them", "{packet}"),
        _ => ("Packets lost, by who dropped them", "{packet}"),
    };
    let sum = Sum { data_points: vec![point], aggregation_temporality: AggregationTemporality::Cumulative.into(), is_monotonic: true };
    Metric {
        name: name.to_owned(),
        description: description.to_owned(),
        unit: unit.to_owned(),
        data: Some(metric::Data::Sum(sum)),
        ..Metric::default()
    }
}

fn place(role: &str, at: &Addr) -> [KeyValue; 2] {
    [word(&format!("{role}.address"), at.ip()), number(&format!("{role}.port"), at.port().into())]
}

fn word(name: &str, value: impl std::fmt::Display) -> KeyValue {
    key(name, Value::StringValue(value.to_string()))
}

fn number(name: &str, value: u64) -> KeyValue {
    key(name, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn key(name: &str, value: Value) -> KeyValue {
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn unix(at: Ts) -> u64 {
    u64::try_from(at.0).unwrap_or_default()
}

fn resource() -> Option<Resource> {
    let attributes = vec![word("service.name", "gatewitness"), word("service.version", env!("CARGO_PKG_VERSION"))];
    Some(Resource { attributes, ..Resource::default() })
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope {
        name: "gatewitness".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    })
}

const PAIRS: &str = "gatewitness.pairs";
const UNRESOLVED: &str = "gatewitness.unresolved_pairs";
const LOSSES: &str = "gatewitness.losses";
const RECEIVED: &str = "gatewitness.packets.received";
const DROPPED: &str = "gatewitness.packets.dropped";
const NONE: (&str, String) = ("", String::new());
/// Spans and log records that make a request: a few hundred kilobytes.
const BATCH: usize = 512;
