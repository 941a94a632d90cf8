import { mainLayout } from '../node/layout.ts';
import type { Progress } from '../progress.ts';
import { currentProvider } from './current.ts';
import { kindProvider } from './kind.ts';
import { nativeProvider } from './native.ts';
import type { Provider } from './provider.ts';

const native = nativeProvider(mainLayout);

export const providerNames = ['current', 'kind', 'native'] as const;

/** The provider with this name; without one, kind where it can run, else the native node. */
export const chooseProvider = async (name: string | undefined, onProgress: Progress): Promise<Provider> => {
  // The current context may be anybody's cluster: only when asked for.
  const candidates = name
    ? [currentProvider, kindProvider, native].filter((provider) => provider.name === name)
    : [kindProvider, native];
  const reasons: string[] = [];
  for (const provider of candidates) {
    const reason = await provider.unavailable();
    if (!reason) {
      for (const line of reasons) onProgress(line);
      return provider;
    }
    reasons.push(`provider ${provider.name} is not available: ${reason}`);
  }
  throw new Error(`No cluster can be had here.\n${reasons.join('\n')}`);
};
