import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

it('every promise of docs/delivery.md names tests that exist', () => {
  const text = readFileSync(join(import.meta.dirname, '../docs/delivery.md'), 'utf8');
  const promised = text.slice(text.indexOf('## Promised'), text.indexOf('## Not promised'));
  const rows = promised.split('\n').filter((line) => line.startsWith('| ') && !line.includes('shown by'));
  expect(rows.length).toBeGreaterThan(8);
  for (const row of rows) {
    const named = [...row.matchAll(/`([\w./-]+\.test\.ts)`/g)].map(([, file]) => String(file));
    expect(named, row).not.toEqual([]);
    for (const file of named) expect(existsSync(join(import.meta.dirname, file)), `${file}: ${row}`).toBe(true);
  }
});
