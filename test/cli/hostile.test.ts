import { assert, constantFrom, jsonValue, nat, oneof, property, record, string } from 'fast-check';
import { dump } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import { checkSources } from '../../cli/check.ts';
import { readYaml } from '../../cli/yaml.ts';
import { connection, httpSink, integration, tenant } from '../build.ts';

/* Files come from anywhere, pull requests of strangers too: whatever is in them is a finding with a place, never an exception. */
const options = { namespace: '', strict: true, operatorNamespace: 'kanava-system', closedRanges: [] };
/** What YAML is made of. */
const punctuation = '\n :-&*!|>[]{}"\'#%?,\t~<ay1'.split('');
const check = (text: string) => checkSources([{ name: 'x', text, named: true }], options);
const isPlaced = ({ line, column }: { line: number; column: number }) => line >= 1 && column >= 1;

describe('whatever is in a file', () => {
  it('any text is read, or is a problem', () => {
    const text = oneof(string(), string({ unit: constantFrom(...punctuation) }));
    assert(
      property(text, (given) => {
        const { documents, problem } = readYaml(given);
        expect(problem === undefined || (documents.length === 0 && isPlaced(problem.place))).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  const valid = [
    tenant({ members: [{ kind: 'Group', name: 'devs', role: 'Editor' }], network: { egress: { allow: [] } } }),
    connection(),
    integration({ sinks: [httpSink()], steps: [{ name: 'keep', filter: { when: 'true' } }] }),
  ];
  /** Every place of a value, from the outside in. */
  const placesOf = (value: unknown, path: readonly string[] = []): string[][] =>
    typeof value === 'object' && value !== null
      ? Object.entries(value).flatMap(([key, below]) => [[...path, key], ...placesOf(below, [...path, key])])
      : [];
  const replaced = (value: unknown, [key, ...rest]: readonly string[], by: unknown): unknown => {
    if (key === undefined) return by;
    const copy: Record<string, unknown> = Object.assign(Array.isArray(value) ? [] : {}, value);
    copy[key] = replaced(copy[key], rest, by);
    return copy;
  };

  it('any value in any place of an object is a finding, or fine', () => {
    const change = record({
      object: constantFrom(...valid),
      place: nat(),
      value: oneof(jsonValue(), constantFrom('', null, 'x'.repeat(5000), -1, 1e300, [], {}, '__proto__')),
    });
    assert(
      property(change, ({ object, place, value }) => {
        const places = placesOf(object);
        const changed = replaced(object, places[place % places.length] ?? [], value);
        const { findings } = check([changed, ...valid].map((one) => dump(one)).join('---\n'));
        expect(findings.every(isPlaced)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

it('never evaluates an expression: one that can only fail is fine to read', () => {
  const steps = [{ name: 'keep', filter: { when: "1 / 0 > 0 || int('no number') > 0" } }];
  expect(check(dump(integration({ steps }))).findings).toEqual([]);
});
