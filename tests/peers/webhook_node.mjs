// A merchant's receiver on the npm package `standardwebhooks`: it verifies the daemon's webhook with the older of the
// merchant's two secrets, since a rotation signs with both, and refuses a changed one.
import { Webhook } from 'standardwebhooks';
import { Inbox, check, control, openCharge, refused, serve } from './checks.mjs';

const verifier = new Webhook(process.env.WEBHOOK_SECRET_OLD);
const arrived = new Inbox();
const { server, port } = await serve((request) => {
  arrived.put(request);
  return { headers: { 'content-type': 'application/json' }, body: '{"status":"delivered"}' };
});
const charge = await openCharge('alipay-main', { notify_url: `http://127.0.0.1:${port}/notify` });
await control('/scan', { code: charge.attempt.pay.url });
const { headers, body } = await arrived.take();
const told = verifier.verify(body, headers);
check("webhook's signature holds", told.type === 'charge.paid' && told.data.id === charge.id, told);
check('tampered body refused', await refused(() => verifier.verify(body.replace('1999', '1998'), headers)));
for (const [name, value] of Object.entries({ 'webhook-id': 'evt_other', 'webhook-timestamp': '1700000000', 'webhook-signature': 'v1,AAAA' })) {
  check(`changed ${name} refused`, await refused(() => verifier.verify(body, { ...headers, [name]: value })));
}
check('another secret refused', await refused(() => new Webhook(`whsec_${'A'.repeat(32)}`).verify(body, headers)));
server.closeAllConnections();
server.close();
