import { describe, expect, it } from 'vitest';
import { childLabels } from '../../../operator/plan/children.ts';
import { planNetworkPolicies } from '../../../operator/plan/network-policies.ts';
import { acme, home, settings } from './fixtures.ts';
import { isOpen, type Other } from './network-evaluator.ts';

const tenantHome = { tenant: 'acme', namespace: 'acme' };
const worker = { namespace: 'acme', labels: childLabels(home, 'worker') };
const gateway = { namespace: 'acme', labels: childLabels(tenantHome, 'gateway') };
const stranger = { namespace: 'acme', labels: { app: 'made-by-hand' } };
const dns: Other = { namespace: 'kube-system', labels: { 'k8s-app': 'kube-dns' } };
const nats: Other = { namespace: 'kanava-system', labels: { app: 'nats' } };
const shop: Other = { namespace: 'shop', namespaceLabels: { team: 'shop' }, labels: { app: 'api' } };
const neighbour: Other = { namespace: 'globex', labels: { 'app.kubernetes.io/component': 'worker' } };

const policies = (network: Parameters<typeof acme>[0] = {}, config = {}) =>
  planNetworkPolicies(tenantHome, acme(network), settings(config).config);
const address = (text: string): Other => ({ address: text });

describe('network policies', () => {
  const closed = policies();
  const out: [why: string, pod: typeof worker, other: Other, port: number, open: boolean, protocol?: string][] = [
    ['names must be resolved', worker, dns, 53, true, 'UDP'],
    ['also over TCP, for long answers', gateway, dns, 53, true],
    ['nothing else of the DNS pods', worker, dns, 9153, false],
    ['messages', worker, nats, 4222, true],
    ['messages', gateway, nats, 4222, true],
    ['monitoring names every tenant', worker, nats, 8222, false],
    ['routes of the NATS cluster', worker, nats, 6222, false],
    ['pods that are not ours have no way to NATS', stranger, nats, 4222, false],
    ['nor to names', stranger, dns, 53, false, 'UDP'],
    ['public addresses', worker, address('93.184.216.34'), 443, true],
    ['public addresses of IPv6', worker, address('2606:2800:220:1::1'), 443, true],
    ['the gateway calls nobody', gateway, address('93.184.216.34'), 443, false],
    ['instance metadata', worker, address('169.254.169.254'), 80, false],
    ['instance metadata of another cloud', worker, address('168.63.129.16'), 80, false],
    ['instance metadata over IPv6', worker, address('fd00:ec2::254'), 80, false],
    ['private', worker, address('10.1.2.3'), 443, false],
    ['pods of this cluster', worker, address('10.244.1.7'), 443, false],
    ['loopback', worker, address('127.0.0.1'), 443, false],
    ['IPv4 inside IPv6', worker, address('::ffff:10.1.2.3'), 443, false],
    ['another tenant', worker, neighbour, 8080, false],
    ['services of a neighbour that is not listed', worker, shop, 80, false],
  ];
  it.each(out)('out: %s', (_why, pod, other, port, open, protocol = 'TCP') => {
    expect(isOpen(closed, pod, 'egress', other, port, protocol)).toBe(open);
  });

  const inward: [why: string, pod: typeof worker, other: Other, port: number, open: boolean][] = [
    ['pods of the own namespace reach the gateway', gateway, { namespace: 'acme', labels: {} }, 8080, true],
    ['and nothing but its port', gateway, { namespace: 'acme', labels: {} }, 8081, false],
    ['others do not', gateway, neighbour, 8080, false],
    ['nobody reaches a worker', worker, { namespace: 'acme', labels: {} }, 8080, false],
    ['nodes probe', worker, address('192.168.5.9'), 8081, true],
    ['and only probe', gateway, address('192.168.5.9'), 8080, false],
    ['other addresses do not probe', worker, address('192.168.6.9'), 8081, false],
  ];
  it.each(inward)('in: %s', (_why, pod, other, port, open) => {
    expect(isOpen(closed, pod, 'ingress', other, port)).toBe(open);
  });

  it('without the default deny everything would be open (control)', () => {
    expect(isOpen([], worker, 'egress', address('169.254.169.254'), 80)).toBe(true);
    const others = closed.filter(({ metadata }) => metadata.name !== 'kanava-default-deny');
    expect(isOpen(others, stranger, 'egress', nats, 4222)).toBe(true);
  });

  it('opens what the ceiling lists, and then nothing else', () => {
    const listed = policies({
      network: {
        egress: {
          allow: [
            { cidr: '10.20.0.0/16', ports: [5432] },
            { namespaceSelector: { matchLabels: { team: 'shop' } }, ports: [8080] },
          ],
        },
        ingressFrom: [{ namespaceSelector: { matchLabels: { team: 'shop' } } }],
      },
    });
    expect(isOpen(listed, worker, 'egress', address('10.20.3.4'), 5432)).toBe(true);
    expect(isOpen(listed, worker, 'egress', address('10.20.3.4'), 22)).toBe(false);
    expect(isOpen(listed, worker, 'egress', shop, 8080)).toBe(true);
    expect(isOpen(listed, worker, 'egress', neighbour, 8080)).toBe(false);
    expect(isOpen(listed, worker, 'egress', address('93.184.216.34'), 443)).toBe(false);
    expect(isOpen(listed, gateway, 'ingress', shop, 8080)).toBe(true);
    expect(isOpen(listed, gateway, 'ingress', neighbour, 8080)).toBe(false);
  });

  it('keeps narrower closed ranges out of a wide entry', () => {
    const wide = policies({ network: { egress: { allow: [{ cidr: '10.0.0.0/8' }, { cidr: '0.0.0.0/0' }] } } });
    expect(isOpen(wide, worker, 'egress', address('10.9.9.9'), 443)).toBe(true);
    expect(isOpen(wide, worker, 'egress', address('10.244.1.7'), 443)).toBe(false);
    expect(isOpen(wide, worker, 'egress', address('169.254.169.254'), 80)).toBe(false);
    const exact = policies({ network: { egress: { allow: [{ cidr: '10.244.0.0/16' }] } } });
    expect(isOpen(exact, worker, 'egress', address('10.244.1.7'), 443)).toBe(true);
  });

  it('knows an external NATS by its addresses', () => {
    const external = policies({}, { nats: { url: 'tls://nats.example:4222', network: { cidrs: ['203.0.113.7/32'] } } });
    expect(isOpen(external, worker, 'egress', address('203.0.113.7'), 4222)).toBe(true);
    expect(isOpen(external, worker, 'egress', address('203.0.113.8'), 4222)).toBe(false);
  });
});
