import { readdirSync } from 'node:fs';
import { UsageError } from './measure.ts';

/* `npm run bench -- NAME`: one file a bench; each compares with a yardstick in the same run and ends with lines `name value`. */
const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.bench.ts'))
  .map((file) => file.replace('.bench.ts', ''));
const [name, ...args] = process.argv.slice(2);
const help = `npm run bench -- NAME [OPTIONS]    names: ${names.join(', ')}`;

if (name === '--help' || name === '-h') {
  console.log(help);
} else if (name === undefined || !names.includes(name)) {
  console.error(name === undefined ? help : `there is no bench "${name}"\n${help}`);
  process.exitCode = 2;
} else {
  const bench = (await import(`./${name}.bench.ts`)) as { help: string; run: (args: string[]) => Promise<void> };
  if (args.includes('--help') || args.includes('-h')) console.log(`npm run bench -- ${bench.help}`);
  else
    await bench.run(args).catch((error: unknown) => {
      if (!(error instanceof UsageError)) throw error;
      console.error(`${error.message}\nnpm run bench -- ${bench.help}`);
      process.exitCode = 2;
    });
}
