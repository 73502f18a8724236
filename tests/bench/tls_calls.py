"""What one call of OpenSSL costs while `gatewitness live --tls` reads it: with and without, by turns. Needs root.

    tls_calls.py GATEWITNESS [ROUNDS]

Two ends of a TLS connection in one process, over memory BIOs: 300 bytes are written by the one and read by the other. CPU time of slices of 200
such calls; the quickest slice of each round is what a busy machine disturbed least. Told are the medians of these, and what a call costs more.
"""
import os, signal, ssl, statistics, subprocess, sys, tempfile, time


def ends(folder):
    """Both ends, their handshake done, and what carries bytes between them."""
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl._create_unverified_context().wrap_bio(back, there)
    server = context.wrap_bio(there, back, server_side=True)
    for _ in range(3):
        for end in (client, server):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass
    return client, server


def quickest(client, server, seconds):
    """CPU seconds of one call."""
    data, best, end = b"x" * 300, None, time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.process_time()
        for _ in range(100):
            client.write(data)
            server.read(300)
        took = (time.process_time() - begun) / 200
        best = min(best or took, took)
    return best


def main():
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    with tempfile.TemporaryDirectory() as folder:
        client, server = ends(folder)
        off, on = [], []
        for _ in range(rounds):
            off.append(quickest(client, server, 2))
            live = subprocess.Popen([sys.argv[1], "live", "-i", "lo", "--tls-pid", str(os.getpid())], stdout=subprocess.DEVNULL,
                                    stderr=subprocess.PIPE, text=True)
            while "watching" not in live.stderr.readline():
                assert live.poll() is None, "it ended"
            on.append(quickest(client, server, 2))
            live.send_signal(signal.SIGINT)
            live.communicate()
    off, on = ([1e6 * x for x in all] for all in (off, on))
    more = [b - a for a, b in zip(off, on)]
    print(f"{statistics.median(off):.2f} us a call without, {statistics.median(on):.2f} us with: {statistics.median(more):.2f} us more "
          f"({min(more):.2f} to {max(more):.2f}); load {os.getloadavg()[0]:.1f}")


main()
