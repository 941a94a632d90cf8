import {
  type AliasEvent,
  EVENT_ID,
  type Event,
  getScalarValue,
  parseEvents,
  SCALAR_STYLE,
  type ScalarEvent,
  YAMLException,
} from 'js-yaml';
import { type Path, pathText } from '../operator/api/schema-walk.ts';
import { isAmbiguous, plainScalar } from './scalars.ts';

/*
 * YAML with the place of every part, read as kubectl reads it, and harmless whatever is in it: depth, size and what aliases grow to are
 * bounded, keys are never taken for prototypes.
 */
export interface Place {
  /** From 1, as editors count. */
  readonly line: number;
  readonly column: number;
}
export interface YamlProblem {
  readonly rule: 'Syntax' | 'DuplicateKey' | 'AmbiguousValue';
  readonly path: string;
  readonly message: string;
  readonly place: Place;
}
export interface YamlDocument {
  readonly value: unknown;
  readonly problems: readonly YamlProblem[];
  /** Of the part, or of the closest part around it that is there. */
  placeOf(path: string): Place;
}

/** The API server takes 3 MiB in one request; a file may hold some objects. */
const largestFile = 8 * 1024 * 1024;
/** Far above every object that fits into etcd, far below what makes a machine wait. */
const mostValues = 100_000;

export const readYaml = (text: string): { documents: YamlDocument[]; problem?: YamlProblem } => {
  if (text.length > largestFile)
    return broken(`has ${text.length} characters, at most ${largestFile}; divide the file`, { line: 1, column: 1 });
  try {
    return { documents: composeAll(text, parseEvents(text, {})) };
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const { line = 0, column = 0 } = error.mark ?? {};
    return broken(`is no YAML: ${error.reason}`, { line: line + 1, column: column + 1 });
  }
};
const broken = (message: string, place: Place) => ({
  documents: [],
  problem: { rule: 'Syntax' as const, path: '', message, place },
});

/** A part with its size, in which every use of an alias counts anew: that is what readers of the value walk through. */
interface Part {
  readonly value: unknown;
  readonly size: number;
}

const composeAll = (source: string, events: readonly Event[]): YamlDocument[] => {
  const placeAt = placesIn(source);
  const documents: YamlDocument[] = [];
  let index = 0;
  while (index < events.length) {
    index++; // its start
    const places = new Map<string, number>();
    const problems: YamlProblem[] = [];
    const composer = composerOf(source, events, {
      // A key comes before its value, and an empty value has no place of its own.
      mark: (path, offset) => offset < 0 || places.has(path) || places.set(path, offset),
      say: (rule, path, offset, message) =>
        problems.push({ rule, path: pathText(path), message, place: placeAt(offset) }),
    });
    const isEmpty = events[index]?.type === EVENT_ID.POP;
    const read = isEmpty ? { value: undefined, next: index } : composer(index);
    index = read.next + 1; // its end
    const first = places.get('') ?? 0;
    documents.push({
      value: read.value,
      problems,
      placeOf: (path) => {
        for (let at = path; at !== ''; at = at.slice(0, Math.max(at.lastIndexOf('.'), at.lastIndexOf('['), 0))) {
          const offset = places.get(at);
          if (offset !== undefined) return placeAt(offset);
        }
        return placeAt(first);
      },
    });
  }
  return documents;
};

interface Notes {
  mark(path: string, offset: number): unknown;
  say(rule: YamlProblem['rule'], path: Path, offset: number, message: string): void;
}

const composerOf = (source: string, events: readonly Event[], { mark, say }: Notes) => {
  const anchors = new Map<string, Part>();
  let at = 0;
  let total = 0;

  const scalar = (event: ScalarEvent, path: Path): unknown => {
    const text = event.valueStart < 0 ? '' : getScalarValue(source, event);
    const tag = event.tagStart < 0 ? '' : source.slice(event.tagStart, event.tagEnd);
    if (tag === '!' || tag === '!!str') return text;
    if (tag !== '' && !/^!!(int|float|bool|null)$/.test(tag))
      YAMLException.throwAt(source, event.tagStart, `tag ${tag} is not supported`);
    if (event.style !== SCALAR_STYLE.PLAIN && tag === '') return text;
    if (isAmbiguous(text) && tag === '') {
      const meant = plainScalar(text) === true ? 'true' : 'false';
      say('AmbiguousValue', path, event.valueStart, `kubectl reads ${text} as ${meant}: write ${meant}, or quote it`);
    }
    return plainScalar(text);
  };
  const alias = (event: AliasEvent): Part => {
    const name = source.slice(event.anchorStart, event.anchorEnd);
    return anchors.get(name) ?? YAMLException.throwAt(source, event.anchorStart, `there is no anchor &${name} above`);
  };
  const counted = (part: Part, event: Event): Part => {
    total += part.size;
    if (total > mostValues)
      YAMLException.throwAt(source, startOf(event), `more than ${mostValues} values, aliases counted where they stand`);
    return part;
  };

  const compose = (path: Path): Part => {
    const event = events[at++] as Event;
    mark(pathText(path), startOf(event));
    if (event.type === EVENT_ID.ALIAS) return counted(alias(event), event);
    const before = total;
    counted({ value: undefined, size: 1 }, event);
    const value =
      event.type === EVENT_ID.SEQUENCE
        ? sequence(path)
        : event.type === EVENT_ID.MAPPING
          ? mapping(path)
          : scalar(event as ScalarEvent, path);
    const part = { value, size: total - before };
    const { anchorStart, anchorEnd } = event as ScalarEvent;
    if (anchorStart >= 0) anchors.set(source.slice(anchorStart, anchorEnd), part);
    return part;
  };
  const atEnd = () => events[at]?.type === EVENT_ID.POP;
  const sequence = (path: Path): unknown[] => {
    const items: unknown[] = [];
    while (!atEnd()) items.push(compose([...path, items.length]).value);
    at++;
    return items;
  };
  const mapping = (path: Path): Record<string, unknown> => {
    const own = new Map<string, unknown>();
    const merged: unknown[] = [];
    while (!atEnd()) {
      const keyEvent = events[at] as Event;
      const key = keyText(keyEvent);
      const offset = startOf(keyEvent);
      mark(pathText([...path, key]), offset);
      const { value } = compose([...path, key]);
      if (key === '<<') merged.push(...[value].flat());
      else {
        if (own.has(key)) say('DuplicateKey', [...path, key], offset, 'stands here a second time; remove one');
        own.set(key, value);
      }
    }
    at++;
    const inherited = merged.flatMap((value) =>
      value !== null && typeof value === 'object' ? Object.entries(value) : [],
    );
    // fromEntries makes own properties of every key, `__proto__` too. What stands in the mapping itself wins, then what is merged first.
    return Object.fromEntries([...inherited.reverse(), ...own]);
  };
  /** Keys are texts in JSON: kubectl writes a boolean `on` as "true". */
  const keyText = (event: Event): string => {
    at++;
    if (event.type === EVENT_ID.ALIAS) return String(alias(event).value);
    if (event.type !== EVENT_ID.SCALAR) return YAMLException.throwAt(source, startOf(event), 'a key must be a text');
    const text = event.valueStart < 0 ? '' : getScalarValue(source, event);
    const isPlain = event.style === SCALAR_STYLE.PLAIN && event.tagStart < 0;
    return isPlain ? String(plainScalar(text)) : text;
  };

  return (start: number): { value: unknown; next: number } => {
    at = start;
    const { value } = compose([]);
    return { value, next: at };
  };
};

const startOf = (event: Event): number => {
  switch (event.type) {
    case EVENT_ID.SCALAR:
      return event.valueStart;
    case EVENT_ID.SEQUENCE:
    case EVENT_ID.MAPPING:
      return event.start;
    case EVENT_ID.ALIAS:
      return event.anchorStart;
    default:
      return -1;
  }
};

const placesIn = (source: string) => {
  const starts = [0, ...[...source.matchAll(/\n/g)].map(({ index }) => index + 1)];
  return (offset: number): Place => {
    const line = Math.max(
      0,
      starts.findLastIndex((start) => start <= offset),
    );
    return { line: line + 1, column: offset - (starts[line] ?? 0) + 1 };
  };
};
