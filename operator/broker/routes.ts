import { type JetStreamManager, jetstream } from '@nats-io/jetstream';
import { headers, type NatsConnection } from '@nats-io/transport-node';
import { type Applied, appliedSchema, type Routes } from '../../runtime/flow.ts';
import {
  appliedKey,
  bucketStream,
  bucketSubject,
  gatewayBucket,
  routeKey,
  routeSubjects,
  wakeKey,
} from '../../runtime/nats/names.ts';
import { BrokerError } from '../reconcile/ports.ts';
import { lastStored } from './direct-get.ts';

/*
 * The gateway's route table: a key-value bucket that the operator writes and the gateway watches and answers. A key-value bucket is a
 * stream with one message a subject; the header `KV-Operation` marks a deleted key.
 */
const operation = 'KV-Operation';
const stream = bucketStream(gatewayBucket);
/** Long enough for a gateway that was away to see that the key is gone; then the marker goes, too. */
const markerTtl = '1h';

const read = async (connection: NatsConnection, key: string) => {
  const stored = await lastStored(connection, stream, bucketSubject(gatewayBucket, key));
  return stored?.header(operation) ? undefined : stored;
};

const write = async (connection: NatsConnection, key: string, body: string): Promise<number> =>
  (await jetstream(connection).publish(bucketSubject(gatewayBucket, key), body, { timeout: 5_000 })).seq;

/** Only what was read is removed: an entry that was written since stays. */
const remove = async (connection: NatsConnection, key: string, isWanted = () => false): Promise<boolean> => {
  const found = await read(connection, key);
  if (!found || isWanted()) return false;
  const marker = headers();
  marker.set(operation, 'DEL');
  marker.set('Nats-TTL', markerTtl);
  await jetstream(connection).publish(bucketSubject(gatewayBucket, key), '', {
    headers: marker,
    expect: { lastSubjectSequence: found.sequence },
    timeout: 5_000,
  });
  return true;
};

/** The revision of the entry; an equal entry keeps its own, so that the gateway has nothing to do. */
export const putRoutes = async (connection: NatsConnection, routes: Routes, isNew: boolean): Promise<number> => {
  const key = routeKey(routes.integration);
  const body = JSON.stringify(routes);
  const found = isNew ? undefined : await read(connection, key);
  if (found && new TextDecoder().decode(found.body) === body) return found.sequence;
  return write(connection, key, body);
};

export const deleteRoutes = async (connection: NatsConnection, integration: string): Promise<void> => {
  await remove(connection, routeKey(integration));
  await remove(connection, appliedKey(integration));
  await remove(connection, wakeKey(integration));
};

/** Removes the entries of Integrations that are not there any more: they went while NATS, or the account, could not be reached. */
export const sweepRoutes = async (
  connection: NatsConnection,
  manager: JetStreamManager,
  served: () => ReadonlySet<string>,
): Promise<string[]> => {
  const { state } = await manager.streams.info(stream, { subjects_filter: routeSubjects });
  const swept: string[] = [];
  for (const subject of Object.keys(state.subjects ?? {})) {
    const integration = subject.split('.').at(-1) ?? '';
    if (served().has(integration)) continue;
    if (await remove(connection, routeKey(integration), () => served().has(integration))) swept.push(integration);
  }
  return swept;
};

export const readApplied = async (connection: NatsConnection, integration: string): Promise<Applied | undefined> => {
  const found = await read(connection, appliedKey(integration));
  if (!found) return undefined;
  const parsed = appliedSchema.safeParse(parseJson(new TextDecoder().decode(found.body)));
  if (parsed.success) return parsed.data;
  throw new BrokerError(
    'Invalid',
    `The gateway wrote an entry that is not of this version to ${stream}: ${appliedKey(integration)}`,
    { cause: parsed.error },
  );
};

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};
