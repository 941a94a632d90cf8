import { stepItem } from '../../runtime/flow.ts';
import { annotated, type SchemaNode } from './openapi.ts';
import type { Rule } from './rules.ts';

/*
 * Steps name flows of the same Integration. Where a step does so follows from the mark `x-kanava-flow` in its schema. The rules stand on
 * `spec`, where the flows are seen: one for its steps, one for those of its flows.
 */
export const unknownFlowText = 'names a flow that is not under spec.flows; add the flow or correct the name';

/** Fields from the top down; those that hold lists are marked. */
type Place = readonly { readonly field: string; readonly list: boolean }[];

const placesIn = (node: SchemaNode, above: Place): Place[] =>
  Object.entries(node.properties ?? {}).flatMap(([field, below]) => {
    const place = [...above, { field, list: below.items !== undefined }];
    return below['x-kanava-flow'] ? [place] : placesIn(below.items ?? below, place);
  });

/** CEL: every name at this place below `value` is one of `names`. */
const allKnown = ([first, ...rest]: Place, value: string, depth = 0): string => {
  if (!first) return `${value} in names`;
  const at = `${value}.${first.field}`;
  const item = `x${depth}`;
  const below = first.list ? `${at}.all(${item}, ${allKnown(rest, item, depth + 1)})` : allKnown(rest, at, depth);
  return `(!has(${at}) || ${below})`;
};

const steps = { field: 'steps', list: true };
const marks = placesIn(annotated(stepItem), []);
const ruleOf = (lists: Place): Rule<unknown> => ({
  // The names of the flows once, not for each name that is looked up: the server gives a rule only so much time.
  rule: `[has(self.flows) ? self.flows.map(f, f.name) : []].all(names, ${marks.map((mark) => allKnown([...lists, ...mark], 'self')).join(' && ')})`,
  // No messageExpression that finds the name: the server cannot bound what comes out of a filter, and refuses the CRD for its cost.
  message: unknownFlowText,
  fieldPath: `.${lists[0]?.field}`,
  // Operator and CLI say it at the very place: `unknownFlows` in checks.ts.
  check: () => true,
});
export const flowRules: readonly Rule<unknown>[] = [ruleOf([steps]), ruleOf([{ field: 'flows', list: true }, steps])];
