import { apiVersion } from '../../operator/api/meta.ts';
import type { TestFile } from '../../operator/api/test-file.ts';
import type { KubeObject } from '../../operator/reconcile/ports.ts';
import { catalog } from '../../runtime/catalog.ts';
import type { FileFinding } from '../finding.ts';
import { collectObjects, type FileObject, isOurs, metadataOf } from '../objects.ts';
import type { Source } from '../sources.ts';

/*
 * One step or flow as an Integration of its own: something is given, and what comes out of it is kept. So a part is tried by the same engine as
 * a whole, with attempts, time-outs and dead letters.
 */
export const partSink = 'becomes';
const partStep = 'step';
const sources = [{ name: 'given', http: { path: '/given' } }];
const sinks = [{ name: partSink, bus: {} }];

type Spec = Readonly<Record<string, unknown>>;
interface Named {
  readonly name?: unknown;
  readonly steps?: unknown;
}
const namedIn = (list: unknown): readonly Named[] => (Array.isArray(list) ? (list as readonly Named[]) : []);

/** The Integration with nothing but the part; a text when it has none of this name. A step comes before a flow. */
export const withPartOnly = (item: FileObject, name: string): FileObject | string => {
  const { spec = {} } = item.object as KubeObject & { readonly spec?: Spec };
  const { steps, flows } = spec;
  const step = namedIn(steps).find((each) => each.name === name);
  const isFlow = namedIn(flows).some((each) => each.name === name);
  if (!step && !isFlow) {
    const around = namedIn(flows).find((flow) => namedIn(flow.steps).some((each) => each.name === name));
    if (around) return `${name} is a step of the flow ${String(around.name)}: name the flow`;
    const known = [...namedIn(steps), ...namedIn(flows)].map((each) => String(each.name)).join(', ');
    return `the Integration has no step or flow ${name}; there are: ${known || 'none'}`;
  }
  // In a flow of its own only its steps are named by dead letters.
  const only = step ?? { name: partStep, choice: { cases: [{ when: 'true', flow: name }] } };
  const { timeout, retry } = (spec['delivery'] ?? {}) as Spec;
  const part = {
    sources,
    steps: [only],
    ...(flows ? { flows } : {}),
    sinks,
    delivery: { ...plain({ timeout, retry }), ...orderOf(only) },
  };
  return { ...item, object: { ...item.object, spec: part } };
};
/** A step that only an Integration with ordering may have gets all messages in theirs. */
const orderOf = (step: object): Spec =>
  [...catalog.steps].some(([name, { ordered }]) => ordered && name in step)
    ? { ordering: 'Key', key: `'${partStep}'` }
    : {};
const plain = (value: Spec): Spec =>
  Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined));

/* ---- A step that stands in the test itself ------------------------------------------------------------------------------- */

const stepSource = '(step)';
export const stepIntegration = 'step';

/** Objects for the configuration of a test; Connections that it plays, and that no file has, are plain HTTP. */
export const stepObjects = (tests: TestFile, files: readonly Source[]): Source[] => {
  const { step = {}, flows = {}, mocks, cases = [] } = tests;
  const namedFlows = Object.entries(flows).map(([name, steps]) => ({
    name,
    steps: steps.map((each, index) => ({ name: `${name}-${index + 1}`, ...each })),
  }));
  const integration = {
    apiVersion,
    kind: 'Integration',
    metadata: { name: stepIntegration },
    spec: { sources, steps: [{ name: partStep, ...step }], flows: namedFlows, sinks, delivery: orderOf(step) },
  };
  const there = new Set(
    collectObjects(files)
      .objects.filter((item) => isOurs(item) && item.object.kind === 'Connection')
      .map(({ object }) => metadataOf(object).name),
  );
  const played = new Set([mocks, ...cases.map((each) => each.mocks)].flatMap((each) => Object.keys(each ?? {})));
  const connections = [...played]
    .filter((name) => !there.has(name))
    .map((name) => ({
      apiVersion,
      kind: 'Connection',
      metadata: { name },
      spec: { http: { url: `https://${name}.example.com` } },
    }));
  const text = [integration, ...connections].map((each) => JSON.stringify(each)).join('\n---\n');
  return [...files, { name: stepSource, text, named: true }];
};

/** What is said of those objects, as it stands in the test. */
export const inTest = (
  finding: FileFinding,
  tests: TestFile,
  {
    file,
    placeOf,
  }: { readonly file: string; readonly placeOf: (path: string) => Pick<FileFinding, 'line' | 'column'> },
): FileFinding => {
  if (finding.file !== stepSource) return finding;
  const names = Object.keys(tests.flows ?? {});
  const path = finding.path
    .replace(/^spec\.steps\[0\]/, 'step')
    .replace(/^spec\.flows\[(\d+)\](\.steps)?/, (_, index: string) => `flows.${names[Number(index)] ?? ''}`);
  return { ...finding, file, path, object: '', ...placeOf(path) };
};
