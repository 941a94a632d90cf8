import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Accept, BrokerSource, GatewayContext, GatewaySource, HttpRequest } from '../../runtime/connector.ts';
import { retry } from '../../runtime/errors.ts';
import type { Message } from '../../runtime/message.ts';
import { startReceiver, startWorkshop, type Workshop } from '../runtime/engine/workshop.ts';
import { travelled, whole } from './journey.ts';
import { type BadConfigs, refusesBadConfig } from './schema.ts';

/*
 * What every source promises to the engine: those that listen (gateway) say yes no sooner than the inbox, those that the broker keeps
 * are read again after a crash. One opts in with a few lines.
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
