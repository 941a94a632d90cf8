import { deadLetterHeaders, percentDecoded } from '../../runtime/nats/envelope.ts';
import {
  bucketStream,
  bucketSubject,
  deadLetterStream,
  deadLetterSubjects,
  gatewayBucket,
  pausedKey,
  stateBucket,
  wakeSubjects,
} from '../../runtime/nats/names.ts';
import { type PausedRecord, pausedSchema } from '../../runtime/nats/paused.ts';
import type { AccountKeys, StreamState, TenantBroker } from '../reconcile/ports.ts';
import { consumerStates, deleteConsumer, ensureConsumers } from './consumers.ts';
import { lastStored, subjectsSince } from './direct-get.ts';
import { deleteRoutes, putRoutes, readApplied, sweepRoutes } from './routes.ts';
import { ensureSchedules } from './schedules.ts';
import { ensureStreamConfig, findStream, stateOf } from './streams.ts';
import type { TenantConnections, TenantSession } from './tenant-connection.ts';

/** Everything that the operator does inside one tenant's account. */
export const tenantBroker = (connections: TenantConnections, keys: AccountKeys): TenantBroker => {
  const use = <T>(what: string, run: (session: TenantSession) => Promise<T>) => connections.use(keys, what, run);
  return {
    ensureStream: (spec, { isNew = false } = {}) =>
      use(`Stream ${spec.name}`, async ({ manager }) => {
        const info = await ensureStreamConfig(manager, spec, isNew);
        return stateOf(info, await ensureConsumers(manager, spec, info.state));
      }),
    deleteConsumer: (stream, name) =>
      use(`Deleting consumer ${name} of stream ${stream}`, ({ manager }) => deleteConsumer(manager, stream, name)),
    ensureSchedules: (integration, schedules) =>
      use(`Schedules of ${integration}`, (session) => ensureSchedules(session, integration, schedules)),
    streams: () => use('Listing streams', listStreams),
    lastDeadLetter: (integration) =>
      use(`The last dead letter of ${integration}`, async ({ connection, manager }) => {
        const stream = deadLetterStream(integration);
        if (!(await findStream(manager, stream))) return undefined;
        const found = await lastStored(connection, stream, deadLetterSubjects(integration));
        return found && { reason: percentDecoded(found.header(deadLetterHeaders.code) ?? 'Unknown'), time: found.time };
      }),
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
        const subjects = await subjectsSince(connection, bucketStream(gatewayBucket), wakeSubjects, sequence);
        return subjects.map((subject) => subject.split('.').at(-1) ?? '');
      }),
    putRoutes: (routes, { isNew = false } = {}) =>
      use(`Routes of ${routes.integration}`, ({ connection }) => putRoutes(connection, routes, isNew)),
    deleteRoutes: (integration) =>
      use(`Deleting routes of ${integration}`, async ({ connection, manager }) => {
        if (await findStream(manager, bucketStream(gatewayBucket))) await deleteRoutes(connection, integration);
      }),
    sweepRoutes: (isServed) =>
      use('Routes of Integrations that are gone', ({ connection, manager }) =>
        sweepRoutes(connection, manager, isServed),
      ),
    applied: (integration) =>
      use(`Applied routes of ${integration}`, ({ connection }) => readApplied(connection, integration)),
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
