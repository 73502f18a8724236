//! Messages of HTTP exchanges come in; what was asked and what was answered goes out: JSON-RPC over JSON and SSE, LiteLLM's
//! REST list routes, sessions, every MCP revision. Knows nothing of gateways.

mod exchange;

pub use exchange::{
    Answer, Answered, Ask, AskKind, Asked, Conduit, ConduitKind, Declared, Exchange, List, ListKind, Outcome, Peers, Request, Response,
    RpcId, Seen,
};
