import type { Kubectl } from '../cluster/kubectl.ts';

/* Pod Security `restricted`, asked of the API server, which is who enforces it. */

/** What the API server says about pods that run in the namespace and would not be let in; empty when there is nothing to say. */
export const restrictedViolations = async (kubectl: Kubectl, namespace: string): Promise<string> => {
  const { code, stderr } = await kubectl([
    'label',
    '--dry-run=server',
    '--overwrite',
    `namespace/${namespace}`,
    'pod-security.kubernetes.io/enforce=restricted',
  ]);
  if (code !== 0) throw new Error(`namespace ${namespace} could not be asked about: ${stderr}`);
  return stderr.trim();
};

// No image is pulled: that no node runs them is part of the picture.
const pod = (name: string, namespace: string, securityContext: Record<string, unknown>) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace },
  spec: {
    nodeSelector: { 'kanava.dev/nowhere': 'true' },
    automountServiceAccountToken: false,
    containers: [{ name: 'main', image: 'registry.example/none:1', securityContext }],
  },
});

export const rootPod = (namespace: string) => pod('offender', namespace, { privileged: true, runAsUser: 0 });

export const restrictedPod = (namespace: string) =>
  pod('decent', namespace, {
    runAsNonRoot: true,
    runAsUser: 10001,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    seccompProfile: { type: 'RuntimeDefault' },
  });
