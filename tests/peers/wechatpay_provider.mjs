// A WeChat Pay server built on the npm package `wechatpay-axios-plugin`: it verifies the daemon's Authorization over the
// raw target and body, answers signed, and calls back encrypted. The daemon takes what is right and refuses what is not.
// One account per verification mode; the keys are openssl's.
import { readFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { Aes, Formatter, Rsa } from 'wechatpay-axios-plugin';
import { Inbox, call, check, openCharge, serve, tryCharge, until } from './checks.mjs';

const { PEER_KEYS, WECHATPAY_PORT } = process.env;
const pem = (name) => readFileSync(`${PEER_KEYS}/${name}`, 'utf8');
const text = (name) => pem(name).trim();
const merchantKey = Rsa.from(pem('merchant_public.pem'), 'public');
const merchantSerial = text('merchant_serial');
const platformKey = Rsa.from(pem('platform_key.pem'));
const strangerKey = Rsa.from(pem('stranger_key.pem'));
const apiV3Key = text('api_v3_key');
const accounts = {
  1900000101: { channel: 'wechat-certificate', serial: text('platform_serial') },
  1900000102: { channel: 'wechat-key', serial: 'PUB_KEY_ID_0119000001020000000000000001' },
};

const orders = new Map();
const seen = new Inbox();
let signer = platformKey;

const encrypted = (plain, aad, key = apiV3Key) => {
  const nonce = Formatter.nonce(12);
  const ciphertext = Aes.AesGcm.encrypt(plain, key, nonce, aad);
  return { algorithm: 'AEAD_AES_256_GCM', nonce, associated_data: aad, ciphertext };
};

/** The headers that vouch for a body. */
function seal(body, serial, key = signer, age_s = 0) {
  const [timestamp, nonce] = [Formatter.timestamp() - age_s, Formatter.nonce()];
  return {
    'content-type': 'application/json; charset=utf-8',
    'wechatpay-timestamp': String(timestamp),
    'wechatpay-nonce': nonce,
    'wechatpay-serial': serial,
    'wechatpay-signature-type': 'WECHATPAY2-SHA256-RSA2048',
    'wechatpay-signature': Rsa.sign(Formatter.response(timestamp, nonce, body), key),
  };
}

/** What the Authorization header says, and whether its signature holds over the bytes of the request. */
function established({ method, target, headers, body }) {
  const [scheme, fields] = (headers.authorization ?? '').split(/ (.*)/);
  const said = Object.fromEntries([...(fields ?? '').matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));
  const message = Formatter.request(method, target, said.timestamp, said.nonce_str, body);
  const fresh = Math.abs(Formatter.timestamp() - Number(said.timestamp)) < 300;
  const held = scheme === 'WECHATPAY2-SHA256-RSA2048' && fresh && said.serial_no === merchantSerial
    && Rsa.verify(message, said.signature ?? '', merchantKey);
  return { ...said, held };
}

const transaction = (order) => ({
  appid: order.appid, mchid: order.mchid, out_trade_no: order.out_trade_no, trade_state: order.state, trade_state_desc: order.state,
  ...(order.state === 'SUCCESS' && {
    transaction_id: order.transaction_id, trade_type: 'NATIVE', bank_type: 'OTHERS', success_time: new Date().toISOString(),
    payer: { openid: 'oUpF8uMuAJO_M2pxb1Q9zNjWeS6o' }, amount: { ...order.amount, payer_total: order.amount.total, payer_currency: 'CNY' },
  }),
});

/** The operations, each answering [status, object]. */
function operate(method, target, asked, mchid) {
  const [path] = target.split('?');
  const order = orders.get(path.match(/out-trade-no\/([^/]+)/)?.[1] ?? asked?.out_trade_no);
  if (path === '/v3/certificates') {
    const life = { effective_time: '2026-01-01T00:00:00+08:00', expire_time: '2036-01-01T00:00:00+08:00' };
    return [200, { data: [{ serial_no: accounts[1900000101].serial, ...life, encrypt_certificate: encrypted(pem('platform_cert.pem'), 'certificate') }] }];
  }
  const product = path.match(/^\/v3\/pay\/transactions\/(native|h5|jsapi|app)$/)?.[1];
  if (product) {
    const nonce = Formatter.nonce(20);
    const [name, code_url] = {
      native: ['code_url', `weixin://wxpay/bizpayurl?pr=${nonce}`],
      h5: ['h5_url', `https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=${nonce}`],
    }[product] ?? ['prepay_id', `wx201410272009395522657a69${nonce}`];
    const transaction_id = `4200${Date.now()}${String(orders.size).padStart(11, '0')}`;
    orders.set(asked.out_trade_no, { ...asked, mchid, code_url, state: 'NOTPAY', transaction_id });
    return [200, { [name]: code_url }];
  }
  if (path === '/v3/refund/domestic/refunds' && order) {
    order.refund = asked;
    return [200, refund(order, { status: 'PROCESSING' })];
  }
  if (!order) return [404, { code: 'RESOURCE_NOT_EXISTS', message: '订单不存在' }];
  if (!path.endsWith('/close')) return [200, transaction(order)];
  order.state = 'CLOSED';
  return [204];
}

const refund = (order, more) => ({
  refund_id: '50300000000000000000000001', out_refund_no: order.refund.out_refund_no, transaction_id: order.transaction_id, out_trade_no: order.out_trade_no,
  channel: 'ORIGINAL', user_received_account: '支付用户零钱', create_time: new Date().toISOString(),
  amount: { ...order.refund.amount, payer_total: order.refund.amount.total, payer_refund: order.refund.amount.refund }, ...more,
});

async function calledBack(order, kind, resource, { key = platformKey, secret = apiV3Key, age_s = 0, change = (body) => body } = {}) {
  const body = JSON.stringify({
    id: `EV-${randomBytes(12).toString('hex')}`, create_time: new Date().toISOString(), resource_type: 'encrypt-resource', summary: '支付成功',
    event_type: kind === 'refund' ? 'REFUND.SUCCESS' : 'TRANSACTION.SUCCESS',
    resource: { ...encrypted(JSON.stringify(resource), kind, secret), original_type: kind },
  });
  const headers = seal(body, accounts[order.mchid].serial, key, age_s);
  const answer = await fetch(order.notify_url, { method: 'POST', headers, body: change(body) });
  return answer.status;
}

async function judge(mode, mchid) {
  const { channel } = accounts[mchid];
  const charge = await openCharge(channel);
  const request = await seen.take();
  check(`${mode}: request's signature holds`, request.held && request.mchid === mchid, request);
  const order = orders.get(charge.attempt?.provider_order_no);
  check(`${mode}: signed answer taken`, charge.attempt.pay.url === order?.code_url, charge);
  check(`${mode}: the sum asked for`, order.amount.total === 1999 && order.amount.currency === 'CNY', order);

  const paid = transaction({ ...order, state: 'SUCCESS' });
  const wrong = {
    'tampered callback refused': [paid, { change: (body) => body.replace('TRANSACTION.SUCCESS', 'TRANSACTION.SUCCES5') }],
    "stranger's callback refused": [paid, { key: strangerKey }],
    'callback under another key refused': [paid, { secret: 'x'.repeat(32) }],
    'stale callback refused': [paid, { age_s: 600 }],
    "another merchant's callback refused": [{ ...paid, mchid: '1900000109' }, {}],
    "another app's callback refused": [{ ...paid, appid: 'wx0000000000000000' }, {}],
  };
  for (const [name, [resource, how]] of Object.entries(wrong)) {
    const answered = await calledBack(order, 'transaction', resource, how);
    check(`${mode}: ${name}`, answered === 401, answered);
  }
  const still = (await call('GET', `/v1/charges/${charge.id}`)).json;
  check(`${mode}: refused callbacks change nothing`, still.status === 'open', still);
  order.state = 'SUCCESS';
  const answered = await calledBack(order, 'transaction', paid);
  check(`${mode}: callback acknowledged`, answered === 204, answered);
  const after = (await call('GET', `/v1/charges/${charge.id}`)).json;
  check(`${mode}: callback pays the charge`, after.status === 'paid', after);

  const back = await call('POST', `/v1/charges/${charge.id}/refunds`, { refund_no: randomBytes(8).toString('hex'), amount: 500 });
  let asked = await seen.take();
  // The stale callback made the daemon ask.
  while (!asked.line.includes('/refunds')) asked = await seen.take();
  check(`${mode}: refund's signature holds`, back.status === 201 && asked.held && order.refund?.amount.refund === 500, back);
  const told = refund(order, { refund_status: 'SUCCESS', success_time: new Date().toISOString(), mchid });
  check(`${mode}: callback of a refund acknowledged`, (await calledBack({ ...order, notify_url: order.refund.notify_url }, 'refund', told)) === 204);
  const returned = await until(charge.id, (charge) => charge.status === 'partially_refunded');
  check(`${mode}: callback refunds the charge`, returned.amount_refunded === 500, returned);
  await opensApps(mode, channel);
  await closes(mode, channel);
}

/** What the payer's page or app is given is signed a second time, by the merchant's key. */
async function opensApps(mode, channel) {
  const h5 = await openCharge(channel, { scene: 'h5', payer: { client_ip: '203.0.113.7' } });
  check(`${mode}: h5 answer taken`, h5.attempt.pay.url?.startsWith(orders.get(h5.attempt.provider_order_no).code_url), h5);
  const jsapi = (await openCharge(channel, { scene: 'jsapi', payer: { openid: 'oUpF8uMuAJO_M2pxb1Q9zNjWeS6o' } })).attempt.pay.params;
  const page = Formatter.joinedByLineFeed(jsapi.appId, jsapi.timeStamp, jsapi.nonceStr, jsapi.package);
  check(`${mode}: jsapi parameters' signature holds`, jsapi.signType === 'RSA' && Rsa.verify(page, jsapi.paySign, merchantKey), jsapi);
  const app = (await openCharge(channel, { scene: 'app' })).attempt.pay.params;
  const opened = Formatter.joinedByLineFeed(app.appId, app.timeStamp, app.nonceStr, app.prepayId);
  check(`${mode}: app parameters' signature holds`, Rsa.verify(opened, app.sign, merchantKey), app);
  check(`${mode}: signatures of h5, jsapi and app hold`, seen.drain().every(({ held }) => held));
}

/** Query, close and query again, each signed: GET targets with a query, and an empty answer that is signed too. */
async function closes(mode, channel) {
  const charge = await openCharge(channel);
  await seen.take();
  const { status, json: closed } = await call('POST', `/v1/charges/${charge.id}/close`);
  check(`${mode}: closed on signed answers`, status === 200 && closed.status === 'closed', closed);
  const requests = seen.drain();
  const asks = (part) => requests.some((request) => request.line.includes(part));
  check(`${mode}: signatures of query and close hold`, requests.every(({ held }) => held) && asks('/close') && asks('?mchid='), requests);

  signer = strangerKey;
  const doubted = await tryCharge(channel);
  signer = platformKey;
  check(`${mode}: badly signed answer not taken`, !JSON.stringify(doubted.json).includes('weixin://'), doubted);
  seen.drain();
}

const { server } = await serve((request) => {
  const caller = established(request);
  const line = `${request.method} ${request.target}`;
  if (!line.includes('/v3/certificates')) seen.put({ ...caller, line });
  if (!caller.held) return { status: 401, body: '{"code":"SIGN_ERROR","message":"签名错误"}' };
  const [status, object] = operate(request.method, request.target, request.body ? JSON.parse(request.body) : null, caller.mchid);
  const body = object ? JSON.stringify(object) : '';
  return { status, body, headers: status < 300 ? seal(body, accounts[caller.mchid].serial) : { 'content-type': 'application/json' } };
}, Number(WECHATPAY_PORT));
await judge('certificate', '1900000101');
await judge('public key', '1900000102');
server.closeAllConnections();
server.close();
