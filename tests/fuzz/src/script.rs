//! Bytes become a dialogue: mostly text, with what happens on a connection in bytes that text does not use.

use gatewitness::base::{Cause, Dir, Gap, Stamp, Ts};
use gatewitness::tcp::{Close, StreamEvent};

/// One thing that happens on a connection.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    Data(Dir, &'a [u8]),
    Gap(Dir, Gap),
    Finished(Dir),
    Closed(Close),
}

impl Step<'_> {
    /// As an event of packet number `ord`.
    pub fn event(&self, ord: u64) -> StreamEvent<'_> {
        let at = stamp(ord);
        match *self {
            Step::Data(dir, bytes) => StreamEvent::Data { dir, bytes, at },
            Step::Gap(dir, gap) => StreamEvent::Gap { dir, gap, at },
            Step::Finished(dir) => StreamEvent::Finished { dir, at },
            Step::Closed(how) => StreamEvent::Closed { how, at },
        }
    }
}

/// A packet's.
pub fn stamp(ord: u64) -> Stamp {
    Stamp { ord, ts: Ts(ord as i64 * 1_000_000), frame: ord, file: 0 }
}

/// 0xf0 and 0xf1 turn to the client and the server, 0xf2 to 0xf7 are holes and ends; everything else is what is sent. Always ends
/// with `Closed`, and says nothing of a direction after its end, as `tcp` promises.
pub fn text(data: &[u8]) -> Vec<Step<'_>> {
    let (mut steps, mut dir, mut over) = (Vec::new(), Dir::AtoB, [false; 2]);
    let mut how = Close::CaptureEnd;
    for piece in data.chunk_by(|a, b| *a < CONTROL && *b < CONTROL) {
        let step = match *piece {
            [0xf0] => {
                dir = Dir::AtoB;
                continue;
            }
            [0xf1] => {
                dir = Dir::BtoA;
                continue;
            }
            [0xf2] => Step::Gap(dir, Gap { len: Some(10), cause: Cause::Lost }),
            [0xf3] => Step::Gap(dir, Gap { len: None, cause: Cause::Before }),
            [0xf4] => Step::Gap(dir, Gap { len: Some(1), cause: Cause::Cut }),
            [0xf5] => Step::Gap(dir, Gap { len: None, cause: Cause::Limit }),
            [0xf6] => Step::Finished(dir),
            [0xf7] => {
                how = Close::Reset(dir);
                break;
            }
            [0xf8..=0xff] => continue,
            _ => Step::Data(dir, piece),
        };
        push(&mut steps, step, dir, &mut over);
    }
    steps.push(Step::Closed(if over == [true; 2] { Close::Finished } else { how }));
    steps
}

/// Pieces with their length before them: a byte that says what, a byte or two of length, the bytes.
pub fn binary(mut data: &[u8]) -> Vec<Step<'_>> {
    let (mut steps, mut over) = (Vec::new(), [false; 2]);
    let mut how = Close::CaptureEnd;
    while let [kind, a, b, rest @ ..] = data {
        let dir = if kind & 1 == 0 { Dir::AtoB } else { Dir::BtoA };
        let len = usize::from(u16::from_le_bytes([*a, *b]));
        let (piece, after) = rest.split_at(len.min(rest.len()));
        data = after;
        let step = match (kind >> 1) % 8 {
            0..=3 => Step::Data(dir, piece),
            4 => Step::Gap(dir, Gap { len: Some(len as u64), cause: Cause::Lost }),
            5 => Step::Gap(dir, Gap { len: None, cause: if len == 0 { Cause::Before } else { Cause::Limit } }),
            6 => Step::Finished(dir),
            _ => {
                how = Close::Reset(dir);
                break;
            }
        };
        push(&mut steps, step, dir, &mut over);
    }
    steps.push(Step::Closed(if over == [true; 2] { Close::Finished } else { how }));
    steps
}

fn push<'a>(steps: &mut Vec<Step<'a>>, step: Step<'a>, dir: Dir, over: &mut [bool; 2]) {
    if over[dir.index()] || matches!(step, Step::Data(_, [])) {
        return;
    }
    over[dir.index()] = matches!(step, Step::Finished(_));
    steps.push(step);
}

const CONTROL: u8 = 0xf0;
