/*
 * How every fault run ends: its numbers, its claims, and whether all of them hold. With `--json` one object on standard output, and all
 * else on standard error.
 */
export interface Claim {
  readonly text: string;
  readonly holds: boolean;
}
export type Numbers = Readonly<Record<string, number | Readonly<Record<string, number>>>>;
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
