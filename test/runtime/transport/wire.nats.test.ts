import { expect, it, onTestFinished } from 'vitest';
import { createWire } from '../../../runtime/transport/wire.ts';
import { startWorld } from '../../operator/broker/world.ts';

/** Sizes around the buffer of 64 KiB: what fits beside others, what fills it, what is more than it. */
const sizes = [1, 40_000, 40_000, 25_500, 65_400, 65_536, 1, 100_000, 0, 64_000, 1_400, 200_000, 30_000];

it('what the client itself says never comes between the parts of a message', async () => {
  const world = await startWorld();
  onTestFinished(() => world.stop());
  const connection = await (await world.tenant('acme')).admin();
  const got: string[] = [];
  connection.subscribe('wire.>', {
    callback: (_, { subject, data, headers }) =>
      void got.push(`${subject} ${data.length} ${new Set(data).size <= 1} ${headers?.get('n') ?? ''}`),
  });
  await connection.flush();
  const wire = createWire(connection);
  const expected: string[] = [];
  for (const [index, size] of sizes.entries()) {
    const asText = index % 2 === 0;
    wire.publish(`wire.${index}`, '', asText ? 'x'.repeat(size) : Buffer.alloc(size, 'x'), `n: ${index}\r\n`);
    expected.push(`wire.${index} ${size} true ${index}`);
    connection.publish('wire.between', 'y');
  }
  wire.flush();
  await connection.flush();
  expect(got.filter((one) => !one.startsWith('wire.between'))).toEqual(expected);
  expect(got).toHaveLength(2 * sizes.length);
  expect(connection.stats().inMsgs).toBe(2 * sizes.length);
});
