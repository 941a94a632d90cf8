import { catalog } from '../../runtime/catalog.ts';
import { schemaProblems } from '../../runtime/expr/json-schema.ts';
import { jsonataProblem } from '../../runtime/expr/jsonata.ts';
import { templateProblem } from '../../runtime/expr/liquid.ts';
import { scriptProblem } from '../../runtime/expr/script.ts';
import { pluginOf } from '../../runtime/flow.ts';
import type { Finding } from './findings.ts';
import { unknownFlowText } from './flow-rules.ts';
import type { IntegrationSpec } from './integration.ts';
import type { SchemaNode } from './openapi.ts';
import { type References, referencesOfIntegration } from './references.ts';
import { type Path, pathText, walkSchema } from './schema-walk.ts';

/*
 * What neither JSON Schema nor CEL says, as a chain of small checks of a spec whose form is right. Operator and CLI ask them in this
 * order; each names every place that is wrong.
 */
export type IntegrationCheck = (spec: IntegrationSpec) => Finding[];

const finding = (reason: Finding['reason'], path: Path, message: string): Finding => ({
  reason,
  path: pathText(path),
  message,
  rule: reason,
});

/** Names stand in subjects, metrics and dead letters: one name, one part. */
const uniqueNames: IntegrationCheck = (spec) => {
  const seen = new Map<string, string>();
  return namedParts(spec).flatMap(({ name, path }) => {
    const first = seen.get(name);
    if (first === undefined) {
      seen.set(name, pathText(path));
      return [];
    }
    return [finding('DuplicateName', [...path, 'name'], `"${name}" is the name of ${first} already; choose another`)];
  });
};

const namedParts = (spec: IntegrationSpec): { name: string; path: Path }[] => {
  const list = (items: readonly { name: string }[] | undefined, path: Path) =>
    (items ?? []).map(({ name }, index) => ({ name, path: [...path, index] }));
  return [
    ...list(spec.sources, ['spec', 'sources']),
    ...list(spec.steps, ['spec', 'steps']),
    ...(spec.flows ?? []).flatMap(({ steps }, index) => list(steps, ['spec', 'flows', index, 'steps'])),
    ...list(spec.sinks, ['spec', 'sinks']),
  ];
};

/** Routes of one Integration lie below `/<integration>`: two sources on one path could not be told apart. */
const uniquePaths: IntegrationCheck = (spec) => {
  const seen = new Map<string, string>();
  return spec.sources.flatMap((source, index) => {
    const { kind, definition, config } = pluginOf(source, catalog.sources);
    if (definition.placement !== 'gateway') return [];
    return definition.paths(config).flatMap((route) => {
      const first = seen.get(route);
      seen.set(route, first ?? source.name);
      if (first === undefined) return [];
      const message = `source "${first}" listens on ${route} already; give each source its own path`;
      return [finding('DuplicatePath', ['spec', 'sources', index, kind], message)];
    });
  });
};

type NamedFlows = readonly { readonly name: string }[];

export const unknownFlows = (flows: NamedFlows, references: References['flows']): Finding[] => {
  const known = new Set(flows.map(({ name }) => name));
  return references
    .filter(({ name }) => !known.has(name))
    .map(({ path }) => ({ ...finding('UnknownFlow', path, unknownFlowText), rule: 'FieldValueInvalid' }));
};

/** A flow that reaches itself would never end. Each circle is named once, at the flow of it that comes first. */
export const flowCycles = (flows: NamedFlows, references: References['flows']): Finding[] => {
  const targets = (index: number) =>
    references.filter(({ path }) => path[1] === 'flows' && path[2] === index).map(({ name }) => name);
  const circleFrom = (index: number): string[] | undefined => {
    const start = flows[index]?.name as string;
    const follow = (at: number, trail: string[]): string[] | undefined => {
      for (const name of targets(at)) {
        if (name === start) return [...trail, name];
        const next = flows.findIndex((flow) => flow.name === name);
        // Flows before the start have had their turn.
        if (next < index || trail.includes(name)) continue;
        const found = follow(next, [...trail, name]);
        if (found) return found;
      }
      return undefined;
    };
    return follow(index, [start]);
  };
  return flows.flatMap((_, index) => {
    const circle = circleFrom(index);
    if (!circle) return [];
    return [
      finding('FlowCycle', ['spec', 'flows', index], `flows refer to each other in a circle: ${circle.join(' -> ')}`),
    ];
  });
};

/** zod has no limit for the number of keys of a record. */
export const tooManyKeys = (schema: SchemaNode, spec: unknown): Finding[] => {
  const found: Finding[] = [];
  walkSchema(schema, spec, ['spec'], ({ maxProperties }, value, path) => {
    if (maxProperties === undefined || Object.keys(value as object).length <= maxProperties) return;
    found.push({
      ...finding('Invalid', path, `must have a number of keys of at most ${maxProperties}`),
      rule: 'FieldValueTooMany',
    });
  });
  return found;
};

/**
 * YAML 1.1 (which kubectl reads) takes the keys `on`, `yes`, `y`, `off`, `no` and `n` for booleans and hands on "true" or "false".
 * Only keys that users choose can be hit.
 */
export const ambiguousKeys = (schema: SchemaNode, spec: unknown, root: Path = ['spec']): Finding[] => {
  const found: Finding[] = [];
  const look = (value: unknown, path: Path, deep: boolean): void => {
    if (typeof value !== 'object' || value === null) return;
    if (Array.isArray(value)) {
      if (deep) for (const [index, item] of value.entries()) look(item, [...path, index], deep);
      return;
    }
    for (const [key, item] of Object.entries(value)) {
      if (key === 'true' || key === 'false') {
        const meant = key === 'true' ? 'on, yes, y or true' : 'off, no, n or false';
        found.push(
          finding('AmbiguousKey', [...path, key], `a key reads as a boolean: write ${meant} in quotes, or rename it`),
        );
      }
      if (deep) look(item, [...path, key], deep);
    }
  };
  walkSchema(schema, spec, root, (node, value, path) => {
    const free = node['x-kubernetes-preserve-unknown-fields'] === true;
    if (free || typeof node.additionalProperties === 'object') look(value, path, free);
  });
  return found;
};

/** What is wrong with a text in a language that the schema only names. */
const languages: Readonly<Record<string, (text: string) => string | undefined>> = {
  liquid: templateProblem,
  jsonata: jsonataProblem,
  javascript: scriptProblem,
};

/** JSON Schemas of bodies and texts in other languages, wherever a step takes one. */
export const foreignLanguages = (schema: SchemaNode, spec: unknown): Finding[] => {
  const found: Finding[] = [];
  walkSchema(schema, spec, ['spec'], (node, value, path) => {
    const form = node['x-kanava-form'];
    const problem = form === undefined ? undefined : languages[form]?.(String(value));
    if (problem !== undefined) found.push(finding('InvalidExpression', path, problem));
    if (form !== 'json-schema') return;
    for (const wrong of schemaProblems(value))
      found.push(finding('InvalidSchema', [...path, ...wrong.path], wrong.message));
  });
  return found;
};

export const integrationChecks: readonly IntegrationCheck[] = [
  uniqueNames,
  uniquePaths,
  (spec) => unknownFlows(spec.flows ?? [], referencesOfIntegration(spec).flows),
  (spec) => flowCycles(spec.flows ?? [], referencesOfIntegration(spec).flows),
];
