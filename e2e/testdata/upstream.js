// An API of Node's own HTTP parser: it tells, one JSON line each, which requests it has read whole, and answers where it
// believes to have been asked. "lenient" makes the parser as generous as it can be.
const http = require('http');
const options = { insecureHTTPParser: process.argv[3] === 'lenient', requireHostHeader: false };
const server = http.createServer(options, (req, res) => {
  let body = 0;
  req.on('data', (b) => { body += b.length; });
  req.on('end', () => {
    process.stdout.write(JSON.stringify({ method: req.method, uri: req.url, id: req.headers['portreeve-request-id'] || '', body }) + '\n');
    res.writeHead(204, { 'X-Echo': req.url });
    res.end();
  });
});
server.on('clientError', (err, socket) => {
  process.stdout.write(JSON.stringify({ method: 'FAULT', uri: String(err.code), id: '' }) + '\n');
  socket.destroy();
});
const [host, port] = process.argv[2].split(':');
server.listen(+port, host);
