import { spawn } from 'node:child_process';

/*
 * `npm run check`: format, lint, types, generated files, dead code; side by side, under a minute. Every check runs to its end, so one
 * call shows all findings.
 */
interface Check {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly mend: string;
}
const checks: readonly Check[] = [
  { name: 'format', command: ['biome', 'check', '--error-on-warnings', '.'], mend: 'npm run format' },
  {
    name: 'lint',
    command: ['oxlint', '--type-aware', '--deny-warnings', '.'],
    mend: 'npx oxlint --type-aware --fix .',
  },
  { name: 'types', command: ['tsc', '--noEmit', '-p', '.'], mend: 'mend the types named above' },
  { name: 'generated', command: ['node', 'operator/api/generate.ts', '--check'], mend: 'npm run generate' },
  { name: 'dead code', command: ['knip', '--no-progress'], mend: 'delete what nothing uses' },
];

const run = (check: Check): Promise<{ code: number; output: string; seconds: string }> =>
  new Promise((done) => {
    const started = performance.now();
    const chunks: Buffer[] = [];
    const child = spawn(check.command[0], check.command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
    const end = (code: number, extra = '') =>
      done({
        code,
        output: Buffer.concat(chunks).toString() + extra,
        seconds: ((performance.now() - started) / 1000).toFixed(1),
      });
    child.on('error', (error) => end(127, `${check.command[0]} could not be started: ${error.message}`));
    child.on('close', (code, signal) => end(code ?? 1, signal ? `ended by ${signal}` : ''));
  });

export const checkAll = async (): Promise<boolean> => {
  const results = await Promise.all(
    checks.map(async (check) => {
      const result = await run(check);
      console.log(`${result.code === 0 ? 'ok    ' : 'FAILED'} ${check.name} (${result.seconds} s)`);
      if (result.code !== 0) console.log(`${result.output.trimEnd()}\n--> ${check.mend}`);
      return result.code === 0;
    }),
  );
  return results.every(Boolean);
};

if (import.meta.main) process.exitCode = (await checkAll()) ? 0 : 1;
