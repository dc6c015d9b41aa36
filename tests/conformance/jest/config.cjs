// How Jest runs an older suite in place: its own tests, the packages installed beside this file, our session.
const path = require("node:path");
const here = (name) => path.join(__dirname, name);

module.exports = {
  rootDir: process.env.SUITE,
  roots: ["<rootDir>/test"],
  testEnvironment: "node",
  testTimeout: 30_000,
  maxWorkers: 1,
  modulePaths: [here("node_modules")],
  moduleNameMapper: { "^solid-auth-fetcher(/.*)?$": here("session.cjs") },
  setupFiles: [here("moments.cjs")],
  setupFilesAfterEnv: [here("node_modules/jest-extended/all.js")],
  transform: {
    "^.+\\.ts$": [here("node_modules/ts-jest"), { isolatedModules: true, diagnostics: false, tsconfig: { esModuleInterop: false, module: "commonjs", target: "es2020", moduleResolution: "node" } }],
  },
  cacheDirectory: here("cache"),
};
