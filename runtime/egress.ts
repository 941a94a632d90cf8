import { lookup } from 'node:dns/promises';
import ipaddr from 'ipaddr.js';
import type { Egress, Endpoint } from './connector.ts';
import { reasonOf, reject, retry } from './errors.ts';
import type { EgressRules } from './flow.ts';

/*
 * Which addresses a pod may connect to. NetworkPolicies enforce the tenant's ceiling too; here it is enforced on the address that a
 * name has at the moment of connecting, which no policy can see.
 *
 * - Nothing listed: public addresses. Something listed: only what is listed.
 * - An address inside a closed range (special, private, or named by the platform) needs an entry no wider than that range: 0.0.0.0/0
 *   does not open 10.0.0.0/8, and 10.0.0.0/8 does not open the cluster's own 10.244.0.0/16.
 * - A host suffix (services of an allowed namespace) opens private ranges and those of the platform, never the special ones.
 */
type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = readonly [address: Address, bits: number];
interface ClosedRange {
  readonly name: string;
  readonly range: Range;
  /** Where no service can be: a name never leads there. */
  readonly special: boolean;
}

const special: Readonly<Record<string, readonly string[]>> = {
  unspecified: ['0.0.0.0/8'],
  loopback: ['127.0.0.0/8', '::1/128'],
  'link-local': ['169.254.0.0/16', 'fe80::/10'],
  // Instance metadata of the clouds: credentials for whoever asks. Some lie in ranges that are otherwise harmless.
  metadata: [
    '169.254.169.254/32',
    '169.254.170.2/32',
    '169.254.170.23/32',
    '168.63.129.16/32',
    '100.100.100.200/32',
    '192.0.0.192/32',
    'fd00:ec2::254/128',
    'fd00:ec2::23/128',
    'fd20:ce::254/128',
  ],
  multicast: ['224.0.0.0/4', 'ff00::/8'],
  reserved: [
    '192.0.0.0/24',
    '192.0.2.0/24',
    '192.88.99.0/24',
    '198.51.100.0/24',
    '203.0.113.0/24',
    '240.0.0.0/4',
    '::/3', // holds unspecified and IPv4-compatible addresses and local NAT64, too
    '2001::/23',
    '2001:db8::/32',
    '2002::/16',
    '3fff::/20',
    '4000::/2',
    '8000::/2',
    'c000::/3',
    'e000::/4',
    'f000::/5',
    'f800::/6',
    'fe00::/9',
    'fec0::/10',
  ],
};
const routable: Readonly<Record<string, readonly string[]>> = {
  private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
  'carrier-grade NAT': ['100.64.0.0/10'],
  benchmarking: ['198.18.0.0/15'],
};

const closedRanges = (
  table: Readonly<Record<string, readonly string[]>>,
  special: boolean,
  v6: boolean,
): ClosedRange[] =>
  Object.entries(table).flatMap(([name, cidrs]) =>
    cidrs.filter((cidr) => cidr.includes(':') === v6).map((cidr) => ({ name, range: parseRange(cidr), special })),
  );

/** All addresses of a name, as the pod's resolver has them now. */
export type Lookup = (host: string) => Promise<readonly string[]>;

const systemLookup: Lookup = async (host) =>
  (await lookup(host, { all: true, order: 'ipv4first' })).map(({ address }) => address);

export const createEgress = (rules: EgressRules, addressesOf: Lookup = systemLookup): Egress => {
  // Parsing the tables of IPv6 costs a worker's start 4 ms, and most never meet such an address.
  const parsed = new Map<boolean, ClosedRange[]>();
  const closedAround = (address: Address): ClosedRange[] => {
    const v6 = address.kind() === 'ipv6';
    const known = parsed.get(v6) ?? [
      ...closedRanges(special, true, v6),
      ...closedRanges(routable, false, v6),
      ...closedRanges({ 'of this cluster': rules.closed }, false, v6),
    ];
    parsed.set(v6, known);
    return known.filter(({ range }) => contains(range, address));
  };
  const listed = rules.allow.flatMap((entry) =>
    'cidr' in entry ? [{ range: parseRange(entry.cidr), ports: entry.ports }] : [],
  );
  const suffixes = rules.allow.flatMap((entry) =>
    'hostSuffix' in entry ? [`.${entry.hostSuffix.toLowerCase().replace(/^\.|\.$/g, '')}`] : [],
  );

  /** Undefined when the address may be used; else why not. */
  const refusal = (host: string, address: Address, port: number): string | undefined => {
    // The narrowest closed range decides; all others around it are wider, so an entry inside it is inside them.
    const around = closedAround(address).sort(
      (a, b) => b.range[1] - a.range[1] || Number(b.special) - Number(a.special),
    )[0];
    const bySuffix = suffixes.some((suffix) => host.endsWith(suffix) && host.length > suffix.length);
    if (bySuffix && !around?.special) return undefined;
    const entries = listed.filter(({ range }) => contains(range, address));
    const wideEnough = entries.filter(({ range }) => around === undefined || range[1] >= around.range[1]);
    if (wideEnough.some(({ ports }) => ports === undefined || ports.length === 0 || ports.includes(port))) {
      return undefined;
    }
    if (wideEnough.length > 0) return `port ${port} is not listed for it`;
    if (around) return `it is in a closed range (${around.name}, ${around.range.join('/')})`;
    return rules.allow.length === 0 ? undefined : 'it is not listed';
  };

  return {
    async resolve(endpoint) {
      const host = hostOf(endpoint);
      if (!Number.isInteger(endpoint.port) || endpoint.port < 1 || endpoint.port > 65_535) {
        throw denied(endpoint, `${endpoint.port} is no port`);
      }
      const refusals: string[] = [];
      for (const address of await resolved(host, addressesOf)) {
        const { checked, dialled } = unwrap(address);
        const reason = refusal(host, checked, endpoint.port);
        if (reason === undefined) {
          return { address: dialled.toString(), family: dialled.kind() === 'ipv4' ? 4 : 6 };
        }
        refusals.push(`${address.toString()}: ${reason}`);
      }
      throw denied(endpoint, refusals.join('; '));
    },
  };
};

const denied = (endpoint: Endpoint, reason: string) =>
  reject(
    'EgressDenied',
    `${endpoint.host}:${endpoint.port} may not be reached (${reason}); the platform team lists it in network.egress.allow of the Tenant`,
    { failure: 'fatal' },
  );

const contains = ([network, bits]: Range, address: Address): boolean =>
  network.kind() === address.kind() && address.match([network, bits] as [ipaddr.IPv4, number]);

const parseRange = (cidr: string): Range => ipaddr.parseCIDR(cidr);

/** What an IPv6 address stands for: a mapped one is dialled as IPv4, one behind NAT64 is judged by the IPv4 address inside. */
const unwrap = (address: Address): { checked: Address; dialled: Address } => {
  if (!(address instanceof ipaddr.IPv6)) return { checked: address, dialled: address };
  if (address.isIPv4MappedAddress()) {
    const mapped = address.toIPv4Address();
    return { checked: mapped, dialled: mapped };
  }
  if (address.match(nat64)) {
    return { checked: new ipaddr.IPv4(address.toByteArray().slice(12)), dialled: address };
  }
  return { checked: address, dialled: address };
};
/** 64:ff9b::/96, not parsed: that would cost each start 1.5 ms of regular expressions. */
const nat64: [ipaddr.IPv6, number] = [new ipaddr.IPv6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0]), 96];

/* ---- Names ---------------------------------------------------------------------------------------------------------------- */

const hostName = /^(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
/** Resolvers read `0x7f.1`, `2130706433` and `0177.0.0.1` as addresses. */
const endsInNumber = /(^|\.)(\d+|0x[0-9a-f]*)$/;

/** One spelling for each host: lower case, no final dot, no brackets. Anything that is neither address nor name is refused. */
const hostOf = (endpoint: Endpoint): string => {
  const host = endpoint.host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '');
  if (ipaddr.IPv4.isValidFourPartDecimal(host)) return host;
  if (host.includes(':') && !host.includes('%') && ipaddr.IPv6.isValid(host)) return host;
  if (!hostName.test(host) || endsInNumber.test(host)) {
    throw denied(endpoint, 'it is neither a host name nor an address in its usual spelling');
  }
  return host;
};

const resolved = async (host: string, addressesOf: Lookup): Promise<Address[]> => {
  if (ipaddr.isValid(host)) return [ipaddr.parse(host)];
  try {
    return (await addressesOf(host)).map((address) => ipaddr.parse(address.replace(/%.*$/, '')));
  } catch (cause) {
    throw retry('HostNotFound', `${host} has no address: ${reasonOf(cause)}`, { cause });
  }
};
