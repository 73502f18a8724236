//! What is handed to packagers and operators: the Debian package through its whole life, the RPM's contents, manifests, and what the
//! binary is linked with.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::need_all;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// libc's own libraries, and libpcap where live capture is built in: every distribution has them.
#[test]
#[cfg(target_os = "linux")]
fn no_unusual_library_is_needed() {
    let out = Command::new("readelf").args(["-d", env!("CARGO_BIN_EXE_gatewitness")]).output().expect("readelf, which comes with cc");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let needed: BTreeSet<&str> =
        text.lines().filter(|line| line.contains("(NEEDED)")).filter_map(|line| line.split(['[', ']']).nth(1)).collect();
    assert!(needed.contains("libc.so.6"), "{text}");
    for library in &needed {
        let stem = library.split(".so").next().unwrap_or_default();
        let usual = ["libc", "libm", "libgcc_s", "ld-linux-x86-64", "ld-linux-aarch64"].contains(&stem);
        assert!(usual || cfg!(feature = "live") && stem == "libpcap", "{library}");
    }
    assert_eq!(needed.iter().any(|library| library.starts_with("libpcap")), cfg!(feature = "live"));
}

/// Their options are options: each command line is understood as far as `--help` at its end.
#[test]
#[cfg(feature = "live")]
fn units_manifests_and_the_container_start_what_there_is() {
    let read = |path: &str| fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let listed = |line: &str| -> Vec<String> {
        let inside = line.split_once('[').and_then(|(_, rest)| rest.rsplit_once(']')).map(|(inside, _)| inside).expect("a list");
        inside.split(',').map(|word| word.trim().trim_matches('"').to_owned()).collect()
    };
    let line = |text: &str, start: &str| text.lines().map(str::trim).find(|line| line.starts_with(start)).map(str::to_owned);
    let unit = line(&read("docs/service/gatewitness.service"), "ExecStart=/usr/bin/gatewitness ").expect("ExecStart");
    let mut all = vec![unit.split(' ').skip(1).map(str::to_owned).collect()];
    all.push(listed(&line(&read("docs/package/Containerfile"), "CMD [").expect("CMD")));
    for manifest in ["daemonset", "sidecar"] {
        all.push(listed(&line(&read(&format!("docs/package/{manifest}.yaml")), "args: [").expect("args")));
    }
    for mut words in all {
        assert_eq!(words[0], "live");
        words.push("--help".to_owned());
        let out = common::command(&words.iter().map(String::as_str).collect::<Vec<_>>()).output().expect("the binary runs");
        assert_eq!(out.status.code(), Some(0), "{words:?}: {}", String::from_utf8_lossy(&out.stderr));
    }
}

#[test]
fn manifests_are_yaml_and_ask_for_three_capabilities() {
    if !need_all("the manifests, read as YAML") {
        return;
    }
    let check = "
import sys, yaml
for path in sys.argv[1:]:
    text = yaml.safe_load(open(path))
    assert text['apiVersion'] == 'apps/v1', path
    pod = text['spec']['template']
    assert text['spec']['selector']['matchLabels'].items() <= pod['metadata']['labels'].items(), path
    [ours] = [one for one in pod['spec']['containers'] if one['name'] == 'gatewitness']
    rights = ours['securityContext']
    assert rights['capabilities'] == {'drop': ['ALL'], 'add': ['NET_RAW', 'SETUID', 'SETGID']}, path
    assert rights['readOnlyRootFilesystem'] and not rights['allowPrivilegeEscalation'] and 'privileged' not in rights, path
    assert ours['resources']['limits'].keys() == {'cpu', 'memory'}, path
    assert all(isinstance(word, str) for word in ours['args']), path
";
    let python = common::venv(&["pyyaml"]);
    let out =
        Command::new(python).args(["-c", check, "docs/package/daemonset.yaml", "docs/package/sidecar.yaml"]).current_dir(ROOT).output();
    told(&out.expect("python runs"));
}

#[test]
#[cfg(all(feature = "live", target_os = "linux"))]
fn the_debian_package_is_installed_started_upgraded_and_removed() {
    if !need_all("the Debian package, installed on a copy of this machine's files") {
        return;
    }
    assert!(rustix::process::geteuid().is_root(), "root is needed: an overlay, a namespace, dpkg");
    let [old, new] = ["0.1.0", "0.1.1"].map(|version| {
        build("deb", "cargo-deb", version);
        package(&format!("gatewitness_{version}-1_"), ".deb")
    });
    let control = told(&Command::new("dpkg-deb").args(["--field".as_ref(), new.as_os_str()]).output().expect("dpkg-deb runs"));
    assert!(control.contains("libpcap0.8") && control.contains("libc6"), "{control}");
    let out = Command::new("tests/package/cycle").args([&old, &new]).current_dir(ROOT).output().expect("it runs");
    let said = told(&out);
    for step in ["installed 0.1.0-1", "started and stopped", "upgraded to 0.1.1-1", "removed", "purged"] {
        assert!(said.contains(step), "{said}");
    }
}

#[test]
fn the_rpm_holds_the_same() {
    if !need_all("the RPM, listed by rpm") {
        return;
    }
    build("rpm", "cargo-generate-rpm", "0.1.0");
    let rpm = package("gatewitness-0.1.0-", ".rpm");
    let ask = |what: &str| {
        let words = ["-q".as_ref(), what.as_ref(), "-p".as_ref(), rpm.as_os_str()];
        told(&Command::new("rpm").args::<_, &std::ffi::OsStr>(words).output().expect("rpm runs"))
    };
    let files = ask("--list");
    for file in [
        "/usr/bin/gatewitness",
        "/etc/gatewitness/gatewitness.toml",
        "/usr/lib/systemd/system/gatewitness.service",
        "/usr/share/man/man1/gatewitness.1",
        "/usr/share/man/man1/gatewitness-live.1",
        "/usr/share/bash-completion/completions/gatewitness",
        "/usr/share/zsh/site-functions/_gatewitness",
        "/usr/share/fish/vendor_completions.d/gatewitness.fish",
    ] {
        assert!(files.lines().any(|line| line == file), "{file} is not in\n{files}");
    }
    assert_eq!(ask("--configfiles").trim(), "/etc/gatewitness/gatewitness.toml");
    let needs = ask("--requires");
    assert!(needs.contains("libpcap.so.") && needs.contains("libc.so.6"), "{needs}");
}

/// As a packager does it; the tool that packages is installed under `target/` where it is not there.
fn build(kind: &str, tool: &str, version: &str) {
    let tools = Path::new(ROOT).join("target/test-tools");
    let path = format!("{}:{}", tools.join("bin").display(), std::env::var("PATH").unwrap_or_default());
    let there = std::env::split_paths(&path).any(|folder| folder.join(tool).exists());
    if !there {
        let words = ["install", tool, "--locked", "--root"];
        told(&Command::new("cargo").args(words).arg(&tools).output().expect("cargo runs"));
    }
    let mut command = Command::new("docs/package/build");
    told(&command.arg(kind).env("PATH", path).env("VERSION", version).current_dir(ROOT).output().expect("it runs"));
}

fn package(start: &str, end: &str) -> PathBuf {
    let folder = Path::new(ROOT).join("target/package");
    let names = fs::read_dir(&folder).expect("packages").filter_map(Result::ok).map(|entry| entry.path());
    let fits =
        |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(start) && name.ends_with(end));
    names.into_iter().find(fits).unwrap_or_else(|| panic!("no {start}*{end} in {}", folder.display()))
}

/// What it printed; it has to have gone well.
fn told(out: &Output) -> String {
    let (said, error) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{said}\n{error}");
    said.into_owned()
}
