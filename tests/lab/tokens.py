"""Lab tokens: real signed JWTs (HS256) that also say how the upstream shall behave towards their bearer.

A token carries its own script because the upstream must fail for one client and serve another at the same moment, and because
nothing else that a client sends reaches the upstream through every gateway.  The keys are lab keys: no token is valid anywhere else.
"""
import base64, hashlib, hmac, json, time

KEY = b"lab signing key, good for nothing else"
BEHAVIOURS = {"ok", "empty", "401", "401list", "403", "500", "hang"}


def make(sub, behaviour="ok", per_server=None):
    """A bearer token of about 500 bytes; `401` is one that has expired, everything else is good for an hour."""
    assert {behaviour, *(per_server or {}).values()} <= BEHAVIOURS, behaviour
    now = int(time.time())
    claims = {
        "iss": "https://login.lab.invalid/", "aud": "mcp-lab", "sub": sub, "iat": now - 7200,
        "exp": now - 60 if behaviour == "401" else now + 3600, "scope": "mcp:tools mcp:prompts mcp:resources",
        "jti": hashlib.sha256(sub.encode()).hexdigest(), "lab": {"does": behaviour, "at": per_server or {}},
    }
    body = _b64(b'{"alg":"HS256","typ":"JWT"}') + "." + _b64(json.dumps(claims).encode())
    return body + "." + _b64(_sign(body))


def check(header, server):
    """What `server` does for this Authorization header: a behaviour, `401` for what is absent, forged or expired."""
    scheme, _, token = (header or "").partition(" ")
    body, _, signature = token.rpartition(".")
    if scheme.lower() != "bearer" or not hmac.compare_digest(signature, _b64(_sign(body))):
        return "401"
    claims = json.loads(_unb64(body.partition(".")[2]))
    if claims["exp"] < time.time():
        return "401"
    lab = claims["lab"]
    return lab["at"].get(server, lab["does"])


def fingerprint(header):
    """Twelve hex digits that name a credential in logs and truth files."""
    return hashlib.sha256(header.encode()).hexdigest()[:12] if header else None


def _sign(body):
    return hmac.new(KEY, body.encode(), "sha256").digest()


def _b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
