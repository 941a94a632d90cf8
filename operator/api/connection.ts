import type { z } from 'zod';
import { catalog } from '../../runtime/catalog.ts';
import { integer, listOf, oneOf, shape, text } from '../../runtime/schema.ts';
import { conditionList, count, observedGeneration } from './fields.ts';
import type { Metadata } from './meta.ts';
import { ruled, type Transition } from './rules.ts';

/** One key a system: `{http: {...}}`. */
type Systems = Readonly<Record<string, unknown>>;

const systems = [...catalog.connections.keys()];

export const connectionTransitions: readonly Transition<Systems>[] = [
  {
    rule: systems.map((system) => `has(self.${system}) == has(oldSelf.${system})`).join(' && '),
    message: 'the system of a Connection cannot change; create another Connection',
    check: (self, old) => systems.every((system) => (self[system] === undefined) === (old[system] === undefined)),
  },
];

export const connectionSpec = ruled(
  oneOf(
    'system',
    'What you want: the settings of one system.',
    Object.fromEntries([...catalog.connections].map(([system, definition]) => [system, definition.config])),
  ) as z.ZodType<Systems>,
  [],
  connectionTransitions,
);
export type ConnectionSpec = z.infer<typeof connectionSpec>;

export const connectionStatus = shape('What is.', {
  observedGeneration: observedGeneration.optional(),
  conditions: conditionList.optional(),
  endpoints: listOf(
    'Where it leads.',
    shape('One endpoint.', { host: text('Host.', 253), port: integer('Port.', 1, 65535) }),
    0,
    32,
  ).optional(),
  usedBy: count('Integrations that name it.').optional(),
});
export type ConnectionStatus = z.infer<typeof connectionStatus>;

export interface Connection {
  readonly metadata: Metadata;
  readonly spec: ConnectionSpec;
}

/** The one system of a parsed Connection and its settings. */
export const systemOf = (spec: ConnectionSpec): { system: string; config: unknown } => {
  const system = systems.find((name) => spec[name] !== undefined);
  if (system === undefined) throw new Error(`a Connection has settings of none of: ${systems.join(', ')}`);
  return { system, config: spec[system] };
};
