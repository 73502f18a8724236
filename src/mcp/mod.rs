//! Messages of HTTP exchanges come in; what was asked and what was answered goes out: JSON-RPC over JSON and SSE, LiteLLM's
//! REST list routes, sessions, every MCP revision. Knows nothing of gateways.

mod answering;
mod cancel;
mod exchange;
#[cfg(test)]
mod forms;
mod hides;
mod json;
mod jsonrpc;
mod mark;
mod observer;
mod open;
mod outcome;
mod reading;
mod refusal;
mod rest;
mod result;
mod route;
mod session;
mod sse;
#[cfg(test)]
mod trial;
mod words;

pub use exchange::{
    Answer, Answered, Ask, AskKind, Asked, Conduit, ConduitKind, Declared, Exchange, List, ListKind, Outcome, Peers, Request, Response,
    Resumable, RpcId, Seen,
};
pub use hides::reports_failure;
pub use observer::{Listening, Observer};
pub use session::Joiner;
