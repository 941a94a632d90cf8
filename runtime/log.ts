import { writeSync } from 'node:fs';
import type { Log } from './connector.ts';

/*
 * One JSON object a line, in pino's form, which the operator writes too. A worker starts from zero again and again, and pino's streams
 * cost 8 ms and 8 MiB of that (decision 008); what a worker logs is little and never on the way of a message.
 */
const levels = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60, silent: 100 } as const;
type Level = keyof typeof levels;

export interface ProcessLog extends Log {
  fatal(fields: Record<string, unknown>, text: string): void;
}

export const createLog = (level: string, base: Readonly<Record<string, unknown>>, write = toStdout): ProcessLog => {
  const least = levels[level as Level] ?? levels.info;
  const at =
    (name: Level) =>
    (fields: Record<string, unknown>, text: string): void => {
      if (levels[name] < least) return;
      const line = { level: levels[name], time: new Date().toISOString(), ...base, ...fields, msg: text };
      write(`${JSON.stringify(line)}\n`);
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), fatal: at('fatal') };
};

/** A reader that went away must not end the process that it read from. */
const toStdout = (line: string): void => {
  try {
    writeSync(1, line);
  } catch {
    // EPIPE, or EAGAIN of a full pipe: a lost log line is better than a stopped worker.
  }
};
