import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// One script and one style sheet, so that `rigwise report` can put them into one file; nothing inline, so that the
// content security policy needs no exception.
export default defineConfig({
  plugins: [svelte()],
  base: './',
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    sourcemap: false,
    reportCompressedSize: false,
    rolldownOptions: { output: { codeSplitting: false } },
  },
  server: { proxy: { '/api': 'http://127.0.0.1:8765' } },
  test: { environment: 'node', include: ['tests/**/*.test.ts'] },
});
