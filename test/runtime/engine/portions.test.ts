import { describe, expect, it } from 'vitest';
import { catalog } from '../../../runtime/catalog.ts';
import type { RunningAttempt } from '../../../runtime/engine/attempts.ts';
import type { Course } from '../../../runtime/engine/course.ts';
import { openParts, type PartContext, type Parts } from '../../../runtime/engine/parts.ts';
import { travelLarge } from '../../../runtime/engine/portions.ts';
import type { Passed } from '../../../runtime/engine/record.ts';
import { retry } from '../../../runtime/errors.ts';
import { Body, type Message } from '../../../runtime/message.ts';
import { attemptOf } from '../attempt.ts';
import { messageOf, silent } from '../steps/harness.ts';
import { flowTo } from './workshop.ts';

/* A message that is taken apart while it is delivered: what is confirmed, what is told, and where it ends. */
const lines = { name: 'lines', split: { lines: { contentType: 'application/json' } } };
const attempt = (): RunningAttempt => ({
  ...attemptOf(),
  timedOut: () => false,
  orAbandoned: (work) => work,
  onAbandoned: () => undefined,
  end: () => undefined,
});
const open = async (steps: readonly unknown[], publish: (event: Message) => Promise<void>): Promise<Parts> => {
  const flow = flowTo('', { steps, sinks: [{ name: 'out', bus: {} }] } as never);
  return openParts(flow, catalog, {
    publisher: () => publish,
    memory: () => undefined,
    log: silent,
  } as unknown as PartContext);
};
const large = (text: string, readTo = text.length): Message => ({
  ...messageOf(null),
  body: Body.inPieces({
    bytes: text.length,
    async *read() {
      for (let at = 0; at < readTo; at += 3) yield Buffer.from(text.slice(at, at + 3));
      if (readTo < text.length) throw retry('BodyMissing', 'the rest is not there');
    },
  }),
});

const run = async (
  steps: readonly unknown[],
  message: Message,
  {
    fails = () => false,
    confirmed = [],
    course = {},
    passed,
  }: { fails?: (id: string) => boolean; confirmed?: string[]; course?: Course; passed?: Passed | undefined } = {},
) => {
  const sent: string[] = [];
  const parts = await open(steps, async ({ attrs }) => {
    if (fails(attrs.id)) throw retry('Down', 'not now');
    sent.push(attrs.id);
  });
  const told: Passed[] = [];
  const pass = async (portion: Passed) => void told.push(portion);
  const arrival = await travelLarge(parts, message, attempt(), { course, confirmed, passed, pass });
  return { sent, arrival, told };
};

describe('a message that is taken apart while it is delivered', () => {
  it('reaches the sinks part by part, and tells which have theirs', async () => {
    const { sent, arrival } = await run([lines, { name: 'keep', filter: { when: 'body != 2' } }], large('1\n2\n3\n'));
    expect(sent).toEqual(['1/0', '1/2']);
    expect(arrival).toEqual({ failures: [], filtered: false, confirmed: ['out/0', 'out/2'] });
  });

  it('goes on behind a sink that fails, and calls none again that has it', async () => {
    const first = await run([lines], large('1\n2\n3\n'), { fails: (id) => id === '1/1' });
    expect(first.arrival).toMatchObject({ failures: [{ part: 'out', key: 'out/1' }], confirmed: ['out/0', 'out/2'] });
    const again = await run([lines], large('1\n2\n3\n'), { confirmed: [...first.arrival.confirmed] });
    expect(again.sent).toEqual(['1/1']);
    expect(again.arrival.confirmed).toEqual(['out/0', 'out/2', 'out/1']);
  });

  it('ends where a step refuses, and where the body does: what was delivered before is remembered', async () => {
    const refused = await run(
      [lines, { name: 'keep', filter: { when: 'body.x > 1' } }],
      large('{"x":2}\n3\n{"x":4}\n'),
    );
    expect(refused.arrival).toMatchObject({ failures: [{ part: 'keep', key: undefined }], confirmed: ['out/0'] });
    const missing = await run([lines], large('1\n2\n3\n', 3));
    expect(missing.sent).toEqual(['1/0']);
    expect(missing.arrival).toMatchObject({ failures: [{ part: 'lines', code: 'BodyMissing' }], confirmed: ['out/0'] });
  });

  it('is replayed for one part alone, which must be there', async () => {
    const { sent } = await run([lines], large('1\n2\n3\n'), { course: { only: 'out/2' } });
    expect(sent).toEqual(['1/2']);
    await expect(run([lines], large('1\n2\n3\n'), { course: { only: 'gone/2' } })).rejects.toMatchObject({
      code: 'UnknownSink',
    });
  });

  it('is filtered as a whole, before it is read', async () => {
    const steps = [{ name: 'first', filter: { when: "attrs.type == 'other'" } }, lines];
    const { sent, arrival } = await run(steps, large('1\n2\n', 0));
    expect([sent, arrival]).toEqual([[], { failures: [], filtered: true, confirmed: [] }]);
  });

  describe('in portions', () => {
    const text = '1\n'.repeat(2_500);
    const by = 'lines {"lines":{"contentType":"application/json"}}';

    it('tells of each that is settled, and remembers no more than one', async () => {
      const { sent, arrival, told } = await run([lines], large(text));
      expect([sent.length, sent.at(-1)]).toEqual([2_500, '1/2499']);
      expect(told).toEqual([
        { by, messages: 1_000 },
        { by, messages: 2_000 },
      ]);
      expect(arrival).toMatchObject({ failures: [], filtered: false });
      expect(arrival.confirmed).toHaveLength(500);
    });

    it('ends behind one in which something failed, and goes on there when that is settled', async () => {
      const first = await run([lines], large(text), { fails: (id) => id === '1/1500' });
      expect(first.sent).toHaveLength(1_999);
      expect(first.told).toEqual([{ by, messages: 1_000 }]);
      expect(first.arrival).toMatchObject({ failures: [{ key: 'out/1500' }], passed: { by, messages: 2_000 } });
      const again = await run([lines], large(text), {
        confirmed: [...first.arrival.confirmed],
        passed: first.told[0],
      });
      expect([again.sent[0], again.sent.length]).toEqual(['1/1500', 501]);
      const later = await run([lines], large(text), { passed: first.arrival.passed });
      expect([later.sent[0], later.sent.length]).toEqual(['1/2000', 500]);
    });

    it('begins anew where another step takes it apart, whose messages are others', async () => {
      const { sent } = await run([lines], large(text), { passed: { by: 'other', messages: 2_000 } });
      expect(sent).toHaveLength(2_500);
    });

    it('has none for a replay of one part alone', async () => {
      const { sent, told } = await run([lines], large(text), { course: { only: 'out/2400' } });
      expect([sent, told]).toEqual([['1/2400'], []]);
    });
  });
});
