import { describe, expect, it } from 'vitest';
import { trialIn } from './trial.ts';

/* Several Integrations in one test: what one publishes, the others get. */
const trial = trialIn({
  'all.yaml': `apiVersion: kanava.dev/v1alpha1
kind: Connection
metadata: {name: erp}
spec: {http: {url: "https://erp.example.com/api"}}
---
apiVersion: kanava.dev/v1alpha1
kind: Integration
metadata: {name: orders}
spec:
  sources: [{name: web, http: {path: /in}}]
  steps: [{name: news, publish: {type: order.seen}}]
  sinks: [{name: events, bus: {type: order.placed}}]
---
apiVersion: kanava.dev/v1alpha1
kind: Integration
metadata: {name: stock}
spec:
  sources: [{name: orders, bus: {types: [order.placed]}}]
  steps: [{name: shape, map: {body: {reserve: "=body.id"}}}]
  sinks: [{name: erp, http: {connectionRef: {name: erp}}}]
---
apiVersion: kanava.dev/v1alpha1
kind: Integration
metadata: {name: mail}
spec:
  sources: [{name: orders, bus: {types: [order.placed]}}]
  sinks: [{name: erp, http: {connectionRef: {name: erp}, path: /mail}}]
`,
});

describe('Integrations beside the one that is tested', () => {
  const rows: [why: string, more: string, expected: string, fine: boolean][] = [
    [
      'get what it publishes',
      '',
      '{with: {stock: {sinks: {erp: [{body: {reserve: 7}}]}}, mail: {sinks: {erp: [{body: {id: 7}}]}}}}',
      true,
    ],
    ['get something else', '', '{with: {stock: {sinks: {erp: [{body: {reserve: 8}}]}}}}', false],
    ['do not get it', '', '{with: {stock: {sinks: {}}}}', false],
    ['call one Connection together', '', '{calls: {erp: [{path: /api}, {path: /api/mail}]}}', true],
    [
      'are seen on the bus, steps too',
      '',
      '{events: [{attrs: {type: order.seen}}, {attrs: {type: order.placed}}]}',
      true,
    ],
    ['are seen on the bus, but not so', '', '{events: [{attrs: {type: order.placed}}]}', false],
    [
      'have dead letters of their own',
      ', mocks: {erp: [{status: 422}]}',
      '{with: {stock: {deadLetters: [{part: erp}]}, mail: {deadLetters: [{part: erp}]}}}',
      true,
    ],
    [
      'must not have some that nobody expects',
      ', mocks: {erp: [{status: 422}]}',
      '{with: {mail: {deadLetters: [{part: erp}]}}}',
      false,
    ],
    [
      'are paused each for itself',
      ', mocks: {erp: [{status: 401}]}',
      '{with: {stock: {paused: {part: erp, code: HttpStatus401}}, mail: {paused: {part: erp, code: HttpStatus401}}}}',
      true,
    ],
  ];
  it.each(rows)('%s', async (_why, more, expected, fine) => {
    const { fine: found, text } = await trial(
      `integration: orders\nwith: [stock, mail]\ncases: [{name: it, given: [{body: {id: 7}}]${more}, expect: ${expected}}]\n`,
    );
    expect(found, text).toBe(fine);
  });

  it('a message may be given to one of them', async () => {
    const { fine, text } = await trial(
      'integration: orders\nwith: [stock]\ncases: [{name: it, given: [{integration: stock, body: {id: 7}}], expect: {events: [], with: {stock: {sinks: {erp: [{body: {reserve: 7}}]}}}}}]\n',
    );
    expect(fine, text).toBe(true);
  });

  it.each([
    ['with: [stok]\n', '', /:2:\d+: with\[0\]: there is no stok .*; there are: orders, stock, mail/],
    ['with: [stock]\n', 'with: {mail: {}}', /:3:\d+: cases\[0\]\.expect\.with\.mail: is not in with \(stock\)/],
    ['', 'calls: {epr: []}', /:2:\d+: cases\[0\]\.expect\.calls\.epr: no such Connection is used; there are: none/],
    ['with: [stock]\n', 'becomes: []', /cases\[0\]\.expect\.becomes: is for tests of a step or flow/],
  ])('a name that is not there is said with its place: %s', async (beside, expected, said) => {
    const { fine, text } = await trial(
      `integration: orders\n${beside}cases: [{name: it, given: [{}], expect: {${expected}}}]\n`,
    );
    expect(fine).toBe(false);
    expect(text).toMatch(said);
  });
});
