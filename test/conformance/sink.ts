import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { OpenSink, SinkContext, SinkDefinition } from '../../runtime/connector.ts';
import { InstructionError } from '../../runtime/errors.ts';
import type { Flow } from '../../runtime/flow.ts';
import { Body, type Message } from '../../runtime/message.ts';
import { attemptOf } from '../runtime/attempt.ts';
import { ids, startWorkshop, type Workshop } from '../runtime/engine/workshop.ts';
import { scope } from '../runtime/steps/harness.ts';
import { travelled, whole } from './journey.ts';
import { type BadConfigs, refusesBadConfig } from './schema.ts';

/*
 * What every sink promises to the engine. One opts in with a few lines: how it is opened on a workshop's server, and the other side, which
 * does what the suite says and tells what took effect there.
 */
export interface OtherSide {
  /** Message ids, one an effect. */
  effects(): Promise<readonly string[]>;
  /** Confirms nothing, until it answers again. `reached` resolves when `count` messages have come as far as can be seen. */
  hold(): Promise<void>;
  reached(count: number): Promise<void>;
  answer(): Promise<void>;
  /** Is gone, until it is back. */
  leave(): Promise<void>;
  back(): Promise<void>;
  /** Sessions that the sink has open, where that can be seen. */
  sessions?(): number;
}
export interface SinkUnderTest {
  readonly context: Pick<SinkContext, 'egress' | 'connection' | 'publish'> & Partial<Pick<SinkContext, 'volume'>>;
  readonly other: OtherSide;
  /** Of a flow with this sink. */
  readonly connections?: Flow['connections'];
}
export interface SinkCase {
  readonly definition: SinkDefinition;
  readonly config: unknown;
  readonly bad: BadConfigs;
  readonly make: (workshop: Workshop) => Promise<SinkUnderTest>;
}

const noVolume = (claim: string) => `/volumes/${claim}`;

const messageOf = (id: string): Message => ({
  attrs: { id, source: '/shop', type: 'order', specversion: '1.0', datacontenttype: 'application/json' },
  headers: {},
  body: Body.fromValue({ id }),
});
const eventually = (check: () => unknown) => expect.poll(check, { timeout: 60_000, interval: 50 });

export interface Opened extends SinkUnderTest {
  readonly sink: OpenSink;
  readonly again: () => Promise<OpenSink>;
  readonly isIdempotent: boolean;
}
const open = async ({ definition, config, make }: SinkCase): Promise<Opened> => {
  const made = await make(await startWorkshop());
  const parsed = definition.config.parse(config);
  const context: SinkContext = {
    volume: noVolume,
    ...made.context,
    scope,
    secret: () => 'secret',
    ca: () => '',
    signal: new AbortController().signal,
    log: { info: () => undefined, warn: () => undefined, error: () => undefined, debug: () => undefined },
  };
  const again = () => definition.open(parsed, context);
  return { ...made, sink: await again(), again, isIdempotent: definition.idempotent(parsed) === true };
};
/** Whether it has settled, a moment later. */
const state = async (sending: Promise<unknown>): Promise<'pending' | 'resolved' | 'rejected'> => {
  let found: 'pending' | 'resolved' | 'rejected' = 'pending';
  sending.then(
    () => (found = 'resolved'),
    () => (found = 'rejected'),
  );
  for (let turns = 0; turns < 20; turns += 1) await turn();
  return found;
};

/** Each throws for a sink that breaks it (conformance.test.ts shows that). */
export const sinkPromises: Readonly<Record<string, (opened: Opened) => Promise<void>>> = {
  async 'confirms no sooner than the other side did'({ sink, other }) {
    await other.hold();
    const sending = sink.send(messageOf('a'), attemptOf());
    await other.reached(1);
    expect(await state(sending)).toBe('pending');
    await other.answer();
    await sending;
    expect(await other.effects()).toEqual(['a']);
  },
  async 'sends a repeat with the same id, and says truly whether it has a second effect'({
    sink,
    other,
    isIdempotent,
  }) {
    await sink.send(messageOf('a'), attemptOf({ number: 1 }));
    await sink.send(messageOf('a'), attemptOf({ number: 2 }));
    const effects = await other.effects();
    expect([...new Set(effects)]).toEqual(['a']);
    if (isIdempotent) expect(effects).toHaveLength(1);
  },
  async 'holds as many as it is given while the other side is slow, and loses none'({ sink, other }) {
    const many = ids(64);
    await other.hold();
    const sendings = many.map((id) => sink.send(messageOf(id), attemptOf()));
    await other.reached(1);
    expect(await state(Promise.any(sendings))).toBe('pending');
    await other.answer();
    await Promise.all(sendings);
    expect((await other.effects()).toSorted()).toEqual(many.toSorted());
  },
  async 'ends when its time is over, though the other side is silent'({ sink, other }) {
    await other.hold();
    const controller = new AbortController();
    const sending = sink.send(messageOf('a'), attemptOf({ signal: controller.signal }));
    await other.reached(1);
    controller.abort(new DOMException('delivery.timeout has passed', 'TimeoutError'));
    await expect(sending).rejects.toThrow();
    await other.answer();
  },
  async 'wants another try when the other side is gone, and works when it is back'({ sink, again, other }) {
    await sink.send(messageOf('a'), attemptOf());
    await other.leave();
    const error: unknown = await sink.send(messageOf('b'), attemptOf()).catch((failure: unknown) => failure);
    expect(error, 'what failed must not be taken for done').toBeInstanceOf(Error);
    const instruction = error instanceof InstructionError ? error.instruction : 'retry';
    expect(instruction, 'that is no dead letter').not.toBe('reject');
    await other.back();
    const next = instruction === 'reconnect' ? await again() : sink;
    await eventually(() => next.send(messageOf('b'), attemptOf()).then(() => 'sent', String)).toBe('sent');
    expect(await other.effects()).toContain('b');
    if (next !== sink) await next.close?.();
  },
  async 'closes without a word and leaves no session behind'({ sink, other }) {
    await sink.send(messageOf('a'), attemptOf());
    await sink.close?.();
    if (other.sessions) await eventually(other.sessions).toBe(0);
  },
};

export const sinkConformance = (name: string, sink: SinkCase): void => {
  describe(`sink ${name}`, { timeout: 300_000 }, () => {
    refusesBadConfig(sink.definition.config, sink.config, sink.bad);

    it.each(Object.entries(sinkPromises))('%s', async (_, check) => {
      const opened = await open(sink);
      await check(opened);
      await opened.sink.close?.();
    });

    it('gets every message at least once, when workers are killed, cut off and stopped', async () => {
      const workshop = await startWorkshop();
      const { other, connections = {} } = await sink.make(workshop);
      const expected = ids(60);
      await workshop.publish(expected);
      const { repeated, ...result } = await travelled({
        workshop,
        flow: { sinks: [{ name: 'out', [name]: sink.config }], connections },
        expected,
        arrived: other.effects,
        left: () => workshop.messages('inbox_orders'),
        killAt: 'after sink',
      });
      expect(result).toEqual(whole);
      if (sink.definition.idempotent(sink.definition.config.parse(sink.config)) === true) expect(repeated).toBe(0);
    });
  });
};
