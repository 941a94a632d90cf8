import { describe, expect, it } from 'vitest';
import { readYaml } from '../../cli/yaml.ts';
import { referencePages } from '../../operator/api/reference.ts';
import { catalog } from '../../runtime/catalog.ts';
import type { ExampleMessage } from '../../runtime/connector.ts';
import { kanava } from '../cli/kanava.ts';
import { becomes, gathered, refusalOf, type Shown } from '../runtime/steps/examples.ts';

/* What the pages of docs/reference show of steps is what they do (connectors: connector-examples.test.ts). That the pages are those of now is test/operator/api/generate.test.ts. */
interface Block {
  readonly why: string;
  readonly value: unknown;
}
type Becoming = Shown & { readonly becomes: readonly ExampleMessage[]; readonly asks?: readonly string[] };
const blocksOf = (page: string): Block[] =>
  [...page.matchAll(/^(.*):\n\n```yaml\n([\s\S]*?)^```/gm)].map(([, why = '', text = '']) => ({
    why,
    value: readYaml(text).documents[0]?.value,
  }));
const pages = [...referencePages()].flatMap(([path, text]) => {
  const [, role, name] = /reference\/(\w+)\/([\w-]+)\.md$/.exec(path) ?? [];
  return role && name ? [{ role, name, text, blocks: blocksOf(text) }] : [];
});
const pagesOf = (role: string) => pages.filter((page) => page.role === role);

it('everything of the catalogue has its page, and no block of one is left out here', () => {
  for (const role of ['steps', 'sources', 'sinks', 'connections'] as const)
    expect(pagesOf(role).map(({ name }) => name)).toEqual([...catalog[role].keys()]);
  for (const { text, blocks } of pages) expect(blocks).toHaveLength(text.split('```yaml').length - 1);
});

describe.each(pagesOf('steps'))('the page of the step $name', ({ blocks }) => {
  it.each(blocks)('$why', async ({ value }) => {
    const example = value as Shown & { given: ExampleMessage };
    const refusal = refusalOf(example);
    if ('refused' in example) {
      expect(refusal).toContain(example.refused);
      return;
    }
    expect(refusal).toBeUndefined();
    if ('rejects' in example) {
      await expect(becomes(example, [])).rejects.toMatchObject({ instruction: 'reject', code: example.rejects });
    } else {
      if ('givenAll' in example) {
        const { becomes: expected } = example as unknown as Becoming;
        expect(await gathered(example as never, expected)).toEqual(expected);
        return;
      }
      const { becomes: expected, publishes = [], asks } = example as unknown as Becoming;
      const { asks: asked, ...made } = await becomes(example, expected);
      expect(made).toEqual({ becomes: expected, publishes });
      if (asks) expect(asked).toEqual(asks);
    }
  });

  it('shows what works and an edge of it, a bad configuration, and what becomes of bad input', () => {
    const countOf = (key: string) => blocks.filter(({ value }) => key in (value as Shown)).length;
    // Some steps let pass what is no JSON: then that is what they show.
    const isBadInput = ({ value }: Block) => {
      const { given, givenAll = [given], rejects } = value as { given?: object; givenAll?: object[]; rejects?: string };
      return rejects !== undefined || givenAll.some((each) => each !== undefined && 'text' in each);
    };
    expect(blocks.filter(isBadInput).length).toBeGreaterThanOrEqual(1);
    expect(blocks.length).toBeGreaterThanOrEqual(4);
    expect(countOf('becomes')).toBeGreaterThanOrEqual(2);
    expect(countOf('refused')).toBeGreaterThanOrEqual(1);
  });
});

it('control: a page that promises something else is found', async () => {
  const [{ value } = { value: undefined }] = blocksOf(
    'A filter:\n\n```yaml\nstep: {filter: {when: "true"}}\ngiven: {body: 1}\nbecomes: []\n```\n',
  );
  expect(await becomes(value as Shown & { given: ExampleMessage }, [])).toMatchObject({
    becomes: [{ body: 1 }],
  });
});

it('kanava steps NAME says what the page says', async () => {
  const { stdout } = await kanava(['steps', 'split']);
  for (const { value } of pagesOf('steps').find(({ name }) => name === 'split')?.blocks ?? []) {
    const { step } = value as Shown;
    expect(Object.keys(step)).toEqual(['split']);
  }
  const page = pagesOf('steps').find(({ name }) => name === 'split')?.text ?? '';
  for (const [, text = ''] of page.matchAll(/^```yaml\n([\s\S]*?)^```/gm))
    expect(stdout).toContain(text.replaceAll(/^(?=.)/gm, '    '));
});
