//! Assignment: each visit gets at most one client request, each request at most one visit of a kind, the sum of weights is greatest.

/// The best assignment of rows to columns, where a row may also stay without (at `alone`).
///
/// `weights[row][column]` is a log-likelihood ratio; `None` forbids. Shortest augmenting paths with potentials (Kuhn, Munkres; the
/// form of Jonker and Volgenant), O(rows² · columns). Ties go to the lower row and column, so the result is determined.
pub(super) fn assign(weights: &[Vec<Option<f64>>], columns: usize, alone: f64) -> Vec<Option<usize>> {
    let rows = weights.len();
    // Columns: the real ones, then one of its own for each row that stays alone. Costs are negated weights.
    let width = columns + rows;
    let cost = |row: usize, column: usize| -> f64 {
        if column >= columns {
            return if column - columns == row { -alone } else { FORBIDDEN };
        }
        weights.get(row).and_then(|weights| weights.get(column)).copied().flatten().map_or(FORBIDDEN, |weight| -weight)
    };
    // One-based, as in the literature: column 0 holds the row being placed.
    let (mut row_potential, mut column_potential) = (vec![0.0; rows + 1], vec![0.0; width + 1]);
    let mut row_of = vec![0usize; width + 1];
    let mut way = vec![0usize; width + 1];
    for row in 1..=rows {
        row_of[0] = row;
        let mut column = 0;
        let mut least = vec![f64::INFINITY; width + 1];
        let mut used = vec![false; width + 1];
        loop {
            used[column] = true;
            let from = row_of[column];
            let (mut delta, mut next) = (f64::INFINITY, 0);
            for candidate in 1..=width {
                if used[candidate] {
                    continue;
                }
                let reduced = cost(from - 1, candidate - 1) - row_potential[from] - column_potential[candidate];
                if reduced < least[candidate] {
                    least[candidate] = reduced;
                    way[candidate] = column;
                }
                if least[candidate] < delta {
                    delta = least[candidate];
                    next = candidate;
                }
            }
            for candidate in 0..=width {
                if used[candidate] {
                    row_potential[row_of[candidate]] += delta;
                    column_potential[candidate] -= delta;
                } else {
                    least[candidate] -= delta;
                }
            }
            column = next;
            if row_of[column] == 0 {
                break;
            }
        }
        while column != 0 {
            let previous = way[column];
            row_of[column] = row_of[previous];
            column = previous;
        }
    }
    let mut found = vec![None; rows];
    for (column, row) in row_of.iter().enumerate().skip(1).take(columns) {
        if *row != 0 && weights.get(row - 1).and_then(|weights| weights.get(column - 1)).copied().flatten().is_some() {
            found[row - 1] = Some(column - 1);
        }
    }
    found
}

/// By how much the sum of weights falls if `row` may not have what it was given: the best other column, or another's in exchange.
pub(super) fn margin(weights: &[Vec<Option<f64>>], given: &[Option<usize>], alone: f64, row: usize) -> (f64, Option<usize>) {
    let weight = |row: usize, column: Option<usize>| match column {
        None => Some(alone),
        Some(column) => weights.get(row).and_then(|weights| weights.get(column)).copied().flatten(),
    };
    let Some(Some(own)) = given.get(row).copied() else { return (f64::INFINITY, None) };
    let Some(have) = weight(row, Some(own)) else { return (f64::INFINITY, None) };
    let mut best = (have - alone, None);
    let columns = weights.get(row).map_or(0, Vec::len);
    for column in (0..columns).filter(|column| *column != own) {
        let Some(other) = weight(row, Some(column)) else { continue };
        let holder = given.iter().position(|given| *given == Some(column));
        let loss = match holder {
            None => have - other,
            Some(holder) => {
                let held = weight(holder, Some(column)).unwrap_or(alone);
                // The holder takes ours, or stays alone.
                let instead = weight(holder, Some(own)).unwrap_or(alone).max(alone);
                have + held - other - instead
            }
        };
        if loss < best.0 {
            best = (loss, Some(column));
        }
    }
    best
}

/// Dearer than any sum of weights can be.
const FORBIDDEN: f64 = 1e9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_counts_not_the_first_choice() {
        let weights = vec![vec![Some(5.0), Some(4.0)], vec![Some(4.5), None]];
        assert_eq!(assign(&weights, 2, -10.0), vec![Some(1), Some(0)]);
    }

    #[test]
    fn what_fits_nowhere_stays_alone() {
        let weights = vec![vec![Some(-20.0)], vec![None]];
        assert_eq!(assign(&weights, 1, -3.0), vec![None, None]);
    }

    #[test]
    fn margin_is_what_an_exchange_would_cost() {
        let weights = vec![vec![Some(5.0), Some(4.0)], vec![Some(3.0), Some(4.0)]];
        let given = assign(&weights, 2, -10.0);
        assert_eq!(given, vec![Some(0), Some(1)]);
        assert_eq!(margin(&weights, &given, -10.0, 0), (2.0, Some(1)));
    }

    proptest::proptest! {
        #[test]
        fn no_exchange_of_two_betters_it(flat in proptest::collection::vec(-9i8..9, 25)) {
            let weights: Vec<Vec<Option<f64>>> = flat.chunks(5).map(|row| row.iter().map(|w| (*w > -8).then_some(f64::from(*w))).collect()).collect();
            let given = assign(&weights, 5, -5.0);
            for row in 0..5 {
                if given[row].is_some() {
                    proptest::prop_assert!(margin(&weights, &given, -5.0, row).0 >= -1e-9);
                }
            }
        }
    }
}
