import { describe, expect, it } from 'vitest';
import { parseConnection, parseIntegration } from '../../../operator/api/parse.ts';
import { assess, type Candidate } from '../../../operator/plan/acceptance.ts';
import { filter, http, map } from '../../build.ts';
import { acme, candidate, erp, orders } from './fixtures.ts';

const spec = (changes: Parameters<typeof orders>[0]) => ({ parsed: parseIntegration(orders(changes)) });
const toleration = { key: 'dedicated', operator: 'Equal', value: 'acme', effect: 'NoSchedule' } as const;

const rows: [why: string, changes: Partial<Candidate>, accepted: string, connections: string, says: string][] = [
  ['everything is there', {}, 'Accepted', 'Ready', ''],
  [
    'an expression does not parse',
    spec({ steps: [filter('body.total >')] }),
    'InvalidExpression',
    'NotChecked',
    'spec.steps[0]',
  ],
  [
    'two sources on one path',
    spec({ sources: [http({ path: '/a' }, 'a'), http({ path: '/a' }, 'b')] }),
    'DuplicatePath',
    'NotChecked',
    'spec.sources[1]',
  ],
  ['older ones use up the quota', { position: 21 }, 'QuotaExceeded', 'NotChecked', 'quota.integrations'],
  [
    'the connector is not allowed',
    { tenant: acme({ connectors: { allow: ['kafka'] } }) },
    'ConnectorNotAllowed',
    'NotChecked',
    'spec.sources[0]',
  ],
  [
    'a step reaches a connector that is not allowed, also one of a flow',
    {
      ...spec({
        flows: [{ name: 'audit', steps: [{ name: 'tell', publish: { type: 'audit.order' } }] }],
      }),
      tenant: acme({ connectors: { allow: ['http'] } }),
    },
    'ConnectorNotAllowed',
    'NotChecked',
    'spec.flows[0].steps[0]: the tenant does not allow the connector bus',
  ],
  [
    'a priority class is not allowed',
    spec({ podSettings: { priorityClassName: 'high' } }),
    'NotAllowed',
    'NotChecked',
    'priorityClassName',
  ],
  [
    'a toleration is not allowed',
    spec({ podSettings: { tolerations: [toleration] } }),
    'NotAllowed',
    'NotChecked',
    'tolerations',
  ],
  [
    'a toleration is allowed',
    {
      ...spec({ podSettings: { tolerations: [toleration] } }),
      tenant: acme({ workload: { tolerations: [toleration] } }),
    },
    'Accepted',
    'Ready',
    '',
  ],
  [
    'a node label is the tenant’s to set',
    {
      ...spec({ podSettings: { nodeSelector: { pool: 'x' } } }),
      tenant: acme({ workload: { nodeSelector: { pool: 'acme' } } }),
    },
    'NotAllowed',
    'NotChecked',
    'nodeSelector',
  ],
  ['the Connection is not there', { connection: () => undefined }, 'Accepted', 'ConnectionMissing', 'Connection erp'],
  [
    'the Connection has a mistake',
    { connection: () => parseConnection(erp('ftp://erp')) },
    'Accepted',
    'ConnectionNotReady',
    'spec.http.url',
  ],
  [
    'a private address',
    { connection: () => parseConnection(erp('https://10.1.2.3/api')) },
    'EgressDenied',
    'NotChecked',
    '10.1.2.3',
  ],
  [
    'instance metadata',
    { connection: () => parseConnection(erp('http://169.254.169.254/latest')) },
    'EgressDenied',
    'NotChecked',
    '169.254.169.254',
  ],
  [
    'a private address that is listed',
    {
      connection: () => parseConnection(erp('https://10.1.2.3/api')),
      tenant: acme({ network: { egress: { allow: [{ cidr: '10.1.0.0/16' }] } } }),
    },
    'Accepted',
    'Ready',
    '',
  ],
  [
    'a name is checked when it is resolved',
    { connection: () => parseConnection(erp('https://internal.example')) },
    'Accepted',
    'Ready',
    '',
  ],
  ['the Secret is not there', { keysOf: () => undefined }, 'Accepted', 'ConfigMapMissing', 'ConfigMap erp-ca'],
  [
    'a key of the Secret is not there',
    { keysOf: (_kind, name) => (name === 'erp-ca' ? ['ca.pem'] : ['other']) },
    'Accepted',
    'SecretMissing',
    'Secret erp has no key token',
  ],
  [
    'the flow is larger than an object may be',
    spec({ steps: Array.from({ length: 30 }, (_, index) => map({ text: 'x'.repeat(40_000) }, `s${index}`)) }),
    'FlowTooLarge',
    'NotChecked',
    'KiB',
  ],
];

describe('acceptance', () => {
  it.each(rows)('%s', (_why, changes, accepted, connections, says) => {
    const assessment = assess(candidate(changes));
    expect([assessment.accepted.reason, assessment.connections.reason]).toEqual([accepted, connections]);
    expect(`${assessment.accepted.message}${assessment.connections.message}`).toContain(says);
    expect(assessment.resolved !== undefined).toBe(accepted === 'Accepted' && connections === 'Ready');
  });
});
