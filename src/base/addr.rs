//! An address and port, as small as it can be: it keys every table.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// IP address and TCP port. IPv4 is held as an IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2) and shown as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Addr {
    ip: [u8; 16],
    port: u16,
}

impl Addr {
    /// Before all others in order.
    pub const MIN: Addr = Addr { ip: [0; 16], port: 0 };

    /// From any IP address and a port.
    pub fn new(ip: IpAddr, port: u16) -> Addr {
        let ip = match ip {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        Addr { ip, port }
    }

    /// From the four bytes of an IPv4 header.
    pub fn v4(ip: [u8; 4], port: u16) -> Addr {
        Addr::new(IpAddr::V4(Ipv4Addr::from(ip)), port)
    }

    /// From the sixteen bytes of an IPv6 header.
    pub fn v6(ip: [u8; 16], port: u16) -> Addr {
        Addr { ip, port }
    }

    /// Stands for an address that nobody saw, by the name under which it was asked for: in the block that no packet may bear
    /// (RFC 6666, 100::/64), equal for equal names.
    pub fn unseen(name: &str) -> Addr {
        // FNV-1a: stable over runs and machines.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let mut ip = [0; 16];
        let (block, rest) = ip.split_at_mut(8);
        block.copy_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
        rest.copy_from_slice(&hash.to_be_bytes());
        Addr { ip, port: 0 }
    }

    /// The address without its port.
    pub fn ip(self) -> IpAddr {
        Ipv6Addr::from(self.ip).to_canonical()
    }

    /// The TCP port.
    pub fn port(self) -> u16 {
        self.port
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip() {
            IpAddr::V4(ip) => write!(f, "{ip}:{}", self.port),
            IpAddr::V6(ip) => write!(f, "[{ip}]:{}", self.port),
        }
    }
}

impl FromStr for Addr {
    type Err = std::net::AddrParseError;
    fn from_str(text: &str) -> Result<Addr, Self::Err> {
        let socket: std::net::SocketAddr = text.parse()?;
        Ok(Addr::new(socket.ip(), socket.port()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_print_as_people_write_them() {
        for text in ["127.0.0.1:4000", "[::1]:9001", "[2001:db8::7]:80"] {
            assert_eq!(text.parse::<Addr>().unwrap().to_string(), text);
        }
        assert_eq!(Addr::v4([10, 0, 0, 7], 80), "10.0.0.7:80".parse().unwrap());
    }
}
