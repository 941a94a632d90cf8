import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadAll } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import { parseConnection, parseIntegration, parseTenant } from '../../../operator/api/parse.ts';

/* What the demo applies is what the operator accepts, before any cluster is there. */
const folder = join(import.meta.dirname, '../../../examples/github-issues');
const parsers = { Tenant: parseTenant, Connection: parseConnection, Integration: parseIntegration };

interface Example {
  kind: keyof typeof parsers;
  metadata: { name: string };
}

describe.each(['tenants.yaml', 'acme.yaml', 'globex.yaml'])('examples/github-issues/%s', (file) => {
  const objects = loadAll(readFileSync(join(folder, file), 'utf8')) as Example[];

  it('holds two objects', () => expect(objects).toHaveLength(2));

  it.each(objects.map((object) => [`${object.kind} ${object.metadata.name}`, object] as const))(
    '%s is accepted',
    (_, object) => {
      const parse = parsers[object.kind] as (object: unknown) => { ok: boolean };
      expect(parse({ ...object, metadata: { ...object.metadata, uid: 'u', generation: 1 } })).toMatchObject({
        ok: true,
      });
    },
  );
});
