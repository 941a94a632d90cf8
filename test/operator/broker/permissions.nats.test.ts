import { type JsMsg, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { createInbox, headers, type Msg, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { accountClaimsOf, encodeClaims } from '../../../operator/broker/claims.ts';
import { keyFromSeed } from '../../../operator/broker/keys.ts';
import {
  gatewayRefusals,
  intakeRefusals,
  opsRefusals,
  type Refusal,
  replayRefusals,
  subscriptionRefusals,
  workerRefusals,
} from './refusals.ts';
import { bodySpec, bucketSpec, busSpec, deadLetterSpec, inboxSpec, tickSpec } from './specs.ts';
import { connectWith, startWorld, type World, type WorldTenant } from './world.ts';

/*
 * Both forms of ack subjects: the second is off by default in the servers of today and announced as the next default.
 */
describe.each([
  { form: 'first', config: '' },
  { form: 'second', config: 'feature_flags: { js_ack_fc_v2: true }' },
])('permissions with ack subjects of the $form form', ({ form, config }) => {
  let world: World;
  let tenant: WorldTenant;
  let admin: NatsConnection;
  let worker: NatsConnection;
  let gateway: NatsConnection;
  let intake: NatsConnection;
  let ops: NatsConnection;
  let replay: NatsConnection;

  beforeAll(async () => {
    world = await startWorld({ config });
    tenant = await world.tenant('acme');
    admin = await tenant.admin();
    worker = await tenant.connect('worker', 'mine');
    gateway = await tenant.connect('gateway');
    intake = await tenant.connect('intake', 'mine');
    ops = await tenant.connect('ops');
    replay = await tenant.connect('replay', 'mine');
    await prepare();
  });
  afterAll(() => world.stop());

  /** Whatever an admin's turn removed is made again, with a message in each place. */
  const prepare = async () => {
    const specs = [
      ...['mine', 'other'].flatMap((name) => [inboxSpec(name), deadLetterSpec(name), bodySpec(name)]),
      ...['state', 'gateway', 'answer'].map((name) => bucketSpec(name)),
      busSpec(['mine', 'other']),
      tickSpec(['mine', 'other']),
    ];
    for (const spec of specs) await tenant.broker.ensureStream(spec);
    const client = jetstream(admin);
    const subjects = ['inbox.mine.0.shop', 'inbox.other.0.shop', 'dlq.mine.erp', 'dlq.other.erp', 'bus.created'];
    const keys = ['$KV.state.mine.k', '$KV.state.other.k', '$KV.gateway.routes.mine', 'tick.mine.t', 'tick.other.t'];
    const bodies = ['body.mine.b.0', 'body.mine.b.head', 'body.other.b.0', 'body.other.b.head'];
    for (const subject of [...subjects, ...keys, ...bodies]) await client.publish(subject, 'secret');
  };

  /** A delivery of a consumer that is not acknowledged: its reply subject is what acks are sent to. */
  const foreignDelivery = async (): Promise<string> => {
    await jetstream(admin).publish('inbox.other.0.shop', 'secret');
    const pull = JSON.stringify({ batch: 1, expires: 2_000_000_000 });
    const delivery = await answerTo(admin, '$JS.API.CONSUMER.MSG.NEXT.inbox_other.worker-0', pull);
    return delivery?.reply ?? '';
  };

  /** Puts the sequence of a stream's last message in the place of `"last:<stream>"`. */
  const withLastSequence = async (payload = ''): Promise<string> => {
    const [marker, stream] = /"last:(\w+)"/.exec(payload) ?? [];
    if (!marker || !stream) return payload;
    const { state } = await (await jetstreamManager(admin)).streams.info(stream);
    return payload.replace(marker, String(state.last_seq));
  };

  describe('the worker', () => {
    test('pulls, extends, parks, acknowledges and confirms', async () => {
      await prepare();
      const consumer = await jetstream(worker).consumers.get('inbox_mine', 'worker-0');
      const first = await consumer.next({ expires: 5000 });
      const reply = (await foreignDelivery()).split('.');
      expect(reply.slice(0, form === 'first' ? 3 : 5)).toEqual(
        form === 'first' ? ['$JS', 'ACK', 'inbox_other'] : ['$JS', 'ACK', '_', reply[3], 'inbox_other'],
      );
      first?.working();
      first?.nak(50);
      let message: JsMsg | null = null;
      while (message?.info.deliveryCount !== 2) {
        message = await consumer.next({ expires: 5000 });
        if (message?.info.deliveryCount !== 2) expect(await message?.ackAck()).toBe(true);
      }
      expect(await message.ackAck()).toBe(true);
      // No owner is there to be ended: an answer is what shows that it may be asked.
      for (const consumer of ['inbox_mine.worker-0', 'bus.mine', 'tick.mine'])
        await worker.request(`$JS.API.CONSUMER.UNPIN.${consumer}`, '{"group":"a"}', { timeout: 60_000 });
    });

    test('tells the others of its Integration that it is there, and hears them', async () => {
      const colleague = await tenant.connect('worker', 'mine');
      const words: string[] = [];
      colleague.subscribe('peers.mine', { callback: (_, message) => void words.push(message.string()) });
      await colleague.flush();
      worker.publish('peers.mine', 'here');
      await expect.poll(() => words).toEqual(['here']);
    });

    test.each([
      ['bus', 'mine', 'bus.created'],
      ['tick', 'mine', 'tick.mine.t'],
    ])('reads its own place in %s', async (stream, name, subject) => {
      await jetstream(admin).publish(subject, 'x');
      const consumer = await jetstream(worker).consumers.get(stream, name);
      const message = await consumer.next({ expires: 5000 });
      expect(await message?.ackAck()).toBe(true);
    });

    test('stores requeues, dead letters and events', async () => {
      const client = jetstream(worker);
      for (const subject of ['inbox.mine.0.shop', 'dlq.mine.erp', 'bus.created'])
        expect((await client.publish(subject, 'x')).seq).toBeGreaterThan(0);
    });

    test('keeps state by compare and set, reads it back and leaves markers that expire', async () => {
      const subject = '$KV.state.mine.m.inbox_mine.1';
      const client = jetstream(worker);
      const expectLast = (sequence: number) => ({ expect: { lastSubjectSequence: sequence } });
      const { seq } = await client.publish(subject, '{"attempts":1}', expectLast(0));
      await expect(client.publish(subject, 'x', expectLast(0))).rejects.toThrow(/wrong last sequence/);
      const read = () => worker.request(`$JS.API.DIRECT.GET.KV_state.${subject}`, '', { timeout: 60_000 });
      expect((await read()).string()).toBe('{"attempts":1}');
      expect(Number((await read()).headers?.get('Nats-Sequence'))).toBe(seq);
      const marker = headers();
      marker.set('KV-Operation', 'DEL');
      marker.set('Nats-TTL', '1s');
      await client.publish(subject, '', { ...expectLast(seq), headers: marker });
      await expect.poll(async () => (await read()).headers?.code, { timeout: 60_000 }).toBe(404);
    });

    test('reads nothing else through the get of its own subject', async () => {
      const subject = '$JS.API.DIRECT.GET.KV_state.$KV.state.mine.k';
      expect((await worker.request(subject, '', { timeout: 60_000 })).headers?.get('Nats-Subject')).toBe(
        '$KV.state.mine.k',
      );
      const tricks = [{ seq: 2 }, { last_by_subj: '$KV.state.other.k' }, { multi_last: ['$KV.state.>'], batch: 10 }];
      for (const trick of [...tricks, { next_by_subj: '$KV.state.other.k', seq: 1 }, { batch: 10, seq: 1 }]) {
        const answer = await worker.request(subject, JSON.stringify(trick), { timeout: 60_000 });
        expect(answer.headers?.get('Nats-Subject') || '$KV.state.mine.k', JSON.stringify(trick)).toBe(
          '$KV.state.mine.k',
        );
      }
    });

    test('writes, reads and removes parts of large bodies of its own', async () => {
      expect((await jetstream(worker).publish('body.mine.c.7', 'part')).seq).toBeGreaterThan(0);
      const read = () => worker.request('$JS.API.DIRECT.GET.body_mine.body.mine.c.7', '', { timeout: 60_000 });
      expect((await read()).string()).toBe('part');
      const marker = headers();
      marker.set('Nats-TTL', '1s');
      await jetstream(worker).publish('body.mine.c.7', '', { headers: marker });
      await expect.poll(async () => (await read()).headers?.code, { timeout: 60_000 }).toBe(404);
    });

    test('answers a call once, and nobody unasked', async () => {
      worker.subscribe('call.mine', {
        callback: (_, message) => {
          message.respond('first');
          message.respond('second');
        },
      });
      await worker.flush();
      const answers: string[] = [];
      const inbox = createInbox('_INBOX_gw');
      gateway.subscribe(inbox, { callback: (_, message) => void answers.push(message.string()) });
      gateway.publish('call.mine', 'x', { reply: inbox });
      await expect.poll(() => answers).toEqual(['first']);
      await worker.flush();
      await gateway.flush();
      expect(answers).toEqual(['first']);
    });
  });

  test('the gateway stores, calls, watches the routes and tells what it applied', async () => {
    const client = jetstream(gateway);
    for (const subject of [
      'inbox.mine.0.shop',
      'inbox.other.3.shop',
      '$KV.gateway.applied.mine',
      '$KV.gateway.wake.mine',
      'body.mine.g.0',
      'body.other.g.head',
    ])
      expect((await client.publish(subject, '{}')).seq).toBeGreaterThan(0);
    gateway.publish('call.mine', 'x');
    const direct = '$JS.API.DIRECT.GET.KV_gateway.$KV.gateway.routes.mine';
    const read = await gateway.request(direct, '', { timeout: 60_000 });
    expect(read.headers?.get('Nats-Subject')).toBe('$KV.gateway.routes.mine');
    const consumer = await client.consumers.getPushConsumer('KV_gateway', {
      deliver_policy: 'last_per_subject',
      filter_subjects: '$KV.gateway.routes.>',
    } as never);
    const seen: string[] = [];
    const messages = await consumer.consume({ callback: (message: JsMsg) => void seen.push(message.subject) });
    await expect.poll(() => seen).toContain('$KV.gateway.routes.mine');
    await messages.close();
    await gateway.flush();
  });

  test('the gateway may name any place for its route watch to deliver to, and reaches no stream and no API by that', async () => {
    await prepare();
    const before = await tenant.broker.streams();
    for (const [index, place] of [
      '$JS.API.STREAM.PURGE.inbox_mine',
      '$KV.state.other.k',
      'bus.forged',
      'tick.other.forged',
    ].entries()) {
      const config = { deliver_subject: place, deliver_policy: 'all', ack_policy: 'none', inactive_threshold: 1e9 };
      const create = `$JS.API.CONSUMER.CREATE.KV_gateway.spy${index}`;
      const reply = await gateway.request(create, JSON.stringify({ stream_name: 'KV_gateway', config }));
      expect(reply.string()).not.toContain('"error"');
    }
    // The consumers end by themselves, for nobody listens: until then they could have delivered.
    const watching = async () => {
      const bucket = (await tenant.broker.streams()).find(({ name }) => name === 'KV_gateway');
      return bucket?.consumers.filter(({ name }) => name.startsWith('spy'));
    };
    await expect.poll(watching, { timeout: 60_000 }).toEqual([]);
    const positions = (states: typeof before) =>
      states.map(({ name, messages, lastSequence }) => [name, messages, lastSequence]);
    expect(positions(await tenant.broker.streams())).toEqual(positions(before));
  });

  test('intake stores and keeps its cursor', async () => {
    const client = jetstream(intake);
    expect((await client.publish('inbox.mine.0.files', 'x')).seq).toBeGreaterThan(0);
    expect((await client.publish('$KV.state.mine.cursor', '1')).seq).toBeGreaterThan(0);
    expect((await client.publish('body.mine.i.0', 'x')).seq).toBeGreaterThan(0);
    const read = await intake.request('$JS.API.DIRECT.GET.KV_state.$KV.state.mine.cursor', '', { timeout: 60_000 });
    expect(read.string()).toBe('1');
  });

  test('ops plans, lists and empties', async () => {
    const manager = await jetstreamManager(ops);
    expect((await manager.streams.info('inbox_mine')).config.name).toBe('inbox_mine');
    expect(await manager.consumers.list('bus').next()).toHaveLength(2);
    expect((await manager.streams.purge('tick', { filter: 'cron.>' })).success).toBe(true);
    expect((await jetstream(ops).publish('cron.mine.nightly', '')).seq).toBeGreaterThan(0);
    expect((await jetstream(ops).publish('body.mine.b.head', 'swept')).seq).toBeGreaterThan(0);
  });

  test('replay reads and removes dead letters of its Integration, and stores in its inbox', async () => {
    await prepare();
    const manager = await jetstreamManager(replay, { checkAPI: false });
    const { state } = await manager.streams.info('dlq_mine');
    expect((await manager.direct.getMessage('dlq_mine', { seq: state.last_seq }))?.string()).toBe('secret');
    const seen: number[] = [];
    for await (const { seq } of await manager.direct.getBatch('dlq_mine', { seq: 1, batch: 10 })) seen.push(seq);
    expect(seen).toContain(state.last_seq);
    expect((await jetstream(replay).publish('inbox.mine.0.shop', 'x')).seq).toBeGreaterThan(0);
    expect(await manager.streams.deleteMessage('dlq_mine', state.last_seq)).toBe(true);
    expect(await manager.direct.getMessage('dlq_mine', { seq: state.last_seq })).toBeNull();
  });

  test('rollup headers wipe nothing where several write', async () => {
    await prepare();
    const client = jetstream(worker);
    const rollup = headers();
    rollup.set('Nats-Rollup', 'all');
    for (const subject of ['$KV.state.mine.k', 'bus.created', 'dlq.mine.erp', 'inbox.mine.0.shop'])
      await expect(client.publish(subject, 'x', { headers: rollup }), subject).rejects.toThrow(/rollup not permitted/);
    const kept = await admin.request('$JS.API.DIRECT.GET.KV_state.$KV.state.other.k', '', { timeout: 60_000 });
    expect(kept.string()).toBe('secret');
    // The control: a bucket as a client library makes it, and the same header removes everything in it.
    const manager = await jetstreamManager(admin);
    await manager.streams.add({ name: 'loose', subjects: ['loose.>'], allow_rollup_hdrs: true, max_bytes: 1024 ** 2 });
    for (const key of ['a', 'b', 'c']) await jetstream(admin).publish(`loose.${key}`, 'x');
    await jetstream(admin).publish('loose.mine', 'x', { headers: rollup });
    expect((await manager.streams.info('loose')).state.messages).toBe(1);
    await manager.streams.delete('loose');
  });

  const refused: readonly (readonly [string, () => NatsConnection, readonly Refusal[]])[] = [
    ['worker', () => worker, workerRefusals],
    ['gateway', () => gateway, gatewayRefusals],
    ['intake', () => intake, intakeRefusals],
    ['ops', () => ops, opsRefusals],
    ['replay', () => replay, replayRefusals],
  ];
  test('the tables are long enough to mean something', () => {
    expect(workerRefusals.length).toBeGreaterThanOrEqual(60);
    expect(new Set([...workerRefusals, ...gatewayRefusals].map(({ subject }) => subject)).size).toBeGreaterThan(60);
  });

  test.each(refused)('%s is refused what an admin may do', async (role, connection, refusals) => {
    const wrong: string[] = [];
    let hash = '';
    await prepare();
    // Everything but acks is the same in both forms.
    const rows = refusals.filter(
      ({ answer }) => form === 'first' || answer === 'delivery' || answer === 'confirmation',
    );
    for (const refusal of rows) {
      if (refusal.answer === 'delivery')
        for (const subject of ['inbox.mine.0.shop', 'inbox.other.0.shop', 'bus.created', 'tick.other.t'])
          await jetstream(admin).publish(subject, 'secret');
      const ack = refusal.subject.includes('{') ? await foreignDelivery() : '';
      if (form === 'second' && ack) hash = ack.split('.')[3] ?? '';
      // Without the second form on, the server does not tell the account's hash, and its ack subjects are the same code.
      if (refusal.subject.includes('{hash}') && !hash) continue;
      const subject = refusal.subject.replace('{ack}', ack).replace('{hash}', hash);
      const payload = await withLastSequence(refusal.payload);
      const name = `${role} ${subject} ${payload}`;
      if (!(await isRefused(connection(), subject, payload))) wrong.push(`not refused: ${name}`);
      const answer = await adminAnswer(admin, { ...refusal, subject, payload });
      if (answer !== undefined) wrong.push(`proves nothing, the admin got ${answer}: ${name}`);
      await (await jetstreamManager(admin)).streams.delete('spare').catch(() => false);
      if (/PURGE|DELETE|PAUSE/.test(subject)) await prepare();
    }
    expect(wrong).toEqual([]);
  });

  test('the control: with one wildcard more in its ack subjects a worker reads a foreign inbox', async () => {
    const loose = await world.tenant('loose');
    for (const name of ['mine', 'other']) await loose.broker.ensureStream(inboxSpec(name));
    const claims = accountClaimsOf(loose.keys, loose.limits, false);
    const keys = claims.signing_keys?.map((key) =>
      key.role === 'worker'
        ? { ...key, template: { ...key.template, pub: { allow: [...key.template.pub.allow, '$JS.ACK.*.*.>'] } } }
        : key,
    );
    const jwt = encodeClaims(
      { ...claims, ...(keys ? { signing_keys: keys } : {}) },
      { name: 'loose', subject: loose.keys.account, issuedAt: Math.floor(Date.now() / 1000) + 10 },
      keyFromSeed(world.material.signingSeed),
    );
    const ctl = await connectWith(world.url, world.material.ctlCreds, '_INBOX_ctl');
    await ctl.request('$SYS.REQ.CLAIMS.UPDATE', jwt);
    await ctl.close();
    await jetstream(await loose.admin()).publish('inbox.other.0.shop', 'secret');
    const reader = await loose.connect('worker', 'mine');
    const stolen = await answerTo(reader, '$JS.ACK.inbox_other.worker-0.1.1.1.1.1', '+NXT', '_INBOX_w_mine');
    expect(stolen?.string()).toBe('secret');
  });

  test.each([
    ['worker', () => worker],
    ['gateway', () => gateway],
    ['intake', () => intake],
    ['ops', () => ops],
    ['replay', () => replay],
  ] as const)('%s cannot listen where an admin can', async (role, connection) => {
    for (const subject of subscriptionRefusals[role]) {
      await expect(listening(connection(), subject), subject).rejects.toThrow(/permissions violation/i);
      await listening(admin, subject);
    }
  });
});

const isRefused = async (connection: NatsConnection, subject: string, payload: string): Promise<boolean> => {
  try {
    await connection.request(subject, payload, { timeout: 60_000 });
    return false;
  } catch (error) {
    return /permissions violation for publish/i.test((error as Error).message);
  }
};

/** `undefined`: as the refusal says. */
const adminAnswer = async (
  admin: NatsConnection,
  { subject, payload = '', answer }: Refusal,
): Promise<string | undefined> => {
  if (answer === 'heard') return heard(admin, subject);
  if (subject === '$JS.API.STREAM.UPDATE.spare') await admin.request('$JS.API.STREAM.CREATE.spare', payload);
  const reply = await answerTo(admin, subject, payload);
  return reply ? judge(reply, answer) : 'no answer';
};

/** Deliveries keep the subject that they were stored under, so that `request` does not know them. */
const answerTo = async (
  connection: NatsConnection,
  subject: string,
  payload: string,
  prefix = '_INBOX',
): Promise<Msg | undefined> => {
  const inbox = createInbox(prefix);
  const subscription = connection.subscribe(inbox, { max: 1, timeout: 60_000 });
  connection.publish(subject, payload, { reply: inbox });
  try {
    for await (const message of subscription) return message;
  } catch {
    return undefined;
  }
};
const judge = (reply: Msg, answer: Refusal['answer']): string | undefined => {
  const status = reply.headers?.code ?? 0;
  const text = reply.string();
  const shown = `${status} ${text.slice(0, 120)}`;
  switch (answer) {
    case 'api':
      return (JSON.parse(text) as { error?: unknown }).error === undefined ? undefined : shown;
    case 'stored':
      return (JSON.parse(text) as { seq?: number }).seq === undefined ? shown : undefined;
    case 'message':
      return status < 300 && reply.headers?.has('Nats-Sequence') ? undefined : shown;
    case 'delivery':
      return status < 300 && reply.reply?.startsWith('$JS.ACK.') ? undefined : shown;
    case 'confirmation':
      return status < 300 && text === '' ? undefined : shown;
    case 'heard':
      return 'a question that was not asked';
  }
};

const heard = async (admin: NatsConnection, subject: string): Promise<string | undefined> => {
  const got = new Promise<undefined>((resolve) => {
    admin.subscribe(subject, { max: 1, callback: () => resolve(undefined) });
  });
  admin.publish(subject, 'x');
  await admin.flush();
  return got;
};

const listening = async (connection: NatsConnection, subject: string): Promise<void> => {
  const subscription = connection.subscribe(subject, { callback: () => undefined });
  // A refusal comes back before the answer to what is sent after it.
  const refusal = subscription.closed.then((reason) => {
    if (reason instanceof Error) throw reason;
  });
  await Promise.race([refusal, connection.flush()]);
  subscription.unsubscribe();
  await refusal;
};
