import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import type {
  Accept,
  BrokerSource,
  GatewayContext,
  GatewaySource,
  HttpRequest,
  IntakeContext,
  IntakeSource,
} from '../../runtime/connector.ts';
import { retry } from '../../runtime/errors.ts';
import type { Flow } from '../../runtime/flow.ts';
import { machinePace } from '../../runtime/intake/pace.ts';
import type { Message } from '../../runtime/message.ts';
import { flowTo, startReceiver, startWorkshop, type Workshop } from '../runtime/engine/workshop.ts';
import { travelled, whole } from './journey.ts';
import { type BadConfigs, refusesBadConfig } from './schema.ts';

/*
 * What every source promises to the engine: those that listen (gateway) say yes no sooner than the inbox, those that fetch
 * (intake) acknowledge no sooner, those that the broker keeps are read again after a crash. One opts in with a few lines.
 */
export interface GatewayCase {
  readonly definition: GatewaySource;
  readonly config: unknown;
  readonly bad: BadConfigs;
  /** What a sender sends, with an identity of its own. */
  readonly request: HttpRequest;
}

const open = async ({ definition, config }: Pick<GatewayCase, 'definition' | 'config'>, accept: Accept) => {
  const context: GatewayContext = {
    accept,
    call: () => Promise.reject(new Error('nobody is asked')),
    once: () => Promise.reject(new Error('nobody asks twice')),
    source: '/acme/orders/in',
    secret: () => 'secret',
    ca: () => '',
    signal: new AbortController().signal,
    log: { info: () => undefined, warn: () => undefined, error: () => undefined, debug: () => undefined },
  };
  const parsed = definition.config.parse(config);
  return { parsed, ...(await definition.open(parsed, context)) };
};
const isYes = (status: number) => status >= 200 && status < 300;

/** Each throws for a source that breaks it (conformance.test.ts shows that). */
export const gatewayPromises: Readonly<Record<string, (of: GatewayCase) => Promise<void>>> = {
  async 'says yes no sooner than the inbox did'(of) {
    const stored = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const { routes } = await open(of, async ({ attrs: { id } }) => {
      asked.resolve();
      await stored.promise;
      return { id, duplicate: false };
    });
    let status = 0;
    const answering = routes[0]?.handle(of.request).then((answer) => {
      status = answer.status;
    });
    await asked.promise;
    for (let turns = 0; turns < 20; turns += 1) await turn();
    expect(status).toBe(0);
    stored.resolve();
    await answering;
    expect(isYes(status)).toBe(true);
  },
  async 'sends back what the inbox does not take, to come again'(of) {
    for (const code of ['InboxFull', 'InboxUnavailable', 'unknown']) {
      const { routes } = await open(of, () =>
        Promise.reject(code === 'unknown' ? new Error(code) : retry(code, 'not now')),
      );
      const status = (await routes[0]?.handle(of.request))?.status ?? 0;
      expect(status, code).toBeGreaterThanOrEqual(500);
    }
  },
  async 'goes on by itself when the inbox is back, and gives a repeat the same id'(of) {
    const accepted: Message[] = [];
    let away = true;
    const { routes } = await open(of, async (message) => {
      accepted.push(message);
      if (away) throw retry('InboxUnavailable', 'not now');
      return { id: message.attrs.id, duplicate: false };
    });
    await routes[0]?.handle(of.request);
    away = false;
    expect(isYes((await routes[0]?.handle(of.request))?.status ?? 0)).toBe(true);
    expect(new Set(accepted.map(({ attrs }) => `${attrs.source} ${attrs.id}`)).size).toBe(1);
  },
  async 'says a repeat was taken, too: the sender need not come a third time'(of) {
    const { routes } = await open(of, async ({ attrs: { id } }) => ({ id, duplicate: true }));
    expect(isYes((await routes[0]?.handle(of.request))?.status ?? 0)).toBe(true);
  },
  async 'serves the paths that it announced, and closes without a word'(of) {
    const { parsed, routes, close } = await open(of, async ({ attrs: { id } }) => ({ id, duplicate: false }));
    expect(routes.map(({ path }) => path)).toEqual(of.definition.paths(parsed));
    expect(of.definition.paths(parsed)).toEqual(of.definition.paths(parsed));
    await close?.();
  },
};

export const gatewaySourceConformance = (name: string, source: GatewayCase): void => {
  describe(`source ${name}`, { timeout: 60_000 }, () => {
    refusesBadConfig(source.definition.config, source.config, source.bad);
    it.each(Object.entries(gatewayPromises))('%s', async (_, check) => check(source));
  });
};

/** The system that an intake source fetches from. */
export interface FetchedSide {
  readonly context: Pick<IntakeContext, 'connection' | 'volume' | 'egress'>;
  /** Puts messages there, one for each name. */
  put(names: readonly string[]): Promise<void>;
  /** Those that are not acknowledged. */
  left(): Promise<readonly string[]>;
}
export interface IntakeCase {
  readonly definition: IntakeSource;
  readonly config: unknown;
  readonly bad: BadConfigs;
  /** With the folder that stands for volumes. */
  readonly make: (volumes: string) => FetchedSide;
  readonly connections: Flow['connections'];
  /** Of a message, what it was called when it was put there. */
  readonly nameOf: (attrs: Readonly<Record<string, string | undefined>>) => string | undefined;
}
export interface Fetching extends Pick<FetchedSide, 'put' | 'left'> {
  readonly nameOf: IntakeCase['nameOf'];
  run(accept: Accept, signal: AbortSignal): Promise<void>;
}
const fetching = (of: IntakeCase, volumes: string): Fetching => {
  const { put, left, ...side } = of.make(volumes);
  const context = {
    ...side.context,
    maxBytes: () => 1024 ** 2,
    source: '/acme/orders/in',
    pace: machinePace,
    trouble: () => undefined,
    secret: () => 'secret',
    ca: () => '',
    log: { info: () => undefined, warn: () => undefined, error: () => undefined, debug: () => undefined },
  };
  const config = of.definition.config.parse(of.config);
  return {
    put,
    left,
    nameOf: of.nameOf,
    run: (accept, signal) => of.definition.run(config, { ...context, accept, signal }),
  };
};
const eventually = (check: () => unknown) => expect.poll(check, { timeout: 60_000, interval: 20 });

/** Each throws for a source that breaks it (conformance.test.ts shows that). */
export const intakePromises: Readonly<Record<string, (of: Fetching) => Promise<void>>> = {
  async 'acknowledges no sooner than the inbox did'({ put, left, run }) {
    const stored = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const shutdown = new AbortController();
    await put(['a']);
    const running = run(async ({ attrs: { id } }) => {
      asked.resolve();
      await stored.promise;
      return { id, duplicate: false };
    }, shutdown.signal);
    await asked.promise;
    for (let turns = 0; turns < 20; turns += 1) await turn();
    expect(await left()).toEqual(['a']);
    stored.resolve();
    await eventually(left).toEqual([]);
    shutdown.abort();
    await running;
  },
  async 'comes again with what the inbox did not take, under the same id'({ put, left, run, nameOf }) {
    const tried: Message[] = [];
    const taken: Message[] = [];
    const shutdown = new AbortController();
    await put(['a', 'b']);
    const running = run(async (message) => {
      tried.push(message);
      if (tried.length <= 2) throw retry(tried.length === 1 ? 'InboxFull' : 'InboxUnavailable', 'not now');
      taken.push(message);
      return { id: message.attrs.id, duplicate: false };
    }, shutdown.signal);
    await eventually(left).toEqual([]);
    expect(new Set(taken.map(({ attrs }) => nameOf(attrs)))).toEqual(new Set(['a', 'b']));
    expect(new Set(tried.map(({ attrs }) => `${attrs.source} ${attrs.id}`)).size).toBe(2);
    shutdown.abort();
    await running;
  },
  async 'ends when it is told to, and what it did not hand over is there for the next one'({ put, left, run, nameOf }) {
    const taken: (string | undefined)[] = [];
    const first = new AbortController();
    await put(['a', 'b', 'c']);
    await run(async ({ attrs }) => {
      taken.push(nameOf(attrs));
      first.abort();
      return { id: attrs.id, duplicate: false };
    }, first.signal);
    const second = new AbortController();
    const running = run(async ({ attrs }) => {
      taken.push(nameOf(attrs));
      return { id: attrs.id, duplicate: false };
    }, second.signal);
    await eventually(left).toEqual([]);
    second.abort();
    await running;
    expect(new Set(taken)).toEqual(new Set(['a', 'b', 'c']));
  },
};

export const intakeSourceConformance = (name: string, source: IntakeCase): void => {
  describe(`source ${name}`, { timeout: 300_000 }, () => {
    refusesBadConfig(source.definition.config, source.config, source.bad);

    it.each(Object.entries(intakePromises))('%s', async (_, check) => {
      const volumes = mkdtempSync(join(tmpdir(), 'kanava-volumes-'));
      onTestFinished(() => rmSync(volumes, { recursive: true }));
      await check(fetching(source, volumes));
    });

    const travels = async (fault?: 'random-ids') => {
      const workshop = await startWorkshop();
      const { put, left } = source.make(workshop.volumes);
      const names = Array.from({ length: 60 }, (_, index) => `n${String(index).padStart(3, '0')}`);
      await put(names);
      const sources = [{ name: 'in', [name]: source.config }];
      const flow = flowTo('', { sources, connections: source.connections });
      for (const point of ['before accept', 'accepted', 'accepted'] as const) {
        const dying = await workshop.startIntake(flow, { kill: { point, after: 15 }, ...(fault ? { fault } : {}) });
        await dying.ended;
        expect(dying.output()).toContain(`"killed":"${point}"`);
      }
      const last = await workshop.startIntake(flow);
      await workshop.world.restart();
      await expect.poll(left, { timeout: 180_000, interval: 100 }).toEqual([]);
      expect(await last.stop(), last.output().slice(-2_000)).toBe(0);
      const stored = [];
      for (let seq = 1; seq <= (await workshop.messages('inbox_orders')); seq += 1) {
        const message = await workshop.manager.streams.getMessage('inbox_orders', { seq });
        const headers = (message?.header.keys() ?? []).map((key) => [
          key.slice('ce-'.length),
          message?.header.get(key),
        ]);
        stored.push(source.nameOf(Object.fromEntries(headers)) ?? '');
      }
      return { names, stored: stored.sort() };
    };

    it('hands over each once, though it is killed at any point and the broker restarts', async () => {
      const { names, stored } = await travels();
      expect(stored).toEqual(names);
    });

    it('control: with an id that is another one each time, a kill shows', async () => {
      const { names, stored } = await travels('random-ids');
      expect(stored.length).toBeGreaterThan(names.length);
    });
  });
};

export interface BrokerCase {
  readonly definition: BrokerSource;
  readonly config: unknown;
  readonly bad: BadConfigs;
  /** Puts messages where the source reads, and gives their ids. The streams and consumers are there, as the operator makes them. */
  readonly put: (workshop: Workshop) => Promise<readonly string[]>;
  readonly subscribe: (
    workshop: Workshop,
    source: { readonly name: string; readonly [kind: string]: unknown },
  ) => Promise<void>;
  readonly left: (workshop: Workshop) => Promise<number>;
}

export const brokerSourceConformance = (name: string, source: BrokerCase): void => {
  describe(`source ${name}`, { timeout: 300_000 }, () => {
    refusesBadConfig(source.definition.config, source.config, source.bad);

    it('is bound to the same by operator and worker', () => {
      const bind = () => source.definition.bind(source.definition.config.parse(source.config));
      expect(bind()).toEqual(bind());
    });

    it('is read again after a crash and a restart of the broker, and left in order', async () => {
      const [workshop, receiver] = await Promise.all([startWorkshop(), startReceiver()]);
      const item = { name: 'in', [name]: source.config };
      await source.subscribe(workshop, item);
      const expected = await source.put(workshop);
      const { repeated: _, ...result } = await travelled({
        workshop,
        flow: { sources: [item], connections: { erp: { http: { url: receiver.url } } } },
        expected,
        arrived: async () => receiver.calls.map(({ id }) => id),
        left: () => source.left(workshop),
      });
      expect(result).toEqual(whole);
    });
  });
};
