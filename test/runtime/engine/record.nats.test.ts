import { expect, it, onTestFinished } from 'vitest';
import { createMemories } from '../../../runtime/engine/memories.ts';
import { createRecords } from '../../../runtime/engine/record.ts';
import { newCounters } from '../../../runtime/telemetry.ts';
import { connectTransport } from '../../../runtime/transport/jetstream.ts';
import type { Delivery } from '../../../runtime/transport/transport.ts';
import { integration, silent, startWorkshop, type Workshop } from './workshop.ts';

const delivery = (id: string) =>
  ({ stream: 'inbox_orders', sequence: 1, headers: { 'Nats-Msg-Id': id } }) as unknown as Delivery;

const open = async (workshop: Workshop) => {
  const folder = await workshop.tenant.folder('worker', integration);
  const transport = await connectTransport({ folder, role: 'worker', integration, name: 'test', log: silent });
  onTestFinished(() => transport.close());
  return createRecords(transport.state, integration, Date.now);
};

it('a portion that is settled stays so, though another worker fails with an earlier one', async () => {
  const workshop = await startWorkshop();
  const [left, right] = await Promise.all([open(workshop), open(workshop)]);
  const message = delivery('in/a');
  const memories = (records: typeof left) => createMemories({ records, counters: newCounters(), log: silent });
  const [one, two] = await Promise.all([memories(left).recall(message), memories(right).recall(message)]);
  const at = (messages: number) => ({ by: 'lines {}', messages });
  const further = await memories(left).pass(message, one, at(2_000));
  const failed = { ...two.record, attempts: 1, confirmed: ['out/999'], passed: at(1_000) };
  await memories(right).write(message, { ...two, record: failed }, 1);
  expect((await left.read(message)).record).toMatchObject({ attempts: 0, confirmed: [], passed: at(2_000), naks: 1 });

  const later = { ...further.record, attempts: 1, confirmed: ['out/2001'] };
  await memories(left).write(message, { ...further, record: later }, 1);
  expect((await left.read(message)).record).toMatchObject({ attempts: 1, confirmed: ['out/2001'], passed: at(2_000) });
  const other = { by: 'lines {"contentType":"text/plain"}', messages: 5 };
  await memories(right).pass(message, await memories(right).recall(message), other);
  expect((await left.read(message)).record, 'of another way to split').toMatchObject({ confirmed: [], passed: other });
});

it('two workers that fail with the same message count both attempts and keep both confirmations', async () => {
  const workshop = await startWorkshop();
  const [left, right] = await Promise.all([open(workshop), open(workshop)]);
  const message = delivery('in/a');
  const fail = (records: typeof left, from: Awaited<ReturnType<typeof left.read>>, sink: string) =>
    records.write(message, from, (record) => ({
      ...record,
      attempts: record.attempts + 1,
      naks: record.naks + 1,
      confirmed: [...record.confirmed, sink],
    }));
  const [one, two] = await Promise.all([left.read(message), right.read(message)]);
  await Promise.all([fail(left, one, 'erp'), fail(right, two, 'crm')]);
  const { record, revision } = await left.read(message);
  expect({ ...record, confirmed: record.confirmed.toSorted() }).toMatchObject({
    attempts: 2,
    naks: 2,
    confirmed: ['crm', 'erp'],
  });

  const other = await left.read(delivery('in/b'));
  expect(other.record, 'a stream made anew counts from 1 again: not its record').toMatchObject({
    attempts: 0,
    confirmed: [],
  });
  expect(other.revision, 'but it is replaced, not fought').toBe(revision);
});
