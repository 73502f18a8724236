"""LiteLLM, a chosen release, with the lab's MCP servers in its configuration."""
import json, os, subprocess, time, urllib.error, urllib.request

from processes import Child, free_ports, wait_for

KEY = "sk-lab-0123456789abcdef"


class Gateway:
    """A started gateway: `address`, `keylog`, seconds it took, and its process."""

    def __init__(self, python, version, servers, folder, cert, workers=1, modern=False):
        self.version, self.workers = version, workers
        (port,) = free_ports(["127.0.0.1"])
        self.address, self.keylog = f"127.0.0.1:{port}", os.path.join(folder, f"gateway-{workers}.keys")
        config = os.path.join(folder, f"gateway-{workers}.yaml")
        with open(config, "w") as f:
            json.dump(configuration(servers, modern), f, indent=1)  # JSON is YAML
        words = [os.path.join(os.path.dirname(python), "litellm"), "--config", config, "--host", "127.0.0.1", "--port", str(port)]
        if workers > 1:
            words += ["--num_workers", str(workers)]
            # uvicorn kills workers that are still importing after 5 s, too early for a small machine; before 0.37 it cannot be told otherwise
            words += ["--timeout_worker_healthcheck", "120"] if version_of(python, "uvicorn") >= (0, 37) else ["--run_gunicorn"]
        env = {k: v for k, v in os.environ.items() if not k.upper().endswith("_PROXY")}
        env.update(SSLKEYLOGFILE=self.keylog, SSL_CERT_FILE=cert, LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_TELEMETRY="False", PYTHONUNBUFFERED="1")
        self.started = time.monotonic()
        self.child = Child(words, os.path.join(folder, f"gateway-{workers}.log"), env)

    def wait(self, upstream, first_listing):
        """Until it answers and the upstream has seen `first_listing` requests: every worker lists every server once when it starts."""
        wait_for(f"LiteLLM {self.version}", self._healthy, self.child, 240)
        quiet = Quiet(upstream)
        try:
            wait_for("the start-up listing", lambda: upstream.seen() >= first_listing and quiet.for_seconds(1.5), self.child, 30)
        except SystemExit:
            if not self.child.alive():
                raise  # a release that lists nothing at its start is fine, one that died is not
        self.startup = time.monotonic() - self.started

    def _healthy(self):
        try:
            with urllib.request.urlopen(f"http://{self.address}/health/liveliness", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


class Quiet:
    """How long the upstream has heard nothing."""

    def __init__(self, upstream):
        self.upstream, self.last, self.since = upstream, -1, time.monotonic()

    def for_seconds(self, seconds):
        now = self.upstream.seen()
        if now != self.last:
            self.last, self.since = now, time.monotonic()
        return time.monotonic() - self.since >= seconds


def version_of(python, package):
    """The release of a package in another environment, as numbers."""
    out = subprocess.run([python, "-c", f"from importlib.metadata import version; print(version({package!r}))"], check=True, capture_output=True, text=True)
    return tuple(int(x) for x in out.stdout.strip().split(".") if x.isdigit())


def configuration(servers, modern):
    """Token forwarding, no authentication of its own: the set-up in which a rejected token is swallowed."""
    general = {"master_key": KEY}
    if modern:
        general["mcp_advertised_versions"] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]
    entries = {}
    for s in servers:
        entries[s["name"]] = {"url": f"{'https' if s.get('cert') else 'http'}://{s['host']}:{s['port']}/mcp", "transport": "http", "auth_type": "none",
                              "allow_all_keys": True, "extra_headers": ["Authorization", "x-lab-request-id"]}
        if s["name"] == "modern":
            entries[s["name"]]["protocol_version"] = "2026-07-28"
    return {"model_list": [], "general_settings": general, "mcp_servers": entries}
