import { group, kinds } from '../operator/api/meta.ts';
import { changeFindings } from './change-findings.ts';
import { fileWorld } from './file-world.ts';
import type { FileFinding } from './finding.ts';
import { checkConnection, checkIntegration, checkTenant, type Said, type Surroundings, saidOf } from './kind-checks.ts';
import { collectObjects, type FileObject, isOurs } from './objects.ts';
import type { Source } from './sources.ts';

/*
 * What API server and operator would say of the objects in files, before any of them has seen these. Nothing here has a text of its own
 * where they have one, and no expression is evaluated.
 */
export interface CheckOptions {
  /** Of objects that name none. */
  readonly namespace: string;
  /** What is not in the files counts as missing. Otherwise it may be in the cluster: a warning. */
  readonly strict: boolean;
  readonly operatorNamespace: string;
  readonly closedRanges: readonly string[];
}
export interface Report {
  readonly files: number;
  /** Of kanava.dev. */
  readonly objects: number;
  readonly findings: readonly FileFinding[];
}

export const checkSources = (sources: readonly Source[], options: CheckOptions): Report => {
  const { strict } = options;
  const { objects, findings } = collectObjects(sources);
  const scene: Surroundings = { ...options, world: fileWorld(objects, options.namespace) };
  const ours = objects.filter(isOurs);
  const said = ours.flatMap((item, index) =>
    [...checkObject(item, scene), ...checkRepeat(item, ours.slice(0, index), scene)].map((one): FileFinding => {
      const { uncertain = false, advice = false, ...rest } = one;
      const place = item.placeOf(one.path);
      const severity = advice || (uncertain && !strict) ? 'warning' : 'error';
      return { file: item.file, ...place, object: item.title, ...rest, severity };
    }),
  );
  const ofFiles = strict ? findings.map((one): FileFinding => ({ ...one, severity: 'error' })) : findings;
  return { files: sources.length, objects: ours.length, findings: inOrder([...ofFiles, ...said], sources) };
};

const inOrder = (findings: readonly FileFinding[], sources: readonly Source[]): FileFinding[] => {
  const order = new Map(sources.map(({ name }, index) => [name, index]));
  return findings.toSorted(
    (a, b) => (order.get(a.file) ?? 0) - (order.get(b.file) ?? 0) || a.line - b.line || a.column - b.column,
  );
};

const checkObject = (item: FileObject, scene: Surroundings): Said[] => {
  switch (item.object.kind) {
    case 'Tenant':
      return checkTenant(item, scene);
    case 'Connection':
      return checkConnection(item, scene);
    case 'Integration':
      return checkIntegration(item, scene);
    default: {
      const known = kinds.map(({ kind }) => kind).join(', ');
      const message = `${group} has no kind ${item.object.kind}; there are: ${known}`;
      return [{ path: 'kind', message, rule: 'UnknownKind', reason: 'UnknownKind' }];
    }
  }
};

/** The same object once more: it would replace the first, and must be a change that is allowed. */
const checkRepeat = (item: FileObject, before: readonly FileObject[], { world }: Surroundings): Said[] => {
  const { kind, metadata } = item.object;
  const first = before.find(
    (other) =>
      other.object.kind === kind &&
      other.object.metadata?.name === metadata?.name &&
      world.namespaceOf(other) === world.namespaceOf(item),
  );
  if (!first || metadata?.name === undefined) return [];
  // Files side by side may be meant for different clusters, as overlays are.
  const isOther = first.file !== item.file;
  const { line } = first.placeOf('');
  const message = `${item.title} is in ${first.file}:${line} already; keep one`;
  return [
    { path: 'metadata.name', message, rule: 'DuplicateObject', reason: 'DuplicateObject', uncertain: isOther },
    ...(isOther ? [] : saidOf(changeFindings(item.object, first.object))),
  ];
};
