// What Node's HTTP parser and the URL parser of the web make of the bytes that the gate sends: one JSON line a request.
const http = require('http');
const decode = (s) => { try { return decodeURIComponent(s); } catch { return 'UNDECODABLE ' + s; } };
const server = http.createServer((req, res) => {
  const body = [];
  req.on('data', (b) => body.push(b));
  req.on('end', () => {
    const url = new URL(req.url, 'http://upstream');
    process.stdout.write(JSON.stringify({
      method: req.method, target: req.url, host: url.host,
      path: url.pathname.split('/').map(decode), query: [...url.searchParams], fragment: url.hash,
      headers: req.rawHeaders, trailers: req.rawTrailers, body: Buffer.concat(body).toString('latin1'),
    }) + '\n');
    res.writeHead(204);
    res.end();
  });
});
server.on('upgrade', (req, socket) => { process.stdout.write(JSON.stringify({ fault: 'upgrade' }) + '\n'); socket.destroy(); });
server.on('connect', (req, socket) => { process.stdout.write(JSON.stringify({ fault: 'connect' }) + '\n'); socket.destroy(); });
server.on('clientError', (err, socket) => {
  // A request that breaks off is none; everything else is bytes that no request is made of.
  if (err.code !== 'HPE_INVALID_EOF_STATE' && err.code !== 'ECONNRESET') process.stdout.write(JSON.stringify({ fault: err.code }) + '\n');
  socket.destroy();
});
server.listen(0, '127.0.0.1', () => process.stdout.write(JSON.stringify({ port: server.address().port }) + '\n'));
