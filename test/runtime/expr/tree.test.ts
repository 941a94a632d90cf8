import { describe, expect, it } from 'vitest';
import { compileTree, exprTree, parseTree } from '../../../runtime/expr/tree.ts';

const scope = { body: { id: 7, tags: ['x'] }, headers: {}, attrs: { type: 'order' }, vars: {}, error: null, meta: {} };

describe('value trees', () => {
  it.each([
    ['plain', 'plain', 'text without a mark stands for itself'],
    ['=body.id', 7, 'one mark computes, and keeps the type'],
    ['==body.id', '=body.id', 'two marks are a literal ='],
    ['==', '=', 'a literal = alone'],
    ['a=b', 'a=b', 'the mark counts only at the start'],
    [{ id: '=body.id', kind: 'order' }, { id: 7, kind: 'order' }, 'computed and fixed fields side by side'],
    [['=body.id', 1, null, true], [7, 1, null, true], 'lists'],
    [{ a: { b: ['=body.tags[0]'] } }, { a: { b: ['x'] } }, 'any depth'],
    [{ note: '=body.?note', id: 1 }, { id: 1 }, 'an absent optional leaves its field out'],
    [['=body.?note', 2], [2], 'an absent optional leaves its item out'],
    [{ '=x': 1 }, { '=x': 1 }, 'keys are never computed'],
    [JSON.parse('{"__proto__": {"x": "=body.id"}}'), JSON.parse('{"__proto__": {"x": 7}}'), 'keys are own properties'],
    [12.5, 12.5, 'a bare number'],
  ])('%j becomes %j (%s)', (source, expected) => {
    expect(compileTree(source).evaluate(scope)).toStrictEqual(expected);
  });

  it('makes no prototype out of a key', () => {
    const made = compileTree(JSON.parse('{"__proto__": {"polluted": "=body.id"}}')).evaluate(scope);
    expect((made as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it('reports every broken expression with its path', () => {
    const parsed = parseTree({ a: '=body +', b: ['fine', '=nope'] });
    expect(parsed.ok ? [] : parsed.problems.map((problem) => problem.path.join('.'))).toEqual(['a', 'b.1']);
  });

  it.each([
    [Array.from({ length: 40 }).reduce<unknown>((inner) => [inner], 1), 'levels deep', 'depth is bounded'],
    [Array.from({ length: 3_000 }, () => 1), 'at most 2000 values', 'size is bounded'],
    [() => 1, 'not a JSON value', 'only JSON'],
  ])('refuses %#: %s (%s)', (value, message) => {
    const parsed = parseTree(value);
    expect(parsed.ok ? 'accepted' : parsed.problems[0]?.message).toContain(message);
  });

  it('is a schema field whose findings carry the path', () => {
    const found = exprTree('The new body.').safeParse({ total: '=sum +' });
    expect(found.error?.issues[0]?.path).toEqual(['total']);
  });
});
