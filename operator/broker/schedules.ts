import { isDeepStrictEqual } from 'node:util';
import { jetstream } from '@nats-io/jetstream';
import { headers as natsHeaders } from '@nats-io/transport-node';
import { cronSubject, tickStream, tickSubject } from '../../runtime/nats/names.ts';
import type { ScheduleEntry } from '../../runtime/nats/ticks.ts';
import { BrokerError } from '../reconcile/ports.ts';
import { lastStored, type StoredMessage } from './direct-get.ts';
import { findStream, isApiError, streamNotFound } from './streams.ts';
import type { TenantSession } from './tenant-connection.ts';

/*
 * Schedules are messages that the server keeps and obeys. They are compared like every other thing that the operator makes, so that one that
 * somebody purged comes back and an unchanged one is not written again, which would begin its intervals anew.
 */
export const ensureSchedules = async (
  session: TenantSession,
  integration: string,
  schedules: readonly ScheduleEntry[],
): Promise<void> => {
  const stream = await look(session, integration);
  if (!stream && schedules.length === 0) return;
  for (const source of stream?.sources ?? []) {
    if (!schedules.some((schedule) => schedule.source === source)) await removeSchedule(session, integration, source);
  }
  for (const schedule of schedules) {
    const stored = await lastStored(session.connection, tickStream, schedule.subject);
    if (stored && isSame(stored, schedule)) continue;
    if (stream) refuseTooMuch(schedule, stream);
    await write(session, schedule);
  }
};

/** Of a whole tenant, before its account is closed: the server goes on making messages in a closed one. */
export const stopSchedules = async ({ manager }: TenantSession): Promise<void> => {
  if (!(await findStream(manager, tickStream))) return;
  for (const filter of [cronSubject('*', '*'), tickSubject('*', '*')])
    await manager.streams.purge(tickStream, { filter });
};

interface TickStream {
  /** Sources of the Integration that have a schedule, or a message of one that is gone. */
  readonly sources: ReadonlySet<string>;
  readonly bytes: number;
  readonly maxBytes: number;
}
const look = async ({ manager }: TenantSession, integration: string): Promise<TickStream | undefined> => {
  try {
    const { state, config } = await manager.streams.info(tickStream, { subjects_filter: `*.${integration}.*` });
    const sources = Object.keys(state.subjects ?? {}).map((subject) => subject.split('.')[2] ?? '');
    return { sources: new Set(sources), bytes: state.bytes, maxBytes: config.max_bytes };
  } catch (error) {
    if (isApiError(error, streamNotFound)) return undefined;
    throw error;
  }
};

/** A full stream drops the oldest entry without a word, and that may be somebody's schedule. The message that it makes needs room, too. */
const refuseTooMuch = ({ source, body }: ScheduleEntry, { bytes, maxBytes }: TickStream): void => {
  if (bytes + 2 * (body.length + headerBytes) <= maxBytes) return;
  throw new BrokerError(
    'Insufficient',
    `Schedule ${source}: the schedules of the tenant take ${bytes} of ${maxBytes} bytes; shorten the bodies of schedules`,
  );
};
const headerBytes = 1024;

const removeSchedule = async ({ manager }: TenantSession, integration: string, source: string): Promise<void> => {
  // The schedule first: else it could make one more message in between.
  await manager.streams.purge(tickStream, { filter: cronSubject(integration, source) });
  await manager.streams.purge(tickStream, { filter: tickSubject(integration, source) });
};

const isSame = (stored: StoredMessage, { headers, body }: ScheduleEntry): boolean =>
  Object.entries(headers).every(([name, value]) => stored.header(name) === value) &&
  isDeepStrictEqual(Buffer.from(stored.body), Buffer.from(body));

const write = async ({ connection }: TenantSession, { subject, headers, body }: ScheduleEntry): Promise<void> => {
  const made = natsHeaders();
  for (const [name, value] of Object.entries(headers)) made.set(name, value);
  await jetstream(connection).publish(subject, body, { headers: made, timeout: 5_000 });
};
