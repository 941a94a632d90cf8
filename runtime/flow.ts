import { z } from 'zod';
import { catalog } from './catalog.ts';
import { cel } from './expr/fields.ts';
import { choiceOf, duration, integer, label, shape, text } from './schema.ts';

/*
 * What the operator hands to the runtime: the resolved flow of one Integration, `/etc/kanava/flow.json`, and the routes of one
 * Integration in the gateway's bucket. Complete (every default is written out), free of secret values (only references), bounded.
 */

interface Plugged {
  readonly name: string;
  readonly [plugin: string]: unknown;
}

/**
 * A list item with a name and exactly one key of the catalogue (`http: {...}`). `x-kanava-one-of` tells the CRD generator to write
 * the two CEL rules that say the same thing on the API server.
 */
const plugged = <E extends Record<string, z.ZodType>>(
  what: 'source' | 'step' | 'sink',
  plugins: ReadonlyMap<string, { config: z.ZodType; summary: string }>,
  extra: E,
) => {
  const keys = [...plugins.keys()];
  const fields = Object.fromEntries(
    [...plugins].map(([key, plugin]) => [key, plugin.config.describe(plugin.summary).optional()]),
  );
  return z
    .strictObject({ name: label(`Name of the ${what}, unique in the Integration.`), ...extra, ...fields })
    .meta({
      description: `One ${what}.`,
      'x-kanava-one-of': { what, keys, advice: 'keep one; use a second list item for the other' },
    })
    .check((context) => {
      const set = keys.filter((key) => (context.value as Record<string, unknown>)[key] !== undefined);
      if (set.length === 1) return;
      const message =
        set.length === 0
          ? `set one ${what}: ${keys.join(', ')}`
          : `has more than one ${what}: ${set.join(' ')} (keep one; use a second list item for the other)`;
      context.issues.push({ code: 'custom', message, input: context.value, path: [], continue: true });
    }) as unknown as z.ZodType<Plugged & { [K in keyof E]?: z.output<E[K]> }>;
};

export const sourceItem = plugged('source', catalog.sources, {});
export const stepItem = plugged('step', catalog.steps, {});
/** In a named flow: what a step puts into its own inbox would not find the way on from there. */
export const flowStepItem = plugged('step', new Map([...catalog.steps].filter(([, { resumes }]) => !resumes)), {});
export const sinkItem = plugged('sink', catalog.sinks, {
  when: cel('Only messages for which it holds.').optional(),
});

/** The one catalogue key of an item and its configuration. */
export const pluginOf = <T>(
  item: Plugged,
  plugins: ReadonlyMap<string, T>,
): { kind: string; definition: T; config: unknown } => {
  for (const [kind, definition] of plugins) {
    if (item[kind] !== undefined) return { kind, definition, config: item[kind] };
  }
  throw new Error(
    `"${item.name}" names no connector or step of this version (known: ${[...plugins.keys()].join(', ')})`,
  );
};

/** How long a request to one of these sources may wait for the flow's answer, in milliseconds; 0 when none is answered by it. */
export const longestAnswerMs = (sources: readonly Plugged[]): number =>
  Math.max(
    0,
    ...sources.map((item) => {
      const { definition, config } = pluginOf(item, catalog.sources);
      return (definition.placement === 'gateway' && definition.replies?.(config)) || 0;
    }),
  );
export const answersRequests = (sources: readonly Plugged[]): boolean => longestAnswerMs(sources) > 0;

export const deliverySchema = shape('How messages are delivered.', {
  timeout: duration('One attempt through steps and sinks.'),
  retry: shape('When an attempt failed.', {
    attempts: integer('Attempts before the dead letter.', 1, 1000),
    backoff: shape('Wait between attempts.', {
      initial: duration('After the first attempt.'),
      max: duration('Longest wait.'),
    }),
  }),
  ordering: choiceOf('Order that is kept.', ['None', 'Key']),
  key: cel('Key of a message; needed with ordering Key.').optional(),
  partitions: integer('Parts that keep order; needs ordering Key.', 1, 256),
  concurrency: integer('Messages in work per pod.', 1, 4096),
});
export type Delivery = z.infer<typeof deliverySchema>;

/** The tenant's ceiling as the runtime enforces it on resolved addresses. Nothing listed: public addresses only. */
export const egressSchema = z.strictObject({
  allow: z.array(
    z.union([
      z.strictObject({ cidr: z.string(), ports: z.array(z.int()).optional() }),
      /** Services of an allowed namespace, such as `.shop.svc` and `.shop.svc.cluster.local`. */
      z.strictObject({ hostSuffix: z.string() }),
    ]),
  ),
  /** Ranges of this cluster (pods, services, nodes), closed unless listed, beside all private and special ranges. */
  closed: z.array(z.string()),
});
export type EgressRules = z.infer<typeof egressSchema>;

/** What does not fit into a message lies beside the inbox; absent: it is refused. */
export const largeBodiesSchema = z.strictObject({
  /** Bytes. */
  largest: z.int(),
});
export type LargeBodies = z.infer<typeof largeBodiesSchema>;

/** Rises when an older worker could misread a newer flow. */
export const flowVersion = 1;
const identity = {
  version: z.literal(flowVersion),
  tenant: z.string(),
  namespace: z.string(),
  integration: z.string(),
  uid: z.string(),
  generation: z.int(),
};

export const flowSchema = z.strictObject({
  ...identity,
  /** Sources are here for their names and the broker bindings; gateway sources run in the gateway from the route table. */
  sources: z.array(sourceItem),
  steps: z.array(stepItem),
  flows: z.array(z.strictObject({ name: z.string(), steps: z.array(flowStepItem) })),
  sinks: z.array(sinkItem),
  /** Settings of each Connection by name, under its system's key: `{erp: {http: {...}}}`. */
  connections: z.record(z.string(), z.record(z.string(), z.unknown())),
  delivery: deliverySchema,
  largeBodies: largeBodiesSchema.optional(),
  egress: egressSchema,
});
export type Flow = z.infer<typeof flowSchema>;

/** Settings of a Connection; the operator parsed them by the schema of their system. */
export const connectionNamed = (flow: Flow, name: string, definitions: ReadonlyMap<string, unknown>): unknown => {
  for (const [system, settings] of Object.entries(flow.connections[name] ?? {})) {
    if (definitions.has(system)) return settings;
  }
  throw new Error(`the flow has no Connection "${name}" of a system that this version knows`);
};
/** Of the Connection that a source or sink names; `undefined` when it names none. */
export const connectionOf = (flow: Flow, config: unknown, definitions: ReadonlyMap<string, unknown>): unknown => {
  const name = (config as { connectionRef?: { name?: string } }).connectionRef?.name;
  return name === undefined ? undefined : connectionNamed(flow, name, definitions);
};

/** One entry of the route table: the gateway sources of one Integration. */
export const routesSchema = z.strictObject({
  ...identity,
  suspended: z.boolean(),
  partitions: z.int(),
  key: text('CEL key of a message.', 4096).optional(),
  largeBodies: largeBodiesSchema.optional(),
  sources: z.array(sourceItem),
});
export type Routes = z.infer<typeof routesSchema>;

/** What the gateway writes back per Integration, so that readiness is honest. */
export const appliedSchema = z.strictObject({
  uid: z.string(),
  generation: z.int(),
  /** Revision of the routes entry in the bucket that this is about: it is served, unless `error` is set. */
  revision: z.int(),
  /** Set when the entry could not be served (yet); an earlier one may still be. */
  error: z.string().optional(),
});
export type Applied = z.infer<typeof appliedSchema>;
