import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { testFilesIn } from '../../../cli/local/test-read.ts';
import { allPassed, junit, testText } from '../../../cli/local/test-report.ts';
import { runTests } from '../../../cli/local/test-run.ts';
import { kanava } from '../kanava.ts';

/* Tests as data: what passes, and above all what does not. */

const folder = mkdtempSync(join(tmpdir(), 'kanava-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

writeFileSync(
  join(folder, 'orders.yaml'),
  `apiVersion: kanava.dev/v1alpha1
kind: Connection
metadata: {name: erp}
spec: {http: {url: "https://erp.example.com/api", auth: {bearer: {secretKeyRef: {name: erp, key: token}}}}}
---
apiVersion: kanava.dev/v1alpha1
kind: Integration
metadata: {name: orders}
spec:
  sources: [{name: shop, http: {path: /in, type: order.placed}}]
  steps:
    - {name: once, dedupe: {key: "string(body.id)", window: 1h}}
    - {name: shape, map: {body: {id: "=body.id", type: "=attrs.type"}}}
  sinks: [{name: erp, http: {connectionRef: {name: erp}, path: /orders}}]
`,
);
const file = join(folder, 'orders.test.yaml');
const trial = async (text: string) => {
  writeFileSync(file, text);
  const results = await runTests([file]);
  return { results, fine: allPassed(results), text: stripVTControlCharacters(testText(results)) };
};
const trialOf = (body: string, expected: string, more = '') =>
  trial(`cases: [{name: it, given: [{body: ${body}}]${more}, expect: ${expected}}]\n`);
const sent = 'calls: {erp: [{body: {id: 1, type: order.placed}}]}';

describe('a case', () => {
  const rows: [why: string, body: string, expected: string, more: string, fine: boolean][] = [
    ['the request is as expected', '{id: 1}', `{${sent}}`, '', true],
    ['another body', '{id: 2}', `{${sent}}`, '', false],
    ['a field too many', '{id: 1}', '{calls: {erp: [{body: {id: 1}}]}}', '', false],
    ['a request that does not come', '{id: 1}', '{calls: {erp: [{}, {}]}}', '', false],
    ['a request too many', '{id: 1}', '{calls: {erp: []}}', '', false],
    ['nothing expected of sinks, and one got it', '{id: 1}', '{sinks: {}}', '', false],
    ['a sink that there is not', '{id: 1}', '{sinks: {erp: [{}], other: [{}]}}', '', false],
    ['its login', '{id: 1}', '{calls: {erp: [{headers: {authorization: Bearer erp.token}}]}}', '', true],
    ['another login', '{id: 1}', '{calls: {erp: [{headers: {authorization: Bearer x}}]}}', '', false],
    ['a dead letter', '{}', '{deadLetters: [{part: once}]}', '', true],
    ['a dead letter that nobody expects', '{}', '{}', '', false],
    ['a dead letter that does not come', '{id: 1}', '{deadLetters: [{part: once}]}', '', false],
    ['with another code', '{}', '{deadLetters: [{part: once, code: Other}]}', '', false],
    [
      'all attempts, hours apart',
      '{id: 1}',
      '{deadLetters: [{part: erp, code: HttpStatus503, attempts: 5}]}',
      ', mocks: {erp: [{status: 503, headers: {retry-after: "3000"}}]}',
      true,
    ],
    ['a pause', '{id: 1}', '{paused: {part: erp, code: HttpStatus401}}', ', mocks: {erp: [{status: 401}]}', true],
    ['a pause that nobody expects', '{id: 1}', '{}', ', mocks: {erp: [{status: 401}]}', false],
  ];
  it.each(rows)('%s', async (_why, body, expected, more, fine) => {
    const { fine: found, text } = await trialOf(body, expected, more);
    expect(found, text).toBe(fine);
  });

  it.each([
    ['the answer', '[{body: {sum: 3}}, {failed: ExpressionFailed}, {nothing: true}]', true],
    ['another answer', '[{body: {sum: 4}}, {failed: ExpressionFailed}, {nothing: true}]', false],
    ['a failure that is none', '[{failed: Other}, {failed: ExpressionFailed}, {nothing: true}]', false],
    ['an answer where there is none', '[{body: {sum: 3}}, {failed: ExpressionFailed}, {}]', false],
    ['an answer too few', '[{body: {sum: 3}}, {failed: ExpressionFailed}]', false],
  ])('of a source that answers: %s', async (_why, answers, fine) => {
    writeFileSync(
      join(folder, 'ask.yml'),
      `apiVersion: kanava.dev/v1alpha1
kind: Integration
metadata: {name: ask}
spec:
  sources: [{name: web, http: {path: /ask, reply: {}}}]
  steps:
    - {name: asked, filter: {when: "!has(body.skip)"}}
    - {name: sum, map: {body: {sum: "=body.a + body.b"}}}
`,
    );
    const given = '[{body: {a: 1, b: 2}}, {body: {a: 1}}, {body: {skip: true}}]';
    const { fine: found, text } = await trial(
      `files: [ask.yml]\ncases: [{name: it, given: ${given}, expect: {answers: ${answers}}}]\n`,
    );
    rmSync(join(folder, 'ask.yml'));
    expect(found, text).toBe(fine);
  });

  it('begins anew: a step forgets what the case before told it', async () => {
    const one = `{name: it, given: [{body: {id: 1}}, {body: {id: 1}, attrs: {id: again}}], expect: {${sent}}}`;
    const { fine, text } = await trial(`cases: [${one}, ${one}]\n`);
    expect(fine, text).toBe(true);
  });

  it('leaves groups of messages open until the last message is given, and then lets their time pass', async () => {
    // Gone afterwards: the other cases take every file that lies beside theirs.
    onTestFinished(() => rmSync(join(folder, 'groups.yaml')));
    writeFileSync(
      join(folder, 'groups.yaml'),
      `apiVersion: kanava.dev/v1alpha1
kind: Integration
metadata: {name: groups}
spec:
  sources: [{name: shop, http: {path: /in}}]
  steps: [{name: gather, aggregate: {key: body.key, until: {count: 2, timeout: 72h}, into: "=body.map(each, each.line)"}}]
  sinks: [{name: out, bus: {type: group}}]
`,
    );
    const given = ['{key: a, line: 1}', '{key: b, line: 2}', '{key: a, line: 3}']
      .map((body) => `{body: ${body}}`)
      .join(', ');
    const { fine, text } = await trial(
      `files: [groups.yaml]\ncases: [{name: it, given: [${given}], expect: {sinks: {out: [{body: [1, 3]}, {body: [2]}]}}}]\n`,
    );
    expect(fine, text).toBe(true);
  });

  it('takes a body from a file', async () => {
    writeFileSync(join(folder, 'order.json'), '{"id": 1}');
    const { fine, text } = await trial(`cases: [{name: it, given: [{file: order.json}], expect: {${sent}}}]\n`);
    expect(fine, text).toBe(true);
  });

  it('shows what differs, line by line', async () => {
    const { text } = await trialOf('{id: 2}', `{${sent}}`);
    expect(text).toContain('calls.erp (- expected, + got)');
    expect(text).toMatch(/ {3}\{\n.*"body": \{\n.*- {7}"id": 1,\n.*\+ {7}"id": 2,\n.*"type": "order.placed"/);
    expect(text).toMatch(/1 file: 0 passed, 1 failed$/);
  });

  it('says when the source is not there', async () => {
    const { text } = await trial('cases: [{name: it, given: [{source: shopp}], expect: {}}]\n');
    expect(text).toContain('Integration orders has no source "shopp"; it has: shop');
  });
});

describe('a file', () => {
  const rows: [why: string, text: string, said: RegExp][] = [
    [
      'a word that is not known',
      'cases:\n  - name: it\n    givn: []\n    expect: {}\n',
      /:3:5: cases\[0\]\.givn: is not a field/,
    ],
    ['something is missing', 'cases:\n  - name: it\n    expect: {}\n', /:2:5: cases\[0\]\.given: is required/],
    [
      'a value that is taken for another',
      'cases:\n  - name: it\n    given: [{body: {a: no}}]\n    expect: {}\n',
      /:3:\d+: .*no as false: write false, or quote it/,
    ],
    [
      'a key that is taken for another',
      'cases:\n  - name: it\n    given: [{body: {no: 1}}]\n    expect: {}\n',
      /:3:21: cases\[0\]\.given\[0\]\.body\.false: a key reads as a boolean/,
    ],
    ['no YAML', 'cases: [\n', /orders\.test\.yaml:\d+:\d+: is no YAML/],
    [
      'another Integration',
      'integration: other\ncases: [{name: it, given: [{}], expect: {}}]\n',
      /there is no other; there are: orders/,
    ],
  ];
  it.each(rows)('with %s is refused with its place', async (_why, text, said) => {
    const { fine, text: found } = await trial(text);
    expect(fine).toBe(false);
    expect(found).toMatch(said);
  });
});

describe('a folder of a hundred files', () => {
  it('is tried to its last case', async () => {
    const many = join(folder, 'many');
    mkdirSync(many);
    onTestFinished(() => rmSync(many, { recursive: true }));
    const cases = Array.from({ length: 10 }, (_, id) => {
      const expected = `{calls: {erp: [{body: {id: ${id}, type: order.placed}}]}}`;
      return `  - {name: number ${id}, given: [{body: {id: ${id}}}], expect: ${expected}}\n`;
    }).join('');
    const files = Array.from({ length: 100 }, (_, number) => join(many, `${number}.test.yaml`));
    for (const each of files) writeFileSync(each, `files: [../orders.yaml]\ncases:\n${cases}`);
    writeFileSync(
      files[99] ?? '',
      `files: [../orders.yaml]\ncases:\n${cases.replaceAll('calls: {erp: [{', 'calls: {erp: [{}, {')}`,
    );
    const results = await runTests(testFilesIn([many]));
    const all = results.flatMap((each) => each.cases);
    expect(results.flatMap(({ findings }) => findings)).toEqual([]);
    expect(all).toHaveLength(1_000);
    expect(all.filter(({ mismatches, error }) => mismatches.length > 0 || error !== undefined)).toHaveLength(10);
  }, 300_000);
});

describe('kanava test', () => {
  it('finds tests in folders, fails with 1, and writes JUnit', async () => {
    writeFileSync(file, 'cases: [{name: "a < b", given: [{body: {id: 2}}], expect: {calls: {erp: []}}}]\n');
    expect(testFilesIn([folder])).toEqual([file]);
    const { code, stdout } = await kanava(['test', folder, '-o', 'junit'], { timeout: 240_000 });
    expect(code).toBe(1);
    expect(stdout).toContain('tests="1" failures="1"');
    expect(stdout).toContain('name="a &lt; b"');
    expect(stdout).toContain('&quot;id&quot;: 2');
    writeFileSync(file, 'cases: [{name: it, given: [{body: {id: 2}}], expect: {calls: {erp: [{}]}}}]\n');
    expect(junit(await runTests([file]))).toContain('failures="0"');
  }, 300_000);
});
