import { describe, expect, it } from 'vitest';
import { readYaml } from '../../cli/yaml.ts';

/* Files are read as kubectl reads them, with the place of every part. */
const only = (text: string) => {
  const { documents, problem } = readYaml(text);
  expect(problem).toBeUndefined();
  expect(documents).toHaveLength(1);
  return documents[0] as NonNullable<(typeof documents)[0]>;
};

describe('scalars are those of YAML 1.1, as go-yaml reads them', () => {
  it.each([
    ['yes', true],
    ['Off', false],
    ['y', true],
    ['true', true],
    ['0x1F', 31],
    ['0b101', 5],
    ['0777', 511],
    ['0o17', 15],
    ['-0x10', -16],
    ['1_000', 1000],
    ['08', 8],
    ['1e3', 1000],
    ['.5', 0.5],
    ['~', null],
    ['', null],
    ['1:30', '1:30'],
    ['2026-01-01', '2026-01-01'],
    ['"yes"', 'yes'],
    ["'1'", '1'],
    ['!!str 1', '1'],
    ['!!int "7"', 7],
    ['yesterday', 'yesterday'],
  ])('%s', (text, value) => expect(only(`a: ${text}\n`).value).toEqual({ a: value }));

  it('takes keys for texts, as JSON must', () => {
    expect(only('{on: 1, 2: x, ~: z}\n').value).toEqual({ true: 1, '2': 'x', null: 'z' });
  });
  it('keeps a key __proto__ to itself', () => {
    const { value } = only('__proto__: {polluted: true}\n');
    expect(Object.keys(value as object)).toEqual(['__proto__']);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

describe('places', () => {
  const document = only('a: 1\nb:\n  - c: 2\n  -  d.e: {f: 3}\n');
  it.each([
    ['a', 1, 1],
    ['b', 2, 1],
    ['b[0]', 3, 5],
    ['b[0].c', 3, 5],
    ['b[1].d.e.f', 4, 12],
    // Not there: the closest part around it.
    ['b[1].d.e.missing', 4, 6],
    ['b[7]', 2, 1],
    ['zzz', 1, 1],
    ['odd]', 1, 1],
  ])('of %s', (path, line, column) => expect(document.placeOf(path)).toEqual({ line, column }));

  it('are those in the file, not in the document', () => {
    const { documents } = readYaml('# c\na: 1\n---\n\nb: 1\n');
    expect(documents[1]?.placeOf('b')).toEqual({ line: 5, column: 1 });
  });
});

describe('anchors', () => {
  it('are used where they stand', () => {
    expect(only('a: &x {k: 1}\nb: *x\nc: [*x]\n').value).toEqual({ a: { k: 1 }, b: { k: 1 }, c: [{ k: 1 }] });
  });
  it('are merged: the mapping itself wins, then what comes first', () => {
    expect(only('a: &a {k: 1, l: 1}\nb: &b {l: 2, m: 2}\nc: {<<: [*a, *b], k: 3}\n').value).toMatchObject({
      c: { k: 3, l: 1, m: 2 },
    });
  });
  it('cannot name themselves', () => {
    expect(readYaml('a: &x [*x]\n').problem?.message).toContain('there is no anchor &x above');
  });
  it.each([5, 50])('bomb of %i lines is refused at once', (lines) => {
    const text = Array.from({ length: lines }, (_, at) =>
      at === 0 ? 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]' : `a${at}: &a${at} [${`*a${at - 1}, `.repeat(10)}]`,
    ).join('\n');
    expect(readYaml(`${text}\n`).problem?.message).toContain('more than 100000 values');
  });
});

describe('what is no document is a problem with a place, never an exception', () => {
  it.each([
    ['a: [1\nb: 2\n', 'is no YAML: ', 2],
    [`${'['.repeat(200)}\n`, 'is no YAML: nesting exceeded', 1],
    ['? [a]\n: 1\n', 'is no YAML: a key must be a text', 1],
    ['a: !Ref x\n', 'is no YAML: tag !Ref is not supported', 1],
    [`a: ${'x'.repeat(9 * 1024 * 1024)}\n`, 'divide the file', 1],
  ])('%.20s', (text, message, line) => {
    const { documents, problem } = readYaml(text);
    expect(documents).toEqual([]);
    expect(problem?.message).toContain(message);
    expect(problem?.place.line).toBe(line);
  });
  it('and no document is none', () => {
    expect(readYaml('').documents).toEqual([]);
    expect(only('# only words\n---\n').value ?? undefined).toBeUndefined();
  });
});
