import { createHash } from 'node:crypto';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mustRun } from '../command.ts';
import { temporaryFolder } from '../temporary.ts';

interface DockerManifest {
  Config: string;
  RepoTags: string[];
  /** `<digest>.tar`: the builder leaves layers uncompressed, so the name is the digest. */
  Layers: string[];
}

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
}

const docker = 'application/vnd.docker';
const mediaTypes = {
  config: `${docker}.container.image.v1+json`,
  layer: `${docker}.image.rootfs.diff.tar`,
  manifest: `${docker}.distribution.manifest.v2+json`,
};

const digestOf = (data: string | Buffer): string => `sha256:${createHash('sha256').update(data).digest('hex')}`;

/** Sizes of the archive's files by name. */
const sizesIn = async (archive: string): Promise<Map<string, number>> => {
  const listing = await mustRun('tar', ['--list', '--verbose', '--numeric-owner', '--file', archive]);
  const rows = listing.split('\n').map((line) => line.split(/\s+/));
  return new Map(rows.map(([, , size, , , name]) => [name ?? '', Number(size)]));
};

/**
 * Writes the image of a Docker archive as an OCI archive without the layers that the receiver has, and gives its path to
 * `work`. Our images differ by a few MB and share 170; the importer of Docker archives wants all of it every time.
 */
export const withThinArchive = async (
  archive: string,
  present: ReadonlySet<string>,
  work: (thin: string) => Promise<void>,
): Promise<void> => {
  const folder = await temporaryFolder('thin');
  const extract = (files: string[]) =>
    mustRun('tar', ['--extract', '--file', archive, '--directory', folder, ...files]);
  try {
    await extract(['manifest.json']);
    const [image] = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')) as DockerManifest[];
    const ref = image?.RepoTags[0];
    if (!image || !ref) throw new Error(`${archive} holds no named image: remove it, it is then built again`);
    const layerDigest = (file: string) => `sha256:${file.replace(/\.tar$/, '')}`;
    const missing = image.Layers.filter((file) => !present.has(layerDigest(file)));
    await extract([image.Config, ...missing]);

    const sizes = await sizesIn(archive);
    const layers = image.Layers.map(
      (file): Descriptor => ({ mediaType: mediaTypes.layer, digest: layerDigest(file), size: sizes.get(file) ?? 0 }),
    );
    const config: Descriptor = {
      mediaType: mediaTypes.config,
      digest: digestOf(await readFile(join(folder, image.Config))),
      size: (await stat(join(folder, image.Config))).size,
    };
    const manifest = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers });
    const entry: Descriptor & { annotations: Record<string, string> } = {
      mediaType: mediaTypes.manifest,
      digest: digestOf(manifest),
      size: Buffer.byteLength(manifest),
      annotations: { 'io.containerd.image.name': ref },
    };
    await writeFile(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
    await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
    await writeFile(join(folder, 'manifest'), manifest);
    const thin = join(folder, 'thin.tar');
    const files = ['oci-layout', 'index.json', 'manifest', image.Config, ...missing];
    await mustRun('tar', ['--create', '--file', thin, '--directory', folder, ...files]);
    await work(thin);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};
