import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['./test/support/provision.ts'],
    // Each file in a process of its own: ptrace belongs to a thread, and a file that is killed takes nothing along.
    pool: 'forks',
    // The tests run real interpreters that need a core each while they are watched.
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 20_000,
    reporters: ['default', './scripts/closing-line.ts'],
  },
});
