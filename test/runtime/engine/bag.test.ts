import { describe, expect, it } from 'vitest';
import { createBag } from '../../../runtime/engine/bag.ts';

describe('a bag', () => {
  it('holds what was added and not removed, whatever the order', () => {
    const bag = createBag<{ place: number; name: string }>();
    const [a, b, c] = ['a', 'b', 'c'].map((name) => ({ place: -1, name })) as [Item, Item, Item];
    const names = () => bag.items.map(({ name }) => name).sort();
    for (const item of [a, b, c]) bag.add(item);
    bag.remove(a);
    expect(names(), 'the first').toEqual(['b', 'c']);
    bag.remove(a);
    expect(names(), 'again').toEqual(['b', 'c']);
    bag.remove(b);
    bag.remove(c);
    expect(names(), 'the last').toEqual([]);
    bag.add(b);
    expect(names(), 'comes back').toEqual(['b']);
  });
});

interface Item {
  place: number;
  name: string;
}
