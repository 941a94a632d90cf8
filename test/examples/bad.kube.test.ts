import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkSources } from '../../cli/check.ts';
import type { FileFinding } from '../../cli/finding.ts';
import { collectObjects, type FileObject, isOurs } from '../../cli/objects.ts';
import { statusConditions } from '../../operator/plan/conditions.ts';
import type { KubeObject } from '../../operator/reconcile/ports.ts';
import { tenant } from '../build.ts';
import { type Cause, type RawApi, rawApi } from '../operator/api/raw-api.ts';
import { type OperatorWorld, startOperatorWorld, until } from '../operator/reconcile/operator-world.ts';
import { type BadExample, type By, badExamples, badFolder, saidIn } from './bad-examples.ts';

/*
 * The other side of bad.test.ts: a real API server refuses what it must, at the same path by the same rule, and takes the rest, on which
 * the operator writes the same text. One server and one operator for all: each file gets its own names.
 */
const renamed = (text: string, index: number) =>
  text.replaceAll(/\bacme\b/g, `t${index}`).replaceAll(/\bglobex\b/g, `g${index}`);
const examples = badExamples.map(({ file, text, expected }, index): BadExample & { objects: FileObject[] } => {
  const source = { name: file, text: renamed(text, index), named: true };
  return {
    file,
    text: source.text,
    expected: expected.map((one) => ({ ...one, text: renamed(one.text, index) })),
    objects: collectObjects([source]).objects,
  };
});
const by = (who: By) =>
  examples
    .map((example) => ({ ...example, expected: example.expected.filter((one) => one.by === who) }))
    .filter(({ expected }) => expected.length > 0);

let world: OperatorWorld;
let server: RawApi;
const list = (items: readonly unknown[]) => ({ apiVersion: 'v1', kind: 'List', items });
const apply = (items: readonly unknown[]) =>
  world.kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], list(items));

beforeAll(async () => {
  world = await startOperatorWorld();
  server = rawApi(world.api);
  await world.startOperator();
});
afterAll(async () => {
  server?.close();
  await world?.stop();
});

/** The object that a file is about is the last of its name: what stands there twice is a change. */
const refusalOf = async (objects: readonly FileObject[]) => {
  const causes = [];
  for (const { object, title } of objects.filter(isOurs)) {
    const same = objects.filter((other) => other.title === title);
    if (same.length === 1) causes.push(...(await server.check(object)).causes);
    else if (same[0]?.object === object) expect((await server.create(object)).message).toBe('');
    else causes.push(...(await server.replace(object, { dryRun: true })).causes);
  }
  return causes;
};

/** Rules of the schema have the server's own words; of rules in CEL the text is ours. */
const wordsOfServer = /^(?:Required value|Duplicate value|Unsupported value|Too long|Too many)|in body|unknown field/;

/** One mistake in the words of both. A rule in CEL may stand on what is around the place that we name, that of names on the object. */
const isSame = (cause: Cause, { path, rule, message }: FileFinding): boolean => {
  const { field } = cause;
  if (cause.message.endsWith(message))
    return path === 'metadata.name' || (path.startsWith(field) && cause.reason === rule);
  return field === path && cause.reason === rule && wordsOfServer.test(cause.message);
};

describe('refused by the API server', () => {
  const refused = by('apiserver');
  beforeAll(async () => {
    const namespaces = new Set(
      refused.flatMap(({ objects }) => objects.map(({ object }) => object.metadata.namespace)),
    );
    const named = [...namespaces].filter((name) => name !== undefined);
    await apply(named.map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })));
  });

  it.each(refused)('$file', async ({ file, text, expected, objects }) => {
    const options = { namespace: '', strict: true, operatorNamespace: 'kanava-system', closedRanges: [] };
    const { findings } = checkSources([{ name: file, text, named: true }], options);
    const causes = await refusalOf(objects);
    for (const one of expected) {
      const finding = findings.find((found) => saidIn(found).includes(one.text));
      const cause = causes.find((one) => finding && isSame(one, finding));
      expect(cause, `${one.text}\n${JSON.stringify(causes)}`).toBeDefined();
    }
  });
});

describe('taken by the API server, and said by a condition', () => {
  const conditioned = by('condition');
  const all = conditioned.flatMap(({ objects }) => objects.map(({ object }) => object));
  const tenants = [
    ...all.filter(({ kind }) => kind === 'Tenant'),
    // Most are not about their Tenant; those get one.
    ...conditioned
      .filter(({ objects }) => !objects.some(({ object }) => object.kind === 'Tenant'))
      .flatMap(({ objects }) => [...new Set(objects.map(({ object }) => object.metadata.namespace ?? ''))])
      .map((name) => tenant({ namespace: { name } }, { name })),
  ];
  const others = all.filter(({ kind }) => kind !== 'Tenant');
  const claimOf = (one: object) => (one as { spec: { namespace: { name: string } } }).spec.namespace.name;

  let stored: readonly KubeObject[] = [];
  const look = async () => {
    const kinds = 'integrations.kanava.dev,connections.kanava.dev,tenants.kanava.dev';
    stored = (JSON.parse(await world.kubectl(['get', kinds, '-A', '-o', 'json'])) as { items: KubeObject[] }).items;
  };
  const messagesOf = (objects: readonly FileObject[]) =>
    objects.flatMap(({ object }) => {
      const { name, namespace } = object.metadata;
      const found = stored.find(
        ({ kind, metadata }) => kind === object.kind && metadata.name === name && metadata.namespace === namespace,
      );
      return statusConditions(found?.['status'])
        .filter(({ status, type }) => status === 'False' && type !== 'Ready')
        .map(({ message }) => message);
    });

  beforeAll(async () => {
    // Of two claims on one namespace the older has it: creation times have whole seconds, so ties go by the name.
    await apply(tenants);
    const claimed = new Set(tenants.map(claimOf));
    const free = new Set(others.map(({ metadata }) => metadata.namespace).filter((name) => !claimed.has(name ?? '')));
    await apply([...free].map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })));
    await until('every namespace is there', async () => {
      const names = await world.kubectl(['get', 'namespaces', '-o', 'name']);
      return [...claimed].every((name) => names.split('\n').includes(`namespace/${name}`));
    });
    await apply(others);
  });

  it.each(conditioned)('$file', async ({ expected, objects }) => {
    const missing = () => expected.filter(({ text }) => !messagesOf(objects).some((message) => message.includes(text)));
    await until('a condition says so', async () => {
      if (missing().length > 0) await look();
      return missing().length === 0;
    }).catch((error: unknown) => {
      expect(
        missing().map(({ text }) => text),
        `${String(error)}\n${messagesOf(objects).join('\n')}`,
      ).toEqual([]);
    });
  });
});

it('reads files as kubectl does', async () => {
  const readable = badExamples.filter(({ file }) => !/^(yaml-(syntax|tabs|tag|alias-bomb)|object-none)/.test(file));
  const files = readable.flatMap(({ file }) => ['-f', `${badFolder}/${file}`]);
  const text = await world.kubectl(['annotate', '--local', '-o', 'json', ...files, 'kanava.dev/read=']);
  const read = JSON.parse(`[${text.replaceAll(/^\}\n\{/gm, '},{')}]`) as KubeObject[];
  const ours = collectObjects(readable.map(({ file: name, text }) => ({ name, text, named: true }))).objects;
  // The annotation is all that is new in their metadata.
  const without = (object: KubeObject) => ({ ...object, metadata: { ...object.metadata, annotations: {} } });
  expect(ours.map(({ object }) => without(object))).toEqual(read.map(without));
});
