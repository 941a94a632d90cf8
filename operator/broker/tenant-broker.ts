import { deadLetterHeaders, percentDecoded } from '../../runtime/nats/envelope.ts';
import {
  appliedKey,
  bodyStream,
  bucketStream,
  bucketSubject,
  deadLetterStream,
  deadLetterSubjects,
  gatewayBucket,
  pausedKey,
  routeKey,
  stateBucket,
  wakeSubjects,
} from '../../runtime/nats/names.ts';
import { type PausedRecord, pausedSchema } from '../../runtime/nats/paused.ts';
import type { AccountKeys, StreamState, TenantBroker } from '../reconcile/ports.ts';
import { sweepBodies } from './bodies.ts';
import { consumerStates, deleteConsumer, ensureConsumers } from './consumers.ts';
import { lastStored, storedSince } from './direct-get.ts';
import { deleteRoutes, putRoutes, readApplied, sweepRoutes } from './routes.ts';
import { ensureSchedules } from './schedules.ts';
import type { Standing } from './standing.ts';
import { ensureStreamConfig, findStream, stateOf } from './streams.ts';
import type { TenantConnections, TenantSession } from './tenant-connection.ts';

/** Everything that the operator does inside one tenant's account. */
export const tenantBroker = (connections: TenantConnections, standing: Standing, keys: AccountKeys): TenantBroker => {
  const use = <T>(what: string, run: (session: TenantSession) => Promise<T>) => connections.use(keys, what, run);
  const { account } = keys;
  const routes = bucketStream(gatewayBucket);
  return {
    ensureStream: (spec, { isNew = false, mayStand = false } = {}) => {
      const look = () =>
        use(`Stream ${spec.name}`, async ({ manager }) => {
          const info = await ensureStreamConfig(manager, spec, isNew);
          return stateOf(info, await ensureConsumers(manager, spec, info.state));
        });
      return mayStand ? standing.stream(account, spec, look) : look();
    },
    deleteConsumer: (stream, name) =>
      use(`Deleting consumer ${name} of stream ${stream}`, ({ manager }) => deleteConsumer(manager, stream, name)),
    ensureSchedules: (integration, schedules) =>
      use(`Schedules of ${integration}`, (session) => ensureSchedules(session, integration, schedules)),
    streams: () => use('Listing streams', listStreams),
    lastDeadLetter: (integration) => {
      const stream = deadLetterStream(integration);
      return standing.answer(account, stream, { name: 'last' }, () =>
        use(`The last dead letter of ${integration}`, async ({ connection, manager }) => {
          if (!(await findStream(manager, stream))) return undefined;
          const found = await lastStored(connection, stream, deadLetterSubjects(integration));
          const reason = percentDecoded(found?.header(deadLetterHeaders.code) ?? 'Unknown');
          return found && { reason, time: found.time };
        }),
      );
    },
    paused: (integration) =>
      use(`Pause of ${integration}`, async ({ connection }) => {
        const found = await lastStored(
          connection,
          bucketStream(stateBucket),
          bucketSubject(stateBucket, pausedKey(integration)),
        );
        // A worker of another version may say it otherwise; then its pods are all that is known.
        return found && !found.header('KV-Operation') ? readPaused(found.body) : undefined;
      }),
    calledSince: (sequence) =>
      use('Who was called', async ({ connection }) => {
        const stored = await storedSince(connection, routes, wakeSubjects, sequence);
        return stored.map(({ subject }) => subject.split('.').at(-1) ?? '');
      }),
    putRoutes: (wanted, { isNew = false } = {}) =>
      standing.answer(account, routes, { name: routeKey(wanted.integration), about: wanted }, () =>
        use(`Routes of ${wanted.integration}`, ({ connection }) => putRoutes(connection, wanted, isNew)),
      ),
    deleteRoutes: (integration) =>
      use(`Deleting routes of ${integration}`, async ({ connection, manager }) => {
        if (await findStream(manager, routes)) await deleteRoutes(connection, integration);
      }),
    sweepRoutes: (served) =>
      standing.answer(account, routes, { name: 'swept', about: [...served()].sort().join(' ') }, () =>
        use('Routes of Integrations that are gone', ({ connection, manager }) =>
          sweepRoutes(connection, manager, served),
        ),
      ),
    sweepBodies: async (integration, options) =>
      options.retired && !standing.isSeen(account, bodyStream(integration))
        ? []
        : use(`Large bodies of ${integration}`, (session) => sweepBodies(session, integration, options)),
    applied: (integration) =>
      standing.answer(account, routes, { name: appliedKey(integration) }, () =>
        use(`Applied routes of ${integration}`, ({ connection }) => readApplied(connection, integration)),
      ),
  };
};

const readPaused = (body: Uint8Array): PausedRecord | undefined => {
  try {
    return pausedSchema.safeParse(JSON.parse(new TextDecoder().decode(body))).data;
  } catch {
    return undefined;
  }
};

const listStreams = async ({ manager }: TenantSession): Promise<StreamState[]> => {
  const states: StreamState[] = [];
  for await (const info of manager.streams.list()) {
    const consumers = info.state.consumer_count === 0 ? [] : await consumerStates(manager, info.config.name);
    states.push(stateOf(info, consumers));
  }
  return states;
};
