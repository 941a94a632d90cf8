import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mustRun } from './command.ts';

/** Files of a certificate and its key. */
export interface Certificate {
  cert: string;
  key: string;
}

export interface CertificateRequest {
  /** File name in the authority's folder, without extension. */
  name: string;
  /** CN: the user's name in Kubernetes. */
  commonName: string;
  /** O: the user's groups in Kubernetes. */
  groups?: string[];
  /** Subject alternative names: `DNS:localhost`, `IP:127.0.0.1`. Servers need them. */
  names?: string[];
}

export interface Authority {
  /** Path of the certificate that clients and servers trust. */
  ca: string;
  caKey: string;
  /** A certificate for clients and servers; the files of an earlier call with the same name are kept. */
  issue(request: CertificateRequest): Promise<Certificate>;
}

const subject = (commonName: string, groups: string[]): string =>
  [...groups.map((group) => ['O', group]), ['CN', commonName]]
    .map(([key, value]) => `/${key}=${value?.replaceAll(/[\\/+]/g, '\\$&')}`)
    .join('');

const create = async (dir: string, request: CertificateRequest, extensions: string[], signer: string[]) => {
  const { name, commonName, groups = [] } = request;
  const [cert, key, config] = ['crt', 'key', 'cnf'].map((end) => join(dir, `${name}.${end}`)) as [
    string,
    string,
    string,
  ];
  if (existsSync(cert)) return { cert, key };
  await writeFile(
    config,
    `[req]\ndistinguished_name = dn\nx509_extensions = extensions\n[dn]\n[extensions]\n${extensions.join('\n')}\n`,
  );
  // The certificate's name is written last: what exists is whole.
  const unfinished = `${cert}.unfinished`;
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-keyout', key];
  const identity = ['-utf8', '-days', '3650', '-subj', subject(commonName, groups)];
  await mustRun('openssl', ['req', '-x509', '-config', config, ...identity, ...newKey, ...signer, '-out', unfinished]);
  await rename(unfinished, cert);
  await rm(config);
  return { cert, key };
};

/** A certificate authority whose files are in `dir`; made at the first call, reused later. */
export const authority = async (dir: string): Promise<Authority> => {
  await mkdir(dir, { recursive: true });
  const { cert: ca, key: caKey } = await create(
    dir,
    { name: 'ca', commonName: 'kanava-test-ca' },
    ['basicConstraints = critical, CA:TRUE', 'keyUsage = critical, keyCertSign, digitalSignature'],
    [],
  );
  return {
    ca,
    caKey,
    issue: (request) =>
      create(
        dir,
        request,
        [
          'basicConstraints = critical, CA:FALSE',
          'keyUsage = critical, digitalSignature',
          'extendedKeyUsage = serverAuth, clientAuth',
          ...(request.names?.length ? [`subjectAltName = ${request.names.join(', ')}`] : []),
        ],
        ['-CA', ca, '-CAkey', caKey],
      ),
  };
};

/** The key pair that signs service account tokens. */
export const serviceAccountKeys = async (dir: string): Promise<{ privateKey: string; publicKey: string }> => {
  const [privateKey, publicKey] = [join(dir, 'service-account.key'), join(dir, 'service-account.pub')];
  if (!existsSync(publicKey)) {
    await mustRun('openssl', ['ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', privateKey]);
    await mustRun('openssl', ['ec', '-in', privateKey, '-pubout', '-out', publicKey]);
  }
  return { privateKey, publicKey };
};

/** Writes a kubeconfig with everything in it; JSON is YAML. The user shows up with a client certificate or a token. */
export const writeKubeconfig = async (
  path: string,
  { url, ca, user }: { url: string; ca: string; user: Certificate | { token: string } },
): Promise<void> => {
  const embedded = async (file: string) => (await readFile(file)).toString('base64');
  const credentials =
    'token' in user
      ? user
      : { 'client-certificate-data': await embedded(user.cert), 'client-key-data': await embedded(user.key) };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'kanava',
    contexts: [{ name: 'kanava', context: { cluster: 'kanava', user: 'kanava' } }],
    clusters: [{ name: 'kanava', cluster: { server: url, 'certificate-authority-data': await embedded(ca) } }],
    users: [{ name: 'kanava', user: credentials }],
  };
  await writeFile(path, JSON.stringify(config, undefined, 2), { mode: 0o600 });
};
