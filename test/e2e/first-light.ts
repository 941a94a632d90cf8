import { afterAll, describe, expect, it } from 'vitest';
import { mustKubectl } from '../cluster/kubectl.ts';
import { type Accounts, openAccounts } from './demo/accounts.ts';
import { deadLettersOf, forgetReceived, inboxEmpty, receivedBy } from './demo/deliveries.ts';
import { demo } from './demo/demo.ts';
import { integration, receiverNamespace } from './demo/objects.ts';
import { webhook } from './demo/payloads.ts';
import { type Platform, systemNamespace } from './demo/platform.ts';
import { each, type Gateway, openGateway } from './demo/posting.ts';
import { type Reached, reachService } from './demo/reach.ts';
import { createReport } from './demo/report.ts';
import { e2eLayout } from './layout.ts';
import { findLeaks } from './leaks.ts';
import { eventually, killPods, restartsOf } from './pods.ts';
import { restrictedPod, restrictedViolations, rootPod } from './restricted.ts';

/* The demo as a user runs it, then what a hostile day does to it. */
const tenant = 'acme';
const worker = `kanava.dev/integration=${integration},app.kubernetes.io/component=worker`;
const gatewayPods = 'app.kubernetes.io/component=gateway';
const operatorPods = 'app.kubernetes.io/name=kanava,app.kubernetes.io/component=operator';
const natsPods = 'app.kubernetes.io/name=kanava,app.kubernetes.io/component=nats';
const messages = 5_000;

export const firstLight = (platform: Platform) =>
  describe('first light', () => {
    const { kubectl } = platform;
    const run = (...args: string[]) => mustKubectl(kubectl, args);
    const secretOf = async (namespace: string, name: string, key: string): Promise<string> => {
      const secret = JSON.parse(await run('get', 'secret', name, '-n', namespace, '-o', 'json')) as {
        data: Record<string, string>;
      };
      return Buffer.from(secret.data[key] ?? '', 'base64').toString();
    };

    let accounts: Accounts;
    let gateway: Gateway;
    let receiver: Reached;

    afterAll(async () => {
      receiver?.close();
      await gateway?.close();
      await accounts?.close();
    });

    it('runs the demo, and every check of it holds', async () => {
      const report = createReport((line) => console.log(line));
      await demo(platform, { keep: false, report });
      expect(report.failures).toEqual([]);
      expect(report.checks()).toBeGreaterThan(20);
      accounts = await openAccounts(platform);
      receiver = await reachService(platform, receiverNamespace, 'receiver', 8080);
      const reached = await reachService(platform, tenant, 'gateway', 80);
      gateway = openGateway(reached, integration, await secretOf(tenant, 'github', 'webhook-secret'));
    }, 600_000);

    it('shows the columns of the design, and explains every field', async () => {
      const table = await run('get', 'integrations.kanava.dev', '-A');
      expect(table.split('\n')[0]?.split(/\s+/).filter(Boolean)).toEqual([
        'NAMESPACE',
        'NAME',
        'READY',
        'STATE',
        'PODS',
        'PENDING',
        'FAILED',
        'LAST-MSG',
        'AGE',
      ]);
      expect(table).toMatch(/acme\s+github-issues\s+True\s+Running\s+1/);
      const explained = await run('explain', 'integrations.kanava.dev.spec.sources.http', '--recursive');
      expect(explained).toContain('secretKeyRef');
    });

    it('runs every pod under the restricted profile', async () => {
      for (const namespace of [systemNamespace, 'acme', 'globex', 'shop'])
        expect({ namespace, violations: await restrictedViolations(kubectl, namespace) }).toEqual({
          namespace,
          violations: '',
        });
      // The control: where nothing is enforced a pod that violates the profile gets in, and is found.
      await run('create', 'namespace', 'unwalled');
      await mustKubectl(kubectl, ['apply', '-f', '-'], { stdin: JSON.stringify(rootPod('unwalled')) });
      expect(await restrictedViolations(kubectl, 'unwalled')).toMatch(/violate[^]*offender/);
      await run('delete', 'namespace', 'unwalled', '--wait=false');
    }, 120_000);

    it("refuses a pod that violates the profile in a tenant's namespace", async () => {
      const scratch = { apiVersion: 'kanava.dev/v1alpha1', kind: 'Tenant', metadata: { name: 'scratch' } };
      const spec = { namespace: { name: 'scratch' }, deletionPolicy: 'Delete' };
      await mustKubectl(kubectl, ['apply', '-f', '-'], { stdin: JSON.stringify({ ...scratch, spec }) });
      await run('wait', '--for=condition=Ready', 'tenants.kanava.dev/scratch', '--timeout=90s');
      const create = (pod: unknown) => kubectl(['create', '-f', '-'], { stdin: JSON.stringify(pod) });
      // Kubernetes makes the ServiceAccount that a pod needs a moment after the namespace.
      await eventually(
        'a restricted pod is let in',
        async () => (await create(restrictedPod('scratch'))).code,
        (code) => code === 0,
      );
      const { code, stderr } = await create(rootPod('scratch'));
      expect(code).not.toBe(0);
      expect(stderr).toMatch(/violates PodSecurity "restricted/);
    }, 200_000);

    it('lets the operator read no Secret outside its tenants, and bind nothing in kube-system', async () => {
      const operator = `--as=system:serviceaccount:${systemNamespace}:kanava-operator`;
      const can = async (...args: string[]) => (await kubectl(['auth', 'can-i', ...args, operator])).stdout.trim();
      expect(await can('get', 'secrets', '-A')).toBe('no');
      expect(await can('get', 'secrets', '-n', 'kube-system')).toBe('no');
      expect(await can('get', 'secrets', '-n', tenant)).toBe('yes');
      const bind = [
        'create',
        'rolebinding',
        'grab',
        '-n',
        'kube-system',
        '--clusterrole=kanava-operator-tenant',
        `--serviceaccount=${systemNamespace}:kanava-operator`,
        '--dry-run=server',
      ];
      const refused = await kubectl([...bind, operator]);
      expect(refused.code, refused.stderr).not.toBe(0);
      const labelled = await kubectl([
        'label',
        'namespace',
        'kube-system',
        'kanava.dev/tenant=acme',
        '--dry-run=server',
        operator,
      ]);
      expect(labelled.code, labelled.stderr).not.toBe(0);
      // Control: neither request is refused to an administrator.
      expect((await kubectl(bind)).code).toBe(0);
      expect(
        (await kubectl(['label', 'namespace', 'kube-system', 'kanava.dev/tenant=acme', '--dry-run=server'])).code,
      ).toBe(0);
    });

    it('loses no accepted message when gateway, worker, operator and nats-server are killed', async () => {
      // What is broken here is ours. A name server that a busy machine restarts is a sink's failure, for which five attempts are few.
      const patience = { spec: { delivery: { retry: { attempts: 50, backoff: { initial: '1s', max: '5s' } } } } };
      const name = `integrations.kanava.dev/${integration}`;
      await run('patch', name, '-n', tenant, '--type=merge', '-p', JSON.stringify(patience));
      await run('wait', '--for=jsonpath={.status.observedGeneration}=2', name, '-n', tenant, '--timeout=50s');
      await run('wait', '--for=condition=Ready', name, '-n', tenant, '--timeout=50s');
      await forgetReceived(receiver);
      const deadBefore = (await deadLettersOf(accounts, tenant)).length;
      const hooks = Array.from({ length: messages }, (_, number) => webhook('issues', issue(number)));
      const accepted = new Set<string>();
      const kills = new Map([
        [1_000, () => killPods(kubectl, e2eLayout, tenant, gatewayPods)],
        [2_000, () => killPods(kubectl, e2eLayout, tenant, worker)],
        [3_000, () => killPods(kubectl, e2eLayout, systemNamespace, operatorPods)],
        [4_000, () => killPods(kubectl, e2eLayout, systemNamespace, natsPods)],
      ]);
      const killed: Promise<number>[] = [];
      await each(hooks, 16, async (hook) => {
        // A sender that was not answered 202 sends again, under the same id, as GitHub's redelivery does.
        await eventually(
          `message ${hook.id} accepted`,
          async () => {
            try {
              return (await gateway.post(hook)).status;
            } catch (error) {
              return String(error);
            }
          },
          (status) => status === 202,
        );
        accepted.add(hook.id);
        const kill = kills.get(accepted.size);
        if (kill) killed.push(kill());
      });
      // There may be several workers by now.
      expect((await Promise.all(killed)).map((count) => count >= 1)).toEqual([true, true, true, true]);
      // Our own way in went through the server that was killed.
      await accounts.close();
      accounts = await openAccounts(platform);

      expect(await inboxEmpty(accounts, tenant, 240_000)).toBe(0);
      const dead = (await deadLettersOf(accounts, tenant)).slice(deadBefore);
      expect(dead.map(({ id, code, message }) => `${id} ${code} ${message}`)).toEqual([]);
      const ids = (await receivedBy(receiver)).filter(({ path }) => path.startsWith('/acme/')).map(({ id }) => id);
      const delivered = new Set(ids);
      expect([...accepted].filter((id) => !delivered.has(id))).toEqual([]);
      // A duplicate carries the id of the first time: no id exists that was not sent.
      expect([...delivered].filter((id) => !accepted.has(id))).toEqual([]);
      console.log(
        `${messages} accepted, ${delivered.size} delivered, ${ids.length - delivered.size} more than once with the same id`,
      );
      // The kills did bite: each container was started again.
      for (const [namespace, pods] of [
        [tenant, gatewayPods],
        [tenant, worker],
        [systemNamespace, operatorPods],
        [systemNamespace, natsPods],
      ] as const)
        await eventually(
          `${pods} was restarted`,
          () => restartsOf(kubectl, namespace, pods),
          (count) => count >= 1,
        );
    }, 600_000);

    it('has an operator that goes on after its kill', async () => {
      await run(
        'patch',
        'integrations.kanava.dev',
        integration,
        '-n',
        tenant,
        '--type=merge',
        '-p',
        '{"spec":{"description":"changed"}}',
      );
      await run(
        'wait',
        '--for=jsonpath={.status.observedGeneration}=3',
        `integrations.kanava.dev/${integration}`,
        '-n',
        tenant,
        '--timeout=60s',
      );
      await run(
        'wait',
        '--for=condition=Ready',
        `integrations.kanava.dev/${integration}`,
        '-n',
        tenant,
        '--timeout=60s',
      );
    }, 150_000);

    it('shows no secret value outside Secrets', async () => {
      const found = await findLeaks(platform, accounts);
      expect(found.canaries).toBeGreaterThanOrEqual(20);
      expect(found.looked).toBeGreaterThan(50);
      expect(found.control, 'the search finds a value that does stand in a ConfigMap').toBe(true);
      expect(found.leaks).toEqual([]);
    }, 300_000);

    it('leaves nothing when its tenants go', async () => {
      await run('delete', 'tenants.kanava.dev', '--all', '--timeout=90s');
      await eventually(
        'the namespaces are gone',
        async () => (await run('get', 'namespaces', '-o', 'name')).split('\n'),
        (names) => !names.includes('namespace/acme') && !names.includes('namespace/globex'),
      );
    }, 200_000);
  });

const issue = (number: number): string =>
  JSON.stringify({
    action: 'opened',
    issue: { number, title: `issue ${number}`, state: 'open', user: { login: 'e2e', type: 'User' }, labels: [] },
    repository: { full_name: 'e2e/e2e' },
  });
