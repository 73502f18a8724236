//! What whoever runs the witness may change while it goes on.

use std::net::IpAddr;

use super::{Correlator, Pair};

impl Correlator {
    /// Other gateways are named from now on; any port where none is given. Pairs that were told stay as they are.
    pub fn name_gateways(&mut self, named: Vec<(IpAddr, Option<u16>)>) {
        self.roles.name(named);
    }

    /// Memory is short: an eighth of the open requests, the oldest, are judged with what is known.
    pub fn relieve(&mut self, out: &mut Vec<Pair>) {
        let eighth = self.requests.keys().count().div_ceil(8);
        let oldest: Vec<_> = self.requests.keys().copied().take(eighth).collect();
        for key in oldest {
            self.close(key, true, out);
        }
        self.sweep();
    }
}
