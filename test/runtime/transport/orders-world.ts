import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { type NatsConnection, headers as natsHeaders } from '@nats-io/transport-node';
import pino from 'pino';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { connectTransport } from '../../../runtime/transport/jetstream.ts';
import type { MakeTransport } from '../../conformance/transport.ts';
import { startWorld, type World, type WorldTenant } from '../../operator/broker/world.ts';

/** Worker's transports with the worker's credentials, one after the other on one server; each begins with empty streams. */
export const jetStreamMaker = (): MakeTransport => {
  let world: World;
  let tenant: WorldTenant;
  let admin: NatsConnection;
  beforeAll(async () => {
    world = await startWorld();
    tenant = await world.tenant('acme');
    admin = await tenant.admin();
  });
  afterAll(() => world?.stop());
  return async (streams) => {
    const [client, manager] = [jetstream(admin), await jetstreamManager(admin)];
    for await (const { config } of manager.streams.list()) await manager.streams.delete(config.name);
    for (const spec of streams) await tenant.broker.ensureStream(spec);
    const transport = await connectTransport({
      folder: await tenant.folder('worker', 'orders'),
      role: 'worker',
      integration: 'orders',
      name: 'test',
      log: pino({ level: 'silent' }),
    });
    onTestFinished(() => transport.close());
    return {
      transport,
      async put({ subject, id, body = 'x' }) {
        const headers = natsHeaders();
        headers.set('ce-id', id);
        await client.publish(subject, body, { msgID: id, headers });
      },
      stored: async (stream) => (await manager.streams.info(stream)).state.messages,
    };
  };
};
