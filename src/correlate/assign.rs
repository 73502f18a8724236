//! Assignment: each visit gets at most one client request, each request at most one visit of a kind, the sum of weights is greatest.

/// What each visit may get: columns in ascending order, each with a log-likelihood ratio. What is not named is impossible.
pub(super) type Row = Vec<(usize, f64)>;

/// The best assignment of rows to columns, where a row may also stay without (at `alone`).
///
/// Shortest augmenting paths with potentials (Kuhn, Munkres; the form of Jonker and Volgenant) over the edges that there are. Ties go
/// to the lower row and column, so the result is determined.
pub(super) fn assign(rows: &[Row], columns: usize, alone: f64) -> Vec<Option<usize>> {
    let all = columns + rows.len();
    let mut plan = Plan { rows, columns, alone, row_of: vec![None; all], price: vec![0.0; all], step_of: vec![None; all] };
    let mut found = vec![None; rows.len()];
    for row in 0..rows.len() {
        plan.place(row, &mut found);
    }
    found.into_iter().map(|column| column.filter(|column| *column < columns)).collect()
}

/// Columns: the real ones, then one of its own for each row that stays alone.
struct Plan<'a> {
    rows: &'a [Row],
    columns: usize,
    alone: f64,
    row_of: Vec<Option<usize>>,
    price: Vec<f64>,
    /// Where on the path that is being sought each column stands.
    step_of: Vec<Option<usize>>,
}

/// A column on a path that is being sought.
struct Step {
    column: usize,
    distance: f64,
    /// The row it was reached from.
    from: usize,
    settled: bool,
}

impl<'a> Plan<'a> {
    /// Costs of a row's columns.
    fn costs(&self, row: usize) -> impl Iterator<Item = (usize, f64)> + use<'a> {
        let own = self.rows.get(row).into_iter().flatten().map(|(column, weight)| (*column, -weight));
        own.chain([(self.columns + row, -self.alone)])
    }

    fn priced(&self, row: usize, column: usize) -> f64 {
        let cost = self.costs(row).find(|(own, _)| *own == column).map_or(f64::INFINITY, |(_, cost)| cost);
        cost - self.price.get(column).copied().unwrap_or(0.0)
    }

    fn place(&mut self, row: usize, found: &mut [Option<usize>]) {
        let mut steps: Vec<Step> = Vec::new();
        let (mut at, mut here) = (row, 0.0);
        let end = loop {
            // Distances are relative to the row's own column, whose reduced cost is nothing.
            let base = found.get(at).copied().flatten().map_or(0.0, |own| self.priced(at, own));
            for (column, cost) in self.costs(at) {
                let distance = here + cost - self.price.get(column).copied().unwrap_or(0.0) - base;
                let Some(place) = self.step_of.get_mut(column) else { continue };
                match place.and_then(|place| steps.get_mut(place)) {
                    Some(step) if !step.settled && distance < step.distance => (step.distance, step.from) = (distance, at),
                    Some(_) => {}
                    None => {
                        *place = Some(steps.len());
                        steps.push(Step { column, distance, from: at, settled: false });
                    }
                }
            }
            let open = steps.iter_mut().filter(|step| !step.settled);
            // Every row has a column of its own, so there always is one.
            let Some(next) = open.min_by(|a, b| a.distance.total_cmp(&b.distance).then(a.column.cmp(&b.column))) else { return };
            next.settled = true;
            here = next.distance;
            match self.row_of.get(next.column).copied().flatten() {
                Some(holder) => at = holder,
                None => break next.column,
            }
        };
        for step in steps.iter().filter(|step| step.settled) {
            if let Some(price) = self.price.get_mut(step.column) {
                *price += step.distance - here;
            }
        }
        let mut column = end;
        while let Some(step) = self.step_of.get(column).copied().flatten().and_then(|place| steps.get(place)) {
            let before = found.get(step.from).copied().flatten();
            if let (Some(slot), Some(own)) = (found.get_mut(step.from), self.row_of.get_mut(column)) {
                *slot = Some(column);
                *own = Some(step.from);
            }
            match before {
                Some(before) if step.from != row => column = before,
                _ => break,
            }
        }
        for step in &steps {
            if let Some(place) = self.step_of.get_mut(step.column) {
                *place = None;
            }
        }
    }
}

/// By how much the sum of weights falls if `row` may not have what it was given: the best other column, or another's in exchange.
pub(super) fn margin(rows: &[Row], given: &[Option<usize>], alone: f64, row: usize) -> (f64, Option<usize>) {
    let weight = |row: usize, column: usize| rows.get(row)?.iter().find(|(own, _)| *own == column).map(|(_, weight)| *weight);
    let Some(Some(own)) = given.get(row).copied() else { return (f64::INFINITY, None) };
    let Some(have) = weight(row, own) else { return (f64::INFINITY, None) };
    let mut best = (have - alone, None);
    for (column, other) in rows.get(row).into_iter().flatten().filter(|(column, _)| *column != own) {
        let holder = given.iter().position(|given| *given == Some(*column));
        let loss = match holder {
            None => have - other,
            Some(holder) => {
                let held = weight(holder, *column).unwrap_or(alone);
                // The holder takes ours, or stays alone.
                let instead = weight(holder, own).unwrap_or(alone).max(alone);
                have + held - other - instead
            }
        };
        if loss < best.0 {
            best = (loss, Some(*column));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_counts_not_the_first_choice() {
        let rows = [vec![(0, 5.0), (1, 4.0)], vec![(0, 4.5)]];
        assert_eq!(assign(&rows, 2, -10.0), vec![Some(1), Some(0)]);
    }

    #[test]
    fn what_fits_nowhere_stays_alone() {
        let rows = [vec![(0, -20.0)], vec![]];
        assert_eq!(assign(&rows, 1, -3.0), vec![None, None]);
    }

    #[test]
    fn margin_is_what_an_exchange_would_cost() {
        let rows = [vec![(0, 5.0), (1, 4.0)], vec![(0, 3.0), (1, 4.0)]];
        let given = assign(&rows, 2, -10.0);
        assert_eq!(given, vec![Some(0), Some(1)]);
        assert_eq!(margin(&rows, &given, -10.0, 0), (2.0, Some(1)));
    }

    /// Every assignment tried.
    fn best(rows: &[Row], alone: f64, taken: &mut Vec<usize>) -> f64 {
        let Some((row, rest)) = rows.split_first() else { return 0.0 };
        let mut most = alone + best(rest, alone, taken);
        for (column, weight) in row {
            if !taken.contains(column) {
                taken.push(*column);
                most = most.max(weight + best(rest, alone, taken));
                taken.pop();
            }
        }
        most
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_better(flat in proptest::collection::vec(-9i8..9, 30)) {
            let row = |row: &[i8]| row.iter().enumerate().filter(|(_, w)| **w > -4).map(|(n, w)| (n, f64::from(*w))).collect();
            let rows: Vec<Row> = flat.chunks(5).map(row).collect();
            let given = assign(&rows, 5, -3.0);
            let got: f64 = given.iter().enumerate().map(|(row, column)| match column {
                Some(column) => rows[row].iter().find(|(own, _)| own == column).unwrap().1,
                None => -3.0,
            }).sum();
            let mut columns: Vec<usize> = given.iter().flatten().copied().collect();
            columns.sort_unstable();
            columns.dedup();
            proptest::prop_assert_eq!(columns.len(), given.iter().flatten().count());
            proptest::prop_assert!((got - best(&rows, -3.0, &mut Vec::new())).abs() < 1e-9);
        }
    }
}
