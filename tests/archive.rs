//! An archive of several hosts on Spark and on one machine: the same pairs, the same tables.

mod common;

use std::path::Path;
use std::process::Command;

use common::{need_all, venv};

#[test]
fn spark_finds_what_one_machine_finds() {
    if !need_all("the archive job on Spark (pyspark, DuckDB)") {
        return;
    }
    let python = venv(&["pyspark>=4", "duckdb>=1.3"]);
    let folder = tempfile::tempdir().expect("a folder");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Margins that the longest requests exceed.
    let words = ["local-cluster[2,1,1024]", "50", "--part-size", "700e3", "--before", "60", "--after", "10"];
    let mut check = Command::new(python);
    check.arg(root.join("tests/archive/check.py")).arg(env!("CARGO_BIN_EXE_gatewitness")).arg(folder.path()).args(words);
    let out = check.output().expect("it runs");
    let said = [out.stdout, out.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    eprintln!("{said}");
    assert!(out.status.success(), "{said}");
}
