// Bundles the application in this folder and serves it on loopback until this process ends; says where in one line.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const bundled = await build({
  entryPoints: [here("app.js")],
  bundle: true,
  write: false,
  format: "iife",
  target: "es2022",
  define: { global: "globalThis" },
});
const files = new Map([
  ["/", ["text/html; charset=utf-8", await readFile(here("index.html"))]],
  ["/app.js", ["text/javascript; charset=utf-8", bundled.outputFiles[0].contents]],
]);

const server = createServer((request, response) => {
  const [type, bytes] = files.get(new URL(request.url, "http://localhost").pathname) ?? [];
  response.writeHead(bytes ? 200 : 404, { "content-type": type ?? "text/plain" }).end(bytes ?? "");
});
server.listen(0, "127.0.0.1", () => console.log(`http://localhost:${server.address().port}/`));
