import 'reflect-metadata';
import {
  createPrivateKey,
  type KeyObject,
  X509Certificate as NodeCertificate,
  randomBytes,
  webcrypto,
} from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

/*
 * The certificate authority of one installation and the certificate of its NATS server. Both are made once and live long: the bootstrap
 * never overwrites, and nobody but this installation trusts the authority. Node itself can read certificates but not write them.
 */
export interface Certificates {
  /** PEM texts. */
  readonly caCert: string;
  readonly caKey: string;
  readonly cert: string;
  readonly key: string;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const validityYears = 10;
/** Clocks of nodes differ a little. */
const clockSkewMs = 5 * 60_000;

export const makeCertificates = async (names: readonly string[], now: Date): Promise<Certificates> => {
  const notBefore = new Date(now.getTime() - clockSkewMs);
  const notAfter = new Date(now);
  notAfter.setUTCFullYear(notAfter.getUTCFullYear() + validityYears);
  const validity = { notBefore, notAfter, signingAlgorithm: algorithm };
  const [caKeys, serverKeys] = await Promise.all([newKeyPair(), newKeyPair()]);
  const ca = await X509CertificateGenerator.createSelfSigned({
    ...validity,
    serialNumber: serialNumber(),
    name: 'CN=Kanava NATS CA',
    keys: caKeys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  });
  const server = await X509CertificateGenerator.create({
    ...validity,
    serialNumber: serialNumber(),
    subject: `CN=${names[0]}`,
    issuer: ca.subject,
    publicKey: serverKeys.publicKey,
    signingKey: caKeys.privateKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns', value }))),
    ],
  });
  return {
    caCert: `${ca.toString('pem')}\n`,
    caKey: await pem(caKeys.privateKey),
    cert: `${server.toString('pem')}\n`,
    key: await pem(serverKeys.privateKey),
  };
};

/** Of these names, those that the certificate does not hold for. */
export const uncoveredNames = (certificate: string, names: readonly string[]): string[] => {
  const held = new Set((new NodeCertificate(certificate).subjectAltName ?? '').split(', '));
  return names.filter((name) => !held.has(`DNS:${name}`));
};

const newKeyPair = () => webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);

const pem = async (key: webcrypto.CryptoKey): Promise<string> => {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  const object: KeyObject = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  return object.export({ format: 'pem', type: 'pkcs8' });
};

/** Positive, 127 bits. */
const serialNumber = (): string => {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
};
