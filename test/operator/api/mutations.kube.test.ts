import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { accepted } from './accepted.ts';
import { type CrdServer, startCrdServer } from './crd-server.ts';
import { parseObject } from './parse-object.ts';

/* Any one mistake in a good object: API server and parser say yes or no together, and no at the same place by the same rule. */

let server: CrdServer;
beforeAll(async () => {
  server = await startCrdServer();
});
afterAll(() => server?.stop());

type Path = readonly (string | number)[];
const pathsOf = (value: unknown, path: Path): Path[] => {
  if (typeof value !== 'object' || value === null) return [path];
  return [
    path,
    ...Object.entries(value).flatMap(([key, item]) =>
      pathsOf(item, [...path, Array.isArray(value) ? Number(key) : key]),
    ),
  ];
};

const changed = (value: unknown, path: Path, change: (at: unknown) => unknown): unknown => {
  const [first, ...rest] = path;
  if (first === undefined) return change(value);
  if (Array.isArray(value)) {
    const items = value.map((item, index) => (index === first ? changed(item, rest, change) : item));
    return items.filter((item) => item !== undefined);
  }
  const object = value as Record<string, unknown>;
  return { ...object, [first]: changed(object[first], rest, change) };
};

// biome-ignore format: a pool of values that some field takes and another does not
const values = [
  '', 'x', 'X Y', 'true', 'kube-system', 'default', '-', 'a.b', '/', '/a', '/a//b', '=', '==', '=body.', '1', '0', '-1', '1.5', '1e3',
  '30s', '1h30m', '0s', '0m0s', '10', '5 m', '99999h99999h', '1d', '1Mi', '1.5Gi', '10MB', '1Ki', '0Mi', '100m', '10.0.0.0/8',
  '10.0.0.1/33', 'fd00::/8', '010.0.0.0/8', 'https://a.example', 'ftp://a', 'https://u:p@a.example', 'https://a.example/?q=1', 'File',
  'Memory', 'Key', 'Manual', 'Retain', 'POST', 'ä', 'x'.repeat(41), 'x'.repeat(64), 'x'.repeat(254), 'x'.repeat(5000), 0, 1, -1, 2, 41,
  1000, 1001, 1_048_575, 1_048_576, 2 ** 31, 2 ** 53, 1.5, true, false, [], ['x'], [''], [1], [{}], {}, { name: 'x' }, { a: 'b' },
] as const;

const changes = fc.oneof(
  fc
    .constantFrom(...values)
    .map((value) => ({ what: JSON.stringify(value).slice(0, 60), change: (): unknown => structuredClone(value) })),
  fc.constant({ what: 'gone', change: (): unknown => undefined }),
  fc.constant({
    what: 'doubled',
    change: (at: unknown): unknown => (Array.isArray(at) ? [...(at as unknown[]), ...(at as unknown[])] : at),
  }),
  fc.constant({
    what: 'one more key',
    change: (at: unknown): unknown => (typeof at === 'object' && at && !Array.isArray(at) ? { ...at, extra: 'x' } : at),
  }),
);

const mistakes = accepted.flatMap(({ object }) =>
  pathsOf((object as { spec: unknown }).spec, ['spec']).map((path) => ({ object, path })),
);

test('a changed object is taken by both or refused by both', async () => {
  let refusals = 0;
  const run = fc.asyncProperty(fc.constantFrom(...mistakes), changes, async ({ object, path }, { change }) => {
    const mutant = JSON.parse(JSON.stringify(changed(object, path, change))) as unknown;
    const answer = await server.check(mutant);
    const parsed = parseObject(mutant);
    // What only we check (expressions, unique names ...) the server may take.
    if (!parsed.ok && parsed.finding.reason !== 'Invalid') return;
    const said = parsed.ok ? 'taken' : JSON.stringify(parsed.findings);
    expect([answer.status === 201, path.join('.'), answer.message, said]).toEqual([
      parsed.ok,
      path.join('.'),
      answer.message,
      said,
    ]);
    // Unknown fields are refused before the rest is looked at.
    if (parsed.ok || answer.causes.some(({ reason }) => reason === 'FieldUnknown')) return;
    refusals += 1;
    const place = ({ path, rule }: { path: string; rule: string | undefined }) => `${path} ${rule}`;
    const places = answer.causes.map(({ field, reason }) => place({ path: field, rule: reason }));
    expect(places).toContain(place(parsed.finding));
  });
  // A fixed sample, so that a run can be repeated; `KANAVA_RUNS=15000` explores others.
  const explore = process.env['KANAVA_RUNS'];
  await fc.assert(run, explore ? { numRuns: Number(explore) } : { numRuns: 1000, seed: 1556166442 });
  expect(refusals).toBeGreaterThan(100);
}, 600_000);
