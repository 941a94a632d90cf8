import { describe, expect, it } from 'vitest';
import { createAccept } from '../../../runtime/accept.ts';
import { loadBody } from '../../../runtime/bodies/read.ts';
import { Body, type Message } from '../../../runtime/message.ts';
import { referenceIn } from '../../../runtime/nats/body-reference.ts';
import { createMemoryTransport, type MemoryTransport } from '../../../runtime/transport/memory.ts';
import { type Entry, type State, type Transport, TransportError } from '../../../runtime/transport/transport.ts';
import { inboxSpec } from '../../operator/broker/specs.ts';
import { silent } from '../engine/workshop.ts';

/* When a body that was written is taken back, and when it must not be. */
const bytes = 700_000;
const content = Buffer.alloc(bytes, 'a');
const message = (id: string, body = Body.fromBytes(content)): Message => ({
  attrs: { id, source: '/shop', type: 'order', specversion: '1.0' },
  headers: {},
  body,
});
const inbox = { tenant: 'acme', integration: 'orders', partitions: 1, largeBodies: { largest: 2_000_000 } };

const setUp = (changed: (memory: MemoryTransport) => Partial<Transport> = () => ({}), options = inbox) => {
  const memory = createMemoryTransport({ streams: [inboxSpec('orders', { consumers: [] })] });
  const keys = new Set<string>();
  const entries: Entry[] = [];
  const store = memory.bodies('orders');
  const seen: State = {
    ...store,
    write: (key, ...rest) => {
      keys.add(key);
      return store.write(key, ...rest);
    },
  };
  const transport: Transport = {
    ...memory,
    bodies: () => seen,
    publish: (entry) => {
      entries.push(entry);
      return memory.publish(entry);
    },
    ...changed(memory),
  };
  const left = async () => (await Promise.all([...keys].map((key) => store.read(key)))).filter(Boolean).length;
  return { accept: createAccept(transport, options, 'in', silent), entries, left, store };
};

describe('a message with a large body', () => {
  it('is stored without it, beside it', async () => {
    const { accept, entries, store } = setUp();
    expect(await accept(message('m1'))).toEqual({ id: 'm1', duplicate: false });
    expect(entries).toHaveLength(1);
    const [{ headers, body } = { headers: {}, body: content }] = entries;
    expect(body).toHaveLength(0);
    expect(headers).toMatchObject({ 'ce-id': 'm1' });
    const reference = referenceIn(headers);
    expect(reference).toMatchObject({ bytes, parts: 3 });
    if (reference) expect(Buffer.compare(await loadBody(store, reference), content)).toBe(0);
  });

  it('is an ordinary one up to 512 KiB, and where large bodies are not taken', async () => {
    const small = setUp();
    await small.accept(message('m1', Body.fromBytes(Buffer.alloc(512 * 1024))));
    expect(small.entries[0]?.body).toHaveLength(512 * 1024);
    const { accept, entries } = setUp(undefined, { ...inbox, largeBodies: undefined as never });
    await accept(message('m1'));
    expect(entries[0]?.body).toHaveLength(bytes);
    await expect(accept(message('m2', Body.fromBytes(Buffer.alloc(1024 * 1024))))).rejects.toMatchObject({
      code: 'MessageTooLarge',
    });
  });

  it('that comes in pieces is stored as it comes', async () => {
    const { accept, entries } = setUp();
    const pieces = Body.inPieces({ read: () => [content.subarray(0, 9), content.subarray(9)] as never });
    await accept(message('m1', pieces));
    expect(referenceIn(entries[0]?.headers ?? {})).toMatchObject({ bytes });
  });

  it('leaves nothing when it was there already', async () => {
    const { accept, left } = setUp();
    await accept(message('m1'));
    const before = await left();
    expect(await accept(message('m1'))).toEqual({ id: 'm1', duplicate: true });
    expect(await left()).toBe(before);
  });

  it('leaves nothing when the inbox is full, or the body is larger than any may be', async () => {
    const full = setUp(() => ({ publish: () => Promise.reject(new TransportError('StreamFull', 'full')) }));
    await expect(full.accept(message('m1'))).rejects.toMatchObject({ code: 'InboxFull' });
    expect(await full.left()).toBe(0);
    const { accept, left } = setUp(undefined, { ...inbox, largeBodies: { largest: 600_000 } });
    await expect(accept(message('m1'))).rejects.toMatchObject({ code: 'MessageTooLarge' });
    expect(await left()).toBe(0);
  });

  it('keeps its body when it may be stored, whatever is said: nothing may be lost', async () => {
    for (const code of ['Unanswered', 'Unavailable'] as const) {
      const silentBroker = setUp(() => ({ publish: () => Promise.reject(new TransportError(code, 'no answer')) }));
      await expect(silentBroker.accept(message('m1'))).rejects.toMatchObject({ code: 'InboxUnavailable' });
      expect(await silentBroker.left()).toBe(4);
    }
    // Sent again after a reconnect, it is its own duplicate.
    let connections = 1;
    const { accept, left } = setUp((memory) => ({
      connections: () => connections,
      publish: async (entry) => {
        await memory.publish(entry);
        connections += 1;
        return memory.publish(entry);
      },
    }));
    expect(await accept(message('m1'))).toEqual({ id: 'm1', duplicate: true });
    expect(await left()).toBe(4);
  });

  it('is refused while its order depends on what is in it', async () => {
    const ordered = { ...inbox, key: 'body.id' };
    const { accept, left } = setUp(undefined, ordered);
    const pieces = Body.inPieces({ read: () => [content] as never });
    await expect(accept(message('m1', pieces))).rejects.toMatchObject({ code: 'KeyMissing' });
    expect(await left()).toBe(0);
  });
});
