import type { TestFile } from '../../operator/api/test-file.ts';
import { reasonOf } from '../../runtime/errors.ts';
import type { FileFinding } from '../finding.ts';
import { type FileObject, metadataOf } from '../objects.ts';
import { type Mismatch, mismatches } from './expectations.ts';
import { type MockServer, startMockServer } from './mock-server.ts';
import { inTest, stepIntegration, stepObjects, withPartOnly } from './part.ts';
import { type LocalIntegration, type LocalPlan, planLocally } from './plan.ts';
import type { LocalSecrets } from './secrets.ts';
import { runCase, type Subject } from './test-case.ts';
import { objectsOf, type ReadTests, readTests } from './test-read.ts';

/*
 * `kanava test`: each case on a broker of its own, with the real engine, steps and sinks. Time passes when nothing is in work.
 */
export interface FileResult {
  readonly file: string;
  /** Why it, or one of its documents, was not tried. */
  readonly findings: readonly FileFinding[];
  readonly cases: readonly CaseResult[];
}
export interface CaseResult {
  readonly name: string;
  readonly ms: number;
  readonly mismatches: readonly Mismatch[];
  /** Why it could not be tried. */
  readonly error?: string;
}

export const runTests = async (files: readonly string[]): Promise<FileResult[]> => {
  const server = await startMockServer();
  try {
    const results: FileResult[] = [];
    const plan = planner();
    for (const file of files) results.push(await runFile(file, { server, plan }));
    return results;
  } finally {
    await server.close();
  }
};

type Planner = typeof planLocally;
/** Files of one folder mostly test the same objects. */
const planner = (): Planner => {
  const planned = new Map<string, LocalPlan>();
  return (sources, options) => {
    if (options.instead) return planLocally(sources, options);
    const key = JSON.stringify(sources);
    const plan = planned.get(key) ?? planLocally(sources, options);
    planned.set(key, plan);
    return plan;
  };
};

const runFile = async (
  file: string,
  using: { readonly server: MockServer; readonly plan: Planner },
): Promise<FileResult> => {
  const { documents, findings } = readTests(file);
  if (findings.length > 0) return { file, findings, cases: [] };
  const results: Omit<FileResult, 'file'>[] = [];
  for (const document of documents) results.push(await runDocument(file, document, using));
  return {
    file,
    findings: results.flatMap((result) => result.findings),
    cases: results.flatMap((result) => result.cases),
  };
};

const runDocument = async (
  file: string,
  read: ReadTests,
  { server, plan: planned }: { readonly server: MockServer; readonly plan: Planner },
): Promise<Omit<FileResult, 'file'>> => {
  const { tests } = read;
  const { plan, errors } = planOf(file, read, planned);
  if (tests.refused !== undefined) return { findings: [], cases: [refusal(tests.refused, errors)] };
  if (errors.length > 0) return { findings: errors, cases: [] };
  const chosen = subjectOf(plan, tests);
  if (!('integrations' in chosen)) {
    return { findings: [about(file, read, chosen.path, chosen.message)], cases: [] };
  }
  const unknown = unknownNames(file, read, chosen);
  if (unknown.length > 0) return { findings: unknown, cases: [] };
  const cases: CaseResult[] = [];
  for (const each of tests.cases ?? []) {
    const began = performance.now();
    const took = () => Math.round(performance.now() - began);
    try {
      const found = mismatches(each.expect, await runCase(chosen, { file, tests, each, server }));
      cases.push({ name: each.name, ms: took(), mismatches: found });
    } catch (error) {
      cases.push({ name: each.name, ms: took(), mismatches: [], error: reasonOf(error) });
    }
  }
  return { findings: [], cases };
};

/** The objects of the files, with the step that stands in the test, or with an Integration that is only its part. */
const planOf = (
  file: string,
  { tests, placeOf }: ReadTests,
  planned: Planner,
): { plan: LocalPlan; errors: FileFinding[] } => {
  const files = objectsOf(file, tests);
  const wrong: FileFinding[] = [];
  const part = (item: FileObject): FileObject => {
    const { part: name, integration } = tests;
    if (name === undefined || (integration ?? metadataOf(item.object).name) !== metadataOf(item.object).name)
      return item;
    const only = withPartOnly(item, name);
    if (typeof only !== 'string') return only;
    // Of several, the test has to name one in any case.
    wrong.push(about(file, { placeOf }, 'part', only));
    return item;
  };
  const plan = planned(tests.step ? stepObjects(tests, files) : files, {
    namespace: 'local',
    otherSecrets: { find: (_namespace, { name, key }) => `${name}.${key}` },
    volume: (claim) => claim,
    ...(tests.part === undefined ? {} : { instead: part }),
  });
  const errors = plan.findings.filter(({ severity }) => severity === 'error');
  return { plan, errors: [...errors.map((each) => inTest(each, tests, { file, placeOf })), ...wrong] };
};

/** A test needs no real value; what it says comes before what is in the files. */
const secretsOf = ({ secrets = {} }: TestFile, planned: LocalSecrets): LocalSecrets => ({
  find: (namespace, wanted) => secrets[wanted.name]?.[wanted.key] ?? planned.find(namespace, wanted),
});

/** A configuration that must not be taken. */
const refusal = (expected: string, errors: readonly FileFinding[]): CaseResult => {
  const said = errors.map(({ path, message }) => `${path}: ${message}`);
  const isSaid = said.some((each) => each.includes(expected));
  return {
    name: `is refused: ${expected}`,
    ms: 0,
    mismatches: isSaid ? [] : [{ path: 'refused', expected, actual: said }],
  };
};

interface Wrong {
  readonly path: string;
  readonly message: string;
}
const subjectOf = ({ integrations, secrets }: LocalPlan, tests: TestFile): Subject | Wrong => {
  const name = tests.step ? stepIntegration : tests.integration;
  const found = name === undefined ? integrations : integrations.filter((each) => each.name === name);
  const [tested] = found;
  const known = integrations.map((each) => each.name).join(', ') || 'none';
  if (!tested || found.length > 1) {
    const message =
      name === undefined || found.length > 1
        ? `one Integration is tested; name it with integration, or its file with files (there are: ${known})`
        : `there is no ${name}; there are: ${known}`;
    return { path: 'integration', message };
  }
  const beside: LocalIntegration[] = [];
  for (const [index, other] of (tests.with ?? []).entries()) {
    const path = `with[${index}]`;
    const integration: LocalIntegration | undefined = integrations.find(
      (each) => each.name === other && each.namespace === tested.namespace,
    );
    if (!integration)
      return { path, message: `there is no ${other} in the namespace of ${tested.name}; there are: ${known}` };
    if (integration === tested) return { path, message: `${other} is the one that is tested` };
    beside.push(integration);
  }
  return {
    integrations: [tested, ...beside],
    isPart: tests.part !== undefined || tests.step !== undefined,
    secrets: secretsOf(tests, secrets),
  };
};

/** Names of Connections and sources that there are not: what stands there would never happen, or never be asked. */
const unknownNames = (file: string, read: ReadTests, { integrations }: Subject): FileFinding[] => {
  const { mocks, cases = [] } = read.tests;
  const connections = new Set(integrations.flatMap(({ flow }) => Object.keys(flow.connections)));
  const list = [...connections].join(', ') || 'none';
  const check = (path: string, names: object | undefined): FileFinding[] =>
    Object.keys(names ?? {})
      .filter((name) => !connections.has(name))
      .map((name) => about(file, read, `${path}.${name}`, `no such Connection is used; there are: ${list}`));
  return [
    ...(read.tests.part === undefined ? check('mocks', mocks) : []),
    ...cases.flatMap(({ mocks: own, expect: { calls, files } }, index) => [
      ...check(`cases[${index}].mocks`, own),
      ...check(`cases[${index}].expect.calls`, calls),
      ...check(`cases[${index}].expect.files`, files),
    ]),
  ];
};

const about = (file: string, { placeOf }: Pick<ReadTests, 'placeOf'>, path: string, message: string): FileFinding => ({
  file,
  ...placeOf(path),
  object: '',
  path,
  message,
  rule: 'NotThere',
  reason: 'NotThere',
  severity: 'error',
});
