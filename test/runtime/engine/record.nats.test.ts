import { expect, it, onTestFinished } from 'vitest';
import { createRecords } from '../../../runtime/engine/record.ts';
import { connectTransport } from '../../../runtime/transport/jetstream.ts';
import type { Delivery } from '../../../runtime/transport/transport.ts';
import { integration, silent, startWorkshop } from './workshop.ts';

const delivery = (id: string) =>
  ({ stream: 'inbox_orders', sequence: 1, headers: { 'Nats-Msg-Id': id } }) as unknown as Delivery;

it('two workers that fail with the same message count both attempts and keep both confirmations', async () => {
  const workshop = await startWorkshop();
  const open = async () => {
    const folder = await workshop.tenant.folder('worker', integration);
    const transport = await connectTransport({ folder, role: 'worker', integration, name: 'test', log: silent });
    onTestFinished(() => transport.close());
    return createRecords(transport.state, integration, Date.now);
  };
  const [left, right] = await Promise.all([open(), open()]);
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
