import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

/*
 * `kanava` in a clone. Half of what a command takes is taking types out of what it imports and compiling it: both are kept for the next time,
 * and the first time is the installation (test/setup.sh). Plain JavaScript, since a first file with types loads what takes them out, every
 * time. Where nothing can be written it goes without.
 */
enableCompileCache(join(import.meta.dirname, '..', 'node_modules', '.cache', 'compiled'));
await import('./main.ts');
