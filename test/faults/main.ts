import { readdirSync } from 'node:fs';

/* `npm run faults -- NAME`: one file a kind of fault; long runs of what the tests show in short. Exit code 0 only when every promise held. */
const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.faults.ts'))
  .map((file) => file.replace('.faults.ts', ''));
const [name, ...args] = process.argv.slice(2);
const help = `npm run faults -- NAME [OPTIONS]    names: ${names.join(', ')} (NAME --help tells the options)`;

if (name === '--help' || name === '-h') {
  console.log(help);
} else if (name === undefined || !names.includes(name)) {
  console.error(name === undefined ? help : `there is no fault run "${name}"\n${help}`);
  process.exitCode = 2;
} else {
  const faults = (await import(`./${name}.faults.ts`)) as { run: (args: string[]) => Promise<boolean> };
  process.exitCode = (await faults.run(args)) ? 0 : 1;
}
