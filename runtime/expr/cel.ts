import { type ASTNode, Environment, serialize } from '@marcbachmann/cel-js';
import type { ExpressionScope } from '../connector.ts';
import { reasonOf, reject } from '../errors.ts';
import { createLoopClock, type LoopClock } from './loop-clock.ts';
import { plainJson } from './plain.ts';

/*
 * CEL as users of JSON expect it. JSON numbers are doubles in CEL and literals are ints, so every operator that mixes them is added;
 * results are plain JSON values. There is no cost limit in the evaluator, hence the limits on what is accepted (length, size, nested loops,
 * no backtracking regular expressions) and a clock in each loop.
 */
export interface Expression {
  /** A plain JSON value, or `undefined` for an absent optional. Throws `reject` (`ExpressionFailed`, `TooSlow`): evaluation is pure. */
  evaluate(scope: ExpressionScope): unknown;
}
export type Parsed = { ok: true; expression: Expression } | { ok: false; message: string };

export const longestExpression = 4096;
const deepestLoops = 2;
const deepestBinds = 4;
const loops: ReadonlySet<string> = new Set(['map', 'filter', 'all', 'exists', 'exists_one']);

const arithmetic: readonly (readonly [string, (left: number, right: number) => number])[] = [
  ['+', (left, right) => left + right],
  ['-', (left, right) => left - right],
  ['*', (left, right) => left * right],
  ['/', (left, right) => left / right],
  ['%', (left, right) => left % right],
];

const makeEnvironment = (): Environment => {
  const environment = new Environment({
    homogeneousAggregateLiterals: false,
    enableOptionalTypes: true,
    limits: { maxAstNodes: 2_000, maxDepth: 64, maxListElements: 500, maxMapEntries: 500, maxCallArguments: 16 },
  });
  for (const name of ['body', 'headers', 'attrs', 'vars', 'error', 'meta']) environment.registerVariable(name, 'dyn');
  for (const [operator, compute] of arithmetic) {
    const mixed = (left: number | bigint, right: number | bigint) => compute(Number(left), Number(right));
    environment.registerOperator(`int ${operator} double: double`, mixed);
    environment.registerOperator(`double ${operator} int: double`, mixed);
  }
  environment.registerOperator('double % double: double', (left: number, right: number) => left % right);
  environment.registerOperator(
    'int == double: bool',
    (left: number | bigint, right: number | bigint) => Number(left) === Number(right),
  );
  return environment;
};
const environment = makeEnvironment();

export const parseExpression = (source: string): Parsed => {
  if (source.length > longestExpression) {
    return {
      ok: false,
      message: `an expression has at most ${longestExpression} characters, this one has ${source.length}`,
    };
  }
  try {
    const parsed = environment.parse(source);
    const refusal = refused(parsed.ast, 0, 0);
    if (refusal) return { ok: false, message: refusal };
    const check = parsed.check();
    if (check.valid) return { ok: true, expression: compiled(source, parsed) };
    if (codeOf(check.error) !== 'incompatible_ternary_branches') throw check.error;
    // `c ? 1 : 2.5` and `c ? 1 : 'one'` are fine in JSON: the branches are made dynamic.
    const loosened = environment.parse(serialize(loosenTernaries(parsed.ast)));
    const again = loosened.check();
    if (!again.valid) throw again.error;
    return { ok: true, expression: compiled(source, loosened) };
  } catch (error) {
    return { ok: false, message: `not a CEL expression: ${summaryOf(error)}` };
  }
};

interface Program {
  (scope: Record<string, unknown>): unknown;
  readonly ast: ASTNode;
}
const compiled = (source: string, run: Program): Expression => {
  const path = pathOf(run.ast);
  const expression = evaluator(source, clocked(run));
  return path === undefined ? expression : { evaluate: (scope) => read(scope, path) ?? expression.evaluate(scope) };
};

type Path = readonly [root: keyof ExpressionScope, ...keys: string[]];
const roots: readonly (keyof ExpressionScope)[] = ['body', 'headers', 'attrs', 'vars'];

/** `body.customer.name`: most expressions of a mapping are nothing but a place in the message. */
const pathOf = (node: ASTNode): Path | undefined => {
  if (node.op === 'id') {
    const root = roots.find((name) => name === node.args);
    return root && [root];
  }
  if (node.op !== '.') return undefined;
  const [from, key] = node.args;
  const path = pathOf(from);
  return path && [...path, key];
};

/** What is at the place, if it is there and plain; whatever is unusual is left to the evaluator and its messages. */
const read = (scope: ExpressionScope, path: Path): unknown => {
  let value: unknown = scope[path[0]];
  for (let at = 1; at < path.length; at += 1) {
    const key = path[at] as string;
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, key)) {
      return undefined;
    }
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  try {
    return plainJson(value);
  } catch {
    return undefined;
  }
};

const evaluator = (source: string, run: Expression['evaluate']): Expression => ({
  evaluate(scope) {
    try {
      return plainJson(run(scope));
    } catch (cause) {
      // A body that is not JSON says so itself, and so does a loop that takes too long.
      if (cause instanceof Error && cause.name === 'InstructionError') throw cause;
      throw reject('ExpressionFailed', `expression \`${shortened(source)}\`: ${summaryOf(cause)}${placeOf(cause)}`, {
        cause,
      });
    }
  },
});

/** What the library makes of a loop when it parses; it asks before each round whether to go on. */
interface Loop {
  condition?: (made: unknown) => unknown;
}
const loopOf = (node: ASTNode): Loop | undefined => {
  const { alternate } = (node as { readonly meta?: { readonly alternate?: ASTNode } }).meta ?? {};
  return (alternate as { readonly op: string } | undefined)?.op === 'comprehension'
    ? (alternate?.args as unknown as Loop)
    : undefined;
};

/** Looks at the clock in each round of each loop: before it, where no other part of the expression can swallow what is thrown. */
const clocked = (run: Program): Expression['evaluate'] => {
  const evaluate = (scope: ExpressionScope) => run(scope as unknown as Record<string, unknown>);
  const nodes = loopsIn(run.ast);
  if (nodes.length === 0) return evaluate;
  let clock: LoopClock | undefined;
  for (const node of nodes) {
    const loop = loopOf(node);
    if (!loop) throw new Error(`the loop ${shortened(serialize(node))} cannot be bounded in time`);
    const { condition } = loop;
    loop.condition = (made) => {
      clock?.round();
      return condition === undefined || condition(made);
    };
  }
  return (scope) => {
    clock = scope.loopClock ??= createLoopClock();
    clock.begin();
    return evaluate(scope);
  };
};
const loopsIn = (node: ASTNode): ASTNode[] => [...(isLoop(node) ? [node] : []), ...childrenOf(node).flatMap(loopsIn)];
const isLoop = (node: ASTNode): boolean => node.op === 'rcall' && loops.has(node.args[0]);

/** Why the expression is not allowed, or `undefined`. */
const refused = (node: ASTNode, loopDepth: number, bindDepth: number): string | undefined => {
  const name = node.op === 'rcall' || node.op === 'call' ? node.args[0] : undefined;
  if (name === 'matches') {
    return 'matches() is not available: its regular expressions can run for minutes on a short text; use ==, contains, startsWith, endsWith or split';
  }
  const innerLoops = isLoop(node) ? loopDepth + 1 : loopDepth;
  const innerBinds = name === 'bind' ? bindDepth + 1 : bindDepth;
  if (innerLoops > deepestLoops) {
    return `${String(name)}() is nested more than ${deepestLoops} loops deep, which takes too long on large bodies; split the work into steps`;
  }
  if (innerBinds > deepestBinds) return `cel.bind() is nested more than ${deepestBinds} deep`;
  for (const child of childrenOf(node)) {
    const refusal = refused(child, innerLoops, innerBinds);
    if (refusal) return refusal;
  }
  return undefined;
};

const isNode = (value: unknown): value is ASTNode => typeof value === 'object' && value !== null && 'op' in value;
const nodesIn = (args: unknown): ASTNode[] => {
  if (isNode(args)) return [args];
  return Array.isArray(args) ? args.flatMap(nodesIn) : [];
};
const childrenOf = (node: ASTNode): ASTNode[] => nodesIn(node.args);

const loosenTernaries = (node: ASTNode): ASTNode => {
  const loosen = (value: unknown): unknown =>
    isNode(value) ? loosenTernaries(value) : Array.isArray(value) ? value.map(loosen) : value;
  const args = loosen(node.args) as ASTNode[];
  if (node.op !== '?:') return { op: node.op, args } as unknown as ASTNode;
  const [condition, ...branches] = args;
  const dynamic = branches.map((branch) => ({ op: 'call', args: ['dyn', [branch]] }));
  return { op: '?:', args: [condition, ...dynamic] } as unknown as ASTNode;
};

interface CelError extends Error {
  readonly code?: string;
  readonly summary?: string;
  readonly node?: ASTNode;
}
const codeOf = (error: unknown): string | undefined => (error as CelError).code;
const summaryOf = (error: unknown): string => (error as CelError).summary ?? reasonOf(error);
/** ` (at body.customer.name)`: which part failed. */
const placeOf = (error: unknown): string => {
  const node = (error as CelError).node;
  return isNode(node) ? ` (at ${shortened(serialize(node))})` : '';
};
const shortened = (text: string) => (text.length > 120 ? `${text.slice(0, 117)}...` : text);
