import { describe, expect, it } from 'vitest';
import { checkSources } from '../../cli/check.ts';
import { badExamples, saidIn } from './bad-examples.ts';

/* `kanava check` says of each broken object what API server and operator say (bad.kube.test.ts), and nothing else. */
const options = { namespace: '', strict: true, operatorNamespace: 'kanava-system', closedRanges: [] };

it('are many', () => expect(badExamples.length).toBeGreaterThan(60));

describe.each(badExamples)('examples/bad/$file', ({ file, text, expected }) => {
  const { findings: all } = checkSources([{ name: file, text, named: true }], options);
  const findings = all.filter(({ severity }) => severity === 'error');
  const said = findings.map(saidIn);

  it('is found wrong in each way that it names', () => {
    for (const one of expected) expect(said).toContainEqual(expect.stringContaining(one.text));
  });
  it('is found wrong in no other way', () => {
    expect(said.filter((text) => !expected.some((one) => text.includes(one.text)))).toEqual([]);
  });
  it('is found wrong at a line of the object, below the comments', () => {
    for (const { line } of findings) expect(line).toBeGreaterThan(expected.length);
  });
});
