/* Address ranges as numbers, for the exceptions that a NetworkPolicy needs: each must lie strictly inside its range. */
export interface Range {
  readonly bits: 32 | 128;
  readonly base: bigint;
  readonly prefix: number;
}

/** The range of `10.0.0.0/8`, `fd00::/8` or a bare address; `undefined` when it is not one. */
export const parseRange = (text: string): Range | undefined => {
  const [address = '', length, ...rest] = text.split('/');
  const bits = address.includes(':') ? 128 : 32;
  const value = bits === 128 ? parseV6(address) : parseV4(address);
  const prefix = length === undefined ? bits : /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN;
  if (value === undefined || rest.length > 0 || !(prefix >= 0 && prefix <= bits)) return undefined;
  const host = BigInt(bits - prefix);
  return { bits, base: (value >> host) << host, prefix };
};

const parseV4 = (text: string): bigint | undefined => {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) return undefined;
  return parts.reduce((sum, part) => sum * 256n + BigInt(part), 0n);
};

const parseV6 = (text: string): bigint | undefined => {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')).flatMap(group16));
  const [head = [], tail] = groups;
  const missing = 8 - head.length - (tail?.length ?? 0);
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  const all = [...head, ...Array.from({ length: missing }, () => '0'), ...(tail ?? [])];
  if (!all.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return all.reduce((sum, group) => sum * 65_536n + BigInt(`0x${group}`), 0n);
};

// The last 32 bits may be written as an IPv4 address.
const group16 = (group: string): string[] => {
  const v4 = group.includes('.') ? parseV4(group) : undefined;
  return v4 === undefined ? [group] : [(v4 >> 16n).toString(16), (v4 & 65_535n).toString(16)];
};

export const isInside = (inner: Range, outer: Range): boolean => {
  if (inner.bits !== outer.bits || inner.prefix < outer.prefix) return false;
  const host = BigInt(outer.bits - outer.prefix);
  return inner.base >> host === outer.base >> host;
};
