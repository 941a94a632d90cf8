import type { KubeObject } from '../reconcile/ports.ts';

/* Which pods have a Secret as files, and what tells the kubelet that it is worth a look. */
export const secretsAnnotation = 'kanava.dev/secrets-revision';

/** The version says nothing about the value, unlike a hash of it. */
export const secretsRevision = ({ metadata }: KubeObject): Record<string, string> => ({
  [secretsAnnotation]: `${metadata.name}.${metadata.resourceVersion}`,
});

interface Volume {
  readonly secret?: { readonly secretName?: string };
  readonly projected?: { readonly sources?: readonly { readonly secret?: { readonly name?: string } }[] };
}
export const mountsSecret = (deployment: KubeObject, name: string): boolean => {
  const { template } = deployment['spec'] as { template: { spec: { volumes?: readonly Volume[] } } };
  return (template.spec.volumes ?? []).some(
    ({ secret, projected }) =>
      secret?.secretName === name || (projected?.sources ?? []).some((source) => source.secret?.name === name),
  );
};
