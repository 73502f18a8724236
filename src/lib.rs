//! gatewitness: the passive witness beside an MCP gateway.
//!
//! It reads captured traffic, pairs each client request with the upstream requests that the gateway made for it, and names
//! every pair whose upstream failure became a downstream success. It never sits in the path, never changes a byte, never
//! shows a secret, and never claims more than it saw.
//!
//! One road, walked in one direction by everything that is ever seen:
//!
//! ```text
//! source -> packet -> tcp -> tls -> http -> mcp -> correlate -> verdict -> report
//! ```
//!
//! A room may use the words of the rooms before it, never of those after it. `packet` to `verdict` are pure: no clock, no
//! file, no socket, no thread, no environment. See `docs/architecture.md`.

pub mod base;
pub mod capfile;
pub mod cli;
pub mod correlate;
pub mod http;
pub mod live;
pub mod mcp;
pub mod packet;
pub mod pipeline;
pub mod report;
#[cfg(feature = "live")]
pub mod service;
pub mod source;
pub mod tcp;
pub mod tls;
pub mod verdict;
pub mod watch;
