import { describe, expect, it } from 'vitest';
import { createLog } from '../../runtime/log.ts';

const written = (level: string, use: (log: ReturnType<typeof createLog>) => void): Record<string, unknown>[] => {
  const lines: string[] = [];
  use(createLog(level, { role: 'worker' }, (line) => lines.push(line)));
  return lines.map((line) => {
    expect(line.indexOf('\n')).toBe(line.length - 1);
    return JSON.parse(line) as Record<string, unknown>;
  });
};

describe('the log of a runtime process', () => {
  it("is one JSON object a line in pino's form", () => {
    const [line] = written('info', (log) => log.warn({ stream: 'inbox_a' }, 'said\nso'));
    expect(line).toMatchObject({ level: 40, role: 'worker', stream: 'inbox_a', msg: 'said\nso' });
    expect(Date.parse(String(line?.['time']))).not.toBeNaN();
  });

  it.each([
    ['debug', 5],
    ['info', 4],
    ['warn', 3],
    ['error', 2],
    ['fatal', 1],
    ['silent', 0],
    ['no level that we know: as info', 4],
  ])('at %s keeps %i of five', (level, count) => {
    const lines = written(level, (log) => {
      for (const name of ['debug', 'info', 'warn', 'error', 'fatal'] as const) log[name]({}, name);
    });
    expect(lines).toHaveLength(count);
  });
});
