import { parseArgs } from 'node:util';

/*
 * How every fault run ends: its numbers, its claims, and whether all of them hold. With `--json` one object on standard output, and all
 * else on standard error.
 */
export interface Claim {
  readonly text: string;
  readonly holds: boolean;
}
export type Numbers = Readonly<Record<string, number | Readonly<Record<string, number>>>>;
export interface Options<Name extends string> {
  readonly numbers: Readonly<Record<Name, number>>;
  readonly controls: boolean;
  readonly json: boolean;
  readonly say: Say;
}
export type Say = (text: string) => void;

export const sayer = (json: boolean): Say => (json ? (text) => console.error(text) : (text) => console.log(text));

export const report = (numbers: Numbers, claims: readonly Claim[], json: boolean): boolean => {
  const holds = claims.every((claim) => claim.holds);
  if (json) console.log(JSON.stringify({ holds, claims, ...numbers }));
  else {
    for (const line of lines(numbers)) console.log(line);
    for (const claim of claims) console.log(`${claim.holds ? 'holds' : 'BROKEN'}  ${claim.text}`);
  }
  return holds;
};

export const lines = (numbers: Numbers): string[] =>
  Object.entries(numbers).map(([name, value]) => {
    if (typeof value === 'number') return `  ${name.padEnd(20)} ${Math.round(value)}`;
    const each = Object.entries(value).map(([part, count]) => `${part} ${Math.round(count)}`);
    return `  ${name.padEnd(20)} ${each.join(', ')}`;
  });

export const whole = (name: string, text: string): number => {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`${name} must be a whole number above 0, not "${text}"`);
};

/** Options of a run that has numbers only: `--help`, `--json`, `--no-controls` and one option for each number. */
export const readOptions = <Name extends string>(
  args: string[],
  help: string,
  defaults: Readonly<Record<Name, number>>,
): Options<Name> | undefined => {
  const names = Object.keys(defaults) as Name[];
  const { values } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', short: 'h' },
      json: { type: 'boolean' },
      'no-controls': { type: 'boolean' },
      ...Object.fromEntries(names.map((name) => [name, { type: 'string' as const }])),
    },
  });
  if (values.help) {
    console.log(help);
    return undefined;
  }
  const given = values as Readonly<Record<string, string | undefined>>;
  const numbers = Object.fromEntries(
    names.map((name) => [name, whole(`--${name}`, given[name] ?? String(defaults[name]))]),
  ) as Record<Name, number>;
  const json = values.json === true;
  return { numbers, controls: values['no-controls'] !== true, json, say: sayer(json) };
};
