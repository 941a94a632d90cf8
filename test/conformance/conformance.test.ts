import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { catalog } from '../../runtime/catalog.ts';
import {
  type Accept,
  defineGatewaySource,
  defineStep,
  type GatewayContext,
  type OpenSink,
  type OpenStep,
} from '../../runtime/connector.ts';
import type { Message } from '../../runtime/message.ts';
import { type Opened, type OtherSide, sinkPromises } from './sink.ts';
import { type Fetching, gatewayPromises, intakePromises } from './source.ts';
import { openStep, type StepCase, stepPromises } from './step.ts';

/* The suites see what they are for: each promise fails for a part that breaks it. And nothing of the catalogue is left out. */
const config = z.strictObject({});
const event = (id: string): Message => ({
  attrs: { id, source: '/s', type: 't', specversion: '1.0' },
  headers: {},
  body: undefined as never,
});
const breaks = async (checking: Promise<void>) => expect(checking).rejects.toThrow();

describe('what a source breaks is seen', () => {
  const request = { method: 'POST', path: '', headers: {}, body: Buffer.from('') };
  type Handle = (context: GatewayContext) => Promise<number>;
  const source = (handle: Handle, paths = ['/a']) => ({
    config: {},
    bad: [],
    request,
    definition: defineGatewaySource({
      name: 'planted',
      summary: 'Breaks a promise.',
      placement: 'gateway',
      config,
      paths: () => paths,
      open: async (_, context) => {
        const handled = async () => ({ status: await handle(context) });
        return { routes: [{ path: '/a', methods: ['POST'], maxBytes: 1, handle: handled }] };
      },
    }),
  });
  const honest: Handle = ({ accept }) =>
    accept(event('a')).then(
      () => 202,
      () => 503,
    );
  const broken: readonly (readonly [promise: string, planted: ReturnType<typeof source>])[] = [
    [
      'says yes no sooner than the inbox did',
      source(async ({ accept }) => {
        void accept(event('a'));
        return 202;
      }),
    ],
    [
      'sends back what the inbox does not take, to come again',
      source(({ accept }) =>
        accept(event('a')).then(
          () => 202,
          () => 202,
        ),
      ),
    ],
    [
      'goes on by itself when the inbox is back, and gives a repeat the same id',
      source(({ accept }) =>
        accept(event(String(Math.random()))).then(
          () => 202,
          () => 503,
        ),
      ),
    ],
    [
      'says a repeat was taken, too: the sender need not come a third time',
      source(({ accept }) =>
        accept(event('a')).then(
          ({ duplicate }) => (duplicate ? 409 : 202),
          () => 503,
        ),
      ),
    ],
    ['serves the paths that it announced, and closes without a word', source(honest, ['/b'])],
  ];
  it.each(broken)('%s', async (promise, planted) => {
    await gatewayPromises[promise]?.(source(honest));
    await breaks(gatewayPromises[promise]?.(planted) ?? Promise.resolve());
  });
  it('every promise has its control', () => {
    expect(broken.map(([promise]) => promise)).toEqual(Object.keys(gatewayPromises));
  });
});

describe('what an intake source breaks is seen', () => {
  type Take = (accept: Accept, event: Message) => Promise<unknown>;
  /** A system in memory whose messages go when they are acknowledged, and sources that fetch of it. */
  const meeting = (take: Take, isDeaf = false): Fetching => {
    const waiting: string[] = [];
    return {
      put: async (names) => void waiting.push(...names),
      left: async () => waiting.toSorted(),
      nameOf: ({ id }) => id?.slice(0, 1),
      async run(accept, signal) {
        while (!signal.aborted) {
          const [first = ''] = waiting;
          const acknowledge = () => void waiting.splice(waiting.indexOf(first), 1);
          if (first !== '') await take(accept, event(first)).then(acknowledge, () => undefined);
          await pause(1);
        }
        if (isDeaf) waiting.length = 0;
      },
    };
  };
  const honest: Take = (accept, message) => accept(message);
  const broken: readonly (readonly [promise: string, planted: () => Fetching])[] = [
    [
      'acknowledges no sooner than the inbox did',
      () =>
        meeting(async (accept, message) => {
          void accept(message);
        }),
    ],
    [
      'comes again with what the inbox did not take, under the same id',
      () => meeting((accept, message) => accept(event(`${message.attrs.id}${Math.random()}`))),
    ],
    ['ends when it is told to, and what it did not hand over is there for the next one', () => meeting(honest, true)],
  ];
  it.each(broken)('%s', async (promise, planted) => {
    await intakePromises[promise]?.(meeting(honest));
    await breaks(intakePromises[promise]?.(planted()) ?? Promise.resolve());
  });
  it('every promise has its control', () => {
    expect(broken.map(([promise]) => promise)).toEqual(Object.keys(intakePromises));
  });
});

describe('what a sink breaks is seen', () => {
  /** An other side in memory, and sinks that talk to it. */
  const meeting = (sinkOf: (side: Side) => OpenSink, isIdempotent = false): Opened => {
    const side = createSide();
    const sink = sinkOf(side);
    return { sink, again: async () => sink, isIdempotent, context: {} as never, other: side.other };
  };
  type Side = ReturnType<typeof createSide>;
  const createSide = () => {
    const effects: string[] = [];
    let held: (() => void)[] | undefined;
    let gone = false;
    let sessions = 0;
    const other: OtherSide = {
      effects: async () => effects,
      hold: async () => void (held = []),
      reached: async (count) => await expect.poll(() => held?.length ?? 0).toBeGreaterThanOrEqual(count),
      async answer() {
        for (const go of held ?? []) go();
        held = undefined;
      },
      leave: async () => void (gone = true),
      back: async () => void (gone = false),
      sessions: () => sessions,
    };
    return {
      other,
      enter: () => void (sessions += 1),
      exit: () => void (sessions -= 1),
      take: async (id: string) => {
        if (gone) throw new Error('gone');
        if (held) {
          const { promise, resolve } = Promise.withResolvers<void>();
          held.push(resolve);
          await promise;
        }
        effects.push(id);
      },
    };
  };
  const untilAborted = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
  const honest = ({ take }: Side): OpenSink => ({
    send: ({ attrs: { id } }, { signal }) => Promise.race([take(id), untilAborted(signal)]),
  });
  const broken: readonly (readonly [promise: string, sink: (side: Side) => OpenSink])[] = [
    ['confirms no sooner than the other side did', ({ take }) => ({ send: async ({ attrs }) => void take(attrs.id) })],
    ['sends a repeat with the same id, and says truly whether it has a second effect', honest],
    [
      'holds as many as it is given while the other side is slow, and loses none',
      (side) => {
        let sent = 0;
        const { send } = honest(side);
        return { send: (message, attempt) => (sent++ < 8 ? send(message, attempt) : Promise.resolve()) };
      },
    ],
    [
      'ends when its time is over, though the other side is silent',
      ({ take }) => ({
        send: ({ attrs }) => Promise.race([take(attrs.id), new Promise<void>((done) => setTimeout(done, 1))]),
      }),
    ],
    [
      'wants another try when the other side is gone, and works when it is back',
      ({ take }) => ({ send: ({ attrs }) => take(attrs.id).catch(() => undefined) }),
    ],
    [
      'closes without a word and leaves no session behind',
      (side) => {
        side.enter();
        return { ...honest(side), close: () => Promise.reject(new Error('a word')) };
      },
    ],
  ];
  it.each(broken)('%s', async (promise, sink) => {
    await sinkPromises[promise]?.(meeting(honest));
    await breaks(sinkPromises[promise]?.(meeting(sink, true)) ?? Promise.resolve());
  });
  it('every promise has its control', () => {
    expect(broken.map(([promise]) => promise)).toEqual(Object.keys(sinkPromises));
  });
});

describe('what a step breaks is seen', () => {
  const step = (open: () => OpenStep): StepCase => ({
    config: {},
    bad: [],
    passes: (index) => ({ no: index }),
    definition: defineStep({ name: 'planted', summary: 'Breaks a promise.', state: 'none', config, open }),
  });
  const honest = step(() => ({ run: (message) => message }));
  const broken: readonly (readonly [promise: string, planted: StepCase])[] = [
    [
      'makes the same of the same message, at every attempt',
      step(() => ({ run: (message, { number }) => ({ ...message, headers: { attempt: String(number) } }) })),
    ],
    [
      'leaves the message as it is',
      step(() => ({
        run(message) {
          (message.headers as Record<string, string>)['x-changed'] = 'yes';
          return message;
        },
      })),
    ],
    [
      'says what becomes of every body: no mistake of a sender is tried again',
      step(() => ({
        run(message) {
          if (message.body.bytes().length === 0) throw new TypeError('nothing there');
          return message;
        },
      })),
    ],
    [
      'closes without a word',
      step(() => ({ run: (message) => message, close: () => Promise.reject(new Error('a word')) })),
    ],
  ];
  it.each(broken)('%s', async (promise, planted) => {
    await stepPromises[promise]?.(await openStep(honest), honest);
    await breaks(stepPromises[promise]?.(await openStep(planted), planted) ?? Promise.resolve());
  });
  it('every promise has its control', () => {
    expect(broken.map(([promise]) => promise)).toEqual(Object.keys(stepPromises));
  });
});

describe('everything of the catalogue opts in', () => {
  const root = join(import.meta.dirname, '..');
  const tests = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => readFileSync(join(root, name), 'utf8'))
    .join('\n');
  const optsIn = (kind: string, name: string) =>
    new RegExp(`^(\\w+S|s)${kind.slice(1)}Conformance\\('${name}',`, 'm').test(tests);
  it.each([
    ...[...catalog.sources.keys()].map((name) => ['source', name]),
    ...[...catalog.sinks.keys()].map((name) => ['sink', name]),
    ...[...catalog.steps.keys()].map((name) => ['step', name]),
  ])('%s %s', (kind, name) => expect(optsIn(kind, name)).toBe(true));
  it('control: one that does not is found', () => expect(optsIn('sink', 'planted')).toBe(false));
});
