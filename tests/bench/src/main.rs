//! What each stretch of the road costs: reads captures up to each stage in turn and prints processor time and allocations.
//!
//!     road [--stage NAME] CAPTURE...
//!
//! Stages, each with all before it: `source` (records of the file), `front` (packets, sightings, TCP), `middle` (TLS, HTTP, MCP),
//! `road` (pairs, verdicts; nothing is written). With `--stage` only that one is run, once: for `valgrind --tool=callgrind` and `perf`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use gatewitness::base::{Keyer, Limits, Stamp, Ts};
use gatewitness::correlate::Leg;
use gatewitness::mcp::Seen;
use gatewitness::packet::Frame;
use gatewitness::pipeline::{Back, Front, Hear, Loss, Middle, Onward, Options, Output, Words, stretches};
use gatewitness::source::{self, Input};
use gatewitness::tcp::{Conn, Receiver, StreamEvent};
use gatewitness::verdict::{Finding, Judged};

const STAGES: [&str; 4] = ["source", "front", "middle", "road"];

fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let only = args.iter().position(|arg| arg == "--stage").map(|at| args.drain(at..at + 2).last().unwrap_or_default());
    println!("| capture | stage | CPU s | MB/CPU-s | ns/packet | allocations/packet | peak MiB | packets |\n|---|---|---|---|---|---|---|---|");
    for capture in &args {
        for stage in STAGES.iter().filter(|stage| only.as_deref().is_none_or(|only| only == **stage)) {
            ALLOCATIONS.store(0, Relaxed);
            HIGHEST.store(LIVE.load(Relaxed), Relaxed);
            let begun = cpu_nanos();
            let packets = walk(capture, stage);
            let nanos = cpu_nanos().saturating_sub(begun).max(1);
            let size = std::fs::metadata(capture).map_or(0, |file| file.len());
            println!(
                "| {capture} | {stage} | {:.3} | {:.0} | {:.0} | {:.3} | {:.1} | {packets} |",
                nanos as f64 / 1e9,
                size as f64 * 1e3 / nanos as f64,
                nanos as f64 / packets.max(1) as f64,
                ALLOCATIONS.load(Relaxed) as f64 / packets.max(1) as f64,
                HIGHEST.load(Relaxed) as f64 / f64::from(1 << 20),
            );
        }
    }
}

/// Reads a capture up to a stage; gives the number of its packets.
fn walk(capture: &str, stage: &str) -> u64 {
    let limits = Limits::default();
    let mut inputs = source::plan(&[PathBuf::from(capture)], &limits).expect("a capture");
    let options = Options { limits, keyer: Keyer::new([7; 32]), gateways: Vec::new(), stall_after: 60_000_000_000 };
    let (mut front, mut middle, mut back) = stretches(options, Nobody);
    let mut packets = 0;
    while let Some(input) = inputs.next() {
        let Input::Packet(packet) = input else { continue };
        packets += 1;
        let frame = Frame { link: packet.link, data: packet.data, orig_len: packet.orig_len, iface: packet.iface, at: packet.stamp };
        match stage {
            "source" => {}
            "front" => front.frame(frame, &mut Nobody),
            "middle" => {
                front.frame(frame, &mut middle);
                forget(&mut middle);
            }
            _ => {
                front.frame(frame, &mut middle);
                pass(&mut middle, &mut back);
            }
        }
    }
    finish(stage, front, middle, back);
    packets
}

fn forget(middle: &mut Middle<Words>) {
    if !middle.next.is_empty() {
        drop(std::mem::take(&mut middle.next));
    }
}

fn pass(middle: &mut Middle<Words>, back: &mut Back<Nobody>) {
    if !middle.next.is_empty() {
        std::mem::take(&mut middle.next).play(back);
    }
}

fn finish(stage: &str, front: Front, mut middle: Middle<Words>, mut back: Back<Nobody>) {
    match stage {
        "source" => {}
        "front" => drop(front.finish(&mut Nobody)),
        "middle" => drop((front.finish(&mut middle), middle.finish())),
        _ => {
            let walked = front.finish(&mut middle);
            pass(&mut middle, &mut back);
            let (counts, _) = middle.finish();
            drop(back.finish(walked, &counts));
        }
    }
}

/// Listens to every stretch and keeps nothing.
struct Nobody;

impl Receiver for Nobody {
    fn on_stream(&mut self, conn: &Conn, event: StreamEvent<'_>) {
        std::hint::black_box((conn, event));
    }
}

impl Onward for Nobody {
    fn read(&mut self, _: Stamp) {}
    fn tick(&mut self, _: Ts, _: Option<Ts>, _: Stamp) {}
    fn secrets(&mut self, _: u16, _: &[u8], _: Stamp) {}
    fn ending(&mut self, _: Stamp) {}
    fn loss(&mut self, _: Loss) {}
}

impl Hear for Nobody {
    fn seen(&mut self, seen: &mut Vec<Seen>, _: Stamp) {
        seen.clear();
    }
    fn tick(&mut self, _: Ts, _: Option<Ts>, _: Stamp) {}
    fn loss(&mut self, _: Loss) {}
}

impl Output for Nobody {
    fn pair(&mut self, _: Judged) {}
    fn loss(&mut self, _: Loss) {}
    fn finding(&mut self, _: Finding) {}
    fn exchange(&mut self, _: Leg) {}
}

/// Nanoseconds that this thread has run: not disturbed by whoever else runs.
fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}

/// Counts what is asked of the system's allocator.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicU64 = AtomicU64::new(0);
static HIGHEST: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static COUNTING: Counting = Counting;

fn more(size: usize) {
    ALLOCATIONS.fetch_add(1, Relaxed);
    HIGHEST.fetch_max(LIVE.fetch_add(size as u64, Relaxed) + size as u64, Relaxed);
}

// SAFETY: every call is handed on unchanged to the system's allocator, whose promises are the trait's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        more(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as u64, Relaxed);
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE.fetch_sub(layout.size() as u64, Relaxed);
        more(size);
        unsafe { System.realloc(at, layout, size) }
    }
}
