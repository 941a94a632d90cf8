import { describe, expect, it } from 'vitest';
import { catalog } from '../../runtime/catalog.ts';
import { run } from '../cluster/command.ts';
import { kanava } from './kanava.ts';

describe.each([
  ['connectors', new Set([...catalog.sources.keys(), ...catalog.sinks.keys(), ...catalog.connections.keys()])],
  ['steps', new Set(catalog.steps.keys())],
] as const)('kanava %s', (command, names) => {
  it('lists all of the catalogue', async () => {
    const { code, stdout } = await kanava([command]);
    const listed = stdout
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.split(' ', 1)[0]);
    expect([code, new Set(listed)]).toEqual([0, names]);
  });
  it('explains each field of one, and gives its schema to programs', async () => {
    const [name = ''] = names;
    const { stdout } = await kanava([command, name]);
    const { parts } = JSON.parse((await kanava([command, name, '-o', 'json'])).stdout) as {
      parts: { schema: { properties: Record<string, { description?: string }> } }[];
    };
    const fields = parts.flatMap(({ schema }) => Object.entries(schema.properties));
    expect(fields.length).toBeGreaterThan(0);
    for (const [field, { description = '' }] of fields) {
      expect(stdout).toMatch(new RegExp(`^ +${field} <`, 'm'));
      expect(stdout).toContain(description);
    }
  });
  it('ends with 2 for an unknown name, and names those that there are', async () => {
    const { code, stderr } = await kanava([command, 'pigeon']);
    expect([code, stderr]).toEqual([2, expect.stringContaining(`there are: ${[...names].join(', ')}`)]);
  });
});

it('tells text that may be computed from values that may be', async () => {
  const shown = async (...args: string[]) => (await kanava(args)).stdout;
  expect(await shown('connectors', 'bus')).toContain('type <text; text after = is CEL>');
  expect(await shown('steps', 'map')).toContain('body <any value; text after = is CEL');
});

it('shows what is required, choices and the longer text', async () => {
  const { stdout } = await kanava(['connectors', 'http']);
  expect(stdout).toContain('  path <string, required>\n      Path below /<integration> of the gateway.');
  expect(stdout).toContain('  methods <list of POST | PUT | PATCH | DELETE | GET>');
  expect(stdout).toContain('Plain http sends messages and credentials unencrypted.');
});

describe('kanava completion', () => {
  /** What bash offers after these words, the last of them unfinished. */
  const offered = async (...words: string[]) => {
    const script = [
      (await kanava(['completion', 'bash'])).stdout,
      `COMP_WORDS=(kanava ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}`,
      '_kanava',
      'printf "%s\\n" "${COMPREPLY[@]}"',
    ].join('\n');
    return (await run('bash', ['-c', script])).stdout.trim().split('\n');
  };
  it.each([
    [['che'], ['check']],
    [['check', '--str'], ['--strict']],
    [['check', '--output', 'j'], ['json']],
    [['steps', 'fil'], ['filter']],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish'],
    ],
    [['check', 'tsconf'], ['tsconfig.json']],
  ] as const)('completes %s', async (words, expected) => {
    expect(new Set(await offered(...words))).toEqual(new Set(expected));
  });
  it('never offers hidden commands', async () => {
    expect(await offered('')).not.toContainEqual(expect.stringContaining('guard'));
  });
  it.each(['bash', 'zsh', 'fish'])('names every command for %s', async (shell) => {
    const { stdout } = await kanava(['completion', shell]);
    for (const name of ['check', 'render', 'status', 'connectors', 'steps', 'version', 'completion'])
      expect(stdout).toContain(name);
  });
  it('ends with 2 for another shell', async () => {
    expect((await kanava(['completion', 'csh'])).code).toBe(2);
  });
});

it('kanava version prints one line, or the API too', async () => {
  expect((await kanava(['version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  expect(JSON.parse((await kanava(['version', '-o', 'json'])).stdout)).toMatchObject({
    apiVersion: 'kanava.dev/v1alpha1',
  });
});
