//! Options that commands share, and the values that they take.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;
use std::thread;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::config::Config;
use crate::base::Addr;
use crate::verdict::Verdict;

/// What to read.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Reading")]
pub(super) struct Reading {
    /// Capture files (pcap, pcapng, also compressed), directories of rotated ones, or `-` for standard input
    #[arg(required = true, value_name = "CAPTURE")]
    pub(super) captures: Vec<PathBuf>,

    /// Threads to work on; more than three are not needed, and the output is the same [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) threads: Option<u16>,

    #[command(flatten)]
    pub(super) keys: Keys,
}

impl Reading {
    /// With the configuration's word where the command line has none.
    pub(super) fn or(self, config: &Config) -> Reading {
        let threads = self.threads.or(config.threads.map(NonZeroU16::get));
        Reading { threads, keys: self.keys.or(config), ..self }
    }

    /// How many threads to work on.
    pub(super) fn threads(&self) -> usize {
        self.threads.map_or_else(|| thread::available_parallelism().map_or(1, NonZeroUsize::get), usize::from)
    }
}

/// Keys of either kind, and where further options stand.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Reading")]
pub(super) struct Keys {
    /// TLS keys in NSS key log format, as SSLKEYLOGFILE writes them (repeatable). Secrets inside a pcapng are used by themselves
    #[arg(long, value_name = "FILE")]
    pub(super) keylog: Vec<PathBuf>,

    /// Make credential fingerprints with this file's content as key, so that they compare across runs. Without it, each run has its own
    #[arg(long, value_name = "FILE")]
    pub(super) fingerprint_key: Option<PathBuf>,

    /// Take options from a TOML file; every long option is a key there, and the command line wins
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

impl Keys {
    /// With the configuration's word where the command line has none.
    pub(super) fn or(mut self, config: &Config) -> Keys {
        if self.keylog.is_empty() {
            self.keylog.clone_from(&config.keylog);
        }
        self.fingerprint_key = self.fingerprint_key.or_else(|| config.fingerprint_key.clone());
        self
    }
}

/// How to show it.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Showing")]
pub(super) struct Showing {
    /// `text` for a person, `json` for one document, `ndjson` for one record a line; `html` (one page that needs nothing else), `markdown`,
    /// `junit` and `sarif` (both for CI) to hand over [default: text]
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    pub(super) format: Option<Format>,

    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

impl Showing {
    /// With the configuration's word where the command line has none.
    pub(super) fn or(self, config: &Config) -> Showing {
        Showing { format: self.format.or(config.format), output: self.output.or_else(|| config.output.clone()) }
    }

    /// Text unless told otherwise.
    pub(super) fn format(&self) -> Format {
        self.format.unwrap_or(Format::Text)
    }
}

/// Forms of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    /// For a person
    Text,
    /// One JSON document
    Json,
    /// One JSON record a line
    Ndjson,
    /// One page for a browser
    Html,
    /// For pull requests and bug trackers
    Markdown,
    /// JUnit XML, for CI systems
    Junit,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

/// What `--only` leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Only {
    /// Findings and the summary
    Findings,
}

/// A gateway's address; any port where none is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Named(pub(super) IpAddr, pub(super) Option<u16>);

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Named, String> {
        if let Ok(addr) = text.parse::<Addr>() {
            return Ok(Named(addr.ip(), Some(addr.port())));
        }
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        let ip =
            bare.parse::<IpAddr>().map_err(|_| "expected an IP address, with or without port: 10.0.0.5:4000, [::1]:4000".to_owned())?;
        Ok(Named(ip, None))
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(port) => SocketAddr::new(self.0, port).fmt(f),
            None => self.0.fmt(f),
        }
    }
}

impl TryFrom<String> for Named {
    type Error = String;

    fn try_from(text: String) -> Result<Named, String> {
        text.parse()
    }
}

/// A verdict by its word.
pub(super) fn verdicts() -> impl TypedValueParser<Value = Verdict> {
    PossibleValuesParser::new(Verdict::ALL.iter().map(|verdict| verdict.as_str())).try_map(|word| verdict(&word))
}

/// The same for the configuration.
pub(super) fn verdict(word: &str) -> Result<Verdict, String> {
    Verdict::ALL.iter().copied().find(|verdict| verdict.as_str() == word).ok_or_else(|| format!("`{word}` is no verdict"))
}

/// A number of seconds that can be waited for.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().map_err(|error| error.to_string())?;
    if number > 0.0 && number <= MOST_SECONDS {
        Ok(number)
    } else {
        Err(format!("expected more than 0 and at most {MOST_SECONDS} seconds"))
    }
}

/// `32MiB`, `100M`, `65536`: powers of 1024, whatever the spelling.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err("expected a size like 32MiB".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "expected a size like 32MiB".to_owned())?;
    number.checked_mul(1 << shift).filter(|size| *size > 0).ok_or_else(|| "expected a size like 32MiB".to_owned())
}

/// A year: beyond that, nanoseconds need care.
const MOST_SECONDS: f64 = 31_536_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways_are_addresses_with_or_without_port() {
        let named = |text: &str| text.parse::<Named>().map(|Named(ip, port)| (ip.to_string(), port));
        assert_eq!(named("10.0.0.5:4000"), Ok(("10.0.0.5".to_owned(), Some(4000))));
        assert_eq!(named("10.0.0.5"), Ok(("10.0.0.5".to_owned(), None)));
        assert_eq!(named("[::1]:4000"), Ok(("::1".to_owned(), Some(4000))));
        assert_eq!(named("::1"), Ok(("::1".to_owned(), None)));
        assert_eq!(named("[::1]"), Ok(("::1".to_owned(), None)));
        assert!(named("gateway:4000").is_err() && named("10.0.0.5:99999").is_err());
    }

    #[test]
    fn seconds_are_positive_and_finite() {
        assert_eq!(seconds("0.5"), Ok(0.5));
        assert!(["0", "-1", "nan", "inf", "1e12", "soon"].iter().all(|text| seconds(text).is_err()));
    }

    #[test]
    fn sizes_read_as_people_write_them() {
        assert_eq!(["1", "4k", "32MiB", "32 MB", "2G"].map(|text| size(text).unwrap()), [1, 4_096, 32 << 20, 32 << 20, 2 << 30]);
        assert!(["", "0", "MiB", "1.5M", "3x", "99999999999G"].iter().all(|text| size(text).is_err()));
    }
}
