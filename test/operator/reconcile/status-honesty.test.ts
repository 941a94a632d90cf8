import { describe, expect, it } from 'vitest';
import { conditionTypes } from '../../../operator/api/conditions.ts';
import type { KubeObject } from '../../../operator/reconcile/ports.ts';
import { dishonest, statusesIn } from './status-honesty.ts';
import type { StoredVersion } from './status-recorder.ts';

/* The controls of what operator-world.ts checks on every record: each lie, planted into a record that is else true, is found. */
let revision = 0;
const stored = (kind: string, metadata: KubeObject['metadata'], fields: object): StoredVersion => {
  revision += 1;
  const object = { apiVersion: 'any', kind, metadata: { ...metadata, resourceVersion: String(revision) }, ...fields };
  return { type: 'MODIFIED', object };
};
const reasons: Readonly<Record<string, readonly [status: string, reason: string]>> = {
  Ready: ['True', 'Running'],
  Reconciling: ['False', 'UpToDate'],
  Stalled: ['False', 'Progressing'],
  Accepted: ['True', 'Accepted'],
  ConnectionsReady: ['True', 'Ready'],
  Available: ['True', 'Serving'],
  Active: ['True', 'WorkersRunning'],
  DeadLetters: ['False', 'None'],
  Suspended: ['False', 'NotSuspended'],
  MessagingReady: ['True', 'Ready'],
};
interface Changes {
  readonly generation?: number;
  readonly observed?: number;
  readonly without?: string;
  readonly conditions?: Readonly<Record<string, readonly [status: string, reason: string]>>;
  readonly about?: number;
}
const integration = ({ generation = 1, observed = generation, without = '', conditions = {}, about }: Changes = {}) =>
  stored(
    'Integration',
    { name: 'orders', namespace: 'acme', uid: 'a', generation },
    {
      status: {
        observedGeneration: observed,
        conditions: conditionTypes('Integration')
          .filter((type) => type !== without)
          .map((type) => {
            const [status, reason] = conditions[type] ?? reasons[type] ?? ['', ''];
            return { type, status, reason, message: '', observedGeneration: about ?? observed, lastTransitionTime: '' };
          }),
      },
    },
  );
const workers = (wanted: number, ready: number, image = 'a', generation = 1) =>
  stored(
    'Deployment',
    { name: 'worker-orders', namespace: 'acme', uid: 'b', generation },
    {
      spec: { replicas: wanted, template: { image } },
      status: { observedGeneration: 1, replicas: ready, updatedReplicas: ready, readyReplicas: ready },
    },
  );
/** Its controller has not looked at it yet. */
const unseen = (wanted: number, ready: number, image = 'a') => workers(wanted, ready, image, 2);
const idle = { Ready: ['True', 'Idle'], Active: ['False', 'ScaledToZero'], Available: ['True', 'Idle'] } as const;
const starting = { Ready: ['Unknown', 'Starting'], Reconciling: ['True', 'NewGeneration'] } as const;
const short = { Ready: ['Unknown', 'WorkersNotReady'] } as const;

describe('statuses that are true', () => {
  it.each([
    [
      'start, run, scale out, go to zero',
      () => [
        workers(1, 0),
        integration({ observed: -1 }),
        integration({ conditions: starting }),
        workers(1, 1),
        integration(),
        workers(3, 1),
        integration({ conditions: { DeadLetters: ['True', 'Present'] } }),
        workers(3, 3),
        integration(),
        workers(0, 0),
        integration({ conditions: idle }),
      ],
    ],
    [
      'scaled, and told about twice before the controller has looked at it',
      () => [
        workers(1, 1),
        integration(),
        unseen(5, 1),
        integration({ conditions: { DeadLetters: ['True', 'Present'] } }),
        integration(),
      ],
    ],
    [
      'scaled before its controller told that the first worker is ready',
      () => [
        workers(1, 0),
        integration({ conditions: { Ready: ['True', 'Waking'] } }),
        unseen(2, 0),
        unseen(2, 1),
        integration({ conditions: { Ready: ['True', 'Waking'], DeadLetters: ['True', 'Present'] } }),
        unseen(4, 1),
        integration(),
      ],
    ],
    [
      'a new generation reconciles again',
      () => [
        workers(1, 1),
        integration(),
        integration({ generation: 2, conditions: starting }),
        workers(1, 1, 'b'),
        integration({ generation: 2 }),
      ],
    ],
    [
      'pods were lost: that is trouble',
      () => [workers(3, 3), integration(), workers(3, 1), integration({ conditions: short })],
    ],
    [
      'lost while more were wanted',
      () => [workers(3, 3), integration(), workers(5, 1), integration({ conditions: short })],
    ],
  ])('%s', (_, record) => {
    const versions = record();
    expect(dishonest(versions)).toEqual([]);
    expect(statusesIn(versions).length).toBeGreaterThan(1);
  });
});

describe('a lie is found', () => {
  it.each([
    ['Running without any worker', 'no worker', () => [workers(1, 0), integration()]],
    [
      'Running by workers of an older template',
      'no worker',
      () => [
        workers(1, 1),
        integration(),
        unseen(1, 1, 'b'),
        integration({ conditions: { DeadLetters: ['True', 'Present'] } }),
        integration(),
      ],
    ],
    [
      'Running by workers of a template that its controller had not looked at',
      'no worker',
      () => [workers(1, 0), unseen(2, 1, 'b'), integration()],
    ],
    [
      'Running by workers that a scale found gone',
      'no worker',
      () => [
        workers(1, 1),
        integration({ conditions: idle }),
        unseen(2, 0),
        integration({ conditions: idle }),
        integration(),
      ],
    ],
    [
      'Running by workers that stopped long ago',
      'no worker',
      () => [
        workers(1, 1),
        integration({ conditions: idle }),
        workers(1, 0),
        integration({ conditions: idle }),
        workers(1, 0, 'c'),
        integration({ conditions: { DeadLetters: ['True', 'Present'] } }),
      ],
    ],
    [
      'ready, and a condition is about the generation before',
      'about generation 1',
      () => [workers(1, 1), integration({ generation: 2, about: 1 })],
    ],
    ['ready without saying all', 'without Accepted', () => [workers(1, 1), integration({ without: 'Accepted' })]],
    [
      'ready, and not accepted',
      'not accepted',
      () => [workers(1, 1), integration({ conditions: { Accepted: ['False', 'Invalid'] } })],
    ],
    [
      'not ready, and nobody has to act',
      'without Stalled',
      () => [integration({ conditions: { Ready: ['False', 'Stalled'] } })],
    ],
    [
      'a reason that is nowhere explained',
      'catalogue',
      () => [integration({ conditions: { Ready: ['True', 'Fine'] } })],
    ],
    ['a reason of another kind', 'catalogue', () => [integration({ conditions: { Ready: ['True', 'Ready'] } })]],
    [
      'reconciling once more',
      'Reconciling again',
      () => [workers(1, 1), integration(), integration({ conditions: starting })],
    ],
    [
      'not ready for a scale',
      'for a scale',
      () => [workers(1, 1), integration(), workers(2, 1), integration({ conditions: short })],
    ],
    [
      'not ready for waking',
      'for a scale',
      () => [workers(0, 0), integration({ conditions: idle }), workers(1, 0), integration({ conditions: short })],
    ],
  ])('%s', (_, problem, record) => {
    const found = dishonest(record());
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(problem);
  });
});
