#!/bin/bash
# Records the TLS captures of captures/tls/ on the loopback interface, each with its key log, with the OpenSSL tools, curl and
# Python. Needs root (tcpdump), OpenSSL 3 or later, curl, python3. Certificates, keys and contents are made up here.
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

for name in tls13-aes128 tls13-huge tls12-huge tls13-aes256 tls13-chacha20 tls13-ccm tls13-padding tls13-fragments tls13-retry tls13-no-middlebox \
    tls12-aes128 tls12-aes256 tls12-chacha20 tls12-dhe tls12-rsa tls12-cbc-sha1 tls12-cbc-sha256 tls12-cbc-sha384 tls12-cbc-mac-first tls12-ccm tls11 \
    tls13-key-update tls13-resumed tls12-resumed tls12-renegotiated tls13-early tls13-early-refused \
    tls13-unknown-ca tls12-unknown-ca tls13-no-shared-suite curl-tls13 python-alpn; do
    capture $name $name
done
