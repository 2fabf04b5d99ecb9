// SPDX-License-Identifier: BSL-1.0
// npm's ws as a server. Paths:
//   /echo       sends each message back
//   /fragments  sends it back in four fragments, one of them empty, with a ping in between
//   /ping       for a message N: pings with N bytes and says "pong N" when they are back
//   /pinged     says "3 pings" after the third ping of the client
//   /close      for a message CODE:REASON: closes with it; CODE 0 stands for none
//   /record     tells each message on stdout; on "cut" destroys the connection
// Tells each close on stdout. Chooses the subprotocol "two" where it is offered. With HAWSER_TLS_CHAIN and
// HAWSER_TLS_KEY in the environment it speaks TLS, with HAWSER_COMPRESSION it compresses.
'use strict';
const fs = require('fs');
const https = require('https');
const { WebSocketServer } = require('ws');

const tell = (event) => process.stdout.write(JSON.stringify(event) + '\n');

function sendInFragments(socket, data, binary) {
  const third = Math.ceil(data.length / 3);
  socket.send(data.subarray(0, third), { binary, fin: false });
  socket.send(Buffer.alloc(0), { binary, fin: false });
  socket.send(data.subarray(third, 2 * third), { binary, fin: false });
  socket.ping('between');
  socket.send(data.subarray(2 * third), { binary, fin: true });
}

const { HAWSER_TLS_CHAIN: chain, HAWSER_TLS_KEY: key, HAWSER_COMPRESSION: compression } = process.env;
const front = chain && https.createServer({ cert: fs.readFileSync(chain), key: fs.readFileSync(key) });
const server = new WebSocketServer({
  ...(front ? { server: front } : { host: '127.0.0.1', port: 0 }),
  perMessageDeflate: Boolean(compression),
  maxPayload: 16 * 1024 * 1024,
  handleProtocols: (offered) => (offered.has('two') ? 'two' : false),
});
server.on('listening', () => process.stdout.write(`listening ${server.address().port}\n`));
server.on('connection', (socket, request) => {
  const path = request.url.split('?')[0];
  let pings = 0;
  let pongs = 0;
  socket.on('error', () => {});
  socket.on('pong', (payload) => {
    if (payload.toString() === 'between') pongs += 1;
    else if (path === '/ping') socket.send(`pong ${payload.length}`);
  });
  socket.on('ping', () => {
    pings += 1;
    if (path === '/pinged' && pings === 3) socket.send('3 pings');
  });
  socket.on('close', (code, reason) => tell({ url: request.url, closed: code, reason: reason.toString(), pongs, compressed: socket.extensions !== '' }));
  socket.on('message', (data, binary) => {
    switch (path) {
      case '/fragments':
        return sendInFragments(socket, data, binary);
      case '/ping':
        return socket.ping('p'.repeat(Number(data)));
      case '/close': {
        const [code, reason] = data.toString().split(':');
        return Number(code) === 0 ? socket.close() : socket.close(Number(code), reason);
      }
      case '/record':
        if (data.toString() === 'cut') return socket.terminate();
        return tell({ url: request.url, message: data.toString() });
      default:
        return socket.send(data, { binary });
    }
  });
});
if (front) front.listen(0, '127.0.0.1');
