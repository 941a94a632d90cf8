import { z } from 'zod';
import { mostInside } from '../accept.ts';
import type { Catalog } from '../catalog.ts';
import type { Accept, HttpRoute, Log, Once, OpenContext } from '../connector.ts';
import { reasonOf } from '../errors.ts';
import { type Applied, pluginOf, type Routes, routesSchema } from '../flow.ts';
import type { SecretRef } from '../schema.ts';
import type { Caller } from './call.ts';
import type { RouteEntry } from './watch.ts';

const againMs = 1_000;

/*
 * What the gateway serves: per Integration the routes of the last entry that could be opened. A new entry is opened completely and then
 * takes over in one step; one that cannot be opened changes nothing but the report.
 */
export interface RouteTable {
  /** The route of `/<integration><path>`, exactly as it was sent. */
  find(path: string): HttpRoute | undefined;
  changed(entry: RouteEntry): void;
  listed(integrations: ReadonlySet<string>): void;
  /** Whether all entries of a complete list were tried. */
  ready(): boolean;
  close(): Promise<void>;
}
export interface TableOptions {
  readonly catalog: Catalog;
  readonly tenant: string;
  readonly context: Omit<OpenContext, 'log'>;
  readonly accept: (entry: Routes, source: string) => Accept;
  readonly call: Caller;
  readonly once: (integration: string) => Once;
  /** Called after each entry; `undefined` when the Integration is gone. */
  readonly applied: (integration: string, applied: Applied | undefined) => void;
  readonly log: Log;
}

interface Served {
  readonly revision: number;
  /** A secret that it needs is not there yet. */
  readonly incomplete: boolean;
  readonly routes: ReadonlyMap<string, HttpRoute>;
  readonly close: () => Promise<void>;
}

export const createRouteTable = (options: TableOptions): RouteTable => {
  const served = new Map<string, Served>();
  // Entries of one Integration are applied one after the other; a slow one holds up no other.
  const work = new Map<string, Promise<void>>();
  const latest = new Map<string, number>();
  const reported = new Map<string, string>();
  const timers = new Set<NodeJS.Timeout>();
  let complete = false;

  const enqueue = (integration: string, task: () => Promise<void>): void => {
    const run = (work.get(integration) ?? Promise.resolve()).then(task).finally(() => {
      if (work.get(integration) === run) work.delete(integration);
    });
    work.set(integration, run);
  };

  const remove = async (integration: string): Promise<void> => {
    const old = served.get(integration);
    served.delete(integration);
    latest.delete(integration);
    reported.delete(integration);
    options.applied(integration, undefined);
    if (old) {
      options.log.info({ integration }, 'routes removed');
      await old.close();
    }
  };

  const report = (integration: string, applied: Applied): void => {
    const text = JSON.stringify(applied);
    if (reported.get(integration) === text) return;
    reported.set(integration, text);
    const { revision, error } = applied;
    if (error === undefined) options.log.info({ integration, revision }, 'routes applied');
    else options.log.error({ integration, revision, reason: error }, 'routes not applied');
    options.applied(integration, applied);
  };

  const apply = async (entry: RouteEntry): Promise<void> => {
    const { integration, revision, value } = entry;
    if (value === undefined) return remove(integration);
    const old = served.get(integration);
    if (old?.revision === revision && !old.incomplete) return;
    try {
      const routes = parseEntry(integration, value, options.tenant);
      const { uid, generation } = routes;
      const missing = unreadable(routes.sources, options.context.secret);
      if (missing !== undefined) again(entry);
      // Mounted files follow their Secrets a while later. Until then the last good entry serves; without one senders get 503, not 404.
      if (missing === undefined || !old) {
        served.set(integration, await open(routes, revision, missing !== undefined, options));
        await old?.close();
      }
      report(integration, { uid, generation, revision, ...(missing === undefined ? {} : { error: missing }) });
    } catch (error) {
      report(integration, { ...identityOf(value), revision, error: reasonOf(error).slice(0, 1000) });
    }
  };

  /** Tries the entry again a little later, unless another one came. */
  const again = (entry: RouteEntry): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      if (latest.get(entry.integration) === entry.revision) enqueue(entry.integration, () => apply(entry));
    }, againMs);
    timers.add(timer);
  };

  return {
    find: (path) => {
      const slash = path.indexOf('/', 1);
      const integration = slash < 0 ? path.slice(1) : path.slice(1, slash);
      return served.get(integration)?.routes.get(slash < 0 ? '/' : path.slice(slash));
    },
    changed: (entry) => {
      latest.set(entry.integration, entry.revision);
      enqueue(entry.integration, () => apply(entry));
    },
    listed: (integrations) => {
      for (const integration of new Set([...served.keys(), ...work.keys()])) {
        if (!integrations.has(integration)) enqueue(integration, () => remove(integration));
      }
      void Promise.all(work.values()).then(() => {
        complete = true;
      });
    },
    ready: () => complete,
    close: async () => {
      for (const timer of timers) clearTimeout(timer);
      await Promise.all(work.values());
      await Promise.all([...served.values()].map(({ close }) => close()));
    },
  };
};

const parseEntry = (integration: string, value: Uint8Array, tenant: string): Routes => {
  const routes = routesSchema.parse(JSON.parse(new TextDecoder().decode(value)));
  if (routes.integration !== integration || routes.tenant !== tenant) {
    throw new Error(
      `the entry of ${integration} says it is ${routes.tenant}/${routes.integration}: it belongs somewhere else`,
    );
  }
  return routes;
};

const parseJson = (value: Uint8Array): unknown => {
  try {
    return JSON.parse(new TextDecoder().decode(value));
  } catch {
    return undefined;
  }
};

/** Whose entry it is, even if nothing else in it can be read. */
const identityOf = (value: Uint8Array): { uid: string; generation: number } => {
  const read = z.object({ uid: z.string(), generation: z.int() }).safeParse(parseJson(value));
  return read.success ? read.data : { uid: '', generation: 0 };
};

/** The first secret of a configuration that cannot be read, as a text; whatever the connectors are called. */
const unreadable = (config: unknown, read: OpenContext['secret']): string | undefined => {
  if (typeof config !== 'object' || config === null) return undefined;
  const { secretKeyRef } = config as Partial<SecretRef>;
  if (secretKeyRef !== undefined) {
    try {
      read({ secretKeyRef });
    } catch {
      return `waiting for key ${secretKeyRef.key} of Secret ${secretKeyRef.name} to reach the gateway`;
    }
  }
  for (const part of Object.values(config)) {
    const found = unreadable(part, read);
    if (found !== undefined) return found;
  }
  return undefined;
};

const open = async (entry: Routes, revision: number, incomplete: boolean, options: TableOptions): Promise<Served> => {
  const { integration, tenant } = entry;
  const routes = new Map<string, HttpRoute>();
  const closes: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const result of await Promise.allSettled(closes.map((close) => close()))) {
      if (result.status === 'rejected') {
        options.log.warn({ integration, reason: reasonOf(result.reason) }, 'a source did not close');
      }
    }
  };
  try {
    for (const item of entry.sources) {
      const { definition, config } = pluginOf(item, options.catalog.sources);
      if (definition.placement !== 'gateway') continue;
      const opened = await definition.open(config, {
        ...options.context,
        log: options.log,
        accept: options.accept(entry, item.name),
        call: options.call(integration, entry.suspended),
        once: options.once(integration),
        largeBodies: entry.largeBodies && {
          above: mostInside,
          largest: entry.largeBodies.largest,
        },
        source: `/${tenant}/${integration}/${item.name}`,
      });
      if (opened.close) closes.push(opened.close);
      for (const route of opened.routes) {
        if (routes.has(route.path)) throw new Error(`sources.${item.name}: the path ${route.path} is taken twice`);
        routes.set(route.path, route);
      }
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { revision, incomplete, routes, close };
};
