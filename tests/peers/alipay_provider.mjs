// An Alipay gateway built on the official npm package `alipay-sdk`: it verifies the daemon's signed requests, pages and
// order strings, answers with signed nodes and sends notifies. The daemon takes what is right and refuses what is not.
// One account in key mode, one in certificate mode; the keys and certificates are openssl's. Whatever is sent to the
// daemon is first shown to the package's own merchant side, so that a refusal would be the daemon's fault.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { AlipaySdk } from 'alipay-sdk';
import { signatureV3 } from './node_modules/alipay-sdk/dist/esm/util.js';
import { Inbox, call, check, openCharge, serve, tryCharge, until } from './checks.mjs';

const { PEER_KEYS, ALIPAY_PORT } = process.env;
const pem = (name) => readFileSync(`${PEER_KEYS}/${name}`, 'utf8');
const [alipayKey, strangerKey] = [pem('alipay_key.pem'), pem('stranger_key.pem')];
const gateway = new AlipaySdk({ appId: 'gateway', privateKey: alipayKey, keyType: 'PKCS8', alipayPublicKey: pem('app_public.pem') });
const app = { privateKey: pem('app_key.pem'), keyType: 'PKCS8' };
const certificates = { appCertContent: pem('app_cert.crt'), alipayPublicCertContent: pem('alipay_cert.crt'), alipayRootCertContent: pem('root_cert.crt') };
const accounts = {
  2021000000000101: { channel: 'alipay-key', sellerId: '2088000000000101', merchant: new AlipaySdk({ appId: '2021000000000101', ...app, alipayPublicKey: pem('alipay_public.pem') }) },
  2021000000000102: { channel: 'alipay-certificate', sellerId: '2088000000000102', merchant: new AlipaySdk({ appId: '2021000000000102', ...app, ...certificates }) },
};

const orders = new Map();
const seen = new Inbox();
let signer = alipayKey;

const linked = (fields) => Object.keys(fields).sort().map((name) => `${name}=${fields[name]}`).join('&');
const yuan = (text) => Number(text).toFixed(2);

/** A request's signature holds over everything but itself; certificate mode names the certificates that the SDK names. */
function established({ sign, ...fields }) {
  const config = accounts[fields.app_id]?.merchant.config;
  const named = fields.app_cert_sn === config?.appCertSn && fields.alipay_root_cert_sn === config?.alipayRootCertSn;
  return Boolean(config && named && fields.sign_type === 'RSA2' && gateway.rsaCheck(linked(fields), sign ?? '', 'RSA2'));
}

const done = { code: '10000', msg: 'Success' };
const failed = (sub_code) => ({ code: '40004', msg: 'Business Failed', sub_code, sub_msg: '业务失败' });

function operate({ app_id, method, notify_url }, asked) {
  const order = orders.get(asked.out_trade_no);
  const numbers = order && { trade_no: order.trade_no, out_trade_no: asked.out_trade_no };
  switch (method) {
    case 'alipay.trade.precreate': {
      const qr_code = `https://qr.alipay.com/bax${randomBytes(10).toString('hex')}`;
      const trade_no = `20261201${Date.now()}${String(orders.size).padStart(7, '0')}`;
      orders.set(asked.out_trade_no, { ...asked, app_id, notify_url, qr_code, trade_no, state: 'coded' });
      return { ...done, out_trade_no: asked.out_trade_no, qr_code };
    }
    case 'alipay.trade.query':
      if (!order || order.state === 'coded') return failed('ACQ.TRADE_NOT_EXIST');
      return { ...done, ...numbers, trade_status: order.state, total_amount: yuan(order.total_amount), buyer_user_id: '2088102100000001' };
    case 'alipay.trade.close':
      if (order?.state !== 'WAIT_BUYER_PAY') return failed('ACQ.TRADE_NOT_EXIST');
      order.state = 'TRADE_CLOSED';
      return { ...done, ...numbers };
    case 'alipay.trade.refund':
      order.refund = asked;
      return { ...done, ...numbers, buyer_logon_id: 'abc***@sandbox.com', fund_change: 'Y', refund_fee: yuan(asked.refund_amount), gmt_refund_pay: beijing() };
    case 'alipay.trade.fastpay.refund.query':
      return { ...done, ...numbers, out_request_no: asked.out_request_no, refund_status: 'REFUND_SUCCESS', refund_amount: yuan(order.refund.refund_amount), total_amount: yuan(order.total_amount) };
    default:
      return failed('ACQ.INVALID_PARAMETER');
  }
}

const beijing = () => new Date(Date.now() + 8 * 3_600_000).toISOString().slice(0, 19).replace('T', ' ');

/** A signed answer: slashes escaped and the certificate named, as the real gateway does. */
function answered({ app_id, method }, node) {
  const { merchant } = accounts[app_id];
  const content = JSON.stringify(node).replaceAll('/', '\\/');
  const key = `${method.replaceAll('.', '_')}_response`;
  const sign = signatureV3(content, signer);
  const sn = merchant.config.alipayCertSn ? `,"alipay_cert_sn":"${merchant.config.alipayCertSn}"` : '';
  const raw = `{"${key}":${content}${sn},"sign":"${sign}"}`;
  if (signer === alipayKey) merchant.checkResponseSign(raw, key, sign, '');
  return raw;
}

/** Sends a notify, changed on its way where asked, and answers what the daemon said. */
async function notified(order, more, { key = alipayKey, change = {} } = {}) {
  const { sellerId, merchant } = accounts[order.app_id];
  const fields = {
    notify_time: beijing(), notify_type: 'trade_status_sync', notify_id: randomBytes(16).toString('hex'), charset: 'utf-8', version: '1.0',
    app_id: order.app_id, auth_app_id: order.app_id, seller_id: sellerId, buyer_id: '2088102100000001', buyer_logon_id: 'abc***@sandbox.com',
    trade_no: order.trade_no, out_trade_no: order.out_trade_no, subject: `${order.subject} +%&`, gmt_create: beijing(), gmt_payment: beijing(),
    total_amount: yuan(order.total_amount), receipt_amount: yuan(order.total_amount), trade_status: 'TRADE_SUCCESS',
    fund_bill_list: `[{"amount":"${yuan(order.total_amount)}","fundChannel":"ALIPAYACCOUNT"}]`, ...more,
  };
  const sent = { ...fields, sign_type: 'RSA2', sign: signatureV3(linked(fields), key) };
  if (key === alipayKey && !merchant.checkNotifySignV2(sent)) throw new Error('the package refuses its own notify');
  const answer = await fetch(order.notify_url, { method: 'POST', body: new URLSearchParams({ ...sent, ...change }) });
  return `${answer.status} ${await answer.text()}`;
}

async function judge(mode, appId) {
  const { channel } = accounts[appId];
  const charge = await openCharge(channel);
  const request = await seen.take();
  check(`${mode}: request's signature holds`, request.held && request.app_id === appId, request);
  const order = orders.get(charge.attempt?.provider_order_no);
  check(`${mode}: signed answer taken`, charge.attempt.pay.url === order?.qr_code, charge);
  check(`${mode}: the sum asked for`, order.total_amount === '19.99', order);

  const wrong = {
    'tampered notify refused': { change: { total_amount: '20.00' } },
    'notify without signature refused': { change: { sign: '' } },
    "stranger's notify refused": { key: strangerKey },
    "another app's notify refused": { more: { app_id: '2021000000000199' } },
    "another seller's notify refused": { more: { seller_id: '2088000000000199' } },
  };
  for (const [name, how] of Object.entries(wrong)) {
    const said = await notified(order, how.more, how);
    check(`${mode}: ${name}`, said === '200 failure', said);
  }
  const still = (await call('GET', `/v1/charges/${charge.id}`)).json;
  check(`${mode}: refused notifies change nothing`, still.status === 'open', still);
  order.state = 'TRADE_SUCCESS';
  const said = await notified(order);
  check(`${mode}: notify acknowledged`, said === '200 success', said);
  const after = (await call('GET', `/v1/charges/${charge.id}`)).json;
  check(`${mode}: notify pays the charge`, after.status === 'paid', after);

  const back = await call('POST', `/v1/charges/${charge.id}/refunds`, { refund_no: randomBytes(8).toString('hex'), amount: 500 });
  check(`${mode}: refund's signature holds`, back.status === 201 && (await seen.take()).held && order.refund?.refund_amount === '5.00', back);
  const returned = await until(charge.id, (charge) => charge.status === 'partially_refunded');
  check(`${mode}: signed answer refunds the charge`, returned.amount_refunded === 500, returned);
  const again = await notified(order, { out_biz_no: order.refund.out_request_no, refund_fee: '5.00', gmt_refund: `${beijing()}.000` });
  check(`${mode}: notify of a refund acknowledged`, again === '200 success', again);
}

async function closes(mode, appId) {
  const { channel } = accounts[appId];
  const charge = await openCharge(channel);
  orders.get(charge.attempt.provider_order_no).state = 'WAIT_BUYER_PAY';
  const { status, json: closed } = await call('POST', `/v1/charges/${charge.id}/close`);
  check(`${mode}: closed on signed answers`, status === 200 && closed.status === 'closed', closed);
  const requests = seen.drain();
  const asked = (method) => requests.some((request) => request.method === method);
  check(`${mode}: signatures of query and close hold`, requests.every(({ held }) => held) && asked('alipay.trade.close') && asked('alipay.trade.query'), requests);
  signer = strangerKey;
  const doubted = await tryCharge(channel);
  signer = alipayKey;
  check(`${mode}: badly signed answer not taken`, !JSON.stringify(doubted.json).includes('qr.alipay.com'), doubted);
  seen.drain();
}

/** Nothing is sent for these: the payer carries the signed parameters to the gateway. */
async function carries(mode, appId) {
  for (const [scene, method] of [['web', 'alipay.trade.page.pay'], ['h5', 'alipay.trade.wap.pay'], ['app', 'alipay.trade.app.pay']]) {
    const charge = await openCharge(accounts[appId].channel, { scene });
    const { url, params, action, fields } = charge.attempt?.pay ?? {};
    const query = params ? params.order_string : new URL(url ?? action).search;
    const carried = { ...Object.fromEntries(new URLSearchParams(query)), ...fields };
    check(`${mode}: ${scene} parameters' signature holds`, established(carried) && carried.method === method, charge);
  }
}

const { server } = await serve(({ target, body }) => {
  const fields = Object.fromEntries([...new URL(target, 'http://gateway').searchParams, ...new URLSearchParams(body)]);
  const held = established(fields);
  seen.put({ ...fields, held });
  const refusal = { code: '40002', msg: 'Invalid Arguments', sub_code: 'isv.invalid-signature', sub_msg: '验签出错' };
  return { headers: { 'content-type': 'text/html;charset=utf-8' }, body: answered(fields, held ? operate(fields, JSON.parse(fields.biz_content)) : refusal) };
}, Number(ALIPAY_PORT));
for (const [mode, appId] of [['key', '2021000000000101'], ['certificate', '2021000000000102']]) {
  await judge(mode, appId);
  await carries(mode, appId);
  await closes(mode, appId);
}
server.closeAllConnections();
server.close();
