import { hash } from 'node:crypto';
import { Body, type JsonValue, type Message } from '../message.ts';
import type { Place } from './aggregate-places.ts';

/*
 * What is kept of one place, as a value and changes of it: the open group, and those that have ended and are not in the inbox yet. Groups of
 * a place are numbered; one that has ended gets a value of its own, so that the next can begin.
 */
export interface Gathering {
  /** Of the open group, or of the next one. */
  readonly number: number;
  readonly open?: Group | undefined;
  /** Ended, on its way to a value of its own. */
  readonly ended?: Group | undefined;
  /** Numbers of those that have ended and may not be in the inbox. */
  readonly unsent: readonly number[];
  /** Its window is over. */
  readonly over?: boolean | undefined;
}
/** Without id and source, which follow from the group. */
interface GroupAttributes {
  readonly type: string;
  readonly [name: string]: string;
}
export interface Group {
  readonly id: string;
  readonly openedAt: number;
  readonly due: number;
  readonly attrs: GroupAttributes;
  /** Of its messages. */
  readonly ids: readonly string[];
  readonly bodies: readonly JsonValue[];
  /** That the bodies take as a JSON list. */
  readonly bytes: number;
}
/** The value of its own of a group that has ended. */
export interface Ended {
  readonly id: string;
  readonly at: number;
  /** Of its messages, to know those that come again. */
  readonly ids: readonly string[];
  /** Absent when it is known to be in the inbox. */
  readonly message?: { readonly attrs: GroupAttributes; readonly bodies: readonly JsonValue[] };
}
export interface Part {
  /** The same whenever the message comes again. */
  readonly id: string;
  readonly body: JsonValue;
  readonly bytes: number;
  /** Attributes that a group takes over from its first message. */
  readonly attrs: GroupAttributes;
}

/** A group holds no more: its value is written again with every message. */
export const mostParts = 1_000;
/** For so long it is known which messages a group had, and that a window is over. */
export const rememberedMs = 86_400_000;

/**
 * `kept`: it is in the open group. `ended`: the group that has ended has to make room first. `done`: it is in that one. `moved`: a group has
 * ended since it was known which ones have it.
 */
export type Taken =
  | { readonly kind: 'kept'; readonly number: number; readonly due: number; readonly isFirst: boolean }
  | { readonly kind: 'ended' | 'done'; readonly number: number; readonly ended: Group }
  | { readonly kind: 'late' }
  | { readonly kind: 'moved' };
interface Rules {
  readonly place: Place;
  readonly now: number;
  readonly room: number;
  /** Of a message that was delivered before: no group before this number has it. */
  readonly checked?: number | undefined;
  readonly isWhole: (group: Group) => boolean;
}
interface Change<T> {
  readonly result: T;
  readonly next?: { readonly value: Gathering; readonly forMs?: number };
}

/** Its numbers go on from the time: alarms of a gathering that was forgotten may still stand. */
const none = (now: number): Gathering => ({ number: now, unsent: [] });

/** Adds a message. `isWhole` is asked of the group with it, and may throw: then nothing has changed. */
export const take = (
  found: Gathering | undefined,
  part: Part,
  { place, now, room, checked, isWhole }: Rules,
): Change<Taken> => {
  const current = found ?? none(now);
  const { number, open, ended } = current;
  if (checked !== undefined && found && checked !== number) return { result: { kind: 'moved' } };
  if (ended) return { result: { kind: ended.ids.includes(part.id) ? 'done' : 'ended', number, ended } };
  if (open?.ids.includes(part.id)) return { result: { kind: 'kept', number, due: open.due, isFirst: true } };
  if (!open && current.over) return { result: { kind: 'late' } };
  if (open && (now >= open.due || !fits(open, part, room))) {
    const value = ending(current, open, place.isWindow && now >= open.due);
    return { result: { kind: 'ended', number, ended: open }, next: { value } };
  }
  const group = withPart(open ?? opened(place, part, now), part, place, now);
  if (group.ids.length < mostParts && !isWhole(group)) {
    const value = { ...current, open: group };
    return { result: { kind: 'kept', number, due: group.due, isFirst: !open }, next: { value } };
  }
  return { result: { kind: 'done', number, ended: group }, next: { value: ending(current, group, false) } };
};

/** What is to be done when it is looked at without a message. */
export const look = (found: Gathering | undefined, now: number): Change<Gathering> => {
  const current = found ?? none(now);
  const { open } = current;
  if (!open || now < open.due) return { result: current };
  const value = ending(current, open, open.attrs['windowend'] !== undefined);
  return { result: value, next: { value } };
};

/** The group that has ended has a value of its own now. */
export const moved = (found: Gathering | undefined, { id }: Group): Change<undefined> => {
  if (found?.ended?.id !== id) return { result: undefined };
  const { number, ended: _, unsent, ...rest } = found;
  return { result: undefined, next: { value: { ...rest, number: number + 1, unsent: [...unsent, number] } } };
};

/** The group of this number is in the inbox. What is only remembered is forgotten after a while. */
export const sent = (found: Gathering | undefined, sentNumber: number): Change<undefined> => {
  if (!found?.unsent.includes(sentNumber)) return { result: undefined };
  const value = { ...found, unsent: found.unsent.filter((each) => each !== sentNumber) };
  const isNeeded = value.open !== undefined || value.ended !== undefined || value.unsent.length > 0;
  return { result: undefined, next: isNeeded ? { value } : { value, forMs: rememberedMs } };
};

const fits = (group: Group, part: Part, room: number): boolean => group.bytes + 1 + part.bytes <= room;

const ending = ({ number, unsent, over }: Gathering, ended: Group, isOver: boolean): Gathering => ({
  number,
  unsent,
  ended,
  over: over || isOver,
});

const opened = (place: Place, part: Part, now: number): Group => ({
  id: hash('sha256', `${place.token} ${part.id}`, 'base64url').slice(0, 27),
  openedAt: now,
  due: 0,
  attrs: { ...part.attrs, ...place.attrs },
  ids: [],
  bodies: [],
  bytes: 1,
});

const withPart = (group: Group, part: Part, place: Place, now: number): Group => ({
  ...group,
  due: place.due(group.openedAt, now),
  ids: [...group.ids, part.id],
  bodies: [...group.bodies, part.body],
  bytes: group.bytes + 1 + part.bytes,
});

/** The list of its bodies. */
export const messageOf = (id: string, source: string, { attrs, bodies }: NonNullable<Ended['message']>): Message => ({
  attrs: { ...attrs, id, source, specversion: '1.0', datacontenttype: 'application/json' },
  headers: {},
  body: Body.fromValue(bodies),
});
