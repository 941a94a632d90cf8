import { enableCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

/*
 * `kanava` in a clone. Half of what a command takes is taking types out of what it imports and compiling it: both are kept for the next time.
 * Plain JavaScript, since a first file with types loads what takes them out, every time. Where nothing can be written it goes without.
 */
enableCompileCache(join(homedir(), '.cache', 'kanava', 'compiled'));
await import('./main.ts');
