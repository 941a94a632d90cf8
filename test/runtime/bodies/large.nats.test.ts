import { createHash, createHmac } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { bodyElsewhere } from '../../../runtime/dead-letters/letter.ts';
import { replay, replayEntry } from '../../../runtime/dead-letters/replay.ts';
import { openDeadLetters } from '../../../runtime/dead-letters/store.ts';
import { deadLetterStream, inboxStream } from '../../../runtime/nats/names.ts';
import { adminCreds } from '../../operator/broker/world.ts';
import { eventually, flowTo, integration, startReceiver } from '../engine/workshop.ts';
import { mebibyte, startLargeWorld } from './large-world.ts';

/* Bodies that fit into no message, through the real gateway and the real worker. */
const inbox = inboxStream(integration);
const hour = 3_600_000;
const digest = (text: string | Uint8Array) => createHash('sha256').update(text).digest('hex');
const content = (bytes: number) => Buffer.alloc(bytes, 'kanava large bodies, ');
/** A body of which nobody knows how long it is; piece by piece, up to 32 MiB. */
const coming = (between: () => Promise<void> = async () => undefined) => {
  let pieces = 0;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (pieces === 32) return controller.close();
      pieces += 1;
      controller.enqueue(content(mebibyte));
      await between();
      return nextTurn();
    },
  });
};
const retentionMs = 24 * hour;

it('is delivered as it was sent, once, and leaves nothing', { timeout: 240_000 }, async () => {
  const receiver = await startReceiver();
  const world = await startLargeWorld();
  await world.startGateway();
  const worker = await world.startWorker(flowTo(receiver.url));
  const whole = content(10 * mebibyte);
  const answer = await world.post(whole, { 'ce-specversion': '1.0', 'ce-id': 'm1', 'ce-source': '/s', 'ce-type': 't' });
  expect([answer.status, await answer.json()]).toEqual([202, { id: 'm1' }]);
  await eventually(() => receiver.calls.length).toBe(1);
  expect(digest(receiver.calls[0]?.body ?? '')).toBe(digest(whole));
  await eventually(() => world.bodyBytes()).toBe(0);
  expect(await world.messages(inbox)).toBe(0);

  // A repeat is stored once, and its own body goes at once.
  const again = await world.post(content(2 * mebibyte), {
    'ce-specversion': '1.0',
    'ce-id': 'm1',
    'ce-source': '/s',
    'ce-type': 't',
  });
  expect(await again.json()).toEqual({ id: 'm1', duplicate: true });
  expect(await world.bodyBytes()).toBe(0);
  expect(receiver.calls).toHaveLength(1);

  // What neither the worker could hold nor the flow take part by part is a dead letter with its body.
  const tooMuch = { ...flowTo(receiver.url), steps: [{ name: 'whole', set: { vars: { n: '=size(body)' } } }] };
  await worker.stop();
  await world.startWorker(tooMuch);
  expect((await world.post(content(17 * mebibyte))).status).toBe(202);
  await eventually(() => world.messages(deadLetterStream(integration))).toBe(1);
  expect(await world.bodyBytes()).toBeGreaterThan(17 * mebibyte);
});

it('is refused while there is no room, and taken back when it was not whole', { timeout: 240_000 }, async () => {
  const world = await startLargeWorld({ room: 8 * mebibyte, largest: 12 * mebibyte });
  await world.startGateway();
  const full = await world.post(content(9 * mebibyte));
  expect([full.status, full.headers.get('retry-after')]).toEqual([503, '5']);
  expect(await world.bodyBytes()).toBe(0);
  const large = await world.post(content(13 * mebibyte)).catch(() => ({ status: 413 }));
  expect(large.status).toBe(413);
  // Without a length nobody knows beforehand.
  const endless = await world.post(coming()).catch(() => ({ status: 503 }));
  expect([413, 503]).toContain(endless.status);
  const gone = new AbortController();
  const leaving = coming(async () => {
    if ((await world.bodyBytes()) > 2 * mebibyte) gone.abort();
  });
  const left = fetch(world.url(), {
    method: 'POST',
    body: leaving,
    duplex: 'half',
    signal: gone.signal,
  });
  await expect(left).rejects.toThrow();
  await eventually(() => world.bodyBytes()).toBe(0);
  expect(await world.messages(inbox)).toBe(0);
  expect((await world.post(content(5 * mebibyte))).status).toBe(202);
});

it('is signed as a whole, and counts for nothing with a wrong signature', { timeout: 240_000 }, async () => {
  const auth = { auth: { hmac: { secretKeyRef: { name: 'shop', key: 'key' } } } };
  const world = await startLargeWorld({ auth });
  await world.startGateway();
  await world.secret('shop', 'key', 's3cret');
  const whole = content(2 * mebibyte);
  const sign = (secret: string) => `sha256=${createHmac('sha256', secret).update(whole).digest('hex')}`;
  await eventually(async () => (await world.post(whole, { 'x-hub-signature-256': sign('s3cret') })).status).toBe(202);
  const before = await world.bodyBytes();
  const wrong = await world.post(whole, { 'x-hub-signature-256': sign('other') });
  expect([wrong.status, wrong.headers.get('www-authenticate')]).toEqual([401, expect.stringContaining('HMAC-SHA256')]);
  expect((await world.bodyBytes()) - before).toBeLessThan(256 * 1024);
  expect(await world.messages(inbox)).toBe(1);
});

it('is kept by a dead letter, delivered by its replay, and swept when dead letters have expired', {
  timeout: 240_000,
}, async () => {
  const receiver = await startReceiver();
  receiver.behave(() => 422);
  const world = await startLargeWorld();
  await world.startGateway();
  await world.startWorker(flowTo(receiver.url));
  const whole = content(3 * mebibyte);
  expect((await world.post(whole)).status).toBe(202);
  await eventually(() => world.messages(deadLetterStream(integration))).toBe(1);
  await eventually(() => world.messages(inbox)).toBe(0);
  const sweep = (ms: number) =>
    world.tenant.broker.sweepBodies(integration, { retentionMs, retired: false, now: Date.now() + ms });
  expect(await sweep(retentionMs)).toEqual([]);

  const letters = await openDeadLetters(integration, { url: world.world.url, creds: adminCreds(world.tenant.keys) });
  const letter = await letters.get(1);
  if (!letter) throw new Error('there is no dead letter');
  expect(bodyElsewhere(letter)).toMatchObject({ bytes: whole.length, sha256: digest(whole) });
  receiver.behave(() => 200);
  expect(await replay(letters, letter, replayEntry(integration, letter))).toEqual({ outcome: 'replayed' });
  await eventually(() => receiver.calls.length).toBe(2);
  expect(digest(receiver.calls[1]?.body ?? '')).toBe(digest(whole));
  await letters.close();
  await eventually(() => world.messages(inbox)).toBe(0);
  // Other dead letters of the same message could be left: the sweep knows when not.
  expect(await world.bodyBytes()).toBeGreaterThan(0);
  expect(await sweep(retentionMs + 2 * hour)).toHaveLength(1);
  expect(await world.bodyBytes()).toBe(0);
});

it('survives a worker that is killed with it, and a gateway that is killed before its message leaves only what is swept', {
  timeout: 300_000,
}, async () => {
  const receiver = await startReceiver();
  const world = await startLargeWorld();
  const gateway = await world.startGateway();
  // The body comes and comes: its writer dies between the parts and the message.
  const dying = coming(async () => {
    if ((await world.bodyBytes()) > 4 * mebibyte) gateway.kill('SIGKILL');
  });
  await expect(world.post(dying)).rejects.toThrow();
  const orphan = await world.bodyBytes();
  expect(orphan).toBeGreaterThan(4 * mebibyte);

  await world.startGateway();
  const whole = content(4 * mebibyte);
  expect((await world.post(whole, { 'idempotency-key': 'm1' })).status).toBe(202);
  receiver.behave(() => 'hang');
  const first = await world.startWorker(flowTo(receiver.url));
  await eventually(() => receiver.calls.length).toBe(1);
  await first.kill();
  const sweep = (ms: number) =>
    world.tenant.broker.sweepBodies(integration, { retentionMs, retired: false, now: Date.now() + ms });
  // It waits, so all that is not older stays: a sweep by age alone would lose it.
  expect(await sweep(1_000 * hour)).toEqual([]);
  receiver.behave(() => 200);
  await world.startWorker(flowTo(receiver.url));
  await expect.poll(() => receiver.calls.length, { timeout: 120_000 }).toBe(2);
  expect(digest(receiver.calls[1]?.body ?? '')).toBe(digest(whole));
  await eventually(() => world.messages(inbox)).toBe(0);
  await eventually(async () => (await world.bodyBytes()) - orphan).toBeLessThan(256 * 1024);
  expect(await sweep(2 * hour)).toHaveLength(1);
  expect(await world.bodyBytes()).toBe(0);
  expect(await world.messages(deadLetterStream(integration))).toBe(0);
});
