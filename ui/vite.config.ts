import { svelte } from "@sveltejs/vite-plugin-svelte";
import { svelteTesting } from "@testing-library/svelte/vite";
import { defineConfig } from "vitest/config";

// What is shipped is index.html alone. design.html, with the scripted host, is served by `npm run design` and built
// (`--mode scripted`) for the tests in a browser.
export default defineConfig(({ mode }) => ({
  plugins: [svelte(), svelteTesting()],
  build: {
    target: "safari17",
    // The content security policy allows no data: address and no inline script.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    ...(mode === "scripted" && {
      outDir: "dist-scripted",
      rolldownOptions: { input: "design.html" },
    }),
  },
  server: { host: "127.0.0.1", port: 5173, strictPort: true },
  test: {
    environment: "jsdom",
    include: ["src/**/*.test.ts"],
    setupFiles: ["src/test.setup.ts"],
    restoreMocks: true,
    // A machine that is busy with something else is no reason to fail.
    testTimeout: 60_000,
  },
}));
