import { z } from 'zod';
import type { ExpressionScope } from '../connector.ts';
import type { JsonValue } from '../message.ts';
import { parseExpression } from './cel.ts';

/**
 * A value in which any string may be computed: `"=body.id"` is CEL, `"==x"` is the text `=x`, everything else stands for itself. An
 * absent optional (`"=body.?note"`) leaves its field or list item out.
 */
export interface Tree {
  evaluate(scope: ExpressionScope): JsonValue | undefined;
}
export interface TreeProblem {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

const deepest = 32;
const mostValues = 2_000;

export const parseTree = (value: unknown): { ok: true; tree: Tree } | { ok: false; problems: TreeProblem[] } => {
  const problems: TreeProblem[] = [];
  let values = 0;
  const visit = (node: unknown, path: readonly (string | number)[]): Tree => {
    values += 1;
    if (values === mostValues + 1) problems.push({ path, message: `a value tree has at most ${mostValues} values` });
    if (path.length > deepest) problems.push({ path, message: `a value tree is at most ${deepest} levels deep` });
    if (values > mostValues || path.length > deepest) return constant(null);
    if (typeof node === 'string') return text(node, path);
    if (Array.isArray(node)) return list(node.map((item, index) => visit(item, [...path, index])));
    if (isRecord(node)) {
      return record(Object.entries(node).map(([key, item]) => [key, visit(item, [...path, key])] as const));
    }
    if (node === null || typeof node === 'boolean' || Number.isFinite(node)) return constant(node as JsonValue);
    problems.push({ path, message: `not a JSON value: ${typeof node}` });
    return constant(null);
  };
  const text = (source: string, path: readonly (string | number)[]): Tree => {
    if (!source.startsWith('=')) return constant(source);
    if (source.startsWith('==')) return constant(source.slice(1));
    const parsed = parseExpression(source.slice(1));
    if (parsed.ok) return parsed.expression as Tree;
    problems.push({ path, message: parsed.message });
    return constant(null);
  };
  const tree = visit(value, []);
  return problems.length > 0 ? { ok: false, problems } : { ok: true, tree };
};

/** For configuration that a schema has parsed already. */
export const compileTree = (value: unknown): Tree => {
  const parsed = parseTree(value);
  if (parsed.ok) return parsed.tree;
  throw new Error(parsed.problems.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
};

const treeForm = { 'x-kubernetes-preserve-unknown-fields': true, 'x-kanava-form': 'tree' };
const reportTree = (value: unknown, context: z.RefinementCtx): void => {
  const parsed = parseTree(value);
  if (parsed.ok) return;
  for (const { path, message } of parsed.problems) {
    context.addIssue({ code: 'custom', path: [...path], message });
  }
};

/** A field that holds a value tree: any JSON. */
export const exprTree = (description: string) =>
  z
    .unknown()
    .superRefine(reportTree)
    .meta({ description, ...treeForm });

/** A field that holds a value tree for each of its keys. */
export const exprRecord = (description: string, doc: string) =>
  z
    .record(z.string(), z.unknown())
    .superRefine(reportTree)
    .meta({ description, doc, type: 'object', ...treeForm });

/** A field that holds one text: as it stands, or computed. `form` is what a text has to look like that is not computed. */
export const exprText = (description: string, form: RegExp, max: number, doc: string) =>
  z.string().min(1).max(max).regex(form).superRefine(reportTree).meta({ description, doc, 'x-kanava-form': 'tree' });

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

interface Constant extends Tree {
  readonly value: JsonValue;
}
const constant = (value: JsonValue): Constant => ({ value, evaluate: () => value });
const isConstant = (tree: Tree): tree is Constant => 'value' in tree;

const list = (items: readonly Tree[]): Tree => {
  if (items.every(isConstant)) return constant(items.map((item) => item.value));
  return { evaluate: (scope) => items.map((item) => item.evaluate(scope)).filter((item) => item !== undefined) };
};

const record = (fields: readonly (readonly [string, Tree])[]): Tree => {
  if (fields.every(([, field]) => isConstant(field))) {
    return constant(Object.fromEntries(fields.map(([key, field]) => [key, (field as Constant).value])));
  }
  // An assignment to `__proto__` would make no property; fromEntries does.
  const assignable = fields.every(([key]) => key !== '__proto__');
  const evaluate = (scope: ExpressionScope): { [key: string]: JsonValue } => {
    const made: { [key: string]: JsonValue } = {};
    for (const [key, field] of fields) {
      const value = field.evaluate(scope);
      if (value !== undefined) made[key] = value;
    }
    return made;
  };
  const evaluateAny = (scope: ExpressionScope) =>
    Object.fromEntries(
      fields.flatMap(([key, field]) => {
        const value = field.evaluate(scope);
        return value === undefined ? [] : [[key, value] as const];
      }),
    );
  return { evaluate: assignable ? evaluate : evaluateAny };
};
