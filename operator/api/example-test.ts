import type { StepExample } from '../../runtime/connector.ts';
import { stepItem } from '../../runtime/flow.ts';
import { annotated } from './openapi.ts';
import { referencesIn } from './references.ts';

/*
 * An example of a step as a document of `kanava test`: the page of the step shows it, and the file beside the page holds it, so what is read
 * is what is run.
 */
export const exampleTest = (name: string, example: StepExample): object => {
  const { why, config, flows, answers } = example;
  const step = { [name]: config };
  const head = { step, ...(flows ? { flows } : {}) };
  if ('refused' in example) return { ...head, refused: example.refused };
  const connections = connectionsOf([step, ...Object.values(flows ?? {}).flatMap((steps) => steps ?? [])]);
  const given = 'givenAll' in example ? example.givenAll : [example.given];
  return {
    ...head,
    ...(connections.length > 0 ? { mocks: byName(connections, answers ?? [{ status: 200 }]) } : {}),
    cases: [{ name: why, given, expect: expected(example, connections) }],
  };
};

const expected = (example: Exclude<StepExample, { refused: string }>, connections: readonly string[]): object => {
  if ('rejects' in example) return { deadLetters: [{ part: example.part ?? 'step', code: example.rejects }] };
  const { becomes, publishes, asks } = { publishes: undefined, asks: undefined, ...example };
  const events = publishes?.map(({ type, ...event }) => ({ attrs: { type }, ...event }));
  const calls = asks?.map((asked) => {
    const [method, path] = asked.split(' ');
    return { method, path };
  });
  return { becomes, ...(events ? { events } : {}), ...(calls ? { calls: byName(connections, calls) } : {}) };
};

const connectionsOf = (steps: readonly object[]): string[] => {
  const named = steps.flatMap((step) => referencesIn(annotated(stepItem), step, []).connections);
  return [...new Set(named.map(({ name }) => name))];
};

const byName = <T>(names: readonly string[], value: T): Readonly<Record<string, T>> =>
  Object.fromEntries(names.map((name) => [name, value]));
