/*
 * What comes and goes with every message, in no order. Sets and maps make their table anew every few hundred removals, and until the next
 * full collection the old tables keep alive, and let grow old, whatever was in them: that cost more than all work on the messages.
 */
export interface Bag<T extends Placed> {
  readonly items: readonly T[];
  add(item: T): void;
  /** Nothing when it is not in. */
  remove(item: T): void;
}
/** The item's own, kept by its one bag; below 0 while it is in none. */
export interface Placed {
  place: number;
}

export const createBag = <T extends Placed>(): Bag<T> => {
  const items: T[] = [];
  return {
    items,
    add(item) {
      item.place = items.length;
      items.push(item);
    },
    remove(item) {
      const { place } = item;
      if (place < 0) return;
      const last = items.pop() as T;
      if (last !== item) {
        items[place] = last;
        last.place = place;
      }
      item.place = -1;
    },
  };
};
