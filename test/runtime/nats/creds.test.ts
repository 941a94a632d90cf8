import { expect, it } from 'vitest';
import { formatCreds } from '../../../operator/broker/claims.ts';
import { newKey } from '../../../operator/broker/keys.ts';
import { credsAuthenticator } from '../../../runtime/nats/creds.ts';

const [first, second] = [formatCreds('jwt.of.first', newKey('user')), formatCreds('jwt.of.second', newKey('user'))];

it('logs in with what the file holds at that moment', () => {
  let file = first;
  const login = credsAuthenticator(() => file);
  expect(login('nonce').jwt).toBe('jwt.of.first');
  file = second;
  expect(login('nonce').jwt).toBe('jwt.of.second');
});

it.each([
  ['is empty', () => ''],
  ['is half there', () => second.slice(0, second.length / 2)],
  [
    'is missing',
    () => {
      throw new Error('ENOENT');
    },
  ],
])('tries the last good ones while the file %s: an error would end the connection for good', (_, broken) => {
  let read = () => first;
  const login = credsAuthenticator(() => read());
  const before = login('nonce');
  read = broken;
  expect(login('nonce')).toEqual(before);
  read = () => second;
  expect(login('nonce').jwt).toBe('jwt.of.second');
});

it('says what is wrong when there never were good ones', () => {
  expect(() => credsAuthenticator(() => '')('nonce')).toThrow('hold no NATS USER JWT');
});
