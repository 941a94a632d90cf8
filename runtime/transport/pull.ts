import type { Msg, NatsConnection, Subscription } from '@nats-io/transport-node';
import type { Log } from '../connector.ts';
import { ownerGroup } from '../nats/names.ts';
import { createSilence } from './silence.ts';
import type { ConsumeOptions, ConsumerFill, Consumption } from './transport.ts';
import type { Wire } from './wire.ts';

/*
 * Supervised pulling from a durable consumer that this process may use but not make. Anything out of order (missed heartbeats, a
 * deleted consumer, a new leader, no responders, a permission that is gone, silence although messages wait, a reconnect) ends in the same place: a fresh reply subject, so that what an old pull
 * may still bring is not counted twice, and a new pull after a growing pause. It never gives up.
 */
export interface PullOptions extends ConsumeOptions {
  readonly stream: string;
  readonly name: string;
  readonly replyPrefix: string;
  readonly log: Log;
  readonly online: () => boolean;
  /** Rejects with the reason when the consumer cannot be used. */
  readonly probe: () => Promise<ConsumerFill>;
  readonly received: (message: Msg) => void;
  /** Asks the broker to end the turn of whoever reads exclusively. */
  readonly unpin: () => Promise<unknown>;
  readonly onTrouble: (trouble: PullTrouble) => void;
}
export interface Pull extends Consumption {
  reconnected(): void;
  /** The server refused to take a publish to this subject. */
  denied(subject: string): void;
  healthy(): boolean;
  /** Why it is not healthy. */
  trouble(): string | undefined;
}
/** What interrupted a pull, as a label of a metric. */
export type PullTrouble = 'refused' | 'denied' | 'heartbeats' | 'silence' | 'unusable';

const expiresMs = 30_000;
const heartbeatMs = 5_000;
const nanos = 1_000_000;
/** The owner of an exclusive consumer is taken for dead when it has not pulled for a while (`priority_timeout`). */
const exclusiveExpiresMs = 5_000;
const exclusiveHeartbeatMs = 2_000;
const status = { heartbeat: 100, expired: 408, noMessages: 404, otherOwner: 423 } as const;

export const startPull = (connection: NatsConnection, wire: Wire, options: PullOptions): Pull => {
  const { stream, name, replyPrefix, credit, exclusive, log, online } = options;
  const rhythm = exclusive
    ? { expiresMs: exclusiveExpiresMs, heartbeatMs: exclusiveHeartbeatMs }
    : { expiresMs, heartbeatMs };
  const subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${name}`;
  let subscription: Subscription | undefined;
  let round = 0;
  let outstanding = 0;
  let lastHeard = Date.now();
  let failures = 0;
  let pausedUntil = 0;
  let stopped = false;
  let healthy = false;
  let lastTrouble: string | undefined;
  let largestCredit = 1;
  /** The turn of this process, as the broker named it. */
  let pin: string | undefined;

  const heard = () => {
    lastHeard = Date.now();
    failures = 0;
    healthy = true;
  };

  const handle = (error: Error | null, message: Msg) => {
    if (error) return trouble('denied', error.message);
    const code = message.reply ? 0 : (message.headers?.code ?? 0);
    if (code === 0) {
      outstanding = Math.max(0, outstanding - 1);
      heard();
      silence.message();
      if (exclusive) noteTurn(message.headers?.get('Nats-Pin-Id') || undefined);
      options.received(message);
      if (outstanding === 0) more();
      return;
    }
    if (code === status.heartbeat) return heard();
    if (code === status.otherOwner) {
      heard();
      noteTurn(undefined);
      renew();
      return more();
    }
    outstanding = Math.max(0, outstanding - Number(message.headers?.get('Nats-Pending-Messages') || 0));
    if (code === status.expired || code === status.noMessages) {
      heard();
      more();
    } else trouble('refused', `${code} ${message.headers?.description ?? ''}`.trim());
  };

  const noteTurn = (current: string | undefined) => {
    if (current === pin) return;
    setPin(current);
    exclusive?.changed(current !== undefined);
  };
  const setPin = (current: string | undefined) => {
    pin = current;
    log.info({ stream, consumer: name, owner: current !== undefined }, 'the turn to read in order changed');
  };

  const trouble = (kind: PullTrouble, reason: string) => {
    if (stopped) return;
    healthy = false;
    lastTrouble = reason;
    failures += 1;
    const pause = Math.min(15_000, 250 * 2 ** Math.min(failures - 1, 6)) * (0.5 + Math.random() / 2);
    pausedUntil = Date.now() + pause;
    options.onTrouble(kind);
    log.warn({ stream, consumer: name, reason, failures, pauseMs: Math.round(pause) }, 'pulling was interrupted');
    renew();
  };
  const renew = () => {
    subscription?.unsubscribe();
    subscription = undefined;
    outstanding = 0;
  };

  const more = () => {
    if (stopped || !online() || Date.now() < pausedUntil) return;
    const free = credit();
    largestCredit = Math.max(largestCredit, free);
    const wanted = free - outstanding;
    // Few large pulls instead of one for every message that was finished.
    if (wanted <= 0 || (outstanding > 0 && wanted < largestCredit / 4)) return;
    if (!subscription) {
      round += 1;
      subscription = connection.subscribe(`${replyPrefix}.${round}`, { callback: handle });
    }
    if (outstanding === 0) lastHeard = Date.now();
    outstanding += wanted;
    const request = {
      batch: wanted,
      expires: rhythm.expiresMs * nanos,
      idle_heartbeat: rhythm.heartbeatMs * nanos,
      ...(exclusive ? { group: ownerGroup, ...(pin === undefined ? {} : { id: pin }) } : {}),
    };
    wire.publish(subject, `${replyPrefix}.${round}`, JSON.stringify(request));
  };

  const probe = () => {
    options.probe().then(
      () => {
        if (stopped) return;
        healthy = true;
        if (pausedUntil !== Number.POSITIVE_INFINITY) return;
        pausedUntil = 0;
        more();
      },
      (error: unknown) => trouble('unusable', error instanceof Error ? error.message : String(error)),
    );
  };

  const silence = createSilence({
    fill: options.probe,
    silent: (waiting) => trouble('silence', `nothing comes although ${waiting} wait`),
    now: Date.now,
  });

  const isHealthy = () => healthy && !silence.isFound();

  const timer = setInterval(() => {
    if (stopped || !online()) return;
    if (outstanding > 0 && Date.now() - lastHeard > 2.5 * rhythm.heartbeatMs)
      trouble('heartbeats', 'heartbeats were missed');
    else if (!healthy && outstanding === 0 && Date.now() >= pausedUntil) probe();
    // Whoever waits for its turn hears nothing, and rightly so.
    else if (outstanding > 0 && (!exclusive || pin !== undefined)) silence.tick();
    more();
  }, 500);

  if (online()) {
    more();
    probe();
  }
  return {
    more,
    healthy: isHealthy,
    trouble: () => (isHealthy() ? undefined : (lastTrouble ?? 'not pulling yet')),
    denied(refused) {
      if (refused === subject) trouble('denied', `these credentials may not publish to "${subject}"`);
    },
    reconnected() {
      renew();
      // A server that just started swallows pulls until its consumers are recovered.
      pausedUntil = Number.POSITIVE_INFINITY;
      probe();
    },
    async stop() {
      if (stopped) return;
      stopped = true;
      clearInterval(timer);
      // What the server sent before it saw the end still reaches `deliver`, which gives it back.
      // Where the connection is gone, or goes meanwhile, nothing more comes.
      if (online()) await subscription?.drain().catch(() => undefined);
      else subscription?.unsubscribe();
    },
    async handOver() {
      const own = pin;
      if (own === undefined) return;
      setPin(undefined);
      if (!online()) return;
      // Else the next one waits until this one is taken for dead. Who took long is taken for dead already: that is another one's turn.
      const isOwn = await options.probe().then(
        ({ owner }) => owner === own,
        () => false,
      );
      if (isOwn) await options.unpin().catch(() => undefined);
    },
  };
};
