//! Files as an SRE hands them over: compressed, rotated, from two machines, in a directory with other things, cut.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::base::{Limits, Ts};
use crate::capfile::{Flaw, Writer};

const P01: &[u8] = include_bytes!("../../captures/litellm-swallowed-401.pcap");
const P73: &[u8] = include_bytes!("../../captures/p73-pcapng.pcapng");

/// p73-pcapng.pcapng in two pieces (9,000 bytes and the rest), each packed by Debian 12's gzip, lz4, xz or zstd; a skippable frame
/// before or between them where the format has such.
const PACKED: [(&str, &[u8]); 4] = [
    ("a.lz4", include_bytes!("../../tests/data/p73-in-two-pieces.lz4")),
    ("b.gz", include_bytes!("../../tests/data/p73-in-two-pieces.gz")),
    ("c.zst", include_bytes!("../../tests/data/p73-in-two-pieces.zst")),
    ("d.xz", include_bytes!("../../tests/data/p73-in-two-pieces.xz")),
];

fn write(dir: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn planned(paths: &[&Path]) -> Result<Inputs, Error> {
    plan(&paths.iter().map(|path| path.to_path_buf()).collect::<Vec<_>>(), &Limits::default())
}

/// Time, frame, file and interface.
type Short = (i64, u64, u16, u32);

/// Each packet's time, frame, file and interface, and in words everything else.
fn drain(inputs: &mut Inputs) -> (Vec<Short>, Vec<String>) {
    let (mut packets, mut others) = (Vec::new(), Vec::new());
    while let Some(input) = inputs.next() {
        match input {
            Input::Packet(p) => {
                packets.push((p.stamp.ts.0, p.stamp.frame, p.stamp.file, p.iface));
                assert_eq!(p.stamp.ord, packets.len() as u64);
            }
            other => others.push(format!("{other:?}")),
        }
    }
    (packets, others)
}

#[test]
fn compression_is_found_by_content_and_changes_nothing() {
    let dir = TempDir::new().unwrap();
    let plain = drain(&mut planned(&[&write(&dir, "plain", P73)]).unwrap());
    assert_eq!(plain.0.len(), 148);
    for (name, bytes) in PACKED {
        let mut inputs = planned(&[&write(&dir, &name.replace('.', "-"), bytes)]).unwrap();
        assert!(inputs.files()[0].compression.is_some());
        assert_eq!(drain(&mut inputs), plain, "{name}");
        assert_eq!(inputs.progress().read(), bytes.len() as u64);
        assert_eq!(inputs.progress().total(), Some(bytes.len() as u64));
    }
}

#[test]
fn a_compressed_file_cut_anywhere_is_damage_and_a_prefix() {
    let dir = TempDir::new().unwrap();
    let plain = drain(&mut planned(&[&write(&dir, "plain", P73)]).unwrap());
    for (name, bytes) in PACKED {
        for cut in (1..bytes.len()).step_by(531) {
            let path = write(&dir, name, &bytes[..cut]);
            match planned(&[&path]) {
                Err(e) => assert!(e.to_string().contains(" at byte 0"), "{e}"),
                Ok(mut inputs) => {
                    let (packets, others) = drain(&mut inputs);
                    assert_eq!(packets, plain.0[..packets.len()], "{name} cut at {cut}");
                    // lz4's decoder takes an end between two blocks for the end; so does everybody one between two frames.
                    assert!(!others.is_empty() || packets.len() == 148 || name == "a.lz4", "{name} cut at {cut}");
                }
            }
        }
        // Spoilt bytes are damage, or are found by nobody; nothing breaks.
        for at in (8..bytes.len()).step_by(997) {
            let mut spoilt = bytes.to_vec();
            spoilt[at] ^= 0x55;
            if let Ok(mut inputs) = planned(&[&write(&dir, name, &spoilt)]) {
                drain(&mut inputs);
            }
        }
    }
}

#[test]
fn what_is_no_capture_is_named_with_its_byte() {
    let dir = TempDir::new().unwrap();
    let notes = write(&dir, "notes.txt", b"the gateway was slow on Tuesday");
    let expected = "notes.txt: not a capture at byte 0 (expected pcap or pcapng, possibly gzip, zstd, xz or lz4)";
    assert!(planned(&[&notes]).err().unwrap().to_string().ends_with(expected));
    assert!(planned(&[&dir.path().join("gone.pcap")]).err().unwrap().to_string().contains("gone.pcap: cannot be read at byte 0: "));
    assert!(planned(&[&write(&dir, "empty", b"")]).is_err());
    assert!(planned(&[dir.path()]).err().unwrap().to_string().contains("no capture at byte 0 of any file in this directory"));
}

/// A capture of one interface, with a packet at each of the times.
fn made(times: &[i64], comment: &str) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), "test", None).unwrap();
    writer.interface(1, 0, None).unwrap();
    for ts in times {
        writer.packet(0, Ts(*ts), &[0; 60], 60, Some(comment)).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn a_directory_of_rotated_files_is_one_capture_in_order_of_time() {
    let dir = TempDir::new().unwrap();
    write(&dir, "a-last.pcapng", &made(&[30, 31], ""));
    write(&dir, "b-first.pcapng", &made(&[10, 19], ""));
    write(&dir, "c-middle.pcapng", &made(&[19, 20, 29], ""));
    write(&dir, "readme.txt", b"not me");
    fs::create_dir(dir.path().join("sub")).unwrap();
    let mut inputs = planned(&[dir.path()]).unwrap();
    assert_eq!(inputs.ignored().len(), 1);
    assert!(inputs.ignored()[0].why.contains("readme.txt: not a capture at byte 0"));
    let names: Vec<_> = inputs.files().iter().map(|f| f.path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["b-first.pcapng", "c-middle.pcapng", "a-last.pcapng"]);
    let told = [(10, 1, 0, 0), (19, 2, 0, 0), (19, 1, 1, 0), (20, 2, 1, 0), (29, 3, 1, 0), (30, 1, 2, 0), (31, 2, 2, 0)];
    assert_eq!(drain(&mut inputs).0, told);
    // The same file twice is read once.
    let first = dir.path().join("b-first.pcapng");
    assert_eq!(drain(&mut planned(&[&first, &first]).unwrap()).0.len(), 2);
}

#[test]
fn capture_points_are_merged_by_time() {
    let dir = TempDir::new().unwrap();
    let a = write(&dir, "a", &made(&[10, 20, 30], ""));
    let b = write(&dir, "b", &made(&[15, 20, 40], ""));
    let mut inputs = planned(&[&b, &a]).unwrap();
    let point = 1 << 16;
    let told = [(10, 1, 0, 0), (15, 1, 1, point), (20, 2, 0, 0), (20, 2, 1, point), (30, 3, 0, 0), (40, 3, 1, point)];
    assert_eq!(drain(&mut inputs).0, told);
}

/// p01 with every time moved; each second packet is late by `delay` microseconds.
fn moved(micros: i64, delay: i64) -> Vec<u8> {
    let mut file = P01.to_vec();
    let (mut at, mut n) = (24, 0);
    while at < file.len() {
        let word = |at: usize| i64::from(u32::from_le_bytes(file[at..at + 4].try_into().unwrap()));
        let time = word(at) * 1_000_000 + word(at + 4) + micros + if n % 2 == 0 { delay } else { -delay };
        let next = at + 16 + word(at + 8) as usize;
        file[at..at + 4].copy_from_slice(&((time / 1_000_000) as u32).to_le_bytes());
        file[at + 4..at + 8].copy_from_slice(&((time % 1_000_000) as u32).to_le_bytes());
        (at, n) = (next, n + 1);
    }
    file
}

#[test]
fn a_clock_that_is_off_is_measured_and_put_right() {
    let dir = TempDir::new().unwrap();
    let a = write(&dir, "a.pcap", P01);
    for off in [7_000_000, 86_400_000_000] {
        let b = write(&dir, "b.pcap", &moved(off, 0));
        let mut inputs = planned(&[&a, &b]).unwrap();
        let clock = inputs.clocks()[0];
        assert!(clock.applied && clock.nanos == off * 1_000 && clock.samples >= 8, "{clock:?}");
        let (packets, _) = drain(&mut inputs);
        assert_eq!(packets.len(), 56);
        assert!(packets.chunks(2).all(|pair| pair[0].0 == pair[1].0 && pair[0].2 != pair[1].2));
        assert!(packets.iter().any(|packet| packet.3 == 1 << 16), "they are two capture points");
    }
    let near = write(&dir, "near.pcap", &moved(300, 100));
    let inputs = planned(&[&a, &near]).unwrap();
    assert!(!inputs.clocks()[0].applied, "less than what the way takes is left alone");
}

#[test]
fn secrets_come_before_packets_and_losses_are_told_once() {
    let dir = TempDir::new().unwrap();
    let mut writer = Writer::new(Vec::new(), "test", Some("a comment")).unwrap();
    writer.interface(1, 0, None).unwrap();
    writer.secrets(b"keys").unwrap();
    writer.packet(0, Ts(5), b"x", 1, None).unwrap();
    writer.stats(0, Ts(6), 1, 3).unwrap();
    writer.stats(0, Ts(7), 1, 3).unwrap();
    let (packets, others) = drain(&mut planned(&[&write(&dir, "a", &writer.finish().unwrap())]).unwrap());
    assert_eq!(packets, [(5, 1, 0, 0)]);
    assert_eq!(others.len(), 3, "{others:?}");
    assert!(others[0].starts_with("Comment") && others[1].starts_with("Secrets") && others[2].contains("lost: 3"));
}

#[test]
fn secrets_can_be_read_ahead_and_are_told_once() {
    let dir = TempDir::new().unwrap();
    let file = |name: &str, first: i64| {
        let mut writer = Writer::new(Vec::new(), "test", None).unwrap();
        writer.interface(1, 0, None).unwrap();
        for n in 0..3 {
            writer.secrets(format!("{name}{n}").as_bytes()).unwrap();
            writer.packet(0, Ts(first + n), b"x", 1, None).unwrap();
        }
        writer.secrets(format!("{name}3").as_bytes()).unwrap();
        write(&dir, name, &writer.finish().unwrap())
    };
    let paths = [file("a", 5), file("b", 10), write(&dir, "c", &made(&[20], ""))];
    for at in 0..9 {
        let mut inputs = planned(&paths.iter().map(PathBuf::as_path).collect::<Vec<_>>()).unwrap();
        let mut ahead = inputs.ahead();
        let (mut told, mut n) = (Vec::new(), 0);
        loop {
            if n == at {
                assert!(ahead.read(|text| told.push(String::from_utf8_lossy(text).into_owned())), "files hold no more");
            }
            n += 1;
            match inputs.next() {
                Some(Input::Secrets { file, text }) if ahead.is_news(file) => told.push(String::from_utf8_lossy(text).into_owned()),
                Some(_) => {}
                None => break,
            }
        }
        assert_eq!(told, ["a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3"], "{at}");
    }
}

#[test]
fn a_file_that_vanishes_after_planning_is_damage() {
    let dir = TempDir::new().unwrap();
    let a = write(&dir, "a", &made(&[10], ""));
    let b = write(&dir, "b", &made(&[20], ""));
    let mut inputs = planned(&[&a, &b]).unwrap();
    fs::remove_file(&b).unwrap();
    let mut last = None;
    while let Some(input) = inputs.next() {
        last = match input {
            Input::Damage { file, damage } => Some((file, damage.what.clone())),
            _ => None,
        };
    }
    assert!(matches!(last, Some((1, Flaw::Unreadable(_)))));
}

#[cfg(unix)]
#[test]
fn a_pipe_is_read_though_it_cannot_be_read_twice() {
    let dir = TempDir::new().unwrap();
    let pipe = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let to = pipe.clone();
    let writer = std::thread::spawn(move || fs::write(to, P73).unwrap());
    let mut inputs = planned(&[&pipe]).unwrap();
    assert_eq!(inputs.progress().total(), None);
    assert_eq!(drain(&mut inputs).0.len(), 148);
    writer.join().unwrap();
}
