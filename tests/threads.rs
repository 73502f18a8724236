//! However many threads a run works on, it says the same, byte for byte.

mod common;

use std::fs;
use std::path::Path;

use common::{captures, command, file};

/// What a run on so many threads prints: records, what it says on standard error, and its exit code.
fn run(words: &[&str], threads: &str, key: &Path) -> (String, String, Option<i32>) {
    let out = command(words).args(["--threads", threads, "--fingerprint-key"]).arg(key).output().expect("the binary runs");
    (String::from_utf8_lossy(&out.stdout).into_owned(), String::from_utf8_lossy(&out.stderr).into_owned(), out.status.code())
}

#[test]
fn threads_change_nothing() {
    let key = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(key.path(), "a key of this test's own").expect("the key is written");
    let same = |words: &[&str], counts: &[&str]| {
        let alone = run(words, "1", key.path());
        for threads in counts {
            assert_eq!(alone, run(words, threads, key.path()), "{words:?} on {threads} threads");
        }
        alone
    };
    for name in captures() {
        let (path, keys) = (file(&name), format!("captures/{name}.keys"));
        let mut words = vec!["replay", "--format", "ndjson", &path];
        if Path::new(env!("CARGO_MANIFEST_DIR")).join(&keys).exists() {
            words.extend(["--keylog", &keys]);
        }
        let (records, ..) = same(&words, &["3"]);
        assert!(records.contains(r#""record":"summary""#), "{name}");
    }
    // Several files, one of them cut: what is said of the damage keeps its place among the pairs.
    let cut = tempfile::NamedTempFile::new().expect("a temporary file");
    let whole = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(file("litellm-swallowed-401"))).expect("the capture is there");
    fs::write(cut.path(), &whole[..whole.len() * 2 / 3]).expect("the capture is written");
    let cut = cut.path().to_str().expect("a plain path");
    let (records, ..) = same(&["replay", "--format", "ndjson", cut, &file("litellm-swallowed-401")], &["2", "3", "8"]);
    assert!(records.contains(r#""record":"capture""#), "the damage is told");
    same(&["exchanges", "--format", "ndjson", &file("litellm-swallowed-401")], &["2", "8"]);
}

#[test]
fn no_thread_is_no_number_of_threads() {
    let out = command(&["replay", "--threads", "0", &file("litellm-swallowed-401")]).output().expect("the binary runs");
    assert_eq!(out.status.code(), Some(2));
}
