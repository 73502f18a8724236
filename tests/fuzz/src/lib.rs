//! What the fuzz targets share: a connection that is told things, and a witness of what it says.

pub mod script;
pub mod tape;
pub mod wire;

/// A small generator of cuts, so that a run is a function of its input.
pub struct Cuts(u64);

impl Cuts {
    /// Seeded from the input itself.
    pub fn new(data: &[u8]) -> Cuts {
        Cuts(data.iter().take(64).fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)) | 1)
    }

    /// From 1 to `most`.
    pub fn upto(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        1 + (self.0 % most.max(1) as u64) as usize
    }
}
