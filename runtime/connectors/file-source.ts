import type { BigIntStats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import type { IntakeContext } from '../connector.ts';
import { InstructionError, reasonOf, reject } from '../errors.ts';
import { milliseconds } from '../schema.ts';
import type { FileConnection, FileSource } from './file.ts';
import { longestSegment, matches } from './file-names.ts';
import { type Found, openPlaces, type Places, putAway, take } from './file-take.ts';
import { codeOf, versionOf } from './file-volume.ts';

/*
 * Looks at a folder again and again. By looking, not by notifications: those do not come over a network. What can be taken is taken one by
 * one in its order; what cannot stays where it is and holds up no other file.
 */
const defaultEveryMs = 10_000;
const defaultStableMs = 5_000;
/** While the inbox is full or away, or the volume. */
const againMs = 1_000;

interface Seen {
  readonly version: string;
  readonly since: number;
}

export const takeFiles = async (config: FileSource, context: IntakeContext): Promise<void> => {
  const { signal, log, source, pace } = context;
  const everyMs = milliseconds(config.every ?? '') ?? defaultEveryMs;
  const looker = createLooker(config, context);
  let said: string | undefined;
  while (!signal.aborted) {
    let problem: string | undefined;
    try {
      await looker.look();
    } catch (error) {
      if (signal.aborted) return;
      problem = reasonOf(error);
    }
    context.trouble(problem);
    if (problem !== said) {
      if (problem === undefined) log.info({ source }, 'files are taken again');
      else log.error({ source, reason: problem }, 'no files are taken');
    }
    said = problem;
    await pace.wait(problem === undefined ? everyMs : Math.min(everyMs, againMs), signal);
  }
};

const createLooker = (config: FileSource, context: IntakeContext): { look(): Promise<void> } => {
  const { claim, folder = '' } = context.connection as FileConnection;
  const stableMs = milliseconds(config.stableFor ?? '') ?? defaultStableMs;
  let seen = new Map<string, Seen>();
  /** Accepted, and still in its place: what is moved no more must not be sent again and again. */
  const taken = new Map<string, Found>();
  const problems = createProblems(context);

  const stable = ({ name, version }: Found, now: number): boolean => {
    const before = seen.get(name);
    return before?.version === version && now - before.since >= stableMs;
  };

  return {
    async look() {
      const places = await openPlaces(config, context.volume(claim), folder);
      for (const [name, found] of taken) {
        await putAway(places, found);
        taken.delete(name);
      }
      const all = await list(places, config);
      problems.keep(all);
      for (const found of all) if (!isNameable(found)) problems.say(found, unnameable(found));
      const now = context.pace.now();
      const ready = sorted(
        all.filter((found) => isNameable(found) && stable(found, now)),
        config.order,
      );
      seen = new Map(
        all.map(({ name, version }) => {
          const before = seen.get(name);
          return [name, before?.version === version ? before : { version, since: now }];
        }),
      );
      for (const found of ready) {
        if (context.signal.aborted) return;
        try {
          if ((await take(config, context, places, found)) === 'passed over') continue;
          taken.set(found.name, found);
        } catch (error) {
          // The inbox takes nothing now: the order is kept by beginning again with this file.
          if (!isOfFile(error)) throw error;
          problems.say(found, error);
          continue;
        }
        await putAway(places, found);
        taken.delete(found.name);
      }
    },
  };
};

/** What keeps one file, and no other. */
const ofFile = new Set(['FileForbidden', 'OutsideOfVolume', 'FileNameRefused', 'VolumeAway']);
const isOfFile = (error: unknown): error is InstructionError =>
  error instanceof InstructionError && ofFile.has(error.code);

/** Said once for each version of a file. */
const createProblems = ({ log, source }: IntakeContext) => {
  const said = new Map<string, string>();
  return {
    say({ name, version }: Found, error: InstructionError) {
      if (said.get(name) === version) return;
      said.set(name, version);
      log.error({ source, file: name, code: error.code, reason: error.message }, 'a file is left where it is');
    },
    keep(all: readonly Found[]) {
      const names = new Set(all.map(({ name }) => name));
      for (const name of said.keys()) if (!names.has(name)) said.delete(name);
    },
  };
};

/** Text, with room for the ending of a marker, or of the reason of a failure. */
const isNameable = ({ name }: Found): boolean => !name.includes(notText) && Buffer.byteLength(name) <= longestSegment;
const notText = '\ufffd';
const unnameable = ({ name }: Found) =>
  reject(
    'FileNameRefused',
    `its name ${name.includes(notText) ? 'is not UTF-8' : `has more than ${longestSegment} bytes`}; rename it`,
  );

/** Plain files that are wanted. */
const list = async (places: Places, { match = ['*'] }: FileSource): Promise<Found[]> => {
  const entries = new Map((await readdir(places.in.path, { encoding: 'buffer' })).map((raw) => [raw.toString(), raw]));
  const { marker } = places;
  const isMarked = (name: string) => marker !== undefined && (name.endsWith(marker) || entries.has(name + marker));
  const found: Found[] = [];
  for (const [name, raw] of entries) {
    if (name.startsWith('.') || isMarked(name) || !match.some((pattern) => matches(pattern, name))) continue;
    const stats = await statsOf(Buffer.concat([Buffer.from(`${places.in.path}/`), raw]));
    if (stats?.isFile()) found.push({ name, stats, version: versionOf(stats) });
  }
  return found;
};

/** Links are not followed: a link is no file. */
const statsOf = async (path: Buffer): Promise<BigIntStats | undefined> => {
  try {
    return await lstat(path, { bigint: true });
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
};

const sorted = (files: readonly Found[], order: FileSource['order']): Found[] =>
  files.toSorted((a, b) => {
    const older = order === 'Modified' ? a.stats.mtimeNs - b.stats.mtimeNs : 0n;
    if (older !== 0n) return older < 0n ? -1 : 1;
    return a.name < b.name ? -1 : 1;
  });
