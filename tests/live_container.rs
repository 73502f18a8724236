//! A real container of podman, attached to from outside by its id. Takes root, podman, runc and a system Python; says so where it has none.
#![cfg(all(feature = "live", target_os = "linux"))]

mod common;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use common::net::{Live, records, verdicts};
use serde_json::Value;

#[test]
fn a_container_is_attached_to_by_the_beginning_of_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let Some(container) = Container::start(folder.path()) else {
        eprintln!(
            "SKIPPED, not shown by this run: --container on a container of podman (it takes root, podman, runc and /usr/bin/python3)"
        );
        return;
    };
    let live = Live::start(common::command(&["live", "--container", &container.id[..12], "--format", "ndjson"]));
    for (token, count) in [("good-1", "2"), ("bad-1", "3")] {
        let out = container.podman(&["exec", &container.id, "python3", "/srv/scene.py", "client", GATEWAY, token, count]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
    let (code, out, errors) = live.end("INT");
    assert_eq!(code, Some(1), "{errors}");
    assert_eq!((verdicts(&out).get("swallowed"), verdicts(&out).get("healthy")), (Some(&3), Some(&2)), "{out}");
    assert_eq!(records(&out).pop().unwrap()["gateways"][0]["listen"], GATEWAY);
    let doctor = common::gatewitness(&["doctor", "--format", "json"]);
    let told: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let listed = told["servers"].as_array().unwrap().iter().find(|one| one["container"] == container.id[..12]);
    assert!(listed.is_some_and(|one| one["other_network_namespace"] == true), "{told}");
}

const GATEWAY: &str = "127.0.0.1:4000";

struct Container {
    id: String,
    store: [String; 2],
}

impl Container {
    /// The test's gateway and its upstreams on the container's own loopback; its root is this host's `/usr`, so that no image is needed.
    fn start(folder: &Path) -> Option<Container> {
        let there = |path: &str| Path::new(path).exists();
        if !(there("/usr/bin/python3") && (there("/usr/sbin/runc") || there("/usr/bin/runc")) && there("/usr/bin/podman")) {
            return None;
        }
        let root = folder.join("root");
        for place in ["usr", "etc", "tmp", "proc", "sys", "dev", "run", "srv"] {
            std::fs::create_dir_all(root.join(place)).unwrap();
        }
        for place in ["bin", "lib", "lib64"] {
            symlink(format!("usr/{place}"), root.join(place)).unwrap();
        }
        let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let mut container = Container { id: String::new(), store: [at("store"), at("run")] };
        let scene = format!("{}/tests/live:/srv:ro", env!("CARGO_MANIFEST_DIR"));
        let servers = "cd /srv; for n in 1 2; do python3 scene.py upstream 127.0.0.1:900$n s$n & done; \
                       exec python3 scene.py gateway 127.0.0.1:4000 s1=127.0.0.1:9001 s2=127.0.0.1:9002";
        let limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"];
        let places = ["--network", "none", "-v", "/usr:/usr:ro", "-v", &scene, "--rootfs", root.to_str().unwrap()];
        let out = container.podman(&[&["run", "-d"], &limits[..], &places[..], &["/bin/sh", "-c", servers]].concat());
        if !out.status.success() {
            eprintln!("podman: {}", String::from_utf8_lossy(&out.stderr));
            return None;
        }
        container.id = String::from_utf8(out.stdout).unwrap().trim().to_owned();
        let begun = Instant::now();
        while !container.podman(&["exec", &container.id, "python3", "/srv/scene.py", "client", GATEWAY, "good-0", "1"]).status.success() {
            assert!(begun.elapsed() < Duration::from_secs(30), "its servers listen");
            std::thread::sleep(Duration::from_millis(200));
        }
        Some(container)
    }

    fn podman(&self, words: &[&str]) -> Output {
        let [store, run] = &self.store;
        let own = ["60", "podman", "--storage-driver", "vfs", "--root", store, "--runroot", run];
        Command::new("timeout").args(own).args(["--cgroup-manager", "cgroupfs", "--runtime", "runc"]).args(words).output().unwrap()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.podman(&["rm", "-f", "-t", "0", &self.id]);
    }
}
