/** Vitest's global setup: adds Debian's interpreters before the tests look for any. A moment when they are there. */
import { provisionDebian } from '../../scripts/provision.ts';

export default function setup(): void {
  const missing = provisionDebian();
  if (missing !== '') console.error(`${missing}; testing with the interpreters that are here`);
}
