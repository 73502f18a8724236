//! The command line as its user meets it.

use clap::{CommandFactory, Parser};

use super::config::Config;
use super::{Cli, broken_pipe};

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

fn help(of: Option<&str>) -> String {
    let mut tool = Cli::command().term_width(100);
    tool.build();
    match of {
        None => tool.render_long_help().to_string(),
        Some(name) => tool.find_subcommand_mut(name).unwrap().clone().term_width(100).render_long_help().to_string(),
    }
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn help_teaches() {
    // Without live capture there are fewer commands.
    if cfg!(feature = "live") {
        snapshot("help", &help(None));
        snapshot("help-watch", &help(Some("watch")));
        snapshot("help-live", &help(Some("live")));
        snapshot("help-doctor", &help(Some("doctor")));
    }
    snapshot("help-replay", &help(Some("replay")));
    snapshot("help-compare", &help(Some("compare")));
    snapshot("help-exchanges", &help(Some("exchanges")));
}

#[test]
fn every_long_option_has_a_key_in_the_configuration() {
    let tool = Cli::command();
    let commands = ["replay", "compare", "watch", "exchanges"].into_iter().chain(cfg!(feature = "live").then_some("live"));
    let longs: Vec<&str> = commands
        .flat_map(|name| tool.find_subcommand(name).unwrap().get_arguments().filter_map(clap::Arg::get_long))
        .filter(|long| !["help", "version", "config"].contains(long))
        .collect();
    assert!(longs.len() > 10, "{longs:?}");
    for long in longs {
        let error = toml::from_str::<Config>(&format!("{long} = {{}}")).unwrap_err().to_string();
        assert!(!error.contains("unknown field"), "{long}: {error}");
    }
}

#[test]
fn what_does_not_work_is_not_accepted() {
    let refused = |words: &[&str]| Cli::try_parse_from([&["gatewitness"], words].concat()).is_err_and(|error| error.exit_code() == 2);
    assert!(refused(&["replay"]));
    assert!(refused(&["replay", "a.pcap", "--format", "yaml"]));
    assert!(refused(&["replay", "a.pcap", "--report-issue", "--format", "json"]));
    assert!(refused(&["compare", "a.pcap"]));
    assert!(refused(&["replay", "a.pcap", "--fail-on", "masked"]));
    assert!(refused(&["replay", "a.pcap", "--gateway", "somewhere"]));
    assert!(refused(&["replay", "a.pcap", "--stall-after", "0"]));
    assert!(refused(&["live", "in.pcap"]));
    assert!(Cli::try_parse_from(["gatewitness", "replay", "--fail-on", "swallowed,partial", "-o", "out", "a.pcap", "-"]).is_ok());
}

#[test]
fn a_closed_pipe_is_found_behind_any_context() {
    let pipe = |kind: std::io::ErrorKind| anyhow::Error::from(std::io::Error::from(kind)).context("report").context("run");
    assert!(broken_pipe(&pipe(std::io::ErrorKind::BrokenPipe)));
    assert!(!broken_pipe(&pipe(std::io::ErrorKind::NotFound)));
}
