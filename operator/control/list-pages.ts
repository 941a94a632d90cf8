import type { KubeObject } from '../reconcile/ports.ts';
import { isObject, statusOf, WatchError } from './watch-event.ts';

interface Page {
  readonly items?: readonly unknown[];
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly apiVersion?: string;
  readonly kind?: string;
}
interface Reading {
  readonly pageSize: number;
  /** What of an object is kept. */
  readonly keep: (object: KubeObject) => KubeObject;
  /** A page came. */
  readonly heard: () => void;
}

/** A whole collection, page by page. */
export const readList = async (
  list: (query: Readonly<Record<string, string>>) => Promise<unknown>,
  { pageSize, keep, heard }: Reading,
): Promise<{ objects: KubeObject[]; resourceVersion: string }> => {
  const objects: KubeObject[] = [];
  let next: string | undefined;
  let limit: string | undefined = String(pageSize);
  for (;;) {
    let page: Page;
    try {
      page = (await list({ ...(limit && { limit }), ...(next && { continue: next }) })) as Page;
    } catch (error) {
      // The token of the next page was compacted away: the whole list in one piece has none.
      if (!next || statusOf(error) !== 410) throw error;
      objects.length = 0;
      next = limit = undefined;
      continue;
    }
    heard();
    const { items, metadata } = page;
    if (!Array.isArray(items) || typeof metadata?.resourceVersion !== 'string')
      throw new WatchError(0, 'the answer is not a list');
    const ofKind = { apiVersion: page.apiVersion, kind: page.kind?.replace(/List$/, '') };
    for (const item of items) {
      // Items of a list carry no kind of their own.
      const object: unknown = { ...ofKind, ...item };
      if (!isObject(object)) throw new WatchError(0, 'an item of the list is not an object');
      objects.push(keep(object));
    }
    next = metadata.continue || undefined;
    if (!next) return { objects, resourceVersion: metadata.resourceVersion };
  }
};
