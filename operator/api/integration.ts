import type { z } from 'zod';
import { deliverySchema, flowStepItem, sinkItem, sourceItem, stepItem } from '../../runtime/flow.ts';
import {
  choiceOf,
  duration,
  flag,
  integer,
  label,
  listOf,
  quantity,
  shape,
  text,
  textMap,
} from '../../runtime/schema.ts';
import {
  conditionList,
  count,
  deletionPolicy,
  namedList,
  nodeSelector,
  observedGeneration,
  optionalText,
  quantityMap,
  time,
  tolerations,
} from './fields.ts';
import { flowRules } from './flow-rules.ts';
import {
  integrationRules,
  integrationTransitions,
  largeBodiesRules,
  scalingRules,
  uniqueStepNames,
} from './integration-rules.ts';
import type { Metadata } from './meta.ts';
import { ruled } from './rules.ts';

const steps = (description: string, item: typeof stepItem, min: number, max: number) =>
  ruled(listOf(description, item, min, max), [uniqueStepNames]);

const { retry } = deliverySchema.shape;
const { backoff } = retry.shape;
/** As the runtime's, but nothing has to be said. */
const delivery = deliverySchema
  .partial()
  .extend({
    retry: retry
      .partial()
      .extend({ backoff: backoff.partial().meta({ description: 'Wait between attempts.' }).optional() })
      .meta({ description: 'When an attempt failed.' })
      .optional(),
  })
  .meta({ description: 'How messages are delivered.' });

const podSettings = shape("Settings of the pods, within the tenant's workload.", {
  resources: shape('Resources of a pod.', {
    requests: quantityMap('What a pod is sure to get.', 8).optional(),
    limits: quantityMap('What a pod may use at most.', 8).optional(),
  }).optional(),
  nodeSelector: nodeSelector.optional(),
  tolerations: tolerations.optional(),
  priorityClassName: optionalText('Priority class of the pods.').optional(),
  labels: textMap('More labels of the pods.', 32, 63).optional(),
  annotations: textMap('More annotations of the pods.', 32, 4096).optional(),
});

const scaling = ruled(
  shape('How many pods work.', {
    mode: choiceOf('Who decides; default Auto.', ['Auto', 'Manual'], {
      doc: 'Auto: the lag decides between minReplicas and maxReplicas. Manual: `replicas` decides; `kubectl scale` sets it.',
    }).optional(),
    replicas: integer('Number of pods in mode Manual.', 0, 1000).optional(),
    minReplicas: integer('Fewest pods; default 0.', 0, 1000).optional(),
    maxReplicas: integer('Most pods; default 10.', 1, 1000).optional(),
    lagPerReplica: integer('Waiting messages per pod; default 100.', 1, 1000000).optional(),
    idleAfter: duration('Time without work before zero; default 60s.').optional(),
  }),
  scalingRules,
);

const largeBodies = ruled(
  shape(
    'Takes bodies that fit into no message; else refused.',
    {
      largest: quantity('Most that one body has; default 100Mi.').optional(),
      maxBytes: quantity('Room for them all; default 1Gi. Full: refused.').optional(),
    },
    {
      doc: "Bodies of more than 512Ki are kept beside the inbox, in parts, until their message is done; those of dead letters as long as dead letters. The room is reserved in the tenant's storage, once for each of `replicas`. A source has its own limit, too: `maxBytes` of http.",
    },
  ),
  largeBodiesRules,
);

const specShape = shape('What you want.', {
  description: text('What it is for, in a sentence.', 1024).optional(),
  suspend: flag('Stops pulling after work in hand; keeps all.').optional(),
  sources: namedList('Where messages come from.', sourceItem, 1, 8),
  steps: steps('What is done with a message, in order.', stepItem, 0, 64).optional(),
  flows: namedList(
    'Named parts that steps refer to.',
    shape('One flow.', { name: label('Name of the flow.'), steps: steps('Steps, in order.', flowStepItem, 1, 32) }),
    0,
    16,
  ).optional(),
  sinks: namedList('Where messages go: to every sink that fits.', sinkItem, 0, 16).optional(),
  delivery: delivery.optional(),
  inbox: shape('The durable stream in front of the steps.', {
    maxBytes: quantity('Most that waits; default 32Mi. Full: refused.').optional(),
    storage: choiceOf('Where it is kept; cannot change; File.', ['File', 'Memory']).optional(),
    replicas: integer('Copies; default 1.', 1, 5).optional(),
    largeBodies: largeBodies.optional(),
  }).optional(),
  deadLetter: shape('Messages that failed for good.', {
    retention: duration('How long they are kept; default 168h.').optional(),
    maxBytes: quantity('Most that is kept; default 16Mi.').optional(),
  }).optional(),
  scaling: scaling.optional(),
  podSettings: podSettings.optional(),
  deletionPolicy: deletionPolicy.optional(),
});

export const integrationSpec = ruled(specShape, [...integrationRules, ...flowRules], integrationTransitions);
export type IntegrationSpec = z.infer<typeof integrationSpec>;

export const integrationStatus = shape('What is.', {
  observedGeneration: observedGeneration.optional(),
  conditions: conditionList.optional(),
  sources: optionalText('Sources, ready for a column.', 512).optional(),
  sinks: optionalText('Sinks, ready for a column.', 1024).optional(),
  replicas: count('Pods.').optional(),
  readyReplicas: count('Pods that are ready.').optional(),
  selector: optionalText('Label selector of the pods.', 512).optional(),
  lag: shape('Work that waits, roughly; metrics are exact.', {
    pending: count('Messages that wait.'),
    inFlight: count('Messages in work.'),
  }).optional(),
  deadLetters: shape('Messages that failed for good.', {
    count: count('How many are kept.'),
    lastReason: text('Code of the last one.', 128).optional(),
    lastTime: time('When the last one failed.').optional(),
  }).optional(),
  lastMessageTime: time('When the last message was accepted.').optional(),
  bus: shape('Subscription to the bus.', {
    position: count('Event up to which it is served, roughly.'),
    gap: shape('Events that were dropped before it read them.', {
      missed: count('At most so many, those of other types too.'),
      through: count('Event up to which; acknowledge this number.'),
    }).optional(),
  }).optional(),
  endpoints: listOf('Addresses that accept messages.', text('URL.', 1024), 0, 64).optional(),
});
export type IntegrationStatus = z.infer<typeof integrationStatus>;

export interface Integration {
  readonly metadata: Metadata;
  readonly spec: IntegrationSpec;
}
