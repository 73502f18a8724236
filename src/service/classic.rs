//! OpenMetrics text as Prometheus's older text format (0.0.4), which `promtool check metrics` and others read. Samples are the same in
//! both; what tells of them differs: a counter is called by its sample's name, and there is no unit, no `info` and no end.

use std::fmt::Write;

/// `text` without its end marker, in the older format.
pub(super) fn classic(text: &str) -> String {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let suffixes: std::collections::HashMap<&str, &str> = types
        .filter_map(|(name, kind)| match kind {
            "counter" => Some((name, "_total")),
            "info" => Some((name, "_info")),
            _ => None,
        })
        .collect();
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let told =
            line.strip_prefix("# ").and_then(|rest| rest.split_once(' ')).and_then(|(what, rest)| Some((what, rest.split_once(' ')?)));
        match told {
            Some(("UNIT", _)) => continue,
            Some((what, (name, rest))) => {
                let rest = if (what, rest) == ("TYPE", "info") { "gauge" } else { rest };
                // Writing to a string cannot fail.
                let _ = writeln!(out, "# {what} {name}{} {rest}", suffixes.get(name).unwrap_or(&""));
            }
            None => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_infos_are_called_by_their_samples() {
        let open = "# HELP a_pairs Pairs.\n# TYPE a_pairs counter\na_pairs_total{verdict=\"x\"} 1\n\
                    # HELP a_cpu_seconds CPU.\n# TYPE a_cpu_seconds counter\n# UNIT a_cpu_seconds seconds\na_cpu_seconds_total 0.5\n\
                    # HELP a_build Build.\n# TYPE a_build info\na_build_info{version=\"1\"} 1\n\
                    # HELP a_open Open.\n# TYPE a_open gauge\na_open 3\n";
        let expected = "# HELP a_pairs_total Pairs.\n# TYPE a_pairs_total counter\na_pairs_total{verdict=\"x\"} 1\n\
                        # HELP a_cpu_seconds_total CPU.\n# TYPE a_cpu_seconds_total counter\na_cpu_seconds_total 0.5\n\
                        # HELP a_build_info Build.\n# TYPE a_build_info gauge\na_build_info{version=\"1\"} 1\n\
                        # HELP a_open Open.\n# TYPE a_open gauge\na_open 3\n";
        assert_eq!(classic(open), expected);
    }
}
