//! A live run as a service: what Prometheus gets, what memory it takes, what SIGHUP does. Takes root; says so where it has none.
#![cfg(all(feature = "live", target_os = "linux"))]

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use common::space::{Space, wait};
use serde_json::Value;

const AT: &str = "127.0.0.1:19001";

#[test]
fn prometheus_scrapes_what_a_run_found() {
    if !installed("prometheus", "scraping by a real Prometheus") {
        return;
    }
    let Some(mut space) = Space::new("scraping by a real Prometheus") else { return };
    let live = space.live(&["--metrics", AT]);
    space.gateway();
    // Prometheus first, so that it sees the numbers grow.
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("prometheus.yml");
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/service/alerts.yml");
    let rules = format!("global: {{evaluation_interval: 1s}}\nrule_files: ['{}']\n", rules.display());
    let job = format!("{rules}scrape_configs:\n- job_name: gatewitness\n  scrape_interval: 1s\n  static_configs:\n  - targets: ['{AT}']\n");
    fs::write(&config, job).unwrap();
    let mut prometheus = space
        .inside(&["prometheus", "--web.listen-address=127.0.0.1:19002"])
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().display()))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let asked = |query: &str| -> Option<f64> {
        let port = "127.0.0.1:19002";
        let script = "import sys, urllib.parse as p, urllib.request as r\n\
                      print(r.urlopen('http://' + sys.argv[1] + '/api/v1/query?query=' + p.quote(sys.argv[2]), timeout=20).read().decode())";
        let out = space.inside(&["python3", "-c", script, port, query]).stderr(Stdio::null()).output().unwrap();
        let answer: Value = serde_json::from_slice(&out.stdout).ok()?;
        answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    };
    wait("a first scrape", || asked("up{job='gatewitness'}") == Some(1.0));
    space.ask("bad-secret-token", 3);
    space.ask("good-secret-token", 4);
    wait("3 swallowed pairs in Prometheus", || asked("gatewitness_pairs_total{verdict='swallowed'}") == Some(3.0));
    wait("4 healthy ones", || asked("gatewitness_pairs_total{verdict='healthy'}") == Some(4.0));
    let flagged = "gatewitness_flagged_pairs_total{failure='unauthorized',server='127.0.0.1:9001'}";
    assert_eq!(asked(flagged), Some(3.0));
    let alert = "ALERTS{alertname='GatewayHidesFailures',alertstate='firing',failure='unauthorized',server='127.0.0.1:9001'}";
    wait("the alert", || asked(alert) == Some(1.0));
    assert_eq!(asked("gatewitness_findings{failure='unauthorized'}"), Some(1.0));
    assert_eq!(asked("gatewitness_packets_dropped_total{by='kernel'}"), Some(0.0));
    assert!(asked("histogram_quantile(0.99, gatewitness_engine_delay_seconds_bucket)").unwrap() > 0.0);
    assert!(asked("process_resident_memory_bytes").unwrap() > 1e6);
    assert_eq!(asked(&format!("gatewitness_build_info{{version='{}'}}", env!("CARGO_PKG_VERSION"))), Some(1.0));
    prometheus.kill().unwrap();
    prometheus.wait().unwrap();
    let (_, _, errors) = live.end();
    assert!(errors.contains("packets received"), "{errors}");
}

#[test]
fn metric_names_are_as_promtool_wants_them_and_hold_no_secret() {
    let Some(mut space) = Space::new("/metrics of a live run") else { return };
    let live = space.live(&["--metrics", AT]);
    space.gateway();
    space.ask("bad-secret-token", 2);
    space.until(AT, "gatewitness_pairs_total{verdict=\"swallowed\"}", 2.0);
    let (status, kind, text) = space.get(AT, "/metrics", "text/plain");
    assert_eq!((status, kind.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8"));
    let (_, kind, open) = space.get(AT, "/metrics", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0") && open.ends_with("# EOF\n"), "{kind} {open}");
    assert!(!text.contains("secret-token") && !open.contains("secret-token") && !text.contains("/mcp"), "{text}");
    assert_eq!(space.get(AT, "/", "*/*").0, 404);
    assert_eq!(space.get(AT, "POST /metrics", "*/*").0, 405);
    // Every name is explained, and nothing is that is not there.
    let page = fs::read_to_string("docs/metrics.md").unwrap();
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    for name in &names {
        assert!(page.contains(&format!("`{name}")), "docs/metrics.md does not explain {name}");
    }
    let optional = "gatewitness_memory_budget_bytes";
    for name in page.lines().filter_map(|line| line.strip_prefix("| `")?.split(['`', '{']).next()) {
        assert!(names.contains(&name) || name == optional, "docs/metrics.md explains {name}, which is not there: {names:?}");
    }
    if installed("promtool", "names of metrics held against promtool") {
        let mut promtool =
            Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let out = promtool.wait_with_output().unwrap();
        assert!(out.status.success() && out.stdout.is_empty(), "{}", String::from_utf8_lossy(&out.stdout));
    }
    live.end();
}

#[test]
fn the_alerts_of_the_documents_hold() {
    if !installed("promtool", "alert rules held against promtool") {
        return;
    }
    for words in [["check", "rules", "docs/service/alerts.yml"], ["test", "rules", "docs/service/alerts-test.yml"]] {
        let out = Command::new("promtool").args(words).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        let said = [out.stdout, out.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        assert!(out.status.success() && said.contains("SUCCESS"), "{words:?}: {said}");
    }
}

#[test]
fn the_dashboard_asks_for_metrics_that_there_are() {
    let board: Value = serde_json::from_str(&fs::read_to_string("docs/service/dashboard.json").unwrap()).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let ids: std::collections::BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert!(
        ids.len() == panels.len()
            && panels.iter().all(|panel| panel["gridPos"]["x"].as_u64().unwrap() + panel["gridPos"]["w"].as_u64().unwrap() <= 24)
    );
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries: Vec<String> = targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    assert!(queries.len() > panels.len(), "{queries:?}");
    let page = fs::read_to_string("docs/metrics.md").unwrap();
    // The table's names, with what the histogram is made of.
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let known: Vec<(&str, &str)> = rows.map(|row| row.split_once('{').unwrap_or((row, ""))).collect();
    let mut asked = std::collections::BTreeSet::new();
    let words = |text: &str| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').map(str::to_owned).collect::<Vec<_>>();
    for query in queries.iter().map(String::as_str).chain(board["templating"]["list"][1]["definition"].as_str()) {
        let names: Vec<String> =
            words(query).into_iter().filter(|word| word.starts_with("gatewitness_") || word.starts_with("process_")).collect();
        assert!(!names.is_empty(), "{query}");
        let mut labels = vec!["instance", "le"];
        for name in names {
            let family = name.strip_suffix("_bucket").unwrap_or(&name);
            let (_, own) =
                known.iter().find(|(known, _)| *known == family).unwrap_or_else(|| panic!("docs/metrics.md has no {name}: {query}"));
            labels.extend(own.trim_end_matches('}').split(", "));
            asked.insert(family.to_owned());
        }
        for by in query.split("by (").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(by.split(", ").all(|label| labels.contains(&label)), "no label of these: {by}, in {query}");
        }
    }
    let left: Vec<&str> = known.iter().map(|(name, _)| *name).filter(|name| !asked.contains(*name)).collect();
    assert_eq!(left, ["gatewitness_seen_total", "process_open_fds"], "what the dashboard does not show");
    if !installed("promtool", "the dashboard's queries, parsed by promtool") {
        return;
    }
    // promtool reads queries as rules; Grafana's own variables are filled in as it does.
    let fill = |query: &str| query.replace("$__range", "6h").replace("$__rate_interval", "1m").replace("$instance", ".*");
    let rules = queries.iter().enumerate().map(|(n, query)| format!("  - record: dashboard:query{n}\n    expr: '{}'\n", fill(query)));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.yml");
    fs::write(&path, format!("groups:\n- name: dashboard\n  rules:\n{}", rules.collect::<String>())).unwrap();
    let out = Command::new("promtool").args(["check", "rules"]).arg(&path).output().unwrap();
    let said = [out.stdout, out.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(out.status.success() && said.contains(&format!("{} rules found", queries.len())), "{said}");
}

#[test]
fn metrics_stay_on_loopback_unless_that_is_asked_for() {
    let Some(space) = Space::new("where metrics may be had") else { return };
    let tried = |words: &[&str]| {
        let out = space.inside(&[&[env!("CARGO_BIN_EXE_gatewitness"), "live", "--duration", "1"], words].concat()).output().unwrap();
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    for at in ["0.0.0.0:19001", "[::]:19001", "10.1.2.3:19001"] {
        let (code, errors) = tried(&["--metrics", at]);
        assert!(code == Some(2) && errors.contains("--metrics-remote"), "{at}: {errors}");
    }
    for words in
        [&["--metrics", "0.0.0.0:19001", "--metrics-remote"][..], &["--metrics", "[::ffff:127.0.0.1]:0"], &["--metrics", "[::1]:0"]]
    {
        let (code, errors) = tried(words);
        assert!(code == Some(0) && errors.contains("metrics at http://"), "{words:?}: {errors}");
    }
    let live = space.live(&["--metrics", AT]);
    let (code, errors) = tried(&["--metrics", AT]);
    assert!(code == Some(2) && errors.contains("ddress already in use"), "{errors}");
    live.end();
}

#[test]
fn the_gateway_list_is_read_again_and_a_broken_file_changes_nothing() {
    let Some(mut space) = Space::new("SIGHUP") else { return };
    let folder = tempfile::Builder::new().prefix("gatewitness-").tempdir().unwrap();
    assert!(Command::new("chmod").arg("755").arg(folder.path()).status().unwrap().success());
    let path = folder.path().join("gatewitness.toml");
    let config = path.to_str().unwrap().to_owned();
    fs::write(&path, "gateway = '127.0.0.1:4000'\n").unwrap();
    let live = space.live(&["--config", &config, "--metrics", AT, "--format", "ndjson"]);
    let reloads = |result: &str| format!("gatewitness_reloads_total{{result=\"{result}\"}}");
    space.gateway();
    space.ask("bad-1", 2);
    // A broken file, a file that is gone, a file that an editor replaced.
    fs::write(&path, "gateway = '127.0.0.1:port'\n").unwrap();
    live.signal("HUP");
    space.until(AT, &reloads("refused"), 1.0);
    fs::remove_file(&path).unwrap();
    live.signal("HUP");
    space.until(AT, &reloads("refused"), 2.0);
    space.ask("bad-2", 2);
    space.until(AT, "gatewitness_pairs_total{verdict=\"swallowed\"}", 4.0);
    let next = folder.path().join("next");
    fs::write(&next, "gateway = ['127.0.0.1:4000', '127.0.0.1:4999']\n").unwrap();
    fs::rename(&next, &path).unwrap();
    live.signal("HUP");
    space.until(AT, &reloads("applied"), 1.0);
    space.ask("bad-3", 1);
    let (_, out, errors) = live.end();
    assert!(errors.contains("not understood") && errors.contains("the gateways stay as they were"), "{errors}");
    assert!(errors.contains("gateways from now on: 127.0.0.1:4000, 127.0.0.1:4999"), "{errors}");
    let records: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.iter().filter(|record| record["verdict"] == "swallowed" && record["record"] == "pair").count(), 5, "{out}");
    let told: Vec<&Value> = records.iter().filter(|record| record["kind"] == "config").collect();
    assert_eq!(told.len(), 2, "{out}");
    let overruled = space.live(&["--config", &config, "--gateway", "127.0.0.1:4000", "--metrics", AT]);
    overruled.signal("HUP");
    space.until(AT, &reloads("refused"), 1.0);
    assert!(overruled.end().2.contains("--gateway on the command line holds"));
}

#[test]
fn a_gateway_that_is_named_while_the_run_goes_on_is_one() {
    let Some(mut space) = Space::new("a gateway named by SIGHUP") else { return };
    let folder = tempfile::Builder::new().prefix("gatewitness-").tempdir().unwrap();
    assert!(Command::new("chmod").arg("755").arg(folder.path()).status().unwrap().success());
    let path = folder.path().join("gatewitness.toml");
    fs::write(&path, "gateway = []\n").unwrap();
    // A lone server that lists tools, asked by a client: nothing about it says gateway.
    space.serve(&["upstream", "127.0.0.1:4000", "alone"]);
    let live = space.live(&["--config", path.to_str().unwrap(), "--metrics", AT]);
    space.ask("good-1", 2);
    space.until(AT, "gatewitness_open_exchanges", 1.0);
    assert_eq!(space.sample(AT, "gatewitness_gateways"), Some(0.0));
    fs::write(&path, "gateway = '127.0.0.1:4000'\n").unwrap();
    live.signal("HUP");
    space.until(AT, "gatewitness_reloads_total{result=\"applied\"}", 1.0);
    space.ask("good-1", 2);
    space.until(AT, "gatewitness_gateways", 1.0);
    fs::write(&path, "gateway = []\n").unwrap();
    live.signal("HUP");
    space.until(AT, "gatewitness_reloads_total{result=\"applied\"}", 2.0);
    wait("it to be forgotten", || space.sample(AT, "gatewitness_gateways") == Some(0.0));
    live.end();
}

#[test]
fn the_unit_is_one_that_systemd_takes_and_holds_tight() {
    if !installed("systemd-analyze", "the systemd unit held against systemd-analyze") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("gatewitness.service");
    // The program need not be installed where this runs.
    let text = fs::read_to_string("docs/service/gatewitness.service").unwrap();
    fs::write(&unit, text.replace("/usr/bin/gatewitness", env!("CARGO_BIN_EXE_gatewitness"))).unwrap();
    let run = |words: &[&str]| {
        let out = Command::new("systemd-analyze").args(words).arg(&unit).output().unwrap();
        (out.status.success(), [out.stdout, out.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat())
    };
    let (fine, said) = run(&["verify", "--man=no"]);
    assert!(fine && !said.contains("gatewitness.service:"), "{said}");
    let (fine, said) = run(&["security", "--offline=true", "--threshold=20"]);
    assert!(fine, "{said}");
}

/// Whether a program is there; says so where it is not.
fn installed(program: &str, what: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok_and(|out| out.status.success());
    if !there {
        eprintln!("SKIPPED, not shown by this run: {what} (it takes the program `{program}`)");
    }
    there
}
