import type { z } from 'zod';
import { catalog } from '../../runtime/catalog.ts';
import type { ConfigExample, StepDefinition, StepExample } from '../../runtime/connector.ts';
import { annotated, type SchemaNode } from './openapi.ts';

/*
 * Connectors and steps as their definitions describe them: what `kubectl explain` shows of them, the longer text, and examples. The commands
 * `kanava steps|connectors` and the pages in docs/reference are made of it.
 */
export interface Part {
  readonly role: Role;
  readonly summary: string;
  /** Where a source's code runs. */
  readonly placement?: string;
  /** Whether a step remembers between messages. */
  readonly state?: StepDefinition['state'];
  readonly schema: SchemaNode;
  readonly examples: readonly (ConfigExample | StepExample)[];
}
export type Role = 'source' | 'sink' | 'connection' | 'step';
export interface Explained {
  readonly name: string;
  readonly parts: readonly Part[];
}

interface Described {
  readonly config: z.ZodType;
  readonly summary?: string;
  readonly placement?: string;
  readonly state?: StepDefinition['state'];
  readonly examples?: () => readonly (ConfigExample | StepExample)[];
}
const part = (role: Role, definition: Described | undefined): Part[] => {
  if (definition === undefined) return [];
  const schema = annotated(definition.config);
  const { summary = schema.description ?? '', placement, state, examples = () => [] } = definition;
  return [
    { role, summary, ...(placement ? { placement } : {}), ...(state ? { state } : {}), schema, examples: examples() },
  ];
};

export const explainedConnectors = (): Explained[] =>
  [...new Set([...catalog.sources.keys(), ...catalog.sinks.keys(), ...catalog.connections.keys()])].map((name) => ({
    name,
    parts: [
      ...part('source', catalog.sources.get(name)),
      ...part('sink', catalog.sinks.get(name)),
      ...part('connection', catalog.connections.get(name)),
    ],
  }));

export const explainedSteps = (): Explained[] =>
  [...catalog.steps].map(([name, definition]) => ({ name, parts: part('step', definition) }));

export interface Field {
  /** Names from the part's own fields down to this one. */
  readonly path: readonly string[];
  readonly form: string;
  readonly required: boolean;
  readonly text: string;
}
/** Each field, those of objects below it after it. */
export const fieldsOf = (node: SchemaNode, above: readonly string[] = []): Field[] => {
  const { properties, items, additionalProperties } = node;
  if (items) return fieldsOf(items, above);
  if (typeof additionalProperties === 'object') return fieldsOf(additionalProperties, above);
  return Object.entries(properties ?? {}).flatMap(([name, below]) => {
    const path = [...above, name];
    const required = node.required?.includes(name) ?? false;
    return [{ path, form: formOf(below), required, text: longText(below) }, ...fieldsOf(below, path)];
  });
};

const longText = ({ description, doc }: SchemaNode): string => [description, doc].filter(Boolean).join(' ');

const formOf = (node: SchemaNode): string => {
  const form = node['x-kanava-form'];
  if (form === 'cel') return 'CEL';
  if (form === 'tree') return `${node.type === 'string' ? 'text' : 'any value'}; text after = is CEL`;
  if (form !== undefined) return form;
  if (node.enum) return node.enum.map(String).join(' | ');
  if (node.items) return `list of ${formOf(node.items)}`;
  if (typeof node.additionalProperties === 'object') return `map of ${formOf(node.additionalProperties)}`;
  const oneOf = node['x-kanava-one-of'];
  return oneOf ? `one of: ${oneOf.keys.join(', ')}` : (node.type ?? 'any value');
};
