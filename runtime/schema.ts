import { z } from 'zod';

/*
 * The vocabulary in which connectors, steps and the API describe their fields. From it come the CRDs, the editor schema, the docs
 * and the CLI help. Every string, list and map is bounded, because the API server estimates the cost of every rule.
 * `description` is what `kubectl explain` shows (at most 60 characters); `doc` is the longer text of docs and editors.
 */
interface Texts {
  doc?: string;
}
const about = (description: string, texts: Texts) => ({ description, ...(texts.doc ? { doc: texts.doc } : {}) });

export const text = (description: string, max = 253, texts: Texts = {}) =>
  z.string().min(1).max(max).meta(about(description, texts));
export const pattern = (description: string, form: RegExp, max: number, texts: Texts = {}) =>
  z.string().min(1).max(max).regex(form).meta(about(description, texts));
export const integer = (description: string, min: number, max: number, texts: Texts = {}) =>
  z.int().min(min).max(max).meta(about(description, texts));
export const flag = (description: string, texts: Texts = {}) => z.boolean().meta(about(description, texts));
export const choiceOf = <const T extends readonly [string, ...string[]]>(
  description: string,
  values: T,
  texts: Texts = {},
) => z.enum(values).meta(about(description, texts));
export const shape = <T extends z.core.$ZodLooseShape>(description: string, fields: T, texts: Texts = {}) =>
  z.strictObject(fields).meta(about(description, texts));
/**
 * An object of which exactly one field is set. `x-kanava-one-of` tells the CRD generator to write the two CEL rules that say the
 * same thing on the API server.
 */
export const oneOf = <T extends Record<string, z.ZodType>>(
  what: string,
  description: string,
  fields: T,
  texts: Texts = {},
) => {
  const keys = Object.keys(fields);
  const optional = Object.fromEntries(keys.map((key) => [key, (fields[key] as z.ZodType).optional()])) as {
    [K in keyof T]: z.ZodOptional<T[K]>;
  };
  return z
    .strictObject(optional)
    .meta({ ...about(description, texts), 'x-kanava-one-of': { what, keys, advice: 'keep one' } })
    .check((context) => {
      const set = keys.filter((key) => (context.value as Record<string, unknown>)[key] !== undefined);
      if (set.length === 1) return;
      const message =
        set.length === 0
          ? `set one ${what}: ${keys.join(', ')}`
          : `has more than one ${what}: ${set.join(' ')} (keep one)`;
      context.issues.push({ code: 'custom', message, input: context.value, path: [], continue: true });
    });
};
export const listOf = <T extends z.core.SomeType>(
  description: string,
  item: T,
  min: number,
  max: number,
  texts: Texts = {},
) =>
  z
    .array(item)
    .min(min)
    .max(max)
    .meta({ ...about(description, texts), 'x-kubernetes-list-type': 'atomic' });
export const textMap = (description: string, maxProperties: number, maxValue: number, texts: Texts = {}) =>
  z.record(z.string().max(317), z.string().max(maxValue)).meta({ ...about(description, texts), maxProperties });
/** Free JSON: any object, kept as it is. Keys that YAML 1.1 turned into booleans are refused where it is parsed. */
export const freeObject = (description: string, texts: Texts = {}) =>
  z
    .record(z.string(), z.unknown())
    .meta({ ...about(description, texts), type: 'object', 'x-kubernetes-preserve-unknown-fields': true });

export const dnsLabel = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
export const label = (description: string, max = 40, texts: Texts = {}) => pattern(description, dnsLabel, max, texts);

export const durationPattern = '^([0-9]{1,5}(h|m|s|ms)){1,4}$';
const durationForm = new RegExp(durationPattern);
const unitMs = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const;
/** Milliseconds of a duration such as `30s`, `5m`, `1h30m` or `250ms`; `undefined` when it is not one. */
export const milliseconds = (duration: string): number | undefined => {
  if (!durationForm.test(duration)) return undefined;
  let total = 0;
  for (const [, amount, unit] of duration.matchAll(/([0-9]+)(ms|h|m|s)/g)) {
    total += Number(amount) * unitMs[unit as keyof typeof unitMs];
  }
  return total;
};
export const durationText = 'write a duration such as 30s, 5m or 168h (units h, m, s, ms)';
export const duration = (description: string, texts: Texts = {}) =>
  z
    .string()
    .min(1)
    .max(32)
    .refine((value) => (milliseconds(value) ?? 0) > 0, { message: durationText })
    .meta({ ...about(description, texts), 'x-kanava-form': 'duration' });

/** Nobody waits longer for an answer: workers may not give one later (runtime/nats/permissions.ts). */
export const longestCallSeconds = 60;

export const quantityPattern = '^([0-9]+(?:[.][0-9]+)?)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$';
const quantityForm = new RegExp(quantityPattern);
const suffixes = ['', 'k', 'M', 'G', 'T', 'P', 'E'];
/** The number that a Kubernetes quantity such as `32Mi`, `500m` or `2` stands for; `undefined` when it is not one. */
export const quantityValue = (quantity: string | number): number | undefined => {
  const found = quantityForm.exec(String(quantity));
  if (!found) return undefined;
  const [, amount, suffix = ''] = found;
  if (suffix === 'm') return Number(amount) / 1000;
  const binary = suffix.endsWith('i');
  return (
    Number(amount) * (binary ? 1024 : 1000) ** suffixes.indexOf(binary ? suffix.slice(0, -1).replace('K', 'k') : suffix)
  );
};
export const quantityText = 'write a quantity such as 64Mi or 10Gi';
export const quantity = (description: string, texts: Texts = {}) =>
  z
    .union([z.int().min(0), z.string().min(1).max(32)])
    .refine((value) => quantityValue(value) !== undefined, { message: quantityText })
    .meta({ ...about(description, texts), 'x-kubernetes-int-or-string': true, 'x-kanava-form': 'quantity' });

/** A name of an object such as a Secret or a Connection: a DNS subdomain, so that it can be part of a path. */
export const objectName = (description: string, texts: Texts = {}) =>
  pattern(description, /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/, 253, texts);

/** A key of a Secret in the same namespace. The value is read from a mounted file when it is needed, never kept in a flow. */
export const secretKeyRef = (description: string) =>
  shape(description, {
    secretKeyRef: shape('Key of a Secret in this namespace.', {
      name: objectName('Name of the Secret.'),
      key: pattern('Key in the Secret.', /^[-._a-zA-Z0-9]+$/, 253),
    }),
  });
export type SecretRef = z.infer<ReturnType<typeof secretKeyRef>>;

export const caRef = (description: string) =>
  shape(description, {
    kind: choiceOf('Where it is kept.', ['Secret', 'ConfigMap']),
    name: objectName('Name of the object in this namespace.'),
    key: pattern('Key with PEM certificates.', /^[-._a-zA-Z0-9]+$/, 253),
  });
export type CaRef = z.infer<ReturnType<typeof caRef>>;

/** Name of a Connection of this namespace. `system` is the key that the Connection must have. */
export const connectionRef = (system: string) =>
  shape(`Connection with \`${system}\` settings.`, { name: objectName('Name of the Connection.') }).meta({
    description: `Connection with \`${system}\` settings.`,
    'x-kanava-connection': system,
  });

/** Name of a flow of the same Integration, under `spec.flows`. */
export const flowRef = (description: string) => label(description).meta({ description, 'x-kanava-flow': true });

/*
 * Where the value of a reference lies below /etc/kanava. Secret and ConfigMap names have no "..", so the first ".." divides name
 * and key for every pair; one flat folder lets a single projected volume serve them all.
 */
export const secretFile = (ref: SecretRef): string => `secrets/${ref.secretKeyRef.name}..${ref.secretKeyRef.key}`;
export const caFile = (ref: CaRef): string =>
  ref.kind === 'Secret' ? `secrets/${ref.name}..${ref.key}` : `configs/${ref.name}..${ref.key}`;
