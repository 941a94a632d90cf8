import { expect, it } from 'vitest';
import { compiledEngine } from '../../../runtime/expr/threads/engine.ts';
import { openMachine } from '../../../runtime/expr/threads/quickjs.ts';

/* The engine by itself, as the program of a thread has it. */

// What ends a job in such a chain leaves nothing to do, which looked like its end four times of five.
it('promises without end are told as too slow, whatever they leave behind', { timeout: 120_000 }, async () => {
  const engine = await compiledEngine();
  const program = '(() => { const f = () => Promise.resolve().then(f); return (text) => { f(); return text; }; })();';
  for (let times = 0; times < 5; times += 1) {
    const machine = await openMachine(program, { engine, keep: false, file: 'script' });
    expect(() => machine.run('x')).toThrow(expect.objectContaining({ code: 'TooSlow' }));
  }
});
