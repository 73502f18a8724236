// An HTTP/2 server or client for make_h2.py, of node's own http2 module. One line of JSON a finished exchange, on standard output.
//   node h2_node.js server PORT [KEY CERT]      node h2_node.js client URL
const http2 = require('node:http2');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const hash = (data) => createHash('sha256').update(data).digest('hex');
const say = (line) => fs.writeSync(1, JSON.stringify(line) + '\n');
const [, , mode, ...args] = process.argv;
const settings = { enablePush: false, maxConcurrentStreams: 100 };

if (mode === 'server') {
  const [port, key, cert] = args;
  const options = { settings: { maxHeaderListSize: 1 << 17 }, paddingStrategy: http2.constants.PADDING_STRATEGY_MAX, maxHeaderListPairs: 2000 };
  const server = key
    ? http2.createSecureServer({ ...options, key: fs.readFileSync(key), cert: fs.readFileSync(cert), allowHTTP1: true })
    : http2.createServer(options);
  server.on('session', (session) => session.on('error', () => {}));
  server.on('stream', (stream, headers) => {
    const parts = [];
    const path = headers[':path'];
    const about = { conn: stream.session.socket.remotePort, server: Number(port), method: headers[':method'], path };
    stream.on('error', () => {});
    stream.on('data', (part) => parts.push(part));
    stream.on('end', () => {
      const request = Buffer.concat(parts);
      const log = (status, body) => say({ ...about, status, sent: hash(request), got: body === null ? null : hash(body) });
      if (path.startsWith('/reset')) {
        stream.respond({ ':status': 200, 'content-type': 'text/plain' });
        stream.write('half of it');
        log(200, null);
        setTimeout(() => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR), 60);
      } else if (path.startsWith('/trailers')) {
        stream.respond({ ':status': 200 }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'x-checksum': 'abc', 'grpc-status': '0' }));
        stream.end('with trailers');
        log(200, 'with trailers');
      } else if (path.startsWith('/early')) {
        stream.additionalHeaders({ ':status': 103, link: '</style.css>; rel=preload' });
        stream.respond({ ':status': 201 });
        stream.end('hinted');
        log(201, 'hinted');
      } else if (path.startsWith('/fat')) {
        const many = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`x-fat-${n}`, `${n}-`.repeat(150)]));
        stream.respond({ ':status': 418, ...many });
        stream.end('fat head');
        log(418, 'fat head');
      } else if (path.startsWith('/slow')) {
        stream.respond({ ':status': 200 });
        const body = Array.from({ length: 12 }, (_, n) => `part ${n} of ${path}\n`);
        body.forEach((part, n) => setTimeout(() => (n === 11 ? stream.end(part) : stream.write(part)), n * 5));
        log(200, body.join(''));
      } else if (headers[':method'] === 'HEAD') {
        stream.respond({ ':status': 200, 'content-length': 1234 }, { endStream: true });
        log(200, '');
      } else if (path.startsWith('/none')) {
        stream.respond({ ':status': 204 }, { endStream: true });
        log(204, '');
      } else {
        const body = `${about.method} ${path} ${request.length} ` + 'y'.repeat(path.startsWith('/large') ? 70000 : 20);
        stream.respond({ ':status': path.startsWith('/refused') ? 401 : 200, 'content-type': 'text/plain' });
        stream.end(body);
        log(path.startsWith('/refused') ? 401 : 200, body);
      }
    });
  });
  server.listen(Number(port), '127.0.0.1');
} else {
  const [url] = args;
  const session = http2.connect(url, { rejectUnauthorized: false, settings, paddingStrategy: http2.constants.PADDING_STRATEGY_ALIGNED });
  const server = Number(new URL(url).port);
  const ask = (method, path, body, extra = {}) =>
    new Promise((resolve) => {
      const stream = session.request({ ':method': method, ':path': path, ...extra }, { endStream: !body, weight: 77, parent: 0 });
      const parts = [];
      let status = null;
      stream.on('response', (headers) => (status = headers[':status']));
      stream.on('data', (part) => parts.push(part));
      let broken = false;
      stream.on('error', () => (broken = true));
      stream.on('close', () => {
        const got = broken ? null : hash(Buffer.concat(parts));
        say({ conn: session.socket?.localPort, server, method, path, status, sent: hash(body ?? ''), got });
        resolve();
      });
      if (body) stream.end(body);
    });
  (async () => {
    await new Promise((resolve) => session.on('connect', resolve));
    const port = session.socket.localPort;
    Object.defineProperty(session, 'port', { value: port });
    await ask('GET', '/plain/1');
    await Promise.all([1, 2, 3, 4, 5, 6].map((n) => ask('GET', `/slow/${n}`)));
    await ask('POST', '/echo', '{"hello":"world"}', { 'content-type': 'application/json', authorization: 'Bearer one-two-three' });
    await ask('POST', '/large', 'z'.repeat(50000));
    await ask('HEAD', '/head');
    await ask('GET', '/none');
    await ask('GET', '/refused');
    await ask('GET', '/trailers');
    await ask('GET', '/early');
    await ask('GET', '/fat', null, Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`x-many-${n}`, `${n}+`.repeat(250)])));
    await ask('GET', '/reset');
    await ask('DELETE', '/thing/7');
    await ask('GET', '/plain/last');
    session.close();
  })();
}
