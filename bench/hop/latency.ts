import { type Consumer, jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { quantile } from '../measure.ts';
import { type Arena, type Source, sources, stored } from './arena.ts';
import { type OrderEvent, orderEvent, verifiedIndex } from './events.ts';
import type { Participant } from './participants.ts';

export interface Latency {
  /** Milliseconds from sending to the arrival at a consumer of the destination. */
  readonly p50: number;
  readonly p99: number;
}

const warmUp = 200;
const longestMs = 120_000;

/**
 * Messages at a fixed rate, sent when they are due and not when the last one arrived (open loop). Without a participant the consumer
 * reads the source itself: what the way costs without a hop.
 */
export const runLatency = async (
  arena: Arena,
  participant: Participant | undefined,
  number: number,
  { perSecond, seconds }: { perSecond: number; seconds: number },
): Promise<Latency> => {
  const count = perSecond * seconds;
  const source = participant?.source ?? 'yardstick';
  const { stream, subject } = sources[source];
  await arena.manager.streams.purge(stream);
  const consumer = participant?.consumer(number) ?? `direct${number}`;
  const destination = participant?.destination(number) ?? {
    stream: `D${number}`,
    subjects: [`out.D${number}`],
    allowBatch: false,
  };
  const round = await arena.round({ source, consumer, destination }, false);
  const running = await participant?.start({
    port: arena.server.port,
    count,
    destination: destination.stream,
    consumer,
  });
  if (running) await round.waiting(running.alive);

  const reading = await connect({ servers: arena.server.url, noAsyncTraces: true });
  let sink: Consumer;
  if (running) {
    await arena.manager.consumers.add(destination.stream, { durable_name: 'end', ack_policy: 'explicit' });
    sink = await jetstream(reading).consumers.get(destination.stream, 'end');
  } else sink = await jetstream(reading).consumers.get(stream, consumer);
  const latencies: number[] = [];
  const seen = new Set<number>();
  const { promise: arrived, resolve: finish, reject: fail } = Promise.withResolvers<void>();
  const messages = await sink.consume({
    max_messages: 500,
    callback: (message) => {
      const text = message.string();
      latencies.push(now() - ((JSON.parse(text) as OrderEvent).t as number));
      seen.add(verifiedIndex(text, 'ids'));
      message.ack();
      if (seen.size === count) finish();
    },
  });

  await send(arena, { subject, source, count, perSecond, number });
  const tooLate = setTimeout(() => fail(new Error(`${seen.size} of ${count} messages arrived`)), longestMs);
  await arrived;
  clearTimeout(tooLate);
  messages.stop();
  await reading.close();
  await running?.stop(count);
  await round.close();
  const measured = latencies.slice(Math.min(warmUp, count / 8));
  return { p50: quantile(measured, 0.5), p99: quantile(measured, 0.99) };
};

const now = () => Number(process.hrtime.bigint()) / 1e6;

interface Sending {
  readonly subject: string;
  readonly source: Source;
  readonly count: number;
  readonly perSecond: number;
  /** Of the run. */
  readonly number: number;
}
const send = (arena: Arena, { subject, source, count, perSecond, number }: Sending) =>
  new Promise<void>((resolve) => {
    // Made before: what is measured is the way, not the sender.
    const events = Array.from({ length: count }, (_, index) => orderEvent(index));
    const envelopes = events.map((event) => {
      const { headers } = stored(source, event);
      // The inbox remembers the ids of the run before, also when it was purged.
      if (source === 'kanava') headers.set('Nats-Msg-Id', `in/${number}/${event.id}`);
      return headers;
    });
    const started = performance.now();
    let sent = 0;
    const tick = () => {
      const due = Math.min(count, Math.floor(((performance.now() - started) * perSecond) / 1000) + 1);
      for (; sent < due; sent += 1) {
        const headers = envelopes[sent];
        const body = JSON.stringify({ ...events[sent], t: now() });
        arena.connection.publish(subject, body, headers ? { headers } : {});
      }
      if (sent < count) setTimeout(tick, 1);
      else resolve();
    };
    tick();
  });
