import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { catalog } from '../../../runtime/catalog.ts';
import { openParts, type PartContext } from '../../../runtime/engine/parts.ts';
import { runSteps } from '../../../runtime/engine/steps.ts';
import type { Flow } from '../../../runtime/flow.ts';
import { Body, type JsonValue, type Message } from '../../../runtime/message.ts';
import { splitStep } from '../../../runtime/steps/split.ts';
import { filter, map } from '../../build.ts';
import { stepConformance } from '../../conformance/step.ts';
import { attempt, messageOf, openStep } from './harness.ts';

stepConformance('split', {
  definition: splitStep,
  config: { items: 'body.lines' },
  bad: [
    ['no way to split', {}],
    ['two ways', { items: 'body', lines: {} }],
    ['two ends of a record', { records: { separator: { text: '-' }, size: { bytes: 1 } } }],
    ['a record of no length', { records: { size: { bytes: 0 } } }],
    ['what is no expression', { items: 'body +' }],
  ],
  passes: (index) => ({ lines: [index, index + 1] }),
});

const made = async (config: unknown, body: JsonValue | Uint8Array, attrs: Record<string, string> = {}) => {
  const message = messageOf(body);
  const step = await openStep(splitStep, config);
  return [...((await step({ ...message, attrs: { ...message.attrs, ...attrs } })) as Iterable<Message>)];
};
const texts = (messages: readonly Message[]) => messages.map(({ body }) => Buffer.from(body.bytes()).toString());

describe('split', () => {
  it.each<[string, unknown, string, string[]]>([
    ['the last line without an end', { lines: {} }, 'a\nb', ['a', 'b']],
    ['lines of Windows', { lines: {} }, 'a\r\nb\r\n', ['a', 'b']],
    ['a carriage return within a line', { lines: {} }, 'a\rb\n', ['a\rb']],
    ['blank lines', { lines: {} }, '\n\r\n\na\n\n', ['a']],
    ['nothing', { lines: {} }, '', []],
    ['characters of several bytes', { lines: {} }, 'ä\n€\n', ['ä', '€']],
    ['records with a carriage return at the end', { records: { separator: { text: ';' } } }, 'a\r;b', ['a\r', 'b']],
    ['a separator of several bytes', { records: { separator: { text: '→' } } }, 'a→→b→', ['a', 'b']],
    ['records of a length', { records: { size: { bytes: 2 } } }, 'aabb', ['aa', 'bb']],
    ['no record', { records: { size: { bytes: 2 } } }, '', []],
  ])('splits %s', async (_, config, body, expected) => {
    expect(texts(await made(config, Buffer.from(body)))).toEqual(expected);
  });

  it.each<[string, unknown, Record<string, string>, string | undefined]>([
    ['JSON of JSON Lines', { lines: {} }, { datacontenttype: 'application/x-ndjson' }, 'application/json'],
    ['what it was', { lines: {} }, { datacontenttype: 'text/csv' }, 'text/csv'],
    ['nothing, when nothing is known', { lines: {} }, {}, undefined],
    ['what is configured', { lines: { contentType: 'text/plain' } }, { datacontenttype: 'text/csv' }, 'text/plain'],
  ])('calls the parts %s', async (_, config, attrs, expected) => {
    expect((await made(config, Buffer.from('a'), attrs))[0]?.attrs['datacontenttype']).toBe(expected);
  });

  it('makes views of the bytes that came, and no more of them than are asked for', async () => {
    const bytes = Buffer.from('aa\nbb\n'.repeat(1_000));
    const step = await openStep(splitStep, { lines: {} });
    const [first] = (await step(messageOf(bytes))) as Iterable<Message>;
    expect(first?.body.bytes().buffer).toBe(bytes.buffer);
  });
});

describe('split in a flow', () => {
  const open = (steps: unknown) =>
    openParts(
      { tenant: 'acme', integration: 'orders', sinks: [], connections: {}, flows: [], steps } as unknown as Flow,
      catalog,
      { memory: () => ({}), own: () => ({}) } as unknown as PartContext,
    );
  const through = async (steps: unknown, body: JsonValue | Uint8Array) =>
    await runSteps((await open(steps)).steps, messageOf(body), attempt);
  /** As they come from a stream: of any size. */
  const inPieces = (whole: Uint8Array, size: number) =>
    Body.inPieces({
      bytes: whole.length,
      async *read() {
        for (let at = 0; at < whole.length; at += size) yield whole.subarray(at, at + size);
      },
    });

  describe('a large body', () => {
    it('becomes the same parts as one that is here, wherever its pieces end', async () => {
      let seed = 7;
      const random = (below: number) => {
        seed = (seed * 48_271) % 2_147_483_647;
        return seed % below;
      };
      const configs: readonly unknown[] = [
        { lines: {} },
        { records: { separator: { text: 'ab' } } },
        { records: { separator: { text: '\n' } } },
        { records: { size: { bytes: 3 } } },
      ];
      for (let round = 0; round < 400; round += 1) {
        const text = Array.from({ length: 3 * random(30) }, () => 'ab\r\n1'[random(5)]).join('');
        const config = configs[round % configs.length];
        const step = await splitStep.open(splitStep.config.parse(config), {} as never);
        const taken: Message[] = [];
        const body = inPieces(Buffer.from(text), 1 + random(7));
        const children = step.takeApart?.({ ...messageOf(null), body }, attempt) ?? [];
        for await (const child of children) taken.push(child);
        const why = `seed 7, round ${round}: ${JSON.stringify([config, text])}`;
        expect(texts(taken), why).toEqual(texts(await made(config, Buffer.from(text))));
      }
    });

    const taken = async (items: string, text: string | Buffer, size: number) => {
      const step = await splitStep.open(splitStep.config.parse({ items }), {} as never);
      const children = step.takeApart?.({ ...messageOf(null), body: inPieces(Buffer.from(text), size) }, attempt) ?? [];
      const found: Message[] = [];
      for await (const child of children) found.push(child);
      return found;
    };

    it('has the same items as one that is here, wherever its pieces end', async () => {
      const value = fc.jsonValue({ maxDepth: 3, stringUnit: 'binary' });
      const name = fc.constantFrom('lines', 'order', 'a"b', 'lines ');
      const around = fc.dictionary(name, value, { maxKeys: 3 });
      const space = fc.constantFrom(undefined, 1, '\t');
      const document = fc.record({ list: fc.array(value, { maxLength: 5 }), around, within: around, space });
      await fc.assert(
        fc.asyncProperty(document, fc.integer({ min: 1, max: 9 }), async ({ list, around, within, space }, size) => {
          const bodies = {
            body: list,
            'body.lines': { ...around, lines: list },
            'body.order.lines': { ...around, order: { ...within, lines: list }, last: [around] },
          };
          for (const [items, whole] of Object.entries(bodies)) {
            const found = await taken(items, JSON.stringify(whole, undefined, space), size);
            expect(texts(found)).toEqual(texts(await made({ items }, whole as JsonValue)));
          }
        }),
        { seed: 11, numRuns: 300 },
      );
    });

    it.each<[string, string, string, string, number]>([
      ['no list', 'body.a', '{"a":{"a":[1]}}', 'NotAList', 0],
      ['no such field', 'body.b', '{"a":{"b":[1]},"c":"b"}', 'ExpressionFailed', 0],
      ['a field of no object', 'body.a.b', '{"a":["b"]}', 'ExpressionFailed', 0],
      ['a list that is not closed', 'body', '[1,2', 'BodyNotJson', 1],
      ['an object that is not closed', 'body.a', '{"a":[1,2]', 'BodyNotJson', 2],
      ['two values without a comma', 'body', '[1,2 3]', 'BodyNotJson', 1],
      ['a comma too much', 'body', '[1,]', 'BodyNotJson', 1],
      ['nothing before a comma', 'body', '[,1]', 'BodyNotJson', 0],
      ['more behind the end', 'body', '[1]]', 'BodyNotJson', 1],
      ['a value behind the end', 'body', '[1] 2', 'BodyNotJson', 1],
      ['another end', 'body', '[1}', 'BodyNotJson', 0],
      ['nothing', 'body', '', 'BodyNotJson', 0],
      ['bytes that are no text', 'body', '["\u00ff"]', 'BodyNotJson', 0],
    ])('is refused behind the items before: %s', async (_, items, text, code, before) => {
      for (const size of [1, 2, 100]) {
        const step = await splitStep.open(splitStep.config.parse({ items }), {} as never);
        const body = inPieces(Buffer.from(text, 'latin1'), size);
        const children = step.takeApart?.({ ...messageOf(null), body }, attempt) as AsyncIterable<Message>;
        let count = 0;
        const read = async () => {
          for await (const { body: item } of children) count += item.bytes().length > 0 ? 1 : 0;
        };
        await expect(read()).rejects.toMatchObject({ instruction: 'reject', code });
        expect(count, `in pieces of ${size}`).toBe(before);
      }
    });

    it('has a mark at its beginning, or fields of one name of which the first counts', async () => {
      expect(texts(await taken('body', '\ufeff [1]', 2))).toEqual(['1']);
      expect(texts(await taken('body.a', '{"\\u0061":[1],"a":[2]}', 3))).toEqual(['1']);
    });

    it.each<[string, unknown, string, number]>([
      ['PartTooLarge', { items: 'body' }, `["${'x'.repeat(5 * 1024 * 1024)}"]`, 262_144],
      ['RecordIncomplete', { records: { size: { bytes: 2 } } }, 'aabbc', 2],
      ['PartTooLarge', { lines: {} }, 'x'.repeat(5 * 1024 * 1024), 262_144],
    ])('is refused: %s', async (code, config, text, size) => {
      const step = await splitStep.open(splitStep.config.parse(config), {} as never);
      const children = step.takeApart?.({ ...messageOf(null), body: inPieces(Buffer.from(text), size) }, attempt);
      await expect(children?.[Symbol.asyncIterator]().next()).rejects.toMatchObject({ instruction: 'reject', code });
    });
  });

  const lines = { name: 'split', split: { lines: {} } };

  it('gives each part an id of its own, the same at every attempt', async () => {
    const steps = [lines, filter('body != 2'), map({ no: '=body' })];
    const first = await through(steps, Buffer.from('1\n2\n3\n'));
    expect(first.map(({ attrs, body }) => [attrs.id, attrs['causationid'], body.value()])).toEqual([
      ['1/0', '1', { no: 1 }],
      ['1/2', '1', { no: 3 }],
    ]);
    expect((await through(steps, Buffer.from('1\n2\n3\n'))).map(({ attrs }) => attrs.id)).toEqual(['1/0', '1/2']);
  });

  it('numbers the parts of parts', async () => {
    const steps = [lines, { name: 'again', split: { items: 'body' } }];
    expect((await through(steps, Buffer.from('[1,2]\n[3]\n'))).map(({ attrs }) => attrs.id)).toEqual([
      '1/0/0',
      '1/0/1',
      '1/1/0',
    ]);
  });

  it.each<[string, unknown, Uint8Array]>([
    ['one step', [lines], Buffer.from('1\n'.repeat(10_001))],
    ['parts of parts', [lines, { name: 'split', split: { items: 'body' } }], Buffer.from('[1,2,3]\n'.repeat(3_334))],
  ])('stops at 10 000 messages, made by %s', async (_, steps, body) => {
    await expect(through(steps, body)).rejects.toMatchObject({
      step: 'split',
      cause: { instruction: 'reject', code: 'TooManyMessages' },
    });
    expect(await through([lines], Buffer.from('1\n'.repeat(10_000)))).toHaveLength(10_000);
  });

  it('lets others have their turn while it is at it', async () => {
    // In CPU time of this thread: what others take of the machine is not counted.
    let [longest, turns] = [0, 0];
    let before = process.threadCpuUsage();
    const spent = () => {
      const { user, system } = process.threadCpuUsage(before);
      return (user + system) / 1_000;
    };
    const watching = setInterval(() => {
      longest = Math.max(longest, spent());
      turns += 1;
      before = process.threadCpuUsage();
    }, 1);
    const slow = map({ sum: '=body.a.map(x, body.a.map(y, x * y)[0])' });
    const steps = (await open([lines, slow, filter('body.sum.size() > 0')])).steps;
    before = process.threadCpuUsage();
    const body = Buffer.from(`{"a":[${'1,'.repeat(9)}1]}\n`.repeat(10_000));
    const all = await runSteps(steps, messageOf(body), attempt);
    clearInterval(watching);
    expect([all.length, turns > 0]).toEqual([10_000, true]);
    expect(longest).toBeLessThan(250);
  });
});
