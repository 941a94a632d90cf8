import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkSources } from '../../cli/check.ts';

/* Every example that is not in `bad`, each folder as `kanava check` sees it when it is given the whole. */
const root = join(import.meta.dirname, '..', '..', 'examples');
const folders = readdirSync(root).filter((name) => name !== 'bad');

describe.each(folders)('examples/%s', (folder) => {
  const files = readdirSync(join(root, folder)).filter((name) => name.endsWith('.yaml'));
  const sources = files.map((name) => ({
    name: `${folder}/${name}`,
    text: readFileSync(join(root, folder, name), 'utf8'),
    named: true,
  }));

  it('has objects, and nothing wrong with them', () => {
    const options = { namespace: '', strict: false, operatorNamespace: 'kanava-system', closedRanges: [] };
    const { findings, objects } = checkSources(sources, options);
    // Secrets are made by hand.
    expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
    expect(objects).toBeGreaterThan(1);
  });

  it('says how to run it', () => {
    expect(readFileSync(join(root, folder, 'README.md'), 'utf8')).toContain(`kubectl apply -f examples/${folder}/`);
  });
});
