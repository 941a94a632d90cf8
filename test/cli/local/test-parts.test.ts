import { describe, expect, it } from 'vitest';
import { trialIn } from './trial.ts';

/* Tests of a single step or flow: one of an Integration, or a configuration that stands in the test. */
const trial = trialIn({
  'orders.yaml': `apiVersion: kanava.dev/v1alpha1
kind: Connection
metadata: {name: crm}
spec: {http: {url: "https://crm.example.com/api"}}
---
apiVersion: kanava.dev/v1alpha1
kind: Integration
metadata: {name: orders}
spec:
  sources: [{name: web, http: {path: /in}}]
  delivery: {ordering: Key, key: body.id, retry: {attempts: 2}}
  steps:
    - {name: who, call: {as: customer, http: {connectionRef: {name: crm}, path: "/{id}", values: {id: =body.customer}}}}
    - {name: shape, map: {body: {nr: "=body.id", name: "=vars.customer.name"}}}
    - {name: sorted, resequence: {key: body.shop, number: body.nr, first: 1, timeout: 1m}}
    - {name: size, choice: {cases: [{when: body.qty > 100, flow: large}]}}
  flows:
    - name: large
      steps:
        - {name: mark, set: {body: {large: true}}}
        - {name: lines, split: {items: body.lines}}
  sinks: [{name: out, bus: {type: order}}]
`,
});

describe('a part of an Integration', () => {
  const rows: [why: string, part: string, given: string, expected: string, fine: boolean][] = [
    [
      'a step with what steps before it kept',
      'shape',
      '{body: {id: 1}, vars: {customer: {name: Ada}}}',
      '{becomes: [{body: {nr: 1, name: Ada}}]}',
      true,
    ],
    [
      'a step that makes something else',
      'shape',
      '{body: {id: 1}, vars: {customer: {name: Ada}}}',
      '{becomes: [{body: {nr: 2, name: Ada}}]}',
      false,
    ],
    [
      'a step without what it needs',
      'shape',
      '{body: {id: 1}}',
      '{becomes: [], deadLetters: [{part: shape, code: ExpressionFailed}]}',
      true,
    ],
    [
      'a step that needs ordering, without what the key is made of',
      'sorted',
      '{body: {shop: a, nr: 1}}',
      '{becomes: [{body: {shop: a, nr: 1}}]}',
      true,
    ],
    ['a body as its very bytes', 'size', '{text: "{ \\"qty\\": 1 }"}', '{becomes: [{text: "{ \\"qty\\": 1 }"}]}', true],
    [
      'another form of the same JSON',
      'size',
      '{text: "{ \\"qty\\": 1 }"}',
      '{becomes: [{text: "{\\"qty\\":1}"}]}',
      false,
    ],
    ['a step that nobody expected to fail', 'shape', '{body: {id: 1}}', '{}', false],
    [
      'a step that asks, and keeps the answer',
      'who',
      '{body: {customer: 7}}',
      '{becomes: [{vars: {customer: {name: Ada}}}], calls: {crm: [{path: /api/7}]}}',
      true,
    ],
    [
      'a step that keeps something else',
      'who',
      '{body: {customer: 7}}',
      '{becomes: [{vars: {customer: {name: Eve}}}]}',
      false,
    ],
    ['a step with its flow', 'size', '{body: {qty: 101, lines: [{a: 1}]}}', '{becomes: [{body: {a: 1}}]}', true],
    ['a flow', 'large', '{body: {lines: [{a: 1}, {a: 2}]}}', '{becomes: [{body: {a: 1}}, {body: {a: 2}}]}', true],
    ['a flow whose step fails', 'large', '{body: [1]}', '{deadLetters: [{part: mark, code: BodyNotAnObject}]}', true],
  ];
  it.each(rows)('%s', async (_why, part, given, expected, fine) => {
    const mocks = part === 'who' ? ', mocks: {crm: [{status: 503}, {status: 200, body: {name: Ada}}]}' : '';
    const calls = part === 'who' ? expected.replace('{crm: [', '{crm: [{}, ') : expected;
    const { fine: found, text } = await trial(
      `part: ${part}\ncases: [{name: it, given: [${given}]${mocks}, expect: ${calls}}]\n`,
    );
    expect(found, text).toBe(fine);
  });

  it.each([
    [
      'part: shap',
      '{}',
      /:1:\d+: part: the Integration has no step or flow shap; there are: who, shape, sorted, size, large/,
    ],
    ['part: mark', '{}', /part: mark is a step of the flow large: name the flow/],
    ['part: shape', '{sinks: {}}', /:2:\d+: cases\[0\]\.expect\.sinks: is for tests of a whole Integration/],
    ['part: shape\nwith: [other]', '{}', /:2:\d+: with: cannot stand beside part/],
  ])('says what is wrong: %s', async (head, expected, said) => {
    const { fine, text } = await trial(`${head}\ncases: [{name: it, given: [{}], expect: ${expected}}]\n`);
    expect(fine).toBe(false);
    expect(text).toMatch(said);
  });
});

describe('a step that stands in the test', () => {
  const cases = (given: string, expected: string) => `cases: [{name: it, given: [${given}], expect: ${expected}}]\n`;
  const rows: [why: string, test: string, fine: boolean][] = [
    ['works', `step: {map: {body: {a: "=body.b"}}}\n${cases('{body: {b: 1}}', '{becomes: [{body: {a: 1}}]}')}`, true],
    [
      'works otherwise',
      `step: {map: {body: {a: "=body.b"}}}\n${cases('{body: {b: 1}}', '{becomes: [{body: {a: 2}}]}')}`,
      false,
    ],
    [
      'uses flows',
      `step: {choice: {cases: [], otherwise: f}}\nflows: {f: [{set: {body: {x: 1}}}]}\nrefused: cases\n`,
      true,
    ],
    [
      'leads through flows',
      `step: {choice: {cases: [{when: "true", flow: f}]}}\nflows: {f: [{set: {body: {x: 1}}}]}\n${cases('{body: {}}', '{becomes: [{body: {x: 1}}]}')}`,
      true,
    ],
    [
      'asks a Connection that only the test knows',
      `step: {call: {as: who, http: {connectionRef: {name: other}}}}\nmocks: {other: [{status: 200, body: 7}]}\n${cases('{body: {}}', '{becomes: [{vars: {who: 7}}], calls: {other: [{path: /}]}}')}`,
      true,
    ],
    [
      'publishes',
      `step: {publish: {type: seen}}\n${cases('{body: 1}', '{becomes: [{body: 1}], events: [{attrs: {type: seen}, body: 1}]}')}`,
      true,
    ],
    [
      'gathers, in time',
      `step: {aggregate: {key: "'all'", until: {count: 2, timeout: 72h}}}\n${cases('{body: 1}, {body: 2}, {body: 3}', '{becomes: [{body: [1, 2]}, {body: [3]}]}')}`,
      true,
    ],
    ['is refused as it should be', `step: {map: {bdy: 1}}\nrefused: is not a field\n`, true],
    ['is refused for something else', `step: {map: {bdy: 1}}\nrefused: too long\n`, false],
    ['is taken, and should not be', `step: {map: {body: 1}}\nrefused: is not a field\n`, false],
  ];
  it.each(rows)('%s', async (_why, test, fine) => {
    const { fine: found, text } = await trial(test);
    expect(found, text).toBe(fine);
  });

  it.each([
    ['step:\n  map: {bdy: 1}\n', /it\.test\.yaml:2:\d+: step\.map\.bdy: is not a field; there are: body/],
    ['step: {mapp: {}}\n', /it\.test\.yaml:1:\d+: step\.mapp: is not a field/],
    [
      'step: {choice: {cases: [{when: "true", flow: f}]}}\nflows:\n  f:\n    - set: {bdy: 1}\n',
      /:4:\d+: flows\.f\[0\]\.set\.bdy: is not a field/,
    ],
    ['step: {map: {body: 1}}\nintegration: orders\n', /:2:\d+: integration: cannot stand beside step/],
    ['flows: {f: [{}]}\n', /:1:\d+: flows: is for tests of a step/],
  ])('says what is wrong where it stands: %s', async (head, said) => {
    const { fine, text } = await trial(`${head}${cases('{}', '{}')}`);
    expect(fine).toBe(false);
    expect(text).toMatch(said);
  });
});

describe('a file of several documents', () => {
  const step = (value: number) =>
    `step: {map: {body: ${value}}}\ncases: [{name: makes ${value}, given: [{}], expect: {becomes: [{body: 1}]}}]\n`;

  it('is tried to its end, each with what it says', async () => {
    const { results, text } = await trial(`${step(1)}---\n${step(2)}---\nstep: {map: {}}\nrefused: body\n`);
    const [{ findings, cases } = { findings: [], cases: [] }] = results;
    expect(findings).toEqual([]);
    expect(cases.map(({ name, mismatches }) => [name, mismatches.length])).toEqual([
      ['makes 1', 0],
      ['makes 2', 1],
      ['is refused: body', 0],
    ]);
    expect(text).toContain('1 file: 2 passed, 1 failed');
  });

  it('is not tried when one cannot be read, with its place', async () => {
    const { fine, results, text } = await trial(`${step(1)}---\ncasses: []\n`);
    expect([fine, results[0]?.cases]).toEqual([false, []]);
    expect(text).toMatch(/it\.test\.yaml:4:1: casses: is not a field/);
  });
});
