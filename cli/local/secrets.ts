import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Reference } from '../../operator/plan/references.ts';
import type { FileWorld } from '../file-world.ts';
import { type FileObject, metadataOf } from '../objects.ts';

/*
 * Values of Secrets and ConfigMaps without a cluster: from a folder (`DIR/<name>/<key>`), else from objects of the files. Read when they are
 * needed, as a mounted file is.
 */
export type Wanted = Pick<Reference, 'kind' | 'name' | 'key'>;
export interface LocalSecrets {
  find(namespace: string, wanted: Wanted): string | undefined;
}

export const localSecrets = (
  objects: readonly FileObject[],
  { namespaceOf }: Pick<FileWorld, 'namespaceOf'>,
  folder: string | undefined,
): LocalSecrets => ({
  find(namespace, { kind, name, key }) {
    const filed = folder === undefined ? undefined : contentOf(join(folder, name, key));
    if (filed !== undefined) return filed;
    const found = objects.findLast(
      (item) =>
        item.object.apiVersion === 'v1' &&
        item.object.kind === kind &&
        metadataOf(item.object).name === name &&
        namespaceOf(item) === namespace,
    );
    return found && valueIn(found.object, key);
  },
});

/** A line break at the end belongs to the editor that wrote it, not to the secret. */
const withoutEnd = (text: string): string => text.replace(/\r?\n$/, '');

const contentOf = (file: string): string | undefined => {
  try {
    return withoutEnd(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
};

/** As the API server merges them: `stringData` wins; only a Secret's `data` is base64. */
const valueIn = (object: FileObject['object'], key: string): string | undefined => {
  const field = (name: string): string | undefined => {
    const value = (object[name] as Readonly<Record<string, unknown>> | undefined)?.[key];
    return typeof value === 'string' ? value : undefined;
  };
  const plain = object.kind === 'Secret' ? field('stringData') : field('data');
  const coded = object.kind === 'Secret' ? field('data') : field('binaryData');
  const value = plain ?? (coded === undefined ? undefined : Buffer.from(coded, 'base64').toString());
  return value === undefined ? undefined : withoutEnd(value);
};

export const missingText = ({ kind, name, key }: Wanted): string =>
  `key ${key} of ${kind} ${name} is needed: add the ${kind} to the files, or write the value to a file ${name}/${key} and name the folder with --secrets`;
