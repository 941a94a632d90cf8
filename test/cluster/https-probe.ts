import { request } from 'node:https';

interface Probe {
  ca: Buffer;
  cert: Buffer;
  key: Buffer;
  timeout?: number;
}

/** GET with a client certificate; status 0 when nothing answers. */
export const httpsGet = (url: string, { timeout = 2000, ...tls }: Probe): Promise<{ status: number; body: string }> =>
  new Promise((resolve) => {
    const req = request(url, { ...tls, agent: false, timeout }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', () => resolve({ status: 0, body: '' }));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }));
    });
    req.on('timeout', () => req.destroy());
    req.on('error', () => resolve({ status: 0, body: '' }));
    req.end();
  });
