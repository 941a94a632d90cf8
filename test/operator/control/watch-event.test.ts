import { expect, test } from 'vitest';
import { versionOfChange } from '../../../operator/control/watch-event.ts';

const line = (type: string, object: object) => JSON.stringify({ type, object });
const metadata = { name: 'orders', resourceVersion: '41' };

test.each([
  ['is found in what was made', line('ADDED', { metadata }), '41'],
  ['is found in what was changed', line('MODIFIED', { metadata, spec: { sinks: [] } }), '41'],
  ['is not told of what may have gone by that very write', line('DELETED', { metadata }), undefined],
  ['is not told of a bookmark', line('BOOKMARK', { metadata }), undefined],
  ['is not told without one', line('ADDED', { metadata: { name: 'orders' } }), undefined],
  [
    'is not guessed where a user wrote such a field',
    line('ADDED', { metadata: { annotations: { resourceVersion: '7' }, ...metadata } }),
    undefined,
  ],
  ['is not taken from a text', line('ADDED', { data: { json: JSON.stringify({ metadata }) }, metadata }), '41'],
])('the version of a change %s', (_, text, version) => {
  expect(versionOfChange(text)).toBe(version);
});
