#!/bin/bash
# Records the TLS captures of captures/tls/ on the loopback interface, each with its key log, with the OpenSSL tools, curl, Python,
# node and rustls (rustls-client/, built here). Needs root (tcpdump), OpenSSL 3 or later, curl, python3, node, cargo. Certificates,
# keys and contents are made up here.
#
#   tests/captures/make_tls.sh [name...]      all, or only these
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
out=$here/captures/tls
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
cd "$work"
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 3650 -subj /CN=upstream.test \
    -addext subjectAltName=DNS:upstream.test 2>/dev/null
cat key.pem cert.pem > both.pem
openssl dhparam -dsaparam -out dh.pem 2048 2>/dev/null
printf '{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}' > list.json
python3 -c "print('x' * 6000)" > large.txt
python3 -c "print('y' * 24000)" > huge.txt
port=8440
wanted=" $* "

# capture NAME FUNCTION: runs the function while recording; it finds $port, and writes secrets to $keys.
capture() {
    [ "$wanted" = "  " ] || [[ "$wanted" == *" $1 "* ]] || return 0
    port=$((port + 1))
    keys=$work/$1.keys
    : > "$keys"
    tcpdump -i lo -U -s 0 -w "$work/$1.pcap" "tcp port $port" 2>/dev/null &
    local dump=$!
    sleep 1
    "$2" || true
    sleep 0.7
    kill -INT $dump
    wait $dump 2>/dev/null || true
    cp "$work/$1.pcap" "$keys" "$out/"
    echo "$1 $(stat -c %s "$out/$1.pcap") bytes, $(grep -c . "$keys") secrets"
}

# serve ARGS...: a server that answers GET with files of this folder.
serve() { openssl s_server -accept $port -cert cert.pem -key key.pem -quiet "$@" < /dev/null > server.log 2>&1 & server=$!; sleep 0.4; }
stop() { kill $server 2>/dev/null || true; wait $server 2>/dev/null || true; }
get() { printf 'GET /%s HTTP/1.1\r\nHost: upstream.test\r\n\r\n' "$1"; }
client() { openssl s_client -connect 127.0.0.1:$port -servername upstream.test -keylogfile "$keys" "$@" 2>&1; }

# one CLIENT-ARGS -- SERVER-ARGS: two files by GET, each over a connection of its own.
one() {
    local mine=()
    while [ "$1" != -- ]; do mine+=("$1"); shift; done
    shift
    serve -WWW "$@"
    for file in ${files:-list.json large.txt}; do { get $file; sleep 0.5; } | client -quiet "${mine[@]}" > /dev/null || true; done
    stop
}

tls13-aes128() { one -tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256 --; }
tls13-huge() { files=huge.txt one -tls1_3 --; }
tls12-huge() { files=huge.txt one -tls1_2 --; }
tls13-aes256() { one -tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384 --; }
tls13-chacha20() { one -tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256 --; }
tls13-ccm() { one -tls1_3 -ciphersuites TLS_AES_128_CCM_SHA256 -- -ciphersuites TLS_AES_128_CCM_SHA256; }
tls13-padding() { one -tls1_3 -- -record_padding 512; }
tls13-fragments() { one -tls1_3 -max_send_frag 512 -- -max_send_frag 600 -split_send_frag 600; }
tls13-retry() { one -tls1_3 -groups X25519:P-384 -- -groups P-384; }
tls13-no-middlebox() { one -tls1_3 -no_middlebox -- -no_middlebox; }
tls12-aes128() { one -tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256 --; }
tls12-aes256() { one -tls1_2 -cipher ECDHE-RSA-AES256-GCM-SHA384 --; }
tls12-chacha20() { one -tls1_2 -cipher ECDHE-RSA-CHACHA20-POLY1305 --; }
tls12-dhe() { one -tls1_2 -cipher DHE-RSA-AES256-GCM-SHA384 -- -dhparam dh.pem; }
tls12-rsa() { one -tls1_2 -cipher AES128-GCM-SHA256 --; }
tls12-cbc-sha1() { one -tls1_2 -cipher ECDHE-RSA-AES128-SHA --; }
tls12-cbc-sha256() { one -tls1_2 -cipher ECDHE-RSA-AES128-SHA256 --; }
tls12-cbc-sha384() { one -tls1_2 -cipher ECDHE-RSA-AES256-SHA384 --; }
tls12-cbc-mac-first() { one -tls1_2 -cipher ECDHE-RSA-AES256-SHA -- -no_etm; }
tls12-ccm() { one -tls1_2 -cipher DHE-RSA-AES128-CCM -- -cipher DHE-RSA-AES128-CCM -dhparam dh.pem; }
tls11() { one -tls1_1 -cipher ECDHE-RSA-AES128-SHA:@SECLEVEL=0 -- -tls1_1 -cipher ALL:@SECLEVEL=0; }

tls13-key-update() {
    serve -rev -tls1_3
    { for line in one K two k three K K four; do echo $line; sleep 0.15; done; } | client -tls1_3 > /dev/null
    stop
}

resumed() {
    serve -WWW "$1"
    { get list.json; sleep 0.5; } | client -ign_eof "$1" -sess_out session > /dev/null
    { get list.json; sleep 0.5; } | client -ign_eof "$1" -sess_in session > /dev/null
    stop
}
tls13-resumed() { resumed -tls1_3; }
tls12-resumed() { resumed -tls1_2; }
tls12-renegotiated() {
    openssl s_server -accept $port -cert cert.pem -key key.pem -tls1_2 -rev -quiet -client_renegotiation > server.log 2>&1 < /dev/null & server=$!
    sleep 0.4
    { for line in one R two; do echo $line; sleep 0.2; done; } | client -tls1_2 > /dev/null
    stop
}

early() {
    local name=$1 max=$2
    mkfifo say-$name
    openssl s_server -accept $port -cert cert.pem -key key.pem -tls1_3 -early_data -max_early_data 4096 -no_anti_replay < say-$name > server.log 2>&1 & server=$!
    exec 7> say-$name
    sleep 0.4
    { echo first; sleep 0.4; } | client -tls1_3 -sess_out session > /dev/null
    sleep 0.3
    if [ "$max" = refused ]; then
        exec 7>&-
        stop
        openssl s_server -accept $port -cert cert.pem -key key.pem -tls1_3 -rev -quiet < /dev/null > server.log 2>&1 & server=$!
        sleep 0.4
    fi
    get list.json > early.txt
    { sleep 0.3; get large.txt; sleep 0.4; } | client -tls1_3 -sess_in session -early_data early.txt > /dev/null & local asking=$!
    sleep 0.4
    [ "$max" = refused ] || echo 'HTTP/1.1 204 No Content' >&7
    wait $asking
    [ "$max" = refused ] || exec 7>&-
    stop
}
tls13-early() { early early accepted; }
tls13-early-refused() { early refused refused; }

tls13-unknown-ca() { serve -WWW -tls1_3; SSLKEYLOGFILE=$keys curl -s https://localhost:$port/list.json -o /dev/null; stop; }
tls12-unknown-ca() { serve -WWW -tls1_2; SSLKEYLOGFILE=$keys curl -s https://localhost:$port/list.json -o /dev/null; stop; }
tls13-no-shared-suite() { serve -WWW -tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384; client -tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256 < /dev/null > /dev/null; stop; }

curl-tls13() { serve -WWW; SSLKEYLOGFILE=$keys curl -s --http1.0 --cacert cert.pem --resolve upstream.test:$port:127.0.0.1 https://upstream.test:$port/list.json -o /dev/null; stop; }
python-alpn() {
    serve -WWW -alpn http/1.1
    python3 - "$port" "$keys" <<'P'
import socket, ssl, sys
context = ssl.create_default_context(cafile="cert.pem")
context.set_alpn_protocols(["h2", "http/1.1"])
context.keylog_filename = sys.argv[2]
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as plain, context.wrap_socket(plain, server_hostname="upstream.test") as tls:
    tls.sendall(b"GET /list.json HTTP/1.1\r\nHost: upstream.test\r\n\r\n")
    while tls.recv(4096):
        pass
P
    stop
}

# Asks for a file, and for another over the same connection.
asked() { SSLKEYLOGFILE=$keys curl -s --cacert cert.pem --resolve upstream.test:$port:127.0.0.1 "$@" https://upstream.test:$port/list.json -o /dev/null || true; }
curl-tls12() { serve -WWW; asked --http1.0 --tls-max 1.2; stop; }
curl-tls12-chacha20() { serve -WWW; asked --http1.0 --tls-max 1.2 --ciphers ECDHE-RSA-CHACHA20-POLY1305; stop; }
curl-tls12-cbc() { serve -WWW; asked --http1.0 --tls-max 1.2 --ciphers ECDHE-RSA-AES128-SHA; stop; }
curl-tls13-aes128() { serve -WWW; asked --http1.0 --tls13-ciphers TLS_AES_128_GCM_SHA256; stop; }
curl-tls13-chacha20() { serve -WWW; asked --http1.0 --tls13-ciphers TLS_CHACHA20_POLY1305_SHA256; stop; }
curl-tls13-retry() { serve -WWW -groups P-384; asked --http1.0 --curves X25519:P-384; stop; }

# python VERSION SUITE: a client and a server, two connections of which the second resumes the first's session.
python() {
    python3 - "$port" "$keys" "$@" <<'P'
import socket, ssl, sys, threading
port, keys, version, suite = int(sys.argv[1]), *sys.argv[2:5]
server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile="cert.pem")
server.load_cert_chain("cert.pem", "key.pem")
client.keylog_filename = keys
for context in server, client:
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    if suite != "-":
        context.set_ciphers(suite)
listener = socket.create_server(("127.0.0.1", port))
def serve():
    for _ in range(2):
        with server.wrap_socket(listener.accept()[0], server_side=True) as tls:
            for body in "s" * 40000, '{"tools":[]}':
                asked = b""
                while not asked.endswith(b"\r\n\r\n"):
                    asked += tls.recv(4096)
                tls.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            tls.unwrap()
serving = threading.Thread(target=serve)
serving.start()
session = None
for _ in range(2):
    with client.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="upstream.test", session=session) as tls:
        for size in 40000, 12:
            tls.sendall(b"POST /mcp HTTP/1.1\r\nHost: upstream.test\r\nContent-Length: 0\r\n\r\n")
            got = b""
            while len(got.partition(b"\r\n\r\n")[2]) < size:
                got += tls.recv(65536)
        session = tls.session
        try:
            tls.unwrap()
        except OSError:
            pass
serving.join()
P
}
python-tls13() { python TLSv1_3 -; }
python-tls12() { python TLSv1_2 -; }
python-tls12-cbc() { python TLSv1_2 ECDHE-RSA-AES256-SHA384; }

# node VERSION PROTOCOL: a client and a server, two requests on each of two connections.
node_talks() {
    node - "$port" "$keys" "$@" <<'N'
const [port, keys, version, protocol] = process.argv.slice(2), fs = require("fs"), https = require("https"), http2 = require("http2");
const log = (line) => fs.appendFileSync(keys, line), [key, cert] = ["key.pem", "cert.pem"].map((name) => fs.readFileSync(name));
const common = { minVersion: version, maxVersion: version, key, cert, ca: cert, servername: "upstream.test" };
const body = "n".repeat(20000), seconds = (n) => new Promise((done) => setTimeout(done, n * 1000));
async function one() {
    const server = https.createServer(common, (_, answer) => answer.end(body)).listen(port);
    const agent = new https.Agent({ ...common, keepAlive: true, maxSockets: 1 });
    agent.on("keylog", log);
    for (let n = 0; n < 4; n++) {
        await new Promise((done) => https.get({ agent, port, host: "127.0.0.1", path: "/" + n }, (got) => got.on("end", done).resume()));
        if (n == 1) { agent.destroy(); await seconds(0.2); }
    }
    agent.destroy();
    server.close();
}
async function two() {
    const server = http2.createSecureServer(common).listen(port);
    server.on("stream", (stream) => { stream.respond({ ":status": 200 }); stream.end(body); });
    const client = http2.connect("https://127.0.0.1:" + port, common);
    client.once("connect", (_, socket) => {});
    client.socket?.on?.("keylog", log);
    server.on("keylog", log);
    await Promise.all([1, 2, 3].map((n) => new Promise((done) => client.request({ ":path": "/" + n }).on("end", done).resume())));
    client.close();
    server.close();
}
(protocol == "h2" ? two() : one()).then(() => seconds(0.3)).then(() => process.exit(0));
N
}
node-tls13() { node_talks TLSv1.3 http/1.1; }
node-tls12() { node_talks TLSv1.2 http/1.1; }
node-h2() { node_talks TLSv1.3 h2; }

# rustls FILE WORD...: see rustls-client/src/main.rs.
rustls() {
    [ -x "$work/rustls-client" ] || {
        cargo build --quiet --release --manifest-path "$here/tests/captures/rustls-client/Cargo.toml" --target-dir "${RUSTLS_TARGET:-$work/target}"
        cp "${RUSTLS_TARGET:-$work/target}/release/rustls-client" "$work/"
    }
    SSLKEYLOGFILE=$keys "$work/rustls-client" "$port" "$@"
}
rustls-one() { serve -WWW; rustls large.txt "$@" || true; stop; }
rustls-tls13-aes128() { rustls-one TLS13_AES_128_GCM_SHA256; }
rustls-tls13-aes256() { rustls-one TLS13_AES_256_GCM_SHA384; }
rustls-tls13-chacha20() { rustls-one TLS13_CHACHA20_POLY1305_SHA256; }
rustls-tls12-aes128() { rustls-one tls12 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256; }
rustls-tls12-chacha20() { rustls-one tls12 TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256; }
rustls-resumed() { rustls-one resumed; }
rustls-tls12-resumed() { rustls-one tls12 resumed; }
rustls-small() { rustls-one small; }
rustls-key-update() { rustls-one update; }
rustls-early() {
    openssl s_server -accept $port -cert cert.pem -key key.pem -tls1_3 -quiet -early_data -max_early_data 4096 -no_anti_replay < /dev/null > server.log 2>&1 & server=$!
    sleep 0.4
    rustls list.json early || true
    stop
}

for name in tls13-aes128 tls13-huge tls12-huge tls13-aes256 tls13-chacha20 tls13-ccm tls13-padding tls13-fragments tls13-retry tls13-no-middlebox \
    tls12-aes128 tls12-aes256 tls12-chacha20 tls12-dhe tls12-rsa tls12-cbc-sha1 tls12-cbc-sha256 tls12-cbc-sha384 tls12-cbc-mac-first tls12-ccm tls11 \
    tls13-key-update tls13-resumed tls12-resumed tls12-renegotiated tls13-early tls13-early-refused \
    tls13-unknown-ca tls12-unknown-ca tls13-no-shared-suite curl-tls13 python-alpn \
    curl-tls12 curl-tls12-chacha20 curl-tls12-cbc curl-tls13-aes128 curl-tls13-chacha20 curl-tls13-retry \
    python-tls13 python-tls12 python-tls12-cbc node-tls13 node-tls12 node-h2 \
    rustls-tls13-aes128 rustls-tls13-aes256 rustls-tls13-chacha20 rustls-tls12-aes128 rustls-tls12-chacha20 rustls-resumed \
    rustls-tls12-resumed rustls-small rustls-key-update rustls-early; do
    capture $name $name
done
