import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '../../cluster/temporary.ts';

/** As a pod has it at /etc/kanava/nats. */
export const natsFolder = async (url: string, creds: string): Promise<string> => {
  const folder = await temporaryFolder('nats-folder');
  await writeFile(join(folder, 'url'), url);
  await writeFile(join(folder, 'creds'), creds);
  return folder;
};
