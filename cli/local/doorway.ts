import type { AddressInfo } from 'node:net';
import type { Log } from '../../runtime/connector.ts';
import { headerRoom } from '../../runtime/nats/envelope.ts';
import type { LocalTenant } from './tenant.ts';

/* Where senders reach the http sources of a namespace: the listener of the gateway. */
export interface Doorway {
  readonly port: number;
  close(graceMs: number): Promise<void>;
}

export const openDoorway = async (
  { find, transport }: Pick<LocalTenant, 'find' | 'transport'>,
  { log, ...at }: { readonly port: number; readonly host: string; readonly log: Log },
): Promise<Doorway> => {
  const { createListener } = await import('../../runtime/gateway/listener.ts');
  const listener = createListener({
    find,
    ready: () => true,
    maxBytes: () => transport.maxPayload() - headerRoom,
    answered: () => undefined,
    log,
  });
  await listener.listen(at);
  const { port } = listener.server.address() as AddressInfo;
  return {
    port,
    async close(graceMs) {
      const enough = setTimeout(() => listener.server.closeAllConnections(), graceMs);
      await listener.close();
      clearTimeout(enough);
    },
  };
};
