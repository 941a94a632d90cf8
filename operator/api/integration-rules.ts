import { catalog } from '../../runtime/catalog.ts';
import { durationPattern, milliseconds, quantityValue } from '../../runtime/schema.ts';
import { integrationDefaults as absent } from './defaults.ts';
import type { Rule, Transition } from './rules.ts';

/*
 * Rules across the fields of an Integration. Every one compares effective values: a field that is absent counts as its default, and
 * the rules sit on `spec` itself, because a rule below an optional parent is not asked when the parent goes.
 */
interface Ruled {
  readonly sources: readonly { readonly name: string; readonly [plugin: string]: unknown }[];
  readonly steps?: readonly { readonly name: string; readonly [plugin: string]: unknown }[] | undefined;
  readonly delivery?:
    | {
        readonly ordering?: string | undefined;
        readonly key?: string | undefined;
        readonly partitions?: number | undefined;
        readonly retry?:
          | {
              readonly backoff?:
                | { readonly initial?: string | undefined; readonly max?: string | undefined }
                | undefined;
            }
          | undefined;
      }
    | undefined;
  readonly inbox?:
    | { readonly maxBytes?: string | number | undefined; readonly storage?: string | undefined }
    | undefined;
  readonly deadLetter?: { readonly maxBytes?: string | number | undefined } | undefined;
}

/**
 * CEL of a field or its default. Not `self.?a.?b.orValue(x)`: the API server bounds the size of what comes out of an optional by the
 * size of a request, and refuses the CRD for its estimated cost.
 */
const effective = (self: string, path: string, fallback: string): string => {
  const names = path.split('.');
  const present = names.map((_, index) => `has(${[self, ...names.slice(0, index + 1)].join('.')})`);
  return `(${present.join(' && ')} ? ${self}.${path} : ${fallback})`;
};

const ordering = (spec: Ruled) => spec.delivery?.ordering ?? absent.delivery.ordering;
const partitions = (spec: Ruled) => spec.delivery?.partitions ?? absent.delivery.partitions;
const storage = (spec: Ruled) => spec.inbox?.storage ?? absent.inbox.storage;
const orderingCel = effective('self', 'delivery.ordering', `'${absent.delivery.ordering}'`);
const partitionsCel = (self: string) => effective(self, 'delivery.partitions', String(absent.delivery.partitions));
const storageCel = (self: string) => effective(self, 'inbox.storage', `'${absent.inbox.storage}'`);

const smallest = '1Mi';
const atLeast = (part: 'inbox' | 'deadLetter'): Rule<Ruled> => ({
  rule: `!has(self.${part}) || !has(self.${part}.maxBytes) || !isQuantity(string(self.${part}.maxBytes)) || quantity(string(self.${part}.maxBytes)).compareTo(quantity('${smallest}')) >= 0`,
  message: `${part}.maxBytes must be at least ${smallest}`,
  fieldPath: `.${part}.maxBytes`,
  check: (self) => {
    const given = self[part]?.maxBytes;
    const bytes = given === undefined ? undefined : quantityValue(given);
    return bytes === undefined || bytes >= 2 ** 20;
  },
});

interface LargeBodies {
  readonly largest?: string | number | undefined;
  readonly maxBytes?: string | number | undefined;
}
const bodies = absent.inbox.largeBodies;
const quantityCel = (field: keyof LargeBodies): string =>
  `(has(self.${field}) && isQuantity(string(self.${field})) ? quantity(string(self.${field})) : quantity('${bodies[field]}'))`;
export const largeBodiesRules: readonly Rule<LargeBodies>[] = [
  {
    rule: `${quantityCel('maxBytes')}.compareTo(${quantityCel('largest')}) > 0`,
    message: 'inbox.largeBodies.maxBytes must be more than largest',
    fieldPath: '.maxBytes',
    check: ({ largest, maxBytes }) => amountOf(maxBytes, bodies.maxBytes) > amountOf(largest, bodies.largest),
  },
];
const amountOf = (given: string | number | undefined, fallback: string): number =>
  quantityValue(given ?? fallback) ?? quantityValue(fallback) ?? 0;

const orderedSteps = [...catalog.steps].flatMap(([name, { ordered }]) => (ordered ? [name] : []));

const backoffCel = (field: 'initial' | 'max') =>
  effective('self', `delivery.retry.backoff.${field}`, `'${absent.delivery.retry.backoff[field]}'`);
export const integrationRules: readonly Rule<Ruled>[] = [
  {
    rule: `${orderingCel} != 'Key' || has(self.delivery.key)`,
    message: 'delivery.ordering Key needs delivery.key, a CEL expression such as body.orderId',
    fieldPath: '.delivery',
    check: (self) => ordering(self) !== 'Key' || self.delivery?.key !== undefined,
  },
  {
    rule: `${partitionsCel('self')} == 1 || ${orderingCel} == 'Key'`,
    message: 'delivery.partitions above 1 needs delivery.ordering Key',
    fieldPath: '.delivery.partitions',
    check: (self) => partitions(self) === 1 || ordering(self) === 'Key',
  },
  {
    rule: `${orderingCel} == 'Key' || !has(self.steps) || !self.steps.exists(s, ${orderedSteps.map((name) => `has(s.${name})`).join(' || ')})`,
    message: `delivery.ordering Key is needed by steps that put messages in order (${orderedSteps.join(', ')})`,
    fieldPath: '.delivery',
    check: (self) =>
      ordering(self) === 'Key' || !self.steps?.some((step) => orderedSteps.some((name) => step[name] !== undefined)),
  },
  {
    // Texts that are no durations have their own finding.
    rule: `!${backoffCel('initial')}.matches('${durationPattern}') || !${backoffCel('max')}.matches('${durationPattern}') || duration(${backoffCel('initial')}) <= duration(${backoffCel('max')})`,
    message: 'delivery.retry.backoff.initial must not be above max',
    fieldPath: '.delivery.retry.backoff',
    check: (self) => {
      const { initial, max } = { ...absent.delivery.retry.backoff, ...self.delivery?.retry?.backoff };
      const [first, longest] = [milliseconds(initial), milliseconds(max)];
      return first === undefined || longest === undefined || first <= longest;
    },
  },
  atLeast('inbox'),
  atLeast('deadLetter'),
];

export const integrationTransitions: readonly Transition<Ruled>[] = [
  {
    rule: `${storageCel('self')} == ${storageCel('oldSelf')}`,
    message: 'inbox.storage cannot change: stored messages would be lost; create another Integration',
    fieldPath: '.inbox.storage',
    check: (self, old) => storage(self) === storage(old),
  },
  {
    rule: `${partitionsCel('self')} == ${partitionsCel('oldSelf')}`,
    message: 'delivery.partitions cannot change: keys would lose their order; create another Integration',
    fieldPath: '.delivery.partitions',
    check: (self, old) => partitions(self) === partitions(old),
  },
];

interface Scaling {
  readonly mode?: string | undefined;
  readonly replicas?: number | undefined;
  readonly minReplicas?: number | undefined;
  readonly maxReplicas?: number | undefined;
}
const { mode, minReplicas, maxReplicas } = absent.scaling;
export const scalingRules: readonly Rule<Scaling>[] = [
  {
    rule: `(${effective('self', 'mode', `'${mode}'`)} == 'Manual') == has(self.replicas)`,
    message: 'scaling.replicas goes with mode Manual: set both or neither',
    fieldPath: '.replicas',
    check: (self) => ((self.mode ?? mode) === 'Manual') === (self.replicas !== undefined),
  },
  {
    rule: `${effective('self', 'minReplicas', String(minReplicas))} <= ${effective('self', 'maxReplicas', String(maxReplicas))}`,
    message: `scaling.minReplicas must not be above maxReplicas (default ${maxReplicas})`,
    fieldPath: '.minReplicas',
    check: (self) => (self.minReplicas ?? minReplicas) <= (self.maxReplicas ?? maxReplicas),
  },
];

export const uniqueStepNames: Rule<readonly { readonly name: string }[]> = {
  rule: 'self.all(x, self.exists_one(y, x.name == y.name))',
  message: 'every step needs its own name',
  check: (steps) => new Set(steps.map(({ name }) => name)).size === steps.length,
};
