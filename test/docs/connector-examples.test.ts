import { describe, expect, it, onTestFinished } from 'vitest';
import { readYaml } from '../../cli/yaml.ts';
import { apiVersion } from '../../operator/api/meta.ts';
import { referencePages } from '../../operator/api/reference.ts';
import { catalog } from '../../runtime/catalog.ts';
import { trialIn } from '../cli/local/trial.ts';

/*
 * The examples of connectors in docs/reference, run by `kanava test`: each becomes an Integration between something that gives and something
 * that takes, with the real listener, folder, bus and requests.
 */
type Config = Readonly<Record<string, unknown>>;
interface Item {
  readonly name: string;
  readonly [kind: string]: unknown;
}
interface Shown {
  readonly role: string;
  readonly kind: string;
  readonly why: string;
  readonly value: { readonly sources?: readonly Item[]; readonly sinks?: readonly Item[]; readonly spec?: unknown };
}
const shown = [...referencePages()].flatMap(([path, page]): Shown[] => {
  const [, role = '', kind = ''] = /reference\/(sources|sinks|connections)\/([\w-]+)\.md$/.exec(path) ?? [];
  return [...page.matchAll(/^(.*):\n\n```yaml\n([\s\S]*?)^```/gm)]
    .filter(() => role !== '')
    .map(([, why = '', text = '']) => ({
      role,
      kind,
      why,
      value: readYaml(text).documents[0]?.value as Shown['value'],
    }));
});

const plain: Readonly<Record<string, unknown>> = {
  http: { url: 'https://other.example.com/api' },
  file: { claim: 'exchange' },
};
const connection = (name: string, spec: unknown) => ({ apiVersion, kind: 'Connection', metadata: { name }, spec });
const connectionsOf = (kind: string, item: Item): object[] => {
  const { connectionRef } = item[kind] as { readonly connectionRef?: { readonly name: string } };
  return connectionRef ? [connection(connectionRef.name, { [kind]: plain[kind] })] : [];
};
const content = { body: { no: '7', status: 'paid', customer: 'c1' } };
const aSource = { name: 'given', http: { path: '/given' } };
const aSink = { name: 'taken', bus: { type: 'seen' } };

/** What somebody does so that the source has a message. */
const givenTo = (kind: string, config: Config): object => {
  const { placement } = catalog.sources.get(kind) ?? {};
  if (placement === 'gateway') return { ...content, request: { login: true } };
  if (placement === 'broker')
    return kind === 'bus' ? { ...content, attrs: { type: (config['types'] as string[])[0] } } : {};
  const {
    connectionRef,
    folder = '.',
    match = ['a.json'],
  } = config as {
    readonly connectionRef: { readonly name: string };
    readonly folder?: string;
    readonly match?: readonly string[];
  };
  return {
    ...content,
    put: { connection: connectionRef.name, name: `${folder}/${match[0]?.replaceAll(/[*?]/g, '1')}` },
  };
};

const sourceCase = (kind: string, [item]: readonly Item[] = []) => ({
  objects: connectionsOf(kind, item as Item),
  spec: { sources: [item], sinks: [aSink] },
  given: givenTo(kind, item?.[kind] as Config),
});
const sinkCase = (kind: string, [item]: readonly Item[] = []) => ({
  objects: connectionsOf(kind, item as Item),
  spec: { sources: [aSource], sinks: [item] },
  given: { ...content, attrs: { filename: 'a.json' } },
});
/** With a sink of its kind. */
const connectionCase = (kind: string, spec: unknown) => {
  const more = kind === 'file' ? { name: 'a.json' } : {};
  const sink = { name: 'example', [kind]: { connectionRef: { name: 'example' }, ...more } };
  return { objects: [connection('example', spec)], spec: { sources: [aSource], sinks: [sink] }, given: content };
};
const caseOf = ({ role, kind, value }: Shown) => {
  if (role === 'sources') return sourceCase(kind, value.sources);
  return role === 'sinks' ? sinkCase(kind, value.sinks) : connectionCase(kind, value.spec);
};

const trial = async (each: Shown, expected: object) => {
  const { objects, spec, given } = caseOf(each);
  const integration = { apiVersion, kind: 'Integration', metadata: { name: 'shown' }, spec };
  const documents = [...objects, integration].map((object) => JSON.stringify(object));
  const cases = [{ name: each.why, given: [given], expect: { sinks: expected } }];
  return trialIn({ 'shown.yaml': documents.join('\n---\n') }, onTestFinished)(JSON.stringify({ cases }));
};

describe('examples of connectors', () => {
  it('are those of all that the catalogue has', () => {
    const count = ['sources', 'sinks', 'connections'] as const;
    for (const role of count)
      expect(new Set(shown.filter((each) => each.role === role).map(({ kind }) => kind))).toEqual(
        new Set(catalog[role].keys()),
      );
  });

  it.each(shown)('$role/$kind: $why', async (each) => {
    const { fine, text } = await trial(each, { [each.role === 'sources' ? 'taken' : 'example']: [{}] });
    expect(fine, text).toBe(true);
  });

  it('control: one that delivers nothing is found', async () => {
    const [first] = shown;
    expect((await trial(first as Shown, {})).fine).toBe(false);
  });
});
