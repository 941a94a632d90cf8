import { describe, expect, test } from 'vitest';
import { createEgress, type Lookup } from '../../runtime/egress.ts';
import type { InstructionError } from '../../runtime/errors.ts';
import type { EgressRules } from '../../runtime/flow.ts';

const noRules: EgressRules = { allow: [], closed: [] };
const cluster: EgressRules = { allow: [], closed: ['10.244.0.0/16', '10.96.0.0/12', '192.0.3.0/24', 'fd10::/64'] };
const allow = (...entries: EgressRules['allow']): EgressRules => ({ ...cluster, allow: entries });

const names: Readonly<Record<string, readonly string[]>> = {
  'public.example.com': ['93.184.215.14', '2606:2800:21f:cb07::1'],
  'inside.example.com': ['10.1.2.3'],
  'mixed.example.com': ['127.0.0.1', '93.184.215.14'],
  'mapped.example.com': ['::ffff:169.254.169.254'],
  'metadata.google.internal': ['169.254.169.254'],
  'orders.shop.svc': ['10.96.0.7'],
  'orders.shop.svc.cluster.local': ['10.244.3.3'],
  'evil.shop.svc': ['169.254.169.254'],
  'local.shop.svc': ['127.0.0.1'],
  'orders.bank.svc': ['10.96.0.8'],
  'evilshop.svc': ['10.96.0.9'],
};
const lookup: Lookup = async (host) => {
  const found = names[host];
  if (!found) throw new Error(`ENOTFOUND ${host}`);
  return found;
};

const outcome = async (rules: EgressRules, host: string, port = 443): Promise<string> => {
  try {
    return (await createEgress(rules, lookup).resolve({ host, port })).address;
  } catch (error) {
    return (error as InstructionError).code;
  }
};
const denied = 'EgressDenied';

describe('nothing listed: public addresses only', () => {
  test.each<[host: string, outcome: string, why: string]>([
    ['93.184.215.14', '93.184.215.14', 'a public address'],
    ['2606:2800:21f:cb07::1', '2606:2800:21f:cb07::1', 'a public IPv6 address'],
    ['[2606:2800:21f:cb07::1]', '2606:2800:21f:cb07::1', 'as URLs write it'],
    ['public.example.com', '93.184.215.14', 'a public name'],
    ['PUBLIC.example.COM.', '93.184.215.14', 'the same name in another spelling'],
    ['mixed.example.com', '93.184.215.14', 'the address that may be used is the one that is used'],
    ['127.0.0.1', denied, 'loopback'],
    ['127.255.0.3', denied, 'all of 127/8 is loopback'],
    ['::1', denied, 'loopback'],
    ['[::1]', denied, 'loopback as URLs write it'],
    ['0.0.0.0', denied, 'means this host on Linux'],
    ['0.1.2.3', denied, 'this network'],
    ['::', denied, 'unspecified'],
    ['169.254.169.254', denied, 'metadata'],
    ['169.254.1.1', denied, 'link-local'],
    ['169.254.170.2', denied, 'container credentials'],
    ['fd00:ec2::254', denied, 'metadata over IPv6'],
    ['168.63.129.16', denied, 'metadata at a public address'],
    ['100.100.100.200', denied, 'metadata in the carrier-grade range'],
    ['fe80::1', denied, 'link-local'],
    ['fe80::1%eth0', denied, 'zones are for link-local addresses only'],
    ['10.0.0.1', denied, 'private'],
    ['172.16.0.1', denied, 'private'],
    ['172.31.255.255', denied, 'private, last address'],
    ['172.32.0.1', '172.32.0.1', 'just beyond it'],
    ['192.168.1.1', denied, 'private'],
    ['100.64.0.1', denied, 'carrier-grade NAT'],
    ['198.18.0.1', denied, 'benchmarking'],
    ['fd12:3456::1', denied, 'unique local'],
    ['fec0::1', denied, 'site-local of old'],
    ['224.0.0.1', denied, 'multicast'],
    ['ff02::1', denied, 'multicast'],
    ['240.0.0.1', denied, 'reserved'],
    ['255.255.255.255', denied, 'broadcast'],
    ['192.0.2.1', denied, 'documentation'],
    ['2001:db8::1', denied, 'documentation'],
    ['2002:7f00:1::', denied, '6to4 hides an IPv4 address'],
    ['2001:0:7f00:1::', denied, 'Teredo hides an IPv4 address'],
    ['::ffff:127.0.0.1', denied, 'mapped loopback'],
    ['::ffff:7f00:1', denied, 'mapped loopback in hex'],
    ['::ffff:10.0.0.1', denied, 'mapped private'],
    ['::ffff:93.184.215.14', '93.184.215.14', 'mapped public is dialled as IPv4'],
    ['::127.0.0.1', denied, 'IPv4-compatible loopback'],
    ['64:ff9b::7f00:1', denied, 'NAT64 of loopback'],
    ['64:ff9b::a9fe:a9fe', denied, 'NAT64 of metadata'],
    ['64:ff9b::5db8:d70e', '64:ff9b::5db8:d70e', 'NAT64 of a public address: how IPv6-only clusters reach it'],
    ['64:ff9b:1::a00:1', denied, 'local NAT64'],
    ['2130706433', denied, '127.0.0.1 as one number'],
    ['0x7f000001', denied, 'the same in hex'],
    ['0177.0.0.1', denied, 'the same in octal'],
    ['127.1', denied, 'the same, short'],
    ['0x7f.0.0.1', denied, 'one part in hex'],
    ['127.0.0.1.', denied, 'a final dot changes nothing'],
    ['127.0.0.01', denied, 'leading zeros are octal for some'],
    ['1.2.3.4.5', denied, 'no address and no name'],
    ['example.com.0x7f', denied, 'a name that ends in a number'],
    ['', denied, 'empty'],
    ['a..b', denied, 'empty label'],
    ['user@example.com', denied, 'no host name'],
    ['exa mple.com', denied, 'no host name'],
    ['ex\u0430mple.com', denied, 'not ASCII'],
    ['metadata.google.internal', denied, 'a name that leads to metadata'],
    ['mapped.example.com', denied, 'a name that leads to mapped metadata'],
    ['inside.example.com', denied, 'a public name with a private address'],
    ['unknown.example.com', 'HostNotFound', 'no address yet: may come'],
  ])('%s -> %s (%s)', async (host, expected) => {
    expect(await outcome(noRules, host)).toBe(expected);
  });
});

describe('listed', () => {
  test.each<[why: string, rules: EgressRules, host: string, port: number, outcome: string]>([
    ['the ranges of the cluster are closed', cluster, '10.244.0.5', 80, denied],
    ['even public ones', cluster, '192.0.3.9', 80, denied],
    ['and stay so for 0.0.0.0/0', allow({ cidr: '0.0.0.0/0' }), '192.0.3.9', 80, denied],
    ['0.0.0.0/0 opens what is public', allow({ cidr: '0.0.0.0/0' }), '93.184.215.14', 80, '93.184.215.14'],
    ['0.0.0.0/0 opens nothing private', allow({ cidr: '0.0.0.0/0' }), '10.1.2.3', 80, denied],
    ['0.0.0.0/0 does not open metadata', allow({ cidr: '0.0.0.0/0' }), '169.254.169.254', 80, denied],
    ['10/8 opens 10.1.2.3', allow({ cidr: '10.0.0.0/8' }), '10.1.2.3', 80, '10.1.2.3'],
    ['10/8 opens a name that leads there', allow({ cidr: '10.0.0.0/8' }), 'inside.example.com', 80, '10.1.2.3'],
    ['10/8 does not open the pods', allow({ cidr: '10.0.0.0/8' }), '10.244.0.5', 80, denied],
    ['naming the pods does', allow({ cidr: '10.244.0.0/16' }), '10.244.0.5', 80, '10.244.0.5'],
    ['naming one pod does', allow({ cidr: '10.244.0.5/32' }), '10.244.0.5', 80, '10.244.0.5'],
    ['but not its neighbour', allow({ cidr: '10.244.0.5/32' }), '10.244.0.6', 80, denied],
    ['a listed port', allow({ cidr: '10.1.2.3/32', ports: [8443] }), '10.1.2.3', 8443, '10.1.2.3'],
    ['another port', allow({ cidr: '10.1.2.3/32', ports: [8443] }), '10.1.2.3', 443, denied],
    ['what is listed is all', allow({ cidr: '10.1.2.3/32' }), '93.184.215.14', 443, denied],
    ['loopback when named', allow({ cidr: '127.0.0.1/32' }), '127.0.0.1', 80, '127.0.0.1'],
    ['link-local does not open metadata', allow({ cidr: '169.254.0.0/16' }), '169.254.169.254', 80, denied],
    ['metadata when named', allow({ cidr: '169.254.169.254/32' }), '169.254.169.254', 80, '169.254.169.254'],
    ['a mapped address by its IPv4 entry', allow({ cidr: '10.1.2.3/32' }), '::ffff:10.1.2.3', 80, '10.1.2.3'],
    ['::/0 opens no unique local address', allow({ cidr: '::/0' }), 'fd12::1', 80, denied],
    ['fd12::/16 does', allow({ cidr: 'fd12::/16' }), 'fd12::1', 80, 'fd12::1'],
    ['IPv4 entries open no IPv6', allow({ cidr: '0.0.0.0/0' }), '2606:2800::1', 80, denied],
    ['a service of an allowed namespace', allow({ hostSuffix: '.shop.svc' }), 'orders.shop.svc', 80, '10.96.0.7'],
    ['without the first dot', allow({ hostSuffix: 'shop.svc' }), 'orders.shop.svc', 80, '10.96.0.7'],
    [
      'its long name',
      allow({ hostSuffix: '.shop.svc.cluster.local' }),
      'orders.shop.svc.cluster.local.',
      80,
      '10.244.3.3',
    ],
    ['another namespace', allow({ hostSuffix: '.shop.svc' }), 'orders.bank.svc', 80, denied],
    ['a name that only ends alike', allow({ hostSuffix: '.shop.svc' }), 'evilshop.svc', 80, denied],
    ['a service that leads to metadata', allow({ hostSuffix: '.shop.svc' }), 'evil.shop.svc', 80, denied],
    ['a service that leads to loopback', allow({ hostSuffix: '.shop.svc' }), 'local.shop.svc', 80, denied],
    ['an address is not a name', allow({ hostSuffix: '.shop.svc' }), '10.96.0.7', 80, denied],
    ['port 0', noRules, '93.184.215.14', 0, denied],
  ])('%s', async (_why, rules, host, port, expected) => {
    expect(await outcome(rules, host, port)).toBe(expected);
  });

  test('a refusal is final and says which address, why, and who can change it', async () => {
    const error = await createEgress(cluster, lookup)
      .resolve({ host: 'orders.shop.svc', port: 80 })
      .catch((error: unknown) => error as InstructionError);
    expect(error).toMatchObject({ instruction: 'reject', code: 'EgressDenied', failure: 'fatal' });
    expect((error as InstructionError).message).toContain('orders.shop.svc:80');
    expect((error as InstructionError).message).toContain('10.96.0.7');
    expect((error as InstructionError).message).toContain('network.egress.allow');
  });

  test('the resolver of the machine is asked by default', async () => {
    const egress = createEgress(allow({ cidr: '127.0.0.0/8' }, { cidr: '::1/128' }));
    expect(await egress.resolve({ host: 'localhost', port: 80 })).toEqual({ address: '127.0.0.1', family: 4 });
  });
});
