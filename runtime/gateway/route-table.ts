import type { Catalog } from '../catalog.ts';
import type { Accept, Call, HttpRoute, Log, OpenContext } from '../connector.ts';
import { reasonOf, reject } from '../errors.ts';
import { type Applied, pluginOf, type Routes, routesSchema } from '../flow.ts';
import type { RouteEntry } from './watch.ts';

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
  readonly accept: (integration: string, source: string) => Accept;
  /** Called after each entry; `undefined` when the Integration is gone. */
  readonly applied: (integration: string, applied: Applied | undefined) => void;
  readonly log: Log;
}

interface Served {
  readonly uid: string;
  readonly generation: number;
  readonly revision: number;
  readonly routes: ReadonlyMap<string, HttpRoute>;
  readonly close: () => Promise<void>;
}

export const createRouteTable = (options: TableOptions): RouteTable => {
  const served = new Map<string, Served>();
  // Entries of one Integration are applied one after the other; a slow one holds up no other.
  const work = new Map<string, Promise<void>>();
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
    options.applied(integration, undefined);
    if (old) {
      options.log.info({ integration }, 'routes removed');
      await old.close();
    }
  };

  const apply = async ({ integration, revision, value }: RouteEntry): Promise<void> => {
    if (value === undefined) return remove(integration);
    const old = served.get(integration);
    if (old?.revision === revision) return;
    try {
      const routes = parseEntry(integration, value, options.tenant);
      const next = await open(routes, revision, options);
      served.set(integration, next);
      options.log.info({ integration, revision, paths: [...next.routes.keys()] }, 'routes applied');
      options.applied(integration, { uid: next.uid, generation: next.generation, revision });
      await old?.close();
    } catch (error) {
      const reason = reasonOf(error).slice(0, 1000);
      options.log.error({ integration, revision, reason }, 'routes not applied; the last good ones are served');
      const { uid = '', generation = 0, revision: serving = 0 } = old ?? {};
      options.applied(integration, { uid, generation, revision: serving, error: reason });
    }
  };

  return {
    find: (path) => {
      const slash = path.indexOf('/', 1);
      const integration = slash < 0 ? path.slice(1) : path.slice(1, slash);
      return served.get(integration)?.routes.get(slash < 0 ? '/' : path.slice(slash));
    },
    changed: (entry) => enqueue(entry.integration, () => apply(entry)),
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

const open = async (entry: Routes, revision: number, options: TableOptions): Promise<Served> => {
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
        accept: options.accept(integration, item.name),
        call: callUnavailable,
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
  return { uid: entry.uid, generation: entry.generation, revision, routes, close };
};

const callUnavailable: Call = async () => {
  throw reject(
    'CallUnavailable',
    'this version has no request-reply: the source must answer once its message is stored',
  );
};
