//! Which files are pieces of one capture, and which are capture points beside each other.

use crate::base::Ts;

/// For each file's span of time (in order of their beginnings) the number of its capture point. Files that follow each other without
/// overlap are pieces of one; a file whose end is not known shares its point with nobody.
pub(super) fn points(spans: &[(Ts, Ts)]) -> Vec<u16> {
    let mut ends: Vec<Ts> = Vec::new();
    let mut points = Vec::with_capacity(spans.len());
    for (first, last) in spans {
        let free = ends.iter().position(|end| end <= first).unwrap_or(ends.len());
        match ends.get_mut(free) {
            Some(end) => *end = *last,
            None => ends.push(*last),
        }
        points.push(u16::try_from(free).unwrap_or(u16::MAX));
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_pieces_are_one_point_and_overlapping_files_are_two() {
        let spans = [(0, 10), (5, 14), (10, 20), (15, 30), (20, i64::MAX), (21, 22)].map(|(a, b)| (Ts(a), Ts(b)));
        assert_eq!(points(&spans), [0, 1, 0, 1, 0, 2]);
    }
}
