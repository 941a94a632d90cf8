import { describe, expect, it } from 'vitest';
import { trialIn } from './trial.ts';

/* Connections of kind file in tests: folders with what a case puts there. */
const trial = trialIn({
  'files.yaml': `apiVersion: kanava.dev/v1alpha1
kind: Connection
metadata: {name: inbox}
spec: {file: {claim: shared, folder: partner/in}}
---
apiVersion: kanava.dev/v1alpha1
kind: Connection
metadata: {name: outbox}
spec: {file: {claim: shared, folder: partner/out}}
---
apiVersion: kanava.dev/v1alpha1
kind: Integration
metadata: {name: files}
spec:
  sources: [{name: orders, file: {connectionRef: {name: inbox}, match: ["*.json"], every: 1h, stableFor: 10m}}]
  steps: [{name: shape, set: {body: {file: =attrs.filename}}}]
  sinks: [{name: out, file: {connectionRef: {name: outbox}, name: "='copy-' + attrs.filename"}}]
`,
});

const put = (name: string, content = 'body: {id: 1}') => `{put: {connection: inbox, name: ${name}}, ${content}}`;
const copy = '{name: copy-a.json, body: {id: 1, file: a.json}}';

describe('files', () => {
  const rows: [why: string, given: string, expected: string, fine: boolean][] = [
    [
      'are taken, and put away',
      put('a.json'),
      `{files: {inbox: [{name: done/a.json, body: {id: 1}}], outbox: [${copy}]}}`,
      true,
    ],
    [
      'have another content',
      put('a.json'),
      '{files: {inbox: [{name: done/a.json}], outbox: [{name: copy-a.json, body: {}}]}}',
      false,
    ],
    ['are more than expected', put('a.json'), '{files: {inbox: [], outbox: []}}', false],
    [
      'that are not wanted stay',
      put('a.txt', 'text: hello'),
      '{sinks: {}, files: {inbox: [{name: a.txt, text: hello}], outbox: []}}',
      true,
    ],
    [
      'are taken one after the other',
      `${put('b.json')}, ${put('a.json')}`,
      '{sinks: {out: [{attrs: {filename: b.json}}, {attrs: {filename: a.json}}]}}',
      true,
    ],
    [
      'may be there before a sink writes',
      `{put: {connection: outbox, name: copy-a.json}, text: old}, ${put('a.json')}`,
      `{files: {inbox: [{name: done/a.json}], outbox: [${copy}]}}`,
      true,
    ],
    [
      'are no message',
      put('a.json', 'text: "no"'),
      '{deadLetters: [{part: shape, code: BodyNotJson}], files: {inbox: [{name: done/a.json}], outbox: []}}',
      true,
    ],
  ];
  it.each(rows)('%s', async (_why, given, expected, fine) => {
    const { fine: found, text } = await trial(`cases: [{name: it, given: [${given}], expect: ${expected}}]\n`);
    expect(found, text).toBe(fine);
  });

  it.each([
    ['{put: {connection: inbxo, name: a}, text: a}', /uses no Connection inbxo of kind file/],
    ['{put: {connection: inbox, name: ../../../a}, text: a}', /leads out of the folder/],
    ['{put: {connection: inbox, name: a}}', /cases\[0\]\.given\[0\]: put needs body, text or file/],
  ])('are put nowhere else: %s', async (given, said) => {
    const { fine, text } = await trial(`cases: [{name: it, given: [${given}], expect: {}}]\n`);
    expect(fine).toBe(false);
    expect(text).toMatch(said);
  });
});
