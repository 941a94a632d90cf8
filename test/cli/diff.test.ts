import { dump } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import { diff } from '../../cli/diff.ts';
import { collectObjects } from '../../cli/objects.ts';
import { specChanges } from '../../cli/spec-changes.ts';
import type { KubeObject } from '../../operator/reconcile/ports.ts';
import { bus, connection, filter, http, httpSink, integration, schedule, tenant } from '../build.ts';
import { settings } from '../operator/plan/fixtures.ts';

/* What is stored is `live`; a row lays one file over it. The same on a cluster: cluster.kube.test.ts. */
const stored = (object: { metadata: object }, uid: string, status: unknown = {}) =>
  ({
    ...object,
    metadata: { ...object.metadata, uid, generation: 3, creationTimestamp: `2026-01-01T00:00:0${uid}Z` },
    status,
  }) as unknown as KubeObject;
const orders = (spec: Parameters<typeof integration>[0] = {}) => integration({ sinks: [httpSink()], ...spec });
const mail = (spec: Parameters<typeof integration>[0]) => integration(spec, { name: 'mail' });
const reports = (spec: Parameters<typeof integration>[0]) => integration(spec, { name: 'reports' });
const live = [
  stored(tenant(), '1'),
  stored(connection(), '2'),
  stored(orders(), '3', { lag: { pending: 5, inFlight: 2 }, deadLetters: { count: 4 } }),
  stored(mail({ sources: [bus(['a', 'b'])] }), '4', { lag: { pending: 3, inFlight: 0 } }),
  stored(reports({ sources: [schedule({ cron: '0 2 * * *' }), schedule({ cron: '* * * * *' }, 'often')] }), '5'),
];
const differenceOf = (...objects: readonly object[]) => {
  const text = objects.map((one) => dump(one)).join('---\n');
  const files = collectObjects([{ name: 'x.yaml', text, named: true }]).objects;
  return diff(files, live, { namespace: 'acme', tenant: 'unknown', settings: settings() });
};
const flowChanges = [
  'Integration acme/orders: workers restart one after the other: its flow changes',
  'Integration acme/orders: messages that wait (about 7) go through the new flow',
];

describe('effects of a change', () => {
  it.each([
    ['nothing', orders(), []],
    ['a field of the status or of scaling rolls no pods', orders({ scaling: { maxReplicas: 3 } }), []],
    ['a step is a new flow, for what waits too', orders({ steps: [filter('true')] }), flowChanges],
    [
      'a Connection changes the flows of those that use it, though they are in no file',
      connection({ http: { url: 'https://erp.example.com/v2' } }),
      flowChanges,
    ],
    [
      'pods roll without a new flow',
      orders({ podSettings: { labels: { team: 'orders' } } }),
      ['Integration acme/orders: workers restart one after the other: settings of the pods change'],
    ],
    [
      'the wall of the Tenant reaches flow and gateway',
      tenant({ workload: { nodeSelector: { pool: 'a' } } }),
      [
        'gateway of acme: gateway pods restart one after the other: settings of the pods change',
        'Integration acme/orders: workers restart one after the other: settings of the pods change',
        'Integration acme/mail: workers restart one after the other: settings of the pods change',
        'Integration acme/reports: workers restart one after the other: settings of the pods change',
      ],
    ],
    [
      'a smaller inbox keeps what it holds (tried on nats-server 2.15.2)',
      orders({ inbox: { maxBytes: '1Mi' } }),
      [
        'Integration acme/orders: the inbox: at most 1048576 bytes instead of 33554432; what is stored (about 7 messages) stays, and new ones are refused while it takes more',
      ],
    ],
    [
      'only an age takes something away',
      orders({ deadLetter: { retention: '24h' } }),
      ['Integration acme/orders: dead letters older than 24 h are deleted at once (about 4 are kept now)'],
    ],
    [
      'suspending',
      orders({ suspend: true }),
      ['Integration acme/orders: workers stop after the work in hand; messages are stored and wait'],
    ],
    [
      'another path is another address',
      orders({ sources: [http({ path: '/v2' })] }),
      [
        ...flowChanges.slice(0, 1),
        'Integration acme/orders: accepts at http://gateway.acme.svc/orders/v2',
        'Integration acme/orders: accepts no more at http://gateway.acme.svc/orders/in',
        ...flowChanges.slice(1),
      ],
    ],
    [
      'other types on the bus',
      mail({ sources: [bus(['a', 'c'])] }),
      [
        'Integration acme/mail: workers restart one after the other: its flow changes',
        'Integration acme/mail: hears events of type c from the next one on',
        'Integration acme/mail: hears events of type b no more, and those of the 3 that wait (about) are not delivered',
        'Integration acme/mail: messages that wait (about 3) go through the new flow',
      ],
    ],
    [
      'other schedules',
      reports({ sources: [schedule({ cron: '0 3 * * *' }), schedule({ cron: '0 4 * * *' }, 'later')] }),
      [
        'Integration acme/reports: workers restart one after the other: its flow changes',
        'Integration acme/reports: schedule nightly: 0 0 3 * * * UTC instead of 0 0 2 * * * UTC',
        'Integration acme/reports: schedule later begins: 0 0 4 * * * UTC',
        'Integration acme/reports: schedule often ends; a message of it that waits goes, too',
        'Integration acme/reports: messages that wait (about 0) go through the new flow',
      ],
    ],
    [
      'a smaller bus, which drops what is old',
      tenant({ messaging: { bus: { maxBytes: '1Mi', retention: '1h' } } }),
      [
        'Tenant acme: the bus: at most 1048576 bytes instead of 67108864; the oldest events beyond that go at once',
        'Tenant acme: the bus: events older than 1 h go at once, read or not',
      ],
    ],
    [
      'a new one starts',
      { ...orders(), metadata: { name: 'new' } },
      ['Integration acme/new: workers start', 'Integration acme/new: accepts at http://gateway.acme.svc/new/in'],
    ],
  ])('%s', (_, object, effects) => {
    expect(differenceOf(object).effects.map(({ object: title, effect }) => `${title}: ${effect}`)).toEqual(effects);
  });
});

describe('what is refused', () => {
  it('by the API server, is named with its text', () => {
    expect(differenceOf(orders({ inbox: { storage: 'Memory' } })).changes[0]).toMatchObject({
      change: 'changed',
      fields: [{ path: 'spec.inbox', after: { storage: 'Memory' } }],
      refused: [
        'spec.inbox.storage: inbox.storage cannot change: stored messages would be lost; create another Integration',
      ],
    });
  });
  it('by the operator, leaves what runs as it is', () => {
    const { notAccepted, effects } = differenceOf(orders({ steps: [filter('body.total >')] }));
    expect(notAccepted).toEqual([expect.stringContaining('spec.steps[0].filter.when: not a CEL expression')]);
    expect(effects).toEqual([]);
  });
  it('names no mistake of an object that is in no file', () => {
    expect(differenceOf(connection()).notAccepted).toEqual([]);
  });
});

it('a Tenant in a file is younger than the one that has the namespace', () => {
  expect(differenceOf(tenant({}, { name: 'a-new-one' })).notAccepted).toEqual([
    expect.stringContaining('the namespace acme is of Tenant acme'),
  ]);
});

describe('changed fields', () => {
  it.each([
    [{ a: 1 }, { a: 1 }, []],
    [
      { a: 1 },
      { a: 2, b: 3 },
      [
        { path: 'spec.a', before: 1, after: 2 },
        { path: 'spec.b', after: 3 },
      ],
    ],
    [{ a: { b: 1 } }, {}, [{ path: 'spec.a', before: { b: 1 } }]],
    [{ l: [{ n: 1 }, 2] }, { l: [{ n: 3 }, 2] }, [{ path: 'spec.l[0].n', before: 1, after: 3 }]],
    [{ l: [1] }, { l: [1, 2] }, [{ path: 'spec.l', before: [1], after: [1, 2] }]],
  ])('of %j and %j', (before, after, changes) => expect(specChanges(before, after)).toEqual(changes));
});
