//! The house holds: a room imports only from rooms before it on the road. The table is the one in `docs/architecture.md`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room with the rooms whose words it may use, besides its own.
const ROOMS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("capfile", &["base"]),
    ("packet", &["base"]),
    ("tcp", &["base", "packet"]),
    ("tls", &["base", "tcp"]),
    ("http", &["base", "tcp"]),
    ("mcp", &["base", "tcp", "http"]),
    ("correlate", &["base", "tcp", "http", "mcp"]),
    ("verdict", &["base", "tcp", "http", "mcp", "correlate"]),
    ("pipeline", &["base", "packet", "tcp", "tls", "http", "mcp", "correlate", "verdict"]),
    ("source", &["base", "capfile"]),
    ("live", &["base", "capfile", "packet", "pipeline", "source"]),
    ("report", &["base", "capfile", "packet", "tcp", "tls", "http", "mcp", "correlate", "verdict", "pipeline"]),
    ("watch", &["base", "tcp", "http", "mcp", "correlate", "verdict", "pipeline", "report"]),
    ("service", &["base", "verdict", "live"]),
    (
        "cli",
        &[
            "base",
            "capfile",
            "packet",
            "tcp",
            "tls",
            "http",
            "mcp",
            "correlate",
            "verdict",
            "pipeline",
            "source",
            "live",
            "report",
            "watch",
            "service",
        ],
    ),
];

/// What the pure rooms never name: clocks, files, sockets, threads, the environment.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::thread",
    "std::env",
    "std::process",
    "SystemTime",
    "Instant::now",
    "println!",
    "eprintln!",
];
const PURE: &[&str] = &["base", "packet", "tcp", "tls", "http", "mcp", "correlate", "verdict", "pipeline", "watch"];

#[test]
fn rooms_import_only_what_lies_before_them() {
    let allowed: BTreeMap<&str, &[&str]> = ROOMS.iter().copied().collect();
    let mut wrong = Vec::new();
    for (room, file, text) in sources() {
        let Some(allowed) = allowed.get(room.as_str()) else {
            wrong.push(format!("{}: no room of that name in the table", file.display()));
            continue;
        };
        for (number, line) in code(&text) {
            for import in line.split("crate::").skip(1) {
                let name: String = import.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if name != room && ROOMS.iter().any(|(room, _)| *room == name) && !allowed.contains(&name.as_str()) {
                    wrong.push(format!("{}:{number}: {room} must not know {name}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_core_touches_nothing_outside() {
    let mut wrong = Vec::new();
    for (room, file, text) in sources().into_iter().filter(|(room, _, _)| PURE.contains(&room.as_str())) {
        for (number, line) in code(&text) {
            for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                wrong.push(format!("{}:{number}: {room} names {word}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_picture_of_the_house_names_every_room() {
    let picture = fs::read_to_string(root().join("docs/architecture.md")).expect("docs/architecture.md is there");
    for (room, _) in ROOMS {
        assert!(picture.contains(&format!("{room}/")), "docs/architecture.md does not show {room}/");
    }
}

/// Code lines of a file with their numbers: no comments, and nothing from the first test module on.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(n, line)| (n + 1, line.trim()));
    lines.take_while(|(_, line)| !line.starts_with("#[cfg(test)]")).filter(|(_, line)| !line.starts_with("//"))
}

/// Every source file of a room, but for its tests.
fn sources() -> Vec<(String, PathBuf, String)> {
    let mut found = Vec::new();
    let source = root().join("src");
    for entry in fs::read_dir(&source).expect("src is there").filter_map(Result::ok).filter(|entry| entry.path().is_dir()) {
        let room = entry.file_name().to_string_lossy().into_owned();
        walk(&entry.path(), &mut |file| {
            let test =
                file.components().any(|part| part.as_os_str() == "tests") || file.ends_with("tests.rs") || file.ends_with("testing.rs");
            if !test {
                found.push((room.clone(), file.to_owned(), fs::read_to_string(file).expect("a source file is read")));
            }
        });
    }
    assert!(found.len() > 50, "the walk found the sources");
    found
}

fn walk(folder: &Path, visit: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).expect("a folder is read").filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, visit);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            visit(&path);
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
