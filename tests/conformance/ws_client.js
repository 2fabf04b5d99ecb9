// SPDX-License-Identifier: BSL-1.0
// npm's ws as a client: `echo URL` checks an echo server, `talk URL` our driver as a listener, each
// check told as a line of JSON; `wait URL` connects and tells how it was closed.
'use strict';
const WebSocket = require('ws');

const [mode, url] = process.argv.slice(2);
const sizes = [0, 1, 125, 126, 127, 65535, 65536, 1024 * 1024];
const closes = [[1000, ''], [1001, 'going'], [1011, 'internal trouble'], [3000, 'gruß'], [4999, 'x'.repeat(123)], [0, '']];
let told = 0;

const tell = (line) => process.stdout.write(line + '\n');
function check(name, ok, detail = '') {
  told += 1;
  tell(JSON.stringify({ check: name, ok, detail: String(detail) }));
}

// Begins with the index, so that no two messages are alike; text has characters of one to four bytes.
function pattern(text, size, index = 0) {
  const head = Buffer.from(String(index).padStart(8, '0'));
  const letters = Buffer.from('häwser € 🚢 0123456789');
  const bytes = Buffer.alloc(size, text ? 'z' : '');
  if (!text) for (let i = 0; i < size; i += 1) bytes[i] = (i * 7 + index) & 255;
  else for (let at = head.length; at + letters.length <= size; at += letters.length) letters.copy(bytes, at);
  head.copy(bytes);
  return bytes;
}

// A socket whose messages, pongs and close are awaited one after the other.
class Link {
  constructor(protocols, options = {}) {
    this.socket = new WebSocket(url + '/any/path?x=1', protocols || [], { maxPayload: 16 * 1024 * 1024, ...options });
    this.waiting = { message: [], pong: [], close: [], open: [], ping: [] };
    this.arrived = { message: [], pong: [], close: [], open: [], ping: [] };
    this.socket.on('open', () => this.push('open', true));
    this.socket.on('message', (data, binary) => this.push('message', { data, binary }));
    this.socket.on('pong', (data) => this.push('pong', data.toString()));
    this.socket.on('ping', (data) => this.push('ping', data.toString()));
    this.socket.on('close', (code, reason) => {
      this.push('close', { code, reason: reason.toString() });
      for (const kind of ['message', 'pong', 'open', 'ping']) this.push(kind, null);
    });
    this.socket.on('error', (error) => { this.error = error; });
  }
  push(kind, what) {
    const next = this.waiting[kind].shift();
    if (next) next(what);
    else this.arrived[kind].push(what);
  }
  next(kind) {
    if (this.arrived[kind].length) return Promise.resolve(this.arrived[kind].shift());
    return new Promise((resolve) => this.waiting[kind].push(resolve));
  }
  async expectEcho(name, data, text) {
    const got = await this.next('message');
    check(name, got !== null && got.binary === !text && data.equals(got.data), got ? `${got.data.length} bytes` : this.error);
  }
}

async function opened(protocols, options) {
  const link = new Link(protocols, options);
  await link.next('open');
  return link;
}

// Sends in `count` fragments of about equal size, with a ping after each but the last.
function sendInFragments(link, data, text, count) {
  const step = Math.ceil(data.length / count);
  for (let i = 0; i < count; i += 1) {
    link.socket.send(data.subarray(i * step, (i + 1) * step), { binary: !text, fin: i === count - 1 });
    if (i < count - 1) link.socket.ping(`after ${i}`);
  }
}

async function echo() {
  const link = await opened();
  const expected = process.env.HAWSER_COMPRESSION ? 'permessage-deflate' : '';
  check('permessage-deflate was offered, and is agreed on where both can', link.socket.extensions === expected, link.socket.extensions);
  for (const text of [true, false]) {
    const kind = text ? 'text' : 'binary';
    for (const size of sizes) {
      link.socket.send(pattern(text, size), { binary: !text });
      await link.expectEcho(`${kind} ${size}`, pattern(text, size), text);
      for (const count of [2, 5, 40]) {
        sendInFragments(link, pattern(text, size), text, count);
        await link.expectEcho(`${kind} ${size} in ${count} fragments`, pattern(text, size), text);
        // Pings that arrive together may get one pong, for the last (RFC 6455 section 5.5.3).
        let pong = '';
        while (pong !== null && pong !== `after ${count - 2}`) pong = await link.next('pong');
        check(`${kind} ${size} in ${count} fragments: the last ping is answered`, pong !== null);
      }
    }
  }
  for (const size of [0, 5, 125]) {
    link.socket.ping('p'.repeat(size));
    check(`ping ${size}`, (await link.next('pong')) === 'p'.repeat(size));
  }
  for (const [text, size, count] of [[true, 0, 1000], [true, 100, 10000], [false, 300, 10000], [false, 20000, 1000]]) {
    for (let i = 0; i < count; i += 1) link.socket.send(pattern(text, size, i), { binary: !text });
    let good = 0;
    for (let i = 0; i < count; i += 1) {
      const got = await link.next('message');
      if (got === null) break;
      if (got.binary === !text && pattern(text, size, i).equals(got.data)) good += 1;
    }
    check(`${count} ${text ? 'text' : 'binary'} messages of ${size} at once`, good === count, good);
  }
  link.socket.close(1000);
  check('close', (await link.next('close')).code === 1000);
  const many = await Promise.all(Array.from({ length: 50 }, () => opened()));
  many.forEach((one, i) => one.socket.send(pattern(false, 1000, i)));
  await Promise.all(many.map((one, i) => one.expectEcho(`connection ${i} of 50`, pattern(false, 1000, i), false)));
  many.forEach((one) => one.socket.terminate());
  await closeCodes('close by the peer');
}

async function closeCodes(name) {
  for (const [code, reason] of closes) {
    const link = await opened();
    if (code === 0) link.socket.close();
    else link.socket.close(code, reason);
    const got = await link.next('close');
    check(`${name} ${code || 'without a code'}`, got.code === (code || 1005), got.code);
  }
}

async function talk() {
  for (const [code, reason] of closes) {
    const link = await opened();
    link.socket.send(`close ${code} ${reason}`);
    const got = await link.next('close');
    check(`close ${code || 'without a code'} by us`, got.code === (code || 1005) && got.reason === reason,
      JSON.stringify(got));
  }
  await closeCodes('close by the peer');
  for (const [offered, chosen] of [[['two'], 'two'], [['two', 'one'], 'one'], [['three', 'two'], 'two']]) {
    const link = await opened(offered);
    check(`offering ${offered}`, link.socket.protocol === chosen, link.socket.protocol);
    link.socket.send('subprotocol');
    await link.expectEcho(`offering ${offered}: our side agrees`, Buffer.from(chosen), true);
    link.socket.terminate();
  }
  // ws takes an answer without a subprotocol for an error where it offered some.
  const none = new Link(['three']);
  await none.next('close');
  check('offering only what we do not know', /no subprotocol/i.test(String(none.error)), none.error);
  const pinged = await opened();
  for (let i = 0; i < 3; i += 1) check(`our ping ${i}`, (await pinged.next('ping')) !== null);
  pinged.socket.send('still here');
  await pinged.expectEcho('after our pings', Buffer.from('still here'), true);
  pinged.socket.terminate();
  const last = await opened();
  last.socket.send('served');
  await last.expectEcho('after connections were torn down', Buffer.from('served'), true);
  last.socket.close(1000);
  await last.next('close');
}

async function wait() {
  const link = await opened();
  tell('connected');
  const { code, reason } = await link.next('close');
  tell(`closed ${code} ${reason}`);
}

(async () => {
  await { echo, talk, wait }[mode]();
  if (mode !== 'wait') tell(JSON.stringify({ end: told }));
})();
