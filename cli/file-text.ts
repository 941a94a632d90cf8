import { readFileSync } from 'node:fs';
import { UsageError } from './outcome.ts';

/** What is in a file that an option names. */
export const fileText = (file: string, option: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new UsageError(`${option}: ${(cause as Error).message}`, { cause });
  }
};
