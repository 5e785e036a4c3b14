// What the Node peers share: a line per check, a server on loopback, the sandbox's control server, and the merchant's
// signed call to the daemon.
import { createHmac, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { basename } from 'node:path';

const peer = basename(process.argv[1], '.mjs');

/** Prints the check's line; a failed one shows what was seen. */
export function check(name, holds, seen = '') {
  if (!holds) process.exitCode = 1;
  console.log(holds ? `ok   ${peer}: ${name}` : `FAIL ${peer}: ${name}: ${JSON.stringify(seen)}`);
}

/** True when the act throws or answers false: how these packages refuse. */
export async function refused(act) {
  try {
    return !(await act());
  } catch {
    return true;
  }
}

/** A server on loopback: `answer({method, target, headers, body})` gives {status, headers, body}. */
export function serve(answer, port = 0) {
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method, url: target, headers } = request;
    const reply = await answer({ method, target, headers, body: Buffer.concat(chunks).toString('utf8') });
    response.writeHead(reply.status ?? 200, reply.headers ?? {}).end(reply.body ?? '');
  });
  return new Promise((listening) => {
    server.listen(port, '127.0.0.1', () => listening({ server, port: server.address().port }));
  });
}

/** Requests in the order they came, each waited for at most 10 s. */
export class Inbox {
  #waiting = [];
  #arrived = [];

  put(item) {
    const waiter = this.#waiting.shift();
    if (waiter) waiter(item);
    else this.#arrived.push(item);
  }

  /** Everything that has arrived. */
  drain() {
    return this.#arrived.splice(0);
  }

  take() {
    if (this.#arrived.length) return Promise.resolve(this.#arrived.shift());
    return new Promise((found, lost) => {
      const timer = setTimeout(() => lost(new Error('nothing arrived in 10 s')), 10_000);
      this.#waiting.push((item) => (clearTimeout(timer), found(item)));
    });
  }
}

/** Tells the sandbox what a payer does, or what shall go wrong. */
export async function control(path, wish) {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(process.env.SANDBOX_CONTROL + path, { method: 'POST', headers, body: JSON.stringify(wish) });
  if (!answer.ok) throw new Error(`${path} ${JSON.stringify(wish)}: ${answer.status} ${await answer.text()}`);
}

/** The merchant's signed call to the daemon: {status, json}. */
export async function call(method, path, wish) {
  const { DAEMON_URL, MERCHANT_KEY_ID, MERCHANT_KEY } = process.env;
  const body = wish === undefined ? '' : JSON.stringify(wish);
  const at = Math.floor(Date.now() / 1000);
  const nonce = randomBytes(16).toString('hex');
  const message = `${method}\n${path}\n${at}\n${nonce}\n${body}\n`;
  const signature = createHmac('sha256', MERCHANT_KEY).update(message).digest('base64');
  const proof = `key_id="${MERCHANT_KEY_ID}",timestamp="${at}",nonce="${nonce}",signature="${signature}"`;
  const headers = { authorization: `TONGDAO-HMAC-SHA256 ${proof}`, 'content-type': 'application/json' };
  const answer = await fetch(DAEMON_URL + path, { method, headers, body: body || undefined });
  return { status: answer.status, json: JSON.parse(await answer.text()) };
}

/** Asks for a charge of 19.99 on a channel: {status, json}. */
export function tryCharge(channel, more = {}) {
  const wish = { merchant_order_no: randomBytes(12).toString('hex'), amount: 1999, subject: '点卡 100 元', channel, ...more };
  return call('POST', '/v1/charges', wish);
}

/** Opens such a charge. */
export async function openCharge(channel, more) {
  const { status, json } = await tryCharge(channel, more);
  if (status !== 201) throw new Error(`no charge on ${channel}: ${status} ${JSON.stringify(json)}`);
  return json;
}

/** Asks for the charge until it looks as wanted, for at most 5 s; answers what was seen last. */
export async function until(id, wanted) {
  let charge;
  for (let tries = 0; tries < 50; tries += 1) {
    charge = (await call('GET', `/v1/charges/${id}`)).json;
    if (wanted(charge)) return charge;
    await new Promise((rested) => setTimeout(rested, 100));
  }
  return charge;
}
