//! What reading costs, in instructions and allocations, held against `tests/bench/bars.json`: times are noise where others work too.
//!
//! Instructions are valgrind's count on small generated captures, of tests/bench as it is built by default (no link-time optimisation, so
//! above what docs/performance.md tells of the package). Pairing is not counted: it follows what is captured, not how much.

mod common;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use common::need_all;
use serde::Deserialize;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const BARS: &str = "tests/bench/bars.json";
const ROAD: &str = "target/bench-build/release/road";

/// The committed figures.
#[derive(Deserialize)]
struct Bars {
    /// How far a figure may be above its bar, and below before that should be lowered.
    margin_percent: f64,
    captures: BTreeMap<String, Corpus>,
}

#[derive(Deserialize)]
struct Corpus {
    /// Options of `tests/accuracy/traffic.py`.
    made_with: String,
    /// By stage of tests/bench, each with those before it.
    stages: BTreeMap<String, Costs>,
}

/// Of one run: a packet's share.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Costs {
    instructions: f64,
    allocations: f64,
}

#[test]
fn no_stretch_of_the_road_costs_more_than_its_bar() {
    if !need_all("instructions and allocations a packet, counted by valgrind") {
        return;
    }
    let bars: Bars = serde_json::from_str(&std::fs::read_to_string(Path::new(ROOT).join(BARS)).expect("the bars")).expect("they are JSON");
    let build =
        ["build", "--locked", "--release", "--quiet", "--manifest-path", "tests/bench/Cargo.toml", "--target-dir", "target/bench-build"];
    told(&Command::new("cargo").args(build).current_dir(ROOT).output().expect("cargo runs"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut above, mut below) = (Vec::new(), Vec::new());
    for (name, corpus) in &bars.captures {
        let prefix = folder.path().join(name);
        let words = corpus.made_with.split(' ');
        let made = Command::new("python3").args(["tests/accuracy/traffic.py", "-o"]).arg(&prefix).args(words).current_dir(ROOT).output();
        told(&made.expect("python3 runs"));
        for (stage, bar) in &corpus.stages {
            let found = count(&prefix.with_extension("pcap"), stage);
            for (what, found, bar) in
                [("instructions", found.instructions, bar.instructions), ("allocations", found.allocations, bar.allocations)]
            {
                let line = format!("{name}, {stage}: {found:.3} {what} a packet, the bar is {bar}\n");
                // So few allocations are the tables' own.
                let slack = (bar * bars.margin_percent / 100.0).max(0.01);
                if found > bar + slack {
                    above.push(line);
                } else if found < bar - slack {
                    below.push(line);
                }
            }
        }
    }
    if !below.is_empty() {
        // Past the test's own capture of what is printed: it passes, and should be heard all the same.
        let text = format!("better by more than {} %, please lower {BARS}:\n{}", bars.margin_percent, below.concat());
        std::io::stderr().write_all(text.as_bytes()).expect("standard error");
    }
    assert!(above.is_empty(), "dearer by more than {} %:\n{}", bars.margin_percent, above.concat());
}

fn count(capture: &Path, stage: &str) -> Costs {
    let words = ["--tool=callgrind", "--callgrind-out-file=/dev/null", ROAD, "--stage", stage];
    let out = Command::new("valgrind").args(words).arg(capture).current_dir(ROOT).output().expect("valgrind runs");
    let table = told(&out);
    let row: Vec<&str> = table.lines().last().expect("a row").split('|').map(str::trim).collect();
    let number = |text: Option<&&str>| text.and_then(|text| text.parse::<f64>().ok()).unwrap_or_else(|| panic!("{table}"));
    let said = String::from_utf8_lossy(&out.stderr);
    let refs = said.lines().find_map(|line| line.split_once("refs:")).expect("valgrind's count").1.trim().replace(',', "");
    Costs { instructions: refs.parse::<f64>().expect("a number") / number(row.get(8)), allocations: number(row.get(6)) }
}

/// What it printed; it has to have gone well.
fn told(out: &Output) -> String {
    assert!(out.status.success(), "{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}
