//! REST routes that list tools or call them: which requests are such, and what their bodies say.
//! Another gateway's route is one more line in [`ROUTES`].

use super::json::Json;
use super::jsonrpc::Means;
use super::outcome::Expect;
use super::result::Fields;
use super::{ListKind, Outcome};

/// What a REST route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// It lists.
    List(ListKind),
    /// It calls a tool.
    Call,
}

/// The route of a request; gateways may live under a path of their own, so only the path's end counts.
pub(super) fn route(method: &str, path: &str) -> Option<Route> {
    let path = path.trim_end_matches('/');
    ROUTES.iter().find(|(known, end, _)| *known == method && path.ends_with(end)).map(|(_, _, route)| *route)
}

/// Reads the body of a success; `None` where it is no whole JSON.
pub(super) fn read(bytes: &[u8], route: Route, means: Means<'_>) -> Option<Outcome> {
    let mut json = Json::new(bytes, means.limits.json_depth);
    let fields = Fields::read(&mut json, means, true).ok()?;
    json.end().ok()?;
    Some(fields.outcome(match route {
        Route::List(kind) => Expect::List(kind),
        Route::Call => Expect::Call,
    }))
}

/// Method, end of the path, what it does.
const ROUTES: &[(&str, &str, Route)] = &[
    ("GET", "/mcp-rest/tools/list", Route::List(ListKind::Tools)),
    ("POST", "/mcp-rest/tools/call", Route::Call),
    ("GET", "/mcp/tools/list", Route::List(ListKind::Tools)),
    ("POST", "/mcp/tools/call", Route::Call),
    ("GET", "/v1/mcp/tools", Route::List(ListKind::Tools)),
];
