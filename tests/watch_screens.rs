//! The dashboard's screens as plain text, over real captures and at three sizes; and those in docs/watch.md, which stay true.
//! `UPDATE_DOCS=1 cargo test --test watch_screens` draws the latter anew.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use gatewitness::base::{Keyer, Limits};
use gatewitness::packet::Frame;
use gatewitness::pipeline::{Engine, Options};
use gatewitness::source::{self, Input};
use gatewitness::watch::{self, Board, Effect, Keys, Palette, Run, Snapshot, State, Theme, View};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A capture's run, up to a packet or to its end.
fn run(name: &str, until: u64) -> Snapshot {
    let limits = Limits::default();
    let path = root().join(common::file(name));
    let mut inputs = source::plan(&[path], &limits).expect("the capture opens");
    let options = Options { limits: limits.clone(), keyer: Keyer::new([7; 32]), gateways: Vec::new(), stall_after: 60_000_000_000 };
    let mut engine = Engine::new(options, Board::new(&limits));
    let mut read = 0;
    while let Some(input) = inputs.next() {
        if let Input::Packet(packet) = input {
            if read == until {
                break;
            }
            read += 1;
            engine.frame(Frame { link: packet.link, data: packet.data, orig_len: packet.orig_len, iface: packet.iface, at: packet.stamp });
        }
    }
    let source = format!("{name}.pcap");
    if until == u64::MAX {
        let (summary, mut board) = engine.finish(vec![source.clone()]);
        let snapshot = board.snapshot(summary, Run { source, ended: true, speed: "max".to_owned(), ..Run::default() }, (0, 0));
        // The board keeps the details: it goes with the process.
        std::mem::forget(board);
        return snapshot;
    }
    let (summary, open) = (engine.summary(), engine.open());
    let run = Run { source, speed: "1x".to_owned(), read: 1, total: Some(2), ..Run::default() };
    engine.out().snapshot(summary, run, open)
}

fn state(snapshot: Snapshot) -> State {
    let mut state = State::new(Theme { palette: Some(Palette::DARK), ascii: false }, Keys::default(), Vec::new());
    state.take(Arc::new(snapshot));
    state
}

fn press(state: &mut State, keys: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for word in keys.split_whitespace() {
        let code = match word {
            "enter" => KeyCode::Enter,
            "esc" => KeyCode::Esc,
            "tab" => KeyCode::Tab,
            "space" => KeyCode::Char(' '),
            _ => {
                for letter in word.chars() {
                    effects.extend(watch::key(state, KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE)));
                }
                continue;
            }
        };
        effects.extend(watch::key(state, KeyEvent::new(code, KeyModifiers::NONE)));
    }
    effects
}

fn screen(state: &mut State, width: u16, height: u16) -> String {
    state.size = (width, height);
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal in memory");
    terminal.draw(|frame| watch::draw(frame, state)).expect("it is drawn");
    let buffer = terminal.backend().buffer();
    let rows = (0..height).map(|y| {
        let row: String = (0..width).map(|x| buffer[(x, y)].symbol()).collect();
        row.trim_end().to_owned()
    });
    rows.collect::<Vec<_>>().join("\n")
}

fn held(name: &str, text: &str) {
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path(root().join("tests/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// Where each view is reached from the first screen.
const VIEWS: &[(&str, &str)] = &[
    ("overview", ""),
    ("requests", "2"),
    ("servers", "3"),
    ("findings", "4"),
    ("capture", "5"),
    ("ladder", "2 N enter"),
    ("ladder-full", "2 N enter c"),
    ("evidence", "2 N enter enter"),
    ("messages", "2 N enter enter tab"),
    ("grouped", "2 b"),
    ("help", "?"),
];

#[test]
fn every_view_at_three_sizes() {
    for (capture, short) in [("litellm-swallowed-401", "one"), ("p17-expiry-midrun", "expiry"), ("p05-fanout-partial", "fanout")] {
        let snapshot = run(capture, u64::MAX);
        for (width, height) in [(80, 24), (120, 40), (300, 80)] {
            let mut all = String::new();
            for (name, keys) in VIEWS {
                let mut state = state(snapshot.clone());
                press(&mut state, keys);
                let drawn = screen(&mut state, width, height);
                all += &format!("===== {name} [{keys}]\n{drawn}\n");
            }
            held(&format!("watch-{short}-{width}x{height}"), &all);
        }
    }
}

#[test]
fn the_first_screen_answers_in_one_look() {
    let drawn = screen(&mut state(run("litellm-swallowed-401", u64::MAX)), 80, 24);
    for answer in ["YES", "1 of 1 pair", "1 client", "swallowed", "unauthorized", "127.0.0.11:9001", "The witness saw everything"] {
        assert!(drawn.contains(answer), "{answer}:\n{drawn}");
    }
    let well = screen(&mut state(run("p02-healthy-single", u64::MAX)), 80, 24);
    assert!(well.contains("NO hidden failure") && !well.contains("YES"), "{well}");
    let early = screen(&mut state(run("p02-healthy-single", 3)), 80, 24);
    assert!(early.contains("Nothing is judged yet"), "{early}");
}

#[test]
fn what_shrinks_hides_and_never_panics() {
    let snapshot = run("p05-fanout-partial", u64::MAX);
    for (_, keys) in VIEWS {
        for (width, height) in [(1, 1), (20, 5), (40, 10), (41, 11), (60, 12), (79, 23), (80, 10), (500, 200)] {
            let mut state = state(snapshot.clone());
            press(&mut state, keys);
            let drawn = screen(&mut state, width, height);
            assert!(width < 40 || height < 10 || drawn.contains("packets"), "{width}x{height} [{keys}]:\n{drawn}");
        }
    }
    let mut state = state(snapshot);
    press(&mut state, "2 / status");
    assert!(screen(&mut state, 39, 9).contains("39x9 is too small"));
}

#[test]
fn without_colour_and_without_unicode_nothing_is_lost() {
    let snapshot = run("p05-fanout-partial", u64::MAX);
    for (_, keys) in VIEWS {
        let mut state = state(snapshot.clone());
        press(&mut state, keys);
        state.theme = Theme { palette: None, ascii: true };
        let mut terminal = Terminal::new(TestBackend::new(120, 40)).unwrap();
        terminal.draw(|frame| watch::draw(frame, &state)).unwrap();
        for cell in &terminal.backend().buffer().content {
            assert!(cell.symbol().is_ascii(), "{:?} in [{keys}]", cell.symbol());
            assert_eq!((cell.fg, cell.bg), (ratatui::style::Color::Reset, ratatui::style::Color::Reset));
        }
    }
    let mut state = state(snapshot);
    state.theme = Theme { palette: None, ascii: true };
    press(&mut state, "2");
    let drawn = screen(&mut state, 120, 40);
    assert!(drawn.contains("X swallowed") && drawn.contains("% partial") && drawn.contains("+ healthy"), "{drawn}");
}

#[test]
fn every_colour_is_the_palettes() {
    let snapshot = run("p05-fanout-partial", u64::MAX);
    let light = Palette::LIGHT;
    for palette in [Palette::DARK, light] {
        let mut seen = Vec::new();
        for (_, keys) in VIEWS {
            let mut state = state(snapshot.clone());
            press(&mut state, keys);
            state.theme = Theme { palette: Some(palette), ascii: false };
            let mut terminal = Terminal::new(TestBackend::new(120, 40)).unwrap();
            terminal.draw(|frame| watch::draw(frame, &state)).unwrap();
            seen.extend(terminal.backend().buffer().content.iter().map(|cell| cell.fg).filter(|fg| *fg != ratatui::style::Color::Reset));
        }
        assert!(seen.iter().all(|fg| [palette.bad, palette.warn, palette.good, palette.unsure].contains(fg)));
        assert!(seen.contains(&palette.bad) && seen.contains(&palette.good));
    }
}

#[test]
fn filters_narrow_as_they_are_typed_and_say_what_is_wrong() {
    let mut state = state(run("p05-fanout-partial", u64::MAX));
    let shown = |state: &State| state.items.len();
    for (text, pairs) in [
        ("verdict:swallowed", 1),
        ("verdict:swallowed,partial", 2),
        ("is:flagged", 2),
        ("-is:flagged", 1),
        ("tools=0", 1),
        ("tools>5", 2),
        ("up:401", 2),
        ("up:4xx", 2),
        ("status:2xx", 3),
        ("client:127.0.0.0/8", 3),
        ("client:10.0.0.0/8", 0),
        ("server:127.0.0.12", 3),
        ("dur>200ms", 2),
        ("/tools.list .*healthy/", 1),
        ("conf<0.5", 0),
        ("tools/list", 3),
        ("method:tools -tools=0", 2),
    ] {
        press(&mut state, "2 esc esc 2 /");
        for letter in text.chars() {
            watch::key(&mut state, KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE));
        }
        press(&mut state, "enter");
        assert_eq!(shown(&state), pairs, "{text}");
    }
    press(&mut state, "2 esc esc 2 / verdict:ma");
    assert!(screen(&mut state, 120, 30).contains("not yet: one of swallowed partial"));
    press(&mut state, "esc / ");
    let mut fresh = self::state(run("p05-fanout-partial", u64::MAX));
    press(&mut fresh, "2 / verdict:swa tab enter");
    assert_eq!((fresh.filter_text.as_str(), shown(&fresh)), ("verdict:swallowed", 1));
}

#[test]
fn a_frozen_screen_stays_and_then_catches_up() {
    let mut state = state(run("p05-fanout-partial", 3));
    press(&mut state, "p");
    let before = screen(&mut state, 80, 24);
    state.take(Arc::new(run("p05-fanout-partial", u64::MAX)));
    assert_eq!(screen(&mut state, 80, 24), before);
    assert!(before.contains("FROZEN"));
    press(&mut state, "p");
    assert!(screen(&mut state, 80, 24).contains("YES"));
}

#[test]
fn a_live_run_with_unsaved_findings_asks_before_it_is_left() {
    let mut snapshot = run("litellm-swallowed-401", u64::MAX);
    snapshot.run.live = true;
    let mut state = state(snapshot);
    assert!(press(&mut state, "q").is_empty());
    assert!(screen(&mut state, 80, 24).contains("1 finding not saved"));
    assert!(press(&mut state, "2 q").is_empty(), "another key takes the question back");
    assert!(matches!(press(&mut state, "q").as_slice(), [Effect::Quit]));
}

#[test]
fn pairs_are_selected_saved_and_copied_without_secrets() {
    let mut state = state(run("p05-fanout-partial", u64::MAX));
    press(&mut state, "2 g space");
    let effects = press(&mut state, "s enter");
    let [Effect::Save(path, pairs)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((path.as_str(), pairs.len()), ("gatewitness-2026-11-22T22-30-39.ndjson", 1));
    let records = watch::records(pairs.iter().map(|judged| &**judged), &[]);
    let record: serde_json::Value = serde_json::from_str(records.trim()).expect("one record");
    assert_eq!(record["record"], "pair");
    let effects = press(&mut state, "n Y");
    let [Effect::Copy(filter)] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(filter.contains("tcp.port == 9002") && filter.contains(" || "), "{filter}");
}

#[test]
fn privacy_hides_every_address_on_every_screen() {
    let snapshot = run("p05-fanout-partial", u64::MAX);
    for (name, keys) in VIEWS.iter().filter(|(name, _)| *name != "help") {
        let mut state = state(snapshot.clone());
        press(&mut state, &format!("o {keys}"));
        let drawn = screen(&mut state, 160, 60);
        assert!(!drawn.contains("127.0.0."), "{name}:\n{drawn}");
    }
}

#[test]
fn findings_are_acknowledged_and_hidden() {
    let mut state = state(run("p05-fanout-partial", u64::MAX));
    press(&mut state, "4 a h");
    assert_eq!(state.findings().len(), 1);
    press(&mut state, "h");
    assert_eq!((state.findings().len(), state.view()), (2, View::Findings));
    press(&mut state, "j enter");
    assert_eq!((state.view(), state.items.len()), (View::Requests, 1));
}

/// `<!-- screen: CAPTURE WIDTHxHEIGHT KEYS -->` and the block after it.
#[test]
fn the_documents_screens_are_real() {
    let path: PathBuf = root().join("docs/watch.md");
    let text = std::fs::read_to_string(&path).expect("docs/watch.md");
    let mut drawn = String::new();
    let mut rest = text.as_str();
    let mut screens = 0;
    while let Some(at) = rest.find("<!-- screen: ") {
        let end = at + rest[at..].find("-->").expect("a closed comment") + 3;
        let words: Vec<&str> = rest[at + 13..end - 3].split_whitespace().collect();
        let (width, height) = words[1].split_once('x').expect("WIDTHxHEIGHT");
        let mut state = state(run(words[0], u64::MAX));
        press(&mut state, &words[2..].join(" "));
        let shown = screen(&mut state, width.parse().unwrap(), height.parse().unwrap());
        drawn += &rest[..end];
        drawn += &format!("\n```text\n{shown}\n```\n");
        rest = &rest[end..];
        if let Some(block) = rest.strip_prefix("\n```text\n") {
            rest = &block[block.find("\n```\n").expect("a closed block") + 5..];
        }
        screens += 1;
    }
    drawn += rest;
    assert!(screens >= 4, "{screens}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &drawn).expect("written");
    } else {
        assert!(drawn == text, "docs/watch.md is not what is drawn: UPDATE_DOCS=1 cargo test --test watch_screens");
    }
}
