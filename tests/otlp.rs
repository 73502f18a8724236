//! `--otlp`: what an OpenTelemetry receiver is sent is what the records say, a receiver that is away harms nobody, and nothing secret goes.
#![cfg(feature = "live")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use common::{command, file, gatewitness, need_all, secrets, venv};
use serde_json::Value;

/// A receiver on OpenTelemetry's protocol package; ended when dropped.
struct Receiver {
    child: Child,
    port: String,
    out: tempfile::NamedTempFile,
}

impl Receiver {
    fn start(mut python: Command, port: &str, env: &[(&str, &str)]) -> Receiver {
        let out = tempfile::NamedTempFile::new().expect("a file");
        python.args(["tests/otlp/receiver.py", port]).envs(env.iter().copied()).current_dir(env!("CARGO_MANIFEST_DIR"));
        let child = python.stdout(out.reopen().expect("a file")).stdin(Stdio::null()).spawn().expect("python runs");
        let mut receiver = Receiver { child, port: String::new(), out };
        let begun = std::time::Instant::now();
        while receiver.port.is_empty() {
            assert!(begun.elapsed().as_secs() < 30, "the receiver does not start");
            std::thread::sleep(std::time::Duration::from_millis(50));
            receiver.port = receiver.lines().first().cloned().unwrap_or_default();
        }
        receiver
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::File::open(self.out.path()).expect("a file");
        BufReader::new(text).lines().map_while(Result::ok).collect()
    }

    /// What came under a path, without the wrapping of resource and scope.
    fn got(&self, path: &str) -> Vec<Value> {
        let (resources, scopes, items) = match path {
            "/v1/traces" => ("resourceSpans", "scopeSpans", "spans"),
            "/v1/logs" => ("resourceLogs", "scopeLogs", "logRecords"),
            _ => ("resourceMetrics", "scopeMetrics", "metrics"),
        };
        let told: Vec<Value> = self.lines().iter().skip(1).filter_map(|line| serde_json::from_str(line).ok()).collect();
        let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        let told = told.iter().filter(|told| told["path"] == path).flat_map(|told| list(&told["message"], resources));
        told.flat_map(|resource| list(&resource, scopes)).flat_map(|scope| list(&scope, items)).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Attributes by name, as text.
fn attributes(of: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let all = of["attributes"].as_array().cloned().unwrap_or_default();
    let value = |one: &Value| one["value"].as_object().and_then(|value| value.values().next()).map(text).unwrap_or_default();
    all.iter().map(|one| (one["key"].as_str().unwrap_or_default().to_owned(), value(one))).collect()
}

/// Nanoseconds of a record's time.
fn nanos(time: &Value) -> String {
    let time: jiff::Timestamp = time.as_str().expect("a time").parse().expect("a time");
    time.as_nanosecond().to_string()
}

#[test]
fn a_receiver_gets_what_the_records_say() {
    if !need_all("OTLP to a receiver on OpenTelemetry's protocol package") {
        return;
    }
    let python = venv(&["opentelemetry-proto"]);
    for name in ["p05-fanout-partial", "p17-expiry-midrun", "p04-concurrent-24", "p08-failures"] {
        let key = tempfile::NamedTempFile::new().expect("a file");
        fs::write(key.path(), "key").expect("written");
        let run = || {
            let receiver = Receiver::start(Command::new(&python), "0", &[]);
            let out = command(&["replay", &file(name), "--format", "ndjson", "--otlp", &receiver.url(), "--fingerprint-key"])
                .arg(key.path())
                .output()
                .expect("the binary runs");
            let errors = String::from_utf8_lossy(&out.stderr).into_owned();
            assert!(errors.contains("data points sent\n"), "{errors}");
            (receiver, String::from_utf8(out.stdout).expect("text"))
        };
        let (receiver, records) = run();
        // The same capture, the same messages.
        assert_eq!(run().0.lines()[1..], receiver.lines()[1..], "{name}");
        let records: Vec<Value> = records.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let of = |kind: &'static str| records.iter().filter(move |record| record["record"] == kind);

        // Traces: one for each pair, its upstream exchanges below the client's request.
        let spans = receiver.got("/v1/traces");
        let ids: BTreeSet<String> = spans.iter().map(|span| span["spanId"].to_string()).collect();
        assert_eq!(ids.len(), spans.len(), "{name}: every span has an id of its own");
        let (roots, below): (Vec<&Value>, Vec<&Value>) = spans.iter().partition(|span| span["parentSpanId"].is_null());
        assert_eq!(roots.len(), of("pair").count(), "{name}");
        for (span, pair) in roots.iter().zip(of("pair")) {
            let told = attributes(span);
            let down = &pair["downstream"];
            assert_eq!(told["gatewitness.pair"], pair["pair"].to_string());
            assert_eq!(told["gatewitness.verdict"], pair["verdict"].as_str().expect("a verdict"));
            assert_eq!(told.get("gatewitness.failure").map(String::as_str), pair["failure"].as_str());
            assert_eq!(told.get("gatewitness.credential").map(String::as_str), down["token"].as_str());
            assert_eq!(span["startTimeUnixNano"], nanos(&down["start"]), "packet time");
            if !down["end"].is_null() {
                assert_eq!(span["endTimeUnixNano"], nanos(&down["end"]));
            }
            let flagged = ["swallowed", "partial", "stalled"].contains(&told["gatewitness.verdict"].as_str());
            assert_eq!(span["status"]["code"] == "STATUS_CODE_ERROR", flagged, "{span}");
            let own: Vec<&&Value> = below.iter().filter(|below| below["parentSpanId"] == span["spanId"]).collect();
            let upstream = pair["upstream"].as_array().expect("a list");
            assert_eq!(own.len(), upstream.len());
            for (span, leg) in own.iter().zip(upstream) {
                assert_eq!(span["startTimeUnixNano"], nanos(&leg["start"]));
                assert_eq!(
                    attributes(span).get("http.response.status_code").cloned(),
                    leg["http"]["status"].as_u64().map(|status| status.to_string())
                );
                assert_eq!(attributes(span)["gatewitness.link.score"], leg["link"]["score"].to_string());
            }
            assert!(own.iter().all(|below| below["traceId"] == span["traceId"]));
        }

        // Logs: each finding as it ended, and the first pair of each kind with its trace.
        let logs = receiver.got("/v1/logs");
        let events = |name: &'static str| logs.iter().filter(move |log| log["eventName"] == name);
        assert_eq!(events("gatewitness.finding").count(), of("finding").count(), "{name}");
        for (log, finding) in events("gatewitness.finding").zip(of("finding")) {
            assert_eq!(attributes(log)["gatewitness.count"], finding["count"].to_string());
            assert_eq!(log["timeUnixNano"], nanos(&finding["last"]));
        }
        assert!(events("gatewitness.hidden_failure").count() > 0, "{name}");
        for log in events("gatewitness.hidden_failure") {
            let root = roots.iter().find(|span| span["spanId"] == log["spanId"]).expect("the log's span");
            assert_eq!((&log["traceId"], &attributes(log)["gatewitness.pair"]), (&root["traceId"], &attributes(root)["gatewitness.pair"]));
        }

        // Metrics: pairs by verdict, as in the summary.
        let summary = of("summary").next().expect("a summary");
        let mut counted: BTreeMap<String, u64> = BTreeMap::new();
        for metric in receiver.got("/v1/metrics").iter().filter(|metric| metric["name"] == "gatewitness.pairs") {
            assert!(
                metric["sum"]["isMonotonic"] == true && metric["sum"]["aggregationTemporality"] == "AGGREGATION_TEMPORALITY_CUMULATIVE"
            );
            for point in metric["sum"]["dataPoints"].as_array().expect("points") {
                let number: u64 = point["asInt"].as_str().expect("a number").parse().expect("a number");
                *counted.entry(attributes(point)["gatewitness.verdict"].clone()).or_default() += number;
            }
        }
        let verdicts = summary["verdicts"].as_object().expect("verdicts").iter().filter(|(_, count)| count.as_u64() > Some(0));
        assert_eq!(counted, verdicts.map(|(verdict, count)| (verdict.clone(), count.as_u64().expect("a number"))).collect(), "{name}");

        let all = receiver.lines().concat();
        assert!(secrets(&file(name)).iter().all(|secret| !all.contains(secret.as_str())), "{name}: a secret was sent");
    }
}

#[test]
fn what_a_receiver_refuses_is_tried_again_where_that_may_help_and_counted_where_not() {
    if !need_all("OTLP to a receiver that fails") {
        return;
    }
    let python = venv(&["opentelemetry-proto"]);
    let run = |fail: &str| {
        let receiver = Receiver::start(Command::new(&python), "0", &[("FAIL", fail)]);
        let out = gatewitness(&["replay", &file("p05-fanout-partial"), "--otlp", &receiver.url(), "-o", "/dev/null"]);
        assert_eq!(out.status.code(), Some(1), "the run itself is as it was");
        (receiver.lines().len() - 1, String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let (messages, errors) = run("503,2");
    assert!(messages == 3 && !errors.contains("could not"), "{errors}");
    let (messages, errors) = run("400,1");
    assert!(messages == 2 && errors.contains("/v1/traces: answered 400 Bad Request") && errors.contains("could not be sent"), "{errors}");
}

#[test]
fn a_receiver_that_is_away_changes_nothing_but_is_told() {
    let plain = gatewitness(&["replay", &file("p05-fanout-partial")]);
    // Nobody listens at port 9 of this host.
    let away = gatewitness(&["replay", &file("p05-fanout-partial"), "--otlp", "http://127.0.0.1:9"]);
    assert_eq!((away.status.code(), &away.stdout), (plain.status.code(), &plain.stdout));
    let errors = String::from_utf8_lossy(&away.stderr);
    assert_eq!(errors.matches("Connection refused").count(), 1, "said once: {errors}");
    assert!(errors.contains("0 spans, log records and data points sent; 39 could not be sent, 0 were dropped unsent"), "{errors}");
    for url in ["https://127.0.0.1:4318", "127.0.0.1:4318", "http://user:secret@127.0.0.1:4318", "http://127.0.0.1:4318/?key=1"] {
        let refused = gatewitness(&["replay", &file("p05-fanout-partial"), "--otlp", url]);
        assert!(
            refused.status.code() == Some(2) && String::from_utf8_lossy(&refused.stderr).contains("expected http://HOST:PORT"),
            "{url}"
        );
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_confined_live_run_tells_a_receiver_that_goes_and_comes_back() {
    use common::space::{Space, wait};
    if !need_all("OTLP from a live run") {
        return;
    }
    let Some(mut space) = Space::new("OTLP from a live run") else { return };
    let python = venv(&["opentelemetry-proto"]);
    let first = Receiver::start(space.inside(&[python.to_str().expect("a path")]), "19018", &[]);
    let live = space.live(&["--otlp", "http://127.0.0.1:19018"]);
    assert!(live.said.contains("--otlp connects to its receiver's port") && live.said.contains("seccomp on"), "{}", live.said);
    space.serve(&["upstream", "127.0.0.1:9001", "weather"]);
    space.serve(&["gateway", "127.0.0.1:4000", "weather=127.0.0.1:9001"]);
    space.ask("bad-secret-token", 2);
    let hidden =
        |receiver: &Receiver| receiver.got("/v1/logs").iter().filter(|log| log["eventName"] == "gatewitness.hidden_failure").count();
    let roots = |receiver: &Receiver| receiver.got("/v1/traces").iter().filter(|span| span["parentSpanId"].is_null()).count();
    wait("the first spans", || roots(&first) == 2);
    assert_eq!(hidden(&first), 1, "the first of its kind, while it happens");
    assert!(!first.lines().concat().contains("secret-token"));
    drop(first);
    space.ask("good-secret-token", 1);
    std::thread::sleep(std::time::Duration::from_secs(3));
    let second = Receiver::start(space.inside(&[python.to_str().expect("a path")]), "19018", &[]);
    space.ask("good-secret-token", 4);
    wait("spans after it came back", || roots(&second) >= 4);
    let (code, _, errors) = live.end();
    assert_eq!(code, Some(1), "{errors}");
    assert_eq!(errors.matches("the run goes on").count(), 1, "said once: {errors}");
    assert!(errors.contains("could not be sent") && errors.contains("data points sent;"), "{errors}");
    let received: Vec<Value> =
        second.got("/v1/metrics").into_iter().filter(|metric| metric["name"] == "gatewitness.packets.received").collect();
    assert!(!received.is_empty(), "figures of a live run hold its packets");
}
