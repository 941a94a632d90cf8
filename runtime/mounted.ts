import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OpenContext } from './connector.ts';
import { type Flow, flowVersion } from './flow.ts';
import { caFile, secretFile } from './schema.ts';

/* What the operator (or a test) put into the folder of a pod. */

/** The operator parsed it with the schemas of this version before it wrote it; who runs it does not carry them (decision 008). */
export const readFlow = (folder: string): Flow => {
  const file = join(folder, 'flow.json');
  const flow = JSON.parse(readFileSync(file, 'utf8')) as Flow;
  const { version }: { version: number } = flow;
  if (version !== flowVersion) {
    throw new Error(`${file} is a flow of version ${version}, this program reads version ${String(flowVersion)}`);
  }
  return flow;
};

/** Values as they are now: the kubelet changes the files. */
export const mountedValues = (folder: string): Pick<OpenContext, 'secret' | 'ca'> => ({
  // A line break at the end belongs to the editor that wrote the Secret, not to the secret.
  secret: (ref) => readFileSync(join(folder, secretFile(ref)), 'utf8').replace(/\r?\n$/, ''),
  ca: (ref) => readFileSync(join(folder, caFile(ref)), 'utf8'),
});
