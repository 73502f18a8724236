//! By which addresses a process can be asked: where it listens, with every address of its network namespace where it listens on all.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The addresses of the network namespace of a process.
#[derive(Debug, Default)]
pub(super) struct Reach {
    local: BTreeSet<IpAddr>,
}

impl Reach {
    /// Of the namespace in which a process is.
    pub(super) fn of(pid: i32) -> Reach {
        let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
        let (trie, v6) = (read("fib_trie"), read("if_inet6"));
        Reach { local: ipv4(&trie).chain(ipv6(&v6)).collect() }
    }

    /// What a listening address comes to.
    pub(super) fn reached(&self, listen: SocketAddr) -> BTreeSet<SocketAddr> {
        if !listen.ip().is_unspecified() {
            return BTreeSet::from([listen]);
        }
        // Unless it was told otherwise, who listens on `::` is asked by IPv4 as well (ipv6(7), IPV6_V6ONLY).
        let fits = |ip: &&IpAddr| listen.is_ipv6() || ip.is_ipv4();
        self.local.iter().filter(fits).map(|ip| SocketAddr::new(*ip, listen.port())).collect()
    }
}

/// Local addresses in a `/proc/net/fib_trie`: a leaf `|-- 10.0.0.5` with a line `/32 host LOCAL` below it.
fn ipv4(trie: &str) -> impl Iterator<Item = IpAddr> {
    let mut leaf = None;
    trie.lines().filter_map(move |line| {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse::<Ipv4Addr>().ok();
        }
        leaf.filter(|_| line == "/32 host LOCAL").map(IpAddr::V4)
    })
}

/// Addresses in a `/proc/net/if_inet6`: 32 hex digits at the beginning of each line.
fn ipv6(text: &str) -> impl Iterator<Item = IpAddr> {
    text.lines().filter_map(|line| u128::from_str_radix(line.get(..32)?, 16).ok()).map(|bits| IpAddr::V6(Ipv6Addr::from(bits)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_reached_by_every_address() {
        let trie = "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 10.0.0.0\n        /24 link UNICAST\n     \
                    |-- 10.0.0.5\n        /32 host LOCAL\n     |-- 10.0.0.255\n        /32 link BROADCAST\n";
        let v6 = "fd000000000000000000000000000002 04 40 00 82     eth0\n";
        let reach = Reach { local: ipv4(trie).chain(ipv6(v6)).collect() };
        let all = |listen: &str| reach.reached(listen.parse().unwrap()).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(all("0.0.0.0:4000"), ["10.0.0.5:4000", "127.0.0.1:4000"]);
        assert_eq!(all("[::]:4000"), ["10.0.0.5:4000", "127.0.0.1:4000", "[fd00::2]:4000"]);
        assert_eq!(all("10.0.0.5:4000"), ["10.0.0.5:4000"]);
    }
}
