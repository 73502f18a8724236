//! The configuration file: every long option is a key. Paths in it are meant from where it lies.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Deserializer};

use super::args::{Format, LogTo, Named, Only, seconds, size, verdict};
use super::watch::{Background, Speed};
use crate::verdict::Verdict;

/// What a configuration file says. A key that is no option is an error: a misspelt one must not pass in silence.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Config {
    #[serde(deserialize_with = "one_or_many")]
    pub(super) gateway: Vec<Named>,
    #[serde(deserialize_with = "one_or_many")]
    pub(super) keylog: Vec<PathBuf>,
    pub(super) fingerprint_key: Option<PathBuf>,
    pub(super) threads: Option<NonZeroU16>,
    pub(super) stall_after: Option<f64>,
    pub(super) format: Option<Format>,
    pub(super) output: Option<PathBuf>,
    pub(super) only: Option<Only>,
    pub(super) explain: Option<u64>,
    #[serde(deserialize_with = "verdicts")]
    pub(super) fail_on: Option<Vec<Verdict>>,
    pub(super) allow_declared: bool,
    pub(super) strict: bool,
    pub(super) report_issue: bool,
    pub(super) evidence: Option<PathBuf>,
    pub(super) speed: Option<Speed>,
    pub(super) ascii: bool,
    pub(super) plain: bool,
    pub(super) mouse: bool,
    pub(super) theme: Option<Background>,
    /// Other colours for the dashboard's meanings.
    pub(super) colours: BTreeMap<String, String>,
    /// Other keys for the dashboard's actions.
    pub(super) keys: BTreeMap<String, String>,
    #[serde(deserialize_with = "one_or_many")]
    pub(super) interface: Vec<String>,
    #[serde(deserialize_with = "bytes")]
    pub(super) ring: Option<u64>,
    pub(super) filter: Option<String>,
    pub(super) netns: Option<String>,
    pub(super) container: Option<String>,
    pub(super) record: Option<PathBuf>,
    #[serde(deserialize_with = "bytes")]
    pub(super) record_size: Option<u64>,
    pub(super) record_files: Option<usize>,
    pub(super) heartbeat: Option<f64>,
    pub(super) log: Option<LogTo>,
    #[serde(deserialize_with = "bytes")]
    pub(super) max_size: Option<u64>,
    pub(super) max_files: Option<usize>,
    pub(super) duration: Option<f64>,
    pub(super) max_packets: Option<u64>,
    pub(super) once: bool,
    pub(super) tls: bool,
    #[serde(deserialize_with = "one_or_many")]
    pub(super) tls_pid: Vec<u32>,
    #[serde(deserialize_with = "one_or_many")]
    pub(super) tls_exe: Vec<PathBuf>,
    #[serde(deserialize_with = "one_or_many")]
    pub(super) tls_container: Vec<String>,
    pub(super) tls_force: bool,
    pub(super) metrics: Option<SocketAddr>,
    pub(super) otlp: Option<String>,
    pub(super) metrics_remote: bool,
    pub(super) user: Option<String>,
    pub(super) unconfined: bool,
    #[serde(deserialize_with = "bytes")]
    pub(super) max_memory: Option<u64>,
}

impl Config {
    /// Reads a file; none is an empty one.
    pub(super) fn read(path: Option<&Path>) -> anyhow::Result<Config> {
        let Some(path) = path else { return Ok(Config::default()) };
        let text = fs::read_to_string(path).with_context(|| format!("{}: the configuration cannot be read", path.display()))?;
        let mut config = Config::parse(&text).with_context(|| format!("{}: the configuration is not understood", path.display()))?;
        let here = path.parent().unwrap_or(Path::new(""));
        let paths = config.keylog.iter_mut().chain(&mut config.tls_exe).chain(&mut config.fingerprint_key).chain(&mut config.output);
        let paths = paths.chain(&mut config.evidence).chain(&mut config.record);
        paths.for_each(|path| *path = here.join(&path));
        Ok(config)
    }

    fn parse(text: &str) -> anyhow::Result<Config> {
        let config: Config = toml::from_str(text)?;
        for (name, value) in [("stall-after", config.stall_after), ("duration", config.duration), ("heartbeat", config.heartbeat)] {
            value.map_or(Ok(0.0), |value| seconds(&value.to_string())).map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
        }
        Ok(config)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    Many(Vec<T>),
    One(T),
}

fn one_or_many<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(match OneOrMany::deserialize(from)? {
        OneOrMany::Many(all) => all,
        OneOrMany::One(one) => vec![one],
    })
}

/// A number of bytes, or `32MiB` as on the command line.
fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Size {
        Bytes(u64),
        Text(String),
    }
    let size = match Size::deserialize(from)? {
        Size::Bytes(bytes) => size(&bytes.to_string()),
        Size::Text(text) => size(&text),
    };
    size.map(Some).map_err(serde::de::Error::custom)
}

/// `["swallowed", "partial"]`, or `"swallowed,partial"` as on the command line.
fn verdicts<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<Verdict>>, D::Error> {
    let words: Vec<String> = one_or_many(from)?;
    let all = words.iter().flat_map(|word| word.split(',')).map(|word| verdict(word.trim()));
    all.collect::<Result<_, _>>().map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_on_the_command_line() {
        let config =
            Config::parse("gateway = '10.0.0.5:4000'\nkeylog = ['a', 'b']\nfail-on = 'swallowed,partial'\nstall-after = 5\n").unwrap();
        assert_eq!((config.gateway.len(), config.keylog.len(), config.stall_after), (1, 2, Some(5.0)));
        assert_eq!(config.fail_on, Some(vec![Verdict::Swallowed, Verdict::Partial]));
    }

    #[test]
    fn mistakes_are_told() {
        for text in ["gatewey = 'x'", "format = 'yaml'", "fail-on = 'masked'", "stall-after = 0", "gateway = 'somewhere'"] {
            assert!(Config::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths_are_meant_from_where_the_file_lies() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gatewitness.toml");
        fs::write(&path, "keylog = 'keys'\noutput = '/tmp/out'\n").unwrap();
        let config = Config::read(Some(&path)).unwrap();
        assert_eq!((config.keylog, config.output), (vec![folder.path().join("keys")], Some(PathBuf::from("/tmp/out"))));
    }
}
