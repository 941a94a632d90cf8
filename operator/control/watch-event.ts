import type { KubeObject } from '../reconcile/ports.ts';

export type WatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: KubeObject }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string };

/** An error with the status that the server gave; 410 means that the place to go on from is gone. */
export class WatchError extends Error {
  override readonly name = 'WatchError';
  readonly status: number;
  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}
/** The HTTP status of an error of any client that calls it `status`. */
export const statusOf = (error: unknown): number | undefined =>
  error instanceof Error && 'status' in error && typeof error.status === 'number' ? error.status : undefined;

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

/**
 * Texts that were read before. Every object says its kind, its labels and its owner again, and each time they would be kept anew: that
 * is a third of all texts. Few are enough, as objects that have them in common come together.
 */
const texts = (most: number, longest: number): ((text: string) => string) => {
  const known = new Map<string, string>();
  return (text) => {
    if (text.length > longest) return text;
    const found = known.get(text);
    if (found !== undefined) return found;
    if (known.size >= most) known.clear();
    known.set(text, text);
    return text;
  };
};
const sameText = texts(4_000, 80);

/** Freezes an object and all in it: what a cache hands out is shared. */
const deepFreeze = (value: Record<string, unknown>): void => {
  if (Object.isFrozen(value)) return;
  for (const name of Object.keys(value)) {
    const inner = value[name];
    if (typeof inner === 'string') value[name] = sameText(inner);
    else if (isRecord(inner)) deepFreeze(inner);
  }
  Object.freeze(value);
};

export const withoutManagedFields = (object: KubeObject): KubeObject => {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
};

/** By the generation it can be told that a spec is the one that is known: it is kept once, and so is what was made of it. */
const withKnownSpec = (object: KubeObject, known: KubeObject | undefined): KubeObject => {
  const { uid, generation } = object.metadata;
  const isKnown = generation !== undefined && generation === known?.metadata.generation && uid === known.metadata.uid;
  return isKnown && known['spec'] !== undefined ? { ...object, spec: known['spec'] } : object;
};

/** An object as it is kept: frozen, and only what is needed of it. `known` is an earlier version, if there is one. */
export const cached = (
  object: KubeObject,
  trim: (object: KubeObject) => KubeObject,
  known: KubeObject | undefined,
): KubeObject => {
  const kept = withKnownSpec(trim(object), known);
  deepFreeze(kept);
  return kept;
};

export const isObject = (value: unknown): value is KubeObject =>
  isRecord(value) &&
  isRecord(value['metadata']) &&
  typeof value['metadata']['name'] === 'string' &&
  typeof value['metadata']['resourceVersion'] === 'string';

/** A line of a watch. Throws for what is no event, also for an ERROR event: both end the watch. The line itself is never repeated. */
export const parseEvent = (line: string): WatchEvent => {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    // No cause: the parser's message quotes the line, which may hold a Secret.
    throw new WatchError(0, `a line of ${line.length} characters is not JSON`);
  }
  const event: Record<string, unknown> = isRecord(parsed) ? parsed : {};
  const { type, object } = event;
  if (type === 'ERROR' && isRecord(object)) {
    const status = typeof object['code'] === 'number' ? object['code'] : 0;
    throw new WatchError(
      status,
      `the server ended the watch: ${String(object['reason'])}: ${String(object['message'])}`,
    );
  }
  if (type === 'BOOKMARK' && isRecord(object) && isRecord(object['metadata'])) {
    const { resourceVersion } = object['metadata'];
    if (typeof resourceVersion === 'string') return { type, resourceVersion };
  }
  if ((type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED') && isObject(object)) return { type, object };
  throw new WatchError(0, `a line of ${line.length} characters is not an event (type ${String(type).slice(0, 32)})`);
};

/**
 * The resource version of an object that was made or changed, without reading all of the line: there is one such field only (within a text
 * its quotes would be escaped), or it is not told. Nor is that of one that was deleted or has left the selection: it may be the version of
 * the write that did it.
 */
export const versionOfChange = (line: string): string | undefined => {
  if (!line.startsWith('{"type":"MODIFIED"') && !line.startsWith('{"type":"ADDED"')) return undefined;
  const at = line.indexOf(versionField);
  if (at < 0 || line.indexOf(versionField, at + 1) > 0) return undefined;
  const from = at + versionField.length;
  return line.slice(from, line.indexOf('"', from));
};
const versionField = '"resourceVersion":"';
