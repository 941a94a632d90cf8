import { createMemoryTransport } from '../../../runtime/transport/memory.ts';
import { transportConformance } from '../../conformance/transport.ts';

transportConformance('memory', async (streams) => {
  const transport = createMemoryTransport({ streams });
  return {
    transport,
    put: async ({ subject, id, body = 'x' }) =>
      void (await transport.publish({ subject, id, headers: { 'ce-id': id }, body: Buffer.from(body) })),
    stored: async (stream) => transport.stored(stream),
  };
});
