//! How likely each link is, over all pairings that are thinkable, weighed by how well they fit.
//!
//! Belief propagation on the graph of candidates (sum-product; for matchings it always converges, Vontobel, "The Bethe permanent of a
//! nonnegative matrix", 2013). Exact where candidates form no circle, and where all are alike: one of `n`.

use super::assign::Row;

/// The probability of each edge, in the shape of `rows`. A row may stay without at `alone`, a column at its `empty`; all are log weights.
pub(super) fn marginals(rows: &[Row], alone: f64, empty: &[f64]) -> Vec<Vec<f64>> {
    // Each row's and column's options may be scaled together without changing the odds.
    let top = |row: &Row| row.iter().map(|(_, weight)| *weight).fold(alone, f64::max);
    let weights: Vec<Vec<f64>> = rows.iter().map(|row| row.iter().map(|(_, weight)| (weight - top(row)).exp()).collect()).collect();
    let none: Vec<f64> = rows.iter().map(|row| (alone - top(row)).exp().max(TINY)).collect();
    let empty: Vec<f64> = empty.iter().map(|weight| weight.exp().max(TINY)).collect();
    let shape = |value: f64| -> Vec<Vec<f64>> { rows.iter().map(|row| vec![value; row.len()]).collect() };
    // To a column from a row, and back.
    let (mut down, mut up) = (shape(1.0), shape(1.0));
    for _ in 0..ROUNDS {
        let mut sums = empty.clone();
        for ((row, weights), down) in rows.iter().zip(&weights).zip(&down) {
            for (((column, _), weight), message) in row.iter().zip(weights).zip(down) {
                if let Some(sum) = sums.get_mut(*column) {
                    *sum += weight * message;
                }
            }
        }
        let mut change: f64 = 0.0;
        for ((((row, weights), none), down), up) in rows.iter().zip(&weights).zip(&none).zip(&mut down).zip(&mut up) {
            for ((((column, _), weight), message), back) in row.iter().zip(weights).zip(down.iter()).zip(up.iter_mut()) {
                let others = sums.get(*column).copied().unwrap_or(1.0) - weight * message;
                *back = 1.0 / others.max(TINY);
            }
            let sum = none + weights.iter().zip(up.iter()).map(|(weight, back)| weight * back).sum::<f64>();
            for ((weight, message), back) in weights.iter().zip(down.iter_mut()).zip(up.iter()) {
                let new = 1.0 / (sum - weight * back).max(TINY);
                let next = (*message * new).sqrt();
                change = change.max((next / *message).ln().abs());
                *message = next;
            }
        }
        if change < STILL {
            break;
        }
    }
    let odds = |((weight, down), up): ((&f64, &f64), &f64)| {
        let odds = weight * down * up;
        if odds.is_finite() { odds / (1.0 + odds) } else { 1.0 }
    };
    weights.iter().zip(&down).zip(&up).map(|((weights, down), up)| weights.iter().zip(down).zip(up).map(odds).collect()).collect()
}

/// Rounds of messages.
const ROUNDS: usize = 60;
/// Change of a message, in nats, that ends them.
const STILL: f64 = 1e-4;
/// In place of nothing.
const TINY: f64 = 1e-30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_n_alike_each_has_its_share() {
        let rows: Vec<Row> = (0..4).map(|_| (0..4).map(|column| (column, 2.0)).collect()).collect();
        for share in marginals(&rows, -60.0, &[-60.0; 4]).into_iter().flatten() {
            assert!((share - 0.25).abs() < 0.01, "{share}");
        }
    }

    #[test]
    fn a_lone_edge_is_as_likely_as_it_weighs() {
        let share = marginals(&[vec![(0, 1.0)]], 0.0, &[0.0])[0][0];
        assert!((share - 1f64.exp() / (1.0 + 1f64.exp())).abs() < 1e-3);
    }

    #[test]
    fn whoever_has_no_other_choice_comes_first() {
        let shares = marginals(&[vec![(0, 0.0), (1, 0.0)], vec![(0, 0.0)]], -20.0, &[-20.0; 2]);
        assert!(shares[0][1] > 0.99 && shares[1][0] > 0.99 && shares[0][0] < 0.01, "{shares:?}");
    }
}
