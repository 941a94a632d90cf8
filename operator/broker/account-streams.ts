import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { BrokerError, type StreamSpec } from '../reconcile/ports.ts';
import { ensureConsumers } from './consumers.ts';
import { translated } from './failures.ts';
import { consumerNotFound, ensureStreamConfig, findStream, isApiError, streamNotFound } from './streams.ts';

/*
 * Streams in an account that no operator looks after, for somebody who brings a connection and nothing else. What belongs to somebody else, an
 * operator above all, is not touched.
 */
export interface AccountStreams {
  /** A shared stream that is there stays as it is and gets the consumers; another one must be of the same owner. */
  ensure(spec: StreamSpec, owner: string, isShared: boolean): Promise<void>;
  /** Messages that a stream holds; undefined: there is none. */
  stored(stream: string): Promise<number | undefined>;
}
const uid = 'kanava.dev/uid';

export const accountStreams = async (connection: NatsConnection): Promise<AccountStreams> => {
  const manager = await jetstreamManager(connection, { checkAPI: false, timeout: 10_000 });
  return {
    async ensure(planned, owner, isShared) {
      const metadata = { ...planned.metadata, [uid]: owner };
      const consumers = planned.consumers.map((each) => ({ ...each, metadata: { ...each.metadata, [uid]: owner } }));
      const spec: StreamSpec = { ...planned, metadata, consumers };
      try {
        const found = await findStream(manager, spec.name);
        if (found && !isShared && found.config.metadata?.[uid] !== owner) throw taken(`stream ${spec.name}`);
        for (const { name } of consumers) await assertOwn(manager, spec.name, name, owner);
        const info = found && isShared ? found : await ensureStreamConfig(manager, spec, !found);
        await ensureConsumers(manager, spec, info.state);
      } catch (error) {
        throw translated(error, `Stream ${spec.name}`);
      }
    },
    async stored(stream) {
      return (await findStream(manager, stream))?.state.messages;
    },
  };
};

const assertOwn = async (manager: JetStreamManager, stream: string, name: string, owner: string): Promise<void> => {
  try {
    const { config } = await manager.consumers.info(stream, name);
    if (config.metadata?.[uid] !== owner) throw taken(`consumer ${name} of stream ${stream}`);
  } catch (error) {
    if (!isApiError(error, consumerNotFound) && !isApiError(error, streamNotFound)) throw error;
  }
};

const taken = (what: string): BrokerError =>
  new BrokerError(
    'Denied',
    `the ${what} belongs to an Integration of a cluster or of somebody else: use another account, or another name`,
  );
