// The npm package `wechatpay-axios-plugin` as an unrelated merchant that fetches the sandbox's statement of today: it
// verifies the signed answer, checks the hash and reads the table with its own reader.
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Formatter, Rsa, Wechatpay } from 'wechatpay-axios-plugin';
import { check, control } from './checks.mjs';

const { SANDBOX_WECHATPAY, SANDBOX_KEYS, WECHATPAY_MCH_ID, WECHATPAY_APP_ID } = process.env;
const file = (name) => readFileSync(`${SANDBOX_KEYS}/wechatpay/${WECHATPAY_MCH_ID}/${name}`, 'utf8').trim();
const peer = new Wechatpay({
  mchid: WECHATPAY_MCH_ID, serial: file('merchant_serial'), privateKey: Rsa.from(file('merchant_key.pem')),
  certs: { [file('public_key_id')]: Rsa.from(file('public_key.pem'), 'public') }, baseURL: SANDBOX_WECHATPAY,
});
const headers = { 'wechatpay-serial': file('public_key_id') };

const number = randomBytes(12).toString('hex');
const order = {
  appid: WECHATPAY_APP_ID, mchid: WECHATPAY_MCH_ID, description: '点卡', out_trade_no: number,
  notify_url: 'http://127.0.0.1:9/paid', amount: { total: 1999, currency: 'CNY' },
};
const { data: { code_url: code } } = await peer.chain('v3/pay/transactions/native').post(order, { headers });
await control('/statements', { ready_at_once: true });
await control('/scan', { code });
const day = new Date(Date.now() + 8 * 3600e3).toISOString().slice(0, 10);
const { data: told } = await peer.chain('v3/bill/tradebill').get({ params: { bill_date: day }, headers });
check('the answer is verified', told.hash_type === 'SHA1' && told.download_url.startsWith(SANDBOX_WECHATPAY), told);

const url = new URL(told.download_url);
const [nonce, timestamp] = [Formatter.nonce(), String(Formatter.timestamp())];
const message = Formatter.request('GET', url.pathname + url.search, timestamp, nonce);
const signature = Rsa.sign(message, Rsa.from(file('merchant_key.pem')));
const authorization = Formatter.authorization(WECHATPAY_MCH_ID, nonce, signature, timestamp, file('merchant_serial'));
const asked = { headers: { authorization, accept: '*/*', 'user-agent': 'peers' } };
const bytes = Buffer.from(await (await fetch(url, asked)).arrayBuffer());
check('the hash is the file\'s', createHash('sha1').update(bytes).digest('hex') === told.hash_value);
const { rows, summary } = Formatter.castCsvBill(bytes);
const row = rows.find((one) => one['商户订单号'] === number);
check('the payment stands in it', row?.['订单金额'] === '19.99' && row['手续费'] === '0.12000' && row['交易状态'] === 'SUCCESS', rows);
const total = rows.reduce((sum, one) => sum + Math.round(one['订单金额'] * 100), 0);
check('the sums add up', summary['总交易单数'] === String(rows.length) && Math.round(summary['订单总金额'] * 100) === total, summary);
