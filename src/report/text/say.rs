//! Times, spans and numbers as people read them.

use crate::base::Ts;

/// `21:51:45.386`, UTC, cut to milliseconds.
pub(crate) fn clock(ts: Ts) -> String {
    ts.to_string().get(11..23).unwrap_or_default().to_owned()
}

/// `2026-11-22`, UTC.
pub(crate) fn day(ts: Ts) -> String {
    ts.to_string().get(..10).unwrap_or_default().to_owned()
}

/// From one time to another, naming the day once where it is the same.
pub(in crate::report) fn from_to(first: Ts, last: Ts) -> String {
    if first == last {
        return format!("{} {} UTC", day(first), clock(first));
    }
    let end = if day(first) == day(last) { clock(last) } else { format!("{} {}", day(last), clock(last)) };
    format!("{} {} to {end} UTC ({})", day(first), clock(first), span(last.since(first)))
}

/// `0.723 s`, `12 min 3 s`, `3 h 12 min`, `2 d 4 h`.
pub(crate) fn span(nanos: i64) -> String {
    let seconds = nanos.max(0) / 1_000_000_000;
    match seconds {
        0..60 => format!("{:.3} s", nanos.max(0) as f64 / 1e9),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// `1,234,567`.
pub(crate) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 pair`, `2 pairs`.
pub(crate) fn many(n: u64, thing: &str) -> String {
    format!("{} {thing}{}", number(n), if n == 1 { "" } else { "s" })
}

/// `frames 4–24`, `frame 7`.
pub(in crate::report) fn frames(frames: [u64; 2]) -> String {
    let [first, last] = frames;
    if first == last { format!("frame {first}") } else { format!("frames {first}–{last}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_times_spans_and_numbers() {
        let ts = Ts(1_795_384_305_386_999_999);
        assert_eq!((day(ts).as_str(), clock(ts).as_str()), ("2026-11-22", "21:51:45.386"));
        assert_eq!(from_to(ts, ts + 723_000_000), "2026-11-22 21:51:45.386 to 21:51:46.109 UTC (0.723 s)");
        assert_eq!(from_to(ts, ts + 86_400_000_000_000), "2026-11-22 21:51:45.386 to 2026-11-23 21:51:45.386 UTC (1 d 0 h)");
        assert_eq!(
            [span(0), span(723_000_000), span(62_000_000_000), span(7_260_000_000_000)],
            ["0.000 s", "0.723 s", "1 min 2 s", "2 h 1 min"]
        );
        assert_eq!([number(0), number(999), number(1_000), number(12_345_678)], ["0", "999", "1,000", "12,345,678"]);
        assert_eq!([many(1, "pair"), many(2, "pair")], ["1 pair", "2 pairs"]);
    }
}
