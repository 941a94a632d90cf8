import { group } from '../operator/api/meta.ts';
import type { KubeObject } from '../operator/reconcile/ports.ts';
import type { FileFinding } from './finding.ts';
import type { Source } from './sources.ts';
import { type Place, readYaml, type YamlDocument } from './yaml.ts';

/** An object of a file. Only its kind is sure: everything else is as the user wrote it. */
export interface FileObject {
  readonly file: string;
  readonly object: KubeObject;
  /** `Integration acme/orders`. */
  readonly title: string;
  readonly placeOf: (path: string) => Place;
}

export const isOurs = ({ object }: Pick<FileObject, 'object'>): boolean => object.apiVersion.startsWith(`${group}/`);

/** All objects of the sources, lists opened, and what makes them unreadable. */
export const collectObjects = (sources: readonly Source[]): { objects: FileObject[]; findings: FileFinding[] } => {
  const objects: FileObject[] = [];
  const findings: FileFinding[] = [];
  const atFile = (file: string, rule: string, message: string, place: Place) =>
    findings.push({ file, ...place, object: '', path: '', message, rule, reason: rule, severity: 'error' });
  for (const source of sources) {
    const { documents, problem } = readYaml(source.text);
    // A folder may hold what is no YAML at all, such as templates: not our business where it cannot be about us.
    if (problem && (source.named || source.text.includes(`${group}/`)))
      atFile(source.name, problem.rule, problem.message, problem.place);
    for (const document of documents) {
      if (document.value === undefined || document.value === null) continue;
      const found = objectsIn(source.name, document);
      objects.push(...found);
      if (found.length === 0 && source.named)
        atFile(
          source.name,
          'NoObject',
          'is no Kubernetes object: apiVersion and kind are required',
          document.placeOf(''),
        );
      // What other kinds hold is not our business.
      if (!found.some(isOurs)) continue;
      for (const { rule, path, message, place } of document.problems) {
        const object = found.length === 1 ? (found[0]?.title ?? '') : '';
        const severity = rule === 'AmbiguousValue' ? 'warning' : 'error';
        findings.push({ file: source.name, ...place, object, path, message, rule, reason: rule, severity });
      }
    }
  }
  return { objects, findings };
};

const objectsIn = (file: string, document: YamlDocument): FileObject[] => {
  const { value } = document;
  if (!isObject(value)) return [];
  if (value.kind !== 'List' || !Array.isArray(value['items'])) return [objectOf(file, value, document.placeOf)];
  return value['items'].flatMap((item: unknown, index) =>
    isObject(item)
      ? [objectOf(file, item, (path) => document.placeOf(`items[${index}]${path === '' ? '' : `.${path}`}`))]
      : [],
  );
};

const isObject = (value: unknown): value is KubeObject => {
  const { apiVersion, kind } = (value ?? {}) as Partial<KubeObject>;
  return typeof value === 'object' && typeof apiVersion === 'string' && typeof kind === 'string';
};

const objectOf = (file: string, object: KubeObject, placeOf: FileObject['placeOf']): FileObject => {
  const { name, namespace } = metadataOf(object);
  return { file, object, title: `${object.kind} ${namespace ? `${namespace}/` : ''}${name ?? '(no name)'}`, placeOf };
};

/** Of an object that nobody has checked: nothing of it is sure. */
export const metadataOf = (object: KubeObject): { readonly name?: string; readonly namespace?: string } => {
  const { name, namespace } = ((object.metadata as unknown) ?? {}) as Readonly<Record<string, unknown>>;
  return {
    ...(typeof name === 'string' ? { name } : {}),
    ...(typeof namespace === 'string' ? { namespace } : {}),
  };
};

/** One that is stored. */
export const objectOfCluster = (object: KubeObject): FileObject =>
  objectOf('cluster', object, () => ({ line: 1, column: 1 }));
