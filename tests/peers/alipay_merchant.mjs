// The official npm package `alipay-sdk` as an unrelated merchant of the sandbox's Alipay server, in key mode and in
// certificate mode: its signed requests are accepted, the answers and notifies verify there, changed ones do not.
// `validateSign` makes the package throw on an answer that does not verify.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { AlipaySdk } from 'alipay-sdk';
import { Inbox, check, control, refused, serve } from './checks.mjs';

const { SANDBOX_ALIPAY, SANDBOX_KEYS, ALIPAY_APP_ID } = process.env;
const file = (name) => readFileSync(`${SANDBOX_KEYS}/alipay/${ALIPAY_APP_ID}/${name}`, 'utf8');
const account = { appId: ALIPAY_APP_ID, gateway: `${SANDBOX_ALIPAY}/gateway.do`, privateKey: file('app_key.pem'), keyType: 'PKCS8' };
const modes = {
  'key': { alipayPublicKey: file('alipay_public_key.pem') },
  'certificate': {
    appCertContent: file('app_cert.crt'),
    alipayPublicCertContent: file('alipay_cert.crt'),
    alipayRootCertContent: file('root_cert.crt'),
  },
};
const number = () => randomBytes(12).toString('hex');
const notifies = new Inbox();
const { server, port } = await serve(({ body }) => {
  notifies.put(Object.fromEntries(new URLSearchParams(body)));
  return { body: 'success' };
});
const notifyUrl = `http://127.0.0.1:${port}/notify`;

async function sells(mode, sdk) {
  const ask = (method, bizContent, more = {}) => sdk.exec(method, { bizContent, ...more }, { validateSign: true });
  const order = (more = {}) => ({ outTradeNo: number(), totalAmount: '19.99', subject: '点卡 100 元 +%', productCode: 'QR_CODE_OFFLINE', ...more });
  const paid = order();
  const created = await ask('alipay.trade.precreate', paid, { notifyUrl });
  check(`${mode}: precreate`, created.code === '10000' && created.qrCode?.startsWith('https://qr.alipay.com/'), created);
  const unscanned = await ask('alipay.trade.query', { outTradeNo: paid.outTradeNo });
  check(`${mode}: query before the scan`, unscanned.subCode === 'ACQ.TRADE_NOT_EXIST', unscanned);

  await control('/scan', { code: created.qrCode });
  const told = await notifies.take();
  check(`${mode}: notify of a payment`, sdk.checkNotifySignV2(told) && told.out_trade_no === paid.outTradeNo && told.trade_status === 'TRADE_SUCCESS', told);
  check(`${mode}: tampered notify refused`, !sdk.checkNotifySignV2({ ...told, total_amount: '0.01' }));
  const found = await ask('alipay.trade.query', { outTradeNo: paid.outTradeNo });
  check(`${mode}: query paid`, found.tradeStatus === 'TRADE_SUCCESS' && found.totalAmount === '19.99', found);

  const refund = { outTradeNo: paid.outTradeNo, outRequestNo: number(), refundAmount: '5.00', refundReason: '退货' };
  const returned = await ask('alipay.trade.refund', refund);
  check(`${mode}: refund`, returned.code === '10000' && returned.fundChange === 'Y' && returned.refundFee === '5.00', returned);
  const toldBack = await notifies.take();
  check(`${mode}: notify of a refund`, sdk.checkNotifySignV2(toldBack) && toldBack.out_biz_no === refund.outRequestNo, toldBack);
  const refunded = await ask('alipay.trade.fastpay.refund.query', { outTradeNo: paid.outTradeNo, outRequestNo: refund.outRequestNo });
  check(`${mode}: refund query`, refunded.refundStatus === 'REFUND_SUCCESS' && refunded.refundAmount === '5.00', refunded);

  const given = order();
  const code = (await ask('alipay.trade.precreate', given)).qrCode;
  await control('/scan', { code, pay: false });
  const closed = await ask('alipay.trade.close', { outTradeNo: given.outTradeNo });
  check(`${mode}: close`, closed.code === '10000' && closed.outTradeNo === given.outTradeNo, closed);
  await control('/faults', { provider: 'alipay', operation: 'query', fault: { kind: 'bad_signature', count: 1 } });
  check(`${mode}: badly signed answer refused`, await refused(() => ask('alipay.trade.query', { outTradeNo: paid.outTradeNo })));
}

async function readsTheStatement(mode, sdk) {
  const day = new Date(Date.now() + 8 * 3600e3).toISOString().slice(0, 10);
  const ask = () => sdk.exec('alipay.data.dataservice.bill.downloadurl.query', { bizContent: { billType: 'trade', billDate: day } }, { validateSign: true });
  await control('/statements', { ready_at_once: false });
  const early = await ask();
  check(`${mode}: no statement of today`, early.code === '40004' && early.subCode === 'isv.invalid_arguments', early);
  await control('/statements', { ready_at_once: true });
  const told = await ask();
  check(`${mode}: address of the statement`, told.code === '10000' && told.billDownloadUrl?.includes('/downloadBillFile.resource?'), told);
  const file = Buffer.from(await (await fetch(told.billDownloadUrl)).arrayBuffer());
  const opened = spawnSync('python3', ['read_zip.py'], { input: file, encoding: 'utf8' });
  check(`${mode}: an unrelated reader opens the ZIP`, opened.status === 0, opened.stderr);
  const texts = JSON.parse(opened.stdout || '{}');
  const stem = `20880000000000010156_${day.replaceAll('-', '')}_业务明细`;
  check(`${mode}: its entries are named in GBK`, Object.keys(texts).join() === `${stem}.csv,${stem}(汇总).csv`, Object.keys(texts));
  const lines = (texts[`${stem}.csv`] ?? '').split('\r\n');
  const header = lines.find((line) => line.startsWith('支付宝交易号,'))?.split(',') ?? [];
  const rows = lines.filter((line) => /^\d/.test(line)).map((line) => Object.fromEntries(line.split(',').map((cell, at) => [header[at], cell.trim()])));
  const sum = (kind, column) => rows.filter((row) => row['业务类型'] === kind).reduce((total, row) => total + Math.round(row[column] * 100), 0);
  const refunds = rows.filter((row) => row['业务类型'] === '退款').length;
  check(`${mode}: payments and refunds stand in it`, refunds > 0 && sum('交易', '服务费（元）') === -12 * (rows.length - refunds) && sum('退款', '订单金额（元）') === -500 * refunds, rows);
  const total = (sum('交易', '订单金额（元）') / 100).toFixed(2);
  check(`${mode}: the sums add up`, lines.some((line) => line.startsWith(`#交易合计：${rows.length - refunds}笔，商家实收共${total}元`)), lines.slice(-5));
}

async function opensCashiers(mode, sdk) {
  const bizContent = { outTradeNo: number(), totalAmount: '19.99', subject: '点卡', productCode: 'FAST_INSTANT_TRADE_PAY' };
  const url = sdk.pageExec('alipay.trade.page.pay', 'GET', { bizContent, notifyUrl, returnUrl: notifyUrl });
  const page = await fetch(url);
  const html = await page.text();
  check(`${mode}: page.pay address opens the cashier`, page.status === 200 && html.includes('action="/cashier/pay"'), html);
  const bad = await (await fetch(url.replace('page.pay', 'wap.pay'))).text();
  check(`${mode}: changed address refused`, bad.includes('isv.invalid-signature'), bad);
  const body = new URLSearchParams({ app_id: ALIPAY_APP_ID, out_trade_no: bizContent.outTradeNo });
  const back = await fetch(`${SANDBOX_ALIPAY}/cashier/pay`, { method: 'POST', body, redirect: 'manual' });
  const returned = Object.fromEntries(new URL(back.headers.get('location')).searchParams);
  check(`${mode}: the way back is signed`, sdk.checkNotifySignV2(returned) && returned.out_trade_no === bizContent.outTradeNo, returned);
  check(`${mode}: notify of a page payment`, sdk.checkNotifySignV2(await notifies.take()));
}

for (const [mode, keys] of Object.entries(modes)) {
  const sdk = new AlipaySdk({ ...account, ...keys });
  await sells(mode, sdk);
  await opensCashiers(mode, sdk);
  await readsTheStatement(mode, sdk);
}
server.close();
