import { jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { bodyHead, bodyKey, bodyStream, bodySubject, inboxStream } from '../../runtime/nats/names.ts';
import { storedSince } from './direct-get.ts';
import { findStream, isApiError } from './streams.ts';
import type { TenantSession } from './tenant-connection.ts';

/*
 * Bodies that nobody refers to any more: of writers and workers that died, and of dead letters that expired or were discarded. Each body
 * hangs on its head, which is written first, again before each dead letter, and removed last. With h the time of the head,
 *   - its message was stored before h + 1 h (writers keep to that), so it is not in an inbox whose oldest message is younger,
 *   - its dead letters were stored before h + 1 h, too; they are gone when they have expired, and so are replays of them when the oldest
 *     message of the inbox is younger than that.
 * The inbox is read before the heads: what leaves it in between has written a new head or is done.
 */
const writtenWithinMs = 3_600_000;
/** What a head says: see runtime/bodies/write.ts. `swept` is ours: nobody may revive it. */
const letters = 'letters';
const swept = 'swept';
const wrongLastSequence = [10_071, 10_164];

export interface SweepOptions {
  /** How long dead letters are kept. */
  readonly retentionMs: number;
  /** Large bodies are not taken any more: a stream that is empty for long is of no use. */
  readonly retired: boolean;
  /** Unix milliseconds. */
  readonly now: number;
}

/** Their ids. */
export const sweepBodies = async (
  { connection, manager }: TenantSession,
  integration: string,
  { retentionMs, retired, now }: SweepOptions,
): Promise<string[]> => {
  const stream = bodyStream(integration);
  const found = await findStream(manager, stream);
  if (!found) return [];
  if (found.state.messages === 0) {
    const lastUsed = found.state.last_seq === 0 ? Date.parse(found.created) : Date.parse(found.state.last_ts);
    if (retired && now - lastUsed > writtenWithinMs) await manager.streams.delete(stream);
    return [];
  }
  const inbox = await findStream(manager, inboxStream(integration));
  if (!inbox) return [];
  const oldest = inbox.state.messages === 0 ? now : Math.min(now, Date.parse(inbox.state.first_ts));
  const removed: string[] = [];
  for (const head of await storedSince(connection, stream, bodySubject(integration, bodyKey('*', bodyHead)), 0)) {
    const id = head.subject.split('.').at(-2) ?? '';
    const says = Buffer.from(head.body).toString();
    // The mark of a worker that took the body away itself.
    if (says === '') continue;
    const until = Date.parse(head.time) + writtenWithinMs + (says === letters ? retentionMs : 0);
    if (says !== swept && (oldest <= until || !(await claim(connection, head.subject, head.sequence)))) continue;
    await manager.streams.purge(stream, { filter: bodySubject(integration, bodyKey(id, '*')) });
    removed.push(id);
  }
  return removed;
};

/** A copy of the stream may be behind: only the head that was read is replaced. */
const claim = async (connection: NatsConnection, subject: string, sequence: number): Promise<boolean> => {
  try {
    await jetstream(connection).publish(subject, swept, { expect: { lastSubjectSequence: sequence }, timeout: 5_000 });
    return true;
  } catch (error) {
    if (wrongLastSequence.some((code) => isApiError(error, code))) return false;
    throw error;
  }
};
