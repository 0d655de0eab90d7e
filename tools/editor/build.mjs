// Bundles the editor into labkit/ui/static/editor, with the licences of all that is in it and the files' checksums.
// `npm --prefix tools/editor run build` installs what package-lock.json names, and calls this.

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "..", "..", "labkit", "ui", "static", "editor");
mkdirSync(target, { recursive: true });

const { metafile } = await build({
  absWorkingDir: here,
  entryPoints: ["editor.js"],
  bundle: true,
  format: "esm",
  minify: true,
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  banner: { js: "// CodeMirror 6, bundled by tools/editor. Licences: LICENSES.txt beside this file." },
  outfile: join(target, "editor.js"),
  metafile: true,
});

const inside = Object.values(metafile.outputs)[0].inputs;
const packages = new Set(
  Object.keys(inside).map((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1]).filter(Boolean),
);
const licences = [...packages].sort().map((name) => {
  const folder = join(here, "node_modules", name);
  const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  return `${name} ${version} (${license})\n\n${readFileSync(join(folder, "LICENSE"), "utf8").trim()}\n`;
});
writeFileSync(join(target, "LICENSES.txt"), licences.join(`\n${"-".repeat(80)}\n\n`));

const sums = ["LICENSES.txt", "editor.js"].map((name) => {
  const sum = createHash("sha256").update(readFileSync(join(target, name))).digest("hex");
  return `${sum}  ${name}\n`;
});
writeFileSync(join(target, "SHA256SUMS"), sums.join(""));
