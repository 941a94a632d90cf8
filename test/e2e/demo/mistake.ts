import { join } from 'node:path';
import { run } from '../../cluster/command.ts';
import type { Report } from './report.ts';

const root = join(import.meta.dirname, '../../..');
const file = 'examples/bad/cel-in-a-map.yaml';

/** `kanava check` needs no cluster, and says what API server and operator would say. */
export const showCheck = async (report: Report): Promise<void> => {
  const { code, stdout } = await run(process.execPath, [join(root, 'cli/launch.js'), 'check', file], { cwd: root });
  report.note(`$ kanava check ${file}\n${stdout}`);
  report.check(code === 1 && stdout.includes(`${file}:`), `kanava check ends with ${code} and says file and line`);
};
