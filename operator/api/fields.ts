import { z } from 'zod';
import { choiceOf, integer, listOf, quantity, shape, text, textMap } from '../../runtime/schema.ts';

/* Fields that only the API has, beside the vocabulary of runtime/schema.ts. */

/** A list merged by the name of its items; an item itself is one value, so that two writers never mix two connectors in it. */
export const namedList = <T extends z.core.SomeType>(
  description: string,
  item: T,
  min: number,
  max: number,
  keys: readonly [string, ...string[]] = ['name'],
) =>
  z
    .array(item)
    .min(min)
    .max(max)
    .check((context) => {
      const identity = (entry: unknown) => keys.map((key) => String((entry as Record<string, unknown>)[key])).join('/');
      const seen = context.value.map(identity);
      for (const [index, id] of seen.entries()) {
        if (seen.indexOf(id) === index) continue;
        const message = `"${id}" is there already; each item needs its own ${keys.join(' and ')}`;
        const params = { reason: 'FieldValueDuplicate' };
        context.issues.push({ code: 'custom', message, input: context.value, path: [index], params, continue: true });
      }
    })
    .meta({
      description,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': keys,
      'x-kanava-items': 'atomic',
    });

/** Like `text`, but may be empty: examples show every field with its default. */
export const optionalText = (description: string, max = 253) => z.string().max(max).meta({ description });

export const quantityMap = (description: string, maxProperties: number) =>
  z.record(z.string().max(317), quantity('Amount.')).meta({ description, maxProperties });

export const time = (description: string) => z.string().max(64).meta({ description, format: 'date-time' });
export const count = (description: string) => z.int().min(0).meta({ description, format: 'int64' });

export const nodeSelector = textMap('Labels of nodes that pods may run on.', 32, 63);
export const tolerations = listOf(
  'Taints of nodes that pods tolerate.',
  shape('One toleration.', {
    key: text('Key of the taint; absent is every key.', 317).optional(),
    operator: choiceOf('How the value is compared.', ['Exists', 'Equal']).optional(),
    value: optionalText('Value of the taint.', 63).optional(),
    effect: choiceOf('Effect of the taint; absent is every effect.', [
      'NoSchedule',
      'PreferNoSchedule',
      'NoExecute',
    ]).optional(),
    tolerationSeconds: integer('How long NoExecute is tolerated.', 0, 2147483647).optional(),
  }),
  0,
  16,
);

export const labelSelector = (description: string) =>
  shape(description, {
    matchLabels: textMap('Labels that must be equal.', 16, 63).optional(),
    matchExpressions: listOf(
      'Conditions that must hold, all of them.',
      shape('One condition.', {
        key: text('Label.', 317),
        operator: choiceOf('How it is compared.', ['In', 'NotIn', 'Exists', 'DoesNotExist']),
        values: listOf('Values of In and NotIn.', z.string().max(63), 0, 32).optional(),
      }),
      0,
      16,
    ).optional(),
  });

export const deletionPolicy = choiceOf('What stored messages do when the object goes.', ['Retain', 'Delete'], {
  doc: 'Retain: the object goes, what is stored stays, and an object of the same name continues with it. Delete: it goes too.',
});

/** Conditions as `metav1.Condition` has them. */
export const conditionSchema = shape('One condition.', {
  type: text('What it is about.', 64),
  status: choiceOf('Whether it holds.', ['True', 'False', 'Unknown']),
  reason: z
    .string()
    .min(1)
    .max(64)
    .regex(/^[A-Z][A-Za-z0-9]*$/)
    .meta({ description: 'Why, as one word of the catalogue.' }),
  message: z.string().max(4096).meta({ description: 'What, where and what to do.' }),
  lastTransitionTime: time('When the status changed last.'),
  observedGeneration: count('Generation of the object that it is about.').optional(),
});
export type Condition = z.infer<typeof conditionSchema>;
export const conditionList = namedList('What holds and what does not.', conditionSchema, 0, 16, ['type']);
/** -1 until the operator has seen the object, so that `helm --wait` and kstatus do not take a new object for a ready one. */
export const observedGeneration = z
  .int()
  .min(-1)
  .meta({ description: 'Generation that the status is about; -1 is none.', format: 'int64' });
