"""Joins the clients' log and the upstream's log into what really happened, one verdict a client request.

An upstream request is tied to its client request by the lab id that the gateway forwards, else by a token that only one request used,
else by time where only one request was open.  Where several are possible (probes carry a token and no id, and tokens may be shared) it
says so in `caused_by_one_of` and ties nothing.  No packet is read here, and nothing that gatewitness says.
"""
import collections


def join(clients, upstreams, t_start, t_stop):
    """The truth file's `client_requests`, `upstream_requests` and what follows from them."""
    clients = sorted(clients, key=lambda c: c["t_send"])
    by_id = {c["id"]: c for c in clients}
    by_token = collections.defaultdict(list)
    for c in clients:
        by_token[c["token"]].append(c)
    ups = sorted((u for u in upstreams if t_start <= u["t_request"] <= t_stop), key=lambda u: u["t_request"])
    for n, u in enumerate(ups):
        u["n"] = n
        cause, how, possible = tie(u, by_id, by_token, clients)
        u.update(caused_by=cause, tied_by=how, note=None)
        if possible:
            u["caused_by_one_of"] = possible
        if u["t_end"] is None:
            u["open_when_capture_stopped"] = True
    for c in clients:
        own = [u for u in ups if u["caused_by"] == c["id"]]
        maybe = [u for u in ups if c["id"] in u.get("caused_by_one_of", ())]
        c["upstream_requests"], c["upstream_statuses"] = [u["n"] for u in own], [u["status"] for u in own]
        c["verdict"] = verdict(c, own + maybe)
    for u in ups:
        for private in ("lab_id", "token", "event"):
            u.pop(private, None)
    return {
        "client_requests": clients, "upstream_requests": ups,
        "upstream_without_client_request": [u["n"] for u in ups if not u["caused_by"] and not u.get("caused_by_one_of")],
        "flag_swallowed_401": [c["id"] for c in clients if c["verdict"] == "swallowed_401"],
        "flag_partial_401": [c["id"] for c in clients if c["verdict"] == "partial_401"],
        "verdict_counts": dict(collections.Counter(c["verdict"] for c in clients)),
    }


def tie(u, by_id, by_token, clients):
    """(client request or None, how, the candidates where there are several)."""
    if u["lab_id"] in by_id:
        return u["lab_id"], "x-lab-request-id", None
    open_now = [c for c in clients if c["t_send"] <= u["t_request"] <= c["t_end"]]
    if u["token"]:
        same = by_token.get(u["token"], [])
        if len(same) == 1:
            return same[0]["id"], "unique token", None
        open_now, how = [c for c in same if c in open_now], "token and time"
    else:
        how = "time (the only request that was open)"
    if len(open_now) == 1:
        return open_now[0]["id"], how, None
    return None, None, [c["id"] for c in open_now] or None


def verdict(c, ups):
    """One of the words of the recordings; see tests/score.py for what each means for gatewitness."""
    rpc = c["rpc_method"] or ("tools/list" if "/mcp-rest/" in c["path"] else None)
    asked = [u for u in ups if u["http_method"] == "POST" and not (u["rpc_method"] or "").startswith("notifications/")]
    good = {u["server"] for u in asked if u["rpc_method"] == rpc and u["status"] == 200}
    bad = [u for u in asked if u["server"] not in good and (u["status"] is None or u["status"] >= 400)]
    rejected = any(u["status"] == 401 for u in bad)
    why = "401" if rejected else "403" if any(u["status"] == 403 for u in bad) else "other" if bad else None
    if rpc is None or rpc.startswith("notifications/"):
        return "background"
    if c["status"] is None:
        return "client_got_no_response"
    if c["status"] >= 400:
        return f"propagated_{why}" if why else f"downstream_{c['status']}"
    if c.get("body_incomplete"):
        return "headers_200_then_never_answered" + ("_401" if rejected else "")
    body = c["body"]
    told = body.get("error") is not None and not any(k in body for k in LISTS)
    if rpc == "tools/call":
        if told or body.get("isError"):
            return "call_401_as_tool_error" if rejected else "call_error"
        return "call_401_other" if rejected else "swallowed_other" if bad else "healthy"
    if not rpc.endswith("/list"):
        return "other_with_upstream_401" if rejected else "other_with_upstream_error" if bad else "healthy"
    if told:
        return "list_error_401" if rejected else "propagated_other" if bad or c["path"].endswith("/ghost") else "list_error"  # nobody listens there
    entries = next((body[k] for k in LISTS if k in body), 0)
    if bad:
        return ("swallowed_" if entries == 0 else "partial_") + ("401" if rejected else "other")
    return "healthy" if entries else "empty_legit" if asked else "empty_no_upstream"


LISTS = ("tools", "prompts", "resources")
